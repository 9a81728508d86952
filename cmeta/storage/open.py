"""An open file with its journal: its state, its blocks, its batches.

- `open_file` reads a file and its journal as they were at one moment.
- `file_state` decides in which state the two are (SPEC, States of a file with its journal). What a
  reader may trust and how a writer may go on both follow from it.
- `OpenFile` gives batches, each read and checked on demand: those of the main file, then
  the rows of the journal, cut as their batches will be.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from cmeta.aliases import Buffer, PathLike
from cmeta.errors import ChecksumError, CorruptError, DecodeError, counted
from cmeta.format.batch import Batch, BatchContext, RowBatch
from cmeta.format.block import (
    DEFINITIONS,
    Block,
    numbered,
    parse_config,
    parse_name,
    read_block,
)
from cmeta.format.grammar import Grammar, grammar_of
from cmeta.format.index import (
    FileMap,
    State,
    last_masked_crc,
    map_closed,
    map_file,
    map_heads,
    read_beginning,
)
from cmeta.format.journal import Framer, JournalHeader, Tables, read_journal_header
from cmeta.format.read_journal import Journal, read_journal
from cmeta.records.chunk import Chunk
from cmeta.schema import canonical_json
from cmeta.schema.load import shipped_format
from cmeta.schema.schema import Schema
from cmeta.schema.types import Field
from cmeta.source import BytesSource, FileSource, RefusedSource, Source, expanded
from cmeta.storage.links import resolved
from cmeta.storage.watch import Watch, unless_busy
from cmeta.vocabulary import resolve

AnyBatch = Batch | RowBatch  # from the main file, or from the journal
_ABSENT = (errno.ENOENT, errno.ENAMETOOLONG)  # no journal, or a name too long to have one


@dataclass(frozen=True)
class BatchInfo:
    """The place, size and time of a batch.

    Attributes
    ----------
    ordinal : int
        Its number among the batches.
    first_record : int
        The number of its first record in the file.
    offset, len_block : int
        Bytes; `len_block` is 0 for a batch that is still in the journal.
    num_records, first_timestamp, last_timestamp : int
    """

    ordinal: int
    first_record: int
    offset: int
    len_block: int
    num_records: int
    first_timestamp: int
    last_timestamp: int


@dataclass
class Stats:
    """Numbers of batches read and columns decoded so far."""

    num_batches: int = 0
    num_columns: int = 0


# ------------------------------------------------------------------------------------- opening


def journal_path(path: PathLike) -> Path:
    """Return the path of a file's journal: beside the file itself, not beside a link to it."""
    return Path(f"{resolved(path)}{shipped_format().journal.suffix}")


def is_input(out: PathLike, path: PathLike) -> bool:
    """Return whether an output would replace the file that is read, or its journal.

    Links are followed, hard ones too; the journal's name counts also while there is no journal.
    """
    for name in (Path(path), journal_path(path)):
        if os.path.realpath(out) == os.path.realpath(name):  # a loop of links is no error here
            return True
        with suppress(OSError):  # one of them does not exist
            if os.path.samefile(out, name):
                return True
    return False


def open_journal(path: PathLike) -> Source | None:
    """Return the journal of a file, or None if there is none.

    One that cannot be opened raises its error when it is read: a closed file does not need it.
    """
    name = journal_path(path)
    try:
        return FileSource(name)
    except OSError as err:
        if err.errno in _ABSENT:
            return None
        reason = f"its journal {name.name}: {err.strerror or err}"
        return RefusedSource(name, type(err)(err.errno or errno.EIO, reason, str(name)))


def open_file(source: PathLike | Buffer) -> OpenFile:
    """Open a file with its journal, if it is not closed; or bytes, which have no journal.

    A writer may replace both files between two reads. So they are read again until neither has
    changed meanwhile.

    Raises
    ------
    DecodeError
        Header or SCHEMA cannot be read.
    BusyError
        Its writer changed it during each try.
    OSError
        The file cannot be opened.
    """
    grammar = grammar_of(shipped_format())
    if isinstance(source, Buffer):
        memory = BytesSource(source)
        return OpenFile(memory, file_state(memory, None, grammar))
    path = Path(expanded(source))
    return unless_busy(lambda: _open_once(path, grammar))


