"""A finding: one thing that is wrong with a file, which reading raises and validating collects."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from cmeta.aliases import Buffer, Progress
from cmeta.errors import CanonicalError, ChecksumError, CorruptError, DecodeError, EncodeError
from cmeta.format.batch import Batch, BatchContext
from cmeta.format.block import Block, numbered, parse_config, parse_name, read_block
from cmeta.format.encoder import Encoder
from cmeta.format.grammar import Grammar, grammar_of
from cmeta.format.index import FileMap
from cmeta.format.source import Source
from cmeta.records.chunk import Chunk, Column
from cmeta.schema.load import shipped_format
from cmeta.schema.types import Field
from cmeta.storage.file_state import file_state, read_beside
from cmeta.storage.source import open_source


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

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
        """Return the finding that an error stands for."""
        return cls(error.offset, error.path, type(error).__name__, error.message)

    def __str__(self) -> str:
        return f"offset {self.offset}, {self.path}: {self.kind}: {self.message}"


@dataclass
class Report:
    """What validating found.

    Attributes
    ----------
    name : str
        The file.
    state : str
        "closed", "open", "damaged", or "unreadable" if not even header and SCHEMA could be read.
    has_journal : bool
        Whether the file is open, and its journal gives the records since the last batch.
    num_records, num_batches, len_file : int
        What is intact, and the file's length in bytes.
    findings : list of Finding
        In the order of their discovery; a closed file with none is valid.
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
        """Whether the file is closed and nothing is wrong with it."""
        return self.state == "closed" and not self.findings

    def __str__(self) -> str:
        verdict = "valid" if self.ok else f"{len(self.findings)} findings"
        counts = f"{self.num_records} records in {self.num_batches} batches"
        lines = [f"{self.name}: {self.state}, {counts}, {self.len_file} bytes: {verdict}"]
        return "\n".join([*lines, *(f"  {finding}" for finding in self.findings)])


_CHUNK = 1 << 20


def validate(
    path: str | os.PathLike[str] | bytes | bytearray | memoryview,
    *,
    canonical: bool = True,
    progress: Progress | None = None,
) -> Report:
    """Hold a file against every rule of the format.

    Parameters
    ----------
    path : path or bytes
    canonical : bool
        Also check that the bytes are the ones that a writer must choose (about as slow as writing).
    progress : callable, optional
        Called with bytes done and bytes in all.

    Returns
    -------
    Report

    Raises
    ------
    OSError
        The file cannot be opened; anything that is wrong with its bytes is a finding.

    Examples
    --------
    >>> print(validate(b"not a chronicle").findings[0])
    offset 0, header.signature: CorruptError: found 0x20746f6e, expected 0xc0da55e
    """
    journal = None if isinstance(path, Buffer) else read_beside(path)
    source = open_source(path)
    try:
        report = Report(source.name, len_file=source.size)
        tell = progress or (lambda done, size: None)
        for error in _problems(source, journal, report, canonical, tell):
            report.findings.append(Finding.of(error))
        return report
    finally:
        source.close()


def _problems(
    source: Source, journal: bytes | None, report: Report, canonical: bool, progress: Progress
) -> Iterator[DecodeError]:
    grammar = grammar_of(shipped_format())
    standing = file_state(source, journal, grammar)
    if standing.problem is not None:
        yield standing.problem
    if (found := standing.map) is None:
        return
    report.state = "damaged" if standing.kind == "damaged" else found.state
    sums = list(_checksum_problems(source, grammar, found)) if found.state == "closed" else []
    yield from sums
    examiner = _Examiner(source, grammar, found, canonical)
    for row in range(len(found.table)):
        yield from examiner.examine(row)
        progress(examiner.end, source.size)
    if found.state == "closed" and not sums:
        yield from examiner.finish()
    report.num_batches, report.num_records = examiner.num_batches, examiner.num_records
    if standing.journal is not None:
        report.has_journal = True
        report.num_records += len(standing.journal.bodies)


