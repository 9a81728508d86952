"""Progress of a recovery, in bytes of what is recovered."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from cmeta.aliases import Progress
from cmeta.errors import CorruptError, ExistsError
from cmeta.format.journal import Journal
from cmeta.format.journal_rows import Tables as NumberTables
from cmeta.schema.rules import TIMESTAMP
from cmeta.schema.schema import Schema
from cmeta.storage.atomic import temporary_file
from cmeta.storage.file_state import journal_path
from cmeta.tools.recover.batches import Pair, Salvaged, Tables, by_index, by_walking, ends_of
from cmeta.tools.recover.index import Index, crc_of, find_index, place
from cmeta.tools.recover.inputs import (
    Inputs,
    bound_journal,
    open_inputs,
    schema_of,
    schema_of_journal,
)
from cmeta.tools.recover.output import Output, publish, require_free, verify
from cmeta.tools.recover.recovery_report import Lost, RecoveryReport
from cmeta.tools.recover.rows import Rows, salvage_rows
from cmeta.tools.recover.scan import Found, Scan, scan


class Meter:
    """Progress in three equal parts: finding blocks, writing, verifying. It never goes back."""

    def __init__(self, tell: Progress, size: int) -> None:
        self._tell, self._size, self._done = tell, size, 0

    def at(self, part: int, done: int, total: int) -> None:
        """Say how much of a part, counted from 0, is done."""
        if total:
            thirds = part * total + min(done, total)
            self._done = max(self._done, self._size * thirds // (3 * total))
            self._tell(self._done, self._size)

    def finish(self) -> None:
        """Say that all is done."""
        self._tell(self._size, self._size)


def end_of_use(found: Scan, journal: Journal) -> tuple[int, int]:
    """Return up to where to use the main file, and how many records stand before."""
    length, num_records = journal.header.base_length, journal.header.base_records
    sealed = list(_sealed(found, length, journal.schema.batch_records))
    size = journal.schema.batch_records
    if len(journal.bodies) >= len(sealed) * size or not _agree(sealed, journal):
        return length, num_records
    return sealed[-1].end, num_records + len(sealed) * size


def _sealed(found: Scan, offset: int, size: int) -> Iterator[Found]:
    """Yield the full batches from an offset on, as far as all is intact."""
    for piece in found.pieces:
        if piece.offset < offset:
            continue
        if not isinstance(piece, Found) or piece.name == "INDEX":
            return
        if piece.name == "BATCH":
            if piece.row[0] != size:
                return
            yield piece


def _agree(sealed: list[Found], journal: Journal) -> bool:
    """Return whether batches begin and end as the rows do that are left of the journal."""
    if not journal.bodies:
        return True
    column = journal.chunk.columns[journal.schema[TIMESTAMP]]
    timestamps = column.values.tolist()
    size = journal.schema.batch_records
    for number, batch in enumerate(sealed):
        _, *ends = batch.row
        rows = (number * size, (number + 1) * size - 1)
        for at, expected in zip(rows, ends, strict=True):
            if at < len(timestamps) and timestamps[at] != expected:
                return False
    return True


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
    if target.resolve() in (Path(path).resolve(), journal_path(path).resolve()):
        raise ExistsError(f"{target} is what is to be recovered; a recovery never works in place")
    inputs = open_inputs(Path(path))
    try:
        return _Recovery(inputs, target, progress or (lambda done, size: None)).run(schema)
    finally:
        inputs.main.close()


class _Recovery:
    def __init__(self, inputs: Inputs, target: Path, progress: Progress) -> None:
        self._inputs, self._target = inputs, target
        size = inputs.main.size if inputs.has_main else len(inputs.journal or b"")
        self._progress = Meter(progress, size)
        self._report = RecoveryReport(inputs.name, len_file=size)
        self._report.findings = inputs.findings
        self._last: Pair = (0, 0)
        self._dropped: Counter[str] = Counter()
        self._num_open_losses = 0
        self._num_before = 0  # records before the rows of the journal that are used
        self._num_rows_lost: int | None = 0  # of the journal; None: nobody knows

    def run(self, given: Schema | None) -> RecoveryReport:
        """Find out what there is, write it, and say what is missing."""
        inputs = self._inputs
        found = scan(
            inputs.main, inputs.grammar, inputs.main.size, newer=inputs.newer,
            progress=lambda done: self._progress.at(0, done, inputs.main.size),
        )  # fmt: skip
        if inputs.has_main:
            schema = schema_of(inputs, found, given)
        else:
            schema = schema_of_journal(inputs, given)
        journal = None if schema is None else bound_journal(inputs, schema)
        if schema is None or self._is_unreadable(found, schema, journal):
            self._say_why_nothing(schema)
            self._progress.finish()
            return self._report
        if journal is not None and inputs.has_main:
            end, self._num_before = end_of_use(found, journal)
            if end > journal.header.base_length:
                message = (
                    "rows are missing in the journal: batches are used that it does not vouch for"
                )
                inputs.note(CorruptError(message, offset=journal.header.base_length, path="BATCH"))
            found = found.upto(end)
        elif journal is not None:
            self._num_before = journal.header.base_records
        self._note_damage(found)
        index = None if journal else self._index(found, schema)
        self._write(schema, found, index, journal)
        self._progress.finish()
        return self._report

    def _index(self, found: Scan, schema: Schema) -> Index | None:
        inputs = self._inputs
        return find_index(found, inputs.main, inputs.grammar, schema, newer=inputs.newer)

    def _is_unreadable(self, found: Scan, schema: Schema, journal: Journal | None) -> bool:
        """Return whether the file is of another major version; a damaged header does not say so."""
        if not self._inputs.is_foreign or journal is not None:  # which is of our version
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
        index, pieces = self._pieces(found, index, journal, tables)
        num_batches = sum(block.name == "BATCH" for block in found.blocks)
        with temporary_file(self._target) as file, file.stream() as stream:
            output = Output(file, stream, schema)
            for piece in pieces:
                self._take(piece, output, tables)
                self._progress.at(1, report.num_batches, num_batches)
            if journal is not None:
                self._take_journal(journal, output, tables)
            report.num_records = output.num_records
            self._judge(index, journal)
            if report.verdict == "nothing":
                return
            output.finish()
            verify(
                file.path, report.num_records, lambda done, size: self._progress.at(2, done, size)
            )
            publish(file, self._target)
        report.out = str(self._target)

    def _pieces(
        self, found: Scan, index: Index | None, journal: Journal | None, tables: Tables
    ) -> tuple[Index | None, Iterator[Salvaged | Lost]]:
        """Return what there is, and the INDEX if it is this file's."""
        inputs = self._inputs
        placing = place(index, found, inputs.main, inputs.grammar, tables.schema) if index else None
        if index is not None and placing is not None and placing.fits:
            self._compare_header(index)
            for block in placing.copies:
                message = "like a batch before it, and not in the INDEX: left out"
                inputs.note(CorruptError(message, offset=block.offset, path="BATCH"))
            return index, by_index(index, placing, tables)
        if index is not None:
            message = "it does not have every batch that is there: not used"
            inputs.note(CorruptError(message, offset=index.block.offset, path="INDEX"))
        in_order = True
        if journal is not None and inputs.has_main and not found.gaps:
            length = journal.header.base_length
            span = inputs.grammar.header.size, length
            crc = crc_of(inputs.main, inputs.grammar, *span, inputs.grammar.checksum(b""))
            in_order = crc == journal.header.running_crc
        return None, by_walking(found, tables, in_order=in_order)

    def _compare_header(self, index: Index) -> None:
        """Say where the header, which is outside of every checksum, is not what the INDEX says."""
        header = self._inputs.header
        if header is None:
            return
        counts = header.records_count, int(index.table["records_count"].sum())
        pairs = {"version": (header.version, index.version), "records_count": counts}
        for name, (found, expected) in pairs.items():
            if found != expected:
                message = f"{found}, but the INDEX says {expected}"
                self._inputs.note(CorruptError(message, path=f"header.{name}"))

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
        for piece in salvage_rows(data, journal, self._inputs.grammar, known, self._num_before):
            if isinstance(piece, Lost):
                self._report.lost.append(piece)
                self._num_rows_lost = _sum(self._num_rows_lost, piece.num_records)
            else:
                self._take_rows(piece, output, tables)

    def _take_rows(self, rows: Rows, output: Output, tables: Tables) -> None:
        first, last = ends_of(rows.chunk, tables)
        if output.num_records and first < self._last:
            reason = f"rows of the journal go back, behind timestamp {self._last[0]}"
            count = rows.chunk.num_records
            self._report.lost.append(Lost(0, 0, count, first[0], last[0], True, reason))
            self._num_rows_lost = _sum(self._num_rows_lost, count)
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
            is_certain = self._inputs.is_schema_certain and not report.dropped
            report.verdict = "complete" if is_certain else "with loss"
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
            return self._num_before + rows
        header = self._inputs.header
        return None if header is None or header.is_open else header.records_count


def _sum(one: int | None, other: int | None) -> int | None:
    """Return a sum of counts, unknown if one of them is."""
    return None if one is None or other is None else one + other
