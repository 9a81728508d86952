"""`cmeta runs`: a table of all chronicles below a folder."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from cmeta.cli.chart import sparkline
from cmeta.cli.console import (
    display_width,
    file_name,
    print_data,
    print_error,
    print_note,
    print_text,
    progress,
    terminal_width,
)
from cmeta.cli.errors import Exit
from cmeta.cli.files import STDIN, require_file
from cmeta.cli.options import (
    FILE,
    expression,
    fields_option,
    jobs_option,
    json_option,
    names,
)
from cmeta.cli.table import Column, Table
from cmeta.cli.values import ROUNDED, json_line, shortest_doubles
from cmeta.query.parse import Expression
from cmeta.safe_text import printable
from cmeta.tools.runs.keys import Key, Keys, in_order, telling
from cmeta.tools.runs.run_info import RunField, RunInfo
from cmeta.tools.runs.scan import scan

LOSS = Key("loss", lambda run: run.loss)  # printed as a sparkline
STATES = ("closed", "open", "busy", "damaged", "unreadable")
_EXITS = {"busy": Exit.DIFFERS, "damaged": Exit.CORRUPT, "unreadable": Exit.USAGE}
_COLOURS = {"open": "yellow", "busy": "yellow", "damaged": "red", "unreadable": "red"}
_FIRST, _LAST = ("state", "status", "num_records"), "last_timestamp"
_PROBLEMS_MAX = 20  # printed one by one
_CELL_MAX = 40  # characters of a text, such as a path to data
_PIPE_WIDTH = 120  # columns, where stdout is no terminal
_HIDDEN_MAX = 8  # names of columns in a note
ALL = "all"  # for --columns
_FILE_MIN = 20  # characters of a file's name, however narrow the terminal


def _check_best(ctx: click.Context, option: click.Parameter, texts: Sequence[str]) -> Sequence[str]:
    for text in texts:
        if text.partition(":")[0] not in ("min", "max") or not text.partition(":")[2]:
            raise click.BadParameter(f"{text!r}, expected min:FIELD or max:FIELD.", ctx, option)
    return texts


@click.command(
    epilog="""\b
Examples:
  cmeta runs runs/
  cmeta runs runs/ --best max:val_accuracy --limit 10
  cmeta runs runs/ --best min:validate/loss --columns config.lr,config.width
  cmeta runs runs/ --where "val_accuracy.max > 0.9 and config.lr < 0.1"
  cmeta runs runs/ --fields loss,loss_value.min,config.lr --sort config.lr
  cmeta runs 'runs/**/seed-*.cmeta' --json | jq -r .file

\b
Names for --where, --sort and --fields:
  file state status problem num_records first_timestamp last_timestamp
  len_file num_configs
  phases.PHASE     number of records of a phase
  config.KEY       of the last record's configuration; nested: config.net.lr
  FIELD            its last value; the group of a metric may be omitted
  PHASE/FIELD      its last value in a phase: validate/loss, train/entropy
  FIELD.min .max   its smallest and largest value, without NaN. Also
                   .min_timestamp, .max_timestamp, .num_values, .num_nan.
                   min:FIELD and max:FIELD mean the same
  loss             with --fields its course, a sparkline; else its last value
Without a phase, a metric is that of validation if the run has it there, else
that of training; the table and the notes say so. A step, a seed and other
integers are over all records.

\b
States and exit codes (the highest of the runs that are shown):
  closed      0
  open        0  being written, or its writer died; its journal is read too
  busy        1  its writer changed it each time that it was read
  unreadable  2  missing, or not a file
  damaged     3  the row covers the intact records; `cmeta validate` says more

