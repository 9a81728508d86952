"""`cmeta info`: the contents of a chronicle, as far as the file is intact."""

from __future__ import annotations

import hashlib
import json
import textwrap
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import click
import numpy as np

from cmeta.cli.console import (
    file_name,
    print_data,
    print_error,
    print_lines,
    progress,
    terminal_width,
)
from cmeta.cli.errors import Exit, reading
from cmeta.cli.files import open_chronicle, open_state, readable
from cmeta.cli.options import file_argument, json_option
from cmeta.cli.table import write_pairs
from cmeta.cli.values import field_as_dict, json_line, write_fields
from cmeta.errors import DecodeError, counted
from cmeta.reader.reader import Reader
from cmeta.safe_text import printable
from cmeta.schema.types import Field
from cmeta.source import regular_file
from cmeta.storage.open import journal_path
from cmeta.validate import Finding

T = TypeVar("T")

_LEN_CHUNK = 1 << 20
_PIPE_WIDTH = 80  # columns, where stdout is no terminal


@click.command(
    epilog="""\b
Examples:
  cmeta info run.cmeta
  cmeta info --quick huge.cmeta           immediate, however large the file is
  xz -dc run.cmeta.xz | cmeta info -
  cmeta info --json run.cmeta | jq .sha256

The sha256 identifies the experiment: equal records, configurations and schema give equal bytes on
every machine.

\b
Exit codes:
  0 success, or open    2 usage or I/O error
  3 damaged: the intact part is shown"""
)
@file_argument
@click.option("--quick", is_flag=True, help="Do not read the batches: no counts and no sha256.")
@json_option
def info(file: Path, quick: bool, as_json: bool) -> None:
    """Show state, size, schema and configurations."""
    with closing(open_chronicle(file)) as reader:
        contents = read_info(reader, file, quick=quick)
    if as_json:
        print_data(json_line(as_dict(contents)))
    else:
        _print(contents)
    if contents.state == "damaged":
        first = contents.problems[0]
        print_error(f"{contents.file}: damaged at {_position(first)}")
        raise click.exceptions.Exit(Exit.CORRUPT)


@dataclass
class FileInfo:
    """The contents of a chronicle.

    Attributes
    ----------
    state : str
        "closed", "open", or "damaged", which includes a closed file with an unreadable part.
    has_journal : bool
        For an open file: whether its journal has the records since the last batch.
    num_batches : int
        Sealed ones: records in the journal are in none.
    len_journal : int
        In bytes; 0 without a journal.
    phases : mapping of str to int, or None
        Number of records in each phase; None if not counted.
    occurrences : mapping of str to int, or None
        Number of batches that have a field, by its path; None if not counted.
    status : str or None
        How the run ended; None: not stated.
    sha256 : str or None
        For a closed, undamaged file: the identity of the experiment.
    problems : list of Finding
        What is wrong. After the intact part of an open file this is expected.
    """

    file: str
    state: str
    has_journal: bool
    status: str | None
    version: str
    num_records: int
    num_batches: int
    len_file: int
    first_timestamp: int | None
    last_timestamp: int | None
    batch_records: int
    fields: tuple[Field, ...]
    len_journal: int = 0
    undeclared: tuple[Field, ...] = ()
    configs: tuple[Mapping[str, Any], ...] = ()
    phases: Mapping[str, int] | None = None
    occurrences: Mapping[str, int] | None = None
    sha256: str | None = None
    problems: list[Finding] = field(default_factory=list)

    @property
    def bytes_per_record(self) -> float | None:
        """Length of the file and its journal divided by its records; None if there are none."""
        length = self.len_file + self.len_journal
        return length / self.num_records if self.num_records else None


def read_info(reader: Reader, path: Path, *, quick: bool) -> FileInfo:
    """Return the contents of an open reader.

    Parameters
    ----------
    quick : bool
        Do not read the batches: no counts and no sha256.
    """
    with reading(path):
        batches, header = reader.batches, reader.header
        contents = FileInfo(
            file=file_name(path),
            state=reader.state,
            has_journal=reader.has_journal,
            status=reader.status,
            version=f"{header.version >> 8}.{header.version & 0xFF}",
            num_records=len(reader),
            num_batches=sum(batch.len_block > 0 for batch in batches),
            len_file=reader.len_file,
            len_journal=_len_journal(path) if reader.has_journal else 0,
            first_timestamp=batches[0].first_timestamp if batches else None,
            last_timestamp=batches[-1].last_timestamp if batches else None,
            batch_records=reader.schema.batch_records,
            fields=reader.schema.fields,
        )
        if reader.problem is not None:
            contents.problems.append(Finding.of(reader.problem))
        num_declared = len(contents.fields)
        contents.undeclared = _attempt(contents, lambda: reader.fields[num_declared:], ())
        contents.configs = _attempt(contents, lambda: reader.configs, ())
        if not quick:
            _count(reader, contents, path)
            if contents.state == "closed":
                contents.sha256 = _sha256(readable(path))
    return contents


def _len_journal(path: Path) -> int:
    try:
        return journal_path(path).stat().st_size
    except OSError:  # sealed in the meantime, or standard input
        return 0


def _attempt(contents: FileInfo, read: Callable[[], T], default: T) -> T:
    """Return what `read` returns; if it finds damage, add that to the problems."""
    try:
        return read()
    except DecodeError as err:
        contents.state = "damaged" if contents.state == "closed" else contents.state
        contents.problems.append(Finding.of(err))
        return default


