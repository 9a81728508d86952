"""`cmeta import`: what another tool has kept, as a chronicle."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from cmeta.cli.console import (
    STDIN_NAME,
    emit,
    emit_data,
    file_name,
    is_terminal,
    printable,
    progress,
)
from cmeta.cli.errors import Exit, Failure, reading
from cmeta.cli.files import STDIN
from cmeta.cli.options import FILE, json_option
from cmeta.cli.output import STDOUT, require_free, require_no_terminal, written_by_name
from cmeta.cli.values import json_line
from cmeta.errors import EncodeError
from cmeta.schema.schema import Schema
from cmeta.tools.imports.formats import FORMATS
from cmeta.tools.imports.import_run import ImportReport, import_run


@click.command(
    "import",
    epilog="""\b
Examples:
  cmeta import log.csv run.cmeta
  cmeta import runs/tensorboard run.cmeta
  cmeta import checkpoint-500/trainer_state.json run.cmeta
  gunzip -c run.jsonl.gz | cmeta import - run.cmeta
  cmeta import --json log.jsonl run.cmeta --config config.json | jq .lost

\b
Formats (found out from the source itself):
  jsonl          an object a line; with `cat --full` a whole chronicle
  csv            comma, tab or semicolon; the first line has names
  parquet        needs pyarrow: pip install 'cmeta-format[arrow]'
  tensorboard    an event file, or a log folder
  wandb          an offline run
  trainer_state  of Hugging Face

No value is rounded: a declared float field whose values would not come back bit for bit is made
exact in the chronicle's schema. Columns named like a field (loss_value or loss, step, epoch, seed,
phase or split, entropy, ...) become that field, other numbers metrics, true and false 1 and 0.
Without a timestamp the step is one. What a chronicle cannot keep, such as text or images, is
reported as lost. What was intact of a damaged source is imported.

\b
--json prints one object: source, out, format, num_records, fields, lost, notes,
damage.

\b
Exit codes:
  0 all of it imported    2 the source cannot be read or understood, or OUT exists
  4 imported with loss: a chronicle has no place for something, or the source was damaged""",
)
@click.argument("source", type=FILE)
@click.argument("out", type=FILE)
@click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    help="Of SOURCE; default: what it looks like.",
)
@click.option(
    "--phase", metavar="P", help="The phase of records that do not state theirs; default: train."
)
@click.option("--run", metavar="NAME", help="Which run, of a source that holds several.")
@click.option(
    "--schema", "schema_file", type=FILE, metavar="TOML",
    help="The schema of OUT; stays as it is, and what it rounds is reported as lost.",
)  # fmt: skip
@click.option(
    "--config", "config_file", type=FILE, metavar="JSON",
    help="A JSON object: the configuration of every record that has none.",
)  # fmt: skip
@click.option("--replace", is_flag=True, help="Write over OUT if it exists.")
@json_option
def import_(
    source: Path,
    out: Path,
    format_: str | None,
    phase: str | None,
    run: str | None,
    schema_file: Path | None,
    config_file: Path | None,
    replace: bool,
    as_json: bool,
) -> None:
    """Make a chronicle of another tool's file.

    SOURCE may be `-` for standard input, OUT `-` for standard output.
    """
    require_free(out, replace=replace)
    require_no_terminal(out)
    schema = None if schema_file is None else _schema_of(schema_file)
    config = None if config_file is None else _config_of(config_file)
    with (
        _readable(source) as path,
        written_by_name(out) as target,
        progress(file_name(source)) as update,
    ):
        try:
            report = import_run(
                path, target, format=format_, schema=schema, config=config, phase=phase, run=run,
                replace=replace, progress=update,
            )  # fmt: skip
        except EncodeError as err:
            message = str(err).replace(str(path), _shown(source))
            raise Failure(printable(message), Exit.USAGE) from err
    _print(dataclasses.replace(report, source=_shown(source), out=str(out)), out, as_json)
    if not report.ok:  # nobody is to delete the source because of a 0
        raise click.exceptions.Exit(Exit.RECOVERED)


def _print(report: ImportReport, out: Path, as_json: bool) -> None:
    """Print the report; on stderr if the chronicle itself is on stdout."""
    text = "".join(f"{printable(line)}\n" for line in str(report).splitlines())
    if out == STDOUT:
        sys.stdout.flush()
        click.echo(json_line(report.as_json()) if as_json else text, nl=False, err=True)
    elif as_json:
        emit_data(json_line(report.as_json()))
    else:
        emit(text)


def _shown(source: Path) -> str:
    return STDIN_NAME if source == STDIN else str(source)


@contextmanager
def _readable(source: Path) -> Iterator[Path]:
    """Give a path: standard input is saved first."""
    if source != STDIN:
        with reading(source):
            source.stat()
        yield source
        return
    if sys.stdin is None or is_terminal(sys.stdin):
        raise Failure(f"{STDIN_NAME}: a terminal, expected a file in a pipe", Exit.USAGE)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stdin"
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield path


def _schema_of(path: Path) -> Schema:
    with reading(path):
        return Schema.load(path)


def _config_of(path: Path) -> dict[str, Any]:
    with reading(path):
        data = path.read_bytes()
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as err:
        raise Failure(f"{file_name(path)}: no JSON: {printable(str(err))}", Exit.USAGE) from err
    if not isinstance(found, dict):
        raise Failure(f"{file_name(path)}: expected a JSON object, the configuration", Exit.USAGE)
    return found
