"""Runs: columns for `cmeta.write`, the same as records, and whole files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from cmeta.aliases import Array
from cmeta.records.record import CycleRecord
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.schema.schema import Schema
from cmeta.schema.types import Field
from cmeta.testing import values
from cmeta.testing.forms import to_bytes, to_records
from cmeta.testing.schemas import names, schemas

Draw = Callable[[st.SearchStrategy[Any]], Any]

_LOGGED = (
    "accuracy",
    "train/loss",
    "layer.0.weight",
    "lr",
    "\N{GREEK SMALL LETTER ETA}",
    "x" * 255,
)
_MOST_RECORDS = 100
_MOSTLY = st.sampled_from([True, True, True, False])
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
    >>> from hypothesis import find, settings
    >>> quiet = settings(database=None, deadline=None, derandomize=True)
    >>> drawn = columns(cmeta.default_schema(), min_records=1)
    >>> "phase" in find(drawn, lambda found: "loss_value" in found, settings=quiet)
    True
    """
    if max_records is None:
        max_records = max(min_records, min(schema.batch_records * 5 // 2, _MOST_RECORDS))
    num_records = draw(st.integers(min_records, max_records))
    phases = values.codes(draw, num_records, len(schema.phases))
    found: dict[str, Any] = {}
    if draw(_MOSTLY):
        found[TIMESTAMP], phases = _in_order(_timestamps(draw, num_records), phases)
    found[PHASE] = _as_given(draw, phases, None, schema[PHASE])
    for field in _others(draw, schema):
        present = values.mask(draw, num_records)
        mask = None if present.all() else present
        found[field.path] = _as_given(draw, _values(draw, num_records, field), mask, field)
    order = np.argsort(values.raw(draw, len(found), "u1"), kind="stable")
    return {path: found[path] for path in np.array(sorted(found), object)[order]}


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
    >>> from hypothesis import find, settings
    >>> quiet = settings(database=None, deadline=None, derandomize=True)
    >>> len(find(records(cmeta.default_schema()), lambda run: len(run) > 1, settings=quiet))
    2
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
    >>> from hypothesis import find, settings
    >>> quiet = settings(database=None, deadline=None, derandomize=True)
    >>> data = find(files(), lambda data: len(cmeta.open(data)) > 0, settings=quiet)
    >>> cmeta.validate(data).ok
    True
    """
    schema = schema or draw(schemas())
    return to_bytes(draw(columns(schema, max_records=max_records)), schema)


# ------------------------------------------------------------------------------------- internals


def _others(draw: Draw, schema: Schema) -> list[Field]:
    """Return some declared fields, and undeclared metrics where they are welcome."""
    declared = [f for f in schema.fields if f.path not in (TIMESTAMP, PHASE)]
    share = draw(_SHARES)
    taken = (values.raw(draw, len(declared), "u1") % 4 < share).tolist()
    chosen = [field for field, take in zip(declared, taken, strict=True) if take]
    group = schema.open_group
    if group is None:
        return chosen
    more = [schema.format.codecs.undeclared(name, group) for name in draw(_UNDECLARED)]
    return chosen + [field for field in more if field.path not in schema]


def _timestamps(draw: Draw, num_records: int) -> Array:
    """Return ascending timestamps: evenly spaced, close together with equal ones, or far apart."""
    way = draw(_SPACINGS)
    top = 2**64 - 1
    if way == "any":
        return np.sort(values.raw(draw, num_records, "<u8"))
    start = draw(_STARTS)
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
        table = draw(_TABLES)
        return [table[i] for i in values.raw(draw, num_records, "u1") % len(table)]
    parts = [_component(draw, num_records, field) for _ in range(field.num_columns)]
    return np.stack(parts, axis=1) if field.num_components else parts[0]


def _component(draw: Draw, num_records: int, field: Field) -> Array:
    if field.type == "enum":
        return values.codes(draw, num_records, len(field.labels))
    if field.type == "bool":
        return values.mask(draw, num_records)
    drawn = values.floats if field.is_float else values.integers
    return drawn(draw, num_records, field)


def _as_given(draw: Draw, found: Any, present: Array | None, field: Field) -> Any:
    """Return a column in one of the forms that a user may give it in."""
    form = draw(_FORMS)
    if field.labels and form % 2:
        found = np.array(field.labels)[found] if len(found) else np.zeros(0, "U1")
    if field.type != "config" and form < 4:
        if present is None:
            return found
        absent = ~present if not field.num_components else np.repeat(
            ~present[:, None], field.num_components, axis=1)  # fmt: skip
        return np.ma.MaskedArray(found, absent)
    plain = found if isinstance(found, list) else found.tolist()
    there = np.ones(len(plain), bool) if present is None else present
    return [value if here else None for value, here in zip(plain, there.tolist(), strict=True)]
