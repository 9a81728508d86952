"""`cmeta cat`: the records of a chronicle, streamed with flat memory."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from cmeta.cli.console import complain, file_name, note
from cmeta.cli.errors import Exit
from cmeta.cli.files import open_chronicle, what_open_means
from cmeta.cli.formats import FORMATS, write_preamble
from cmeta.cli.options import (
    chosen_fields,
    chosen_format,
    chosen_selection,
    file_argument,
    format_option,
    selection_options,
)
from cmeta.cli.rows import RowStream
from cmeta.reader.reader import Reader
from cmeta.reader.selection import Selection
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.schema.types import Field

_PROBLEMS_MAX = 10  # in full


@click.command(
    epilog="""\b
Examples:
  cmeta cat run.cmeta --start 100 --end 199
  cmeta cat run.cmeta --phase train,validate --fields timestamp,loss_value,entropy
  cmeta cat run.cmeta --json | jq -c '[.timestamp, .metrics.entropy]'
  cmeta cat run.cmeta --format csv > run.csv
  cmeta cat run.cmeta --format jsonl --full > run.jsonl

JSON lines: one object a record, nested as the schema; what is absent is left out; "NaN",
"Infinity" and "-Infinity" are strings; an integer beyond 2^53 - 1 is a hex string. `config` is the
number of a configuration; `cmeta info` shows them.

In full, the first line is {"cmeta": {"version", "num_records", "schema", "configs"}}: the format's
version, how many records follow (if all of a closed file do), the embedded schema, and the
configurations that the numbers mean. `cmeta import` makes the identical file of these lines.

A damaged batch is left out: all intact records are printed, then the errors, and the exit code
is 3."""
)
@file_argument
@selection_options
@format_option
@click.option(
    "--full", is_flag=True,
    help="With --format jsonl: schema and configurations too, in a line before the records.",
)  # fmt: skip
def cat(
    file: Path,
    start: int | None,
    end: int | None,
    phase: tuple[tuple[str, ...], ...],
    fields: tuple[tuple[str, ...], ...],
    format_: str | None,
    as_json: bool,
    full: bool,
) -> None:
    """Print records as a table, JSON lines or CSV."""
    kind = chosen_format(format_, as_json)
    if full and kind != "jsonl":
        raise click.UsageError("--full goes with --format jsonl.")
    with closing(open_chronicle(file)) as reader:
        selection = chosen_selection(reader, start, end, phase)
        chosen = chosen_fields(reader, fields)
        stream = RowStream(reader, selection, whole_records(reader, chosen) if full else chosen)
        if full:
            write_preamble(reader, num_expected(reader, selection))
        FORMATS[kind](stream)
        if not stream.num_rows and not stream.problems:
            note(_why_empty(file, reader))
        if reader.state == "open":
            note(f"{file_name(file)} is open: {what_open_means(reader.has_journal)}")
    report(file, stream.problems)


def whole_records(reader: Reader, fields: tuple[Field, ...] | None) -> tuple[Field, ...] | None:
    """Return the fields with those that every record must have."""
    required = (reader.schema[TIMESTAMP], reader.schema[PHASE])
    return None if fields is None else tuple(dict.fromkeys((*required, *fields)))


def num_expected(reader: Reader, selection: Selection) -> int | None:
    """Return how many records a selection has, if that is known before they are read."""
    is_all = selection == Selection(None, None, None)
    return len(reader) if is_all and reader.state == "closed" else None


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