def _open_once(path: Path, grammar: Grammar) -> OpenFile:
    watch = watch_of(path)
    journal = open_journal(path)
    with closing(journal) if journal else nullcontext():
        main = FileSource(path)
        try:
            state = file_state(main, journal, grammar)
            if state.kind != "closed":
                watch.require_unchanged(state.problem)
            return OpenFile(main, state, watch)
        except BaseException:
            main.close()
            raise


def watch_of(path: PathLike) -> Watch:
    """Return a watch on a file and its journal."""
    return Watch(Path(expanded(path)), journal_path(path))


# --------------------------------------------------------------------------------------- state

Kind = Literal[
    "absent", "closed", "open", "open without journal", "journal without main file", "damaged"
]


@dataclass(frozen=True)
class FileState:
    """The state of a file with its journal.

    Attributes
    ----------
    kind : str
        As SPEC names it. An open file whose journal breaks a rule is damaged, and has a journal.
    map : FileMap or None
        The blocks of the main file, if its header and SCHEMA can be read.
    journal : Journal or None
        The journal that belongs to a file which is not closed.
    problem : DecodeError or None
        The error of the main file, or of the journal of a file that needs it.
    """

    kind: Kind
    map: FileMap | None = None
    journal: Journal | None = None
    problem: DecodeError | None = None

    @property
    def state(self) -> State:
        """The state of the main file: closed, open, or damaged, also by a wrong journal."""
        if self.kind == "closed":
            return "closed"
        return "open" if self.kind in ("open", "open without journal") else "damaged"


def file_state(main: Source | None, journal: Source | None, grammar: Grammar) -> FileState:
    """Return the state of a file with its journal.

    Parameters
    ----------
    main : Source or None
        The main file, if there is one.
    journal : Source or None
        The journal, if there is one; it is not read if the main file is closed.
    """
    if main is None:
        has_rows = journal is not None and _count_rows(journal, grammar) != 0
        return FileState("journal without main file" if has_rows else "absent")
    try:
        header, schema = read_beginning(main, grammar)
    except DecodeError as err:
        return FileState("damaged", problem=err)
    if not header.is_open:
        try:
            return FileState("closed", map_closed(main, grammar, header, schema))
        except DecodeError:
            pass  # the count in the header may be torn: the journal decides
    if journal is None:
        blocks = map_file(main, grammar)
        kind: Kind = "open without journal" if blocks.state == "open" else "damaged"
        return FileState(kind, blocks, problem=blocks.problem)
    try:
        head = read_journal_header(journal, grammar)
        blocks = map_heads(main, grammar, header, schema, head.base_length)
        _require_bound(main, blocks, head, grammar)
        rows = read_journal(journal, schema, grammar, _definitions(main, blocks, grammar))
    except DecodeError as err:
        err.message = f"the journal does not belong to the file as it is: {err.message}"
        return FileState("damaged", map_file(main, grammar), problem=err)
    if rows.breaks_rule:
        message = f"after {counted(len(rows.bodies), 'row')}: {rows.problem}"
        return FileState("damaged", blocks, rows, CorruptError(message, path="journal"))
    return FileState("open", blocks, rows)


def _require_bound(main: Source, blocks: FileMap, header: JournalHeader, grammar: Grammar) -> None:
    """Require that a journal continues exactly this main file."""
    if header.version != blocks.header.version:
        raise CorruptError(
            f"found version {header.version:#06x}, but the file has {blocks.header.version:#06x}",
            path="journal.header.version",
        )
    num_records = int(blocks.table["records_count"].sum())
    if num_records != header.base_records:
        raise CorruptError(
            f"found base_records {header.base_records}, but the file holds {num_records} records",
            path="journal.header.base_records",
        )
    if last_masked_crc(main, grammar, blocks.end) != header.last_masked_crc:
        raise ChecksumError(
            f"the block that ends at {blocks.end} is not the one that the journal continues",
            path="journal.header.last_masked_crc",
        )