Results for closed runs are kept in your cache folder (or in CMETA_CACHE_DIR) and are used as long
as a file's length, modification time, header and checksum are the same."""
)
@click.argument("folders", type=FILE, nargs=-1, required=True, metavar="DIR...")
@click.option("--sort", metavar="NAME", help="Sort by this; runs without it come last.")
@click.option("--reverse", is_flag=True, help="Reverse the order.")
@click.option("--where", type=expression, metavar="EXPR", help="Only runs that fulfil this.")
@fields_option("Only these columns, in this order.")
@click.option(
    "--columns", type=names, multiple=True, metavar="A,B,...|all",
    help="These columns as well, in place of the configuration; all: every key in which runs "
    "differ, however wide.",
)  # fmt: skip
@click.option(
    "--best", multiple=True, callback=_check_best, metavar="min:FIELD|max:FIELD",
    help="Show the best value of a field, and sort by the first of these; may be repeated.",
)  # fmt: skip
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N.")
@json_option
@jobs_option
@click.option("--no-cache", is_flag=True, help="Read every file, and store no results.")
def runs(
    folders: tuple[Path, ...],
    sort: str | None,
    reverse: bool,
    where: Expression | None,
    fields: tuple[tuple[str, ...], ...],
    columns: tuple[tuple[str, ...], ...],
    best: tuple[str, ...],
    limit: int | None,
    as_json: bool,
    jobs: int | None,
    no_cache: bool,
) -> None:
    """List the runs in folders: state, loss, configuration.

    Of the configuration, the keys in which the runs differ are shown, as far as there is room.
    """
    if STDIN in folders:
        require_file(STDIN)  # which raises the error
    with progress("runs") as update:
        scanned = scan(folders, jobs=jobs, cache=not no_cache, progress=update)
    keys = Keys(scanned)
    wanted = [_key(keys, name, "fields") for part in fields for name in part]
    more = [name for part in columns for name in part]
    added = None if not more or more == [ALL] else [_key(keys, name, "columns") for name in more]
    bests = [_key(keys, name, "best") for name in best]
    shown = scanned
    if where is not None:
        shown = keys.select(where)
    sort_key = _key(keys, sort, "sort") if sort else None
    shown = _sorted(shown, sort_key, best, bests, reverse)
    shown = shown[:limit]
    if as_json:
        only = {key.field for key in [*wanted, *(added or ())] if key.field} if wanted else None
        for run in shown:
            print_data(json_line(as_dict(run, only)))
    else:
        chosen = _chosen_keys(shown, keys, wanted, bests, added)
        is_whole = bool(more) or bool(fields and terminal_width() is None)
        _print_table(shown, chosen, _base(folders), is_whole=is_whole)
        print_text(_summary(scanned, shown))
    asked = [key for key in (sort_key, *bests) if key is not None]
    asked += [keys.key(name) for name in (where.names if where is not None else ()) if name in keys]
    _print_phases(asked, scanned)
    _print_problems(scanned, shown, folders)
    codes = (_EXITS.get(run.state, Exit.SUCCESS) for run in shown)
    raise click.exceptions.Exit(max(codes, default=Exit.SUCCESS))


def _key(keys: Keys, name: str, option: str) -> Key:
    if option == "fields" and name == LOSS.name:
        return LOSS
    try:
        return keys.key(name)
    except KeyError as err:
        raise click.BadParameter(printable(err.args[0]), param_hint=f"'--{option}'") from None


def _sorted(
    runs: list[RunInfo], key: Key | None, best: Sequence[str], bests: Sequence[Key], reverse: bool
) -> list[RunInfo]:
    if key is None and not bests:
        return runs[::-1] if reverse else runs
    is_max = key is None and best[0].startswith("max:")
    value = (key or bests[0]).value
    return [runs[i] for i in in_order(list(map(value, runs)), reverse=reverse != is_max)]


# ----------------------------------------------------------------------------------------- JSON


def as_dict(run: RunInfo, only: set[str] | None = None) -> dict[str, Any]:
    """Return a run as `--json` prints it; keys may be added but never removed.

    Parameters
    ----------
    only : set of str, optional
        Fields to keep.
    """
    kept = {name: field for name, field in run.fields.items() if only is None or name in only}
    return {
        "file": file_name(run.path),
        "state": run.state,
        "status": run.status or None,
        "problem": run.problem or None,
        "len_file": run.len_file,
        "num_records": run.num_records,
        "first_timestamp": run.first_timestamp,
        "last_timestamp": run.last_timestamp,
        "phases": run.phases,
        "fields": _fields_as_dicts(kept),
        "num_configs": run.num_configs,
        "config": run.config,
        "loss_field": run.loss_field or None,
        "loss": list(run.loss),
        "by_phase": {
            phase: _fields_as_dicts({n: f for n, f in fields.items() if only is None or n in only})
            for phase, fields in run.by_phase.items()
        },
    }


def _fields_as_dicts(fields: Mapping[str, RunField]) -> dict[str, Any]:
    shortest = iter(_shortest([v for field in fields.values() for v in _float32s(field)]))
    dicts = {}
    for name, field in fields.items():
        last, low, high = field.last, field.min, field.max
        if values := _float32s(field):
            last, *extremes = [next(shortest) for _ in values]
            low, high = extremes or (None, None)
        dicts[name] = {
            "type": field.type,
            "num_values": field.num_values,
            "num_nan": field.num_nan,
            "last": last,
            "min": low,
            "max": high,
            "min_timestamp": field.min_timestamp,
            "max_timestamp": field.max_timestamp,
            "phase": field.phase or None,
        }
    return dicts


def _float32s(field: RunField) -> list[Any]:
    """Return the values with the precision of a float32: the last, and the extremes if any."""
    if field.type != "f32":
        return []
    return [field.last] if field.min is None else [field.last, field.min, field.max]


def _shortest(values: list[Any]) -> list[float]:
    doubles: list[float] = shortest_doubles(np.array(values, np.float32)).tolist()
    return doubles


# ---------------------------------------------------------------------------------------- table


