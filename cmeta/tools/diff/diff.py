"""`diff`: two chronicles, record by record, by ordinal.

Both are read batch by batch and compared column by column, in windows that lie within one batch of
each: memory stays flat, and the sizes of their batches may differ. Batches of equal bytes are not
decoded.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack, closing
from functools import partial

import numpy as np

from cmeta.aliases import Progress
from cmeta.reader.reader import FieldNames, Reader
from cmeta.reader.selection import PhaseFilter
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.source import Source, open_source
from cmeta.tools.diff.aligned_reader import AlignedReader, naming
from cmeta.tools.diff.comparison import (
    ConfigComparison,
    FieldComparison,
    schema_differences,
    value_of,
)
from cmeta.tools.diff.diff_report import Deviation, DiffReport
from cmeta.vocabulary import AmbiguousNameError, ambiguous, as_names, no_such, phase_named

Path = str | os.PathLike[str] | bytes | bytearray | memoryview

_CHUNK = 1 << 20


def diff(
    a: Path,
    b: Path,
    *,
    fields: FieldNames = None,
    start: int | None = None,
    end: int | None = None,
    phase: PhaseFilter = None,
    volatile: bool = False,
    progress: Progress | None = None,
) -> DiffReport:
    """Compare two chronicles record by record.

    Parameters
    ----------
    a, b : path or bytes
        Closed or open; an open one is compared as it is now, its journal included.
    fields : str or sequence of str, optional
        Names as `Reader.read` takes them; only these are compared. Default: all.
    start, end : int, optional
        First and last timestamp, both included. The records of the range are paired in order: the
        first in a with the first in b, and so on.
    phase : str or sequence of str, optional
        Only records of these phases, which are paired in the same way.
    volatile : bool
        Compare fields too that the schema marks as volatile; those in `fields` always are.
    progress : callable, optional
        Called with the number of records done and of all records.

    Returns
    -------
    DiffReport
        `same` tells whether both hold the same records.

    Raises
    ------
    DecodeError
        A file is damaged.
    KeyError
        Neither file has a field.
    ValueError
        Neither file has a phase.
    OSError
        A file cannot be opened.

    Examples
    --------
    >>> import cmeta, tempfile
    >>> paths = [tempfile.mktemp(suffix=".cmeta") for _ in range(2)]
    >>> for path, last in zip(paths, (0.25, 0.250002)):
    ...     rows = {"phase": ["train"] * 3, "loss_value": [1.0, 0.5, last]}
    ...     _ = cmeta.write(path, rows)
    >>> report = diff(*paths)
    >>> report.same, report.first.ordinal, report.first.field, report.first.quanta
    (False, 2, 'loss_value', 2)
    """
    with ExitStack() as stack:
        readers = [stack.enter_context(_open(path)) for path in (a, b)]
        sources = [stack.enter_context(closing(open_source(path))) for path in (a, b)]
        phases = None if phase is None else _phases(phase, readers)
        one, other = (
            AlignedReader(reader, source, start, end, phases)
            for reader, source in zip(readers, sources, strict=True)
        )
        comparison = _Comparison(one, other, fields, volatile=volatile)
        is_closed = all(reader.state == "closed" for reader in readers)
        if is_closed and _same_bytes(*sources):
            comparison.report.identical = True
        else:
            comparison.run(progress or (lambda done, total: None))
        return comparison.report


def _open(path: Path) -> Reader:
    with naming(path if isinstance(path, str | os.PathLike) else ""):
        return Reader(path)


def _phases(phase: PhaseFilter, readers: Sequence[Reader]) -> list[str]:
    """Return the phases that words mean in either file; a synonym may mean two."""
    schemas = [reader.schema for reader in readers]
    known = list(dict.fromkeys(label for schema in schemas for label in schema.phases))
    phases: dict[str, None] = {}
    for word in as_names(phase or ()):
        meant = [phase_named(word, schema.phases) for schema in schemas]
        if not any(meant):
            raise ValueError(no_such("phase", word, known))
        phases.update({label: None for label in meant if label is not None})
    return list(phases)


def _same_bytes(a: Source, b: Source) -> bool:
    if a.size != b.size:
        return False
    spans = ((at, min(_CHUNK, a.size - at)) for at in range(0, a.size, _CHUNK))
    return all(a.read(at, length) == b.read(at, length) for at, length in spans)


class _Comparison:
    """One pass over both files, which fills in the report."""

    def __init__(
        self, a: AlignedReader, b: AlignedReader, fields: FieldNames, *, volatile: bool
    ) -> None:
        self._a, self._b = a, b
        left_out = {f.path for side in (a, b) for f in side.fields.values() if f.volatile}
        every = [p for p in {**a.fields, **b.fields} if volatile or p not in left_out]
        wanted = every if fields is None else map(self._path, as_names(fields))
        self.report = DiffReport(
            a.name, b.name, num_records=(a.num_records, b.num_records),
            status=(a.reader.status, b.reader.status),
        )  # fmt: skip
        self._configs = ConfigComparison(a.reader.configs, b.reader.configs)
        self._fields = {
            path: FieldComparison(a.fields.get(path), b.fields.get(path), self._configs.ids)
            for path in wanted
        }
        # If so, equal bytes are equal records: numbers of names and configurations mean the same.
        self._same_tables = (
            a.reader.schema == b.reader.schema
            and _one_is_prefix(a.reader.names, b.reader.names)
            and _one_is_prefix(self._configs.ids[0].tolist(), self._configs.ids[1].tolist())
        )

    def _path(self, name: str) -> str:
        """Return the field that a name means in a, in b, or in both."""
        paths, errors = set(), []
        for side in (self._a, self._b):
            try:
                paths.add(side.reader.field(name).path)
            except AmbiguousNameError:
                raise
            except KeyError as err:
                errors.append(err)
        if not paths:
            raise errors[0]
        if len(paths) > 1:
            raise ambiguous(name, sorted(paths))
        return paths.pop()

    def run(self, progress: Progress) -> None:
        """Compare all records, window by window."""
        total, done = self.report.num_compared, 0
        while done < total:
            length = self._next_window(done, total)
            if not self._is_same_block(done, length):
                self._compare(done, length)
            done += length
            progress(done, total)
        self._finish()

    def _next_window(self, done: int, total: int) -> int:
        """Return how many records lie within one batch of each file."""
        left = [side.end_of(side.place_of(side.first + done)) - side.first - done
                for side in (self._a, self._b)]  # fmt: skip
        return min(*left, total - done)

    def _is_same_block(self, done: int, length: int) -> bool:
        """Return whether the window is a whole batch of both files, with equal bytes."""
        if not self._same_tables or not self._a.has_all_phases:
            return False
        places = []
        for side in (self._a, self._b):
            place = side.place_of(side.first + done)
            begins = side.begin_of(place) == side.first + done
            if not begins or side.end_of(place) != side.first + done + length:
                return False
            places.append(place)
        raw = self._a.raw(places[0])
        if not raw or raw != self._b.raw(places[1]):
            return False
        for path in self._a.paths_at(places[0]):  # which checks the CRC
            if path in self._fields:
                self._fields[path].num_present[0] += 1  # only whether it is 0 matters
                self._fields[path].num_present[1] += 1
        return True

    def _compare(self, done: int, length: int) -> None:
        begins = (self._a.first + done, self._b.first + done)

        def ordinal_of(row: int) -> int:
            return self._a.ordinal_of(begins[0] + row)

        differ = np.zeros(length, bool)
        for path, comparison in self._fields.items():
            a, b = (
                side.column(path, begin, begin + length)
                for side, begin in zip((self._a, self._b), begins, strict=True)
            )
            if a is None and b is None:
                continue
            mask = comparison.add(a, b, length, partial(self._deviation, path, begins))
            if mask is not None:
                differ |= mask
                if comparison.is_config:
                    self._configs.add(a, b, mask, ordinal_of)
        self.report.num_differing += int(np.count_nonzero(differ))

    def _deviation(
        self, path: str, begins: tuple[int, int], row: int, quanta: int | None
    ) -> Deviation:
        values = []
        for side, begin in zip((self._a, self._b), begins, strict=True):
            column = side.column(path, begin + row, begin + row + 1)
            values.append(value_of(side.fields.get(path), column, 0, side.reader.configs))
        at = begins[0] + row
        timestamp, phase = (
            value_of(self._a.fields[name], self._a.column(name, at, at + 1), 0, ())
            for name in (TIMESTAMP, PHASE)
        )
        ordinal = self._a.ordinal_of(at)
        return Deviation(ordinal, timestamp, phase, path, values[0], values[1], quanta)

    def _finish(self) -> None:
        report = self.report
        for path, comparison in self._fields.items():
            in_a, in_b = comparison.num_present
            if bool(in_a) != bool(in_b):
                report.only_in[0 if in_a else 1][path] = in_a or in_b
            elif comparison.result is not None:
                report.fields[path] = comparison.result
        report.first = self._first()
        report.worst = self._worst()
        report.configs, report.num_config_keys = self._configs.differences, self._configs.num_keys
        report.schema = tuple(
            schema_differences(
                self._a.reader.schema, self._b.reader.schema, (self._a.fields, self._b.fields)
            )
        )
        units = {s.where.removesuffix(".unit") for s in report.schema if s.where.endswith(".unit")}
        report.other_units = tuple(
            path for path, one in self._fields.items() if path in units and any(one.num_present)
        )

    def _worst(self) -> Deviation | None:
        """Return the largest distance; lossless floats count only if no fixed-point field does."""
        for is_fixed_point in (True, False):
            worst = [
                field.worst
                for path, field in self.report.fields.items()
                if field.worst and self._fields[path].is_fixed_point == is_fixed_point
            ]
            if worst:
                return max(worst, key=lambda deviation: deviation.quanta or 0)
        return None

    def _first(self) -> Deviation | None:
        """Return the first difference; a value that both logged tells more than a configuration."""
        values = [path for path in self.report.fields if not self._fields[path].is_config]
        for paths in (values, self.report.fields, self._fields):
            results = [self._fields[path].result for path in paths]
            firsts = [result.first for result in results if result is not None]
            if firsts:
                return min(firsts, key=lambda deviation: deviation.ordinal)
        return None


def _one_is_prefix(a: Sequence[object], b: Sequence[object]) -> bool:
    return all(one == other for one, other in zip(a, b, strict=False))
