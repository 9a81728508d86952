"""`replay`: runs recorded cycles again and compares what comes out, cycle by cycle.

Memory stays flat: one batch of records at a time, and a report that does not grow with the run.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from cmeta.aliases import Progress
from cmeta.errors import EncodeError
from cmeta.reader.reader import Reader
from cmeta.records.record import CycleRecord, flatten
from cmeta.schema.schema import Schema
from cmeta.schema.types import Field
from cmeta.tools.environment import environment
from cmeta.tools.replay.compare import FAR, distance, shown
from cmeta.tools.replay.replay_report import Difference, ReplayReport, Verdict
from cmeta.tools.replay.state import ReplayState

_ENVIRONMENT = "environment"
_SHORT = {"loss": "loss_value"}


def replay(
    path: str | os.PathLike[str],
    cycle: Any,
    start: int | None = None,
    end: int | None = None,
    *,
    checkpoint: Any = None,
    progress: Progress | None = None,
) -> ReplayReport:
    """Run recorded cycles again from their seeds, and say whether they come out the same.

    Parameters
    ----------
    path : path
        The chronicle.
    cycle : callable, or class
        Called with a `ReplayState` for each cycle, in order; returns the fields that it has
        recomputed: a mapping as for `Recorder.log` (``{"loss": ..., "metrics": {...}}``), a
        `CycleRecord`, of which what is not None counts, or None. A class is built once, with the
        first state (and with ``checkpoint``, if its ``__init__`` takes one), and its instance is
        called for every cycle: for training, whose state goes on from cycle to cycle.
    start, end : int, optional
        First and last timestamp, both included. What is stateful must be brought to `start` by
        itself: from a checkpoint.
    checkpoint : any, optional
        Handed to the class.
    progress : callable, optional
        Called with cycles done and cycles in all.

    Returns
    -------
    ReplayReport
        A cycle is *exact* if every field that came back equals the recorded one; *within one
        quantum*; *diverged*; or *inconclusive*, if something differs by more and so does the
        environment, as far as the configuration has one under ``environment``.

    Raises
    ------
    EncodeError
        The callable returned a field that the schema does not have, or a value that is none.
    DecodeError
        The file is damaged.
    Exception
        Whatever the callable raises; a note names the record.

    Examples
    --------
    >>> import tempfile, cmeta
    >>> path = tempfile.mktemp(suffix=".cmeta")
    >>> with cmeta.Recorder(path, seed=7) as rec:
    ...     for _ in range(3):
    ...         with rec.cycle("train") as c:
    ...             c.log(loss=c.rng.random())
    >>> print(replay(path, lambda state: {"loss": state.rng.random()}).verdict)
    exact
    """
    with Reader(path) as run:
        comparison = _Comparison(run)
        step = _Step(cycle, checkpoint)
        total = len(run)
        for ordinal, record in _records(run, start, end):
            state = ReplayState(record, ordinal, record.config or {})
            with _noting(ordinal):
                comparison.take(state, step(state))
            if progress is not None:
                progress(ordinal + 1, total)
        return comparison.finish()


def _records(run: Reader, start: int | None, end: int | None) -> Iterator[tuple[int, CycleRecord]]:
    """Yield the records of a range with their ordinals."""
    first = 0
    for info in run.batches if start is not None else ():
        if start is not None and info.last_timestamp >= start:
            timestamps = run.batch(info.ordinal).timestamps
            first = info.ordinal * run.schema.batch_records
            first += int(np.searchsorted(timestamps, np.uint64(max(start, 0))))
            break
    yield from enumerate(run.records(start, end), first)


@contextmanager
def _noting(ordinal: int) -> Iterator[None]:
    """Say of whatever goes wrong in which cycle it did."""
    try:
        yield
    except Exception as err:
        err.add_note(f"while record {ordinal} was replayed")
        raise


class _Step:
    """The callable; a class is built when the first state is there."""

    def __init__(self, cycle: Any, checkpoint: Any) -> None:
        if not callable(cycle):
            raise EncodeError(f"cycle: found a {type(cycle).__name__}, expected a callable")
        self._cycle, self._checkpoint = cycle, checkpoint
        self._is_class = inspect.isclass(cycle)
        if checkpoint is not None and not self._is_class:
            raise EncodeError("checkpoint: goes with a class, which is built with it")

    def __call__(self, state: ReplayState) -> Any:
        if self._is_class:
            self._cycle, self._is_class = self._build(state), False
        return self._cycle(state)

    def _build(self, state: ReplayState) -> Any:
        takes = "checkpoint" in inspect.signature(self._cycle).parameters
        if takes:
            return self._cycle(state, checkpoint=self._checkpoint)
        if self._checkpoint is not None:
            name = self._cycle.__name__
            raise EncodeError(f"checkpoint: {name}.__init__ has no parameter of this name")
        return self._cycle(state)


class _Comparison:
    """Compares cycle by cycle, and keeps what the report says."""

    def __init__(self, run: Reader) -> None:
        self._schema: Schema = run.schema
        self._report = ReplayReport(run.name)
        self._recorded: dict[str, None] = {}
        self._returned: set[str] = set()
        self._fields: dict[str, Field] = {f.path: f for f in run.schema.fields}
        self._first_diverged = False
        self._worst = -1
        self._now: Mapping[str, Any] | None = None
        self._seen: object = None

    def take(self, state: ReplayState, returned: Any) -> None:
        """Compare one cycle."""
        self._look_at_environment(state.config)
        recorded = flatten(state.record, self._schema)
        replayed = self._flat(returned)
        self._recorded.update(dict.fromkeys(recorded))
        self._returned |= replayed.keys()
        worst = 0
        for path, value in replayed.items():
            field = self._field(path)
            quanta = distance(field, recorded.get(path), value)
            self._report.num_values += 1
            if quanta:
                self._note(state, field, recorded.get(path), value, quanta)
            worst = max(worst, quanta)
        self._report.num_cycles += 1
        self._report.counts[self._verdict(worst)] += 1

    def finish(self) -> ReplayReport:
        """Return the report."""
        missing = [path for path in self._recorded if path not in self._returned]
        own = {"timestamp", "phase", "seed_state", "config"}  # what a cycle is given
        self._report.not_replayed = tuple(path for path in missing if path not in own)
        return self._report

    def _verdict(self, quanta: int) -> Verdict:
        if quanta == 0:
            return "exact"
        if quanta == 1:
            return "within one quantum"
        return "inconclusive" if self._report.environment else "diverged"

    def _note(
        self, state: ReplayState, field: Field, recorded: Any, value: Any, quanta: int
    ) -> None:
        report, record = self._report, state.record
        report.fields[field.path] = report.fields.get(field.path, 0) + 1
        is_first = report.first is None or (quanta > 1 and not self._first_diverged)
        # Digests say nothing of how far, and quanta of a lossless field are of many sizes.
        weight = quanta if quanta < FAR and field.quanta_per_unit else 0
        if not is_first and weight <= self._worst:
            return
        found = Difference(
            state.ordinal or 0, record.timestamp or 0, record.phase, field.path, recorded,
            shown(field, value), quanta if quanta < FAR else None,
        )  # fmt: skip
        if is_first:
            report.first, self._first_diverged = found, quanta > 1
        if weight > self._worst:
            report.worst, self._worst = found, weight

    def _flat(self, returned: Any) -> dict[str, Any]:
        """Return what the callable gave, by dotted name."""
        if returned is None:
            return {}
        if isinstance(returned, CycleRecord):
            every = flatten(returned, self._schema)
            return {path: value for path, value in every.items() if value is not None}
        if not isinstance(returned, Mapping):
            found = type(returned).__name__
            raise EncodeError(f"cycle: returned a {found}, expected a mapping or a CycleRecord")
        flat: dict[str, Any] = {}
        for name, value in returned.items():
            if name in self._schema.groups and isinstance(value, Mapping):
                flat.update({f"{name}.{key}": inner for key, inner in value.items()})
            else:
                flat[name if name in self._schema else _SHORT.get(str(name), str(name))] = value
        return flat

    def _field(self, path: str) -> Field:
        if path not in self._fields:
            self._fields[path] = self._schema.field(path)
        return self._fields[path]

    def _look_at_environment(self, config: Mapping[str, Any]) -> None:
        """Compare the recorded environment with this one, where it is another than before."""
        if config is self._seen:
            return
        self._seen = config
        recorded = config.get(_ENVIRONMENT)
        if not isinstance(recorded, Mapping):
            self._report.environment = {}
            return
        if self._now is None:
            self._now = environment()
        names = dict.fromkeys([*recorded, *self._now])
        self._report.environment = {
            name: (recorded.get(name), self._now.get(name))
            for name in names
            if recorded.get(name) != self._now.get(name)
        }