def _definitions(main: Source, blocks: FileMap, grammar: Grammar) -> Tables | None:
    """Return the configurations and names of the main file; None if one cannot be read."""
    tables, newer = Tables(), blocks.header.is_newer
    known: set[str] = set()
    try:
        for kind in DEFINITIONS:
            rows = np.flatnonzero(blocks.table["kind"] == grammar.kinds[kind])
            for number, row in enumerate(rows.tolist()):
                offset, end = int(blocks.table["offset"][row]), int(blocks.ends[row])
                block = read_block(main, grammar, offset, end, newer=newer)
                if kind == "CONFIG":
                    tables.configs[number] = block.body
                else:
                    tables.names[number] = parse_name(block, blocks.schema, known)
                    known.add(tables.names[number])
    except DecodeError:
        return None  # whoever needs them meets the error
    return tables


def _count_rows(journal: Source, grammar: Grammar) -> int:
    """Return the number of rows of a journal whose schema is not known; 0 if it is not intact."""
    try:
        header = read_journal_header(journal, grammar)
    except DecodeError:
        return 0
    row = grammar.format.journal.kinds["ROW"].kind
    entries = Framer(grammar, header.salt).scan(journal, grammar.journal_header.size)
    return sum(entry.kind == row for entry in entries)


# ------------------------------------------------------------------------------------- batches


