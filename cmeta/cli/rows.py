"""The selected records of a chronicle, streamed as columns with one batch in memory at a time.

A damaged batch is left out and added to `RowStream.problems`; all others are returned. A caller
that iterates to the end checks `problems` before it reports success.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from cmeta.aliases import Progress, Rows
from cmeta.cli.console import plural
from cmeta.cli.errors import describe, lost_records, reading
from cmeta.errors import DecodeError
from cmeta.reader.reader import Reader
from cmeta.reader.selection import Selection, num_rows
from cmeta.records.chunk import Column
from cmeta.schema.rules import PHASE, TIMESTAMP
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
        Enumerations as codes. A field without values in this block may be missing.
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
        Ordinal of the first record to consider.
    limit : int, optional
        Maximum number of rows; nothing after them is read.
    heading : str
        The file name, printed with the rows if there are several files.
    progress : callable, optional
        Called with the number of rows so far and of records in the file.

    Attributes
    ----------
    problems : list of str
        What could not be read so far.
    num_rows : int
        Rows returned so far.
    """

    is_live = False  # whether blocks arrive as they are recorded

    def __init__(
        self, reader: Reader, selection: Selection, fields: tuple[Field, ...] | None = None,
        first: int = 0, limit: int | None = None, heading: str = "",
        progress: Progress | None = None,
    ) -> None:  # fmt: skip
        self._reader, self._selection, self._fields = reader, selection, fields
        self._first, self._limit, self.heading = first, limit, heading
        self._progress = progress
        self._path = Path(reader.name)
        self.problems: list[str] = []
        self.num_rows = 0
        self._known = self._known_fields() if fields is None else fields

    def __iter__(self) -> Iterator[RowBlock]:
        for info in self._infos():
            if self._is_full:
                return
            block = self._read_or_report(info)
            if block is None:
                continue
            self.num_rows += block.num_rows
            if self._progress is not None:
                self._progress(self.num_rows, len(self._reader))
            step = max(1, _CELLS_AT_ONCE // max(1, len(block.columns)))
            for start in range(0, block.num_rows, step):
                yield block.slice(slice(start, start + step))
        if not self._is_full and self._may_be_cut_off and self._reader.problem is not None:
            problem = describe(Finding.of(self._reader.problem))
            intact = f"intact: {plural(len(self._reader), 'record')}, any others are left out"
            self.problems.append(f"{problem}; {intact}")

    @cached_property
    def occurring(self) -> tuple[Field, ...]:
        """The requested fields, or else those for which a selected record has a value, in order.

        Considers every batch of the selection, but decodes only what its directory cannot answer.
        """
        if self._fields is not None:
            return self._fields
        occurring = {field for field in self._known if not field.nullable}
        left = self._limit
        for info in self._infos():
            missing = [field for field in self._known if field not in occurring]
            if not missing or left == 0:
                break
            with reading(self._path), suppress(DecodeError):  # its rows will be left out too
                batch = self._reader.batch(info.ordinal)
                rows = _truncated(self._rows(batch, info), left)
                occurring.update(_occurring_in(batch, rows, missing))
                left = None if left is None else left - num_rows(rows)
        return tuple(field for field in self._known if field in occurring)

    def _infos(self) -> Iterator[BatchInfo]:
        """Yield the batches that may hold selected records, from the INDEX alone."""
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
                problem = describe(Finding.of(err))
                self.problems.append(f"{problem}; undeclared metrics are left out")
        return self._reader.schema.fields

    def _read_or_report(self, info: BatchInfo) -> RowBlock | None:
        with reading(self._path):
            try:
                return self._read(info)
            except DecodeError as err:
                lost = lost_records(info.num_records, info.first_timestamp, info.last_timestamp)
                self.problems.append(f"{describe(Finding.of(err))}; {lost}")
        return None

    def _read(self, info: BatchInfo) -> RowBlock:
        batch = self._reader.batch(info.ordinal)
        left = None if self._limit is None else self._limit - self.num_rows
        rows = _truncated(self._rows(batch, info), left)
        columns = {}
        for field in batch.fields if self._fields is None else self._fields:
            column = batch.column(field, 0)
            if column is not None:
                columns[field] = column.rows(rows)
        self._reader.stats.num_columns += batch.num_columns_decoded
        return RowBlock(num_rows(rows), columns)

    def _rows(self, batch: AnyBatch, info: BatchInfo) -> Rows:
        """Return the selected rows of a batch, from the first record on."""
        rows = self._selection.rows(batch)
        num_skipped = self._first - info.ordinal * self._reader.schema.batch_records
        if num_skipped <= 0:
            return rows
        if isinstance(rows, slice):
            return slice(min(max(rows.start, num_skipped), rows.stop), rows.stop)
        return rows[rows >= num_skipped]

    @property
    def _is_full(self) -> bool:
        return self._limit is not None and self.num_rows >= self._limit

    @property
    def _may_be_cut_off(self) -> bool:
        """Whether requested records may follow the intact part of a damaged file."""
        if self._reader.state != "damaged":
            return False
        end, batches = self._selection.end, self._reader.batches
        return end is None or not batches or end >= batches[-1].last_timestamp


def _truncated(rows: Rows, limit: int | None) -> Rows:
    """Return the first of some rows."""
    if limit is None:
        return rows
    if isinstance(rows, slice):
        return slice(rows.start, min(rows.stop, rows.start + limit))
    return rows[:limit]


def _occurring_in(batch: AnyBatch, rows: Rows, fields: list[Field]) -> list[Field]:
    candidates = set(batch.fields).intersection(fields)
    if num_rows(rows) == 0:
        return []
    if num_rows(rows) == batch.num_records:
        return list(candidates)
    return [field for field in candidates if _has_value(batch, rows, field)]


def _has_value(batch: AnyBatch, rows: Rows, field: Field) -> bool:
    column = batch.column(field, 0)
    if column is None or column.present is None:
        return column is not None
    return bool(np.any(column.present[rows]))


def with_required_fields(
    reader: Reader, fields: tuple[Field, ...] | None
) -> tuple[Field, ...] | None:
    """Return the fields together with those that every record of a chronicle must have."""
    required = (reader.schema[TIMESTAMP], reader.schema[PHASE])
    return None if fields is None else tuple(dict.fromkeys((*required, *fields)))


def num_expected(reader: Reader, selection: Selection) -> int | None:
    """Return how many records a selection has, if that is known before they are read."""
    is_everything = selection == Selection(None, None, None)
    return len(reader) if is_everything and reader.state == "closed" else None