def _count(reader: Reader, contents: FileInfo, path: Path) -> None:
    """Count the records of each phase and the batches of each field."""
    counts = np.zeros(len(reader.schema.phases), np.int64)
    occurrences: Counter[str] = Counter()
    fields = (*contents.fields, *contents.undeclared)

    def count_batch(ordinal: int) -> None:
        batch = reader.batch(ordinal)
        counts[:] += np.bincount(batch.phases.codes, minlength=len(counts))
        occurrences.update(field.path for field in fields if batch.has(field))

    with progress(f"Batches of {path.name}") as update:
        for batch in reader.batches:
            _attempt(contents, lambda ordinal=batch.ordinal: count_batch(ordinal), None)  # type: ignore[misc]
            update(batch.offset, contents.len_file)
    pairs = zip(reader.schema.phases, counts.tolist(), strict=True)
    contents.phases = {name: count for name, count in pairs if count}
    contents.occurrences = occurrences


def _sha256(source: Path | bytes) -> str:
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    digest, num_done, size = hashlib.sha256(), 0, source.stat().st_size
    update = progress(f"sha256 of {source.name}")
    with open(source, "rb", opener=regular_file) as file, update as show:
        while chunk := file.read(_LEN_CHUNK):
            digest.update(chunk)
            num_done += len(chunk)
            show(num_done, size)
    return digest.hexdigest()


def as_dict(contents: FileInfo) -> dict[str, Any]:
    """Return the contents as `--json` prints them; keys may be added but never removed."""
    return {
        "file": contents.file,
        "state": contents.state,
        "has_journal": contents.has_journal,
        "status": contents.status,
        "version": contents.version,
        "num_records": contents.num_records,
        "num_batches": contents.num_batches,
        "batch_records": contents.batch_records,
        "len_file": contents.len_file,
        "len_journal": contents.len_journal,
        "bytes_per_record": contents.bytes_per_record,
        "first_timestamp": contents.first_timestamp,
        "last_timestamp": contents.last_timestamp,
        "phases": contents.phases,
        "fields": [_field(field, contents) for field in (*contents.fields, *contents.undeclared)],
        "configs": list(contents.configs),
        "sha256": contents.sha256,
        "problems": [asdict(problem) for problem in contents.problems],
    }


def _field(field: Field, contents: FileInfo) -> dict[str, Any]:
    occurrences = contents.occurrences
    num_batches = None if occurrences is None else occurrences.get(field.path, 0)
    return {**field_as_dict(field), "num_batches": num_batches}


def _print(contents: FileInfo) -> None:
    write_pairs([(name, printable(value)) for name, value in _summary(contents)])
    unused = _unused(contents)
    print_lines(["", "Fields"])
    write_fields([f for f in contents.fields if f not in unused], contents.occurrences)
    if contents.undeclared:
        print_lines(["", "Undeclared metrics"])
        write_fields(contents.undeclared, contents.occurrences)
    if unused:
        names = printable(", ".join(field.path for field in unused))
        lines = textwrap.wrap(names, (terminal_width() or _PIPE_WIDTH) - 2)
        print_lines(["", "Declared, never recorded", *(f"  {line}" for line in lines)])
    if contents.configs:
        texts = (json.dumps(config, ensure_ascii=False) for config in contents.configs)
        configs = (printable(f"  {number}  {text}") for number, text in enumerate(texts))
        print_lines(["", "Configurations", *configs])


def _unused(contents: FileInfo) -> list[Field]:
    """Return the declared fields that no record has, if any record has a field at all."""
    if not contents.occurrences:
        return []
    return [field for field in contents.fields if not contents.occurrences.get(field.path)]


def _summary(contents: FileInfo) -> list[tuple[str, str]]:
    size = counted(contents.len_file, "byte")
    if contents.has_journal:
        size += f" and {contents.len_journal:,} in the journal"
    if contents.bytes_per_record is not None:
        size += f", {contents.bytes_per_record:,.2f} per record"
    max_records = counted(contents.batch_records, "record")
    rows = [
        ("file", contents.file),
        ("state", _state(contents)),
        ("version", contents.version),
        ("records", f"{contents.num_records:,}"),
        ("batches", f"{contents.num_batches:,} of at most {max_records}"),
        ("size", size),
    ]
    if contents.first_timestamp is not None:
        rows.append(("timestamps", f"{contents.first_timestamp} to {contents.last_timestamp}"))
    if contents.phases:
        counts = (f"{name} {count:,}" for name, count in contents.phases.items())
        rows.append(("phases", ", ".join(counts)))
    if contents.sha256:
        rows.append(("sha256", contents.sha256))
    label = "problem" if contents.state == "damaged" else "after it"
    problems = ((p, f"{p.kind}: {p.message}") for p in contents.problems)
    return [*rows, *((label, f"{_position(problem)}: {text}") for problem, text in problems)]


def _state(contents: FileInfo) -> str:
    if contents.state == "open":
        return f"open: {open_state(contents.has_journal)}"
    if contents.state == "damaged":
        return "damaged: the intact part follows"
    return f"{contents.state}: {contents.status}" if contents.status else contents.state


def _position(problem: Finding) -> str:
    return printable(f"offset {problem.offset}, {problem.path}")
