"""`recover`: a new, valid file of all that is intact in a damaged one; never in place."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from cmeta.errors import CorruptError
from cmeta.journal import Journal
from cmeta.journal.rows import Tables as NumberTables
from cmeta.salvager.by_index import Index, find_index
from cmeta.salvager.decode import Salvaged
from cmeta.salvager.inputs import (
    Inputs,
    bound_journal,
    open_inputs,
    schema_of,
    schema_of_journal,
)
from cmeta.salvager.output import Output, publish, require_free, temporary, verify
from cmeta.salvager.report import Lost, RecoveryReport
from cmeta.salvager.rows import Rows, salvage_rows
from cmeta.salvager.salvage import Pair, by_index, by_walking, ends_of
from cmeta.salvager.scan import Scan, scan
from cmeta.salvager.tables import Tables
from cmeta.schema import Schema

Progress = Callable[[int, int], None]


def recover(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    schema: Schema | None = None,
    progress: Progress | None = None,
) -> RecoveryReport:
    """Salvage every intact record of a damaged, open or truncated file into a new one.

    Nothing is returned from a block whose CRC does not match, and nothing is made up: a value whose
    configuration or name cannot be told for certain is left out. The output appears under its name
    when it is complete, on disk and found valid.

    Parameters
    ----------
    path : path
        The file; its journal is read too. Or a journal without its file.
    out : path
        The new file; it must not exist.
    schema : Schema, optional
        For a file whose own schema is damaged, or a journal without its file.
    progress : callable, optional
        Called with bytes done and bytes in all.

    Returns
    -------
    RecoveryReport
        Also when nothing could be salvaged; then nothing is written.

    Raises
    ------
    ExistsError
        `out` exists.
    RecoveryError
        What was salvaged cannot be written again.
    OSError
        The file cannot be read, or the new one not be written.

    Examples
    --------
    >>> import tempfile, cmeta, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp(), "run.cmeta")
    >>> n = cmeta.write(path, {"phase": ["train"] * 9})
    >>> n = path.write_bytes(path.read_bytes()[:-20])
    >>> report = recover(path, path.with_name("new.cmeta"))
    >>> report.verdict, report.num_records
    ('complete', 9)
    """
    target = Path(out)
    require_free(target)
    inputs = open_inputs(Path(path))
    try:
        return _Recovery(inputs, target, progress or (lambda done, size: None)).run(schema)
    finally:
        inputs.main.close()


class _Recovery:
    def __init__(self, inputs: Inputs, target: Path, progress: Progress) -> None:
        self._inputs, self._target, self._progress = inputs, target, progress
        size = inputs.main.size if inputs.has_main else len(inputs.journal or b"")
        self._report = RecoveryReport(inputs.name, len_file=size)
        self._report.findings = inputs.findings
        self._last: Pair = (0, 0)
        self._dropped: Counter[str] = Counter()
        self._num_open_losses = 0
        self._num_rows_lost: int | None = 0  # of the journal; None: nobody knows

    def run(self, given: Schema | None) -> RecoveryReport:
        """Find out what there is, write it, and say what is missing."""
        inputs = self._inputs
        found = self._scan(inputs.main.size)
        if inputs.has_main:
            schema = schema_of(inputs, found, given)
        else:
            schema = schema_of_journal(inputs, given)
        if schema is None or self._is_unreadable(found, schema):
            self._say_why_nothing(schema)
            return self._report
        journal = bound_journal(inputs, schema)
        if journal is not None and inputs.has_main:
            found = self._scan(journal.header.base_length)  # what is behind is not trusted
        self._note_damage(found)
        index = None if journal else self._index(found, schema)
        self._write(schema, found, index, journal)
        return self._report

    def _scan(self, end: int) -> Scan:
        size = self._inputs.main.size
        return scan(
            self._inputs.main, self._inputs.grammar, end, newer=self._inputs.newer,
            progress=lambda done: self._progress(done // 3, size),
        )  # fmt: skip

    def _index(self, found: Scan, schema: Schema) -> Index | None:
        inputs = self._inputs
        return find_index(found, inputs.main, inputs.grammar, schema, newer=inputs.newer)

    def _is_unreadable(self, found: Scan, schema: Schema) -> bool:
        """Return whether the file is of another major version; a damaged header does not say so."""
        if not self._inputs.is_foreign:
            return False
        index = self._index(found, schema)
        major = self._inputs.grammar.format.format.major
        return index is None or index.version >> 8 != major

    def _say_why_nothing(self, schema: Schema | None) -> None:
        if schema is None and self._inputs.has_main:
            message = "no intact SCHEMA: without it no record can be decoded; give the schema"
            self._inputs.note(CorruptError(message, path="SCHEMA"))
        self._report.len_lost = self._report.len_file

    def _note_damage(self, found: Scan) -> None:
        for gap in found.gaps:
            self._inputs.note(gap.problem)
        if found.gave_up_at is not None:
            message = "too many bytes that look like a block and are none: not searched further"
            self._inputs.note(CorruptError(message, offset=found.gave_up_at, path="block"))
        self._report.len_lost = sum(gap.end - gap.offset for gap in found.gaps)

    # -------------------------------------------------------------------------------- writing

    def _write(
        self, schema: Schema, found: Scan, index: Index | None, journal: Journal | None
    ) -> None:
        inputs, report = self._inputs, self._report
        tables = Tables(inputs.main, inputs.grammar, schema, newer=inputs.newer)
        pieces = by_index(index, found, tables) if index else by_walking(found, tables)
        with temporary(self._target) as (path, file):
            output = Output(file, schema)
            for piece in pieces:
                self._take(piece, output, tables)
            if journal is not None:
                self._take_journal(journal, output, tables)
            report.num_records = output.num_records
            self._judge(index, journal)
            if report.verdict == "nothing":
                return
            output.finish()
            size = inputs.main.size
            verify(
                path, report.num_records,
                lambda done, all_: self._progress(size * 2 // 3 + done * size // (3 * all_), size),
            )  # fmt: skip
            publish(path, self._target)
        report.out = str(self._target)

    def _take(self, piece: Salvaged | Lost, output: Output, tables: Tables) -> None:
        """Write a batch, unless it goes back."""
        report = self._report
        if isinstance(piece, Lost):
            self._lose(piece)
            return
        first, last = ends_of(piece.chunk, tables)
        if output.num_records and first < self._last:
            reason = f"goes back in (timestamp, phase), behind timestamp {self._last[0]}"
            count = piece.chunk.num_records
            self._lose(Lost(0, 0, count, first[0], last[0], True, reason))
            return
        self._last = last
        output.add(piece.chunk)
        report.num_batches += 1
        self._end_losses(first[0])
        for number in piece.unknown_names:
            what = f"records without metric {number}, whose name is lost or not certain"
            self._dropped[what] += piece.chunk.num_records
        if piece.num_unknown_configs:
            what = "records without their configuration, which is lost or not certain"
            self._dropped[what] += piece.num_unknown_configs

    def _lose(self, lost: Lost) -> None:
        """Note a loss; of one of unknown extent, behind which salvaged record it begins."""
        if not lost.exact:
            self._num_open_losses += 1
            if self._report.num_batches:
                lost = dataclasses.replace(lost, first_timestamp=self._last[0])
        self._report.lost.append(lost)

    def _end_losses(self, timestamp: int) -> None:
        """Say before which salvaged record the losses of unknown extent end."""
        lost = self._report.lost
        place = len(lost)
        while self._num_open_losses:
            place -= 1
            if not lost[place].exact:
                lost[place] = dataclasses.replace(lost[place], last_timestamp=timestamp)
                self._num_open_losses -= 1

    def _take_journal(self, journal: Journal, output: Output, tables: Tables) -> None:
        """Write the rows of the journal, and note what of it is damaged."""
        if journal.end < journal.len_file:
            problem = CorruptError(journal.problem, offset=journal.end, path="journal")
            self._inputs.note(problem)
        names = {number: name for number, name in enumerate(tables.names) if name}
        known = NumberTables(dict(tables.configs), names)
        data = self._inputs.journal or b""
        for piece in salvage_rows(data, journal, self._inputs.grammar, known):
            if isinstance(piece, Lost):
                self._report.lost.append(piece)
                self._num_rows_lost = _sum(self._num_rows_lost, piece.num_records)
            else:
                self._take_rows(piece, output, tables)

    def _take_rows(self, rows: Rows, output: Output, tables: Tables) -> None:
        first, last = ends_of(rows.chunk, tables)
        if output.num_records and first < self._last:
            self._inputs.note(CorruptError("its rows go back in time", path="journal"))
            return
        self._last = last
        output.add(rows.chunk)
        self._report.num_from_journal += rows.chunk.num_records
        if rows.num_stripped:
            what = "records without a value whose configuration or name is lost"
            self._dropped[what] += rows.num_stripped

    # -------------------------------------------------------------------------------- judging

    def _judge(self, index: Index | None, journal: Journal | None) -> None:
        report = self._report
        expected = self._num_expected(index, journal)
        if expected is not None and expected >= report.num_records:
            report.num_lost = expected - report.num_records
        report.dropped = [f"{count:,} {what}" for what, count in self._dropped.items()]
        if report.num_lost == 0:
            report.lost = []  # what is damaged held no record
            report.verdict = "with loss" if report.dropped else "complete"
        else:
            report.verdict = "with loss" if report.num_records else "nothing"

    def _num_expected(self, index: Index | None, journal: Journal | None) -> int | None:
        """Return how many records there were, from the best witness; None: there is none."""
        if index is not None:
            return int(index.table["records_count"].sum())
        if journal is not None:
            if self._num_rows_lost is None:
                return None
            rows = self._report.num_from_journal + self._num_rows_lost
            return journal.header.base_records + rows
        header = self._inputs.header
        return None if header is None or header.is_open else header.records_count


def _sum(one: int | None, other: int | None) -> int | None:
    """Return a sum of counts, unknown if one of them is."""
    return None if one is None or other is None else one + other
