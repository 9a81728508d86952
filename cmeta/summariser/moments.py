"""Mean, deviation and slope of a stream of numbers, whatever their size.

- Values are divided by a power of two that brings them below 1, which is exact, so that no sum and
  no square overflows or vanishes; the power grows with the largest value seen.
- Batches are merged by their means and second moments (Chan, Golub and LeVeque, 1979): no small
  difference of large sums is ever taken.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]


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
