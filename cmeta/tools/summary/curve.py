"""A series reduced to what a picture shows, so that no spike is lost.

The axis is cut into bins, about one for each dot across; of each bin the first, the lowest, the
highest and the last value are kept, in the order in which they came. A bin whose values are all
NaN or infinite, or not above 0 on a logarithmic axis, is a gap; one without any value is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cmeta.aliases import F64, Array, Mask
from cmeta.reader.reader import Reader
from cmeta.schema.types import Field
from cmeta.tools.summary.statistics import integer_distances
from cmeta.tools.summary.summarise import Part, Parts
from cmeta.tools.summary.summary_report import Missing

Extent = tuple[float, float] | tuple[int, int]
_FIRST, _LOW, _HIGH, _LAST = range(4)


@dataclass(frozen=True)
class Key:
    """Which series: a field, or a component of it, in a phase."""

    field: str
    component: int | None
    phase: str

    @property
    def name(self) -> str:
        """The dotted name, with the component."""
        return self.field if self.component is None else f"{self.field}[{self.component}]"


class Curve:
    """One series in bins.

    Attributes
    ----------
    num_nan, num_infinite, num_not_above_0, num_without_x : int
        Values that cannot be drawn.
    """

    def __init__(self, num_bins: int, *, log: bool = False) -> None:
        self._log = log
        self._values = np.full((num_bins, 4), np.nan)
        self._places = np.zeros((num_bins, 4), np.int64)  # in the order of the series
        self._has_gap = np.zeros(num_bins, bool)
        self._num_values = 0
        self.num_nan = self.num_infinite = self.num_not_above_0 = self.num_without_x = 0

    def add(self, bins: npt.NDArray[np.intp], values: F64) -> None:
        """Append values.

        Parameters
        ----------
        bins : intp array, (n,)
        values : float64 array, (n,)
        """
        places = self._num_values + np.arange(len(values))
        self._num_values += len(values)
        drawn = self._drawable(values)
        self._has_gap[bins[~drawn]] = True
        bins, values, places = bins[drawn], values[drawn], places[drawn]
        if not len(values):
            return
        if self._log:
            values = np.log10(values)
        by_place, by_value = np.lexsort((places, bins)), np.lexsort((values, bins))
        for order, low, high in ((by_place, _FIRST, _LAST), (by_value, _LOW, _HIGH)):
            starts = np.flatnonzero(np.diff(bins[order], prepend=-1))
            ends = np.append(starts[1:], len(values)) - 1
            for what, rows in ((low, order[starts]), (high, order[ends])):
                self._keep(what, bins[rows], values[rows], places[rows])

    def _drawable(self, values: F64) -> npt.NDArray[np.bool_]:
        """Count what cannot be drawn, and return what can."""
        is_nan, is_infinite = np.isnan(values), np.isinf(values)
        self.num_nan += int(np.count_nonzero(is_nan))
        self.num_infinite += int(np.count_nonzero(is_infinite))
        drawn = ~is_nan & ~is_infinite
        if self._log:
            self.num_not_above_0 += int(np.count_nonzero(drawn & (values <= 0)))
            drawn &= values > 0
        return drawn

    def _keep(self, what: int, bins: Array, values: F64, places: Array) -> None:
        """Keep one value of each bin if it is the better one."""
        before = self._values[bins, what]
        better = np.isnan(before)
        if what == _LAST:
            better[:] = True
        elif what != _FIRST:
            better |= values < before if what == _LOW else values > before
        self._values[bins[better], what] = values[better]
        self._places[bins[better], what] = places[better]

    def lines(self) -> Iterator[tuple[F64, F64]]:
        """Yield unbroken lines: bins and values (their decimal logarithms, if that is the axis)."""
        filled = ~np.isnan(self._values[:, _FIRST])
        ends = np.flatnonzero(self._has_gap & ~filled)
        for one in np.split(np.arange(len(filled)), ends):
            inside = one[filled[one]]
            if len(inside):
                order = np.argsort(self._places[inside], axis=1, kind="stable")
                values = np.take_along_axis(self._values[inside], order, axis=1)
                yield np.repeat(inside, 4).astype(np.float64), values.ravel()

    @property
    def extent(self) -> tuple[float, float] | None:
        """The lowest and the highest value that is drawn; None if there is none."""
        found = self._values[~np.isnan(self._values)]
        return (float(found.min()), float(found.max())) if len(found) else None


class Sketch:
    """The curves of some fields of one run.

    Parameters
    ----------
    reader : Reader
    parts : Parts
        Of the fields, and of the field across.
    x : Field
        Across: a field of numbers without components.
    """

    def __init__(self, reader: Reader, parts: Parts, fields: Sequence[Field], x: Field) -> None:
        parts.fields = tuple(dict.fromkeys((*fields, x)))
        self._reader, self._parts = reader, parts
        self._fields, self._x = tuple(dict.fromkeys(fields)), x

    @property
    def problems(self) -> Sequence[Missing]:
        """What could not be read, as of the last look."""
        return self._parts.problems

    def extents(self) -> dict[str, Extent]:
        """Return from where to where each field goes across; a first look at the file."""
        found: dict[str, Extent] = {}
        for part in self._parts:
            for field in part.columns:
                x = self._across(part, field, np.ones(len(part.codes), bool))[0]
                if field in self._fields and len(x):
                    here: Extent = (x.min().item(), x.max().item())
                    found[field.path] = joined(found.get(field.path), here)
        return found

    def curves(
        self, extents: Mapping[str, Extent], num_bins: int, *, log: bool = False
    ) -> dict[Key, Curve]:
        """Return the curves; a second look at the file.

        Parameters
        ----------
        extents : mapping of str to extent
            Of each field across; the picture may hold other runs as well.
        num_bins : int
        log : bool
            Draw decimal logarithms.
        """
        self._parts.problems.clear()  # what the first look could not read is found again
        found: dict[Key, Curve] = {}
        for part in self._parts:
            for code, phase in enumerate(self._reader.schema.phases):
                of_phase = part.codes == code
                for field in self._fields if of_phase.any() else ():
                    x, rows, num_without = self._across(part, field, of_phase)
                    if not len(x) and not num_without:
                        continue
                    values = part.columns[field][0][rows]
                    for component, series in enumerate(
                        values.T if field.num_components else [values]
                    ):
                        key = Key(field.path, component if field.num_components else None, phase)
                        curve = found.setdefault(key, Curve(num_bins, log=log))
                        curve.num_without_x += num_without
                        if len(x):
                            bins = bins_of(x, extents[field.path], num_bins)
                            curve.add(bins, series.astype(np.float64))
        return found

    def _across(self, part: Part, field: Field, rows: Mask) -> tuple[Array, Array, int]:
        """Return where values of some rows stand across, their rows, and how many stand nowhere."""
        if field not in part.columns:
            return part.timestamps[:0], np.zeros(0, np.intp), 0
        present = part.columns[field][1]
        there = rows if present is None else rows & present
        if self._x not in part.columns:
            return part.timestamps[:0], np.zeros(0, np.intp), int(np.count_nonzero(there))
        x, has_x = part.columns[self._x]
        stands = np.isfinite(x) if has_x is None else np.isfinite(x) & has_x
        chosen = np.flatnonzero(there & stands)
        return x[chosen], chosen, int(np.count_nonzero(there)) - len(chosen)


def bins_of(x: Array, extent: Extent, num_bins: int) -> npt.NDArray[np.intp]:
    """Return the bins in which values stand; the ends of the extent are the middles of two bins.

    Examples
    --------
    >>> bins_of(np.array([2**63, 2**63 + 1, 2**63 + 4], np.uint64), (2**63, 2**63 + 4), 5).tolist()
    [0, 1, 4]
    >>> bins_of(np.array([7.0]), (7.0, 7.0), 5).tolist()
    [2]
    """
    low, high = extent
    if low == high:
        return np.full(len(x), num_bins // 2, np.intp)
    if x.dtype.kind in "ui" and isinstance(low, int) and np.iinfo(x.dtype).min <= low:
        share = integer_distances(x, low) / float(high - low)
    else:  # halved first: the distance of two floats may be beyond the largest one
        share = (x.astype(np.float64) / 2 - low / 2) / (high / 2 - low / 2)
    return np.rint(np.clip(share, 0, 1) * (num_bins - 1)).astype(np.intp)


def joined(one: Extent | None, other: Extent) -> Extent:
    """Return an extent that holds both."""
    return other if one is None else (min(one[0], other[0]), max(one[1], other[1]))
