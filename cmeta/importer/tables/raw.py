"""Raw columns: values as a source holds them, before anybody knows which fields they are of.

Rows arrive in blocks and become arrays at once, so that a source of many records takes the memory
of arrays and not that of Python objects. An integer is never rounded to a float here: what two
blocks hold of different kinds stays a column of objects unless float64 holds all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cmeta.chunk import Array, Mask
from cmeta.importer.tables.preamble import Preamble

FLOAT_SAFE = 2**53  # up to here every integer is a float64
ROWS_AT_ONCE = 4096
_I64, _U64 = np.iinfo(np.int64), np.iinfo(np.uint64)


@dataclass(frozen=True)
class RawColumn:
    """A column of a source.

    Attributes
    ----------
    values : array, (n_records,) or (n_records, k)
        Of booleans, integers, floats, or objects: strings, lists, mappings, large integers.
    present : bool array, (n_records,)
    """

    values: Array
    present: Mask


@dataclass
class RawTable:
    """All columns of a source.

    Attributes
    ----------
    name : str
        Of the source, for errors.
    num_records : int
    columns : mapping of str to RawColumn
    where : callable
        Of a record's place, such as ``line 7``.
    is_text : bool
        Floats were read from decimals.
    preamble : Preamble or None
    lost, damage, notes : list of str
        As `Imported` has them.
    """

    name: str
    num_records: int
    columns: Mapping[str, RawColumn]
    where: Callable[[int], str]
    is_text: bool = False
    preamble: Preamble | None = None
    lost: list[str] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class TableBuilder:
    """Collects blocks of rows."""

    def __init__(self) -> None:
        self.num_records = 0
        self._rows: list[Mapping[str, Any]] = []
        self._parts: dict[str, list[tuple[int, RawColumn]]] = {}

    def add_row(self, row: Mapping[str, Any]) -> None:
        """Take a row; None is absent."""
        self._rows.append(row)
        if len(self._rows) == ROWS_AT_ONCE:
            self._flush()

    def add_block(self, columns: Mapping[str, Sequence[Any]], num_records: int) -> None:
        """Take a block of rows as columns; None is absent."""
        for name, values in columns.items():
            column = as_raw(values)
            if column.present.any():
                self._parts.setdefault(name, []).append((self.num_records, column))
            else:
                self._parts.setdefault(name, [])
        self.num_records += num_records

    def finish(self) -> dict[str, RawColumn]:
        """Return the columns, in the order in which their names first came."""
        self._flush()
        return {name: _joined(self._parts.pop(name), self.num_records) for name in [*self._parts]}

    def _flush(self) -> None:
        rows, self._rows = self._rows, []
        names = dict.fromkeys(name for row in rows for name in row)
        self.add_block({name: [row.get(name) for row in rows] for name in names}, len(rows))


def as_raw(values: Sequence[Any]) -> RawColumn:
    """Return Python values as an array of the simplest kind that holds them exactly.

    Examples
    --------
    >>> as_raw([1, None, 0.5]).values.tolist(), as_raw([2**60, 0.5]).values.dtype
    ([1.0, 0.0, 0.5], dtype('O'))
    """
    kinds = set(map(type, values))
    present = np.ones(len(values), bool)
    if type(None) in kinds:
        present = np.array([value is not None for value in values], bool)
        kinds.discard(type(None))
    dtype = _dtype_of(kinds, values)
    if dtype is None:
        return RawColumn(np.fromiter(values, object, len(values)), present)
    if not present.all():
        values = [0 if value is None else value for value in values]
    return RawColumn(np.array(values, dtype), present)


def _dtype_of(kinds: set[type], values: Sequence[Any]) -> Any:
    """Return the dtype that holds all values exactly; None: none but that of objects."""
    if kinds == {bool}:
        return np.bool_
    if not kinds or kinds == {float}:
        return np.float64
    if not kinds <= {int, float}:
        return None
    integers = [value for value in values if type(value) is int]
    low, high = min(integers), max(integers)
    if kinds == {int, float}:
        return np.float64 if low >= -FLOAT_SAFE and high <= FLOAT_SAFE else None
    if _I64.min <= low and high <= _I64.max:
        return np.int64
    return np.uint64 if low >= 0 and high <= _U64.max else None


def _joined(parts: list[tuple[int, RawColumn]], num_records: int) -> RawColumn:
    dtype = _common([column for _, column in parts])
    values = np.full(num_records, None) if dtype.kind == "O" else np.zeros(num_records, dtype)
    present = np.zeros(num_records, bool)
    for start, column in parts:
        here = slice(start, start + len(column.values))
        values[here] = _objects(column.values) if dtype.kind == "O" else column.values
        present[here] = column.present
    return RawColumn(values, present)


def _objects(values: Array) -> Array:
    """Return Python's own objects, not numpy's scalars."""
    return values if values.dtype == object else np.fromiter(values.tolist(), object, len(values))


def _common(columns: list[RawColumn]) -> Any:
    dtypes = {column.values.dtype for column in columns}
    if len(dtypes) < 2:
        return next(iter(dtypes), np.dtype(np.float64))
    numeric = all(dtype.kind in "iuf" for dtype in dtypes)
    if not numeric or not all(map(_is_float_safe, columns)):
        return np.dtype(object)
    return np.dtype(np.float64)


def _is_float_safe(column: RawColumn) -> bool:
    if column.values.dtype.kind == "f":
        return True
    low, high = int(column.values.min()), int(column.values.max())
    return low >= -FLOAT_SAFE and high <= FLOAT_SAFE
