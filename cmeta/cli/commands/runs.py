"""`cmeta runs`: a table of all chronicles below a folder."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from cmeta.cli.console import complain, emit, emit_data, file_name, note, printable, progress
from cmeta.cli.errors import Exit
from cmeta.cli.files import STDIN, require_file
from cmeta.cli.options import FILE, expression, json_option, names
from cmeta.cli.run_table import LOSS, columns_of, write_table
from cmeta.cli.values import json_line, shortest_doubles
from cmeta.query.parse import Expression
from cmeta.storage.find import is_pattern
from cmeta.tools.runs.keys import Key, Keys, in_order
from cmeta.tools.runs.run_info import RunField, RunInfo
from cmeta.tools.runs.scan import scan

_EXITS = {"damaged": Exit.CORRUPT, "unreadable": Exit.USAGE}
STATES = ("closed", "open", "damaged", "unreadable")
_PROBLEMS_MAX = 20  # that are told one by one


def _best(ctx: click.Context, option: click.Parameter, texts: Sequence[str]) -> Sequence[str]:
    for text in texts:
        if text.partition(":")[0] not in ("min", "max") or not text.partition(":")[2]:
            raise click.BadParameter(f"{text!r}, expected min:FIELD or max:FIELD.", ctx, option)
    return texts


@click.command(
    epilog="""\b
Examples:
  cmeta runs runs/
  cmeta runs runs/ --best max:val_accuracy --limit 10
  cmeta runs runs/ --where "val_accuracy.max > 0.9 and config.lr < 0.1 and state == 'closed'"
  cmeta runs runs/ --fields loss,loss_value.min,val_accuracy,config.lr --sort config.lr
  cmeta runs 'runs/**/seed-*.cmeta' --json | jq -r .file

\b
Names, for --where, --sort and --fields:
  file state problem num_records first_timestamp last_timestamp len_file num_configs
  phases.PHASE     records of a phase
  config.KEY       of the configuration of the last record; nested: config.net.width
  FIELD            its last value; a metric's group may be left out
  FIELD.min .max   its least and greatest value; NaN aside. Also .min_timestamp, .max_timestamp,
                   .num_values, .num_nan. min:FIELD and max:FIELD mean the same
  loss             the course of the loss, as a sparkline (--fields only)

\b
States, and exit codes (of the runs that are shown the highest):
  closed      0
  open        0  being written, or its writer died; its journal is read too
  unreadable  2  missing, or no file
  damaged     3  the row is about its intact records; `cmeta validate` says more

What is remembered of closed runs is in your cache folder (CMETA_CACHE_DIR: another one) and holds
as long as a file's length, time of change, header and checksum do."""
)
@click.argument("folders", type=FILE, nargs=-1, required=True, metavar="DIR...")
@click.option("--sort", metavar="NAME", help="Sort by this; what is missing comes last.")
@click.option("--reverse", is_flag=True, help="The greatest first.")
@click.option("--where", type=expression, metavar="EXPR", help="Only runs that fulfil this.")
@click.option(
    "--fields", type=names, multiple=True, metavar="A,B,...", help="Only these, in this order."
)
@click.option(
    "--best", multiple=True, callback=_best, metavar="min:FIELD|max:FIELD",
    help="Show the best value of a field, and sort by the first of these; may be repeated.",
)  # fmt: skip
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N.")
@json_option
@click.option(
    "--jobs", type=click.IntRange(min=1), metavar="N",
    help="How many processes; default: one for each CPU, as far as there is work.",
)  # fmt: skip
@click.option("--no-cache", is_flag=True, help="Read every file, and remember nothing.")
def runs(
    folders: tuple[Path, ...],
    sort: str | None,
    reverse: bool,
    where: Expression | None,
    fields: tuple[tuple[str, ...], ...],
    best: tuple[str, ...],
    limit: int | None,
    as_json: bool,
    jobs: int | None,
    no_cache: bool,
) -> None:
    """List the runs below folders: state, loss, configuration.

    Of the configurations, the keys are shown in which the runs differ.
    """
    _require_existing(folders)
    with progress("runs") as update:
        found = scan(folders, jobs=jobs, cache=not no_cache, progress=update)
    keys = Keys(found)
    wanted = [_key(keys, name, "fields") for part in fields for name in part]
    bests = [_key(keys, name, "best") for name in best]
    shown = found
    if where is not None and found:
        shown = [found[place] for place in np.flatnonzero(where.evaluate(keys.column))]
    shown = _sorted(shown, _key(keys, sort, "sort") if sort else None, best, bests, reverse)
    shown = shown[:limit]
    if as_json:
        only = {key.field for key in wanted if key.field} if wanted else None
        for run in shown:
            emit_data(json_line(as_dict(run, only)))
    else:
        write_table(shown, columns_of(shown, keys, wanted, bests, _base(folders)))
        emit(_summary(found, shown))
    _tell_problems(found, shown, folders)
    codes = (_EXITS.get(run.state, Exit.FINE) for run in shown)
    raise click.exceptions.Exit(max(codes, default=Exit.FINE))


