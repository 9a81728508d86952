"""The course of a series, in a few means: flat memory, however long it becomes.

Every stretch holds equally many values. When there are too many stretches, neighbours become one,
and from then on a stretch holds twice as many.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from cmeta.aliases import F64, U64, Array
from cmeta.tools.summary.summary_report import FieldSummary, Number

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


@dataclass(frozen=True)
class Moments:
    """Moments of pairs of a time and a value.

    Attributes
    ----------
    count : int
    exponent : int
        Values are held divided by ``2 ** exponent``.
    mean_time : float
    origin, mean : float
        The mean of the values seen from `origin`, one of them: a small deviation far from 0 is not
        rounded away.
    squares_time, squares, products : float
        Sums of squared deviations of the times and of the values, and of their products.
    """

    count: int = 0
    exponent: int = 0
    mean_time: float = 0.0
    origin: float = 0.0
    mean: float = 0.0
    squares_time: float = 0.0
    squares: float = 0.0
    products: float = 0.0

    @classmethod
    def of(cls, times: F64, values: F64) -> Moments:
        """Return the moments of some pairs.

        Parameters
        ----------
        times, values : float64 array, (n,)
            Finite.
        """
        if not len(values):
            return cls()
        exponent = _exponent(values)
        scaled = np.ldexp(values, -exponent)
        origin = float(scaled[0])
        from_origin = scaled - origin
        mean_time, mean = float(times.mean()), float(from_origin.mean())
        from_time, from_mean = times - mean_time, from_origin - mean
        return cls(
            len(values), exponent, mean_time, origin, mean,
            float(from_time @ from_time), float(from_mean @ from_mean),
            float(from_time @ from_mean),
        )  # fmt: skip

    def merge(self, other: Moments) -> Moments:
        """Return the moments of the pairs of both."""
        if not self.count or not other.count:
            return self if self.count else other
        exponent = max(self.exponent, other.exponent)
        one, two = self._at(exponent), other._at(exponent)
        count = one.count + two.count
        apart_time = two.mean_time - one.mean_time
        apart = two.origin - one.origin + (two.mean - one.mean)
        share = two.count / count
        weight = one.count * share
        return Moments(
            count, exponent,
            one.mean_time + apart_time * share,
            one.origin,
            one.mean + apart * share,
            one.squares_time + two.squares_time + apart_time * apart_time * weight,
            one.squares + two.squares + apart * apart * weight,
            one.products + two.products + apart_time * apart * weight,
        )  # fmt: skip

    def _at(self, exponent: int) -> Moments:
        """Return the same moments, held at another exponent."""
        shift = self.exponent - exponent
        if not shift:
            return self
        return Moments(
            self.count, exponent, self.mean_time,
            math.ldexp(self.origin, shift), math.ldexp(self.mean, shift),
            self.squares_time, math.ldexp(self.squares, 2 * shift),
            math.ldexp(self.products, shift),
        )  # fmt: skip

    @property
    def average(self) -> float:
        """The mean of the values."""
        return _times_power(self.origin + self.mean, self.exponent)

    @property
    def deviation(self) -> float:
        """The population's standard deviation of the values."""
        return _times_power(math.sqrt(self.squares / self.count), self.exponent)

    @property
    def slope(self) -> float | None:
        """Least squares, value per time; None if all times are the same."""
        if not self.squares_time:
            return None
        return _times_power(self.products / self.squares_time, self.exponent)


def _exponent(values: Any) -> int:
    """Return the power of two that is above every value."""
    return math.frexp(float(np.abs(values).max()))[1]


def _times_power(value: float, exponent: int) -> float:
    """Return ``value * 2 ** exponent``, infinite beyond the largest float."""
    try:
        return math.ldexp(value, exponent)
    except OverflowError:
        return math.copysign(math.inf, value)


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
