"""`cmeta recover`: the intact part of a damaged chronicle, as a new one."""

from __future__ import annotations

from pathlib import Path

import click

from cmeta.cli.console import file_name, print_data, print_lines, printable, progress
from cmeta.cli.errors import Exit, Failure
from cmeta.cli.options import FILE, file_argument, json_option
from cmeta.cli.values import json_line
from cmeta.errors import ExistsError
from cmeta.schema.schema import Schema
from cmeta.tools.recover.recover import recover as recover_file

_EXITS = {"complete": Exit.SUCCESS, "with loss": Exit.RECOVERED, "nothing": Exit.CORRUPT}


@click.command(
    epilog="""\b
Examples:
  cmeta recover broken.cmeta new.cmeta
  cmeta recover run.cmeta-journal new.cmeta     a journal whose file is gone
  cmeta recover --json broken.cmeta new.cmeta | jq .lost

The damaged file is not changed, and OUT must not exist: it appears once it is complete, on disk and
valid. The journal of the damaged file is read too. Nothing is made up: records that are not certain
are left out and reported.

\b
Verdicts and exit codes:
  complete   0  every record with every value is in OUT
  with loss  4  OUT has everything that is intact; the report lists the rest
  nothing    3  no record could be recovered; OUT is not written"""
)
@file_argument
@click.argument("out", type=FILE)
@json_option
@click.option(
    "--schema", "schema_file", type=FILE, metavar="TOML",
    help="The schema with which the file was written, if the schema inside it is damaged.",
)  # fmt: skip
def recover(file: Path, out: Path, as_json: bool, schema_file: Path | None) -> None:
    """Save the intact part of a damaged chronicle in a new file, OUT.

    FILE may also be open or truncated.
    """
    schema = None if schema_file is None else Schema.load(schema_file)
    try:
        with progress(file.name) as update:
            report = recover_file(file, out, schema=schema, progress=update)
    except ExistsError as err:
        raise Failure(printable(str(err)), Exit.USAGE) from err
    if as_json:
        names = {"file": file_name(report.name), "out": file_name(report.out)}
        print_data(json_line({**report.as_json(), **names}))
    else:
        print_lines(map(printable, str(report).splitlines()))
    raise click.exceptions.Exit(_EXITS[report.verdict])
