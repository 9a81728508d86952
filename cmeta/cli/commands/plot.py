"""`cmeta plot`: curves of runs in the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from cmeta.cli.console import emit, file_name, has_colour, note, printable, terminal_width
from cmeta.cli.errors import reading
from cmeta.cli.files import what_open_means
from cmeta.cli.options import chosen_fields, files_argument, selection_options
from cmeta.cli.picture import Frame, picture, plotext
from cmeta.cli.run_set import Names, Run, Several
from cmeta.cli.sparkline import must_be_ascii
from cmeta.schema.rules import TIMESTAMP
from cmeta.schema.types import Field
from cmeta.tools.summary.curve import Curve, Extent, Key, Sketch, joined
from cmeta.tools.summary.summarise import Parts, is_number

_LOSS = "loss_value"
_WIDTH = 80  # in a pipe


@click.command(
    epilog="""\b
Examples:
  cmeta plot run.cmeta
  cmeta plot run.cmeta --fields loss_value,val_accuracy --phase validate
  cmeta plot first.cmeta second.cmeta --log --x step
  cmeta plot runs/ --phase train --width 120 --height 30

One picture for each field; in it a curve for each run and phase. What does not fit is reduced to
the first, the lowest, the highest and the last value of each dot across, so that no spike is lost.
NaN and infinities are gaps, and are counted below the picture; with --log, also what is not above
0.

A damaged batch is left out: all that is intact is drawn, then come the errors, and the exit code is
3. Of several files, the highest exit code counts.""",
)
@files_argument
@selection_options
@click.option(
    "--x", "x_name", default=TIMESTAMP, metavar="FIELD", show_default=True,
    help="What goes across: timestamp, step, or any other field of numbers.",
)  # fmt: skip
@click.option("--log", is_flag=True, help="A logarithmic scale.")
@click.option("--width", type=click.IntRange(20, 1000), help="Characters; default: the terminal.")
@click.option(
    "--height", type=click.IntRange(5, 500), default=20, show_default=True,
    help="Lines of each picture.",
)  # fmt: skip
def plot(
    files: tuple[Path, ...],
    start: int | None,
    end: int | None,
    phase: Names,
    fields: Names,
    x_name: str,
    log: bool,
    width: int | None,
    height: int,
) -> None:
    """Draw fields over time in the terminal.

    Several runs share a picture. Needs the extra `plot`.
    """
    plotext()
    frame = Frame(
        width=width or terminal_width() or _WIDTH,
        height=height,
        colour=has_colour(sys.stdout),
        ascii_only=must_be_ascii(),
        log=log,
    )
    runs = Several(files, fields or ((_LOSS,),), start, end, phase)
    extents = _extents(runs, x_name)
    found: dict[str, list[Line]] = {}
    for run in runs:
        for line in _lines_of(run, runs, x_name, extents, frame):
            found.setdefault(line.key.name, []).append(line)
    for lines in found.values():
        emit("".join(f"{text}\n" for text in _picture(lines, extents, x_name, frame)))
    if not found:
        note("no such values to draw")
    raise click.exceptions.Exit(runs.code)


@dataclass(frozen=True)
class Line:
    """A curve, and whose it is."""

    run: str
    key: Key
    unit: str
    curve: Curve


def _extents(runs: Several, x_name: str) -> dict[str, Extent]:
    """Return from where to where each field goes across, in all runs.

    Raises
    ------
    click.BadParameter
        No run has the field across, or it is no number.
    """
    found: dict[str, Extent] = {}
    refusals: list[click.BadParameter] = []
    num_runs = 0
    for run in runs:
        num_runs += 1
        try:
            sketch = _sketch(run, _x_field(run, x_name))
        except click.BadParameter as err:
            refusals.append(err)
            continue
        with reading(run.path):
            for path, extent in sketch.extents().items():
                found[path] = joined(found.get(path), extent)
    if refusals and len(refusals) == num_runs:
        raise refusals[0]
    return found


def _lines_of(
    run: Run, runs: Several, x_name: str, extents: dict[str, Extent], frame: Frame
) -> Iterator[Line]:
    """Yield the curves of a run, and say what of it is missing."""
    try:
        x = _x_field(run, x_name)
    except click.BadParameter:
        note(f"{file_name(run.path)} has no {printable(x_name)}, and is not drawn")
        return
    sketch = _sketch(run, x)
    with reading(run.path):
        curves = sketch.curves(extents, frame.num_bins, log=frame.log)
    units = {field.path: field.unit for field in run.fields or ()}
    for key, curve in curves.items():
        yield Line(run.label, key, units[key.field], curve)
    if run.reader.state == "open":
        note(f"{file_name(run.path)} is open: {what_open_means(run.reader.has_journal)}")
    runs.report(run.path, sketch.problems)


def _sketch(run: Run, x: Field) -> Sketch:
    return Sketch(run.reader, Parts(run.reader, run.selection, partial=True), run.fields or (), x)


def _x_field(run: Run, name: str) -> Field:
    """Return the field across.

    Raises
    ------
    click.BadParameter
    """
    try:
        (field,) = chosen_fields(run.reader, [[name]]) or ()
    except click.BadParameter as err:
        raise click.BadParameter(err.message, param_hint="'--x'") from err
    if not is_number(field) or field.num_components:
        message = f"{name} is of type {field.type_name}, expected a field of numbers."
        raise click.BadParameter(message, param_hint="'--x'")
    return field


def _picture(
    lines: list[Line], extents: dict[str, Extent], x_name: str, frame: Frame
) -> Iterator[str]:
    key = lines[0].key
    has_runs = len({line.run for line in lines}) > 1
    has_phases = len({line.key.phase for line in lines}) > 1 or not has_runs
    title = printable(key.name)
    if lines[0].unit:
        title += f" ({printable(lines[0].unit)})"
    if not has_phases:
        title += f", {printable(key.phase)}"
    labels = [
        " ".join([line.run] * has_runs + [printable(line.key.phase)] * has_phases) for line in lines
    ]
    curves = list(zip(labels, (line.curve for line in lines), strict=True))
    across = extents.get(key.field, (0, 0))
    yield from picture(title, curves, across, printable(x_name), frame)
    for label, curve in curves:
        if missing := _not_drawn(curve, x_name):
            yield f"not drawn: {label}: {', '.join(missing)}"
    yield ""


def _not_drawn(curve: Curve, x_name: str) -> list[str]:
    counts = {
        "NaN": curve.num_nan,
        "infinite": curve.num_infinite,
        "not above 0": curve.num_not_above_0,
        f"without {printable(x_name)}": curve.num_without_x,
    }
    return [f"{count:,} {what}" for what, count in counts.items() if count]
