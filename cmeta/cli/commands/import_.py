"""`cmeta import`: another tool's records, as a chronicle."""

from __future__ import annotations

import dataclasses
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from cmeta.aliases import Progress
from cmeta.cli.console import (
    STDIN_NAME,
    file_name,
    is_terminal,
    print_data,
    print_error,
    print_note,
    print_text,
    print_to_stderr,
    progress,
)
from cmeta.cli.errors import Exit, Failure, message_of, reading
from cmeta.cli.files import STDIN, STDOUT, output_path, require_free, require_no_terminal
from cmeta.cli.options import FILE, json_option, names, replace_option
from cmeta.cli.values import json_line
from cmeta.errors import CmetaError, EncodeError, counted
from cmeta.records import strict_json
from cmeta.safe_text import printable
from cmeta.schema.schema import Schema
from cmeta.source import read_file
from cmeta.storage.disk import new_stream
from cmeta.tools.imports.formats import FORMATS, ImportOptions
from cmeta.tools.imports.import_run import ImportReport, import_of
from cmeta.tools.imports.import_runs import FailedImport, find_sources, import_source


@click.command(
    "import",
    epilog="""\b
Examples:
  cmeta import log.csv run.cmeta
  cmeta import runs/tensorboard run.cmeta
  cmeta import checkpoint-500/trainer_state.json run.cmeta
  cmeta import sweep/ -o imported/
  cmeta import 'results/**/progress.csv' -o imported/ --skip-bad-lines
  cmeta import --json log.jsonl.gz run.cmeta --config config.json | jq .lost

\b
Formats (detected from the source; gzip, bzip2, xz, Zstandard are unpacked):
  jsonl          an object per line; a whole chronicle, if from `cat --full`
  json           lists by name, as `history.history` of Keras, or of objects
  csv            comma, tab or semicolon; names in line 1, or by --names
  log            text: 'step 10: loss 2.5', '| epoch 001 | loss 2.5'
  parquet        needs pyarrow (the extra 'arrow')
  tensorboard    an event file, or a log folder
  wandb          an offline run
  mlflow         a database or `mlruns`; --run NAME chooses of several
  sacred         a folder of the FileStorageObserver
  trainer_state  from Hugging Face

No value is rounded: a declared float field whose values would not come back bit for bit is made
exact in the chronicle's schema. Columns named like a field (loss_value or loss, step, epoch,
seed, phase or split, entropy, ...) become that field; other numbers become metrics, with 1 and 0
for true and false. Without a phase column, names such as val_loss give the phase. The step is
the timestamp. What no chronicle can hold, such as text or images, is noted; values that one could
have held are reported as lost. The intact part of a damaged source is imported.

\b
--json prints one object for each source: source, out, format, num_records,
fields, lost, notes, damage; with -o also source, out, error of a failed one.

\b
Exit codes:
  0 everything imported    2 a source cannot be read, or OUT exists
  4 imported with loss: values could not be kept, or a source was damaged""",
)
@click.argument("paths", type=FILE, nargs=-1, required=True, metavar="SOURCE... [OUT]")
@click.option(
    "-o", "folder", type=FILE, metavar="FOLDER",
    help="Import every SOURCE (files, folders, patterns) into FOLDER, a chronicle for each run.",
)  # fmt: skip
@click.option(
    "--format", "format_", type=click.Choice(FORMATS), metavar="F",
    help="The format of SOURCE; default: detected.",
)  # fmt: skip
@click.option(
    "--phase", metavar="P", help="The phase of records that do not state theirs; default: train."
)
@click.option("--run", metavar="NAME", help="Which run, if the source contains several.")
@click.option(
    "--names", metavar="A,B,C", type=names,
    help="The names of the columns of a CSV that has no line of names.",
)  # fmt: skip
@click.option(
    "--skip-bad-lines", is_flag=True,
    help="Leave out lines of CSV or JSON that cannot be read, and report them.",
)  # fmt: skip
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
    paths: tuple[Path, ...],
    folder: Path | None,
    format_: str | None,
    phase: str | None,
    run: str | None,
    names: tuple[str, ...] | None,
    skip_bad_lines: bool,
    schema_file: Path | None,
    config_file: Path | None,
    replace: bool,
    as_json: bool,
) -> None:
    """Make a chronicle from another tool's file, or many with -o.

    SOURCE may be `-` for standard input, OUT `-` for standard output.
    """
    if folder is None:
        _require_source_and_out(paths)
        require_free(paths[1], paths[0], replace=replace)
        require_no_terminal(paths[1])
    options = ImportOptions(
        phase=phase, run=run, names=names, skip_bad_lines=skip_bad_lines,
        schema=None if schema_file is None else _load_schema(schema_file),
    )  # fmt: skip
    more = {
        "format_": format_, "replace": replace,
        "config": None if config_file is None else _load_config(config_file),
    }  # fmt: skip
    if folder is None:
        _import_one(paths[0], paths[1], options, more, as_json)
    else:
        _import_many(paths, folder, options, more, as_json)


