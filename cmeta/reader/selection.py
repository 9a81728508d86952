"""A selection: which batches, and which records of each, answer a question."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cmeta.aliases import Rows
from cmeta.schema.rules import TIMESTAMP
from cmeta.schema.schema import Schema
from cmeta.storage.open import AnyBatch, BatchInfo, OpenFile

if TYPE_CHECKING:
    from cmeta.reader.condition import Condition


@dataclass(frozen=True)
class Selection:
    """A range of timestamps, both ends included, phases, and a condition.

    Attributes
    ----------
    start, end : int or None
        None: without bound.
    phases : tuple of int or None
        Codes; None: all.
    condition : Condition or None
        What must be true of a record.
    """

    start: int | None
    end: int | None
    phases: tuple[int, ...] | None
    condition: Condition | None = None

    @classmethod
    def of(
        cls, schema: Schema, start: int | None, end: int | None, phase: str | Sequence[str] | None
    ) -> Selection:
        """Check and resolve what a caller asks for.

        Raises
        ------
        ValueError
            A phase that the schema does not have.
        """
        if phase is None:
            return cls(_integer(start), _integer(end), None)
        names = [phase] if isinstance(phase, str) else list(phase)
        for name in names:
            if name not in schema.phases:
                known = ", ".join(schema.phases)
                raise ValueError(f"no phase {name!r}; expected one of: {known}")
        codes = tuple(sorted({schema.phases.index(name) for name in names}))
        return cls(_integer(start), _integer(end), codes)

    def infos(self, file: OpenFile) -> list[BatchInfo]:
        """Return the batches that may hold something, from the INDEX alone."""
        if self.start is not None and self.end is not None and self.start > self.end:
            return []
        return [
            info
            for info in file.batches
            if (self.start is None or info.last_timestamp >= self.start)
            and (self.end is None or info.first_timestamp <= self.end)
        ]

    def batches(self, file: OpenFile) -> Iterator[tuple[AnyBatch, Rows]]:
        """Yield the batches that hold something, read and checked, and the rows."""
        for info in self.infos(file):
            batch = file.batch(info.ordinal)
            rows = self.rows(batch)
            if not isinstance(rows, slice) or rows.stop > rows.start:
                yield batch, rows
            file.stats.num_columns += batch.num_columns_decoded

    def where(self, condition: Condition) -> Selection:
        """Return the part of the selection for which a condition is true.

        What the condition itself says of timestamps narrows the range, so that whole batches are
        passed by.
        """
        low, high = condition.expression.range_of(TIMESTAMP)
        start = low if self.start is None or (low is not None and low > self.start) else self.start
        end = high if self.end is None or (high is not None and high < self.end) else self.end
        return replace(self, start=start, end=end, condition=condition)

    def rows(self, batch: AnyBatch) -> Rows:
        """Return the rows of a batch that are selected."""
        rows = self._rows(batch)
        return rows if self.condition is None else self.condition.narrow(batch, rows)

    def _rows(self, batch: AnyBatch) -> Rows:
        low, high = 0, batch.num_records
        if self.start is not None and self.start > batch.first_timestamp:
            low = int(np.searchsorted(batch.timestamps, np.uint64(self.start), side="left"))
        if self.end is not None and self.end < batch.last_timestamp:
            last = np.uint64(max(self.end, 0))
            high = int(np.searchsorted(batch.timestamps, last, side="right"))
        if self.phases is None:
            return slice(low, high)
        chosen = np.isin(batch.phases.codes[low:high], self.phases)
        return np.flatnonzero(chosen) + low


def num_rows(rows: Rows) -> int:
    """Return how many rows are selected."""
    return rows.stop - rows.start if isinstance(rows, slice) else len(rows)


def _integer(value: Any) -> int | None:
    return None if value is None else int(value)
