"""Statistics of a stream of values, in memory that does not grow with it.

- `Extremes`: first, last, least and greatest value, each with its timestamp; NaN and infinities.
- `RunningMoments`: mean, deviation and slope.
- `BinnedMeans`: means in a fixed number of bins; `downsample` applies it to a whole series,
  `Downsampler` to a stream whose length is not known.
- `SeriesStats`: all of these for one field in one phase.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from cmeta.aliases import F64, I64, U64, Array, Mask
from cmeta.tools.summary.summary_report import FieldSummary, Number

Point = tuple[Any, int]  # a scalar of the field's type, and its timestamp
_SIGN = np.uint64(1 << 63)


class Extremes:
    """First, last, least and greatest value of a stream.

    Parameters
    ----------
    finite_only : bool
        Infinities are counted, and are neither least nor greatest; NaN never is.

    Attributes
    ----------
    num_values, num_nan, num_infinite : int
        `num_infinite` is counted with `finite_only`.
    first, last, min, max : tuple of scalar and timestamp, or None
        The least and the greatest value where they first occur.
    """

    def __init__(self, *, finite_only: bool) -> None:
        self._finite_only = finite_only
        self.num_values = self.num_nan = self.num_infinite = 0
        self.first: Point | None = None
        self.last: Point | None = None
        self.min: Point | None = None
        self.max: Point | None = None

    def add(self, values: Array, timestamps: Array) -> None:
        """Append values, at least one.

        Parameters
        ----------
        values : array, (n,)
            Floats, integers or bools.
        timestamps : uint64 array, (n,)
        """
        self.num_values += len(values)
        if self.first is None:
            self.first = (values[0], int(timestamps[0]))
        self.last = (values[-1], int(timestamps[-1]))
        low, high = values.argmin(), values.argmax()  # both stop at a NaN
        if values.dtype.kind == "f" and not self._counts(values[[low, high]]).all():
            rows = np.flatnonzero(self._counts(values))
            num_nan = int(np.count_nonzero(np.isnan(values)))
            self.num_nan += num_nan
            self.num_infinite += len(values) - len(rows) - num_nan
            if not len(rows):
                return
            low, high = rows[values[rows].argmin()], rows[values[rows].argmax()]
        if self.min is None or values[low] < self.min[0]:
            self.min = (values[low], int(timestamps[low]))
        if self.max is None or values[high] > self.max[0]:
            self.max = (values[high], int(timestamps[high]))

    def _counts(self, values: Array) -> Mask:
        """Return which floats may be the least or the greatest."""
        return np.isfinite(values) if self._finite_only else ~np.isnan(values)


@dataclass(frozen=True)
class RunningMoments:
    """Moments of pairs of a time and a value, whatever their magnitude.

    Values are divided by a power of two that brings them below 1, which is exact, so that no sum
    and no square overflows or vanishes; the power grows with the largest value. Batches are merged
    by their means and second moments (Chan, Golub and LeVeque, 1979), so that no small difference
    of large sums is ever taken.

    Attributes
    ----------
    count : int
    exponent : int
        Values are held divided by ``2 ** exponent``.
    mean_time : float
    origin, mean : float
        The mean of the values relative to `origin`, one of them: a small deviation far from 0 is
        not rounded away.
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
    def of(cls, times: F64, values: F64) -> RunningMoments:
        """Return the moments of some pairs.

        Parameters
        ----------
        times, values : float64 array, (n,)
            Finite.
        """
        if not len(values):
            return cls()
        exponent = math.frexp(float(np.abs(values).max()))[1]
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

    def merge(self, other: RunningMoments) -> RunningMoments:
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
        return RunningMoments(
            count, exponent,
            one.mean_time + apart_time * share,
            one.origin,
            one.mean + apart * share,
            one.squares_time + two.squares_time + apart_time * apart_time * weight,
            one.squares + two.squares + apart * apart * weight,
            one.products + two.products + apart_time * apart * weight,
        )  # fmt: skip

    def _at(self, exponent: int) -> RunningMoments:
        """Return the same moments, held at another exponent."""
        shift = self.exponent - exponent
        if not shift:
            return self
        return RunningMoments(
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
        """The standard deviation of the population."""
        return _times_power(math.sqrt(self.squares / self.count), self.exponent)

    @property
    def slope(self) -> float | None:
        """Least squares, in values per time; None if all times are the same."""
        if not self.squares_time:
            return None
        return _times_power(self.products / self.squares_time, self.exponent)


def _times_power(value: float, exponent: int) -> float:
    """Return ``value * 2 ** exponent``; infinite beyond the largest float."""
    try:
        return math.ldexp(value, exponent)
    except OverflowError:
        return math.copysign(math.inf, value)


class BinnedMeans:
    """Means of values in a fixed number of bins.

    Attributes
    ----------
    present : bool array, (num_bins,)
        Bins that have a value, whether finite or not.
    """

    def __init__(self, num_bins: int) -> None:
        self.present = np.zeros(num_bins, bool)
        self._counts = np.zeros(num_bins, np.int64)  # of finite values
        self._means = np.zeros(num_bins)

    def add(self, bins: Array, values: F64) -> None:
        """Append values; NaN and infinities have no part in a mean.

        Parameters
        ----------
        bins : int array, (n,)
            Ascending.
        values : float64 array, (n,)
        """
        self.present[bins] = True
        finite = np.isfinite(values)
        if not finite.all():
            bins, values = bins[finite], values[finite]
        if not len(values):
            return
        starts = np.flatnonzero(np.diff(bins, prepend=-1))
        counts = np.diff(starts, append=len(bins))
        # Relative to the largest of its bin: no sum overflows, and equal values are their own mean.
        scales = np.maximum.reduceat(np.abs(values), starts)
        scales[scales == 0] = 1.0
        sums = np.add.reduceat(values / np.repeat(scales, counts), starts)
        here = bins[starts]
        self._means[here] = _merged_means(
            self._means[here], self._counts[here], sums / counts * scales, counts
        )
        self._counts[here] += counts

    def merge(self, other: BinnedMeans) -> None:
        """Add the values of other means, in as many bins."""
        self._means = _merged_means(self._means, self._counts, other._means, other._counts)
        self._counts += other._counts
        self.present |= other.present

    def halve(self) -> None:
        """Merge each two neighbours, and empty the other half of the bins."""
        means, counts = self._means.reshape(-1, 2), self._counts.reshape(-1, 2)
        half = len(means)
        self._means[:half] = _merged_means(means[:, 0], counts[:, 0], means[:, 1], counts[:, 1])
        self._counts[:half] = counts.sum(axis=1)
        self.present[:half] = self.present.reshape(-1, 2).any(axis=1)
        self._means[half:], self._counts[half:], self.present[half:] = 0, 0, False

    @property
    def means(self) -> F64:
        """The means, ``(num_bins,)``; NaN where a bin has no finite value."""
        return np.where(self._counts > 0, self._means, np.nan)


def _merged_means(means: F64, counts: I64, others: F64, more: I64) -> F64:
    """Return means of both; weighted by shares, so that no sum overflows."""
    total = np.maximum(counts + more, 1)
    with np.errstate(over="ignore"):  # by the last bit of the largest float
        merged = means * (counts / total) + others * (more / total)
    bounds = np.where(counts > 0, means, others), np.where(more > 0, others, means)
    within: F64 = np.clip(merged, np.minimum(*bounds), np.maximum(*bounds))
    return within


def downsample(values: npt.ArrayLike, num_bins: int) -> F64:
    """Return the means of at most `num_bins` equal parts of a series.

    Parameters
    ----------
    values : float array, (n,)

    Returns
    -------
    float64 array, (min(n, num_bins),)
        NaN where a part has no finite value.

    Examples
    --------
    >>> downsample([1.0, 3.0, float("nan"), 4.0, 5.0, 6.0], 3).tolist()
    [2.0, 4.0, 5.5]
    """
    series = np.asarray(values, np.float64).ravel()
    parts = BinnedMeans(min(len(series), num_bins))
    parts.add(np.arange(len(series)) * len(parts.present) // max(len(series), 1), series)
    return parts.means


class Downsampler:
    """Means of equal parts of a stream of unknown length.

    When there are too many parts, neighbours are merged, and from then on a part holds twice as
    many values.

    Attributes
    ----------
    size : int
        Values in each part but the last.
    """

    PARTS_MAX = 128  # a stream of more than 64 values has more than 64 parts

    def __init__(self) -> None:
        self.size = 1
        self._num_values = 0
        self._parts = BinnedMeans(self.PARTS_MAX)

    def add(self, values: F64) -> None:
        """Append values; NaN and infinities take a place, but have no part in a mean."""
        while self._num_values + len(values) > self.PARTS_MAX * self.size:
            self._parts.halve()
            self.size *= 2
        self._parts.add((self._num_values + np.arange(len(values))) // self.size, values)
        self._num_values += len(values)

    @property
    def means(self) -> F64:
        """The means, in order; NaN where a part has no finite value."""
        return self._parts.means[: -(-self._num_values // self.size)]


class SeriesStats:
    """The statistics of a field in a phase.

    Integers are held relative to the first one, so that the mean and the deviation of numbers
    beyond 2^53 are those of the numbers and not of their float64s.
    """

    def __init__(self) -> None:
        self._extremes = Extremes(finite_only=True)
        self._moments = RunningMoments()
        self._curve = Downsampler()
        self._origin = 0  # of integers

    @property
    def num_values(self) -> int:
        """How many values there are."""
        return self._extremes.num_values

    def add(self, values: Array, timestamps: U64, times: F64) -> None:
        """Append recorded values.

        Parameters
        ----------
        values : array, (n,)
            Floats, integers or bools.
        timestamps : uint64 array, (n,)
        times : float64 array, (n,)
            The timestamps, relative to any fixed one.
        """
        if not len(values):
            return
        if values.dtype.kind == "f":
            doubles = values.astype(np.float64)
        else:
            if not self.num_values:
                self._origin = int(values[0])
            doubles = integer_distances(values, self._origin)
        self._extremes.add(values, timestamps)
        self._curve.add(doubles)
        finite = np.isfinite(doubles)
        if not finite.all():
            doubles, times = doubles[finite], times[finite]
        self._moments = self._moments.merge(RunningMoments.of(times, doubles))

    def summary(self, **series: Any) -> FieldSummary:
        """Return the summary; `series` are the attributes that name the series."""
        extremes = self._extremes
        points = {"min": extremes.min, "max": extremes.max,
                  "first": extremes.first, "last": extremes.last}  # fmt: skip
        values: dict[str, Any] = {name: p and _plain(p[0]) for name, p in points.items()}
        times: dict[str, Any] = {f"{name}_at": p and p[1] for name, p in points.items()}
        bins = (self._curve.means + float(self._origin)).tolist()
        return FieldSummary(
            **series, num_values=self.num_values, num_nan=extremes.num_nan,
            num_infinite=extremes.num_infinite, **values, **times,
            **self._spread(values["min"], values["max"]), bins=tuple(bins),
        )  # fmt: skip

    def _spread(self, low: Number | None, high: Number | None) -> dict[str, Any]:
        if low is None or high is None:
            return {}
        mean = float(self._origin + Fraction(self._moments.average))
        return {
            "mean": min(max(mean, float(low)), float(high)),  # rounding may leave the range
            "deviation": self._moments.deviation,
            "slope": self._moments.slope,
        }


def _plain(value: Any) -> Number:
    """Return a scalar as Python's; a float32 by its shortest decimal."""
    number: Number = float(str(value)) if isinstance(value, np.floating) else int(value)
    return number


def integer_distances(values: Array, origin: int) -> F64:
    """Return integers relative to one of their type, each rounded once.

    Examples
    --------
    >>> integer_distances(np.array([2**64 - 1, 2**64 - 3, 0], np.uint64), 2**64 - 2).tolist()
    [1.0, -1.0, -1.8446744073709552e+19]
    >>> integer_distances(np.array([-(2**63), 2**63 - 1]), -(2**63)).tolist()
    [0.0, 1.8446744073709552e+19]
    """
    if values.dtype.kind != "u":  # unsigned in the same order, where differences cannot overflow
        values, origin = values.astype(np.int64).view(np.uint64) ^ _SIGN, origin + (1 << 63)
    ordered, zero = values.astype(np.uint64), np.uint64(origin)
    above = ordered >= zero
    apart = np.where(above, ordered - zero, zero - ordered).astype(np.float64)
    return np.where(above, apart, -apart)
