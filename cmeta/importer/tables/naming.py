"""Which field a name of another tool means.

- The dotted name of a field, or its name without the group, is that field: ``entropy`` is
  ``metrics.entropy``.
- A few names are known by another one: ``loss``, ``seed``, ``_step``, ``global_step``.
- Anything else is a metric under its own name.
"""

from __future__ import annotations

from collections.abc import Collection

from cmeta.schema import Field, Schema

ALIASES = {
    "loss": "loss_value",
    "seed": "seed_state",
    "_step": "step",
    "global_step": "step",
}
PHASE_COLUMNS = ("phase", "split", "mode", "stage")
CLOCKS = ("timestamp", "_timestamp", "wall_time")  # numbers of these are seconds since 1970
DATES = ("time", "datetime", "date", "created_at")  # and text of these may be dates
PHASES = {
    "training": "train",
    "val": "validate",
    "valid": "validate",
    "validation": "validate",
    "eval": "validate",
    "evaluation": "validate",
}


def field_meant(name: str, schema: Schema, taken: Collection[str]) -> Field | None:
    """Return the declared field that a name means, unless it is taken.

    Examples
    --------
    >>> from cmeta.schema import default_schema
    >>> schema = default_schema()
    >>> [field_meant(name, schema, ()).path for name in ("loss", "entropy", "step")]
    ['loss_value', 'metrics.entropy', 'step']
    """
    path = name if name in schema else ALIASES.get(name, "")
    if path not in schema:
        same = [field.path for field in schema.fields if field.name == name]
        path = same[0] if len(same) == 1 else ""
    return schema[path] if path and path not in taken else None


def metric_name(name: str, schema: Schema) -> str:
    """Return a metric's own name, without the open group's in front.

    Examples
    --------
    >>> from cmeta.schema import default_schema
    >>> metric_name("metrics.lr", default_schema()), metric_name("train/lr", default_schema())
    ('lr', 'train/lr')
    """
    return name.removeprefix(f"{schema.open_group}.") or name


def why_no_name(name: str, schema: Schema) -> str:
    """Return why a name cannot be a metric's; "" if it can."""
    most = schema.format.limits.name_bytes_max
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        return "its name is no UTF-8"
    if not 1 <= length <= most:
        return f"a name must have 1 to {most} bytes, and has {length}"
    return "the schema takes no undeclared metrics" if schema.open_group is None else ""


def understood_phases(found: Collection[str], known: Collection[str]) -> dict[str, str]:
    """Return the phase that each word for a phase means; two words never become one phase.

    Examples
    --------
    >>> understood_phases({"train", "val"}, ("dream", "train", "validate"))["val"]
    'validate'
    >>> understood_phases({"val", "eval"}, ("dream", "train", "validate"))["val"]
    'val'
    """
    meant = {}
    for word in sorted(found):
        phase = word if word in known else PHASES.get(word.lower(), word)
        meant[word] = phase if phase in known else word
    counts = [*meant.values()]
    return {
        word: phase if phase == word or counts.count(phase) == 1 else word
        for word, phase in meant.items()
    }
