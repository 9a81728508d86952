"""Strategies for runs: columns for `cmeta.write`, records and files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from cmeta.aliases import U64_MAX, Array
from cmeta.records.record import CycleRecord
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.schema.schema import Schema
from cmeta.schema.types import Field
from cmeta.testing import values
from cmeta.testing.schemas import names, schemas
from cmeta.testing.values import to_bytes, to_records

Draw = Callable[[st.SearchStrategy[Any]], Any]

_LOGGED = (
    "accuracy",
    "train/loss",
    "layer.0.weight",
    "lr",
    "\N{GREEK SMALL LETTER ETA}",
    "x" * 255,
)
_RECORDS_MAX = 100
_USUALLY = st.sampled_from([True, True, True, False])
_SHARES = st.integers(1, 4)
_UNDECLARED = st.lists(st.sampled_from(_LOGGED) | names(), max_size=3, unique=True)
_TABLES = st.lists(values.CONFIGURATIONS, min_size=1, max_size=4)
_SPACINGS = st.sampled_from(["even", "close", "any", "equal"])
_STARTS = st.integers(0, 1000) | st.sampled_from([2**63 - 20, 2**63, 2**64 - 1000, 2**64 - 1])
_FORMS = st.integers(0, 5)  # odd: enumerations by name; 4 and more: as a list


@st.composite
def columns(
    draw: Draw, schema: Schema, *, min_records: int = 0, max_records: int | None = None
) -> dict[str, Any]:
    """Draw columns that `cmeta.write` takes for a schema.

    Parameters
    ----------
    schema : Schema
    min_records, max_records : int
        Number of records; by default up to two and a half batches, but at most 100.

    Returns
    -------
    SearchStrategy of dict of str to array
        By dotted name, in any order: arrays of ``(n_records,)`` or ``(n_records, k)``, masked
        where values are absent, or lists with None. Enumerations are names or codes, and
        configurations are mappings. Without timestamps, the writer assigns them.

    Examples
    --------
    >>> import cmeta
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=3, database=None, derandomize=True, deadline=None)
    ... @given(columns(cmeta.default_schema(), max_records=4))
    ... def check(columns):
    ...     assert len(columns["phase"]) <= 4
    >>> check()
    """
    if max_records is None:
        max_records = max(min_records, min(schema.batch_records * 5 // 2, _RECORDS_MAX))
    num_records = draw(st.integers(min_records, max_records))
    phases = values.codes(draw, num_records, len(schema.phases))
    columns: dict[str, Any] = {}
    if draw(_USUALLY):
        columns[TIMESTAMP], phases = _in_order(_timestamps(draw, num_records), phases)
    columns[PHASE] = _as_given(draw, phases, None, schema[PHASE])
    for field in _others(draw, schema):
        present = values.mask(draw, num_records)
        mask = None if present.all() else present
        columns[field.path] = _as_given(draw, _values(draw, num_records, field), mask, field)
    order = np.argsort(values.raw(draw, len(columns), "u1"), kind="stable")
    return {path: columns[path] for path in np.array(sorted(columns), object)[order]}


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
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=3, database=None, derandomize=True, deadline=None)
    ... @given(records(cmeta.default_schema(), max_records=4))
    ... def check(records):
    ...     assert len(records) <= 4
    >>> check()
    """
    strategy = columns(schema, min_records=min_records, max_records=max_records)
    return strategy.map(lambda drawn: to_records(drawn, schema))


@st.composite
def files(draw: Draw, schema: Schema | None = None, *, max_records: int | None = None) -> bytes:
    """Draw the bytes of a closed, valid chronicle.

    Parameters
    ----------
    schema : Schema, optional
        Default: any legal one.
    max_records : int
        As in `columns`.

    Returns
    -------
    SearchStrategy of bytes

    Examples
    --------
    >>> import cmeta
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=3, database=None, derandomize=True, deadline=None)
    ... @given(files(max_records=4))
    ... def check(data):
    ...     assert cmeta.validate(data).ok
    >>> check()
    """
    schema = schema or draw(schemas())
    return to_bytes(draw(columns(schema, max_records=max_records)), schema)


def _others(draw: Draw, schema: Schema) -> list[Field]:
    """Return some declared fields, and some undeclared metrics if there is an open group."""
    declared = [f for f in schema.fields if f.path not in (TIMESTAMP, PHASE)]
    share = draw(_SHARES)
    is_chosen = (values.raw(draw, len(declared), "u1") % 4 < share).tolist()
    chosen = [field for field, is_in in zip(declared, is_chosen, strict=True) if is_in]
    group = schema.open_group
    if group is None:
        return chosen
    more = [schema.format.codecs.undeclared(name, group) for name in draw(_UNDECLARED)]
    return chosen + [field for field in more if field.path not in schema]


def _timestamps(draw: Draw, num_records: int) -> Array:
    """Return ascending timestamps: evenly spaced, close (some equal), all equal, or arbitrary."""
    spacing = draw(_SPACINGS)
    if spacing == "any":
        return np.sort(values.raw(draw, num_records, "<u8"))
    start = draw(_STARTS)
    if spacing == "equal":
        return np.full(num_records, start, np.uint64)
    step_max = max((U64_MAX - start) // max(num_records, 1), 0)
    step = draw(st.integers(0, min(step_max, 2000)) | st.integers(0, step_max))
    steps = [step] * num_records
    if spacing == "close":
        steps = [min(step, int(i)) for i in values.raw(draw, num_records, "u1") % 4]
    offsets = np.cumsum(np.array([0, *steps[:-1]][:num_records], np.uint64), dtype=np.uint64)
    return np.uint64(start) + offsets


def _in_order(timestamps: Array, phases: Array) -> tuple[Array, Array]:
    """Sort records by timestamp and phase, as a file requires."""
    order = np.lexsort((phases, timestamps))
    return timestamps[order], phases[order]


def _values(draw: Draw, num_records: int, field: Field) -> Any:
    """Return an array of ``(n_records,)`` or ``(n_records, k)``, or a list of mappings."""
    if field.type == "config":
        table = draw(_TABLES)
        return [table[i] for i in values.raw(draw, num_records, "u1") % len(table)]
    parts = [_component(draw, num_records, field) for _ in range(field.num_columns)]
    return np.stack(parts, axis=1) if field.num_components else parts[0]


def _component(draw: Draw, num_records: int, field: Field) -> Array:
    if field.type == "enum":
        return values.codes(draw, num_records, len(field.labels))
    if field.type == "bool":
        return values.mask(draw, num_records)
    strategy = values.floats if field.is_float else values.integers
    return strategy(draw, num_records, field)


def _as_given(draw: Draw, column: Any, present: Array | None, field: Field) -> Any:
    """Return a column in one of the forms that `cmeta.write` accepts."""
    form = draw(_FORMS)
    if field.labels and form % 2:
        column = np.array(field.labels)[column] if len(column) else np.zeros(0, "U1")
    if field.type != "config" and form < 4:
        if present is None:
            return column
        absent = ~present if not field.num_components else np.repeat(
            ~present[:, None], field.num_components, axis=1)  # fmt: skip
        return np.ma.MaskedArray(column, absent)
    cells = column if isinstance(column, list) else column.tolist()
    mask = np.ones(len(cells), bool) if present is None else present
    return [cell if p else None for cell, p in zip(cells, mask.tolist(), strict=True)]
