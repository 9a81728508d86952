"""The curves of a run, reduced to what a chart can show, so that no spike is lost.

The horizontal axis is divided into bins, about one for each dot. A bin keeps its first, least,
greatest and last value, in the order in which they occur. A bin whose values are all NaN or
infinite, or not positive on a logarithmic axis, is a gap; a bin without values is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cmeta.aliases import F64, Array, Mask
from cmeta.reader.reader import Reader
from cmeta.reader.selection import Selection
from cmeta.records.chunk import Chunk
from cmeta.schema.rules import PHASE
from cmeta.schema.types import Field
from cmeta.tools.summary.statistics import integer_distances
from cmeta.tools.summary.summarise import SelectedChunks
from cmeta.tools.summary.summary_report import Missing

Extent = tuple[float, float] | tuple[int, int]  # the least and the greatest value on an axis
_FIRST, _LOW, _HIGH, _LAST = range(4)


@dataclass(frozen=True)
class Series:
    """A field, or a component of it, in one phase."""

    field: str
    component: int | None
    phase: str

    @property
    def name(self) -> str:
        """The dotted name, with the component."""
        return self.field if self.component is None else f"{self.field}[{self.component}]"


class PlotData:
    """The curves of some fields of one run; what cannot be read is left out.

    Parameters
    ----------
    reader : Reader
    selection : Selection
    fields : sequence of Field
    x : Field
        The horizontal axis: a numeric field without components.
    """

    def __init__(
        self, reader: Reader, selection: Selection, fields: Sequence[Field], x: Field
    ) -> None:
        self._schema = reader.schema
        self._fields, self._x = tuple(dict.fromkeys(fields)), x
        self._chunks = SelectedChunks(reader, selection, [*fields, x], partial=True)

    @property
    def problems(self) -> Sequence[Missing]:
        """What could not be read in the last pass."""
        return self._chunks.problems

    def extents(self) -> dict[str, Extent]:
        """Return the horizontal extent of each field; a first pass over the file."""
        extents: dict[str, Extent] = {}
        for chunk in self._chunks:
            for field in self._fields:
                x = self._points(chunk, field, np.ones(chunk.num_records, bool))[0]
                if len(x):
                    extent: Extent = (x.min().item(), x.max().item())
                    extents[field.path] = union(extents.get(field.path), extent)
        return extents

    def curves(
        self, extents: Mapping[str, Extent], num_bins: int, *, log: bool = False
    ) -> dict[Series, BinnedCurve]:
        """Return the curves; a second pass over the file.

        Parameters
        ----------
        extents : mapping of str to extent
            The horizontal extent of each field; the chart may show other runs as well.
        num_bins : int
        log : bool
            Return decimal logarithms.
        """
        self._chunks.problems.clear()  # the second pass finds those of the first again
        curves: dict[Series, BinnedCurve] = {}
        for chunk in self._chunks:
            codes = chunk.columns[self._schema[PHASE]].values
            for code, phase in enumerate(self._schema.phases):
                of_phase = codes == code
                for field in self._fields if of_phase.any() else ():
                    x, rows, num_without_x = self._points(chunk, field, of_phase)
                    if not len(x) and not num_without_x:
                        continue
                    values = chunk.columns[field].values[rows]
                    for component, y in enumerate(values.T if field.num_components else [values]):
                        series = Series(
                            field.path, component if field.num_components else None, phase
                        )
                        curve = curves.setdefault(series, BinnedCurve(num_bins, log=log))
                        curve.num_without_x += num_without_x
                        if len(x):
                            bins = bins_of(x, extents[field.path], num_bins)
                            curve.add(bins, y.astype(np.float64))
        return curves

    def _points(self, chunk: Chunk, field: Field, mask: Mask) -> tuple[Array, Array, int]:
        """Return the points of a field among some records.

        Returns
        -------
        x : array, (n,)
        rows : int array, (n,)
        num_without_x : int
            Values without a finite `x`.
        """
        if field not in chunk.columns:
            return np.zeros(0), np.zeros(0, np.intp), 0
        has_value = mask & chunk.columns[field].mask()
        num_values = int(np.count_nonzero(has_value))
        if self._x not in chunk.columns:
            return np.zeros(0), np.zeros(0, np.intp), num_values
        x = chunk.columns[self._x]
        rows = np.flatnonzero(has_value & x.mask() & np.isfinite(x.values))
        return x.values[rows], rows, num_values - len(rows)


class BinnedCurve:
    """One series in bins.

    Attributes
    ----------
    num_nan, num_infinite, num_not_positive, num_without_x : int
        Values that cannot be drawn.
    """

    def __init__(self, num_bins: int, *, log: bool = False) -> None:
        self._log = log
        self._values = np.full((num_bins, 4), np.nan)
        self._places = np.zeros((num_bins, 4), np.int64)  # their order in the series
        self._has_gap = np.zeros(num_bins, bool)
        self._num_values = 0
        self.num_nan = self.num_infinite = self.num_not_positive = self.num_without_x = 0

    def add(self, bins: Array, values: F64) -> None:
        """Append values.

        Parameters
        ----------
        bins : intp array, (n,)
        values : float64 array, (n,)
        """
        places = self._num_values + np.arange(len(values))
        self._num_values += len(values)
        drawable = self._drawable(values)
        self._has_gap[bins[~drawable]] = True
        bins, values, places = bins[drawable], values[drawable], places[drawable]
        if not len(values):
            return
        if self._log:
            values = np.log10(values)
        by_place, by_value = np.lexsort((places, bins)), np.lexsort((values, bins))
        for order, low, high in ((by_place, _FIRST, _LAST), (by_value, _LOW, _HIGH)):
            starts = np.flatnonzero(np.diff(bins[order], prepend=-1))
            ends = np.append(starts[1:], len(values)) - 1
            for kind, rows in ((low, order[starts]), (high, order[ends])):
                self._keep(kind, bins[rows], values[rows], places[rows])

    def _drawable(self, values: F64) -> Mask:
        """Return which values can be drawn, and count the others."""
        is_nan, is_infinite = np.isnan(values), np.isinf(values)
        self.num_nan += int(np.count_nonzero(is_nan))
        self.num_infinite += int(np.count_nonzero(is_infinite))
        drawable: Mask = ~is_nan & ~is_infinite
        if self._log:
            self.num_not_positive += int(np.count_nonzero(drawable & (values <= 0)))
            drawable &= values > 0
        return drawable

    def _keep(self, kind: int, bins: Array, values: F64, places: Array) -> None:
        """Keep the better one of two candidates for each bin."""
        before = self._values[bins, kind]
        better = np.isnan(before)
        if kind == _LAST:
            better[:] = True
        elif kind != _FIRST:
            better |= values < before if kind == _LOW else values > before
        self._values[bins[better], kind] = values[better]
        self._places[bins[better], kind] = places[better]

    def lines(self) -> Iterator[tuple[F64, F64]]:
        """Yield unbroken lines: bins, and values or, on a logarithmic axis, their logarithms."""
        filled = ~np.isnan(self._values[:, _FIRST])
        gaps = np.flatnonzero(self._has_gap & ~filled)
        for bins in np.split(np.arange(len(filled)), gaps):
            inside = bins[filled[bins]]
            if len(inside):
                order = np.argsort(self._places[inside], axis=1, kind="stable")
                values = np.take_along_axis(self._values[inside], order, axis=1)
                yield np.repeat(inside, 4).astype(np.float64), values.ravel()

    @property
    def extent(self) -> tuple[float, float] | None:
        """The least and the greatest value that is drawn; None if there is none."""
        values = self._values[~np.isnan(self._values)]
        return (float(values.min()), float(values.max())) if len(values) else None


def bins_of(x: Array, extent: Extent, num_bins: int) -> Array:
    """Return the bins of values; the ends of the extent are the centres of two bins.

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
    else:  # halved first: the distance of two floats may exceed the largest one
        share = (x.astype(np.float64) / 2 - low / 2) / (high / 2 - low / 2)
    return np.rint(np.clip(share, 0, 1) * (num_bins - 1)).astype(np.intp)


def union(one: Extent | None, other: Extent) -> Extent:
    """Return an extent that holds both."""
    return other if one is None else (min(one[0], other[0]), max(one[1], other[1]))
