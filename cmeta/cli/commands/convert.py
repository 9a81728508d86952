"""`cmeta convert`: a chronicle in the formats of other tools."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import click

from cmeta.aliases import Progress
from cmeta.cli.console import file_name, print_note, progress
from cmeta.cli.errors import print_problems, reading
from cmeta.cli.files import (
    STDOUT,
    note_if_open,
    open_chronicle,
    output_file,
    require_free,
    require_no_terminal,
)
from cmeta.cli.formats import write_csv, write_jsonl, write_parquet, write_preamble
from cmeta.cli.options import FILE, RecordOptions, file_argument, record_options, replace_option
from cmeta.cli.rows import RowStream, num_expected, with_required_fields
from cmeta.errors import counted
from cmeta.extras import require
from cmeta.reader.reader import Reader
from cmeta.reader.selection import Selection
from cmeta.schema.types import Field

_FORMATS = ("jsonl", "csv", "parquet")
_SUFFIXES = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip


@click.command(
    epilog="""\b
Examples:
  cmeta convert run.cmeta run.parquet
  cmeta convert run.cmeta run.csv --phase val --fields timestamp,loss
  cmeta convert run.cmeta - --format jsonl | gzip > run.jsonl.gz

\b
Formats:
  jsonl    a whole chronicle: schema, configurations, status in the first line
  parquet  exact types, null where absent; schema, configurations, status in
           the metadata; needs pyarrow (the extra 'arrow')
  csv      exact values; configurations only as numbers

`cmeta import` makes an identical file from JSON lines and from Parquet, if all records and fields
were converted. OUT appears once it is complete. Nothing is written for a damaged chronicle:
`cmeta recover` it first, or print its intact records with `cmeta cat`.

\b
Exit codes:
  0 success    2 usage or I/O error, or OUT exists    3 corrupt"""
)
@file_argument
@click.argument("out", type=FILE)
@click.option(
    "--format", "format_", type=click.Choice(_FORMATS), help="Default: by the suffix of OUT."
)
@record_options
@replace_option
def convert(
    file: Path, out: Path, format_: str | None, wanted: RecordOptions, replace: bool
) -> None:
    """Write a chronicle as JSON lines, CSV or Parquet.

    OUT may be `-` for standard output. Every record keeps its timestamp and its phase, which come
    first, whatever --fields says.
    """
    kind = format_ or _format_of(out)
    require_free(out, file, replace=replace)
    if kind == "parquet":
        require_no_terminal(out)
        require("pyarrow", "arrow")
    with closing(open_chronicle(file)) as reader:
        fields = with_required_fields(reader, wanted.chosen_fields(reader))
        selection = wanted.selection(reader)
        with progress(file_name(file)) as update, output_file(out) as target:
            problems = _WRITERS[kind](reader, selection, fields, target, update)
            if problems:  # leaves `output_file` by an exception, so that OUT does not appear
                raise click.exceptions.Exit(print_problems(file, problems))
        note_if_open(file, reader)
        if kind == "csv" and reader.configs:
            num_configs = counted(len(reader.configs), "configuration")
            print_note(
                f"CSV has the numbers of the {num_configs} only; JSON lines and Parquet have all"
            )


def _format_of(out: Path) -> str:
    kind = _SUFFIXES.get(out.suffix.lower())
    if kind is None:
        known = ", ".join(_SUFFIXES)
        name = "standard output" if out == STDOUT else repr(file_name(out))
        raise click.UsageError(f"{name} has none of the suffixes {known}; choose a --format.")
    return kind


Fields = tuple[Field, ...] | None


def _write_text(
    reader: Reader, selection: Selection, fields: Fields, target: BinaryIO, update: Progress,
    *, is_csv: bool,
) -> list[str]:  # fmt: skip
    def write(text: str) -> None:
        target.write(text.encode())

    stream = RowStream(reader, selection, fields, progress=update)
    if is_csv:
        write_csv(stream, write, is_stdout=target is sys.stdout.buffer)
    else:
        write_preamble(reader, num_expected(reader, selection), write)
        write_jsonl(stream, write)
    return stream.problems


def _write_parquet(
    reader: Reader, selection: Selection, fields: Fields, target: BinaryIO, update: Progress
) -> list[str]:
    paths = None if fields is None else [field.path for field in fields]
    phases = None
    if selection.phases is not None:
        phases = [reader.schema.phases[code] for code in selection.phases]
    with reading(Path(reader.name)):
        batches = reader.arrow_batches(paths, selection.start, selection.end, phases)
    write_parquet(batches.schema, _watched(reader, batches, update), target)
    return []


def _watched(reader: Reader, batches: Any, update: Progress) -> Iterator[Any]:
    """Yield batches and report progress; an error in reading names the file."""
    num_done = 0
    while True:
        with reading(Path(reader.name)):
            batch = next(batches, None)
        if batch is None:
            return
        num_done += batch.num_rows
        update(num_done, len(reader))
        yield batch


_WRITERS: dict[str, Callable[[Reader, Selection, Fields, BinaryIO, Progress], list[str]]] = {
    "jsonl": partial(_write_text, is_csv=False),
    "csv": partial(_write_text, is_csv=True),
    "parquet": _write_parquet,
}
