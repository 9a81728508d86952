"""One of two chronicles: its columns by position, one batch in memory at a time.

A position is an ordinal; among the records of some phases, it is the place among those.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from cmeta.aliases import Array, Rows
from cmeta.errors import DecodeError
from cmeta.reader.reader import Reader
from cmeta.reader.selection import Selection
from cmeta.records.chunk import Column
from cmeta.schema.types import Field
from cmeta.source import Source
from cmeta.storage.open import AnyBatch, BatchInfo


class AlignedReader:
    """Reads a range of a chronicle by the positions of its records.

    Parameters
    ----------
    reader : Reader
    source : Source
        The same file, for the bytes of a batch.
    start, end : int or None
        First and last timestamp, both included.
    phases : sequence of str, optional
        Only records of these, which the file may lack; default: all.

    Attributes
    ----------
    first : int
        Position of the first record in the range.
    num_records : int
        Records in the range.
    fields : dict of str to Field
        All fields by dotted name, undeclared ones included.

    Raises
    ------
    DecodeError
        The file is damaged; the message names it.
    """

    def __init__(
        self, reader: Reader, source: Source, start: int | None = None, end: int | None = None,
        phases: Sequence[str] | None = None,
    ) -> None:  # fmt: skip
        self._reader, self._source = reader, source
        self.name = reader.name
        with naming(self.name):
            if reader.state == "damaged" and reader.problem is not None:
                raise reader.problem
            self.fields: dict[str, Field] = {field.path: field for field in reader.fields}
            self.infos: tuple[BatchInfo, ...] = reader.batches
            begins = [info.first_record for info in self.infos]
            self._starts = np.array([*begins, len(reader)], np.int64)
            self._batch: AnyBatch | None = None
            self._place = -1
            self._columns: dict[str, Column | None] = {}
            self._ordinals: Array | None = None
            if phases is not None:
                self._select(start, end, phases)
                return
            self.first = 0 if start is None else self._before(start, inclusive=False)
            stop = len(reader) if end is None else self._before(end, inclusive=True)
            self.num_records = max(0, stop - self.first)

    def _select(self, start: int | None, end: int | None, phases: Sequence[str]) -> None:
        """Number the records of some phases."""
        known = [phase for phase in phases if phase in self._reader.schema.phases]
        selection = Selection.of(self._reader.schema, start, end, known)
        wanted = {info.ordinal for info in selection.infos(self._reader)}
        ordinals = [
            np.arange(info.num_records)[selection.rows(self._at(info.ordinal), info)]
            + info.first_record
            if info.ordinal in wanted
            else np.empty(0, np.int64)
            for info in self.infos
        ]
        self._ordinals = np.concatenate([np.empty(0, np.int64), *ordinals])
        self._starts = np.cumsum([0, *map(len, ordinals)])
        self.first, self.num_records = 0, len(self._ordinals)

    def ordinal_of(self, position: int) -> int:
        """Return the ordinal of a record."""
        return position if self._ordinals is None else int(self._ordinals[position])

    @property
    def has_all_phases(self) -> bool:
        """Whether positions are ordinals, and a batch is read as a whole."""
        return self._ordinals is None

    @property
    def reader(self) -> Reader:
        """The reader."""
        return self._reader

    def place_of(self, position: int) -> int:
        """Return the batch that holds a record."""
        return int(np.searchsorted(self._starts, position, side="right")) - 1

    def begin_of(self, place: int) -> int:
        """Return the position of a batch's first record."""
        return int(self._starts[place])

    def end_of(self, place: int) -> int:
        """Return the position after a batch's last record."""
        return int(self._starts[place + 1])

    def column(self, path: str, begin: int, end: int) -> Column | None:
        """Return a field's column in some records of one batch.

        Returns
        -------
        Column or None
            ``(n_records,)`` or ``(n_records, k)``, 0 where absent; None if no record has it.
        """
        place = self.place_of(begin)
        with naming(self.name):
            batch = self._at(place)
            if path not in self._columns:
                field = self.fields.get(path)
                self._columns[path] = None if field is None else batch.column(field, 0)
        whole = self._columns[path]
        if whole is None:
            return None
        rows: Rows
        if self._ordinals is None:
            first = self.begin_of(place)
            rows = slice(begin - first, end - first)
        else:
            rows = self._ordinals[begin:end] - self.infos[place].first_record
        values, present = whole.rows(rows)
        if present is not None and not present.any():
            return None
        return Column(values, None if present is None or present.all() else present)

    def raw(self, place: int) -> bytes:
        """Return the bytes of a sealed batch; none for a batch of the journal.

        None either if the file has become shorter: it may be replaced while it is read.
        """
        info = self.infos[place]
        exists = info.offset + info.len_block <= self._source.size
        return self._source.read(info.offset, info.len_block) if exists else b""

    def paths_at(self, place: int) -> tuple[str, ...]:
        """Return the fields that occur in a batch, after checking its CRC and directory.

        Raises
        ------
        DecodeError
        """
        with naming(self.name):
            return tuple(field.path for field in self._at(place).fields)

    def _at(self, place: int) -> AnyBatch:
        if place != self._place or self._batch is None:
            self._batch, self._place = self._reader.batch(place), place
            self._columns = {}
        return self._batch

    def _before(self, timestamp: int, *, inclusive: bool) -> int:
        """Return how many records come before a timestamp, or up to and including it."""
        for place, info in enumerate(self.infos):
            if info.last_timestamp > timestamp or (
                info.last_timestamp == timestamp and not inclusive
            ):
                wanted = np.uint64(max(timestamp, 0))
                side = "right" if inclusive and timestamp >= 0 else "left"
                timestamps = self._at(place).timestamps
                return self.begin_of(place) + int(np.searchsorted(timestamps, wanted, side))  # type: ignore[call-overload]
        return int(self._starts[-1])


@contextmanager
def naming(name: str | os.PathLike[str]) -> Iterator[None]:
    """Add the file's name to an error: one of two cannot be read."""
    try:
        yield
    except DecodeError as err:
        if name and not err.file and f"(in {name})" not in err.message:
            err.message = f"{err.message} (in {name})"
        raise
