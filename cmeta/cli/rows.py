"""The records that a command asks for, streamed as columns: one batch in memory at a time.

A batch that is damaged is left out and remembered in `problems`; all others are given. Whoever
iterates to the end looks there before claiming success.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from cmeta.aliases import Rows
from cmeta.cli.errors import describe, reading
from cmeta.errors import DecodeError
from cmeta.reader.reader import Reader
from cmeta.reader.selection import Selection, num_rows
from cmeta.records.chunk import Column
from cmeta.schema.types import Field
from cmeta.storage.open import AnyBatch, BatchInfo
from cmeta.validate import Finding

_CELLS_AT_ONCE = 1 << 17  # bounds the text of a block of rows, however wide it is


@dataclass(frozen=True)
class RowBlock:
    """Some records, as columns.

    Attributes
    ----------
    num_rows : int
    columns : mapping of Field to Column
        Enumerations as codes. A field without any value here may be missing.
    """

    num_rows: int
    columns: Mapping[Field, Column]

    def slice(self, rows: slice) -> RowBlock:
        """Return some of the rows."""
        length = len(range(*rows.indices(self.num_rows)))
        columns = {field: column.rows(rows) for field, column in self.columns.items()}
        return RowBlock(length, columns)


class RowStream:
    """The selected records of a chronicle, block by block.

    Parameters
    ----------
    reader : Reader
    selection : Selection
    fields : tuple of Field, optional
        Default: all.
    first : int
        Ordinal of the first record to look at.
    limit : int, optional
        How many rows at most; what lies behind them is not read.

    Attributes
    ----------
    heading : str
        What to print above, or into, the rows: the file, where there are several.
    problems : list of str
        What could not be read, so far.
    num_rows : int
        Rows given so far.
    """

    is_live = False  # whether its blocks come as they are recorded

    def __init__(
        self, reader: Reader, selection: Selection, fields: tuple[Field, ...] | None = None,
        first: int = 0, limit: int | None = None, heading: str = "",
    ) -> None:  # fmt: skip
        self._reader, self._selection, self._fields = reader, selection, fields
        self._first, self._limit, self.heading = first, limit, heading
        self._path = Path(reader.name)
        self.problems: list[str] = []
        self.num_rows = 0
        self._known = self._known_fields() if fields is None else fields

    def __iter__(self) -> Iterator[RowBlock]:
        for info in self._infos():
            if self._is_full:
                return
            block = self._read_or_remember(info)
            if block is None:
                continue
            self.num_rows += block.num_rows
            step = max(1, _CELLS_AT_ONCE // max(1, len(block.columns)))
            for at in range(0, block.num_rows, step):
                yield block.slice(slice(at, at + step))
        if not self._is_full and self._ends_too_early and self._reader.problem is not None:
            found = describe(Finding.of(self._reader.problem))
            intact = f"{len(self._reader)} records are intact, any others are left out"
            self.problems.append(f"{found}; {intact}")

    @cached_property
    def occurring(self) -> tuple[Field, ...]:
        """The fields for which a selected record has a value, in their order; or those asked for.

        Looks at every batch of the selection, but decodes only what its directory cannot answer.
        """
        if self._fields is not None:
            return self._fields
        found = {field for field in self._known if not field.nullable}
        left = self._limit
        for info in self._infos():
            missing = [field for field in self._known if field not in found]
            if not missing or left == 0:
                break
            with reading(self._path), suppress(DecodeError):  # its rows will be missing too
                batch = self._reader.batch(info.ordinal)
                rows = _cut(self._rows(batch, info), left)
                found.update(_occurring_in(batch, rows, missing))
                left = None if left is None else left - num_rows(rows)
        return tuple(field for field in self._known if field in found)

    def _infos(self) -> Iterator[BatchInfo]:
        """Yield the batches that may hold something, by the INDEX alone."""
        start, end = self._selection.start, self._selection.end
        for info in self._reader.batches[self._first // self._reader.schema.batch_records :]:
            if (start is None or info.last_timestamp >= start) and (
                end is None or info.first_timestamp <= end
            ):
                yield info

    def _known_fields(self) -> tuple[Field, ...]:
        with reading(self._path):
            try:
                return self._reader.fields
            except DecodeError as err:
                self.problems.append(
                    f"{describe(Finding.of(err))}; undeclared metrics are left out"
                )
        return self._reader.schema.fields

    def _read_or_remember(self, info: BatchInfo) -> RowBlock | None:
        with reading(self._path):
            try:
                return self._read(info)
            except DecodeError as err:
                self.problems.append(f"{describe(Finding.of(err))}; {_lost(info)}")
        return None

    def _read(self, info: BatchInfo) -> RowBlock:
        batch = self._reader.batch(info.ordinal)
        left = None if self._limit is None else self._limit - self.num_rows
        rows = _cut(self._rows(batch, info), left)
        columns = {}
        for field in batch.fields if self._fields is None else self._fields:
            column = batch.column(field, 0)
            if column is not None:
                columns[field] = column.rows(rows)
        self._reader.stats.num_columns += batch.num_columns_decoded
        return RowBlock(num_rows(rows), columns)

    def _rows(self, batch: AnyBatch, info: BatchInfo) -> Rows:
        """Return the rows of a batch that are selected, from the first record on."""
        rows = self._selection.rows(batch)
        skipped = self._first - info.ordinal * self._reader.schema.batch_records
        if skipped <= 0:
            return rows
        if isinstance(rows, slice):
            return slice(min(max(rows.start, skipped), rows.stop), rows.stop)
        return rows[rows >= skipped]

    @property
    def _is_full(self) -> bool:
        return self._limit is not None and self.num_rows >= self._limit

    @property
    def _ends_too_early(self) -> bool:
        """Whether records that were asked for may stand behind the intact part."""
        if self._reader.state != "damaged":
            return False
        end, batches = self._selection.end, self._reader.batches
        return end is None or not batches or end >= batches[-1].last_timestamp


def _cut(rows: Rows, limit: int | None) -> Rows:
    """Return the first of some rows."""
    if limit is None:
        return rows
    if isinstance(rows, slice):
        return slice(rows.start, min(rows.stop, rows.start + limit))
    return rows[:limit]


def _occurring_in(batch: AnyBatch, rows: Rows, fields: list[Field]) -> list[Field]:
    here = set(batch.fields).intersection(fields)
    if num_rows(rows) == 0:
        return []
    if num_rows(rows) == batch.num_records:
        return list(here)
    return [field for field in here if _has_value(batch, rows, field)]


def _has_value(batch: AnyBatch, rows: Rows, field: Field) -> bool:
    column = batch.column(field, 0)
    return column is not None and (column[1] is None or bool(np.any(column[1][rows])))


def _lost(info: BatchInfo) -> str:
    return (
        f"its {info.num_records} records, timestamps {info.first_timestamp} to "
        f"{info.last_timestamp}, are left out"
    )
