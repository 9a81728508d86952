"""`validate`: a file against every rule of the format; all findings, not only the first.

Blocks are checked one after another, as reading does. Decoded values are encoded again and
compared with the bytes of the file: there is one way to write a run.

A file that a writer changes meanwhile is checked again; one that changes each time is *busy*, and
has no findings.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cmeta.aliases import Buffer, PathLike, Progress
from cmeta.errors import (
    BusyError,
    CanonicalError,
    ChecksumError,
    CorruptError,
    DecodeError,
    EncodeError,
    LimitError,
    counted,
)
from cmeta.format.batch import Batch, BatchContext
from cmeta.format.block import Block, numbered, parse_config, parse_name, read_block
from cmeta.format.encoder import Encoder, order_message
from cmeta.format.grammar import Grammar, grammar_of
from cmeta.format.index import FileMap
from cmeta.records.chunk import Chunk, Column
from cmeta.safe_text import printable
from cmeta.schema.load import shipped_format
from cmeta.schema.types import Field
from cmeta.source import BytesSource, FileSource, Source, expanded
from cmeta.storage.open import FileState, file_state, open_journal, watch_of
from cmeta.storage.watch import BUSY, unless_busy

_EMPTY_COLUMN = "found a column without values, expected it to be left out"
_LEN_READ = 1 << 20  # bytes of the payload in memory


@dataclass(frozen=True)
class Finding:
    """One error of a file.

    Attributes
    ----------
    offset : int
        Bytes from the start of the file.
    path : str
        The element, such as ``BATCH[3].metrics.entropy``.
    kind : str
        Name of the error's class, such as ``ChecksumError``.
    message : str
        What was found and what was expected.
    """

    offset: int
    path: str
    kind: str
    message: str

    @classmethod
    def of(cls, error: DecodeError) -> Finding:
        """Return an error as a finding."""
        return cls(error.offset, error.path, type(error).__name__, error.message)

    def __str__(self) -> str:
        return printable(f"offset {self.offset}, {self.path}: {self.kind}: {self.message}")


@dataclass
class Report:
    """The findings on a file, and its intact part.

    Attributes
    ----------
    name : str
        Path of the file.
    state : str
        "closed", "open", "damaged"; "unreadable" if not even header and SCHEMA could be read;
        "busy" if its writer changed it each time that it was read.
    has_journal : bool
        Whether the file is not closed, and its journal gives the records since the last batch.
    num_records, num_batches, len_file : int
        Size of the intact part, and the length of the file in bytes.
    findings : list of Finding
        In order of discovery; a closed file without one is valid.
    """

    name: str
    state: str = "unreadable"
    has_journal: bool = False
    num_records: int = 0
    num_batches: int = 0
    len_file: int = 0
    findings: list[Finding] = dataclasses.field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether the file is closed and without findings."""
        return self.state == "closed" and not self.findings

    def __str__(self) -> str:
        verdict = "valid" if self.ok else counted(len(self.findings), "finding")
        if self.state == "busy":
            return f"{self.name}: busy: {BUSY}"
        batches = counted(self.num_batches, "batch", "batches")
        counts = f"{counted(self.num_records, 'record')} in {batches}"
        lines = [f"{self.name}: {self.state}, {counts}, {self.len_file:,} bytes: {verdict}"]
        return "\n".join(map(printable, [*lines, *(f"  {finding}" for finding in self.findings)]))


