"""A chart for the terminal: the loss of each phase, over the cycles."""

from __future__ import annotations

import math
import re

import numpy as np
import numpy.typing as npt
import plotext

import cmeta

HEIGHT = 18
COLOURS = ("magenta", "cyan", "orange")
MARGIN = 8  # columns beside the canvas, at most
MAX_TICKS = 7
Points = npt.NDArray[np.float64]


def loss_chart(run: cmeta.Reader, width: int, *, colour: bool) -> str:
    """Return the chart, in lines of at most `width` characters.

    A point is the median of neighbouring cycles of a phase; the scale is logarithmic, so only
    finite losses above zero are drawn.

    Parameters
    ----------
    run : Reader
    width : int
    colour : bool
        Coloured curves; otherwise a point is the initial of its phase.
    """
    curves = {p: _medians(run, p, width - MARGIN) for p in run.schema.phases}
    curves = {phase: curve for phase, curve in curves.items() if len(curve)}
    if not curves:
        return "no finite loss to draw"
    figure = plotext.figure
    figure.clear()
    figure.theme("colorless")
    plotext.terminal.limit(False, False)  # `width` decides, not the terminal
    figure.plot_size(width, HEIGHT)
    legend = []
    for (phase, curve), hue in zip(curves.items(), COLOURS, strict=False):
        marker = plotext.marker("braille", hue) if colour else phase[0]
        figure.draw(figure.signal(*curve.T.tolist(), marker=marker).lines(colour))
        legend.append(
            plotext.colorize(f"━ {phase}", hue).string() if colour else f"{phase[0]} {phase}"
        )
    points = np.concatenate(list(curves.values()))
    (first, low), (last, high) = points.min(axis=0), points.max(axis=0)
    figure.ruler("x").ticks(*_linear_ticks(first, last))
    figure.ruler("y").ticks(*_log_ticks(low, high))
    chart = figure.build().string(colorless=not colour)
    return "\n".join([f"loss   {'   '.join(legend)}", *_trimmed(chart)])


def _medians(run: cmeta.Reader, phase: str, num_points: int) -> Points:
    """Return timestamps and decimal logarithms of the loss, ``(n, 2)``, at most `num_points`."""
    columns = run.read(["timestamp", "loss_value"], phase=phase)
    if "loss_value" not in columns:
        return np.zeros((0, 2))
    drawn = np.isfinite(columns["loss_value"]) & (columns["loss_value"] > 0)
    points = np.stack([columns["timestamp"][drawn], np.log10(columns["loss_value"][drawn])], axis=1)
    groups = np.array_split(points, min(num_points, len(points)) or 1)
    return np.array([np.median(group, axis=0) for group in groups if len(group)]).reshape(-1, 2)


def _linear_ticks(low: float, high: float) -> tuple[list[float], list[str]]:
    """Return round numbers, and their labels."""
    step = next(
        factor * 10**power for power in range(20) for factor in (1, 2, 5)
        if (high - low) / (factor * 10**power) < MAX_TICKS
    )  # fmt: skip
    ticks = range(math.ceil(low / step) * step, math.floor(high) + 1, step)
    return [float(tick) for tick in ticks], [f"{tick:,}" for tick in ticks]


def _log_ticks(low: float, high: float) -> tuple[list[float], list[str]]:
    """Return logarithms of round numbers, and the labels of the numbers."""
    powers = range(math.floor(low), math.ceil(high))
    every = len(powers) // MAX_TICKS + 1
    factors = (1, 2, 5) if len(powers) <= 3 else (1,)
    ticks = [factor * 10.0**power for power in powers[::every] for factor in factors]
    inside = [tick for tick in ticks if low <= math.log10(tick) <= high]
    return [math.log10(tick) for tick in inside], [f"{tick:.3g}" for tick in inside]


def _trimmed(chart: str) -> list[str]:
    return [re.sub(r"\s+$", "", line) for line in chart.splitlines()]
