"""The tally of a field: in how many records it occurs and differs, the first and the worst."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cmeta.aliases import Array, Mask
from cmeta.format.stages import fixed_point
from cmeta.format.stages.float_bits import to_ordered
from cmeta.records.chunk import Column
from cmeta.schema.load import shipped_format
from cmeta.schema.types import Field
from cmeta.tools.diff.diff_report import Deviation, FieldDiff

Witness = Callable[[int, int | None], Deviation]


class Tally:
    """What is kept of a field while two files are compared; it does not grow with them.

    Attributes
    ----------
    num_present : list of int, (2,)
        Records of a and of b that have it, among those that both have.
    """

    def __init__(self) -> None:
        self.num_present = [0, 0]
        self._num_records = 0
        self._first: Deviation | None = None
        self._worst: Deviation | None = None
        self._most = 0

    def count(self, a: Column | None, b: Column | None, num_records: int) -> None:
        """Count the records that have the field."""
        for side, cells in enumerate((a, b)):
            if cells is not None:
                mask = cells.present
                here = num_records if mask is None else int(np.count_nonzero(mask))
                self.num_present[side] += here

    def add(self, outcome: Outcome, witness: Witness) -> None:
        """Add a window in which something differs.

        Parameters
        ----------
        witness : callable
            Returns the deviation of a row, given how many quanta apart it is.
        """
        differ, quanta = outcome.differ, outcome.quanta
        self._num_records += int(np.count_nonzero(differ))
        if self._first is None:
            row = int(np.argmax(differ))
            self._first = witness(row, _quanta_at(quanta, row))
        if quanta is None:
            return
        row = int(np.argmax(quanta))
        if quanta[row] > self._most:
            self._most = int(quanta[row])
            self._worst = witness(row, self._most)

    @property
    def found(self) -> FieldDiff | None:
        """How the field differs; None if it does not."""
        if self._first is None:
            return None
        return FieldDiff(self._num_records, self._first, self._worst)


def _quanta_at(quanta: np.ndarray[tuple[int], np.dtype[np.uint64]] | None, row: int) -> int | None:
    """Return the distance of a row that differs; 0 says that nothing could be measured."""
    return None if quanta is None else int(quanta[row]) or None


def merged(masks: list[Mask]) -> int:
    """Return how many records differ in at least one field."""
    return int(np.count_nonzero(np.logical_or.reduce(masks))) if masks else 0


Distances = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Outcome:
    """How the records of a window differ in a field.

    Attributes
    ----------
    differ : bool array, (n_records,)
    quanta : uint64 array, (n_records,), or None
        How far apart; 0 where nothing can be measured. None: the field has no quanta.
    """

    differ: Mask
    quanta: Distances | None = None


class Meeting:
    """The field of a path as a has it and as b has it; either may lack it.

    Parameters
    ----------
    a, b : Field or None
    config_ids : pair of array, (n_configs,)
        What a configuration's number is in both files: the same integer for the same content.
    """

    def __init__(self, a: Field | None, b: Field | None, config_ids: tuple[Array, Array]) -> None:
        self._a, self._b = a, b
        self._compare: Callable[[Array, Array], Outcome] | None = None
        self._translates = False
        self._quanta_per_unit = 0
        if a is None or b is None or a.num_components != b.num_components:
            return
        if a.is_float and b.is_float:
            self._dtype = min((a.dtype, b.dtype), key=lambda dtype: dtype.itemsize)
            stated = [f.quanta_per_unit for f in (a, b) if f.quanta_per_unit]
            self._quanta_per_unit = min(stated, default=0)
            self._compare = self._floats
        elif a.type == b.type == "config":
            self._tables, self._translates = config_ids, True
            self._compare = self._by_table
        elif a.type == b.type == "enum":
            self._tables, self._translates = _codes_of_labels(a, b), a.labels != b.labels
            self._compare = _equal if a.labels == b.labels else self._by_table
        elif (a.type[0] in "iu" and b.type[0] in "iu") or a.type == b.type:
            self._compare = _equal

    @property
    def is_fixed_point(self) -> bool:
        """Whether a distance is in quanta of the schema, not in floats."""
        return self._quanta_per_unit > 0

    def compare(self, a: Column | None, b: Column | None, num_records: int) -> Outcome | None:
        """Compare the same records of both.

        Returns
        -------
        Outcome or None
            None: they are all the same.
        """
        here = [_present(cells, num_records) for cells in (a, b)]
        if a is None or b is None or self._compare is None:
            differ = here[0] | here[1]
            return Outcome(differ) if differ.any() else None
        one, other = a[0], b[0]
        same_mask = bool((here[0] == here[1]).all())
        same_type = one.dtype == other.dtype and not self._translates
        if same_mask and same_type and one.tobytes() == other.tobytes():
            return None
        outcome = self._compare(one, other)
        both = here[0] & here[1]
        differ = np.where(both, outcome.differ, here[0] != here[1])
        if not differ.any():
            return None
        quanta = outcome.quanta
        return Outcome(differ, None if quanta is None else np.where(both, quanta, np.uint64(0)))

    def _by_table(self, a: Array, b: Array) -> Outcome:
        ids = [
            table[np.minimum(values, len(table) - 1)]
            for table, values in zip(self._tables, (a, b), strict=True)
        ]
        return Outcome(ids[0] != ids[1])

    def _floats(self, a: Array, b: Array) -> Outcome:
        with np.errstate(over="ignore"):
            one, other = (np.ascontiguousarray(v, self._dtype.newbyteorder("=")) for v in (a, b))
        if one.tobytes() == other.tobytes():
            num_records = len(one)
            return Outcome(np.zeros(num_records, bool), np.zeros(num_records, np.uint64))
        finite = np.isfinite(one) & np.isfinite(other)
        quanta = np.zeros(one.shape, np.uint64)
        quanta[finite] = self._quanta_apart(one[finite], other[finite])
        neither = np.isnan(one) & np.isnan(other)
        differ: Mask = np.where(finite, quanta > 0, (one != other) & ~neither)
        return Outcome(_any_component(differ), quanta if quanta.ndim == 1 else quanta.max(axis=1))

    def _quanta_apart(self, a: Array, b: Array) -> Distances:
        if self._quanta_per_unit:
            bits = shipped_format().codecs.quantise.product_bits
            one, other = (fixed_point.encode(v, self._quanta_per_unit, bits) for v in (a, b))
        else:
            one, other = (to_ordered(v).astype(np.int64) for v in (a, b))
        up = np.maximum(one, other).view(np.uint64)  # modulo 2^64: a distance may exceed 2^63
        return up - np.minimum(one, other).view(np.uint64)


def value_of(field: Field | None, cells: Column | None, row: int, configs: Any) -> Any:
    """Return one value as a reader gives it, floats by their shortest decimals; None: absent."""
    if field is None or cells is None or (cells.present is not None and not cells.present[row]):
        return None
    value = cells.values[row]
    if field.labels:
        return field.labels[int(value)]
    if field.type == "config":
        return configs[int(value)]
    if field.num_components:
        return tuple(_scalar(component) for component in value)
    return _scalar(value)


def _scalar(value: Any) -> Any:
    return float(str(value)) if isinstance(value, np.floating) else value.item()


def _equal(a: Array, b: Array) -> Outcome:
    return Outcome(_any_component(a != b))


def _any_component(differ: Array) -> Mask:
    return np.asarray(differ if differ.ndim == 1 else differ.any(axis=1), bool)


def _present(cells: Column | None, num_records: int) -> Mask:
    if cells is None:
        return np.zeros(num_records, bool)
    return cells.mask()


def _codes_of_labels(a: Field, b: Field) -> tuple[Array, Array]:
    """Return what a code of each means in a numbering that both share."""
    numbers: dict[str, int] = {}
    for label in (*a.labels, *b.labels):
        numbers.setdefault(label, len(numbers))
    return (
        np.array([numbers[label] for label in a.labels]),
        np.array([numbers[label] for label in b.labels]),
    )
