"""`cmeta head`: the first records."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from cmeta.cli.commands.cat import report
from cmeta.cli.files import open_chronicle
from cmeta.cli.formats import FORMATS
from cmeta.cli.options import (
    chosen_fields,
    chosen_format,
    chosen_selection,
    file_argument,
    format_option,
    records_option,
    selection_options,
)
from cmeta.cli.rows import RowStream


@click.command(
    epilog="""\b
Examples:
  cmeta head run.cmeta                     the first 10 records
  cmeta head -n 3 run.cmeta --phase validate
  cmeta head -n 1 run.cmeta --json | jq .config

Only what is printed is read, whatever the size of the file.

\b
Exit codes:
  0 fine    2 usage or I/O    3 corrupt: what is intact is printed"""
)
@file_argument
@records_option("How many of the first records.")
@selection_options
@format_option
def head(
    file: Path,
    num_records: int,
    start: int | None,
    end: int | None,
    phase: tuple[tuple[str, ...], ...],
    fields: tuple[tuple[str, ...], ...],
    format_: str | None,
    as_json: bool,
) -> None:
    """Print the first records."""
    write = FORMATS[chosen_format(format_, as_json)]
    with closing(open_chronicle(file)) as reader:
        selection = chosen_selection(reader, start, end, phase)
        stream = RowStream(reader, selection, chosen_fields(reader, fields), limit=num_records)
        write(stream)
    report(file, stream.problems)
