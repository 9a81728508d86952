"""One of two chronicles: its columns by ordinal, one batch in memory at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from cmeta.errors import DecodeError
from cmeta.reader.reader import Reader
from cmeta.records.chunk import Column
from cmeta.schema.types import Field
from cmeta.source import Source
from cmeta.storage.open import AnyBatch, BatchInfo


class AlignedReader:
    """Reads a range of a chronicle by the ordinals of its records.

    Parameters
    ----------
    reader : Reader
    source : Source
        The same file, for the bytes of a batch.
    start, end : int or None
        First and last timestamp, both included.

    Attributes
    ----------
    first : int
        Ordinal of the first record in the range.
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
        self, reader: Reader, source: Source, start: int | None = None, end: int | None = None
    ) -> None:
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
            self.first = 0 if start is None else self._before(start, inclusive=False)
            stop = len(reader) if end is None else self._before(end, inclusive=True)
            self.num_records = max(0, stop - self.first)

    @property
    def reader(self) -> Reader:
        """The reader."""
        return self._reader

    def place_of(self, ordinal: int) -> int:
        """Return the batch that holds a record."""
        return int(np.searchsorted(self._starts, ordinal, side="right")) - 1

    def begin_of(self, place: int) -> int:
        """Return the ordinal of a batch's first record."""
        return int(self._starts[place])

    def end_of(self, place: int) -> int:
        """Return the ordinal after a batch's last record."""
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
        whole, first = self._columns[path], self.begin_of(place)
        if whole is None:
            return None
        values, present = whole.rows(slice(begin - first, end - first))
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
        if name and f"(in {name})" not in err.message:
            err.message = f"{err.message} (in {name})"
        raise