def _checksum_problems(source: Source, grammar: Grammar, found: FileMap) -> Iterator[DecodeError]:
    """Check the trailer's CRC over the whole payload, and the INDEX's running one."""
    at, end = grammar.header.size, source.size - grammar.trailer.size
    stop = _end_of_full_batches(found, grammar)
    crc = running = None
    while at < end:
        next_stop = stop if at < stop else end
        data = source.read(at, min(_CHUNK, next_stop - at))
        crc = grammar.checksum(data, crc)
        at += len(data)
        if at == stop:
            running = crc
    if running != found.running_crc:
        yield ChecksumError(
            f"the payload gives {running or 0:#018x}, stored is {found.running_crc:#018x}",
            offset=end - grammar.frame_tail.size - grammar.index_tail.size,
            path="INDEX.running_crc",
        )
    stored = grammar.trailer.parse(source.read(end, grammar.trailer.size))["checksum"]
    if crc != stored:
        yield ChecksumError(
            f"the payload gives {crc or 0:#018x}, stored is {stored:#018x}",
            offset=end,
            path="trailer.checksum",
        )


def _end_of_full_batches(found: FileMap, grammar: Grammar) -> int:
    """Return where the last full batch ends, or the SCHEMA block if none is full."""
    table = found.table
    full = np.flatnonzero(
        (table["kind"] == grammar.kinds["BATCH"])
        & (table["records_count"] == found.schema.batch_records)
    )
    return int(found.ends[full[-1] if len(full) else 0])


