"""`cmeta recover`: whatever is intact of a damaged chronicle, as a new one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cmeta.cli.console import emit, emit_data, file_name, printable, progress
from cmeta.cli.errors import Exit, Failure
from cmeta.cli.options import FILE, file_argument, json_option
from cmeta.cli.values import json_line
from cmeta.errors import ExistsError
from cmeta.schema.schema import Schema
from cmeta.tools.recover.recover import recover as salvage
from cmeta.tools.recover.recovery_report import RecoveryReport

_EXITS = {"complete": Exit.FINE, "with loss": Exit.RECOVERED, "nothing": Exit.CORRUPT}


@click.command(
    epilog="""\b
Examples:
  cmeta recover broken.cmeta new.cmeta
  cmeta recover run.cmeta-journal new.cmeta     a journal whose file is gone
  cmeta recover --json broken.cmeta new.cmeta | jq .lost

The damaged file stays as it is, and OUT must not exist: it appears when it is complete, on disk and
valid. Its journal is read too. Nothing is made up: what is not certain is left out, and said.

\b
Verdicts, and exit codes:
  complete   0  every record with every value is in OUT
  with loss  4  OUT holds what is intact; the report says what it lacks
  nothing    3  no record could be salvaged; OUT is not written"""
)
@file_argument
@click.argument("out", type=FILE)
@json_option
@click.option(
    "--schema", "schema_file", type=FILE, metavar="TOML",
    help="For a file whose own schema is damaged: the schema that it was written with.",
)  # fmt: skip
def recover(file: Path, out: Path, as_json: bool, schema_file: Path | None) -> None:
    """Salvage what is intact of a damaged chronicle.

    Also of an open or truncated one; it goes into a new file, OUT.
    """
    schema = None if schema_file is None else Schema.load(schema_file)
    try:
        with progress(file.name) as update:
            report = salvage(file, out, schema=schema, progress=update)
    except ExistsError as err:
        raise Failure(printable(str(err)), Exit.USAGE) from err
    if as_json:
        emit_data(json_line(_shown(report)))
    else:
        emit("".join(f"{printable(line)}\n" for line in str(report).splitlines()))
    raise click.exceptions.Exit(_EXITS[report.verdict])


def _shown(report: RecoveryReport) -> dict[str, Any]:
    names = {"file": file_name(report.name), "out": file_name(report.out)}
    return {**report.as_json(), **names}
