"""The selected records of a chronicle, one batch in memory at a time, also of a damaged one.

A batch is given whole or not at all: its columns are decoded before any of them is used. What
cannot be read is raised or, with ``partial``, left out and listed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from cmeta.aliases import Progress
from cmeta.errors import DecodeError
from cmeta.reader.reader import Reader
from cmeta.reader.selection import Selection, take
from cmeta.records.chunk import Chunk
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.schema.types import Field
from cmeta.storage.open import BatchInfo
from cmeta.tools.summary.summary_report import Missing
from cmeta.validate import Finding


class SelectedChunks:
    """The selected records as chunks, each with timestamp, phase and some fields.

    Parameters
    ----------
    reader : Reader
    selection : Selection
    fields : sequence of Field
        The columns to decode.
    partial : bool
        List what cannot be read instead of raising it.
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

    def __iter__(self) -> Iterator[Chunk]:
        for info in self._selection.infos(self._reader):
            chunk: Chunk | None = None
            with self.tolerance(info):
                chunk = self._read(info)
            if chunk is not None and chunk.num_records:
                yield chunk
            if self._progress is not None:
                self._progress(info.offset + info.len_block, self._reader.len_file)
        with self.tolerance():
            self._require_complete()

    @contextmanager
    def tolerance(self, info: BatchInfo | None = None) -> Iterator[None]:
        """List what cannot be read, with ``partial``, instead of raising it."""
        try:
            yield
        except DecodeError as err:
            if not self._partial:
                raise
            problem = Missing(*dataclasses.astuple(Finding.of(err)))
            if info is not None:
                problem = dataclasses.replace(
                    problem, num_records=info.num_records,
                    first_timestamp=info.first_timestamp, last_timestamp=info.last_timestamp,
                )  # fmt: skip
            self.problems.append(problem)

    def _read(self, info: BatchInfo) -> Chunk:
        batch, schema = self._reader.batch(info.ordinal), self._reader.schema
        fields = dict.fromkeys((schema[TIMESTAMP], schema[PHASE], *self.fields))
        return take(batch, self._selection.rows(batch, info), fields)

    def _require_complete(self) -> None:
        """Raise a damaged file's problem, unless its intact part holds the whole range."""
        reader, end = self._reader, self._selection.end
        is_whole = end is not None and reader.batches and end < reader.batches[-1].last_timestamp
        if reader.state == "damaged" and reader.problem is not None and not is_whole:
            raise reader.problem
