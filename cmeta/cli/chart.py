"""Charts of characters: sparklines, and line charts by plotext.

plotext gets only positions between 0 and 1 and their labels: it ends the process when it meets NaN,
and the difference of two floats may overflow.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from cmeta.cli.console import display_width
from cmeta.extras import require
from cmeta.tools.summary.plot_data import BinnedCurve, Extent
from cmeta.tools.summary.statistics import downsample

Ticks = list[tuple[float, str]]  # positions from 0 to 1, and labels

COLOURS = ("magenta", "cyan", "orange", "green", "red", "blue", "yellow", "gray")
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_FRAME_TO_ASCII = str.maketrans("─│┌┐└┘├┤┬┴┼━", "-|+++++++++-")
_X_TICKS_MAX, _Y_TICKS_MAX = 6, 7
_LEN_FRAME = 3  # lines of a chart around its rows: the frame, and the labels below it
_ROUND_MIN = 3  # round numbers, if not all of them are true where they stand
_PLAIN_ROWS_MAX = 5  # labels where no round numbers fit
_DIGITS_MAX = 17
_PLAIN_DIGITS = 9  # a number with more digits before the point is written as a power

# ----------------------------------------------------------------------------------- sparklines

_BLOCKS, _ASCII_BLOCKS = "▁▂▃▄▅▆▇█", "_.,-=+*#"
_NOT_FINITE = "!"


def sparkline(values: npt.ArrayLike, width: int = 16, *, ascii_only: bool | None = None) -> str:
    """Return values as a line of blocks, scaled from the lowest to the highest.

    Parameters
    ----------
    values : float array, (n,)
    width : int
        Maximum number of characters.
    ascii_only : bool, optional
        Default: whether stdout cannot show blocks.

    Returns
    -------
    str
        ``!`` where no value is finite.

    Examples
    --------
    >>> sparkline([1, 2, 3, float("nan"), 8], ascii_only=True)
    '_.,!#'
    >>> sparkline([5, 5, 5], ascii_only=True)
    '---'
    """
    blocks = _ASCII_BLOCKS if (is_ascii_only() if ascii_only is None else ascii_only) else _BLOCKS
    means = downsample(values, width)
    finite = means[np.isfinite(means)]
    if not len(finite):
        return _NOT_FINITE * len(means)
    low, high = float(finite.min()), float(finite.max())
    if low == high:
        levels = np.full(len(means), 3.0)
    else:
        # Halved first, because the difference of two floats may overflow.
        levels = (means / 2 - low / 2) / (high / 2 - low / 2) * (len(blocks) - 1)
    return "".join(
        blocks[round(level)] if np.isfinite(level) and np.isfinite(value) else _NOT_FINITE
        for level, value in zip(levels.tolist(), means.tolist(), strict=True)
    )


def is_ascii_only() -> bool:
    """Return whether stdout cannot show blocks."""
    try:
        _BLOCKS.encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        return True
    return False


# ---------------------------------------------------------------------------------- line charts


@dataclass(frozen=True)
class ChartStyle:
    """How a chart is drawn.

    Attributes
    ----------
    width, height : int
        In characters.
    colour, ascii_only : bool
        Without colour, each curve is drawn with a letter.
    log : bool
        Whether values are decimal logarithms.
    """

    width: int
    height: int
    colour: bool = False
    ascii_only: bool = False
    log: bool = False

    @property
    def num_bins(self) -> int:
        """At least one bin for each dot across."""
        return 2 * self.width


def plotext() -> ModuleType:
    """Import plotext.

    Raises
    ------
    MissingExtraError
        It is not installed.
    """
    return require("plotext", "plot")


def line_chart(
    title: str, curves: Sequence[tuple[str, BinnedCurve]], x_extent: Extent, x_name: str,
    style: ChartStyle,
) -> list[str]:  # fmt: skip
    """Return the lines of a chart.

    Parameters
    ----------
    title : str
    curves : sequence of (label, BinnedCurve)
        With `ChartStyle.num_bins` bins.
    x_extent : extent
        Range of the horizontal axis.
    x_name : str
    style : ChartStyle
    """
    extents = [curve.extent for _, curve in curves if curve.extent is not None]
    heading = _legend(title, [label for label, _ in curves], style)
    if not extents:
        return [*heading, "  no positive values" if style.log else "  no finite values"]
    y_extent = (min(extent[0] for extent in extents), max(extent[1] for extent in extents))
    lines = _canvas(curves, x_extent, y_extent, style)
    return [*heading, *lines, f"{x_name:^{style.width}}".rstrip()]


def _canvas(
    curves: Sequence[tuple[str, BinnedCurve]], x_extent: Extent, y_extent: tuple[float, float],
    style: ChartStyle,
) -> list[str]:  # fmt: skip
    module = plotext()
    figure = module.figure
    figure.clear()
    figure.theme("colorless")
    module.terminal.limit(False, False)  # the caller chooses the size
    figure.plot_size(style.width, style.height)
    for i, (_, curve) in enumerate(curves):
        marker = _marker(module, i, style)
        for signal in _signals(figure, curve, y_extent, marker, style.num_bins):
            figure.draw(signal)
    x_ticks = linear_ticks(x_extent[0], x_extent[1], _X_TICKS_MAX)
    y_ticks = row_ticks(*y_extent, style.height - _LEN_FRAME, log=style.log)
    for axis, ticks in (("x", x_ticks), ("y", y_ticks)):
        ruler = figure.ruler(axis)
        ruler.lim(0.0, 1.0)
        ruler.ticks([position for position, _ in ticks], [label for _, label in ticks])
    text = figure.build().string(colorless=not style.colour)
    figure.clear()
    if style.ascii_only:
        text = text.translate(_FRAME_TO_ASCII)
    return [re.sub(r"\s+$", "", line) for line in text.splitlines()]


def _signals(
    figure: Any, curve: BinnedCurve, y_extent: tuple[float, float], marker: Any, num_bins: int
) -> Iterable[Any]:
    """Yield a signal for each unbroken line."""
    for bins, values in curve.lines():
        positions = bins / max(1, num_bins - 1)
        heights = [_position(value, *y_extent) for value in values.tolist()]
        yield figure.signal(positions.tolist(), heights, marker=marker).lines(True)


def _marker(module: ModuleType, i: int, style: ChartStyle) -> Any:
    if style.colour:
        return module.marker("braille", COLOURS[i % len(COLOURS)])
    return _LETTERS[i % len(_LETTERS)]


def _legend(title: str, labels: Sequence[str], style: ChartStyle) -> list[str]:
    """Return the title and the names of the curves, wrapped."""
    lines, used = [title], display_width(title)
    for i, label in enumerate(labels):
        symbol = "━" if style.colour else _LETTERS[i % len(_LETTERS)]
        entry = f"{symbol} {label}"
        width = display_width(entry)
        if style.colour:
            entry = str(plotext().colorize(entry, COLOURS[i % len(COLOURS)]).string())
        if used + 3 + width > style.width and used:
            lines, used = [*lines, ""], -1
        lines[-1] += f"   {entry}" if used > 0 else f"  {entry}"
        used += 3 + width
    return [line.translate(_FRAME_TO_ASCII) for line in lines] if style.ascii_only else lines


def _position(value: float, low: float, high: float) -> float:
    """Return a value's position from 0 to 1; halved first, so that nothing overflows."""
    return 0.5 if low == high else min(1.0, max(0.0, (value / 2 - low / 2) / (high / 2 - low / 2)))


