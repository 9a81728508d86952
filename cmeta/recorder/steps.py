"""Watches the steps of a run that is resumed: a user may have forgotten `resume_at`.

Training goes on from a checkpoint, which is usually older than the newest record. Without
`resume_at` the steps since the checkpoint are then recorded twice. A counter that has gone back
before, such as one that begins again in each epoch, shows nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path

from cmeta.errors import CmetaWarning
from cmeta.recorder.row_builder import Row, value_positions
from cmeta.records.chunk import Chunk
from cmeta.records.steps import Counters, key_of, pair_of
from cmeta.schema.rules import PHASE
from cmeta.schema.schema import Schema

_STACK_LEVEL = 4  # from the warning to the caller of `Recorder.log`


class StepWatch:
    """Warns once, if the first step of a phase after a resumption is before the last one.

    Parameters
    ----------
    path : Path
    schema : Schema
    newest : iterable of Chunk
        The newest records of the file.
    """

    def __init__(self, path: Path, schema: Schema, newest: Iterable[Chunk]) -> None:
        self._path, self._phases = path, schema.phases
        self._last: dict[int, int] = {}  # the key of the last step, by phase
        counters, ever_back = Counters(schema), set()
        positions = value_positions(schema)
        bits = {field: 1 << number for number, field in enumerate(schema.fields)}
        self._fields = [
            (positions[field.path], bits[field]) if field else None
            for field in (counters.step, counters.epoch)
        ]
        for chunk in newest:
            step, epoch = (f and chunk.column(f) for f in (counters.step, counters.epoch))
            codes = chunk.columns[schema[PHASE]].values
            for steps in counters.steps(codes, step or None, epoch or None):
                if steps.go_back() or steps.key(0) < self._last.get(steps.phase, 0):
                    ever_back.add(steps.phase)
                self._last[steps.phase] = steps.key(-1)
        for phase in ever_back:
            del self._last[phase]

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to watch."""
        return not self._last

    def see(self, row: Row) -> None:
        """Look at a record that is about to be taken."""
        step, epoch = (self._value(row, field) for field in self._fields)
        if step is None or row.phase not in self._last:
            return
        last = self._last.pop(row.phase)
        last_epoch, last_step = pair_of(last)
        if key_of(last_epoch if epoch is None else epoch, step) >= last:
            return
        self._last.clear()
        name = self._phases[row.phase]
        before = f"step {last_step:,}" + (f" of epoch {last_epoch:,}" if last_epoch else "")
        warnings.warn(
            f"{self._path}: step {step:,} of {name} comes after {before}, which the file already "
            "has: if training goes on from a checkpoint, its later records are recorded twice. "
            "resume_at=checkpoint['recorder'], the state_dict() that was saved with it, moves them "
            "aside",
            CmetaWarning,
            stacklevel=_STACK_LEVEL,
        )

    @staticmethod
    def _value(row: Row, field: tuple[int, int] | None) -> int | None:
        if field is None or not row.present & field[1]:
            return None
        return int(row.values[field[0]])
