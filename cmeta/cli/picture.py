"""Curves as a picture of characters, by plotext.

plotext is given places between 0 and 1 only, and the labels that belong to them: it ends the
process when it meets NaN, and the distance of two floats may be beyond the largest one.
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

from cmeta.cli.console import len_shown
from cmeta.extras import require
from cmeta.tools.summary.curve import Curve, Extent

Ticks = list[tuple[float, str]]  # places from 0 to 1, and labels

COLOURS = ("magenta", "cyan", "orange", "green", "red", "blue", "yellow", "gray")
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_TO_ASCII = str.maketrans("─│┌┐└┘├┤┬┴┼━", "-|+++++++++-")
_TICKS_X, _TICKS_Y = 6, 7  # at most
_PLAIN_DIGITS = 9  # a number with more digits before the point is shown as a power


@dataclass(frozen=True)
class Frame:
    """How a picture is drawn.

    Attributes
    ----------
    width, height : int
        In characters.
    colour, ascii_only : bool
        Without colour, a curve is drawn by a letter of its own.
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


def picture(
    title: str, curves: Sequence[tuple[str, Curve]], across: Extent, x_name: str, frame: Frame
) -> list[str]:
    """Return the lines of a picture.

    Parameters
    ----------
    title : str
    curves : sequence of (label, Curve)
        Of `Frame.num_bins` bins.
    across : extent
        From where to where they go.
    x_name : str
    frame : Frame
    """
    found = [curve.extent for _, curve in curves]
    extents = [extent for extent in found if extent is not None]
    heading = _legend(title, [label for label, _ in curves], frame)
    if not extents:
        return [*heading, "  nothing finite to draw" if not frame.log else "  nothing above 0"]
    low, high = min(one[0] for one in extents), max(one[1] for one in extents)
    lines = _canvas(curves, (low, high), across, frame)
    return [*heading, *lines, f"{x_name:^{frame.width}}".rstrip()]


def _canvas(
    curves: Sequence[tuple[str, Curve]], upright: tuple[float, float], across: Extent, frame: Frame
) -> list[str]:
    module = plotext()
    figure = module.figure
    figure.clear()
    figure.theme("colorless")
    module.terminal.limit(False, False)  # the size is what the caller wants
    figure.plot_size(frame.width, frame.height)
    for i, (_, curve) in enumerate(curves):
        marker = _marker(module, i, frame)
        for signal in _signals(figure, curve, upright, marker, frame.num_bins):
            figure.draw(signal)
    y_ticks = log_ticks(*upright) if frame.log else linear_ticks(*upright, _TICKS_Y)
    for axis, ticks in (("x", linear_ticks(across[0], across[1], _TICKS_X)), ("y", y_ticks)):
        ruler = figure.ruler(axis)
        ruler.lim(0.0, 1.0)
        ruler.ticks([place for place, _ in ticks], [label for _, label in ticks])
    drawn = figure.build().string(colorless=not frame.colour)
    figure.clear()
    if frame.ascii_only:
        drawn = drawn.translate(_TO_ASCII)
    return [re.sub(r"\s+$", "", line) for line in drawn.splitlines()]


def _signals(
    figure: Any, curve: Curve, upright: tuple[float, float], marker: Any, num_bins: int
) -> Iterable[Any]:
    """Yield a signal for each unbroken line."""
    for bins, values in curve.lines():
        places = bins / max(1, num_bins - 1)
        heights = [_place(value, *upright) for value in values.tolist()]
        yield figure.signal(places.tolist(), heights, marker=marker).lines(True)


def _marker(module: ModuleType, i: int, frame: Frame) -> Any:
    if frame.colour:
        return module.marker("braille", COLOURS[i % len(COLOURS)])
    return _LETTERS[i % len(_LETTERS)]


def _legend(title: str, labels: Sequence[str], frame: Frame) -> list[str]:
    """Return the title and the names of the curves, folded."""
    lines, used = [title], len_shown(title)
    for i, label in enumerate(labels):
        sign = "━" if frame.colour else _LETTERS[i % len(_LETTERS)]
        entry = f"{sign} {label}"
        width = len_shown(entry)
        if frame.colour:
            entry = str(plotext().colorize(entry, COLOURS[i % len(COLOURS)]).string())
        if used + 3 + width > frame.width and used:
            lines, used = [*lines, ""], -1
        lines[-1] += f"   {entry}" if used > 0 else f"  {entry}"
        used += 3 + width
    return [line.translate(_TO_ASCII) for line in lines] if frame.ascii_only else lines


def _place(value: float, low: float, high: float) -> float:
    """Return where a value stands between 0 and 1; halved first, so that nothing overflows."""
    return 0.5 if low == high else min(1.0, max(0.0, (value / 2 - low / 2) / (high / 2 - low / 2)))


def linear_ticks(low: float, high: float, most: int) -> Ticks:
    """Return round numbers from one end to the other.

    Examples
    --------
    >>> linear_ticks(0, 2000, 6)
    [(0.0, '0'), (0.25, '500'), (0.5, '1,000'), (0.75, '1,500'), (1.0, '2,000')]
    >>> [label for _, label in linear_ticks(-1.7e308, 1.7e308, 4)]
    ['-1e+308', '0', '1e+308']
    """
    one, other = Decimal(low), Decimal(high)
    if one == other:
        return [(0.5, _label(Decimal(low if isinstance(low, int) else f"{low:.6g}")))]
    step = _step(other - one, most)
    ticks = (step * i for i in range(math.ceil(one / step), math.floor(other / step) + 1))
    return [(float((tick - one) / (other - one)), _label(tick)) for tick in ticks]


def _step(span: Decimal, most: int) -> Decimal:
    """Return the smallest of 1, 2 and 5 times a power of ten that is not too small."""
    power = Decimal(10) ** (span / most).adjusted()
    return next(factor * power for factor in (1, 2, 5, 10, 20) if span / (factor * power) < most)


def _label(tick: Decimal) -> str:
    if not tick:
        return "0"
    if -5 <= tick.adjusted() < _PLAIN_DIGITS:
        return f"{tick.normalize():,f}"
    return f"{tick.normalize():e}"


def log_ticks(low: float, high: float) -> Ticks:
    """Return round numbers between two powers of ten, given by their exponents.

    Examples
    --------
    >>> [label for _, label in log_ticks(-2.0, 1.0)]
    ['0.01', '0.1', '1', '10']
    """
    if low == high:
        return [(0.5, f"{_power(low):.3g}")]
    powers = range(math.floor(low), math.ceil(high) + 1)
    every = (len(powers) - 2) // _TICKS_Y + 1
    for factors in ((1,), (1, 2, 5)):
        exponents = [p + math.log10(f) for p in powers[::every] for f in factors]
        inside = [exponent for exponent in exponents if low <= exponent <= high]
        if len(inside) > 2:
            break
    else:  # less than a decade: round numbers of the values themselves
        first, last = _power(low), _power(high)
        shares = linear_ticks(first, last, _TICKS_Y)
        values = [(first + share * (last - first), label) for share, label in shares]
        return [(_place(math.log10(value), low, high), label) for value, label in values]
    return [(_place(exponent, low, high), f"{_power(exponent):.3g}") for exponent in inside]


def _power(exponent: float) -> float:
    """Return a power of ten; the largest float if rounding has led beyond it."""
    try:
        return math.pow(10.0, exponent)
    except OverflowError:
        return sys.float_info.max