def _require_source_and_out(paths: tuple[Path, ...]) -> None:
    if len(paths) == 1:
        raise click.UsageError("Missing argument 'OUT'; or give a folder with -o.")
    if len(paths) > 2:
        raise click.UsageError(
            f"found {len(paths)} arguments, expected SOURCE and OUT; -o FOLDER imports several "
            "sources"
        )


def _import_one(
    source: Path, out: Path, options: ImportOptions, more: dict[str, Any], as_json: bool
) -> None:
    source_name = STDIN_NAME if source == STDIN else str(source)
    with (
        _on_disk(source) as path,
        output_path(out) as target,
        progress(file_name(source)) as update,
    ):
        try:
            report = import_of(path, target, _with_progress(options, update), **more)
        except EncodeError as err:
            message = str(err).replace(str(path), source_name)
            if source.is_dir():
                message += "; -o FOLDER imports every file in a folder"
            raise Failure(printable(message), Exit.USAGE) from err
    _print(dataclasses.replace(report, source=source_name, out=str(out)), out, as_json)
    if not report.ok:  # a script must not delete the source because the exit code is 0
        raise click.exceptions.Exit(Exit.RECOVERED)


def _import_many(
    paths: tuple[Path, ...],
    folder: Path,
    options: ImportOptions,
    more: dict[str, Any],
    as_json: bool,
) -> None:
    if STDIN in paths or folder == STDOUT:
        raise click.UsageError("-o requires files on disk, not `-`.")
    sources = find_sources(paths)
    if not sources.runs:
        raise Failure(f"no file to import in {', '.join(map(file_name, paths))}", Exit.USAGE)
    codes = {Exit.SUCCESS}
    for source in sources.runs:
        with progress(file_name(source.path)) as update:
            result = import_source(source, folder, _with_progress(options, update), **more)
        if isinstance(result, FailedImport):
            codes.add(Exit.USAGE)
            _print_failure(result, as_json)
        else:
            codes |= set() if result.ok else {Exit.RECOVERED}
            _print(result, Path(result.out), as_json)
    if sources.num_others:
        print_note(f"{counted(sources.num_others, 'other file')} left alone")
    worst = Exit.USAGE if Exit.USAGE in codes else max(codes)
    if worst:
        raise click.exceptions.Exit(worst)


def _with_progress(options: ImportOptions, update: Progress) -> ImportOptions:
    return dataclasses.replace(options, progress=update)


def _print_failure(failed: FailedImport, as_json: bool) -> None:
    message = message_of(failed.error) if isinstance(failed.error, CmetaError) else None
    if message is None:
        name = getattr(failed.error, "filename", None) or failed.source
        message = f"{name}: {getattr(failed.error, 'strerror', None) or failed.error}"
    print_error(printable(message))
    if as_json:
        values = {"source": failed.source, "out": failed.out, "error": message}
        print_data(json_line(values))


def _print(report: ImportReport, out: Path, as_json: bool) -> None:
    """Print the report; on stderr if the chronicle itself is on stdout."""
    if out == STDOUT:
        print_to_stderr(json_line(report.as_json()) if as_json else f"{report}\n")
    elif as_json:
        print_data(json_line(report.as_json()))
    else:
        print_text(f"{report}\n")


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
        with new_stream(path) as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield path


def _load_schema(path: Path) -> Schema:
    with reading(path):
        return Schema.load(path)


def _load_config(path: Path) -> dict[str, Any]:
    with reading(path):
        data = read_file(path)
    try:
        config = strict_json.loads(data)
    except ValueError as err:
        raise Failure(f"{file_name(path)}: not JSON: {printable(str(err))}", Exit.USAGE) from err
    if not isinstance(config, dict):
        message = "expected a JSON object, the configuration"
        raise Failure(f"{file_name(path)}: {message}", Exit.USAGE)
    return config
