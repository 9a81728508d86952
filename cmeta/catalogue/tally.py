"""Tallies: a run's columns summed up batch by batch, without a step of Python for each record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from cmeta.catalogue.info import RunField, Scalar
from cmeta.schema import Field

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]

NUM_BINS = 32
COMPONENTS_MAX = 16  # of a vector: a longer one is data, not a course that is looked at


def labels_of(declared: Field) -> Iterator[str]:
    """Yield the names under which a field is listed.

    Examples
    --------
    >>> list(labels_of(Field("norms", "f32", num_components=2)))
    ['norms[0]', 'norms[1]']
    """
    if not declared.num_components:
        yield declared.path
    elif declared.num_components <= COMPONENTS_MAX:
        yield from (f"{declared.path}[{i}]" for i in range(declared.num_components))


@dataclass
class Tally:
    """What is known of one column so far."""

    field: Field
    num_values: int = 0
    num_nan: int = 0
    last: Any = None
    low: tuple[Any, int | None] = (None, None)  # a value, and the timestamp where it first was
    high: tuple[Any, int | None] = (None, None)

    def add(self, values: Array, timestamps: Array) -> None:
        """Take in the values of a batch that are present, at least one."""
        self.num_values += len(values)
        self.last = values[-1]
        if self.field.labels:
            return
        low, high = values.argmin(), values.argmax()
        if self.field.is_float and np.isnan(values[low]):  # argmin stops at a NaN
            numbers = np.flatnonzero(~np.isnan(values))
            self.num_nan += len(values) - len(numbers)
            if not len(numbers):
                return
            low, high = numbers[values[numbers].argmin()], numbers[values[numbers].argmax()]
        if self.low[1] is None or values[low] < self.low[0]:
            self.low = values[low], int(timestamps[low])
        if self.high[1] is None or values[high] > self.high[0]:
            self.high = values[high], int(timestamps[high])

    def result(self) -> RunField:
        """Return what is known, as plain Python."""
        last = self.field.labels[self.last] if self.field.labels else _plain(self.last)
        (low, low_at), (high, high_at) = self.low, self.high
        return RunField(
            self.field.type, self.num_values, last, _plain(low), _plain(high),
            low_at, high_at, self.num_nan,
        )  # fmt: skip


@dataclass
class Course:
    """The course of a column over a run of a known length, in bins of equal stretches.

    Attributes
    ----------
    num_records : int
        Of the whole run.
    """

    num_records: int
    _sums: Array = field(default_factory=lambda: np.zeros(NUM_BINS))
    _finite: Array = field(default_factory=lambda: np.zeros(NUM_BINS, np.int64))
    _present: Array = field(default_factory=lambda: np.zeros(NUM_BINS, np.int64))

    def add(self, values: Array, ordinals: Array) -> None:
        """Take in values, and which records of the run they are of."""
        width = min(NUM_BINS, self.num_records)
        place = ordinals * width // self.num_records
        finite = np.isfinite(values)
        # Divided before they are summed, so that no sum of float64s is beyond the largest one.
        parts = values[finite].astype(np.float64) / self.num_records
        self._present += np.bincount(place, minlength=NUM_BINS)
        self._finite += np.bincount(place[finite], minlength=NUM_BINS)
        self._sums += np.bincount(place[finite], parts, minlength=NUM_BINS)

    def bins(self) -> tuple[float, ...]:
        """Return the mean of each stretch that has a value; NaN where none is finite."""
        there = self._present > 0
        counts = self._finite[there]
        with np.errstate(invalid="ignore", divide="ignore"):
            means = self._sums[there] / (counts / self.num_records)
        return tuple(np.where(counts > 0, means, np.nan).tolist())


def _plain(value: Any) -> Scalar:
    found: Scalar = value.item() if isinstance(value, np.generic) else value
    return found