def row_ticks(low: float, high: float, num_rows: int, *, log: bool = False) -> Ticks:
    """Return ticks for the rows of a vertical axis.

    Each has a row of its own, and its label is the value at the middle of this row, rounded to the
    digits that it shows: round numbers where there are such, else whatever the rows are.

    Parameters
    ----------
    low, high : float
        The values of the lowest and the highest row, or their decimal logarithms.

    Examples
    --------
    >>> row_ticks(0.0, 1.0, 2), [label for _, label in row_ticks(0.0, 1.0, 17)]
    ([(0.0, '0'), (1.0, '1')], ['0', '0.2', '0.4', '0.6', '0.8', '1'])
    >>> row_ticks(0.013, 0.97, 2)
    [(0.0, '0.013'), (1.0, '0.97')]
    """
    if low == high or num_rows < 2:
        return log_ticks(low, low) if log else linear_ticks(low, low, 1)
    values = [_value_at(row / (num_rows - 1), low, high, log=log) for row in range(num_rows)]
    for max_ticks in range(min(_Y_TICKS_MAX, num_rows + 1), 1, -1):
        ticks = log_ticks(low, high, max_ticks) if log else linear_ticks(low, high, max_ticks)
        by_row = {round(position * (num_rows - 1)): label for position, label in ticks}
        true = {row: label for row, label in by_row.items() if _is_rounded(label, values[row])}
        if len(true) >= _ROUND_MIN or 1 < len(true) == len(ticks):
            return [(row / (num_rows - 1), label) for row, label in true.items()]
    return _plain_row_ticks(values)


