"""`recover`: the intact records of a damaged file as a new, valid one; never in place."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from cmeta.aliases import Progress
from cmeta.errors import CorruptError, DecodeError, EncodeError, ExistsError, RecoveryError
from cmeta.format.batch_room import BatchRoom, undeclared_max
from cmeta.format.encoder import Encoder
from cmeta.format.journal import Tables
from cmeta.format.read_journal import Journal
from cmeta.records.chunk import Chunk
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.schema.schema import Schema
from cmeta.source import BytesSource, expanded
from cmeta.storage.atomic import publish_new, temporary_file
from cmeta.storage.disk import File, permissions_at
from cmeta.storage.new_path import given_path
from cmeta.storage.open import is_input, journal_path, watch_of
from cmeta.storage.watch import Watch, unless_busy
from cmeta.tools.recover.batches import BatchDecoder, Salvaged, by_index, by_walking
from cmeta.tools.recover.inputs import Inputs, bound_journal, find_schema, open_inputs
from cmeta.tools.recover.journal import Rows, merged_end, salvage_rows
from cmeta.tools.recover.placement import Index, find_index, place_blocks
from cmeta.tools.recover.recovery_report import Lost, RecoveryReport
from cmeta.tools.recover.scan import Scan, scan
from cmeta.validate import validate

_Ends = tuple[int, int]  # timestamp and phase of a record


def recover(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    schema: Schema | None = None,
    progress: Progress | None = None,
) -> RecoveryReport:
    """Salvage every intact record of a damaged, open or truncated file into a new one.

    Nothing is taken from a block whose CRC does not match, and nothing is made up: a value whose
    configuration or name is not certain is left out. The output appears under its name when it is
    complete, on disk and found valid.

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
        Also if nothing could be salvaged; then nothing is written.

    Raises
    ------
    ExistsError
        `out` exists.
    RecoveryError
        The salvaged records cannot be written again.
    BusyError
        Its writer continued or closed it during each try.
    OSError
        The file cannot be read, or the new one cannot be written.

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
    target = Path(given_path(out, "out"))
    require_free(target)
    if is_input(target, path):
        message = "is the file to recover or its journal; a recovery never works in place"
        raise ExistsError(f"{target} {message}")
    source, report_to = Path(expanded(path)), progress or (lambda done, size: None)
    return unless_busy(lambda: _recovered(source, target, schema, report_to))


def _recovered(
    path: Path, target: Path, schema: Schema | None, progress: Progress
) -> RecoveryReport:
    """Recover a file that no writer continues or closes meanwhile.

    Raises
    ------
    BusyError
        One has done so: what seems lost may be what it has moved.
    """
    watch = watch_of(path)
    inputs = open_inputs(path)
    try:
        report = _Recovery(inputs, target, progress, watch).run(schema)
        if not report.out:
            _require_unchanged(inputs, path, watch)
    except DecodeError as err:
        _require_unchanged(inputs, path, watch, err)
        raise
    finally:
        inputs.close()
    return report


def _require_unchanged(
    inputs: Inputs, path: Path, watch: Watch, cause: Exception | None = None
) -> None:
    """Raise `BusyError` if the file was changed; one that was replaced by another is as it was."""
    if not inputs.has_main or inputs.is_at(path):
        watch.require_unchanged(cause)


