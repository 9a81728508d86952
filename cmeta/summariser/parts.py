"""What is selected of a chronicle, batch by batch: one in memory at a time.

A batch is given whole or not at all: its columns are decoded before any of them is used. What
cannot be read is raised; or, where the caller wants what is intact, remembered.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from cmeta.checks import Finding
from cmeta.chunk import Array, Mask
from cmeta.errors import DecodeError
from cmeta.reader import BatchInfo, Reader
from cmeta.reader.selection import Selection, num_rows
from cmeta.schema import Field
from cmeta.summariser.report import Missing

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Part:
    """What is selected of a batch.

    Attributes
    ----------
    timestamps : uint64 array, (n,)
    codes : uint8 array, (n,)
        Of the phases.
    columns : dict of Field to (values, present)
        Those that occur, ``(n,)`` or ``(n, k)``; `present` is None if all records have it.
    """

    timestamps: Array
    codes: Array
    columns: dict[Field, tuple[Array, Mask | None]] = dataclasses.field(default_factory=dict)


class Parts:
    """The parts of a selection.

    Parameters
    ----------
    reader : Reader
    selection : Selection
    fields : sequence of Field
        The columns to decode.
    partial : bool
        Remember what cannot be read instead of raising it.
    progress : callable, optional
        Called with bytes done and bytes in all.

    Attributes
    ----------
    problems : list of Missing
        What could not be read so far.
    """

    def __init__(
        self, reader: Reader, selection: Selection, fields: Sequence[Field] = (), *,
        partial: bool = False, progress: Progress | None = None,
    ) -> None:  # fmt: skip
        self.fields = tuple(dict.fromkeys(fields))
        self.problems: list[Missing] = []
        self._reader, self._selection = reader, selection
        self._partial, self._progress = partial, progress

    def __iter__(self) -> Iterator[Part]:
        for info in self._infos():
            part: Part | None = None
            with self.tolerated(info):
                part = self._read(info)
            if part is not None:
                yield part
            if self._progress is not None:
                self._progress(info.offset + info.len_block, self._reader.len_file)
        with self.tolerated():
            self._require_complete()

    @contextmanager
    def tolerated(self, info: BatchInfo | None = None) -> Iterator[None]:
        """Remember what cannot be read, if that is wanted."""
        try:
            yield
        except DecodeError as err:
            if not self._partial:
                raise
            found = Missing(*dataclasses.astuple(Finding.of(err)))
            if info is not None:
                found = dataclasses.replace(
                    found, num_records=info.num_records,
                    first_timestamp=info.first_timestamp, last_timestamp=info.last_timestamp,
                )  # fmt: skip
            self.problems.append(found)

    def _infos(self) -> Iterator[BatchInfo]:
        """Yield the batches that may hold something, by the INDEX alone."""
        start, end = self._selection.start, self._selection.end
        for info in self._reader.batches:
            if (start is None or info.last_timestamp >= start) and (
                end is None or info.first_timestamp <= end
            ):
                yield info

    def _read(self, info: BatchInfo) -> Part | None:
        batch = self._reader.batch(info.ordinal)
        rows = self._selection.rows(batch)
        if num_rows(rows) == 0:
            return None
        part = Part(batch.timestamps[rows], batch.phases.codes[rows])
        for field in self.fields:
            column = batch.column(field, 0)
            if column is not None:
                values, present = column
                part.columns[field] = (values[rows], None if present is None else present[rows])
        return part

    def _require_complete(self) -> None:
        """Raise a damaged file's problem, unless its intact part answers the whole question."""
        reader, end = self._reader, self._selection.end
        is_whole = end is not None and reader.batches and end < reader.batches[-1].last_timestamp
        if reader.state == "damaged" and reader.problem is not None and not is_whole:
            raise reader.problem


def number_field(reader: Reader, path: str) -> Field:
    """Return a field of numbers by its dotted name.

    Raises
    ------
    KeyError, ValueError
    """
    known = {field.path: field for field in reader.schema.fields}
    if path not in known:
        known = {field.path: field for field in reader.fields}
    if path not in known:
        raise KeyError(f"no field {path!r} in {reader.name}; there are: {', '.join(known)}")
    if not is_number(known[path]):
        raise ValueError(f"{path} is of type {known[path].type}, expected a field of numbers")
    return known[path]


def is_number(field: Field) -> bool:
    """Return whether a field's values can be added up."""
    return not field.labels and field.type != "config"
