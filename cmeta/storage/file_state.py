"""The state of a file with its journal (SPEC, States of a file with its journal).

What a reader may trust and how a writer may go on both follow from it; they ask here.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cmeta.errors import ChecksumError, CorruptError, DecodeError
from cmeta.format.grammar import Grammar
from cmeta.format.index import (
    FileMap,
    last_masked_crc,
    map_closed,
    map_file,
    map_heads,
    read_beginning,
)
from cmeta.format.journal import Framer, Journal, read_header, read_journal
from cmeta.format.source import Source
from cmeta.schema.load import shipped_format

Kind = Literal[
    "absent", "closed", "open", "open without journal", "journal without main file", "damaged"
]


@dataclass(frozen=True)
class FileState:
    """In which state a file and its journal are.

    Attributes
    ----------
    kind : str
        As in SPEC; what is done about each is its user's matter.
    map : FileMap or None
        Of the main file, if its header and SCHEMA can be read.
    journal : Journal or None
        The journal that binds to an open file.
    problem : DecodeError or None
        What is wrong with the main file, or with a journal beside a file that needs one.
    """

    kind: Kind
    map: FileMap | None = None
    journal: Journal | None = None
    problem: DecodeError | None = None


def file_state(main: Source | None, journal: bytes | None, grammar: Grammar) -> FileState:
    """Return the state of a file with its journal.

    Parameters
    ----------
    main : Source or None
        The main file, if there is one.
    journal : bytes or None
        The whole journal, if there is one.
    """
    if main is None:
        has_rows = journal is not None and num_rows(journal, grammar) != 0
        return FileState("journal without main file" if has_rows else "absent")
    try:
        header, schema = read_beginning(main, grammar)
    except DecodeError as err:
        return FileState("damaged", problem=err)
    if not header.is_open:
        try:
            return FileState("closed", map_closed(main, grammar, header, schema))
        except DecodeError:
            pass  # its count may be torn: the journal decides
    if journal is None:
        found = map_file(main, grammar)
        kind: Kind = "open without journal" if found.state == "open" else "damaged"
        return FileState(kind, found, problem=found.problem)
    try:
        rows = read_journal(journal, schema, grammar)
        found = map_heads(main, grammar, header, schema, rows.header.base_length)
        _require_bound(main, found, rows, grammar)
    except DecodeError as err:
        err.message = f"the journal beside it does not belong to it as it is: {err.message}"
        return FileState("damaged", map_file(main, grammar), problem=err)
    return FileState("open", found, rows)


def _require_bound(main: Source, found: FileMap, journal: Journal, grammar: Grammar) -> None:
    header = journal.header
    if header.version != found.header.version:
        raise CorruptError(
            f"version {header.version:#06x}, but the file's is {found.header.version:#06x}",
            path="journal.header.version",
        )
    num_records = int(found.table["records_count"].sum())
    if num_records != header.base_records:
        raise CorruptError(
            f"{header.base_records} records before it, but the file holds {num_records} there",
            path="journal.header.base_records",
        )
    if last_masked_crc(main, grammar, found.end) != header.last_masked_crc:
        raise ChecksumError(
            f"the block that ends at {found.end} is another one",
            path="journal.header.last_masked_crc",
        )


def num_rows(journal: bytes, grammar: Grammar) -> int:
    """Return how many rows a journal holds; its schema need not be known. 0 if it is not intact."""
    try:
        header = read_header(journal, grammar)
    except DecodeError:
        return 0
    row = grammar.format.journal.kinds["ROW"].kind
    entries = Framer(grammar, header.salt).scan(journal, grammar.journal_header.size)
    return sum(entry.kind == row for entry in entries)


def journal_path(path: str | os.PathLike[str]) -> Path:
    """Return where the journal of a file stands."""
    return Path(f"{os.fspath(path)}{shipped_format().journal.suffix}")


def read_beside(path: str | os.PathLike[str]) -> bytes | None:
    """Return the whole journal beside a file, or None if there is none."""
    try:
        return journal_path(path).read_bytes()
    except FileNotFoundError:
        return None
