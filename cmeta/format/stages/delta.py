"""Delta: a run of integers as base, divisor, step and residuals, in one of four forms.

With ``K = (v - min) / divisor`` and everything modulo 2^64:

- F0: base = min, r = K
- F1: base = median value, r = zigzag(K - K_base)
- F2: base = first value, step = median first difference of K, r = zigzag(difference - step)
- F3: base = first value, step = first difference of K, r = zigzag(second difference)

The median of m values is element (m - 1) div 2 of the sorted list.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cmeta.aliases import I64, U64
from cmeta.format.stages.bits import unzigzag, zigzag

NUM_HEADS = (0, 0, 1, 2)
HAS_STEP = (False, False, True, True)


class Delta(NamedTuple):
    """A run after the delta stage."""

    form: int
    base: int
    divisor: int
    step: int
    residuals: U64


def median(values: I64) -> int:
    """Return element (m - 1) div 2 of the sorted values."""
    middle = (len(values) - 1) // 2
    return int(np.partition(values, middle)[middle])


def scale(run: I64) -> tuple[U64, int, int]:
    """Return K, the minimum and the divisor of a run of at least one value."""
    low = run.min()
    above: U64 = (run - low).view(np.uint64)
    divisor = greatest_divisor(above)
    return (above // np.uint64(divisor) if divisor > 1 else above), int(low), divisor


def greatest_divisor(values: U64) -> int:
    """Return the greatest common divisor, 1 if all are 0."""
    # Real data is mostly coprime within a few values; then the rest does not matter.
    few = int(np.gcd.reduce(values[:32]))
    return 1 if few == 1 else int(np.gcd.reduce(values)) or 1


def encode(run: I64, form: int) -> Delta:
    """Return a run in one form.

    Parameters
    ----------
    run : int64 array, (n,)
        More values than the form has heads.
    form : int
        0 to 3.

    Examples
    --------
    >>> encode(np.array([10, 13, 16, 22]), 2)
    Delta(form=2, base=10, divisor=3, step=1, residuals=array([0, 0, 2], dtype=uint64))
    """
    scaled, low, divisor = scale(run)
    signed = scaled.view(np.int64)
    if form == 0:
        return Delta(0, low, divisor, 0, scaled)
    if form == 1:
        base = median(run)
        middle = (base - low) // divisor
        return Delta(1, base, divisor, 0, zigzag(signed - _wrap(middle)))
    first = np.diff(signed)
    if form == 2:
        step = median(first)
        return Delta(2, int(run[0]), divisor, step, zigzag(first - np.int64(step)))
    return Delta(3, int(run[0]), divisor, int(first[0]), zigzag(np.diff(first)))


def decode(delta: Delta) -> I64:
    """Undo `encode`; any residuals, base, divisor and step give a run."""
    form, base, divisor, step, residuals = delta
    if form == 0:
        offsets = residuals.view(np.int64)
    elif form == 1:
        offsets = unzigzag(residuals)
    else:
        offsets = unzigzag(residuals)
        if form == 3:
            offsets = np.cumsum(np.concatenate([[np.int64(step)], offsets]))
        else:
            offsets = offsets + np.int64(step)
        offsets = np.cumsum(np.concatenate([[np.int64(0)], offsets]))
    if divisor > 1:
        offsets = (offsets.view(np.uint64) * np.uint64(divisor)).view(np.int64)
    run: I64 = offsets + np.int64(base)
    return run


def _wrap(value: int) -> np.int64:
    """Return an integer of 65 bits modulo 2^64, as signed."""
    return np.uint64(value & 0xFFFFFFFFFFFFFFFF).view(np.int64)
