"""Adversarial values for a field: every value of its type, and typical telemetry.

An array is drawn as one byte string and a pattern that interprets it, because a draw for each value
would take most of a test's time; it still shrinks towards zeros. Patterns are functions, and
strategies that do not depend on the field are created once, for the same reason.

A run takes several forms: columns as a user gives them, records, plain Python values, and bytes.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from hypothesis import strategies as st

from cmeta.aliases import Array, Mask
from cmeta.errors import PrecisionWarning
from cmeta.format.encoder import Encoder
from cmeta.records.columns import Columns
from cmeta.records.convert import Converter
from cmeta.records.record import NAMED_FIELDS, CycleRecord, flatten
from cmeta.schema.schema import Schema
from cmeta.schema.types import Field
from cmeta.testing.oracle import threshold


def plain_values(column: Any) -> list[Any]:
    """Return a column in any form as Python values: None where absent, a vector as a tuple.

    Examples
    --------
    >>> plain_values(np.ma.array([[1, 2], [3, 4]], mask=[[0, 0], [1, 1]]))
    [(1, 2), None]
    """
    if isinstance(column, np.ma.MaskedArray):
        mask: Any = np.ma.getmaskarray(column)
        absent: Any = mask.all(axis=1) if mask.ndim == 2 else mask
        values = np.asarray(column.data).tolist()
        column = [None if a else value for a, value in zip(absent.tolist(), values, strict=True)]
    elif isinstance(column, np.ndarray):
        column = column.tolist()
    return [tuple(value) if isinstance(value, list) else value for value in column]


def to_records(columns: Mapping[str, Any], schema: Schema) -> list[CycleRecord]:
    """Return columns as records, with plain Python values.

    Examples
    --------
    >>> import cmeta
    >>> columns = {"phase": ["train"], "metrics.lr": np.ma.array([0.5], mask=[False])}
    >>> to_records(columns, cmeta.default_schema())[0].metrics.lr
    0.5
    """
    rows = zip(*map(plain_values, columns.values()), strict=True)
    return [_record(dict(zip(columns, row, strict=True)), schema) for row in rows]


def to_bytes(
    run: Mapping[str, Any] | Sequence[Mapping[str, Any] | Sequence[CycleRecord]],
    schema: Schema,
    config: Any = None,
    present: Mapping[str, Any] | None = None,
) -> bytes:
    """Return the bytes that `cmeta.write` writes to disk.

    Parameters
    ----------
    run : mapping of columns, or sequence of such mappings and of lists of records
        A sequence is encoded chunk by chunk.
    schema, config, present
        As `cmeta.write` takes them.

    Examples
    --------
    >>> import cmeta
    >>> len(cmeta.open(to_bytes({"phase": ["dream", "train"]}, cmeta.default_schema())))
    2
    """
    if isinstance(run, Columns):
        config = config or run.configs or None
    encoder = Encoder(schema)
    converter = Converter(schema, config)
    payload = encoder.begin()[len(encoder.header()) :]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PrecisionWarning)
        for part in [run] if isinstance(run, Mapping) else run:
            start = encoder.next_timestamp
            chunk = (
                converter.convert(part, present, start)
                if isinstance(part, Mapping)
                else converter.convert_records([flatten(row, schema) for row in part], start)
            )
            payload += encoder.feed(chunk)
    payload += encoder.finish()
    return encoder.header(encoder.num_records) + payload


def _record(row: Mapping[str, Any], schema: Schema) -> CycleRecord:
    """Return the record with these values, given by dotted name."""
    nested: dict[str, Any] = {}
    for path, value in row.items():
        group, _, name = path.partition(".")
        if value is None:
            continue
        if name:
            nested.setdefault(group, {})[name] = value
        else:
            nested[path] = value
    named = set(NAMED_FIELDS) - {"metrics"} | ({"metrics"} & set(schema.groups))
    extra = {name: value for name, value in nested.items() if name not in named}
    known = {name: value for name, value in nested.items() if name in named}
    return CycleRecord(**known, extra=extra)


Draw = Callable[[st.SearchStrategy[Any]], Any]

_WEYL = 0x9E3779B97F4A7C15
_NUM_LEVELS = 1797  # size of scikit-learn's digits data: an accuracy is a multiple of 1/1797
_BYTE = st.integers(0, 255)


def raw(draw: Draw, num_values: int, dtype: str) -> Array:
    """Return an array of arbitrary bits."""
    size = num_values * np.dtype(dtype).itemsize
    return np.frombuffer(draw(_bytes(size)), dtype)


@cache
def _bytes(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


# ---------------------------------------------------------------------------------------- masks

_PRESENCES = st.sampled_from(["all", "all", "some", "late", "few", "early", "none"])


def mask(draw: Draw, num_values: int) -> Mask:
    """Return which records have a field: all, some, only early or late ones, or none."""
    pattern = draw(_PRESENCES)
    if pattern in ("some", "few"):
        period = 2 if pattern == "some" else 8
        some: Mask = raw(draw, num_values, "u1") % period == 1
        return some
    if pattern in ("late", "early"):
        late: Mask = np.arange(num_values) * 256 >= draw(_BYTE) * num_values
        return late if pattern == "late" else ~late
    return np.full(num_values, pattern == "all")


# -------------------------------------------------------------------------------------- integers


def integers(draw: Draw, num_values: int, field: Field) -> Array:
    """Return an array of an integer type; its differences may wrap around."""
    limits: Any = np.iinfo(field.dtype.name)
    low, high = int(limits.min), int(limits.max)
    drawn = draw(_INTEGER_PATTERNS)(draw, num_values, low, high)
    span = high - low + 1
    wrapped = [(int(value) - low) % span + low for value in drawn]
    return np.array(wrapped, field.dtype.newbyteorder("="))


@cache
def _between(low: int, high: int) -> st.SearchStrategy[int]:
    return st.integers(low, high)


def _any_bits(draw: Draw, num_values: int, low: int, high: int) -> Any:
    return raw(draw, num_values, "<u8").tolist()


def _edges(draw: Draw, num_values: int, low: int, high: int) -> Any:
    table = [low, high, 0, 1, low + 1, high - 1, high // 2, high // 2 + 1]
    few = draw(_between(1, len(table)))
    return [table[i] for i in (raw(draw, num_values, "u1") % few).tolist()]


def _ramp(draw: Draw, num_values: int, low: int, high: int) -> Any:
    start, step = draw(_between(low, high)), draw(_between(-3, 3))
    return [start + i * step for i in range(num_values)]


def _steep(draw: Draw, num_values: int, low: int, high: int) -> Any:
    start, step = draw(_between(low, high)), draw(_between(low, high))
    return [start + i * step for i in range(num_values)]


def _small(draw: Draw, num_values: int, low: int, high: int) -> Any:
    return (raw(draw, num_values, "u1") % draw(_between(1, 16))).tolist()


def _multiples(draw: Draw, num_values: int, low: int, high: int) -> Any:
    start, factor = draw(_between(low, high)), draw(_between(1, max(high // 256, 1)))
    return [start + int(i) * factor for i in raw(draw, num_values, "u1")]


def _weyl(draw: Draw, num_values: int, low: int, high: int) -> Any:
    root = draw(_between(low, high))
    return [root + i * _WEYL for i in range(num_values)]


_INTEGER_PATTERNS = st.sampled_from([_small, _any_bits, _edges, _ramp, _steep, _multiples, _weyl])


# ---------------------------------------------------------------------------------------- floats


def floats(draw: Draw, num_values: int, field: Field) -> Array:
    """Return an array of float32 or float64 for a float field of either type."""
    pattern, choice = draw(_FLOAT_PATTERNS), draw(_BYTE)
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.array(pattern(draw, num_values, field), np.float64)
        if choice % 3 == 1:
            chosen = raw(draw, num_values, "u1") % 8 == 1
            values[chosen] = _special(draw, int(chosen.sum()), field)
        return values.astype(np.float32) if choice % 5 == 1 else values


def _float64_bits(draw: Draw, num_values: int, field: Field) -> Any:
    return raw(draw, num_values, "<f8")


def _float32_bits(draw: Draw, num_values: int, field: Field) -> Any:
    return raw(draw, num_values, "<f4").astype(np.float64)


def _special(draw: Draw, num_values: int, field: Field) -> Any:
    few = draw(_between(1, len(_SPECIAL)))
    return _SPECIAL[raw(draw, num_values, "u1") % few]


def _constant(draw: Draw, num_values: int, field: Field) -> Any:
    return np.full(num_values, draw(_ANY_FLOAT))


def _float_ramp(draw: Draw, num_values: int, field: Field) -> Any:
    start, step = draw(_ANY_FLOAT), draw(_SMALL_FLOAT)
    return start + step * np.arange(num_values)


def _levels(draw: Draw, num_values: int, field: Field) -> Any:
    return (raw(draw, num_values, "<u2") % draw(_LEVELS)) / _NUM_LEVELS


def _decimals(draw: Draw, num_values: int, field: Field) -> Any:
    return raw(draw, num_values, "<i4") / 10.0 ** draw(_between(0, 15))


def _ordinary(draw: Draw, num_values: int, field: Field) -> Any:
    """Return values of both signs and moderate magnitude."""
    bits = raw(draw, num_values, "<u4").astype(np.int64)
    fractions = 1 + (bits & 0xFFFFF) / 2**20
    return np.where(bits >> 31, -fractions, fractions) * 2.0 ** ((bits >> 20) % 64 - 40)


def _walk(draw: Draw, num_values: int, field: Field) -> Any:
    scale = 10.0 ** draw(_between(-8, 0))
    return draw(_SMALL_FLOAT) + scale * np.cumsum(raw(draw, num_values, "i1"))


def _near_threshold(draw: Draw, num_values: int, field: Field) -> Any:
    """Return the floats around T, where fixed point gives way to exact floats."""
    t = float(threshold(field.quanta_per_unit or 1000000, field.type))
    native = field.dtype.newbyteorder("=").type
    around = [native(t)]
    for _ in range(3):
        around += [np.nextafter(around[-1], native(math.inf))]
        around[:0] = [np.nextafter(around[0], native(0))]
    steps = raw(draw, num_values, "u1")
    values = np.array(around, np.float64)[steps % len(around)]
    return np.where(steps & 128, -values, values)


_FLOAT32, _FLOAT64 = np.finfo(np.float32), np.finfo(np.float64)
_SPECIAL = np.array([
    0.0, math.nan, math.inf, -math.inf, -0.0, 1.0, -1.0, 5e-324, -5e-324, 5e-7, -5e-7, 1.5e-6,
    2.5e-6, float(_FLOAT32.max), float(_FLOAT32.tiny), 1e-45, -1e-45, 3.5e38, float(_FLOAT64.max),
    float(_FLOAT64.min), float(_FLOAT64.tiny), 2.0**53, 2.0**53 + 2, 0.1, 1 / 3, 16777215.0,
    16777216.0, 1e15, 1e16,
])  # fmt: skip
_ANY_FLOAT = st.floats()
_SMALL_FLOAT = st.floats(-20, 20)
_LEVELS = st.sampled_from([2, 5, _NUM_LEVELS + 1])
_FLOAT_PATTERNS = st.sampled_from([
    _levels, _decimals, _special, _ordinary, _walk, _constant, _float_ramp, _near_threshold,
    _float32_bits, _float64_bits,
])  # fmt: skip


# ------------------------------------------------------------------------------ other fields

_CODE_PATTERNS = st.sampled_from(["few", "any", "cycle"])


def codes(draw: Draw, num_values: int, num_labels: int) -> Array:
    """Return codes of an enumeration: any, a few, or a cycle."""
    pattern = draw(_CODE_PATTERNS)
    if pattern == "any":
        return (raw(draw, num_values, "<u2") % num_labels).astype(np.uint8)
    few = draw(_between(1, num_labels))
    if pattern == "cycle":
        return np.asarray(np.arange(num_values) % few, np.uint8)
    return np.asarray(raw(draw, num_values, "<u2") % few, np.uint8)


_KEYS = st.text(st.characters(codec="utf-8"), max_size=6)
_LEAVES = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | _ANY_FLOAT | _KEYS
    | st.sampled_from([2**53 - 1, 2**53, float(2**53), 1e20, 1e21, -0.0, 1.0])
)  # fmt: skip
_NESTED = st.recursive(
    _LEAVES,
    lambda node: st.lists(node, max_size=3) | st.dictionaries(_KEYS, node, max_size=3),
    max_leaves=4,
)
CONFIGURATIONS = st.dictionaries(_KEYS, _NESTED, max_size=3)  # all of JSON, and larger integers
