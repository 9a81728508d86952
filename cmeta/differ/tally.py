"""The tally of a field: in how many records it occurs and differs, the first and the worst."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cmeta.chunk import Mask
from cmeta.differ.meeting import Outcome
from cmeta.differ.report import Deviation, FieldDiff
from cmeta.differ.side import Cells

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

    def count(self, a: Cells | None, b: Cells | None, num_records: int) -> None:
        """Count the records that have the field."""
        for side, cells in enumerate((a, b)):
            if cells is not None:
                mask = cells[1]
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
