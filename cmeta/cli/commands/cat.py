"""`cmeta cat`: the records of a chronicle, streamed with flat memory."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from cmeta.cli.console import complain, file_name, note
from cmeta.cli.errors import Exit
from cmeta.cli.files import open_chronicle, what_open_means
from cmeta.cli.formats import FORMATS
from cmeta.cli.options import (
    chosen_fields,
    chosen_format,
    chosen_selection,
    file_argument,
    format_option,
    selection_options,
)
from cmeta.cli.rows import RowStream
from cmeta.reader import Reader

_PROBLEMS_MAX = 10  # in full


@click.command(
    epilog="""\b
Examples:
  cmeta cat run.cmeta --start 100 --end 199
  cmeta cat run.cmeta --phase train,validate --fields timestamp,loss_value,entropy
  cmeta cat run.cmeta --json | jq -c '[.timestamp, .metrics.entropy]'
  cmeta cat run.cmeta --format csv > run.csv

JSON lines: one object a record, nested as the schema; what is absent is left out; "NaN",
"Infinity" and "-Infinity" are strings; an integer beyond 2^53 - 1 is a hex string. `config` is the
number of a configuration; `cmeta info` shows them.

A damaged batch is left out: all intact records are printed, then the errors, and the exit code
is 3."""
)
@file_argument
@selection_options
@format_option
def cat(
    file: Path,
    start: int | None,
    end: int | None,
    phase: tuple[tuple[str, ...], ...],
    fields: tuple[tuple[str, ...], ...],
    format_: str | None,
    as_json: bool,
) -> None:
    """Print records as a table, JSON lines or CSV."""
    write = FORMATS[chosen_format(format_, as_json)]
    with closing(open_chronicle(file)) as reader:
        selection = chosen_selection(reader, start, end, phase)
        stream = RowStream(reader, selection, chosen_fields(reader, fields))
        write(stream)
        if not stream.num_rows and not stream.problems:
            note(_why_empty(file, reader))
        if reader.state == "open":
            note(f"{file_name(file)} is open: {what_open_means(reader.has_journal)}")
    report(file, stream.problems)


def _why_empty(file: Path, reader: Reader) -> str:
    if not len(reader):
        return f"{file_name(file)} has no records"
    first, last = reader.batches[0].first_timestamp, reader.batches[-1].last_timestamp
    return f"no such records; {file_name(file)} holds timestamps {first} to {last}"


def report(file: Path, problems: list[str]) -> None:
    """Say what could not be read, and end with the exit code for it."""
    for problem in problems[:_PROBLEMS_MAX]:
        complain(f"{file_name(file)}: {problem}")
    if len(problems) > _PROBLEMS_MAX:
        complain(f"{file_name(file)}: and {len(problems) - _PROBLEMS_MAX} more")
    if problems:
        raise click.exceptions.Exit(Exit.CORRUPT)
