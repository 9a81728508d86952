"""Sparse sequences: the gaps before the non-zero residuals, and those residuals less one."""

from __future__ import annotations

import numpy as np

from cmeta.aliases import U64
from cmeta.errors import CorruptError

_ONE = np.uint64(1)


def encode(residuals: U64) -> tuple[U64, U64]:
    """Return gaps and values less one.

    Examples
    --------
    >>> gaps, values = encode(np.uint64([0, 0, 5, 1, 0]))
    >>> gaps.tolist(), values.tolist()
    ([2, 0], [4, 0])
    """
    places = np.flatnonzero(residuals)
    gaps = places.astype(np.uint64)
    gaps[1:] -= gaps[:-1] + _ONE
    return gaps, residuals[places] - _ONE


def decode(gaps: U64, values: U64, num_residuals: int) -> U64:
    """Undo `encode`.

    Raises
    ------
    CorruptError
        The gaps exceed `num_residuals`, or a value less one is 2^64 - 1.
    """
    residuals = np.zeros(num_residuals, np.uint64)
    # Each gap is bounded before they are summed, so that the sum cannot wrap.
    if gaps.size:
        if gaps.max() >= num_residuals:
            raise CorruptError(f"a gap of {gaps.max()} among {num_residuals} residuals")
        places = np.cumsum(gaps.astype(np.int64) + 1) - 1
        if places[-1] >= num_residuals:
            raise CorruptError(f"residual {places[-1]} of {num_residuals}")
        if values.max() == np.iinfo(np.uint64).max:
            raise CorruptError("a sparse residual beyond 64 bits")
        residuals[places] = values + _ONE
    return residuals
