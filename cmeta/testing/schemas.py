"""Strategies for schemas: every legal type, group, enumeration, codec and batch size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from cmeta.schema.language import Document
from cmeta.schema.load import convert, shipped_format
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.schema.schema import Schema, default_schema
from cmeta.schema.types import FIELD_TYPES

Draw = Callable[[st.SearchStrategy[Any]], Any]

_FLOATS = tuple(name for name, row in FIELD_TYPES.items() if row.is_float)
_INTEGERS = tuple(n for n, row in FIELD_TYPES.items() if row.has_vectors and not row.is_float)
_FAMILIAR = ("loss_value", "coherence", "step", "epoch", "seed_state", "tensor_signature")
_OPTIONAL_STAGES = ("palette", "split")
_RARELY = st.sampled_from([False, False, False, True])


def names(*, dots: bool = True, max_size: int = 12) -> st.SearchStrategy[str]:
    """Draw a name for a field, a group, a metric or a label: any UTF-8 text of legal length."""
    len_max = shipped_format().limits.name_bytes_max
    alphabet = st.characters(codec="utf-8", exclude_characters="" if dots else ".")
    text = st.text(alphabet, min_size=1, max_size=max_size)
    return text.filter(lambda name: len(name.encode()) <= len_max)


@st.composite
def schemas(
    draw: Draw,
    *,
    max_batch_records: int = 64,
    max_fields: int = 5,
    max_components: int = 3,
) -> Schema:
    """Draw a legal schema: a variation of the default one, or arbitrary fields.

    Parameters
    ----------
    max_batch_records : int
        Largest batch size, from 16 to 65,536.
    max_fields : int
        Maximum number of fields besides timestamp and phase.
    max_components : int
        Maximum number of components of a vector.

    Returns
    -------
    SearchStrategy of Schema

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=3, database=None, derandomize=True, deadline=None)
    ... @given(schemas(max_fields=2))
    ... def check(schema):
    ...     assert 16 <= schema.batch_records <= 64
    >>> check()
    """
    limits = shipped_format().limits
    low = limits.batch_records_min
    batch_records = draw(st.integers(low, min(low * 4, max_batch_records))
                         | st.integers(low, max_batch_records))  # fmt: skip
    if draw(st.sampled_from([False, False, False, True])):
        return _variation(draw, batch_records)
    phases = draw(_labels(max_size=draw(st.sampled_from([3, 3, limits.enumeration_max]))))
    enumerations = {PHASE: {"values": phases}}
    for name in draw(st.lists(names(), max_size=2, unique=True)):
        enumerations.setdefault(name, {"values": draw(_labels(max_size=6))})
    groups = draw(st.lists(names(dots=False) | st.just("metrics"), max_size=2, unique=True))
    groups = [g for g in groups if g not in (TIMESTAMP, PHASE)]
    open_group = draw(st.sampled_from([None, *groups, *groups]))
    paths = {TIMESTAMP, PHASE, *groups}
    fields = _leading_fields(draw)
    num_columns = len(fields)
    for _ in range(draw(st.integers(0, max_fields))):
        field = draw(_fields(groups, sorted(enumerations), max_components))
        path = f"{field['group']}.{field['name']}" if "group" in field else field["name"]
        second_config = field["type"] == "config" and any(f["type"] == "config" for f in fields)
        _, _, size = field["type"].rstrip("]").partition("[")
        num_columns += int(size or 1)
        too_large = num_columns * batch_records > limits.cells_max
        if path not in paths and not second_config and not too_large:
            paths.add(path)
            fields.append(field)
    plain = {
        "enumerations": enumerations,
        "record": {
            "batch_records": batch_records,
            "groups": [{"name": g, "open": g == open_group} for g in groups],
            "fields": fields,
        },
    }
    return Schema(convert(plain, Document, "drawn"), shipped_format(), "drawn")


def _variation(draw: Draw, batch_records: int) -> Schema:
    """Return the default schema with more metrics and phases."""
    schema = default_schema().with_batch_records(batch_records)
    for name in draw(st.lists(names(), max_size=2, unique=True)):
        if f"{schema.open_group}.{name}" not in schema:
            options = draw(_float_options(draw(st.sampled_from(_FLOATS))))
            schema = schema.with_metrics(**{name: options})
    if draw(_RARELY):
        schema = schema.with_wall_time()
    phases = draw(_labels(max_size=2))
    return schema.with_phases(*(name for name in phases if name not in schema.phases))


def _labels(*, max_size: int) -> st.SearchStrategy[list[str]]:
    """Draw the labels of an enumeration; many labels have simple names."""
    if max_size <= 6:
        # numpy strips trailing NULs from strings, so arrays cannot tell such labels apart.
        labels = names().filter(lambda name: not name.endswith("\0"))
        return st.lists(labels, min_size=1, max_size=max_size, unique=True)
    return st.integers(1, max_size).map(lambda count: [f"value{i}" for i in range(count)])


def _leading_fields(draw: Draw) -> list[dict[str, Any]]:
    split = draw(st.sampled_from([["split"], []]))
    return [
        {"name": TIMESTAMP, "type": "u64", "codec": [*split, "delta", "rice"]},
        {"name": PHASE, "type": "enum", "enumeration": PHASE, "codec": ["delta", "rice"]},
    ]


@st.composite
def _fields(
    draw: Draw, groups: list[str], enumerations: list[str], max_components: int
) -> dict[str, Any]:
    """Draw a field in the form of a schema file."""
    group = draw(st.sampled_from(["", *groups]))
    name = draw(names(dots=bool(group)) | st.sampled_from(_FAMILIAR))
    scalar = draw(st.sampled_from([*_FLOATS, *_INTEGERS, *_FLOATS, "enum", "config"]))
    if scalar == "config" and group:
        scalar = "bool"
    field: dict[str, Any] = {"name": name, "type": scalar}
    if group:
        field["group"] = group
    if scalar == "enum":
        field["enumeration"] = draw(st.sampled_from(enumerations))
    elif scalar != "config":
        size = draw(st.sampled_from([0, 0, 0, 1]) | st.integers(0, max_components))
        field["type"] = f"{scalar}[{size}]" if size else scalar
    if scalar in _FLOATS:
        field |= draw(_float_options(scalar))
    chain = shipped_format().codecs.defaults.of(scalar)
    omitted = draw(st.sets(st.sampled_from(_OPTIONAL_STAGES)))
    if omitted or draw(st.booleans()):
        field["codec"] = [stage for stage in chain if stage not in omitted]
    if draw(st.booleans()):
        field["unit"] = draw(names())
    if scalar != "config" and draw(_RARELY):
        field["volatile"] = True
    return field


@st.composite
def _float_options(draw: Draw, scalar: str) -> dict[str, Any]:
    """Draw how a float is stored: exactly, or with a number of quanta per unit."""
    limits = shipped_format().limits
    quanta_max = getattr(limits, f"quanta_per_unit_max_{scalar}")
    storage = draw(st.sampled_from(["default", "exact", "quanta", "power"]))
    options: dict[str, Any] = {"type": scalar}
    if storage == "exact":
        options["exact"] = True
    elif storage == "quanta":
        options["quanta_per_unit"] = draw(st.integers(1, quanta_max))
    elif storage == "power":
        options["quanta_per_unit"] = 10 ** draw(st.integers(0, len(str(quanta_max)) - 1))
    return options
