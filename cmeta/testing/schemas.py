"""Any legal schema: types, vectors, groups, enumerations, quanta, chains, sizes of a batch."""

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


def names(*, dots: bool = True, max_size: int = 12) -> st.SearchStrategy[str]:
    """Draw a name of a field, a group, a metric or a label: any UTF-8 that is not too long."""
    most = shipped_format().limits.name_bytes_max
    alphabet = st.characters(codec="utf-8", exclude_characters="" if dots else ".")
    text = st.text(alphabet, min_size=1, max_size=max_size)
    return text.filter(lambda name: len(name.encode()) <= most)


@st.composite
def schemas(
    draw: Draw,
    *,
    max_batch_records: int = 64,
    max_fields: int = 5,
    max_components: int = 3,
) -> Schema:
    """Draw a legal schema: the default one in variations, or one of arbitrary fields.

    Parameters
    ----------
    max_batch_records : int
        At most so many records a batch, from 16 up to 65,536.
    max_fields : int
        At most so many fields besides timestamp and phase.
    max_components : int
        At most so many components of a vector.

    Returns
    -------
    SearchStrategy of Schema

    Examples
    --------
    >>> from hypothesis import find, settings
    >>> quiet = settings(database=None, deadline=None, derandomize=True)
    >>> find(schemas(), lambda schema: schema.open_group is not None, settings=quiet).batch_records
    16
    """
    limits = shipped_format().limits
    low = limits.batch_records_min
    batch_records = draw(st.integers(low, min(low * 4, max_batch_records))
                         | st.integers(low, max_batch_records))  # fmt: skip
    if draw(st.sampled_from([False, False, False, True])):
        return _variation(draw, batch_records)
    phases = draw(_labels(most=draw(st.sampled_from([3, 3, limits.enumeration_max]))))
    enumerations = {PHASE: {"values": phases}}
    for name in draw(st.lists(names(), max_size=2, unique=True)):
        enumerations.setdefault(name, {"values": draw(_labels(most=6))})
    groups = draw(st.lists(names(dots=False) | st.just("metrics"), max_size=2, unique=True))
    groups = [g for g in groups if g not in (TIMESTAMP, PHASE)]
    opened = draw(st.sampled_from([None, *groups, *groups]))
    taken = {TIMESTAMP, PHASE, *groups}
    fields = _leading_fields(draw)
    num_columns = len(fields)
    for _ in range(draw(st.integers(0, max_fields))):
        field = draw(_fields(groups, sorted(enumerations), max_components))
        path = f"{field['group']}.{field['name']}" if "group" in field else field["name"]
        second_config = field["type"] == "config" and any(f["type"] == "config" for f in fields)
        _, _, size = field["type"].rstrip("]").partition("[")
        num_columns += int(size or 1)
        too_large = num_columns * batch_records > limits.cells_max
        if path not in taken and not second_config and not too_large:
            taken.add(path)
            fields.append(field)
    plain = {
        "enumerations": enumerations,
        "record": {
            "batch_records": batch_records,
            "groups": [{"name": g, "open": g == opened} for g in groups],
            "fields": fields,
        },
    }
    return Schema(convert(plain, Document, "drawn"), shipped_format(), "drawn")


def _variation(draw: Draw, batch_records: int) -> Schema:
    """Return the default schema with further metrics and phases."""
    schema = default_schema().with_batch_records(batch_records)
    for name in draw(st.lists(names(), max_size=2, unique=True)):
        if f"{schema.open_group}.{name}" not in schema:
            options = draw(_float_options(draw(st.sampled_from(_FLOATS))))
            schema = schema.with_metrics(**{name: options})
    further = draw(_labels(most=2))
    return schema.with_phases(*(name for name in further if name not in schema.phases))


def _labels(*, most: int) -> st.SearchStrategy[list[str]]:
    """Draw the values of an enumeration; a long one has plain names."""
    if most <= 6:
        # numpy's strings end before trailing NULs, so such labels cannot be told apart in arrays.
        plain = names().filter(lambda name: not name.endswith("\0"))
        return st.lists(plain, min_size=1, max_size=most, unique=True)
    return st.integers(1, most).map(lambda count: [f"value{i}" for i in range(count)])


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
    """Draw a field as a schema file states it."""
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
    left_out = draw(st.sets(st.sampled_from(_OPTIONAL_STAGES)))
    if left_out or draw(st.booleans()):
        field["codec"] = [stage for stage in chain if stage not in left_out]
    if draw(st.booleans()):
        field["unit"] = draw(names())
    return field


@st.composite
def _float_options(draw: Draw, scalar: str) -> dict[str, Any]:
    """Draw how a float is quantised."""
    limits = shipped_format().limits
    most = getattr(limits, f"quanta_per_unit_max_{scalar}")
    way = draw(st.sampled_from(["default", "exact", "quanta", "power"]))
    options: dict[str, Any] = {"type": scalar}
    if way == "exact":
        options["exact"] = True
    elif way == "quanta":
        options["quanta_per_unit"] = draw(st.integers(1, most))
    elif way == "power":
        options["quanta_per_unit"] = 10 ** draw(st.integers(0, len(str(most)) - 1))
    return options