class _Examiner:
    """Examines block after block, and encodes again what it has decoded."""

    def __init__(self, source: Source, grammar: Grammar, found: FileMap, canonical: bool) -> None:
        self._source, self._grammar, self._found = source, grammar, found
        self._ends = found.ends
        self._names: list[str] = []
        self._configs: list[bytes] = []
        self._group = b""
        self._group_offset = grammar.header.size
        self.num_batches = self.num_records = 0
        self._last = (0, 0)
        self.end = grammar.header.size
        self._encoder: Encoder | None = None
        if canonical and not found.header.is_newer:
            self._encoder = Encoder(found.schema)
            self._encoder.begin()

    def examine(self, row: int) -> Iterator[DecodeError]:
        """Check the block of a row of the table."""
        offset, self.end = int(self._found.table["offset"][row]), int(self._ends[row])
        newer = self._found.header.is_newer
        listed = self._grammar.names.get(int(self._found.table["kind"][row]), "block")
        try:
            with numbered(listed, lambda: self._found.number_of(row)):
                block = read_block(self._source, self._grammar, offset, self.end, newer=newer)
                self._check_row(block, row)
            self._check_block(block, row)
        except DecodeError as err:
            self._encoder = None  # what follows cannot be encoded again without this
            self._keep_place(row)
            yield err
            return
        if block.name == "SCHEMA":
            self._group_offset = self.end
        elif self._encoder is not None:
            self._group += self._source.read(offset, self.end - offset)
            if block.name == "BATCH":
                yield from self._compare_group()

    def finish(self) -> Iterator[DecodeError]:
        """Compare what stands behind the last full batch with what a writer puts there."""
        if self._encoder is None:
            return
        expected = self._encoder.finish()
        end = self._source.size
        rest = self._group + self._source.read(self._found.end, end - self._found.end)
        yield from self._difference(expected, rest)

    def _keep_place(self, row: int) -> None:
        """Count a block that cannot be read, so that what follows is not called wrong for it."""
        name = self._grammar.names.get(int(self._found.table["kind"][row]))
        if name == "CONFIG" and len(self._configs) == self._num_before("CONFIG", row):
            self._configs.append(b"")
        elif name == "NAME" and len(self._names) == self._num_before("NAME", row):
            self._names.append("")

    def _num_before(self, name: str, row: int) -> int:
        kinds = self._found.table["kind"][:row]
        return int(np.count_nonzero(kinds == self._grammar.kinds[name]))

    def _check_row(self, block: Block, row: int) -> None:
        expected = self._found.table[row]
        if block.kind != expected["kind"] or block.flags != expected["flags"]:
            message = f"kind {block.kind}, flags {block.flags:#x}, but the INDEX says otherwise"
            raise CorruptError(message, offset=block.offset, path=block.name)
        if block.end != self._ends[row]:
            message = f"ends at {block.end}, but the INDEX says {self._ends[row]}"
            raise CorruptError(message, offset=block.offset, path=block.name)

    def _check_block(self, block: Block, row: int) -> None:
        schema = self._found.schema
        if block.name == "CONFIG":
            parse_config(block, schema)
            self._configs.append(block.body)
        elif block.name == "NAME":
            name = parse_name(block, schema)
            if name in self._names:
                message = f"{name!r} for a second time"
                raise CorruptError(message, offset=block.body_offset, path="NAME")
            self._names.append(name)
        elif block.name == "BATCH":
            ordinal = self._num_before("BATCH", row)
            around = BatchContext(
                ordinal, self._found.table[row], tuple(self._names), len(self._configs)
            )
            batch = Batch(block, schema, self._grammar, around)
            self._check_order(batch, block)
            columns = _DecodedColumns(batch)
            self._feed(Chunk(batch.num_records, columns, tuple(self._configs)), block)
            self.num_batches += 1
            self.num_records += batch.num_records

    def _check_order(self, batch: Batch, block: Block) -> None:
        """Hold a batch against the one before it; within it, decoding has looked."""
        codes = batch.phases.codes
        first = (int(batch.timestamps[0]), int(codes[0]))
        last, self._last = self._last, (int(batch.timestamps[-1]), int(codes[-1]))
        if first < last:
            labels = self._found.schema.phases
            message = (
                f"(timestamp {first[0]}, {labels[first[1]]}) comes after "
                f"(timestamp {last[0]}, {labels[last[1]]}), where the batch before ends"
            )
            raise CorruptError(message, offset=block.body_offset, path=batch.path)

    def _feed(self, chunk: Chunk, block: Block) -> None:
        """Decode a batch, and encode it again where that is wanted."""
        self._expected = b""
        if self._encoder is None or chunk.num_records < self._found.schema.batch_records:
            for _ in chunk.columns.values():  # the encoder looks at a short batch when it finishes
                pass
        if self._encoder is None:
            return
        try:
            self._expected = self._encoder.feed(chunk)
        except EncodeError as err:
            raise CorruptError(str(err), offset=block.offset, path="BATCH") from err

    def _compare_group(self) -> Iterator[DecodeError]:
        """Compare a batch and the CONFIG and NAME blocks before it with the writer's choice."""
        if not self._expected:
            return  # a short batch: compared at the end, with INDEX and trailer
        found, self._group = self._group, b""
        offset, self._group_offset = self._group_offset, self.end
        yield from self._difference(self._expected, found, offset)

    def _difference(
        self, expected: bytes, found: bytes, offset: int | None = None
    ) -> Iterator[DecodeError]:
        if expected == found:
            return
        self._encoder = None
        start = self._group_offset if offset is None else offset
        pairs = enumerate(zip(expected, found, strict=False))
        same = min(len(expected), len(found))
        at = next((i for i, (a, b) in pairs if a != b), same)
        yield CanonicalError(
            f"found {found[at : at + 8].hex(' ') or 'nothing'}, where a writer must put "
            f"{expected[at : at + 8].hex(' ') or 'nothing'}",
            offset=start + at,
            path=self._path_at(start + at),
        )

    def _path_at(self, offset: int) -> str:
        table = self._found.table
        row = int(np.searchsorted(table["offset"], np.uint64(offset), side="right")) - 1
        if offset >= self._found.end:
            return "INDEX"
        name = self._grammar.names.get(int(table["kind"][row]), "block")
        same_kind = table["kind"][:row] == table["kind"][row]
        return f"{name}[{np.count_nonzero(same_kind)}]"


class _DecodedColumns(Mapping[Field, Column]):
    """The columns of a batch, each decoded and checked when it is wanted."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    def __getitem__(self, field: Field) -> Column:
        parts = []
        for column in self._batch.components(field, 0):
            if column.present is not None and not column.present.any():
                offset, path = self._batch.place_of(field, 0)
                raise CanonicalError("a column without a value", offset=offset, path=path)
            parts.append(column)
        if not parts:
            raise KeyError(field)
        return Column.of_components(parts, field)

    def __contains__(self, field: object) -> bool:
        return field in self._batch.fields

    def __iter__(self) -> Iterator[Field]:
        return iter(self._batch.fields)

    def __len__(self) -> int:
        return len(self._batch.fields)
