"""The tally of one series: what is known of a field in a phase while batches stream by.

Integers are held relative to the first one, so that the mean and the deviation of numbers beyond
2^53 are those of the numbers and not of their float64s.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from cmeta.chunk import Array
from cmeta.summariser.moments import F64, Moments
from cmeta.summariser.report import FieldSummary, Number
from cmeta.summariser.stretches import Stretches

U64 = npt.NDArray[np.uint64]
Place = tuple[Any, int] | None  # a scalar of the field's type, and its timestamp
_SIGN = np.uint64(1 << 63)


class Tally:
    """What is kept of a series; it does not grow with it.

    Attributes
    ----------
    num_values : int
    """

    def __init__(self) -> None:
        self.num_values = 0
        self._num_nan = self._num_infinite = 0
        self._moments = Moments()
        self._stretches = Stretches()
        self._origin = 0  # of integers
        self._first: Place = None
        self._last: Place = None
        self._min: Place = None
        self._max: Place = None

    def add(self, values: Array, timestamps: U64, times: F64) -> None:
        """Append recorded values.

        Parameters
        ----------
        values : array, (n,)
            Floats, integers or bools.
        timestamps : uint64 array, (n,)
        times : float64 array, (n,)
            The timestamps, seen from any fixed one.
        """
        if not len(values):
            return
        if self._first is None:
            self._first = (values[0], int(timestamps[0]))
            self._origin = 0 if values.dtype.kind == "f" else int(values[0])
        self._last = (values[-1], int(timestamps[-1]))
        self.num_values += len(values)
        if values.dtype.kind == "f":
            doubles = values.astype(np.float64)
            finite = np.isfinite(values)
            if not finite.all():
                num_nan = int(np.count_nonzero(np.isnan(values)))
                self._num_nan += num_nan
                self._num_infinite += int(np.count_nonzero(~finite)) - num_nan
                self._stretches.add(doubles)
                self._add_finite(values[finite], doubles[finite], timestamps[finite], times[finite])
                return
        else:
            doubles = distances(values, self._origin)
        self._stretches.add(doubles)
        self._add_finite(values, doubles, timestamps, times)

    def _add_finite(self, values: Array, doubles: F64, timestamps: U64, times: F64) -> None:
        if not len(values):
            return
        self._moments = self._moments.merge(Moments.of(times, doubles))
        low, high = int(np.argmin(values)), int(np.argmax(values))
        if self._min is None or values[low] < self._min[0]:
            self._min = (values[low], int(timestamps[low]))
        if self._max is None or values[high] > self._max[0]:
            self._max = (values[high], int(timestamps[high]))

    def found(self, **what: Any) -> FieldSummary:
        """Return the summary; `what` says of which series."""
        pairs = {"min": self._min, "max": self._max, "first": self._first, "last": self._last}
        values: dict[str, Any] = {name: pair and _plain(pair[0]) for name, pair in pairs.items()}
        places: dict[str, Any] = {f"{name}_at": pair and pair[1] for name, pair in pairs.items()}
        bins = (self._stretches.means + float(self._origin)).tolist()
        return FieldSummary(
            **what, num_values=self.num_values, num_nan=self._num_nan,
            num_infinite=self._num_infinite, **values, **places,
            **self._spread(values["min"], values["max"]), bins=tuple(bins),
        )  # fmt: skip

    def _spread(self, low: Number | None, high: Number | None) -> dict[str, Any]:
        if low is None or high is None:
            return {}
        mean = float(self._origin + Fraction(self._moments.average))
        return {
            "mean": min(max(mean, float(low)), float(high)),  # a rounded sum may lie outside
            "deviation": self._moments.deviation,
            "slope": self._moments.slope,
        }


def _plain(value: Any) -> Number:
    """Return a scalar as Python's; a float32 by its shortest decimal."""
    number: Number = float(str(value)) if isinstance(value, np.floating) else int(value)
    return number


def distances(values: Array, origin: int) -> F64:
    """Return how far integers are from one of their type, rounded once.

    Examples
    --------
    >>> distances(np.array([2**64 - 1, 2**64 - 3, 0], np.uint64), 2**64 - 2).tolist()
    [1.0, -1.0, -1.8446744073709552e+19]
    >>> distances(np.array([-(2**63), 2**63 - 1]), -(2**63)).tolist()
    [0.0, 1.8446744073709552e+19]
    """
    if values.dtype.kind != "u":  # in the same order from 0 on, where differences cannot overflow
        values, origin = values.astype(np.int64).view(np.uint64) ^ _SIGN, origin + (1 << 63)
    ordered, zero = values.astype(np.uint64), np.uint64(origin)
    up = ordered >= zero
    apart = np.where(up, ordered - zero, zero - ordered).astype(np.float64)
    return np.where(up, apart, -apart)