def _chosen_keys(
    runs: Sequence[RunInfo], keys: Keys, wanted: Sequence[Key], bests: Sequence[Key],
    added: Sequence[Key] | None,
) -> list[Key]:  # fmt: skip
    """Return the keys of the columns: the requested ones, or else those that tell runs apart.

    The most important come first, because a narrow terminal shows only those.
    """
    first = [name for name in _FIRST if name != "status" or any(run.status for run in runs)]
    chosen = [*(wanted or map(keys.key, first)), *bests]
    if not wanted:
        chosen.append(LOSS)
        losses = Counter(run.loss_field for run in runs if run.loss_field in run.fields)
        for name, _ in losses.most_common(1):
            chosen += [keys.key(name), keys.key(f"{name}.min")]
        if added is None:
            added = [keys.key(f"config.{name}") for name in telling(runs)]
    chosen += added or []
    if not wanted:
        chosen.append(keys.key(_LAST))
    return list({key.name: key for key in chosen if key.name != "file"}.values())


def _print_table(
    runs: Sequence[RunInfo], keys: Sequence[Key], base: str | None, *, is_whole: bool
) -> None:
    """Print a row for each run, with file names relative to `base`.

    Parameters
    ----------
    is_whole : bool
        Every column is printed, however wide the table becomes.
    """
    if not runs:
        return
    prefix = "" if base in (None, os.curdir) else os.path.join(str(base), "")
    files = [file_name(run.path.removeprefix(prefix)) for run in runs]
    room = terminal_width()
    if room is not None:
        files = [_end(name, max(_FILE_MIN, room // 3)) for name in files]
    left = ("state", "status", "problem", LOSS.name)
    columns = [Column("file", is_left=True)]
    columns += [Column(_title(key, runs), is_left=key.name in left) for key in keys]
    table = Table(columns, has_rule=True, room=lambda: None if is_whole else room or _PIPE_WIDTH)
    cells = [files, *([cell(run) for run in runs] for cell in map(_cell, keys))]
    table.write(cells, styles=[_COLOURS.get(run.state, "") for run in runs])
    if table.hidden:
        titles = ", ".join(table.hidden[:_HIDDEN_MAX])
        num_more = len(table.hidden) - _HIDDEN_MAX
        more = f" and {num_more} more" if num_more > 0 else ""
        print_note(f"no room for {titles}{more}; --columns all, or --columns NAME,... shows them")


def _title(key: Key, runs: Sequence[RunInfo]) -> str:
    """Return a column's title: with the phase for which a plain name stands in all runs."""
    phases = key.phases_of(runs) if key.field else []
    return printable(f"{phases[0]}/{key.name}" if len(phases) == 1 and phases[0] else key.name)


def _print_phases(keys: Sequence[Key], runs: Sequence[RunInfo]) -> None:
    """Say for which phase a plain name stands where runs are chosen or ordered by it."""
    for key in {key.name: key for key in keys if key.field}.values():
        phases = [phase for phase in key.phases_of(runs) if phase]
        if phases:
            means = " or ".join(f"{phase}/{key.field}" for phase in phases)
            each = ", by what a run has," if len(phases) > 1 else ""
            print_note(f"{printable(key.field)} means {printable(means)}{each} here")


def _cell(key: Key) -> Callable[[RunInfo], str]:
    """Return the function that gives a run's cell for a key."""
    if key is LOSS:
        return lambda run: sparkline(run.loss)
    is_long = key.name == "problem"
    return lambda run: _text(key.value(run), is_long=is_long)


def _text(value: Any, *, is_long: bool) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return ROUNDED.finite(value) if abs(value) < float("inf") else ROUNDED.non_finite(value)
    if isinstance(value, str):
        text = printable(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        text = str(value)
    else:
        text = printable(json_line(value).rstrip("\n"))
    return text if is_long or len(text) <= _CELL_MAX else f"{text[: _CELL_MAX - 3]}..."


def _end(name: str, max_length: int) -> str:
    """Return the end of a long name, because it tells runs apart."""
    return name if display_width(name) <= max_length else f"...{name[-(max_length - 3) :]}"


def _base(folders: Sequence[Path]) -> str | None:
    """Return the folder to which file names are relative, if there is only one."""
    return os.fspath(folders[0]) if len(folders) == 1 and folders[0].is_dir() else None


def _summary(scanned: Sequence[RunInfo], shown: Sequence[RunInfo]) -> str:
    counts = Counter(str(run.state) for run in shown)
    states = ", ".join(f"{counts[state]:,} {state}" for state in STATES if counts[state])
    of = f" of {len(scanned):,}" if len(shown) < len(scanned) else ""
    noun = "run" if (len(scanned) if of else len(shown)) == 1 else "runs"
    return f"{len(shown):,}{of} {noun}{': ' if states else ''}{states}\n"


def _print_problems(
    scanned: Sequence[RunInfo], shown: Sequence[RunInfo], folders: Sequence[Path]
) -> None:
    bad = [run for run in shown if run.problem]
    for run in bad[:_PROBLEMS_MAX]:
        print_error(f"{file_name(run.path)}: {run.state}: {printable(run.problem)}")
    if len(bad) > _PROBLEMS_MAX:
        num_more = len(bad) - _PROBLEMS_MAX
        print_error(f"{num_more:,} more with problems; `--fields state,problem` lists them")
    if not scanned:
        print_note(f"no .cmeta file in {', '.join(map(file_name, folders))}")
