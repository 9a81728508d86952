"""What a reader tells of batches and of itself."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from cmeta.errors import CorruptError, DecodeError
from cmeta.format.batch import Batch, BatchContext, RowBatch
from cmeta.format.block import Block, numbered, parse_config, parse_name, read_block
from cmeta.format.grammar import grammar_of
from cmeta.format.index import State, map_file
from cmeta.format.journal import Journal
from cmeta.format.source import BytesSource, Source
from cmeta.records.chunk import Chunk
from cmeta.schema import canonical_json
from cmeta.schema.load import shipped_format
from cmeta.schema.schema import Schema
from cmeta.schema.types import Field
from cmeta.storage.file_state import FileState, file_state, journal_path
from cmeta.storage.source import FileSource

AnyBatch = Batch | RowBatch  # sealed, or still in the journal


@dataclass(frozen=True)
class BatchInfo:
    """What the INDEX says of a batch."""

    ordinal: int
    offset: int
    len_block: int
    num_records: int
    first_timestamp: int
    last_timestamp: int


@dataclass
class Stats:
    """What a reader has read and decoded so far."""

    num_batches: int = 0
    num_columns: int = 0


T = TypeVar("T")


@dataclass(frozen=True)
class Recent:
    """The rows of a journal, cut as their batches will be.

    Attributes
    ----------
    journal : Journal or None
        None for a file that is not open, or has none.
    """

    journal: Journal | None = None

    @property
    def num_records(self) -> int:
        """How many there are."""
        return len(self.journal.bodies) if self.journal else 0

    @cached_property
    def _chunks(self) -> tuple[Chunk, ...]:
        journal = self.journal
        if journal is None or not journal.bodies:
            return ()
        size = journal.schema.batch_records
        return tuple(
            journal.layout.chunk_of(journal.bodies[i : i + size], journal.tables, numbered=True)
            for i in range(0, len(journal.bodies), size)
        )

    def batch(self, place: int, ordinal: int) -> RowBatch:
        """Return one of the batches."""
        if self.journal is None:
            raise AssertionError("only a journal has recent records")
        return RowBatch(self._chunks[place], self.journal.schema, ordinal)

    def infos(self, num_sealed: int, end: int) -> tuple[BatchInfo, ...]:
        """Return what an INDEX would say of them; they take no room in the file."""
        found = []
        for place in range(len(self._chunks)):
            b = self.batch(place, num_sealed + place)
            found.append(
                BatchInfo(
                    num_sealed + place, end, 0, b.num_records, b.first_timestamp, b.last_timestamp
                )
            )
        return tuple(found)

    def configs_after(self, sealed: tuple[Mapping[str, Any], ...]) -> tuple[Mapping[str, Any], ...]:
        """Return all configurations, given those of the main file."""
        if self.journal is None:
            return sealed
        limits = self.journal.schema.format.limits
        configs = self.journal.tables.configs.items()
        return _merged(
            sealed, {n: canonical_json.loads(body, limits) for n, body in configs}, "CONFIG"
        )

    def names_after(self, sealed: tuple[str, ...]) -> tuple[str, ...]:
        """Return all names of undeclared metrics, given those of the main file."""
        return (
            sealed if self.journal is None else _merged(sealed, self.journal.tables.names, "NAME")
        )


def _merged(sealed: tuple[T, ...], recent: Mapping[int, T], kind: str) -> tuple[T, ...]:
    """Put the journal's definitions behind the main file's; where both define, they agree."""
    merged = list(sealed)
    for number, value in sorted(recent.items()):
        if number > len(merged):
            raise CorruptError(f"{kind} {number}, but {len(merged)} so far", path=f"journal.{kind}")
        if number == len(merged):
            merged.append(value)
        elif merged[number] != value:
            message = f"{kind} {number} is another one in the main file"
            raise CorruptError(message, path=f"journal.{kind}")
    return tuple(merged)


class OpenFile:
    """What selecting and gathering work on; `Reader` is the face of it.

    Raises
    ------
    DecodeError
        Header or SCHEMA cannot be read.
    """

    def __init__(self, source: Source, standing: FileState | None = None) -> None:
        self.source = source
        self._grammar = grammar_of(shipped_format())
        self.map = standing.map if standing and standing.map else map_file(source, self._grammar)
        self.problem = standing.problem if standing else self.map.problem
        self.state: State = self.map.state
        if standing and standing.kind == "damaged":
            self.state = "damaged"  # also an open file whose journal is not its own
        self._rows = np.flatnonzero(self.map.table["kind"] == self._grammar.kinds["BATCH"])
        self.stats = Stats()
        self._recent = Recent(standing.journal if standing else None)
        self.has_journal = self._recent.journal is not None
        self.num_sealed = int(self.map.table["records_count"][self._rows].sum(dtype=np.int64))
        self.num_records = self.num_sealed + self._recent.num_records

    @property
    def schema(self) -> Schema:
        """The embedded schema."""
        return self.map.schema

    @cached_property
    def batches(self) -> tuple[BatchInfo, ...]:
        """The batches, from the INDEX; those of the journal's rows behind them."""
        ends = self.map.ends[self._rows].tolist()
        rows = self.map.table[self._rows].tolist()
        sealed = tuple(
            BatchInfo(i, offset, end - offset, count, first, last)
            for i, ((_, _, _, count, offset, first, last), end) in enumerate(
                zip(rows, ends, strict=True)
            )
        )
        return sealed + self._recent.infos(len(sealed), self.map.end)

    @cached_property
    def configs(self) -> tuple[Mapping[str, Any], ...]:
        """The configurations, by number."""
        sealed = tuple(parse_config(block, self.schema) for block in self._blocks("CONFIG"))
        return self._recent.configs_after(sealed)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the undeclared metrics, by number."""
        names: dict[str, None] = {}
        for block in self._blocks("NAME"):
            name = parse_name(block, self.schema)
            if name in names:
                message = f"{name!r} for a second time"
                raise CorruptError(message, offset=block.body_offset, path="NAME")
            names[name] = None
        return self._recent.names_after(tuple(names))

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """All fields: the declared ones, then the undeclared metrics; reads the NAME blocks."""
        group, codecs = self.schema.open_group or "", self.schema.format.codecs
        return (*self.schema.fields, *(codecs.undeclared(name, group) for name in self.names))

    def batch(self, ordinal: int) -> AnyBatch:
        """Read one batch and check its CRC and directory; or take it from the journal."""
        if ordinal >= len(self._rows):
            self.stats.num_batches += 1
            return self._recent.batch(ordinal - len(self._rows), ordinal)
        row = int(self._rows[ordinal])
        table = self.map.table
        block = self._block(row)
        before = table["kind"][:row]
        num_names = int(np.count_nonzero(before == self._grammar.kinds["NAME"]))
        known = "names" in vars(self)  # otherwise nobody has asked for an undeclared metric
        names = self.names[:num_names] if known else ("",) * num_names
        num_configs = int(np.count_nonzero(before == self._grammar.kinds["CONFIG"]))
        around = BatchContext(ordinal, table[row], names, num_configs)
        self.stats.num_batches += 1
        return Batch(block, self.schema, self._grammar, around)

    def _blocks(self, name: str) -> Iterator[Block]:
        kind = self._grammar.kinds[name]
        for row in np.flatnonzero(self.map.table["kind"] == kind).tolist():
            yield self._block(row)

    def _block(self, row: int) -> Block:
        """Read a block of the table and hold it against its row."""
        listed = self._grammar.names.get(int(self.map.table["kind"][row]), "block")
        with numbered(listed, lambda: self.map.number_of(row)):
            return self._listed_block(row, listed)

    def _listed_block(self, row: int, listed: str) -> Block:
        expected, end = self.map.table[row], int(self.map.ends[row])
        offset = int(expected["offset"])
        newer = self.map.header.is_newer
        block = read_block(self.source, self._grammar, offset, end, newer=newer)
        if block.kind != expected["kind"] or block.flags != expected["flags"] or block.end != end:
            raise CorruptError(
                f"a {block.name} up to {block.end}, but the INDEX says a {listed} up to {end}",
                offset=offset,
                path=block.name or "block",
            )
        return block


_TRIES = 100  # a writer that changes its files a hundred times in a row between two of our reads
Identity = tuple[int, int, int, int] | None


def open_file(source: str | os.PathLike[str] | bytes | bytearray | memoryview) -> OpenFile:
    """Open a file, with its journal if it is not closed; or bytes, which have none.

    Raises
    ------
    DecodeError
        Header or SCHEMA cannot be read.
    OSError
        The file cannot be opened.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return OpenFile(BytesSource(source))
    path = Path(source)
    before: tuple[Identity, Identity] | None = None
    for _ in range(_TRIES):
        journal, journal_is = _read_journal(journal_path(path))
        main = FileSource(path)
        try:
            found = file_state(main, journal, grammar_of(shipped_format()))
            now = (_identity(path), _identity(journal_path(path)))
            same_files = now[0] is not None and now[0][:2] == _identity_of(main)[:2]
            same_files = same_files and (journal_is is None) == (now[1] is None)
            if journal_is is not None and now[1] is not None:
                same_files = same_files and journal_is[:2] == now[1][:2]
            if _is_settled(found, same_files) or now == before:
                return _opened(main, found)
            before = now
            main.close()
        except BaseException:
            main.close()
            raise
    return _opened(FileSource(path), None)


def _is_settled(found: FileState, same_files: bool) -> bool:
    """Return whether another try cannot find more."""
    return found.kind == "closed" or (found.kind == "open" and same_files)


def _opened(main: FileSource, found: FileState | None) -> OpenFile:
    if found is not None and found.map is None and isinstance(found.problem, DecodeError):
        main.close()
        raise found.problem
    return OpenFile(main, found)


def _read_journal(path: Path) -> tuple[bytes | None, Identity]:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            return file.read(), _of_status(status)
    except FileNotFoundError:
        return None, None


def _identity(path: Path) -> Identity:
    try:
        return _of_status(path.stat())
    except FileNotFoundError:
        return None


def _identity_of(source: FileSource) -> tuple[int, int, int, int]:
    return _of_status(source.status())


def _of_status(status: os.stat_result) -> tuple[int, int, int, int]:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
