"""The inputs of a recovery: a file, its journal, or both; and the schema to decode them with."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from cmeta.errors import (
    CorruptError,
    DecodeError,
    SchemaError,
    TruncatedError,
    UnsupportedVersionError,
    error_context,
)
from cmeta.format.block import Header, encode_block, read_header
from cmeta.format.grammar import Grammar, grammar_of
from cmeta.format.index import last_masked_crc
from cmeta.format.read_journal import Journal, read_journal
from cmeta.schema.load import shipped_format
from cmeta.schema.schema import Schema, default_schema
from cmeta.source import BytesSource, FileSource, Source
from cmeta.storage.open import file_state, open_journal
from cmeta.tools.recover.scan import Scan
from cmeta.validate import Finding

_SIZES_MAX = 8  # batch sizes that are tried for a damaged schema


@dataclass
class Inputs:
    """A file and its journal.

    Attributes
    ----------
    name : str
    main : Source
        Empty if there is only a journal.
    journal : Source or None
    grammar : Grammar
    findings : list of Finding
    header : Header or None
        None if it cannot be read.
    is_foreign : bool
        The header has another major version than ours.
    is_schema_certain : bool
        False: nothing confirms that the schema in use is the file's.
    """

    name: str
    main: Source
    journal: Source | None
    grammar: Grammar
    findings: list[Finding] = field(default_factory=list)
    header: Header | None = None
    is_foreign: bool = False
    is_schema_certain: bool = True

    @property
    def has_main(self) -> bool:
        """Whether there is a main file."""
        return self.main.size > 0

    def is_at(self, path: Path) -> bool:
        """Return whether a path still names the main file that was opened."""
        try:
            return isinstance(self.main, FileSource) and os.path.samestat(
                self.main.status(), path.stat()
            )
        except OSError:
            return False

    @property
    def newer(self) -> bool:
        """Whether the file's minor version is newer than ours."""
        return self.header is not None and self.header.is_newer

    def close(self) -> None:
        """Close both files."""
        self.main.close()
        if self.journal is not None:
            self.journal.close()

    def note(self, error: DecodeError) -> None:
        """Add a finding."""
        self.findings.append(Finding.of(error))


def open_inputs(path: Path) -> Inputs:
    """Open a file with its journal; or a journal alone, by its own name or its file's.

    Raises
    ------
    OSError
        There is neither.
    """
    grammar = grammar_of(shipped_format())
    journal = open_journal(path)  # first: SPEC, Reading
    try:
        main: Source = FileSource(path)
    except OSError as err:
        if journal is None:
            raise
        if not isinstance(err, FileNotFoundError):
            journal.close()
            raise
        main = BytesSource(b"")
    if _is_journal(main, grammar):
        if journal is not None:
            journal.close()
        main, journal = BytesSource(b""), main
    inputs = Inputs(os.fspath(path), main, journal, grammar)
    if inputs.has_main:
        _read_header(inputs)
    return inputs


def _is_journal(main: Source, grammar: Grammar) -> bool:
    size = grammar.journal_header.upto("version").size
    magic = grammar.format.journal.magic
    return main.size >= size and int.from_bytes(main.read(0, size), "little") == magic


def _read_header(inputs: Inputs) -> None:
    try:
        inputs.header = read_header(inputs.main, inputs.grammar)
    except DecodeError as err:
        inputs.is_foreign = isinstance(err, UnsupportedVersionError)
        inputs.note(err)


# -------------------------------------------------------------------------------------- schema


def find_schema(inputs: Inputs, scan: Scan, given: Schema | None) -> Schema | None:
    """Return the file's schema; if that is damaged, the given one or the default one."""
    if not inputs.has_main:
        return _schema_of_journal(inputs, given)
    for place in scan.blocks_of("SCHEMA"):
        block = scan.read(place)
        try:
            with error_context(block.body_offset, "SCHEMA"):
                return Schema.from_embedded(block.body, inputs.grammar.format, newer=inputs.newer)
        except DecodeError as err:
            inputs.note(err)
    if given is None:
        schema = _confirmed_default(inputs, scan)
        if schema is None:
            message = "no intact SCHEMA: without it no record can be decoded; give the schema"
            inputs.note(CorruptError(message, path="SCHEMA"))
        return schema
    if not _is_confirmed(inputs, given):
        message = "nothing confirms that the given schema is the file's; wrong values may result"
        inputs.note(CorruptError(message, offset=inputs.grammar.header.size, path="SCHEMA"))
        inputs.is_schema_certain = False
    return given


def _schema_of_journal(inputs: Inputs, given: Schema | None) -> Schema | None:
    """Return the schema of a journal without its file: the given one, or the default one."""
    if inputs.journal is None:
        inputs.note(TruncatedError("the file is empty", path="header"))
        return None
    schema = given or default_schema()
    try:
        read_journal(inputs.journal, schema, inputs.grammar)
    except DecodeError as err:
        inputs.note(err)
        return None
    except SchemaError:
        return None
    return schema


def _confirmed_default(inputs: Inputs, scan: Scan) -> Schema | None:
    """Return the default schema, if the remains of the file's own schema confirm it."""
    sizes = {default_schema().batch_records, *(batch.row[0] for batch in scan.blocks_of("BATCH"))}
    limits = inputs.grammar.format.limits
    for size in sorted(sizes, reverse=True)[:_SIZES_MAX]:
        if limits.batch_records_min <= size <= limits.batch_records_max:
            schema = default_schema().with_batch_records(size)
            if _is_confirmed(inputs, schema):
                return schema
    return None


def _is_confirmed(inputs: Inputs, schema: Schema) -> bool:
    """Return whether a schema is the file's, by the CRC after it, or by its journal."""
    grammar = inputs.grammar
    if inputs.journal is not None:
        try:
            journal = read_journal(inputs.journal, schema, grammar)
            _require_same_end(inputs.main, journal, grammar)
        except DecodeError:
            pass
        else:
            return True
    block, masked_crc = encode_block("SCHEMA", schema.embedded, grammar)
    end = grammar.header.size + len(block)
    return end <= inputs.main.size and last_masked_crc(inputs.main, grammar, end) == masked_crc


# ------------------------------------------------------------------------------------- journal


def bound_journal(inputs: Inputs, schema: Schema) -> Journal | None:
    """Return the journal if its rows continue the main file, or if there is only a journal."""
    data, grammar = inputs.journal, inputs.grammar
    if data is None:
        return None
    if inputs.has_main:
        state = file_state(inputs.main, data, grammar)
        if state.kind == "closed":
            return None  # a leftover
        if state.journal is not None:
            return state.journal
    try:
        journal = read_journal(data, schema, grammar)
        _require_our_version(journal, grammar)
        if inputs.has_main:
            _require_same_end(inputs.main, journal, grammar)
    except DecodeError as err:
        err.message = f"the journal beside it cannot be used: {err.message}"
        inputs.note(err)
        return None
    return journal


def _require_our_version(journal: Journal, grammar: Grammar) -> None:
    major, version = grammar.format.format.major, journal.header.version
    if version >> 8 != major:
        raise UnsupportedVersionError(
            f"version {version >> 8}.{version & 0xFF}, expected {major}.x",
            path="journal.header.version",
        )


def _require_same_end(main: Source, journal: Journal, grammar: Grammar) -> None:
    """Require the 64-bit CRC of the block before the journal's rows to be that in the journal."""
    end = journal.header.base_length
    if end > main.size or last_masked_crc(main, grammar, end) != journal.header.last_masked_crc:
        raise CorruptError(
            f"nothing confirms that its rows continue the file at {end}",
            path="journal.header.last_masked_crc",
        )