def as_dict(run: RunInfo, only: set[str] | None = None) -> dict[str, Any]:
    """Return a run as `--json` prints it; keys are only ever added.

    Parameters
    ----------
    only : set of str, optional
        Fields to keep.
    """
    kept = {name: known for name, known in run.fields.items() if only is None or name in only}
    return {
        "file": file_name(run.path),
        "state": run.state,
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
    }


def _fields_as_dicts(fields: Mapping[str, RunField]) -> dict[str, Any]:
    shortest = iter(_shortest([v for known in fields.values() for v in _float32s(known)]))
    found = {}
    for name, known in fields.items():
        last, least, greatest = known.last, known.min, known.max
        if values := _float32s(known):
            last, *extremes = [next(shortest) for _ in values]
            least, greatest = extremes or (None, None)
        found[name] = {
            "type": known.type,
            "num_values": known.num_values,
            "num_nan": known.num_nan,
            "last": last,
            "min": least,
            "max": greatest,
            "min_timestamp": known.min_timestamp,
            "max_timestamp": known.max_timestamp,
        }
    return found


def _float32s(known: RunField) -> list[Any]:
    """Return the values that have the precision of a float32: last, and the extremes if any."""
    if known.type != "f32":
        return []
    return [known.last] if known.min is None else [known.last, known.min, known.max]


def _shortest(values: list[Any]) -> list[float]:
    found: list[float] = shortest_doubles(np.array(values, np.float32)).tolist()
    return found


def _require_existing(folders: Sequence[Path]) -> None:
    for folder in folders:
        if folder == STDIN or not (os.path.lexists(folder) or is_pattern(os.fspath(folder))):
            require_file(folder)  # which says so


def _base(folders: Sequence[Path]) -> str | None:
    """Return what the names of files are relative to, if there is one such folder."""
    return os.fspath(folders[0]) if len(folders) == 1 and folders[0].is_dir() else None


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


def _summary(found: Sequence[RunInfo], shown: Sequence[RunInfo]) -> str:
    counts = Counter(str(run.state) for run in shown)
    states = ", ".join(f"{counts[state]:,} {state}" for state in STATES if counts[state])
    of = f" of {len(found):,}" if len(shown) < len(found) else ""
    noun = "run" if (len(found) if of else len(shown)) == 1 else "runs"
    return f"{len(shown):,}{of} {noun}{': ' if states else ''}{states}\n"


def _tell_problems(
    found: Sequence[RunInfo], shown: Sequence[RunInfo], folders: Sequence[Path]
) -> None:
    bad = [run for run in shown if run.problem]
    for run in bad[:_PROBLEMS_MAX]:
        complain(f"{file_name(run.path)}: {run.state}: {printable(run.problem)}")
    if len(bad) > _PROBLEMS_MAX:
        complain(f"{len(bad) - _PROBLEMS_MAX:,} more files; `--fields state,problem` lists them")
    if not found:
        note(f"no .cmeta file in {', '.join(map(file_name, folders))}")
