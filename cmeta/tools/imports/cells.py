"""Cells: the values of a column, and the records that have them.

A source may name thousands of metrics and give each of them in a few records. What is not there
takes no memory here: an import holds as many cells as its source states, and makes columns of them
only for one batch at a time, when that is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from cmeta.aliases import Array, Mask
from cmeta.records.chunk import Column
from cmeta.schema.types import Field


class Cells(NamedTuple):
    """Values, and the records that have them.

    Attributes
    ----------
    rows : int64 array, (n_values,), or None
        Indices of records, ascending. None: all records have a value.
    values : array, (n_values,) or (n_values, num_components)
    """

    rows: Array | None
    values: Array

    @classmethod
    def of_column(cls, column: Column) -> Cells:
        """Return the cells of a column.

        Examples
        --------
        >>> Cells.of_column(Column(np.array([7, 0, 9]), np.array([True, False, True]))).rows
        array([0, 2])
        """
        if column.present is None or column.present.all():
            return cls(None, column.values)
        return cls(np.flatnonzero(column.present), column.recorded())

    @classmethod
    def of_masked(cls, array: Array) -> Cells:
        """Return the cells of an array, masked where a value is absent."""
        absent: Any = np.ma.getmaskarray(array)
        absent = absent.any(axis=1) if absent.ndim == 2 else absent
        return cls.of_column(Column(np.ma.getdata(array), ~absent))

    def column(self) -> Column:
        """Return the values as a column in which all are present."""
        return Column(self.values, None)

    def row(self, place: int) -> int:
        """Return the record of a value."""
        return place if self.rows is None else int(self.rows[place])

    def places(self) -> Array:
        """Return `rows` as an array."""
        return np.arange(len(self.values)) if self.rows is None else self.rows

    def kept(self, which: Mask) -> Cells:
        """Return some of the cells."""
        return self if which.all() else Cells(self.places()[which], self.values[which])

    def with_values(self, values: Array) -> Cells:
        """Return other values in the same records."""
        return Cells(self.rows, values)

    def in_order(self, place_of: Array) -> Cells:
        """Return the cells after record i has become record ``place_of[i]``."""
        places = place_of[self.places()]
        order = np.argsort(places, kind="stable")
        return Cells(None if self.rows is None else places[order], self.values[order])

    def recorded(self) -> Array:
        """Return the values."""
        return self.values

    def masked(self, num_records: int) -> Array:
        """Return the values of so many records, masked where there is none."""
        return _as_column(self.rows, self.values, 0, num_records).masked()


def batches(
    columns: Mapping[Field, Cells], num_records: int, size: int, always: Field | None
) -> Iterator[dict[str, Array]]:
    """Yield the columns of `size` records after the other, each with those that have values.

    Parameters
    ----------
    columns : mapping of Field to Cells
    num_records, size : int
    always : Field or None
        A field whose column comes with every batch, also without values.

    Yields
    ------
    dict of str to array, (at most size,) or (at most size, num_components)
        By path, masked where a value is absent.
    """
    whole = [field for field, cells in columns.items() if cells.rows is None or field is always]
    parts: dict[int, list[tuple[Field, int, int]]] = {}
    for field, cells in columns.items():
        if cells.rows is not None and field is not always and len(cells.rows):
            numbers, starts = np.unique(cells.rows // size, return_index=True)
            ends = [*starts[1:].tolist(), len(cells.rows)]
            for number, start, end in zip(numbers.tolist(), starts.tolist(), ends, strict=True):
                parts.setdefault(number, []).append((field, start, end))
    for number in range(-(-num_records // size)):
        begin, end = number * size, min((number + 1) * size, num_records)
        chunk = {}
        for field in whole:
            rows, values = columns[field]
            slice_ = (
                slice(begin, end) if rows is None else slice(*np.searchsorted(rows, (begin, end)))
            )
            part = None if rows is None else rows[slice_]
            chunk[field.path] = _as_column(part, values[slice_], begin, end).masked()
        for field, first, last in parts.pop(number, ()):
            rows, values = columns[field]
            assert rows is not None
            column = _as_column(rows[first:last], values[first:last], begin, end)
            chunk[field.path] = column.masked()
        yield chunk


def _as_column(rows: Array | None, values: Array, begin: int, end: int) -> Column:
    """Return the values of the records from `begin` up to `end`."""
    if rows is None:
        return Column(values, None)
    column = np.zeros((end - begin, *values.shape[1:]), values.dtype)
    present = np.zeros(end - begin, bool)
    column[rows - begin], present[rows - begin] = values, True
    return Column(column, present)
