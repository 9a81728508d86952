"""`cmeta recover`: the intact part of a damaged chronicle, as a new one."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import click

from cmeta.cli.console import file_name, print_data, print_text, progress
from cmeta.cli.errors import Exit, Failure
from cmeta.cli.files import STDOUT, output_path, pattern_error, require_no_terminal
from cmeta.cli.options import FILE, file_argument, json_option
from cmeta.cli.values import json_line
from cmeta.errors import ExistsError
from cmeta.safe_text import printable
from cmeta.schema.schema import Schema
from cmeta.storage.disk import new_stream
from cmeta.storage.find import is_pattern
from cmeta.tools.recover.recover import recover as recover_file
from cmeta.tools.recover.recovery_report import RecoveryReport

_EXITS = {"complete": Exit.SUCCESS, "with loss": Exit.RECOVERED, "nothing": Exit.CORRUPT}


@click.command(
    epilog="""\b
Examples:
  cmeta recover broken.cmeta new.cmeta
  cmeta recover run.cmeta-journal new.cmeta     a journal whose file is gone
  cmeta recover broken.cmeta - | ssh host 'cat > new.cmeta'
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
    """Save the intact part of a damaged chronicle.

    It is written to OUT, a new file, or `-` for standard output; the report then goes to standard
    error. FILE may also be open or truncated.
    """
    schema = None if schema_file is None else Schema.load(schema_file)
    require_no_terminal(out)
    if is_pattern(str(file)):
        raise pattern_error(file)
    try:
        with output_path(out) as target, progress(file.name) as update:
            report = recover_file(file, target, schema=schema, progress=update)
            if out == STDOUT and not report.out:
                with new_stream(target):
                    pass  # nothing goes to standard output
    except ExistsError as err:
        raise Failure(str(err), Exit.USAGE) from err
    _print(replace(report, out=str(out) if report.out else ""), out, as_json)
    raise click.exceptions.Exit(_EXITS[report.verdict])


def _print(report: RecoveryReport, out: Path, as_json: bool) -> None:
    """Print the report; on stderr if the chronicle itself is on stdout."""
    names = {"file": file_name(report.name), "out": printable(report.out)}
    text = json_line({**report.as_json(), **names})
    if not as_json:
        text = f"{report}\n"
    if out == STDOUT:
        sys.stdout.flush()
        click.echo(text, nl=False, err=True)
    elif as_json:
        print_data(text)
    else:
        print_text(text)
