"""How the user's counters of a phase go on: never back, in a run that repeats nothing.

A step may repeat: several records of one step are ordinary, and some counters begin again in each
epoch. So steps are compared together with their epochs, by (epoch, step), within one phase. A
record without an epoch is of the epoch before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from cmeta.aliases import Array
from cmeta.records.chunk import Column
from cmeta.schema.schema import Schema
from cmeta.schema.types import Field

_STEP, _EPOCH = "step", "epoch"
_STEP_BITS = 64


class Steps(NamedTuple):
    """The steps of one phase in some consecutive records.

    Attributes
    ----------
    phase : int
        Its code.
    rows : array, (n,), int64
        The records that have a step.
    steps, epochs : array, (n,), uint64
    """

    phase: int
    rows: Array
    steps: Array
    epochs: Array

    def go_back(self) -> bool:
        """Return whether any goes back."""
        epochs, steps = self.epochs, self.steps
        back = (epochs[1:] == epochs[:-1]) & (steps[1:] < steps[:-1])
        return bool((back | (epochs[1:] < epochs[:-1])).any())

    def key(self, place: int) -> int:
        """Return a number that orders all steps of the phase, see `key_of`."""
        return key_of(int(self.epochs[place]), int(self.steps[place]))

    def keys(self) -> Array:
        """Return all keys, as an array of Python integers."""
        keys: Array = (self.epochs.astype(object) << _STEP_BITS) + self.steps.astype(object)
        return keys


def key_of(epoch: int, step: int) -> int:
    """Return a number that orders pairs of an epoch and a step."""
    return (epoch << _STEP_BITS) + step


def pair_of(key: int) -> tuple[int, int]:
    """Return the epoch and the step of a key."""
    return divmod(key, 1 << _STEP_BITS)


class Counters:
    """Finds the steps of each phase in consecutive chunks.

    Attributes
    ----------
    step, epoch : Field or None
        None: the schema has no such counter.
    """

    def __init__(self, schema: Schema) -> None:
        self.step, self.epoch = _counter(schema, _STEP), _counter(schema, _EPOCH)
        self._epochs: dict[int, int] = {}  # the last one of each phase

    def steps(self, codes: Array, step: Column | None, epoch: Column | None) -> Iterator[Steps]:
        """Yield the steps of each phase that has any in the next chunk."""
        if step is None:
            return
        has_step = step.mask()
        for phase in np.unique(codes[has_step]).tolist():
            rows = np.flatnonzero(has_step & (codes == phase))
            epochs = self._filled(phase, rows, epoch)
            yield Steps(phase, rows, step.values[rows].astype(np.uint64), epochs)

    def _filled(self, phase: int, rows: Array, epoch: Column | None) -> Array:
        """Return the epochs of some records, each absent one as that before it."""
        known = [self._epochs.get(phase, 0)]
        place = np.zeros(len(rows), np.int64)
        if epoch is not None:
            present = epoch.mask()[rows]
            known += epoch.values[rows].tolist()
            place = np.maximum.accumulate(np.where(present, np.arange(1, len(rows) + 1), 0))
        epochs: Array = np.array(known, np.uint64)[place]
        self._epochs[phase] = int(epochs[-1])
        return epochs


def _counter(schema: Schema, path: str) -> Field | None:
    """Return a field that counts: of whole numbers that are not negative; or None."""
    field = next((f for f in schema.fields if f.path == path), None)
    return field if field and field.type in ("u8", "u16", "u32", "u64") else None
