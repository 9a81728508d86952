"""`summarise`: the statistics of a chronicle in one pass, with one batch in memory at a time.

`SelectedChunks` reads the batches, also of a damaged file. A batch is given whole or not at all:
its columns are decoded before any of them is used. What cannot be read is raised or, with
``partial``, left out and listed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from cmeta.aliases import PathLike, Progress
from cmeta.errors import DecodeError
from cmeta.reader.reader import FieldNames, Reader
from cmeta.reader.selection import Selection, take
from cmeta.records.chunk import Chunk
from cmeta.safe_text import printable
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.schema.types import Field
from cmeta.storage.open import BatchInfo
from cmeta.tools.summary.statistics import SeriesStats, integer_distances
from cmeta.tools.summary.summary_report import FieldSummary, Missing, Summary
from cmeta.validate import Finding
from cmeta.vocabulary import as_names


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


# Integers that are names: their mean has no meaning.
_NAMES = frozenset({TIMESTAMP, "seed_state", "state_digest"})


def summarise(
    path: PathLike | bytes | Reader,
    fields: FieldNames = None,
    start: int | None = None,
    end: int | None = None,
    phase: str | Sequence[str] | None = None,
    *,
    partial: bool = False,
    progress: Progress | None = None,
) -> Summary:
    """Return the statistics of a run: count, extremes, mean, deviation, slope, NaN, and the curve.

    The file is streamed, one batch in memory at a time. NaN and infinities are counted, and do not
    affect extremes, mean and slope. A vector is summarised component by component.

    Parameters
    ----------
    path : path, bytes or Reader
        A reader stays open.
    fields : str or sequence of str, optional
        Names as `Reader.read` takes them. Default: every numeric field that occurs, except
        timestamp, seed and digest.
    start, end : int, optional
        First and last timestamp, both included.
    phase : str or sequence of str, optional
        Only records of these phases.
    partial : bool
        Leave out what cannot be read, and list it in `Summary.problems`, instead of raising.
    progress : callable, optional
        Called with bytes done and bytes in all.

    Raises
    ------
    DecodeError
        Something in the range is corrupt.
    KeyError
        A field that the file does not have.
    ValueError
        A field that is not numeric, or a phase that the schema does not have.
    OSError

    Examples
    --------
    >>> import tempfile, cmeta
    >>> path = tempfile.mktemp(suffix=".cmeta")
    >>> loss = [4.0, 3.0, float("nan"), 1.0]
    >>> cmeta.write(path, {"phase": ["train"] * 4, "loss_value": loss})
    4
    >>> loss = summarise(path)["train", "loss"]
    >>> loss.num_values, loss.num_nan, loss.min, loss.min_at, loss.last, loss.slope
    (4, 1, 1.0, 3, 1.0, -1.0)
    """
    if not isinstance(path, Reader):
        with Reader(path) as reader:
            return summarise(reader, fields, start, end, phase, partial=partial, progress=progress)
    names = None if fields is None else as_names(fields)
    chosen = None if names is None else [_numeric(path.field(name)) for name in names]
    selection = Selection.of(path.schema, start, end, phase)
    return summary_of(path, chosen, selection, partial=partial, progress=progress)


def _numeric(field: Field) -> Field:
    if not is_number(field):
        raise ValueError(
            f"{printable(field.path)} is of type {field.type}, expected a numeric field"
        )
    return field


def is_number(field: Field) -> bool:
    """Return whether a field is numeric, so that it has a mean."""
    return not field.labels and field.type != "config"


def summary_of(
    reader: Reader, fields: Sequence[Field] | None, selection: Selection, *,
    partial: bool, progress: Progress | None = None,
) -> Summary:  # fmt: skip
    """Return the summary of an open reader; see `summarise`."""
    chunks = SelectedChunks(reader, selection, fields or (), partial=partial, progress=progress)
    if fields is None:
        known = reader.schema.fields
        with chunks.tolerance():  # the names of undeclared metrics may be damaged
            known = reader.fields
        chunks.fields = tuple(f for f in known if is_number(f) and f.path not in _NAMES)
    return _Pass(reader).run(chunks)


class _Pass:
    """One pass over a chronicle."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._time, self._phase = reader.schema[TIMESTAMP], reader.schema[PHASE]
        self._origin = reader.batches[0].first_timestamp if reader.batches else 0
        self._counts = np.zeros(len(reader.schema.phases), np.int64)
        self._stats: dict[tuple[int, Field, int], SeriesStats] = {}
        self._ends: tuple[int, int] | None = None

    def run(self, chunks: SelectedChunks) -> Summary:
        """Read every chunk, and return the summary."""
        for chunk in chunks:
            self._add(chunk, chunks.fields)
        reader, phases = self._reader, self._reader.schema.phases
        counts = zip(phases, self._counts.tolist(), strict=True)
        first, last = self._ends or (None, None)
        return Summary(
            file=reader.name,
            state="damaged" if chunks.problems else reader.state,
            num_records=int(self._counts.sum()),
            phases={name: count for name, count in counts if count},
            first_timestamp=first,
            last_timestamp=last,
            fields=tuple(self._summaries(chunks.fields)),
            problems=tuple(chunks.problems),
        )

    def _add(self, chunk: Chunk, fields: Sequence[Field]) -> None:
        timestamps, codes = (chunk.columns[f].values for f in (self._time, self._phase))
        first = int(timestamps[0]) if self._ends is None else self._ends[0]
        self._ends = (first, int(timestamps[-1]))
        times = integer_distances(timestamps, self._origin)
        for code in np.unique(codes).tolist():
            of_phase = np.flatnonzero(codes == code)
            self._counts[code] += len(of_phase)
            for field in fields:
                if field not in chunk.columns:
                    continue
                values, present = chunk.columns[field]
                rows = of_phase if present is None else of_phase[present[of_phase]]
                if not len(rows):
                    continue
                for component, series in enumerate(values.T if field.num_components else [values]):
                    key = (code, field, component)
                    stats = self._stats.setdefault(key, SeriesStats())
                    stats.add(series[rows], timestamps[rows], times[rows])

    def _summaries(self, fields: Sequence[Field]) -> Iterator[FieldSummary]:
        for code, phase in enumerate(self._reader.schema.phases):
            for field in fields:
                for component in range(field.num_columns):
                    stats = self._stats.get((code, field, component))
                    if stats is not None:
                        yield stats.summary(
                            phase=phase, field=field.path, group=field.group, unit=field.unit,
                            component=component if field.num_components else None,
                            num_absent=int(self._counts[code]) - stats.num_values,
                        )  # fmt: skip