class _Recovery:
    def __init__(self, inputs: Inputs, target: Path, progress: Progress, watch: Watch) -> None:
        self._inputs, self._target, self._watch = inputs, target, watch
        size = inputs.main.size if inputs.has_main else _len_journal(inputs)
        self._progress = ProgressInParts(progress, size)
        self._report = RecoveryReport(inputs.name, len_file=size)
        self._report.findings = inputs.findings
        self._last: _Ends = (0, 0)
        self._dropped: Counter[str] = Counter()
        self._num_open_losses = 0
        self._num_before = 0  # records before the rows of the journal that are used
        self._num_rows_lost: int | None = 0  # of the journal; None: unknown

    def run(self, given: Schema | None) -> RecoveryReport:
        """Scan the inputs, write the intact records, and report the losses."""
        inputs = self._inputs
        pieces = scan(
            inputs.main, inputs.grammar, newer=inputs.newer, progress=self._progress.part(0)
        )
        schema = find_schema(inputs, pieces, given)
        journal = None if schema is None else bound_journal(inputs, schema)
        if schema is None or self._is_unreadable(pieces, schema, journal):
            self._report.len_lost = self._report.len_file
            self._progress.finish()
            return self._report
        if journal is not None:
            pieces = self._before_journal(pieces, journal)
        self._note_damage(pieces)
        index = None if journal else find_index(pieces, schema)
        self._write(schema, pieces, index, journal)
        self._progress.finish()
        return self._report

    def _is_unreadable(self, pieces: Scan, schema: Schema, journal: Journal | None) -> bool:
        """Return whether the INDEX confirms another major version; the header may be damaged."""
        if not self._inputs.is_foreign or journal is not None:
            return False
        index = find_index(pieces, schema)
        return index is None or index.version >> 8 != self._inputs.grammar.format.format.major

    def _before_journal(self, pieces: Scan, journal: Journal) -> Scan:
        """Return the pieces before the rows of the journal."""
        self._num_before = journal.header.base_records
        if not self._inputs.has_main:
            return pieces
        end, self._num_before = merged_end(pieces, journal)
        if end > journal.header.base_length:
            message = "rows are missing in the journal: later batches, outside of it, are used"
            self._note("BATCH", message, journal.header.base_length)
        return pieces.up_to(end)

    def _note_damage(self, pieces: Scan) -> None:
        for gap in pieces.gaps:
            self._inputs.note(gap.problem)
        if pieces.gave_up_at is not None:
            message = "too many bytes that only look like blocks: not searched further"
            self._note("block", message, pieces.gave_up_at)
        self._report.len_lost = sum(gap.end - gap.offset for gap in pieces.gaps)

    def _note(self, path: str, message: str, offset: int = 0) -> None:
        self._inputs.note(CorruptError(message, offset=offset, path=path))

    # -------------------------------------------------------------------------------- writing

    def _write(
        self, schema: Schema, pieces: Scan, index: Index | None, journal: Journal | None
    ) -> None:
        report, decoder = self._report, BatchDecoder(pieces, schema)
        index, batches = self._batches(pieces, index, journal, decoder)
        num_batches = len(pieces.blocks_of("BATCH"))
        show = self._progress.part(1)
        source = Path(self._inputs.name)  # what was private stays so
        like = permissions_at(source) or permissions_at(journal_path(source))
        with temporary_file(self._target, like=like) as file, file.stream() as stream:
            output = Output(stream, schema)
            for batch in batches:
                self._take(batch, output, decoder)
                show(report.num_batches, num_batches)
            if journal is not None:
                self._take_journal(journal, output, decoder)
            report.num_records = output.num_records
            self._judge(index, journal)
            if report.verdict == "nothing":
                return
            output.finish(_status(index, schema))
            file.sync()
            verify(file.path, report.num_records, self._progress.part(2))
            _require_unchanged(self._inputs, source, self._watch)
            publish(file, self._target)
        report.out = str(self._target)

    def _batches(
        self, pieces: Scan, index: Index | None, journal: Journal | None, decoder: BatchDecoder
    ) -> tuple[Index | None, Iterator[Salvaged | Lost]]:
        """Return the batches in order, and the INDEX if it is this file's."""
        if index is not None:
            placement = place_blocks(index, pieces, decoder.schema)
            if placement.fits:
                self._compare_header(index)
                for block in placement.copies:
                    message = "a copy of another batch, not in the INDEX: left out"
                    self._note("BATCH", message, block.offset)
                return index, by_index(index, placement, decoder)
            message = "it lacks batches that the file has: not used"
            self._note("INDEX", message, index.block.offset)
        in_order = True
        if journal is not None and self._inputs.has_main and not pieces.gaps:
            grammar = pieces.grammar
            start, end = grammar.header.size, journal.header.base_length
            crc = grammar.checksum.over(pieces.source, start, end)
            in_order = crc == journal.header.running_crc
        return None, by_walking(pieces, decoder, in_order=in_order)

    def _compare_header(self, index: Index) -> None:
        """Note differences between the INDEX and the header, which no checksum covers."""
        header = self._inputs.header
        if header is None:
            return
        counts = header.records_count, int(index.table["records_count"].sum())
        pairs = {"version": (header.version, index.version), "records_count": counts}
        for name, (value, expected) in pairs.items():
            if value != expected:
                self._note(f"header.{name}", f"{value}, but the INDEX says {expected}")

    def _take(self, batch: Salvaged | Lost, output: Output, decoder: BatchDecoder) -> None:
        """Write a batch, unless it goes back."""
        if isinstance(batch, Lost):
            self._lose(batch)
            return
        first, last = _ends(batch.chunk, decoder.schema)
        if output.num_records and first < self._last:
            reason = f"goes back in (timestamp, phase), after timestamp {self._last[0]}"
            self._lose(Lost(0, 0, batch.chunk.num_records, first[0], last[0], True, reason))
            return
        self._last = last
        if (refused := output.add(batch.chunk)) is not None:
            self._lose(_without_room(refused, decoder.schema))
        self._report.num_batches += 1
        self._end_losses(first[0])
        for number in batch.unknown_names:
            values = f"records without metric {number}, whose name is lost or not certain"
            self._dropped[values] += batch.chunk.num_records
        if batch.num_unknown_configs:
            values = "records without their configuration, which is lost or not certain"
            self._dropped[values] += batch.num_unknown_configs

    def _lose(self, lost: Lost) -> None:
        """Note a loss; one of unknown extent begins after the last salvaged record."""
        if not lost.exact:
            self._num_open_losses += 1
            if self._report.num_batches:
                lost = dataclasses.replace(lost, first_timestamp=self._last[0])
        self._report.lost.append(lost)

    def _end_losses(self, timestamp: int) -> None:
        """End the losses of unknown extent before a salvaged record."""
        lost = self._report.lost
        number = len(lost)
        while self._num_open_losses:
            number -= 1
            if not lost[number].exact:
                lost[number] = dataclasses.replace(lost[number], last_timestamp=timestamp)
                self._num_open_losses -= 1

    def _take_journal(self, journal: Journal, output: Output, decoder: BatchDecoder) -> None:
        """Write the rows of the journal, and note its damage."""
        if journal.end < journal.len_file:
            self._note("journal", journal.problem, journal.end)
        names = {number: name for number, name in enumerate(decoder.names) if name}
        known = Tables(dict(decoder.configs), names)
        source, grammar = self._inputs.journal or BytesSource(b""), self._inputs.grammar
        for rows in salvage_rows(source, journal, grammar, known, self._num_before):
            lost = rows if isinstance(rows, Lost) else self._take_rows(rows, output, journal.schema)
            if lost is not None:
                self._report.lost.append(lost)
                is_unknown = self._num_rows_lost is None or lost.num_records is None
                self._num_rows_lost = (
                    None if is_unknown else (self._num_rows_lost or 0) + (lost.num_records or 0)
                )

    def _take_rows(self, rows: Rows, output: Output, schema: Schema) -> Lost | None:
        """Write rows; returns as a loss those that go back, or that no batch has room for."""
        first, last = _ends(rows.chunk, schema)
        num_records = rows.chunk.num_records
        if output.num_records and first < self._last:
            reason = f"rows of the journal go back, after timestamp {self._last[0]}"
            return Lost(0, 0, num_records, first[0], last[0], True, reason)
        self._last = last
        refused = output.add(rows.chunk)
        self._report.num_from_journal += num_records - (refused.num_records if refused else 0)
        if rows.num_stripped:
            values = "records without a value whose configuration or name is lost"
            self._dropped[values] += rows.num_stripped
        return None if refused is None else _without_room(refused, schema)

    # ------------------------------------------------------------------------------- judgement

    def _judge(self, index: Index | None, journal: Journal | None) -> None:
        report = self._report
        expected = self._num_expected(index, journal)
        if expected is not None and expected >= report.num_records:
            report.num_lost = expected - report.num_records
        report.dropped = [f"{count:,} {values}" for values, count in self._dropped.items()]
        if report.num_lost == 0:
            report.lost = []  # the damaged bytes held no record
            is_certain = self._inputs.is_schema_certain and not report.dropped
            report.verdict = "complete" if is_certain else "with loss"
        else:
            report.verdict = "with loss" if report.num_records else "nothing"

    def _num_expected(self, index: Index | None, journal: Journal | None) -> int | None:
        """Return the number of records before the damage, from the best evidence, or None."""
        if index is not None:
            return int(index.table["records_count"].sum())
        if journal is not None:
            if self._num_rows_lost is None:
                return None
            return self._num_before + self._report.num_from_journal + self._num_rows_lost
        header = self._inputs.header
        return None if header is None or header.is_open else header.records_count


