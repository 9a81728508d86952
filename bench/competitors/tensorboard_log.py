"""TensorBoard: torch's `SummaryWriter`, one scalar per value, read by its `EventAccumulator`.

A scalar is a float32, so integers beyond 2^24 are lost. Absent values are not logged; scalars are
read by tag and assigned to records by step.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from bench.competitors.base import TIMESTAMP, Array, Competitor, Table, rows_of
from bench.competitors.series import placed


class TensorBoard(Competitor):
    """One event file per write."""

    packages = ("tensorboard", "torch")
    sync = "none; flushed at close"
    rowwise = True
    is_logger = True
    notes: ClassVar = {
        "open": "no index: all events are read",
        "column": "all events are read",
        "range": "all events are read",
        "append": "another event file, by another writer",
        "verify": "CRC-32C of each event is checked whenever it is read",
    }

    def write(self, table: Table) -> None:
        """Log everything."""
        for path in self.folder.iterdir():
            path.unlink()
        self.append(table)

    def append(self, table: Table) -> None:
        """Log further records."""
        names = list(table)
        with SummaryWriter(str(self.folder), max_queue=1000) as writer:
            for row in rows_of(table):
                step = row[0]
                for name, value in zip(names, row, strict=True):
                    if value is not None and name != TIMESTAMP:
                        writer.add_scalar(name, value, step)

    def open(self) -> int:
        """Read all events."""
        events = self._events()
        return len(events.Scalars("phase"))

    def read_all(self) -> Table:
        """Read all events, then each tag."""
        events = self._events()
        steps = np.array([event.step for event in events.Scalars("phase")], np.uint64)
        found = {TIMESTAMP: steps}
        for name in events.Tags()["scalars"]:
            found[name] = _column(events, name, steps)
        return found

    def read_column(self, name: str) -> Array:
        """Read all events, then one tag."""
        events = self._events()
        steps = np.array([event.step for event in events.Scalars("phase")], np.uint64)
        return _column(events, name, steps)

    def verify(self) -> None:
        """Read all events."""
        self._events()

    def _events(self) -> Any:
        events = EventAccumulator(str(self.folder), size_guidance={"scalars": 0})
        return events.Reload()


def _column(events: Any, name: str, steps: Array) -> Array:
    scalars = events.Scalars(name)
    return placed(name, [event.step for event in scalars], [e.value for e in scalars], steps)