def _plain_row_ticks(values: Sequence[Decimal]) -> Ticks:
    """Return the values of some rows, with as many digits as tell them apart."""
    last, count = len(values) - 1, min(len(values), _PLAIN_ROWS_MAX)
    rows = sorted({round(i * last / (count - 1)) for i in range(count)})
    labels: list[str] = []
    for digits in range(2, _DIGITS_MAX + 1):
        labels = [_label(Decimal(f"{values[row]:.{digits}g}")) for row in rows]
        if len(set(labels)) == len(labels):
            break
    distinct = {label: row / last for row, label in zip(rows, labels, strict=True)}
    return [(position, label) for label, position in distinct.items()]


def _value_at(position: float, low: float, high: float, *, log: bool) -> Decimal:
    """Return the value at a position from 0 to 1."""
    share = Decimal(position)
    value = Decimal(low) * (1 - share) + Decimal(high) * share
    return Decimal(_power(float(value))) if log else value


def _is_rounded(label: str, value: Decimal) -> bool:
    """Return whether a label is a value rounded to the digits that it shows.

    Examples
    --------
    >>> _is_rounded("0.6", Decimal("0.625")), _is_rounded("0.6", Decimal("0.5"))
    (True, False)
    """
    shown = Decimal(label.replace(",", ""))
    quantum = Decimal(1).scaleb(int(shown.normalize().as_tuple().exponent))
    return abs(shown - value) <= quantum / 2


def linear_ticks(low: float, high: float, max_ticks: int) -> Ticks:
    """Return round numbers between two values.

    Examples
    --------
    >>> linear_ticks(0, 2000, 6)
    [(0.0, '0'), (0.25, '500'), (0.5, '1,000'), (0.75, '1,500'), (1.0, '2,000')]
    >>> [label for _, label in linear_ticks(-1.7e308, 1.7e308, 4)]
    ['-1e+308', '0', '1e+308']
    """
    first, last = Decimal(low), Decimal(high)
    if first == last:
        return [(0.5, _label(Decimal(low if isinstance(low, int) else f"{low:.6g}")))]
    step = _step(last - first, max_ticks)
    ticks = (step * i for i in range(math.ceil(first / step), math.floor(last / step) + 1))
    return [(float((tick - first) / (last - first)), _label(tick)) for tick in ticks]


def _step(span: Decimal, max_ticks: int) -> Decimal:
    """Return the smallest of 1, 2 and 5 times a power of ten that gives few enough ticks."""
    power = Decimal(10) ** (span / max_ticks).adjusted()
    return next(
        factor * power for factor in (1, 2, 5, 10, 20) if span / (factor * power) < max_ticks
    )


def _label(tick: Decimal) -> str:
    if not tick:
        return "0"
    if -5 <= tick.adjusted() < _PLAIN_DIGITS:
        return f"{tick.normalize():,f}"
    return f"{tick.normalize():e}"


def log_ticks(low: float, high: float, max_ticks: int = _Y_TICKS_MAX) -> Ticks:
    """Return round numbers between two powers of ten, given by their exponents.

    Examples
    --------
    >>> [label for _, label in log_ticks(-2.0, 1.0)]
    ['0.01', '0.1', '1', '10']
    """
    if low == high:
        return [(0.5, f"{_power(low):.3g}")]
    powers = range(math.floor(low), math.ceil(high) + 1)
    step = (len(powers) - 2) // max_ticks + 1
    for factors in ((1,), (1, 2, 5)):
        exponents = [p + math.log10(f) for p in powers[::step] for f in factors]
        inside = [exponent for exponent in exponents if low <= exponent <= high]
        if len(inside) > 2:
            return [
                (_position(exponent, low, high), f"{_power(exponent):.3g}") for exponent in inside
            ]
    # Less than a decade: round numbers of the values themselves.
    first, last = _power(low), _power(high)
    ticks = linear_ticks(first, last, max_ticks)
    values = [(first + position * (last - first), label) for position, label in ticks]
    return [(_position(math.log10(value), low, high), label) for value, label in values]


def _power(exponent: float) -> float:
    """Return a power of ten; the largest float if rounding would exceed it."""
    try:
        return math.pow(10.0, exponent)
    except OverflowError:
        return sys.float_info.max
