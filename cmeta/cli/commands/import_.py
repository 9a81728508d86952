"""`cmeta import`: another tool's records, as a chronicle."""

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
    file_name,
    is_terminal,
    print_data,
    print_lines,
    printable,
    progress,
)
from cmeta.cli.errors import Exit, Failure, reading
from cmeta.cli.files import STDIN, STDOUT, output_path, require_free, require_no_terminal
from cmeta.cli.options import FILE, json_option, replace_option
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
Formats (detected from the source itself):
  jsonl          an object per line; a whole chronicle, if from `cat --full`
  csv            comma, tab or semicolon; names in the first line
  parquet        needs pyarrow (the extra 'arrow')
  tensorboard    an event file, or a log folder
  wandb          an offline run
  trainer_state  from Hugging Face

No value is rounded: a declared float field whose values would not come back bit for bit is made
exact in the chronicle's schema. Columns named like a field (loss_value or loss, step, epoch,
seed, phase or split, entropy, ...) become that field; other numbers become metrics, with 1 and 0
for true and false. Without a timestamp, the step is used. Anything that a chronicle cannot store,
such as text or images, is reported as lost. The intact part of a damaged source is imported.

\b
--json prints one object: source, out, format, num_records, fields, lost, notes,
damage.

\b
Exit codes:
  0 everything imported    2 the source cannot be read or understood, or OUT exists
  4 imported with loss: a chronicle cannot store something, or the source was damaged""",
)
@click.argument("source", type=FILE)
@click.argument("out", type=FILE)
@click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    help="The format of SOURCE; default: detected.",
)
@click.option(
    "--phase", metavar="P", help="The phase of records that do not state theirs; default: train."
)
@click.option("--run", metavar="NAME", help="Which run, if the source contains several.")
@click.option(
    "--schema", "schema_file", type=FILE, metavar="TOML",
    help="The schema of OUT, used unchanged; values that it rounds are reported as lost.",
)  # fmt: skip
@click.option(
    "--config", "config_file", type=FILE, metavar="JSON",
    help="A JSON object: the configuration of every record that has none.",
)  # fmt: skip
@replace_option
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
    """Make a chronicle from another tool's file.

    SOURCE may be `-` for standard input, OUT `-` for standard output.
    """
    require_free(out, source, replace=replace)
    require_no_terminal(out)
    schema = None if schema_file is None else _load_schema(schema_file)
    config = None if config_file is None else _load_config(config_file)
    source_name = STDIN_NAME if source == STDIN else str(source)
    with (
        _on_disk(source) as path,
        output_path(out) as target,
        progress(file_name(source)) as update,
    ):
        try:
            report = import_run(
                path, target, format=format_, schema=schema, config=config, phase=phase, run=run,
                replace=replace, progress=update,
            )  # fmt: skip
        except EncodeError as err:
            message = str(err).replace(str(path), source_name)
            raise Failure(printable(message), Exit.USAGE) from err
    _print(dataclasses.replace(report, source=source_name, out=str(out)), out, as_json)
    if not report.ok:  # a script must not delete the source because the exit code is 0
        raise click.exceptions.Exit(Exit.RECOVERED)


def _print(report: ImportReport, out: Path, as_json: bool) -> None:
    """Print the report; on stderr if the chronicle itself is on stdout."""
    lines = [printable(line) for line in str(report).splitlines()]
    if out == STDOUT:
        sys.stdout.flush()
        text = json_line(report.as_json()) if as_json else "".join(f"{line}\n" for line in lines)
        click.echo(text, nl=False, err=True)
    elif as_json:
        print_data(json_line(report.as_json()))
    else:
        print_lines(lines)


@contextmanager
def _on_disk(source: Path) -> Iterator[Path]:
    """Yield the path of the source; standard input is saved to a file first."""
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


def _load_schema(path: Path) -> Schema:
    with reading(path):
        return Schema.load(path)


def _load_config(path: Path) -> dict[str, Any]:
    with reading(path):
        data = path.read_bytes()
    try:
        config = json.loads(data)
    except (ValueError, RecursionError) as err:
        raise Failure(f"{file_name(path)}: not JSON: {printable(str(err))}", Exit.USAGE) from err
    if not isinstance(config, dict):
        message = "expected a JSON object, the configuration"
        raise Failure(f"{file_name(path)}: {message}", Exit.USAGE)
    return config
