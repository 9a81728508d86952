"""Gaps: what is missing between timestamps that otherwise go up by one step.

Many runs count cycles, some every tenth one; others log the time of a clock. So the step is not
assumed: it is the most frequent difference in the first batch that has any, and if it is not the
step of most records of the file, timestamps are irregular and nothing can be called missing.
"""

from __future__ import annotations

import numpy as np

from cmeta.auditor.report import AuditReport
from cmeta.chunk import Array

_MOST_EXAMPLES = 5


class Gaps:
    """Looks at timestamps, batch after batch."""

    def __init__(self) -> None:
        self._last: np.uint64 | None = None
        self._step: int | None = None
        self._num_moves = self._num_regular = self._num_gaps = 0
        self._num_missing = 0
        self._first: list[tuple[int, int, int]] = []
        self._ordinal = 0

    def look(self, timestamps: Array) -> None:
        """Look at the next batch's timestamps, ``(n_records,)``, uint64, ascending."""
        known = timestamps if self._last is None else np.concatenate([[self._last], timestamps])
        behind = self._ordinal + len(timestamps) - len(known) + 1  # ordinal of known[1]
        moves = known[1:] - known[:-1]
        self._last, self._ordinal = timestamps[-1], self._ordinal + len(timestamps)
        rows = np.flatnonzero(moves)
        if not len(rows):
            return
        if self._step is None:
            values, counts = np.unique(moves[rows], return_counts=True)
            self._step = int(values[np.argmax(counts)])
        self._num_moves += len(rows)
        self._num_regular += int(np.count_nonzero(moves == self._step))
        wide = np.flatnonzero(moves > np.uint64(self._step))
        self._num_gaps += len(wide)
        self._num_missing += sum(((moves[wide] - np.uint64(1)) // np.uint64(self._step)).tolist())
        for row in wide[: _MOST_EXAMPLES - len(self._first)].tolist():
            self._first.append((behind + row, int(known[row]), int(known[row + 1])))

    def tell(self, report: AuditReport) -> None:
        """Say what is missing."""
        if not self._num_gaps or self._step is None:
            return
        if 2 * self._num_regular <= self._num_moves:
            report.add("info", "irregular", "timestamps have no regular step, so gaps are not told")
            return
        gaps = "1 gap" if self._num_gaps == 1 else f"{self._num_gaps:,} gaps"
        step = f"the step is {self._step:,}"
        report.add(
            "warning", "gaps", f"{gaps} in timestamps, {self._num_missing:,} missing; {step}"
        )
        for ordinal, before, after in self._first:
            missing = (after - before - 1) // self._step
            message = f"{after} comes after {before}: {missing:,} missing"
            report.add("warning", "gap", message, f"record {ordinal:,}")
        if more := self._num_gaps - len(self._first):
            report.add("warning", "gaps", f"and {more:,} gaps more")
