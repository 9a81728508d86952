"""`cmeta cat`: the records of a chronicle, streamed in constant memory."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from cmeta.cli.errors import print_problems
from cmeta.cli.files import note_if_empty, note_if_open, open_chronicle
from cmeta.cli.formats import FORMATS, write_preamble
from cmeta.cli.options import RecordOptions, file_argument, format_option, record_options
from cmeta.cli.rows import RowStream, num_expected, with_required_fields


@click.command(
    epilog="""\b
Examples:
  cmeta cat run.cmeta --start 100 --end 199
  cmeta cat run.cmeta --phase train,val --fields timestamp,loss,entropy
  cmeta cat run.cmeta --json | jq -c '[.timestamp, .metrics.entropy]'
  cmeta cat run.cmeta --format csv > run.csv
  cmeta cat run.cmeta --format jsonl --full > run.jsonl

JSON lines have one object per record, nested as the schema. Absent values are left out; "NaN",
"Infinity" and "-Infinity" are strings; an integer beyond 2^53 - 1 is a hex string. `config` is the
number of a configuration; `cmeta info` shows them.

With --full, the first line is {"cmeta": {"version", "num_records", "schema", "configs"}}: the
format version, the number of records that follow (if all records of a closed file do), the
embedded schema, and the configurations by number. `cmeta import` makes an identical file from
these lines.

A damaged batch is left out: all intact records are printed, then the errors, and the exit code
is 3."""
)
@file_argument
@record_options
@format_option
@click.option(
    "--full", is_flag=True,
    help="With --format jsonl: begin with a line that has the schema and the configurations.",
)  # fmt: skip
def cat(file: Path, wanted: RecordOptions, format_: str, full: bool) -> None:
    """Print records as a table, JSON lines or CSV."""
    if full and format_ != "jsonl":
        raise click.UsageError("--full requires --format jsonl.")
    with closing(open_chronicle(file)) as reader:
        selection = wanted.selection(reader)
        fields = wanted.chosen_fields(reader)
        stream = RowStream(
            reader, selection, with_required_fields(reader, fields) if full else fields
        )
        if full:
            write_preamble(reader, num_expected(reader, selection))
        FORMATS[format_](stream)
        if not stream.num_rows and not stream.problems:
            note_if_empty(file, reader)
        note_if_open(file, reader)
    raise click.exceptions.Exit(print_problems(file, stream.problems))
