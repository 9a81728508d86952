"""What the stages of a column share while it is parsed or built, and what they give back."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cmeta.codecs import split as split_stage
from cmeta.codecs.bits import U8
from cmeta.codecs.plan import Arrangement
from cmeta.codecs.split import SplitOrder


class Cells(NamedTuple):
    """The cells of a column: `classes` is None if all are finite values, which `finite` holds."""

    finite: npt.NDArray[Any]
    classes: U8 | None


@dataclass
class Phases:
    """The phases of a batch's records, and the orders that splitting by them gives."""

    codes: U8

    @cached_property
    def order(self) -> SplitOrder:
        """The order of all records."""
        return split_stage.order_of(self.codes)

    def restrict(self, kept: npt.NDArray[np.bool_]) -> Phases:
        """Return the phases of some of the records."""
        return Phases(self.codes[kept])


@dataclass
class State:
    """What the stages of one column share while it is parsed or built."""

    num_values: int
    phases: Phases | None = None
    flags: dict[str, int] = field(default_factory=dict)
    num_entries: int = 0
    arrangement: Arrangement | None = None

    @property
    def split(self) -> SplitOrder | None:
        """The order by phase, where phases are known."""
        return self.phases.order if self.phases else None

    def run_lengths(self) -> list[int]:
        """Return the lengths of the runs that the flags announce."""
        lengths = [self.num_entries] if self.flags["palette"] else []
        if self.flags["split"] and self.split:
            return lengths + list(self.split.lengths)
        return [*lengths, self.num_values] if self.num_values else lengths
