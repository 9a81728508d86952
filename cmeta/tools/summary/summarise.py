"""What is selected of a chronicle, batch by batch: one in memory at a time.

A batch is given whole or not at all: its columns are decoded before any of them is used. What
cannot be read is raised; or, where the caller wants what is intact, remembered.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from cmeta.aliases import Array, Progress
from cmeta.errors import DecodeError
from cmeta.reader.reader import Reader
from cmeta.reader.selection import Selection, num_rows
from cmeta.records.chunk import Column
from cmeta.schema.rules import TIMESTAMP
from cmeta.schema.types import Field
from cmeta.storage.open import BatchInfo
from cmeta.tools.summary.statistics import SeriesStats, integer_distances
from cmeta.tools.summary.summary_report import FieldSummary, Missing, Summary
from cmeta.validate import Finding


@dataclass(frozen=True)
class Part:
    """What is selected of a batch.

    Attributes
    ----------
    timestamps : uint64 array, (n,)
    codes : uint8 array, (n,)
        Of the phases.
    columns : dict of Field to Column
        Those that occur.
    """

    timestamps: Array
    codes: Array
    columns: dict[Field, Column] = dataclasses.field(default_factory=dict)


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
                part.columns[field] = column.rows(rows)
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


# Integers that name something: their mean says nothing.
_NAMING = frozenset({TIMESTAMP, "seed_state", "state_digest"})


def summarise(
    path: str | os.PathLike[str] | bytes | Reader,
    fields: Sequence[str] | None = None,
    start: int | None = None,
    end: int | None = None,
    phase: str | Sequence[str] | None = None,
    *,
    partial: bool = False,
    progress: Progress | None = None,
) -> Summary:
    """Return what a run came to: count, extremes, mean, deviation, slope, NaN, and its course.

    The file is streamed, one batch in memory at a time. NaN and infinities are counted, and never
    enter an extreme, a mean or a slope; a vector is summarised component by component.

    Parameters
    ----------
    path : path, bytes or Reader
        A reader stays open.
    fields : sequence of str, optional
        Dotted names. Default: every number that occurs, but for timestamp, seed and digest.
    start, end : int, optional
        First and last timestamp, both included.
    phase : str or sequence of str, optional
        Only records of these phases.
    partial : bool
        Leave out what cannot be read, and say so in `Summary.problems`, instead of raising.
    progress : callable, optional
        Called with bytes done and bytes in all.

    Raises
    ------
    DecodeError
        Something in the range is corrupt.
    KeyError
        A field that the file does not have.
    ValueError
        A field that is no number, or a phase that the schema does not have.
    OSError

    Examples
    --------
    >>> import tempfile, cmeta
    >>> path = tempfile.mktemp(suffix=".cmeta")
    >>> loss = [4.0, 3.0, float("nan"), 1.0]
    >>> cmeta.write(path, {"phase": ["train"] * 4, "loss_value": loss})
    4
    >>> found = summarise(path)["train", "loss_value"]
    >>> found.num_values, found.num_nan, found.min, found.min_at, found.last, found.slope
    (4, 1, 1.0, 3, 1.0, -1.0)
    """
    if not isinstance(path, Reader):
        with Reader(path) as reader:
            return summarise(reader, fields, start, end, phase, partial=partial, progress=progress)
    chosen = None if fields is None else [number_field(path, name) for name in fields]
    selection = Selection.of(path.schema, start, end, phase)
    return summary_of(path, chosen, selection, partial=partial, progress=progress)


def summary_of(
    reader: Reader, fields: Sequence[Field] | None, selection: Selection, *,
    partial: bool, progress: Progress | None = None,
) -> Summary:  # fmt: skip
    """Return the summary of an open reader; see `summarise`."""
    parts = Parts(reader, selection, fields or (), partial=partial, progress=progress)
    if fields is None:
        known = reader.schema.fields
        with parts.tolerated():  # the names of undeclared metrics may be damaged
            known = reader.fields
        parts.fields = tuple(f for f in known if is_number(f) and f.path not in _NAMING)
    return _Summing(reader).run(parts)


class _Summing:
    """One pass over a chronicle."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._origin = reader.batches[0].first_timestamp if reader.batches else 0
        self._counts = np.zeros(len(reader.schema.phases), np.int64)
        self._tallies: dict[tuple[int, Field, int], SeriesStats] = {}
        self._ends: tuple[int, int] | None = None

    def run(self, parts: Parts) -> Summary:
        """Read every part, and return the summary."""
        for part in parts:
            self._add(part)
        reader, phases = self._reader, self._reader.schema.phases
        counts = zip(phases, self._counts.tolist(), strict=True)
        first, last = self._ends or (None, None)
        return Summary(
            file=reader.name,
            state="damaged" if parts.problems else reader.state,
            num_records=int(self._counts.sum()),
            phases={name: count for name, count in counts if count},
            first_timestamp=first,
            last_timestamp=last,
            fields=tuple(self._found(parts.fields)),
            problems=tuple(parts.problems),
        )

    def _add(self, part: Part) -> None:
        first = int(part.timestamps[0]) if self._ends is None else self._ends[0]
        self._ends = (first, int(part.timestamps[-1]))
        times = integer_distances(part.timestamps, self._origin)
        for code in np.unique(part.codes).tolist():
            of_phase = np.flatnonzero(part.codes == code)
            self._counts[code] += len(of_phase)
            for field, (values, present) in part.columns.items():
                rows = of_phase if present is None else of_phase[present[of_phase]]
                if not len(rows):
                    continue
                at, when = part.timestamps[rows], times[rows]
                for component, series in enumerate(values.T if field.num_components else [values]):
                    key = (code, field, component)
                    self._tallies.setdefault(key, SeriesStats()).add(series[rows], at, when)

    def _found(self, fields: Sequence[Field]) -> Iterator[FieldSummary]:
        for code, phase in enumerate(self._reader.schema.phases):
            for field in fields:
                for component in range(field.num_columns):
                    tally = self._tallies.get((code, field, component))
                    if tally is not None:
                        yield tally.summary(
                            phase=phase, field=field.path, group=field.group, unit=field.unit,
                            component=component if field.num_components else None,
                            num_absent=int(self._counts[code]) - tally.num_values,
                        )  # fmt: skip
