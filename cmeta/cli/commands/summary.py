"""`cmeta summary`: what runs came to, field by field and phase by phase."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from cmeta.cli.console import emit, emit_data, file_name, has_colour, note, progress, terminal_width
from cmeta.cli.errors import reading
from cmeta.cli.files import what_open_means
from cmeta.cli.options import files_argument, json_option, names, selection_options
from cmeta.cli.run_set import Names, Run, Several
from cmeta.cli.summary_table import STATISTICS, grid_of
from cmeta.cli.values import json_line
from cmeta.tools.summary.summarise import summary_of
from cmeta.tools.summary.summary_report import Summary


def statistics(text: str) -> tuple[str, ...]:
    """Return the statistics of a list with commas.

    Raises
    ------
    click.BadParameter
    """
    found = tuple(name.lower() for name in names(text))
    for name in found:
        if name not in STATISTICS:
            known = ", ".join(STATISTICS)
            raise click.BadParameter(f"{name!r} is none of: {known}.")
    return found


@click.command(
    epilog="""\b
Examples:
  cmeta summary run.cmeta
  cmeta summary run.cmeta --phase validate --fields loss_value,val_accuracy
  cmeta summary first.cmeta second.cmeta --stats last,min,course
  cmeta summary --json run.cmeta | jq '.fields[] | select(.num_nan > 0)'

NaN and infinities are counted, and enter nothing else but `last`. The deviation is that of the
population; the slope is least squares, in units of the field a timestamp. The course goes from
the first value to the last, each sign the mean of a stretch; `!` is a stretch of NaN only.

A damaged batch is left out: all that is intact is summed up, then come the errors, and the exit
code is 3. Of several files, the highest exit code counts."""
)
@files_argument
@selection_options
@click.option(
    "--stats", type=statistics, multiple=True, metavar="A,B,...",
    help=f"Only these columns, in this order: {', '.join(STATISTICS)}.",
)  # fmt: skip
@json_option
def summary(
    files: tuple[Path, ...],
    start: int | None,
    end: int | None,
    phase: Names,
    fields: Names,
    stats: Names,
    as_json: bool,
) -> None:
    """Sum up runs: extremes, mean, deviation, slope, NaN.

    Several are shown side by side.
    """
    runs = Several(files, fields, start, end, phase)
    found: dict[str, Summary] = {}
    for run in runs:
        one = _summary_of(run)
        if as_json:
            emit_data(json_line({**one.as_json(), "file": file_name(run.path)}))
        else:
            found[run.label] = one
            emit(f"{_headline(run, one)}\n")
        if run.reader.state == "open":
            note(f"{file_name(run.path)} is open: {what_open_means(run.reader.has_journal)}")
        runs.report(run.path, one.problems)
    if found:
        _show(found, [name for part in stats for name in part])
    raise click.exceptions.Exit(runs.code)


def _summary_of(run: Run) -> Summary:
    with progress(run.path.name) as update, reading(run.path):
        return summary_of(run.reader, run.fields, run.selection, partial=True, progress=update)


def _headline(run: Run, found: Summary) -> str:
    text = f"{file_name(run.path)}: {found.state}, {found.num_records:,} records"
    if found.first_timestamp is not None:
        text += f", timestamps {found.first_timestamp} to {found.last_timestamp}"
    return text


def _show(found: dict[str, Summary], wanted: list[str]) -> None:
    if not any(len(one) for one in found.values()):
        note("no numbers to sum up")
        return
    room = terminal_width()
    grid, left_out = grid_of(found, wanted, room)
    num_shown = grid.num_fitting(room)
    lines = grid.lines(num_shown, colour=has_colour(sys.stdout))
    emit("".join(f"{line}\n" for line in ("", *lines)))
    titles = [STATISTICS[name].title for name in left_out]
    titles += [f"{c.group} {c.title}".strip() for c in grid.columns[num_shown:]]
    if titles:
        note(f"no room for: {', '.join(titles)}; choose with --stats, or pipe into `less -S`")
