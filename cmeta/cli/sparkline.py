"""Sparklines: a run's course in a few characters."""

from __future__ import annotations

import sys

import numpy as np
import numpy.typing as npt

_BLOCKS, _ASCII = "▁▂▃▄▅▆▇█", "_.,-=+*#"
_NOT_FINITE = "!"


def bins_of(values: npt.ArrayLike, width: int) -> npt.NDArray[np.float64]:
    """Return the means of at most `width` equal stretches of values.

    Parameters
    ----------
    values : float array, (n,)
        NaN and infinities count only where a stretch has nothing else.

    Returns
    -------
    float64 array, (min(n, width),)
        NaN where a stretch has no finite value.
    """
    found = np.asarray(values, np.float64).ravel()
    if len(found) <= width:
        return np.where(np.isfinite(found), found, np.nan)
    place = np.arange(len(found)) * width // len(found)
    finite = np.isfinite(found)
    counts = np.bincount(place[finite], minlength=width)
    scale = float(np.abs(found[finite]).max(initial=1.0))  # so that no sum overflows
    sums = np.bincount(place[finite], found[finite] / scale, minlength=width)
    with np.errstate(invalid="ignore", divide="ignore"):
        return sums / counts * scale


def sparkline(values: npt.ArrayLike, width: int = 16, *, ascii_only: bool | None = None) -> str:
    """Return values as a line of blocks, the lowest to the highest.

    Parameters
    ----------
    values : float array, (n,)
    width : int
        Characters at most.
    ascii_only : bool, optional
        Default: whether stdout cannot show blocks.

    Returns
    -------
    str
        ``!`` where there is nothing finite.

    Examples
    --------
    >>> sparkline([1, 2, 3, float("nan"), 8], ascii_only=True)
    '_.,!#'
    >>> sparkline([5, 5, 5], ascii_only=True)
    '---'
    """
    blocks = _ASCII if (must_be_ascii() if ascii_only is None else ascii_only) else _BLOCKS
    bins = bins_of(values, width)
    finite = bins[np.isfinite(bins)]
    if not len(finite):
        return _NOT_FINITE * len(bins)
    low, high = float(finite.min()), float(finite.max())
    if low == high:
        levels = np.full(len(bins), 3.0)
    else:
        # Halved first: the distance of two floats may be beyond the largest one.
        levels = (bins / 2 - low / 2) / (high / 2 - low / 2) * (len(blocks) - 1)
    return "".join(
        blocks[round(level)] if np.isfinite(level) and np.isfinite(value) else _NOT_FINITE
        for level, value in zip(levels.tolist(), bins.tolist(), strict=True)
    )


def must_be_ascii() -> bool:
    """Return whether stdout cannot show blocks."""
    try:
        _BLOCKS.encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        return True
    return False
