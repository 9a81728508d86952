"""Split: values reordered by phase, stable, into one run for each phase that has values."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cmeta.aliases import I64, U8, Array


class SplitOrder(NamedTuple):
    """The order of values by phase.

    Attributes
    ----------
    order : int array, (n,)
        ``values[order]`` has the runs one after the other.
    lengths : tuple of int
        Lengths of the runs, by ascending phase; none is 0.
    """

    order: npt.NDArray[np.intp]
    lengths: tuple[int, ...]


def order_of(phases: U8) -> SplitOrder:
    """Return the order for values of these phases.

    Examples
    --------
    >>> order_of(np.uint8([1, 0, 1, 2])).lengths
    (1, 2, 1)
    """
    counts = np.bincount(phases)
    lengths = tuple(counts[counts > 0].tolist())
    return SplitOrder(np.argsort(phases, kind="stable"), lengths)


def encode(values: I64, split: SplitOrder) -> list[I64]:
    """Return the runs."""
    return cut(values[split.order], split.lengths)


def decode(runs: Sequence[I64], split: SplitOrder) -> I64:
    """Undo `encode`."""
    values = np.empty(len(split.order), np.int64)
    values[split.order] = np.concatenate(runs) if runs else np.zeros(0, np.int64)
    return values


def cut(values: Array, lengths: Sequence[int]) -> list[Array]:
    """Return consecutive pieces of these lengths."""
    ends = list(accumulate(lengths))
    return [values[end - length : end] for end, length in zip(ends, lengths, strict=True)]
