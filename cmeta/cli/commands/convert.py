"""`cmeta convert`: a chronicle in the formats of other tools."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import click

from cmeta.cli.commands.cat import num_expected, report, whole_records
from cmeta.cli.console import file_name, note, progress
from cmeta.cli.errors import reading
from cmeta.cli.files import open_chronicle, what_open_means
from cmeta.cli.formats import write_csv, write_jsonl, write_parquet, write_preamble
from cmeta.cli.options import (
    FILE,
    chosen_fields,
    chosen_selection,
    file_argument,
    selection_options,
)
from cmeta.cli.output import require_free, require_no_terminal, written
from cmeta.cli.rows import RowBlock, RowStream
from cmeta.extras import require
from cmeta.reader.reader import Reader
from cmeta.reader.selection import Selection
from cmeta.schema.types import Field

_FORMATS = ("jsonl", "csv", "parquet")
_SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet"}
_SUFFIXES |= {".pq": "parquet"}


@click.command(
    epilog="""\b
Examples:
  cmeta convert run.cmeta run.parquet
  cmeta convert run.cmeta run.csv --phase validate --fields timestamp,loss_value
  cmeta convert run.cmeta - --format jsonl | gzip > run.jsonl.gz

\b
Formats:
  jsonl    a whole chronicle: schema and configurations in the first line
  parquet  exact types, null where absent; schema and configurations in the
           metadata; needs pyarrow: pip install 'cmeta-format[arrow]'
  csv      exact values; configurations as numbers only

`cmeta import` makes the identical file of JSON lines and of Parquet, if all records and fields were
converted. OUT appears when it is complete; of a damaged chronicle nothing is written: `cmeta
recover` it first, or see what is intact with `cmeta cat`.

\b
Exit codes:
  0 fine    2 usage or I/O, or OUT exists    3 corrupt"""
)
@file_argument
@click.argument("out", type=FILE)
@click.option(
    "--format", "format_", type=click.Choice(_FORMATS), help="Default: by the suffix of OUT."
)
@selection_options
@click.option("--replace", is_flag=True, help="Write over OUT if it exists.")
def convert(
    file: Path,
    out: Path,
    format_: str | None,
    start: int | None,
    end: int | None,
    phase: tuple[tuple[str, ...], ...],
    fields: tuple[tuple[str, ...], ...],
    replace: bool,
) -> None:
    """Write a chronicle as JSON lines, CSV or Parquet.

    OUT may be `-` for standard output.
    """
    kind = format_ or _format_of(out)
    require_free(out, replace=replace)
    if kind == "parquet":
        require_no_terminal(out)
        require("pyarrow", "arrow")
    with closing(open_chronicle(file)) as reader:
        chosen = whole_records(reader, chosen_fields(reader, fields))
        question = _Question(reader, chosen_selection(reader, start, end, phase), chosen)
        with progress(file_name(file)) as update, written(out) as target:
            problems = _WRITERS[kind](question, target, update)
            report(file, problems)  # ends the command, and OUT does not appear
        if reader.state == "open":
            note(f"{file_name(file)} is open: {what_open_means(reader.has_journal)}")


def _format_of(out: Path) -> str:
    found = _SUFFIXES.get(out.suffix.lower())
    if found is None:
        known = ", ".join(_SUFFIXES)
        raise click.UsageError(
            f"{file_name(out)!r} has none of the suffixes {known}; state a --format."
        )
    return found


Update = Callable[[int, int], None]


@dataclass(frozen=True)
class _Question:
    """Which records and fields of a chronicle are wanted."""

    reader: Reader
    selection: Selection
    fields: tuple[Field, ...] | None

    def stream(self, update: Update) -> RowStream:
        """Return them as rows; says how far it is."""
        return _Watched(self, update)


class _Watched(RowStream):
    """A stream that says how far it is."""

    def __init__(self, question: _Question, update: Update) -> None:
        super().__init__(question.reader, question.selection, question.fields)
        self._update, self._num_all = update, len(question.reader)

    def __iter__(self) -> Iterator[RowBlock]:
        for block in super().__iter__():
            self._update(self.num_rows, self._num_all)
            yield block


def _as_jsonl(question: _Question, target: BinaryIO, update: Update) -> list[str]:
    def write(text: str) -> None:
        target.write(text.encode())

    stream = question.stream(update)
    write_preamble(question.reader, num_expected(question.reader, question.selection), write)
    write_jsonl(stream, write)
    return stream.problems


def _as_csv(question: _Question, target: BinaryIO, update: Update) -> list[str]:
    def write(text: str) -> None:
        target.write(text.encode())

    stream = question.stream(update)
    write_csv(stream, write)
    return stream.problems


def _as_parquet(question: _Question, target: BinaryIO, update: Update) -> list[str]:
    reader, selection = question.reader, question.selection
    paths = None if question.fields is None else [field.path for field in question.fields]
    phases = None
    if selection.phases is not None:
        phases = [reader.schema.phases[code] for code in selection.phases]
    with reading(Path(reader.name)):
        batches = reader.arrow_batches(paths, selection.start, selection.end, phases)
    write_parquet(batches.schema, _watched(reader, batches, update), target)
    return []


def _watched(reader: Reader, batches: Any, update: Update) -> Iterator[Any]:
    """Yield batches, and say how far it is; what goes wrong with reading is the file's."""
    done = 0
    while True:
        with reading(Path(reader.name)):
            batch = next(batches, None)
        if batch is None:
            return
        done += batch.num_rows
        update(done, len(reader))
        yield batch


_WRITERS: dict[str, Callable[[_Question, BinaryIO, Update], list[str]]] = {
    "jsonl": _as_jsonl,
    "csv": _as_csv,
    "parquet": _as_parquet,
}