class OpenFile:
    """A file whose batches can be read; `Reader` is its public face.

    Parameters
    ----------
    source : Source
        The main file; closed if this fails.
    state : FileState
        Its state.
    watch : Watch, optional
        On the file, from before it was opened.

    Raises
    ------
    DecodeError
        Header or SCHEMA cannot be read.
    """

    def __init__(self, source: Source, state: FileState, watch: Watch | None = None) -> None:
        self._watch = watch
        if state.map is None:
            source.close()
            raise state.problem or AssertionError("a state without a map has a problem")
        self.source, self.map, self.journal = source, state.map, state.journal
        self.state, self.problem = state.state, state.problem
        self.stats = Stats()
        self._grammar = grammar_of(shipped_format())
        self._rows = np.flatnonzero(self.map.table["kind"] == self._grammar.kinds["BATCH"])
        self.num_sealed = int(self.map.table["records_count"][self._rows].sum(dtype=np.int64))
        num_rows = len(self.journal.bodies) if self.journal else 0
        self.num_records = self.num_sealed + num_rows

    @property
    def schema(self) -> Schema:
        """The embedded schema."""
        return self.map.schema

    @property
    def status(self) -> str | None:
        """How the run ended; None: not stated."""
        return self.schema.format.status_name(self.map.status)

    @cached_property
    def batches(self) -> tuple[BatchInfo, ...]:
        """The batches of the main file, from the INDEX; then those of the journal."""
        ends, size = self.map.ends[self._rows].tolist(), self.schema.batch_records
        rows = self.map.table[self._rows].tolist()
        infos = [
            BatchInfo(i, i * size, offset, end - offset, count, first, last)
            for i, ((_, _, _, count, offset, first, last), end) in enumerate(
                zip(rows, ends, strict=True)
            )
        ]
        for i, chunk in enumerate(self._chunks, len(infos)):
            batch, end = RowBatch(chunk, self.schema, i), self.map.end
            first, last = batch.first_timestamp, batch.last_timestamp
            infos.append(BatchInfo(i, i * size, end, 0, batch.num_records, first, last))
        return tuple(infos)

    @cached_property
    def _chunks(self) -> tuple[Chunk, ...]:
        """The rows of the journal, cut as their batches will be."""
        journal, size = self.journal, self.schema.batch_records
        if journal is None:
            return ()
        return tuple(
            journal.layout.chunk_of(journal.bodies[i : i + size], journal.tables, numbered=True)
            for i in range(0, len(journal.bodies), size)
        )

    @cached_property
    def configs(self) -> tuple[Mapping[str, Any], ...]:
        """The configurations, by number."""
        configs = [parse_config(block, self.schema) for block in self._blocks("CONFIG")]
        limits, recent = self.schema.format.limits, self._recent.configs
        new = (recent[number] for number in sorted(recent) if number >= len(configs))
        return (*configs, *(canonical_json.loads(body, limits) for body in new))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the undeclared metrics, by number."""
        names: dict[str, None] = {}
        for block in self._blocks("NAME"):
            names[parse_name(block, self.schema, names)] = None
        recent = self._recent.names
        return (*names, *(recent[number] for number in sorted(recent) if number >= len(names)))

    @property
    def _recent(self) -> Tables:
        """The definitions in the journal: those of the main file again, and the next ones."""
        return self.journal.tables if self.journal else Tables()

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """All fields: the declared ones, then the undeclared metrics; reads the NAME blocks."""
        group, codecs = self.schema.open_group or "", self.schema.format.codecs
        return (*self.schema.fields, *(codecs.undeclared(name, group) for name in self.names))

    def field(self, name: str) -> Field:
        """Return the field that a name means, as `find_field`."""
        return find_field(name, self)

    def batch(self, ordinal: int) -> AnyBatch:
        """Read one batch and check its CRC and directory; or take it from the journal."""
        self.stats.num_batches += 1
        if ordinal >= len(self._rows):
            return RowBatch(self._chunks[ordinal - len(self._rows)], self.schema, ordinal)
        row = int(self._rows[ordinal])
        kinds = self._grammar.kinds
        num_names = self.map.num_before(kinds["NAME"], row)
        num_configs = self.map.num_before(kinds["CONFIG"], row)
        context = BatchContext(ordinal, self.map.table[row], _Names(self, num_names), num_configs)
        try:
            return Batch(self._block(row), self.schema, self._grammar, context)
        except DecodeError as err:  # the batch that a writer has put in its place
            if self._watch is not None:
                self._watch.require_unchanged(err)
            raise

    def _blocks(self, name: str) -> list[Block]:
        """Read all blocks of a kind."""
        rows = np.flatnonzero(self.map.table["kind"] == self._grammar.kinds[name])
        return list(map(self._block, rows.tolist()))

    def _block(self, row: int) -> Block:
        """Read the block of a row of the table, and check that it is the one of that row."""
        expected, end = self.map.table[row], int(self.map.ends[row])
        name = self._grammar.names.get(int(expected["kind"]), "block")
        with numbered(name, lambda: self.map.number_of(row)):
            offset, newer = int(expected["offset"]), self.map.header.is_newer
            block = self._read_block(offset, end, newer=newer)
            is_same = block.kind == expected["kind"] and block.flags == expected["flags"]
            if not is_same or block.end != end:
                raise CorruptError(
                    f"found a {block.name or 'block'} up to {block.end}, but the table of blocks "
                    f"says a {name} up to {end}",
                    offset=offset,
                    path=block.name or "block",
                )
        return block

    def _read_block(self, offset: int, end: int, *, newer: bool) -> Block:
        try:
            return read_block(self.source, self._grammar, offset, end, newer=newer)
        except DecodeError as err:
            if self._watch is not None:
                self._watch.require_unchanged(err)
            raise


class _Names(Sequence[str]):
    """The names before a batch; their NAME blocks are read when the first name is used."""

    def __init__(self, file: OpenFile, count: int) -> None:
        self._file, self._count = file, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: Any) -> Any:
        return self._file.names[number]


class HasFields(Protocol):
    """A file, as far as its fields and where they occur are concerned."""

    @property
    def schema(self) -> Schema:
        """The schema of the file."""

    @property
    def fields(self) -> tuple[Field, ...]:
        """All fields."""

    @property
    def batches(self) -> tuple[BatchInfo, ...]:
        """The batches."""

    def batch(self, ordinal: int) -> AnyBatch:
        """Read one batch."""


def find_field(name: str, file: HasFields) -> Field:
    """Return the field that a name means; reads the NAME blocks unless it is a declared one.

    Where several fields are possible, batches are read until it is clear which of them occur.

    Raises
    ------
    KeyError
        See `cmeta.vocabulary.resolve`.
    """
    if name in file.schema:
        return file.schema[name]
    by_path = {field.path: field for field in file.fields}
    names = {path: field.name for path, field in by_path.items()}
    return by_path[resolve(name, names, occurs=lambda path: _occurs(by_path[path], file))]


def _occurs(field: Field, file: HasFields) -> bool:
    try:
        return any(file.batch(info.ordinal).has(field) for info in file.batches)
    except DecodeError:  # it may; reading the batch gives the reason
        return True
