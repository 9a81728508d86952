"""Which batches, which of their rows, and the columns of those rows: the one loop over records.

Everything that reads records does it in these steps::

    selection = Selection.of(schema, start, end, phase)
    for info in selection.infos(file):        # batches that may hold something, by the INDEX alone
        batch = file.batch(info.ordinal)      # read and checked
        rows = selection.rows(batch, info)    # decodes timestamps and phases only if it must
        chunk = take(batch, rows, fields)     # decodes the columns of these fields

`chunks` is that loop; a caller that goes on after a damaged batch writes it out, with a ``try``.
`file` is an `OpenFile`, or a `Reader`, which has the same `batches`, `batch` and `stats`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from cmeta.aliases import Rows
from cmeta.records.chunk import Chunk, Column
from cmeta.schema.schema import Schema
from cmeta.schema.types import Field
from cmeta.storage.open import AnyBatch, BatchInfo, Stats
from cmeta.vocabulary import as_names, no_such, phase_named

PhaseFilter = str | Sequence[str] | None


class Batches(Protocol):
    """A file whose batches can be read: `OpenFile`, or `Reader`."""

    @property
    def batches(self) -> tuple[BatchInfo, ...]:
        """The batches, from the INDEX."""

    @property
    def stats(self) -> Stats:
        """What has been read and decoded so far."""

    def batch(self, ordinal: int, /) -> AnyBatch:
        """Read one batch."""


@dataclass(frozen=True)
class Selection:
    """Records by timestamp, phase, a condition, and their place in the file.

    Attributes
    ----------
    start, end : int or None
        First and last timestamp, both included; None: no bound.
    phases : tuple of int or None
        Codes; None: all.
    condition : callable, optional
        Returns those rows of a batch, among some, for which it is true.
    first : int
        Ordinal of the first record in the file.
    """

    start: int | None = None
    end: int | None = None
    phases: tuple[int, ...] | None = None
    condition: Callable[[AnyBatch, Rows], Rows] | None = None
    first: int = 0

    @classmethod
    def of(
        cls, schema: Schema, start: int | None, end: int | None, phase: PhaseFilter
    ) -> Selection:
        """Return the selection that a caller asks for.

        Parameters
        ----------
        phase : str or sequence of str, optional
            Phases of the schema, or words for them (`cmeta.vocabulary`).

        Raises
        ------
        ValueError
            A phase that the schema does not have; names similar ones. Or a range that ends before
            it begins.
        """
        first, last, codes = _integer(start), _integer(end), None
        if first is not None and last is not None and first > last:
            raise ValueError(f"start {first} is after end {last}")
        if phase is not None:
            codes = tuple(sorted({_phase_code(name, schema.phases) for name in as_names(phase)}))
        return cls(first, last, codes)

    def infos(self, file: Batches) -> list[BatchInfo]:
        """Return the batches that may hold a selected record, by the INDEX alone."""
        start, end = self.start, self.end
        if start is not None and end is not None and start > end:
            return []
        return [
            info
            for info in file.batches
            if info.first_record + info.num_records > self.first
            and (start is None or info.last_timestamp >= start)
            and (end is None or info.first_timestamp <= end)
        ]

    def rows(self, batch: AnyBatch, info: BatchInfo) -> Rows:
        """Return the rows of a batch that are selected."""
        low, high = max(0, self.first - info.first_record), batch.num_records
        if self.start is not None and self.start > batch.first_timestamp:
            start = np.uint64(self.start)
            low = max(low, int(np.searchsorted(batch.timestamps, start, side="left")))
        if self.end is not None and self.end < batch.last_timestamp:
            end = np.uint64(max(self.end, 0))
            high = int(np.searchsorted(batch.timestamps, end, side="right"))
        rows: Rows = slice(low, max(low, high))
        if self.phases is not None:
            rows = np.flatnonzero(np.isin(batch.phases.codes[rows], self.phases)) + low
        return rows if self.condition is None else self.condition(batch, rows)


def chunks(
    file: Batches, selection: Selection, fields: Sequence[Field] | None = None
) -> Iterator[Chunk]:
    """Yield the selected records as columns, one batch in memory at a time.

    Parameters
    ----------
    file : OpenFile or Reader
    selection : Selection
    fields : sequence of Field, optional
        The columns to decode; default: all that occur.

    Yields
    ------
    Chunk
        At least one record; see `take`.

    Raises
    ------
    DecodeError
        When a corrupt batch or column is reached.
    """
    for info in selection.infos(file):
        batch = file.batch(info.ordinal)
        chunk = take(batch, selection.rows(batch, info), fields)
        file.stats.num_columns += batch.num_columns_decoded
        if chunk.num_records:
            yield chunk


def take(batch: AnyBatch, rows: Rows, fields: Iterable[Field] | None = None) -> Chunk:
    """Return some rows of a batch as columns.

    Parameters
    ----------
    rows : slice or int array
    fields : iterable of Field, optional
        The columns to decode; default: all that occur in the batch.

    Returns
    -------
    Chunk
        Without the fields for which none of the records has a value. An absent float is NaN, any
        other absent value 0. Column ``config`` holds numbers of the file's configurations.

    Raises
    ------
    DecodeError
    """
    columns: dict[Field, Column] = {}
    count = num_rows(rows)
    for field in (batch.fields if fields is None else fields) if count else ():
        column = batch.column(field, np.nan if field.is_float else 0)
        if column is not None:
            column = column.rows(rows)
            if column.present is None or column.present.any():
                columns[field] = column
    return Chunk(count, columns)


def fields_with_values(batch: AnyBatch, rows: Rows, fields: Collection[Field]) -> list[Field]:
    """Return those of some fields for which a record among these rows has a value.

    Only what the directory of the batch does not answer is decoded.
    """
    count = num_rows(rows)
    candidates = list(filter(batch.has, fields)) if count else []
    if count == batch.num_records:
        return candidates
    return [field for field in candidates if take(batch, rows, [field]).columns]


def num_rows(rows: Rows) -> int:
    """Return how many rows are selected."""
    return rows.stop - rows.start if isinstance(rows, slice) else len(rows)


def first_rows(rows: Rows, count: int | None) -> Rows:
    """Return the first of some rows; all if there is no limit."""
    if count is None:
        return rows
    if isinstance(rows, slice):
        return slice(rows.start, min(rows.stop, rows.start + count))
    return rows[:count]


def _phase_code(name: str, phases: Sequence[str]) -> int:
    phase = phase_named(name, phases) if isinstance(name, str) else None
    if phase is None:
        raise ValueError(no_such("phase", str(name), phases))
    return phases.index(phase)


def _integer(value: Any) -> int | None:
    return None if value is None else int(value)
