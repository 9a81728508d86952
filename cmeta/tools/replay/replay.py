"""`replay`: recorded cycles are run again, and their results compared cycle by cycle.

`ReplayState` is what a cycle gets. A seed restores the start of a generator's stream: never
weights, an optimiser, or a position in the data. A cycle that depends on those needs a checkpoint,
or a replay from the beginning. Memory stays flat: one batch of records at a time, and a report that
does not grow with the run.
"""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from cmeta.aliases import Progress
from cmeta.errors import CmetaError, EncodeError
from cmeta.format.column import as_stored
from cmeta.reader.reader import Reader
from cmeta.records import seeds
from cmeta.records.chunk import Column
from cmeta.records.convert import as_array
from cmeta.records.record import CycleRecord, flatten
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.schema.schema import Schema
from cmeta.schema.types import Field
from cmeta.tools.evidence import environment
from cmeta.tools.quanta import FAR, distance
from cmeta.tools.replay.replay_report import Difference, ReplayReport, Verdict
from cmeta.vocabulary import field_named, phase_named

_HALF = 2**32


@dataclass(frozen=True, eq=False)
class ReplayState:
    """The argument of a cycle that is run again.

    Attributes
    ----------
    record : CycleRecord
        As it was recorded.
    ordinal : int or None
        Its place in the file, if it was read from one.
    config : mapping
        The configuration that was in force; empty if none was.
    """

    record: CycleRecord
    ordinal: int | None = None
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def seed(self) -> int:
        """The seed of the cycle, u64.

        Raises
        ------
        EncodeError
            The record has none.
        """
        if self.record.seed_state is None:
            where = "the record" if self.ordinal is None else f"record {self.ordinal}"
            raise EncodeError(f"seed_state: {where} has no seed")
        return self.record.seed_state

    @property
    def root(self) -> int | None:
        """The root of all seeds of the run, u64; None if the configuration does not state it."""
        return seeds.root_in(self.config)

    @cached_property
    def rng(self) -> np.random.Generator:
        """The generator that `Recorder.cycle` gave: ``numpy.random.default_rng(seed)``."""
        return np.random.default_rng(self.seed)

    def seed_everything(self) -> None:
        """Seed the global generators of `random`, of numpy, and of torch if it is imported."""
        seeds.seed_global_generators(self.seed)

    def torch_generator(self, device: str = "cpu") -> Any:
        """Return a torch generator with this seed; on a CPU only the low 32 bits count.

        Raises
        ------
        ImportError
            torch is not installed.
        """
        generator = _module("torch").Generator(device)
        generator.manual_seed(self.seed)
        return generator

    def jax_key(self) -> Any:
        """Return a JAX key; all 64 bits count.

        Raises
        ------
        ImportError
            JAX is not installed.
        """
        jax = _module("jax")
        halves = np.array(divmod(self.seed, _HALF), np.uint32)
        return jax.random.wrap_key_data(halves)


def replay_cycle(record: CycleRecord) -> ReplayState:
    """Return the state in which a record's cycle began.

    Examples
    --------
    >>> state = replay_cycle(CycleRecord(phase="train", seed_state=7))
    >>> bool(state.rng.random() == np.random.default_rng(7).random())
    True
    """
    return ReplayState(record, None, record.config or {})


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as err:
        raise ImportError(f"{name} is not installed") from err


ENVIRONMENT = "environment"  # the key of a configuration that states it
_INPUTS = (TIMESTAMP, PHASE, "seed_state", "config")  # what a cycle is given


def replay(
    path: str | os.PathLike[str],
    cycle: Any,
    start: int | None = None,
    end: int | None = None,
    *,
    checkpoint: Any = None,
    progress: Progress | None = None,
) -> ReplayReport:
    """Run recorded cycles again from their seeds, and report whether the results are the same.

    Parameters
    ----------
    path : path
        The chronicle.
    cycle : callable, or class
        Called with a `ReplayState` for each cycle, in order. Returns the fields that it has
        recomputed: a mapping as for `Recorder.log` (``{"loss": ..., "metrics": {...}}``), a
        `CycleRecord`, whose fields other than None count, or None. A class is instantiated once,
        with the first state (and with ``checkpoint``, if its ``__init__`` takes one), and the
        instance is called for every cycle: for training, which carries state from cycle to cycle.
    start, end : int, optional
        First and last timestamp, both included. A stateful class must bring itself to `start`,
        from a checkpoint.
    checkpoint : any, optional
        Passed to the class.
    progress : callable, optional
        Called with the number of cycles done and of all cycles.

    Returns
    -------
    ReplayReport
        A cycle is *exact* if every returned field equals the recorded one, or else *within one
        quantum*, or *diverged*. It is *inconclusive* instead of diverged if the environment
        differs from the one that the configuration states under ``environment``.

    Raises
    ------
    EncodeError
        The callable returned a field that the schema does not have, or a value that does not fit
        its field.
    DecodeError
        The file is damaged.
    Exception
        Whatever the callable raises, with a note that names the record.

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
        call = _Callable(cycle, checkpoint)
        total = len(run)
        for ordinal, record in _records(run, start, end):
            state = ReplayState(record, ordinal, record.config or {})
            with _noting(ordinal):
                comparison.add(state, call(state))
            if progress is not None:
                progress(ordinal + 1, total)
        return comparison.finish()


def _records(run: Reader, start: int | None, end: int | None) -> Iterator[tuple[int, CycleRecord]]:
    """Yield the records of a range with their ordinals."""
    first = 0
    for info in run.batches if start is not None else ():
        if start is not None and info.last_timestamp >= start:
            timestamps = run.batch(info.ordinal).timestamps
            first = info.first_record
            first += int(np.searchsorted(timestamps, np.uint64(max(start, 0))))
            break
    yield from enumerate(run.records(start, end), first)


@contextmanager
def _noting(ordinal: int) -> Iterator[None]:
    """Add a note to an exception: the record that was being replayed."""
    try:
        yield
    except Exception as err:
        err.add_note(f"while record {ordinal} was replayed")
        raise


class _Callable:
    """The user's callable; a class is instantiated with the first state."""

    def __init__(self, cycle: Any, checkpoint: Any) -> None:
        if not callable(cycle):
            raise EncodeError(f"cycle: found a {type(cycle).__name__}, expected a callable")
        self._cycle, self._checkpoint = cycle, checkpoint
        self._is_class = inspect.isclass(cycle)
        if checkpoint is not None and not self._is_class:
            raise EncodeError("checkpoint requires a class, which is instantiated with it")

    def __call__(self, state: ReplayState) -> Any:
        if self._is_class:
            self._cycle, self._is_class = self._instance(state), False
        return self._cycle(state)

    def _instance(self, state: ReplayState) -> Any:
        if "checkpoint" in inspect.signature(self._cycle).parameters:
            return self._cycle(state, checkpoint=self._checkpoint)
        if self._checkpoint is not None:
            name = self._cycle.__name__
            raise EncodeError(f"checkpoint: {name}.__init__ has no parameter of this name")
        return self._cycle(state)


