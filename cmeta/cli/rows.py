"""The selected records of a chronicle, streamed as columns with one batch in memory at a time.

A damaged batch is left out and added to `RowStream.problems`; all others are returned. A caller
that iterates to the end checks `problems` before it reports success.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from cmeta.aliases import Progress
from cmeta.cli.errors import describe, lost_records, reading
from cmeta.errors import DecodeError, counted
from cmeta.reader.reader import Reader
from cmeta.reader.selection import (
    Selection,
    fields_with_values,
    first_rows,
    num_rows,
    take,
)
from cmeta.records.chunk import Chunk
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.schema.types import Field
from cmeta.storage.open import BatchInfo
from cmeta.validate import Finding

_CELLS_AT_ONCE = 1 << 17  # bounds the text of a block of rows, however wide it is


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
        self._reader, self._selection = reader, replace(selection, first=first)
        self._fields, self._limit, self.heading = fields, limit, heading
        self._progress = progress
        self._path = Path(reader.name)
        self.problems: list[str] = []
        self.num_rows = 0
        self._known = self._known_fields() if fields is None else fields

    def __iter__(self) -> Iterator[Chunk]:
        for info in self._selection.infos(self._reader):
            if self._is_full:
                return
            block = self._read_or_report(info)
            if block is None:
                continue
            self.num_rows += block.num_records
            if self._progress is not None:
                self._progress(self.num_rows, len(self._reader))
            step = max(1, _CELLS_AT_ONCE // max(1, len(block.columns)))
            for start in range(0, block.num_records, step):
                yield block.slice(start, min(start + step, block.num_records))
        if not self._is_full and self._may_be_cut_off and self._reader.problem is not None:
            problem = describe(Finding.of(self._reader.problem))
            intact = f"intact: {counted(len(self._reader), 'record')}, any others are left out"
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
        for info in self._selection.infos(self._reader):
            missing = [field for field in self._known if field not in occurring]
            if not missing or left == 0:
                break
            with reading(self._path), suppress(DecodeError):  # its rows will be left out too
                batch = self._reader.batch(info.ordinal)
                rows = first_rows(self._selection.rows(batch, info), left)
                occurring.update(fields_with_values(batch, rows, missing))
                left = None if left is None else left - num_rows(rows)
        return tuple(field for field in self._known if field in occurring)

    def _known_fields(self) -> tuple[Field, ...]:
        with reading(self._path):
            try:
                return self._reader.fields
            except DecodeError as err:
                problem = describe(Finding.of(err))
                self.problems.append(f"{problem}; undeclared metrics are left out")
        return self._reader.schema.fields

    def _read_or_report(self, info: BatchInfo) -> Chunk | None:
        with reading(self._path):
            try:
                return self._read(info)
            except DecodeError as err:
                lost = lost_records(info.num_records, info.first_timestamp, info.last_timestamp)
                self.problems.append(f"{describe(Finding.of(err))}; {lost}")
        return None

    def _read(self, info: BatchInfo) -> Chunk:
        batch = self._reader.batch(info.ordinal)
        left = None if self._limit is None else self._limit - self.num_rows
        rows = first_rows(self._selection.rows(batch, info), left)
        chunk = take(batch, rows, self._known)
        self._reader.stats.num_columns += batch.num_columns_decoded
        return chunk

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
