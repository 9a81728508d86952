"""`cmeta head`: the first records."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from cmeta.cli.errors import print_problems
from cmeta.cli.files import note_if_empty, open_chronicle
from cmeta.cli.formats import FORMATS
from cmeta.cli.options import (
    RecordOptions,
    file_argument,
    format_option,
    record_options,
    records_option,
)
from cmeta.cli.rows import RowStream


@click.command(
    epilog="""\b
Examples:
  cmeta head run.cmeta                     the first 10 records
  cmeta head -n 3 run.cmeta --phase val
  cmeta head -n 1 run.cmeta --json | jq .config

Only the records that are printed are read, however large the file is.

\b
Exit codes:
  0 success    2 usage or I/O error    3 corrupt: intact records are printed"""
)
@file_argument
@records_option("How many records.")
@record_options
@format_option
def head(file: Path, num_records: int, wanted: RecordOptions, format_: str) -> None:
    """Print the first records."""
    with closing(open_chronicle(file)) as reader:
        selection, fields = wanted.selection(reader), wanted.chosen_fields(reader)
        stream = RowStream(reader, selection, fields, limit=num_records)
        FORMATS[format_](stream)
        if num_records and not stream.num_rows and not stream.problems:
            note_if_empty(file, reader)
    raise click.exceptions.Exit(print_problems(file, stream.problems))