class _Comparison:
    """Compares cycle by cycle, and fills in the report."""

    def __init__(self, run: Reader) -> None:
        self._schema: Schema = run.schema
        self._report = ReplayReport(run.name)
        self._recorded: dict[str, None] = {}
        self._returned: set[str] = set()
        self._fields: dict[str, Field] = {}
        self._has_diverged = False
        self._worst = -1
        self._environment: Mapping[str, Any] | None = None
        self._config: object = None

    def add(self, state: ReplayState, returned: Any) -> None:
        """Compare one cycle."""
        self._compare_environment(state.config)
        recorded = flatten(state.record, self._schema)
        replayed = self._flattened(returned)
        self._recorded.update(dict.fromkeys(recorded))
        self._returned |= replayed.keys()
        worst = 0
        for path, value in replayed.items():
            field = self._field(path)
            quanta = distance(field, recorded.get(path), value)
            self._report.num_values += 1
            if quanta:
                self._add_difference(state, field, recorded.get(path), value, quanta)
            worst = max(worst, quanta)
        self._report.num_cycles += 1
        self._report.counts[self._verdict(worst)] += 1

    def finish(self) -> ReplayReport:
        """Return the report."""
        missing = [path for path in self._recorded if path not in self._returned]
        self._report.not_replayed = tuple(path for path in missing if path not in _INPUTS)
        return self._report

    def _verdict(self, quanta: int) -> Verdict:
        if quanta == 0:
            return "exact"
        if quanta == 1:
            return "within one quantum"
        return "inconclusive" if self._report.environment else "diverged"

    def _add_difference(
        self, state: ReplayState, field: Field, recorded: Any, value: Any, quanta: int
    ) -> None:
        report, record = self._report, state.record
        report.fields[field.path] = report.fields.get(field.path, 0) + 1
        is_first = report.first is None or (quanta > 1 and not self._has_diverged)
        # A digest has no distance, and the quanta of a lossless field are of many sizes.
        weight = quanta if quanta < FAR and field.quanta_per_unit else 0
        if not is_first and weight <= self._worst:
            return
        difference = Difference(
            state.ordinal or 0, record.timestamp or 0, record.phase, field.path, recorded,
            _stored_value(value, field), quanta if quanta < FAR else None,
        )  # fmt: skip
        if is_first:
            report.first, self._has_diverged = difference, quanta > 1
        if weight > self._worst:
            report.worst, self._worst = difference, weight

    def _flattened(self, returned: Any) -> dict[str, Any]:
        """Return the callable's result by dotted name; names and phases as `log` takes them."""
        if returned is None:
            return {}
        if isinstance(returned, CycleRecord):
            values = flatten(returned, self._schema)
            flat = {path: value for path, value in values.items() if value is not None}
        elif isinstance(returned, Mapping):
            flat = {}
            for name, value in returned.items():
                if name in self._schema.groups and isinstance(value, Mapping):
                    flat.update({f"{name}.{key}": inner for key, inner in value.items()})
                else:
                    flat[field_named(str(name), self._schema)] = value
        else:
            name = type(returned).__name__
            raise EncodeError(f"cycle: returned a {name}, expected a mapping or a CycleRecord")
        if isinstance(phase := flat.get(PHASE), str):
            flat[PHASE] = phase_named(phase, self._schema.phases) or phase
        return flat

    def _field(self, path: str) -> Field:
        if path not in self._fields:
            self._fields[path] = self._schema.field(path)
        return self._fields[path]

    def _compare_environment(self, config: Mapping[str, Any]) -> None:
        """Compare the recorded environment with the present one, once for each configuration."""
        if config is self._config:
            return
        self._config = config
        recorded = config.get(ENVIRONMENT)
        if not isinstance(recorded, Mapping):
            self._report.environment = {}
            return
        if self._environment is None:
            self._environment = environment()
        present = self._environment
        self._report.environment = {
            name: (recorded.get(name), present.get(name))
            for name in dict.fromkeys([*recorded, *present])
            if recorded.get(name) != present.get(name)
        }


def _stored_value(value: Any, field: Field) -> Any:
    """Return a replayed value as a file would give it back, for the report."""
    if value is None or field.type == "config":
        return value
    try:
        kept = as_stored(Column(as_array([value], field).values, None), field).values[0].tolist()
    except CmetaError:
        return value
    return field.labels[kept] if field.labels else tuple(kept) if field.num_components else kept