def _len_journal(inputs: Inputs) -> int:
    return 0 if inputs.journal is None else inputs.journal.size


def _ends(chunk: Chunk, schema: Schema) -> tuple[_Ends, _Ends]:
    """Return (timestamp, phase) of the first and the last record."""
    timestamps = chunk.columns[schema[TIMESTAMP]].values
    phases = chunk.columns[schema[PHASE]].values
    first, last = ((int(timestamps[i]), int(phases[i])) for i in (0, -1))
    return first, last


def _without_room(chunk: Chunk, schema: Schema) -> Lost:
    (first, _), (last, _) = _ends(chunk, schema)
    reason = "more metrics of different names than a batch can hold"
    return Lost(0, 0, chunk.num_records, first, last, True, reason)


class ProgressInParts:
    """Progress in three equal parts: scanning, writing, verifying. It never goes back."""

    def __init__(self, progress: Progress, size: int) -> None:
        self._progress, self._size, self._done = progress, size, 0

    def part(self, number: int) -> Progress:
        """Return the progress of a part, counted from 0."""

        def show(done: int, total: int) -> None:
            if total:
                thirds = number * total + min(done, total)
                self._done = max(self._done, self._size * thirds // (3 * total))
                self._progress(self._done, self._size)

        return show

    def finish(self) -> None:
        """Show that everything is done."""
        self._progress(self._size, self._size)


# ---------------------------------------------------------------------------------- the output


class Output:
    """The recovered chronicle while it is written.

    Parameters
    ----------
    stream : binary file
    schema : Schema
    """

    def __init__(self, stream: BinaryIO, schema: Schema) -> None:
        self._stream, self._schema = stream, schema
        self._encoder = Encoder(schema)
        self._stream.write(self._encoder.begin())

    @property
    def num_records(self) -> int:
        """Records written so far."""
        return self._encoder.num_records

    def add(self, chunk: Chunk) -> Chunk | None:
        """Write records, which do not go back; return those that no batch has room for.

        Raises
        ------
        RecoveryError
        """
        rows = self._rows_with_room(chunk)
        kept = chunk if rows is None else chunk.take(rows)
        try:
            self._stream.write(self._encoder.feed(kept))
        except EncodeError as err:
            raise RecoveryError(f"cannot be written again: {err}") from err
        if rows is None or len(rows) == chunk.num_records:
            return None
        return chunk.take(np.setdiff1d(np.arange(chunk.num_records), rows))

    def _rows_with_room(self, chunk: Chunk) -> npt.NDArray[np.intp] | None:
        """Return the rows that fit into the batches of the output, each of them if it can.

        None: all do, and so they do in whatever way they are cut into batches.
        """
        schema, size = self._schema, self._schema.batch_records
        masks = {f.name: c.mask() for f, c in chunk.columns.items() if not f.declared}
        names = self._encoder.pending_names
        if len(names | masks.keys()) <= undeclared_max(schema):
            return None
        limits = schema.format.limits
        room = BatchRoom(schema, names, limits.columns_max - schema.num_columns)
        rows: list[int] = []
        for row in range(chunk.num_records):
            number = (self.num_records + len(rows)) % size
            if number == 0:
                room.begin(0)
            with suppress(EncodeError):
                names = {name for name, mask in masks.items() if mask[row]}
                room.names.update(room.new_names(names, number))
                rows.append(row)
        return np.array(rows, np.intp)

    def finish(self, status: int) -> None:
        """Close the chronicle.

        Parameters
        ----------
        status : int
            How the run ended, as INDEX states it.

        Raises
        ------
        RecoveryError
        """
        try:
            self._stream.write(self._encoder.finish(status))
        except EncodeError as err:
            raise RecoveryError(f"cannot be written again: {err}") from err
        self._stream.seek(0)
        self._stream.write(self._encoder.header(self._encoder.num_records))
        self._stream.flush()


def _status(index: Index | None, schema: Schema) -> int:
    """Return how the run ended, if its INDEX is intact and this version knows the word."""
    status = 0 if index is None else index.status
    return status if schema.format.status_name(status) else 0


def require_free(target: Path) -> None:
    """Refuse a name that is taken.

    Raises
    ------
    ExistsError
    """
    if target.is_dir():
        raise ExistsError(f"{target} is a folder, expected the name of a new file")
    if os.path.lexists(target):
        raise ExistsError(f"{target} exists; a recovery never writes over a file")


def verify(path: Path, num_records: int, progress: Progress) -> None:
    """Check the output against every rule of the format.

    Raises
    ------
    RecoveryError
    """
    report = validate(path, progress=progress)
    if not report.ok or report.num_records != num_records:
        raise RecoveryError(
            f"the salvaged records are not a valid chronicle; please report this: {report}"
        )


def publish(file: File, target: Path) -> None:
    """Give the recovered file its name, unless that has been taken meanwhile.

    Raises
    ------
    ExistsError
    OSError
        It cannot be made durable; then it does not have the name.
    """
    try:
        publish_new(file, target)
    except FileExistsError:
        require_free(target)
        raise