def validate(
    path: PathLike | Buffer,
    *,
    canonical: bool = True,
    max_cells: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """Check a file against every rule of the format.

    Parameters
    ----------
    path : path or bytes
    canonical : bool
        Also check that the bytes are those that a writer must choose; takes as long as writing.
    max_cells : int, optional
        Above this number of values, absent ones included, checking ends with an error. A small file
        may hold very many, if they are all alike.
    progress : callable, optional
        Called with bytes done and bytes in all, at least once for each column.

    Returns
    -------
    Report

    Raises
    ------
    LimitError
        The file holds more than `max_cells`.
    OSError
        The file cannot be opened; errors in its bytes are findings.

    Examples
    --------
    >>> print(validate(b"not a chronicle").findings[0])
    offset 0, header.signature: CorruptError: not a .cmeta file: begins with b'not '
    """
    report_to = progress or (lambda done, size: None)
    if isinstance(path, Buffer):
        return _report(BytesSource(path), None, canonical, max_cells, report_to)
    file = Path(expanded(path))
    try:
        return unless_busy(lambda: _file_report(file, canonical, max_cells, report_to))
    except BusyError:
        return Report(str(file), "busy", len_file=file.stat().st_size)


def _file_report(path: Path, canonical: bool, max_cells: int | None, report_to: Progress) -> Report:
    watch = watch_of(path)
    journal = open_journal(path)
    with closing(journal) if journal else nullcontext(), closing(FileSource(path)) as source:
        report = _report(source, journal, canonical, max_cells, report_to)
    if report.findings or (report.state == "open" and not report.has_journal):
        watch.require_unchanged()
    return report


def _report(
    source: Source,
    journal: Source | None,
    canonical: bool,
    max_cells: int | None,
    report_to: Progress,
) -> Report:
    report = Report(source.name, len_file=source.size)
    state = file_state(source, journal, grammar_of(shipped_format()))
    try:
        for error in _problems(source, state, report, canonical, max_cells, report_to):
            report.findings.append(Finding.of(error))
    except DecodeError as err:  # the file has become shorter
        report.findings.append(Finding.of(err))
    except _CellsError as err:
        raise LimitError(str(err), offset=err.offset, path=err.path) from None
    return report


class _CellsError(Exception):
    """More cells than the caller allows; no `DecodeError`, which would be a finding."""

    def __init__(self, message: str, offset: int, path: str) -> None:
        super().__init__(message)
        self.offset, self.path = offset, path


def _problems(
    source: Source,
    state: FileState,
    report: Report,
    canonical: bool,
    max_cells: int | None,
    report_to: Progress,
) -> Iterator[DecodeError]:
    """Yield the errors; count intact batches and records in the report."""
    grammar = grammar_of(shipped_format())
    if state.problem is not None:
        yield state.problem
    blocks = state.map
    if blocks is None:
        return
    report.state = state.state
    is_closed = blocks.state == "closed"
    wrong_sums = list(_checksum_problems(source, grammar, blocks)) if is_closed else []
    yield from wrong_sums
    checker = _BlockChecker(source, grammar, blocks, canonical, max_cells, report_to)
    for row in range(len(blocks.table)):
        yield from checker.check(row)
        checker.report_done(checker.end)
    if is_closed and not wrong_sums:
        yield from checker.finish()
    report.num_batches, report.num_records = checker.num_batches, checker.num_records
    if state.journal is not None:
        report.has_journal = True
        report.num_records += len(state.journal.bodies)


def _checksum_problems(source: Source, grammar: Grammar, blocks: FileMap) -> Iterator[DecodeError]:
    """Check the CRC over the whole payload in the trailer, and the running one in the INDEX."""
    end = source.size - grammar.trailer.size
    running = grammar.checksum.over(source, grammar.header.size, blocks.end_of_full)
    crc = grammar.checksum.over(source, blocks.end_of_full, end, running)
    if running != blocks.running_crc:
        yield ChecksumError(
            f"the payload gives {running:#018x}, stored is {blocks.running_crc:#018x}",
            offset=end - grammar.frame_tail.size - grammar.index_tail.size,
            path="INDEX.running_crc",
        )
    stored = grammar.trailer.parse(source.read(end, grammar.trailer.size))["checksum"]
    if crc != stored:
        yield ChecksumError(
            f"the payload gives {crc:#018x}, stored is {stored:#018x}",
            offset=end,
            path="trailer.checksum",
        )


class _BlockChecker:
    """Checks one block after another, and encodes the decoded values again."""

    def __init__(
        self,
        source: Source,
        grammar: Grammar,
        blocks: FileMap,
        canonical: bool,
        max_cells: int | None,
        report_to: Progress,
    ) -> None:
        self._max_cells, self._num_cells = max_cells, 0
        self._report_to, self._len_done = report_to, 0
        self._source, self._grammar, self._blocks = source, grammar, blocks
        self._ends = blocks.ends
        self._names: list[str] = []
        self._configs: list[bytes] = []
        self._blocks_since_batch = b""
        self._blocks_offset = grammar.header.size
        self.num_batches = self.num_records = 0
        self._last = (0, 0)
        self.end = grammar.header.size
        self._encoder: Encoder | None = None
        if canonical and not blocks.header.is_newer:
            self._encoder = Encoder(blocks.schema)
            self._encoder.begin()

    def report_done(self, offset: int) -> None:
        """Report how far the file has been checked; a short batch is gone through twice."""
        self._len_done = max(self._len_done, offset)
        self._report_to(self._len_done, self._source.size)

    def check(self, row: int) -> Iterator[DecodeError]:
        """Check the block of a row of the table."""
        offset, self.end = int(self._blocks.table["offset"][row]), int(self._ends[row])
        newer = self._blocks.header.is_newer
        listed = self._grammar.names.get(int(self._blocks.table["kind"][row]), "block")
        try:
            with numbered(listed, lambda: self._blocks.number_of(row)):
                block = read_block(self._source, self._grammar, offset, self.end, newer=newer)
                self._check_row(block, row)
            self._check_block(block, row)
        except DecodeError as err:
            self._encoder = None  # later blocks cannot be encoded again without this one
            self._keep_place(row)
            yield err
            return
        if block.name == "SCHEMA":
            self._blocks_offset = self.end
        elif self._encoder is not None:
            self._blocks_since_batch += self._source.read(offset, self.end - offset)
            if block.name == "BATCH":
                yield from self._compare_blocks()

    def finish(self) -> Iterator[DecodeError]:
        """Compare the bytes after the last full batch with the bytes that a writer produces."""
        if self._encoder is None:
            return
        expected = self._encoder.finish(self._blocks.status)
        end = self._source.size
        tail = self._source.read(self._blocks.end, end - self._blocks.end)
        yield from self._difference(expected, self._blocks_since_batch + tail)

    def _keep_place(self, row: int) -> None:
        """Count a block that cannot be read, so that later blocks are not blamed for it."""
        name = self._grammar.names.get(int(self._blocks.table["kind"][row]))
        if name == "CONFIG" and len(self._configs) == self._num_before("CONFIG", row):
            self._configs.append(b"")
        elif name == "NAME" and len(self._names) == self._num_before("NAME", row):
            self._names.append("")

    def _num_before(self, name: str, row: int) -> int:
        return self._blocks.num_before(self._grammar.kinds[name], row)

    def _check_row(self, block: Block, row: int) -> None:
        expected = self._blocks.table[row]
        if block.kind != expected["kind"] or block.flags != expected["flags"]:
            message = (
                f"found kind {block.kind} with flags {block.flags:#x}, but the table of blocks "
                f"says kind {expected['kind']} with flags {expected['flags']:#x}"
            )
            raise CorruptError(message, offset=block.offset, path=block.name)
        if block.end != self._ends[row]:
            message = f"ends at {block.end}, but the table of blocks says {self._ends[row]}"
            raise CorruptError(message, offset=block.offset, path=block.name)

    def _check_block(self, block: Block, row: int) -> None:
        schema = self._blocks.schema
        if block.name == "CONFIG":
            parse_config(block, schema)
            self._configs.append(block.body)
        elif block.name == "NAME":
            self._names.append(parse_name(block, schema, self._names))
        elif block.name == "BATCH":
            ordinal = self._num_before("BATCH", row)
            context = BatchContext(
                ordinal, self._blocks.table[row], tuple(self._names), len(self._configs)
            )
            batch = Batch(block, schema, self._grammar, context)
            self._require_cells(batch, block)
            self._check_order(batch, block)
            columns = _DecodedColumns(batch, self.report_done)
            self._feed(Chunk(batch.num_records, columns, tuple(self._configs)), block)
            self.num_batches += 1
            self.num_records += batch.num_records

    def _require_cells(self, batch: Batch, block: Block) -> None:
        self._num_cells += batch.num_cells
        if self._max_cells is not None and self._num_cells > self._max_cells:
            message = f"{self._num_cells:,} values up to here, expected at most {self._max_cells:,}"
            raise _CellsError(f"{message} (max_cells)", block.offset, batch.path)

    def _check_order(self, batch: Batch, block: Block) -> None:
        """Check that a batch follows the one before it; decoding has checked the order within."""
        codes = batch.phases.codes
        first = (int(batch.timestamps[0]), int(codes[0]))
        last, self._last = self._last, (int(batch.timestamps[-1]), int(codes[-1]))
        if first < last:
            message = order_message(last, first, self._blocks.schema)
            message += ", where the batch before ends"
            raise CorruptError(message, offset=block.body_offset, path=batch.path)

    def _feed(self, chunk: Chunk, block: Block) -> None:
        """Decode a batch, and encode it again if asked to."""
        self._expected = b""
        if self._encoder is None or chunk.num_records < self._blocks.schema.batch_records:
            for _ in chunk.columns.values():  # the encoder reads a short batch when it finishes
                pass
        if self._encoder is None:
            return
        try:
            self._expected = self._encoder.feed(chunk)
        except EncodeError as err:
            raise CorruptError(str(err), offset=block.offset, path="BATCH") from err

    def _compare_blocks(self) -> Iterator[DecodeError]:
        """Compare a batch and the CONFIG and NAME blocks before it with the writer's choice."""
        if not self._expected:
            return  # a short batch: compared at the end, with INDEX and trailer
        stored, self._blocks_since_batch = self._blocks_since_batch, b""
        offset, self._blocks_offset = self._blocks_offset, self.end
        yield from self._difference(self._expected, stored, offset)

    def _difference(
        self, expected: bytes, stored: bytes, offset: int | None = None
    ) -> Iterator[DecodeError]:
        if expected == stored:
            return
        self._encoder = None
        start = self._blocks_offset if offset is None else offset
        pairs = enumerate(zip(expected, stored, strict=False))
        same = min(len(expected), len(stored))
        at = next((i for i, (a, b) in pairs if a != b), same)
        yield CanonicalError(
            f"found {stored[at : at + 8].hex(' ') or 'nothing'}, where a writer must put "
            f"{expected[at : at + 8].hex(' ') or 'nothing'}",
            offset=start + at,
            path=self._path_at(start + at),
        )

    def _path_at(self, offset: int) -> str:
        table = self._blocks.table
        row = int(np.searchsorted(table["offset"], np.uint64(offset), side="right")) - 1
        if offset >= self._blocks.end:
            return "INDEX"
        name = self._grammar.names.get(int(table["kind"][row]), "block")
        return f"{name}[{self._blocks.number_of(row)}]"


class _DecodedColumns(Mapping[Field, Column]):
    """The columns of a batch, each decoded and checked when it is looked up."""

    def __init__(self, batch: Batch, report_done: Callable[[int], None]) -> None:
        self._batch, self._report_done = batch, report_done

    def __getitem__(self, field: Field) -> Column:
        parts = []
        for column in self._batch.components(field, 0):
            if column.present is not None and not column.present.any():
                offset, path = self._batch.place_of(field, 0)
                raise CanonicalError(_EMPTY_COLUMN, offset=offset, path=path)
            parts.append(column)
            self._report_done(self._batch.place_of(field, 0)[0])
        if not parts:
            raise KeyError(field)
        return Column.of_components(parts, field)

    def __contains__(self, field: object) -> bool:
        return isinstance(field, Field) and self._batch.has(field)

    def __iter__(self) -> Iterator[Field]:
        return iter(self._batch.fields)

    def __len__(self) -> int:
        return len(self._batch.fields)
