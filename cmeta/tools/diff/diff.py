"""`diff`: two chronicles, record by record, by ordinal.

Both are read batch by batch and compared column by column in windows that lie within one batch of
each, so memory stays flat and any two sizes of a batch go together. Batches whose bytes are the
same are not decoded at all.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack, closing

from cmeta.aliases import Progress
from cmeta.format.source import Source
from cmeta.reader.reader import Reader
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.storage.source import open_source
from cmeta.tools.diff.aligned_reader import Side, naming
from cmeta.tools.diff.configs import Configs, schema_differences
from cmeta.tools.diff.diff_report import Deviation, DiffReport
from cmeta.tools.diff.field_comparison import Meeting, Tally, merged, value_of

Path = str | os.PathLike[str] | bytes | bytearray | memoryview

_CHUNK = 1 << 20


def diff(
    a: Path,
    b: Path,
    *,
    fields: Sequence[str] | None = None,
    start: int | None = None,
    end: int | None = None,
    progress: Progress | None = None,
) -> DiffReport:
    """Compare two chronicles record by record.

    Parameters
    ----------
    a, b : path or bytes
        Closed, or open: then as they are now, their journals included.
    fields : sequence of str, optional
        Dotted names; only these count. Default: all.
    start, end : int, optional
        First and last timestamp, both included. The records of the range are paired in order: its
        first in a with its first in b, and so on.
    progress : callable, optional
        Called with records done and records in all.

    Returns
    -------
    DiffReport
        `same` says whether both hold the same records.

    Raises
    ------
    DecodeError
        A file is damaged.
    KeyError
        A field that neither file has.
    OSError
        A file cannot be opened.

    Examples
    --------
    >>> import cmeta, tempfile
    >>> paths = [tempfile.mktemp(suffix=".cmeta") for _ in range(2)]
    >>> for path, last in zip(paths, (0.25, 0.250002)):
    ...     rows = {"phase": ["train"] * 3, "loss_value": [1.0, 0.5, last]}
    ...     _ = cmeta.write(path, rows)
    >>> found = diff(*paths)
    >>> found.same, found.first.ordinal, found.first.field, found.first.quanta
    (False, 2, 'loss_value', 2)
    """
    with ExitStack() as stack:
        readers = [stack.enter_context(_open(path)) for path in (a, b)]
        sources = [stack.enter_context(closing(open_source(path))) for path in (a, b)]
        sides = [
            Side(reader, source, start, end)
            for reader, source in zip(readers, sources, strict=True)
        ]
        comparison = _Comparison(sides[0], sides[1], fields)
        report = comparison.report
        closed = all(reader.state == "closed" for reader in readers)
        if closed and _same_bytes(*sources):
            report.identical = True
        else:
            comparison.run(progress or (lambda done, total: None))
        return report


def _open(path: Path) -> Reader:
    with naming(path if isinstance(path, str | os.PathLike) else ""):
        return Reader(path)


def _same_bytes(a: Source, b: Source) -> bool:
    if a.size != b.size:
        return False
    places = ((at, min(_CHUNK, a.size - at)) for at in range(0, a.size, _CHUNK))
    return all(a.read(at, length) == b.read(at, length) for at, length in places)


class _Comparison:
    """Goes through both sides and keeps what the report says."""

    def __init__(self, a: Side, b: Side, fields: Sequence[str] | None) -> None:
        self._a, self._b = a, b
        self._wanted = None if fields is None else tuple(dict.fromkeys(fields))
        self._all = tuple(dict.fromkeys([*a.fields, *b.fields]))
        for path in self._wanted or ():
            if path not in self._all:
                known = ", ".join(self._all)
                raise KeyError(f"no field {path!r} in {a.name} or {b.name}; there are: {known}")
        self.report = DiffReport(a.name, b.name, num_records=(a.num_records, b.num_records))
        self._configs = Configs(a.reader.configs, b.reader.configs)
        self._meetings = {
            path: Meeting(a.fields.get(path), b.fields.get(path), self._configs.ids)
            for path in self._wanted or self._all
        }
        self._tallies = {path: Tally() for path in self._meetings}
        # Then equal bytes are equal records: numbers of names and configurations mean the same.
        self._same_tables = (
            a.reader.schema == b.reader.schema
            and _one_begins_the_other(a.reader.names, b.reader.names)
            and _one_begins_the_other(self._configs.ids[0].tolist(), self._configs.ids[1].tolist())
        )

    def run(self, progress: Progress) -> None:
        """Compare everything."""
        total, done = self.report.num_compared, 0
        while done < total:
            length = self._next_window(done, total)
            if not self._is_same_block(done, length):
                self._compare(done, length)
            done += length
            progress(done, total)
        self._finish()

    def _next_window(self, done: int, total: int) -> int:
        """Return how many records lie within one batch of each side."""
        left = [side.end_of(side.place_of(side.first + done)) - side.first - done
                for side in (self._a, self._b)]  # fmt: skip
        return min(*left, total - done)

    def _is_same_block(self, done: int, length: int) -> bool:
        """Return whether the window is a whole batch on both sides, of the same bytes."""
        if not self._same_tables:
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
            if path in self._tallies:
                self._tallies[path].num_present[0] += 1  # that it occurs is all that is asked
                self._tallies[path].num_present[1] += 1
        return True

    def _compare(self, done: int, length: int) -> None:
        begins = (self._a.first + done, self._b.first + done)
        masks = []
        for path, meeting in self._meetings.items():
            a, b = (
                side.cells(path, begin, begin + length)
                for side, begin in zip((self._a, self._b), begins, strict=True)
            )
            if a is None and b is None:
                continue
            tally = self._tallies[path]
            tally.count(a, b, length)
            outcome = meeting.compare(a, b, length)
            if outcome is None:
                continue
            masks.append(outcome.differ)
            tally.add(outcome, lambda row, quanta, p=path: self._witness(p, begins, row, quanta))  # type: ignore[misc]
            if self._is_config(path):
                self._configs.look(a, b, outcome.differ, begins[0])
        self.report.num_differing += merged(masks)

    def _is_config(self, path: str) -> bool:
        return any(
            (field := side.fields.get(path)) is not None and field.type == "config"
            for side in (self._a, self._b)
        )

    def _witness(
        self, path: str, begins: tuple[int, int], row: int, quanta: int | None
    ) -> Deviation:
        values = []
        for side, begin in zip((self._a, self._b), begins, strict=True):
            cells = side.cells(path, begin + row, begin + row + 1)
            values.append(value_of(side.fields.get(path), cells, 0, side.reader.configs))
        at = begins[0] + row
        whence = [
            value_of(self._a.fields[name], self._a.cells(name, at, at + 1), 0, ())
            for name in (TIMESTAMP, PHASE)
        ]
        return Deviation(at, whence[0], whence[1], path, values[0], values[1], quanta)

    def _finish(self) -> None:
        report = self.report
        for path, tally in self._tallies.items():
            in_a, in_b = tally.num_present
            if bool(in_a) != bool(in_b):
                report.only_in[0 if in_a else 1][path] = in_a or in_b
            elif tally.found is not None:
                report.fields[path] = tally.found
        report.first = self._first()
        report.worst = self._worst()
        report.configs, report.num_config_keys = self._configs.found, self._configs.num_keys
        of_fields = (self._a.fields, self._b.fields)
        report.schema = tuple(
            schema_differences(self._a.reader.schema, self._b.reader.schema, of_fields)
        )
        units = {s.where.removesuffix(".unit") for s in report.schema if s.where.endswith(".unit")}
        report.other_units = tuple(
            path
            for path, tally in self._tallies.items()
            if path in units and any(tally.num_present)
        )

    def _worst(self) -> Deviation | None:
        """Return the most quanta apart; floats that are stored exactly count if nothing else is."""
        for fixed_point in (True, False):
            found = [
                found.worst
                for path, found in self.report.fields.items()
                if found.worst and self._meetings[path].is_fixed_point == fixed_point
            ]
            if found:
                return max(found, key=lambda one: one.quanta or 0)
        return None

    def _first(self) -> Deviation | None:
        """Return the first difference; a value that both logged says more than a configuration."""
        both = [path for path in self.report.fields if not self._is_config(path)]
        for paths in (both, self.report.fields, self._tallies):
            found = [self._tallies[path].found for path in paths]
            firsts = [one.first for one in found if one is not None]
            if firsts:
                return min(firsts, key=lambda one: one.ordinal)
        return None


def _one_begins_the_other(a: Sequence[object], b: Sequence[object]) -> bool:
    return all(one == other for one, other in zip(a, b, strict=False))
