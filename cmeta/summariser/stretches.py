"""The course of a series, in a few means: flat memory, however long it becomes.

Every stretch holds equally many values. When there are too many stretches, neighbours become one,
and from then on a stretch holds twice as many.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]

MOST = 128  # stretches at most; a series of more than 64 values has more than 64


class Stretches:
    """Means of equal stretches of a series.

    Attributes
    ----------
    size : int
        Values in each stretch but the last.
    """

    def __init__(self) -> None:
        self.size = 1
        self._num_values = 0
        self._counts = np.zeros(MOST, np.int64)  # of finite values
        self._means = np.zeros(MOST)

    def add(self, values: F64) -> None:
        """Append values; NaN and infinities take a place, but no part in a mean."""
        while self._num_values + len(values) > MOST * self.size:
            self._fold()
        place = (self._num_values + np.arange(len(values))) // self.size
        self._num_values += len(values)
        finite = np.isfinite(values)
        place, values = place[finite], values[finite]
        if not len(values):
            return
        first = int(place[0])
        scale = float(np.abs(values).max()) or 1.0
        counts = np.bincount(place - first)
        sums = np.bincount(place - first, values / scale)
        means = sums / np.maximum(counts, 1) * scale
        here = slice(first, first + len(counts))
        self._means[here] = _joined(self._means[here], self._counts[here], means, counts)
        self._counts[here] += counts

    def _fold(self) -> None:
        means, counts = self._means.reshape(-1, 2), self._counts.reshape(-1, 2)
        half = MOST // 2
        self._means[:half] = _joined(means[:, 0], counts[:, 0], means[:, 1], counts[:, 1])
        self._counts[:half] = counts.sum(axis=1)
        self._means[half:], self._counts[half:] = 0, 0
        self.size *= 2

    @property
    def means(self) -> F64:
        """The means, in order; NaN where a stretch has no finite value."""
        num_bins = -(-self._num_values // self.size)
        found = np.where(self._counts > 0, self._means, np.nan)
        return found[:num_bins]


def _joined(
    means: F64, counts: npt.NDArray[np.int64], others: F64, more: npt.NDArray[np.int64]
) -> F64:
    """Return means of both; weighted by shares, so that no sum overflows."""
    total = np.maximum(counts + more, 1)
    with np.errstate(over="ignore"):  # by the last bit of the largest float
        found = means * (counts / total) + others * (more / total)
    some = np.where(counts > 0, means, others), np.where(more > 0, others, means)
    within: F64 = np.clip(found, np.minimum(*some), np.maximum(*some))
    return within
