"""Streaming a chronicle through tallies: each batch is read once, one is in memory at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import numpy as np

from cmeta.reader import Reader
from cmeta.reader.selection import Selection
from cmeta.schema import Field
from cmeta.schema.rules import TIMESTAMP
from cmeta.summariser.parts import Part, Parts, Progress, is_number, number_field
from cmeta.summariser.report import FieldSummary, Summary
from cmeta.summariser.tally import Tally, distances

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
        self._tallies: dict[tuple[int, Field, int], Tally] = {}
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
        times = distances(part.timestamps, self._origin)
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
                    self._tallies.setdefault(key, Tally()).add(series[rows], at, when)

    def _found(self, fields: Sequence[Field]) -> Iterator[FieldSummary]:
        for code, phase in enumerate(self._reader.schema.phases):
            for field in fields:
                for component in range(field.num_columns):
                    tally = self._tallies.get((code, field, component))
                    if tally is not None:
                        yield tally.found(
                            phase=phase, field=field.path, group=field.group, unit=field.unit,
                            component=component if field.num_components else None,
                            num_absent=int(self._counts[code]) - tally.num_values,
                        )  # fmt: skip
