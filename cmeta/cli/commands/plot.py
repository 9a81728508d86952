"""`cmeta plot`: curves of runs in the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from cmeta.cli.chart import ChartStyle, is_ascii_only, line_chart, plotext
from cmeta.cli.console import (
    file_name,
    has_colour,
    print_lines,
    print_note,
    terminal_width,
)
from cmeta.cli.files import note_if_open
from cmeta.cli.options import RecordOptions, files_argument, record_options
from cmeta.cli.run_set import Run, RunSet
from cmeta.safe_text import printable
from cmeta.schema.rules import TIMESTAMP
from cmeta.schema.types import Field
from cmeta.tools.summary.plot_data import BinnedCurve, Extent, PlotData, Series, union
from cmeta.tools.summary.summarise import is_number

_DEFAULT_FIELDS = ("loss",)
_PIPE_WIDTH = 80


@click.command(
    epilog="""\b
Examples:
  cmeta plot run.cmeta
  cmeta plot run.cmeta --fields loss,val_accuracy --phase val
  cmeta plot first.cmeta second.cmeta --log --x step
  cmeta plot runs/ --phase train --width 120 --height 30

There is one chart per field, with a curve for each run and phase. A long run is reduced to the
first, the lowest, the highest and the last value of each dot across, so that no spike is lost.
NaN and infinities are gaps and are counted below the chart; with --log, so are values that are
not positive.

A damaged batch is left out: everything intact is drawn, then the errors follow, and the exit code
is 3. If there are several files, the highest exit code counts.""",
)
@files_argument
@record_options
@click.option(
    "--x", "x_name", default=TIMESTAMP, metavar="FIELD", show_default=True,
    help="The horizontal axis: timestamp, step, or any other numeric field.",
)  # fmt: skip
@click.option("--log", is_flag=True, help="Use a logarithmic scale for the values.")
@click.option(
    "--width", type=click.IntRange(20, 1000), help="In characters; default: the terminal's."
)
@click.option(
    "--height", type=click.IntRange(5, 500), default=20, show_default=True,
    help="Lines of each chart.",
)  # fmt: skip
def plot(
    files: tuple[Path, ...],
    wanted: RecordOptions,
    x_name: str,
    log: bool,
    width: int | None,
    height: int,
) -> None:
    """Draw fields over time in the terminal.

    Several runs share a chart. Needs the extra `plot`.
    """
    plotext()
    style = ChartStyle(
        width=width or terminal_width() or _PIPE_WIDTH,
        height=height,
        colour=has_colour(sys.stdout),
        ascii_only=is_ascii_only(),
        log=log,
    )
    runs = RunSet(files, wanted.replace(fields=wanted.fields or _DEFAULT_FIELDS))
    extents = _extents(runs, x_name)
    by_field: dict[str, list[Line]] = {}
    for run in runs:
        for line in _lines(run, runs, x_name, extents, style):
            by_field.setdefault(line.series.name, []).append(line)
    for lines in by_field.values():
        print_lines(_chart(lines, extents, x_name, style))
    if not by_field:
        print_note("no values to draw")
    raise click.exceptions.Exit(runs.code)


@dataclass(frozen=True)
class Line:
    """A curve with its run, field and phase."""

    run: str
    series: Series
    unit: str
    curve: BinnedCurve


def _extents(runs: RunSet, x_name: str) -> dict[str, Extent]:
    """Return the horizontal range of each field in all runs.

    Raises
    ------
    click.BadParameter
        No run has the horizontal field, or it is not numeric.
    """
    extents: dict[str, Extent] = {}
    refusals: list[click.BadParameter] = []
    num_runs = 0
    for run in runs:
        num_runs += 1
        try:
            data = _plot_data(run, _x_field(run, x_name))
        except click.BadParameter as err:
            refusals.append(err)
            continue
        for path, extent in (runs.attempt(run.path, data.extents) or {}).items():
            extents[path] = union(extents.get(path), extent)
    if refusals and len(refusals) == num_runs:
        raise refusals[0]
    return extents


def _lines(
    run: Run, runs: RunSet, x_name: str, extents: dict[str, Extent], style: ChartStyle
) -> Iterator[Line]:
    """Yield the curves of a run, and report what is missing from them."""
    try:
        x = _x_field(run, x_name)
    except click.BadParameter:
        print_note(f"{file_name(run.path)} has no {printable(x_name)} and is not drawn")
        return
    data = _plot_data(run, x)
    curves = runs.attempt(run.path, data.curves, extents, style.num_bins, log=style.log) or {}
    units = {field.path: field.unit for field in run.fields or ()}
    for series, curve in curves.items():
        yield Line(run.label, series, units[series.field], curve)
    note_if_open(run.path, run.reader)
    runs.print_problems(run.path, data.problems)


def _plot_data(run: Run, x: Field) -> PlotData:
    return PlotData(run.reader, run.selection, run.fields or (), x)


def _x_field(run: Run, name: str) -> Field:
    """Return the horizontal field.

    Raises
    ------
    click.BadParameter
    """
    try:
        (field,) = RecordOptions(fields=(name,)).chosen_fields(run.reader) or ()
    except click.BadParameter as err:
        raise click.BadParameter(err.message, param_hint="'--x'") from err
    if not is_number(field) or field.num_components:
        message = f"{name} is of type {field.type_name}, expected a numeric field."
        raise click.BadParameter(message, param_hint="'--x'")
    return field


def _chart(
    lines: list[Line], extents: dict[str, Extent], x_name: str, style: ChartStyle
) -> Iterator[str]:
    series = lines[0].series
    has_runs = len({line.run for line in lines}) > 1
    has_phases = len({line.series.phase for line in lines}) > 1 or not has_runs
    title = printable(series.name)
    if lines[0].unit:
        title += f" ({printable(lines[0].unit)})"
    if not has_phases:
        title += f", {printable(series.phase)}"
    labels = [
        " ".join([line.run] * has_runs + [printable(line.series.phase)] * has_phases)
        for line in lines
    ]
    curves = list(zip(labels, (line.curve for line in lines), strict=True))
    x_extent = extents.get(series.field, (0, 0))
    yield from line_chart(title, curves, x_extent, printable(x_name), style)
    for label, curve in curves:
        if counts := _not_drawn(curve, x_name):
            yield f"not drawn: {label}: {', '.join(counts)}"
    yield ""


def _not_drawn(curve: BinnedCurve, x_name: str) -> list[str]:
    counts = {
        "NaN": curve.num_nan,
        "infinite": curve.num_infinite,
        "not positive": curve.num_not_positive,
        f"without {printable(x_name)}": curve.num_without_x,
    }
    return [f"{count:,} {reason}" for reason, count in counts.items() if count]
