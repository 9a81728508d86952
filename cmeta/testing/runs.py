"""Runs: columns for `cmeta.write`, the same as records, and whole files."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from cmeta.errors import PrecisionWarning
from cmeta.model import NAMED_FIELDS, CycleRecord
from cmeta.schema import Field, Schema, undeclared
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.testing import values
from cmeta.testing.schemas import names, schemas
from cmeta.writer.chunk import ChunkMaker
from cmeta.writer.encoder import Encoder

Array = npt.NDArray[Any]
Draw = Callable[[st.SearchStrategy[Any]], Any]

_LOGGED = ("accuracy", "train/loss", "layer.0.weight", "lr", "\N{GREEK SMALL LETTER ETA}", "x" * 255)
_MOST_RECORDS = 100


@st.composite
def columns(
    draw: Draw, schema: Schema, *, min_records: int = 0, max_records: int | None = None
) -> dict[str, Any]:
    """Draw columns that `cmeta.write` takes for a schema.

    Parameters
    ----------
    schema : Schema
    min_records, max_records : int
        How many records; by default at most two batches and a half, and at most 100.

    Returns
    -------
    SearchStrategy of dict of str to array
        By dotted name, in any order: arrays of ``(n_records,)`` or ``(n_records, k)``, masked ones
        where a value is absent; or lists with None. Enumerations as names or codes, configurations
        as mappings. The timestamps may be missing; then the writer assigns them.

    Examples
    --------
    >>> import cmeta
    >>> from hypothesis import find
    >>> found = find(columns(cmeta.default_schema(), min_records=2), lambda c: len(c) == 2)
    >>> sorted(found)
    ['phase', 'timestamp']
    """
    if max_records is None:
        max_records = max(min_records, min(schema.batch_records * 5 // 2, _MOST_RECORDS))
    num_records = draw(st.integers(min_records, max_records))
    phases = draw(values.codes(num_records, len(schema.phases)))
    found: dict[str, Any] = {}
    if draw(st.sampled_from([True, True, True, False])):
        found[TIMESTAMP], phases = _in_order(_timestamps(draw, num_records), phases)
    found[PHASE] = _as_given(draw, phases, None, schema[PHASE])
    for field in _others(draw, schema):
        present = draw(values.masks(num_records))
        mask = None if present.all() else present
        found[field.path] = _as_given(draw, _values(draw, num_records, field), mask, field)
    return {path: found[path] for path in draw(st.permutations(sorted(found)))}


def records(
    schema: Schema, *, min_records: int = 0, max_records: int | None = None
) -> st.SearchStrategy[list[CycleRecord]]:
    """Draw records in a legal order.

    Parameters
    ----------
    schema : Schema
    min_records, max_records : int
        As in `columns`.

    Returns
    -------
    SearchStrategy of list of CycleRecord

    Examples
    --------
    >>> import cmeta
    >>> from hypothesis import find
    >>> find(records(cmeta.default_schema()), lambda run: len(run) > 0)[0].phase
    'dream'
    """
    drawn = columns(schema, min_records=min_records, max_records=max_records)
    return drawn.map(lambda found: to_records(found, schema))


@st.composite
def files(draw: Draw, schema: Schema | None = None, *, max_records: int | None = None) -> bytes:
    """Draw the bytes of a closed, valid chronicle.

    Parameters
    ----------
    schema : Schema, optional
        Default: any.
    max_records : int
        As in `columns`.

    Returns
    -------
    SearchStrategy of bytes

    Examples
    --------
    >>> import cmeta
    >>> from hypothesis import find
    >>> data = find(files(), lambda data: len(cmeta.open(data)) > 0)
    >>> len(cmeta.open(data)), cmeta.validate(data).ok
    (1, True)
    """
    schema = schema or draw(schemas())
    return to_bytes(draw(columns(schema, max_records=max_records)), schema)


def to_records(found: Mapping[str, Any], schema: Schema) -> list[CycleRecord]:
    """Return columns as records, with plain Python values.

    Examples
    --------
    >>> import cmeta
    >>> found = {"phase": ["train"], "metrics.lr": np.ma.array([0.5], mask=[False])}
    >>> to_records(found, cmeta.default_schema())[0].metrics.lr
    0.5
    """
    cells = zip(*map(_plain, found.values()), strict=True)
    return [_record(dict(zip(found, row, strict=True)), schema) for row in cells]


def to_bytes(
    found: Mapping[str, Any] | list[Mapping[str, Any]] | list[list[CycleRecord]],
    schema: Schema,
    config: Any = None,
    present: Mapping[str, Any] | None = None,
) -> bytes:
    """Return the bytes that `cmeta.write` puts on disk for columns, or for chunks one by one."""
    encoder = Encoder(schema)
    maker = ChunkMaker(schema, config)
    payload = encoder.begin()[len(encoder.header()) :]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PrecisionWarning)
        for part in [found] if isinstance(found, Mapping) else found:
            start = encoder.next_timestamp
            chunk = (
                maker.make(part, present, start)
                if isinstance(part, Mapping)
                else maker.make_from_records(part, start)
            )
            payload += encoder.feed(chunk)
    payload += encoder.finish()
    return encoder.header(encoder.num_records) + payload


# ------------------------------------------------------------------------------------- internals


def _others(draw: Draw, schema: Schema) -> list[Field]:
    """Return some declared fields, and undeclared metrics where they are welcome."""
    declared = [f for f in schema.fields if f.path not in (TIMESTAMP, PHASE)]
    chosen = [f for f in declared if draw(st.sampled_from([True, True, True, False]))]
    group = schema.open_group
    if group is None:
        return chosen
    logged = draw(st.lists(st.sampled_from(_LOGGED) | names(), max_size=3, unique=True))
    more = [undeclared(name, group, schema.format.codecs) for name in logged]
    return chosen + [field for field in more if field.path not in schema]


def _record(row: Mapping[str, Any], schema: Schema) -> CycleRecord:
    """Return the record of values by dotted name."""
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


def _timestamps(draw: Draw, num_records: int) -> Array:
    """Return ascending timestamps: evenly spaced, close together with equal ones, or far apart."""
    way = draw(st.sampled_from(["even", "close", "any", "equal"]))
    top = 2**64 - 1
    if way == "any":
        return np.sort(values.raw(draw, num_records, "<u8"))
    start = draw(st.integers(0, 1000) | st.sampled_from([0, 2**63 - 20, 2**63, top - 1000, top]))
    if way == "equal":
        return np.full(num_records, start, np.uint64)
    most = max((top - start) // max(num_records, 1), 0)
    step = draw(st.integers(0, min(most, 2000)) | st.integers(0, most))
    steps = [step] * num_records
    if way == "close":
        steps = [min(step, int(i)) for i in values.raw(draw, num_records, "u1") % 4]
    gone = np.cumsum(np.array([0, *steps[:-1]][:num_records], np.uint64), dtype=np.uint64)
    return np.uint64(start) + gone


def _in_order(timestamps: Array, phases: Array) -> tuple[Array, Array]:
    """Put records into the order of (timestamp, phase), which a file demands."""
    order = np.lexsort((phases, timestamps))
    return timestamps[order], phases[order]


def _values(draw: Draw, num_records: int, field: Field) -> Any:
    """Return one array for a field, `(n_records,)` or `(n_records, k)`, or a list of mappings."""
    if field.type == "config":
        table = draw(st.lists(values.configurations(), min_size=1, max_size=4))
        return [table[i] for i in values.raw(draw, num_records, "u1") % len(table)]
    parts = [_component(draw, num_records, field) for _ in range(field.num_columns)]
    return np.stack(parts, axis=1) if field.num_components else parts[0]


def _component(draw: Draw, num_records: int, field: Field) -> Array:
    if field.type == "enum":
        return np.asarray(draw(values.codes(num_records, len(field.labels))))
    if field.type == "bool":
        return np.asarray(draw(values.masks(num_records)))
    drawn = values.floats if field.is_float else values.integers
    return np.asarray(draw(drawn(num_records, field)))


def _as_given(draw: Draw, found: Any, present: Array | None, field: Field) -> Any:
    """Return a column in one of the forms that a user may give it in."""
    if field.labels and draw(st.booleans()):
        found = np.array(field.labels)[found] if len(found) else np.zeros(0, "U1")
    as_list = draw(st.sampled_from([False, False, True]))
    if field.type != "config" and not as_list:
        if present is None:
            return found
        absent = ~present if not field.num_components else np.repeat(
            ~present[:, None], field.num_components, axis=1)  # fmt: skip
        return np.ma.MaskedArray(found, absent)
    plain = found if isinstance(found, list) else found.tolist()
    there = np.ones(len(plain), bool) if present is None else present
    return [value if here else None for value, here in zip(plain, there.tolist(), strict=True)]


def _plain(column: Any) -> list[Any]:
    """Return a column as Python values, None where absent, a vector as a tuple."""
    if isinstance(column, np.ma.MaskedArray):
        absent = np.ma.getmaskarray(column)
        gone = absent.all(axis=1) if absent.ndim == 2 else absent
        plain = np.asarray(column.data).tolist()
        column = [None if g else value for g, value in zip(gone.tolist(), plain, strict=True)]
    elif isinstance(column, np.ndarray):
        column = column.tolist()
    return [tuple(value) if isinstance(value, list) else value for value in column]
