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
from cmeta.compare.replay_comparison import ENVIRONMENT, ReplayComparison
from cmeta.compare.replay_report import ReplayReport
from cmeta.errors import EncodeError
from cmeta.reader.reader import Reader, numbered_records
from cmeta.reader.selection import PhaseFilter, Selection
from cmeta.records import seeds
from cmeta.records.record import CycleRecord, flatten
from cmeta.schema.rules import PHASE
from cmeta.schema.schema import Schema
from cmeta.tools.evidence import environment
from cmeta.vocabulary import phase_named

_HALF = 2**32


class _NoSeedError(EncodeError):
    """A callable asked for a seed that its record does not have."""


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
            raise _NoSeedError(f"seed_state: {where} has no seed")
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


def replay(
    path: str | os.PathLike[str],
    cycle: Any,
    start: int | None = None,
    end: int | None = None,
    *,
    phase: PhaseFilter = None,
    checkpoint: Any = None,
    volatile: bool = False,
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
    phase : str or sequence of str, optional
        Only cycles of these phases.
    checkpoint : any, optional
        Passed to the class.
    volatile : bool
        Compare returned fields too that the schema marks as volatile.
    progress : callable, optional
        Called with the number of cycles done and of all cycles.

    Returns
    -------
    ReplayReport
        A record without a seed is skipped if the callable asks for the seed, or for something
        that needs it. Any other cycle is *exact* if every returned field equals the recorded one,
        or else *within one quantum*, or *diverged*. It is *inconclusive* instead of diverged if
        the environment differs from the one that the configuration states under ``environment``.

    Raises
    ------
    EncodeError
        The callable returned a field that the schema does not have, or a value that does not fit
        its field.
    DecodeError
        The file is damaged.
    ValueError
        The file does not have one of the phases.
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
        selection = Selection.of(run.schema, start, end, phase)
        comparison = ReplayComparison(run.name, run.schema, volatile=volatile)
        environments = _Environments()
        call = _Callable(cycle, checkpoint)
        total = len(run)
        for ordinal, record in numbered_records(run, selection):
            state = ReplayState(record, ordinal, record.config or {})
            try:
                with _noting(ordinal):
                    returned = _flattened(call(state), run.schema)
                    comparison.report.environment = environments.differences(state.config)
                    comparison.add(ordinal, record, returned)
            except _NoSeedError:
                if record.seed_state is not None:  # the callable has asked for another record's
                    raise
                comparison.report.num_skipped += 1
            if progress is not None:
                progress(ordinal + 1, total)
        return comparison.finish()


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


def _flattened(returned: Any, schema: Schema) -> dict[str, Any]:
    """Return the callable's result by dotted name; names and phases as `log` takes them."""
    if returned is None:
        return {}
    if not isinstance(returned, CycleRecord | Mapping):
        name = type(returned).__name__
        raise EncodeError(f"cycle: returned a {name}, expected a mapping or a CycleRecord")
    flat = flatten(returned, schema, keep_none=isinstance(returned, Mapping))
    if isinstance(phase := flat.get(PHASE), str):
        flat[PHASE] = phase_named(phase, schema.phases) or phase
    return flat


class _Environments:
    """Compares recorded environments with the present one, once for each configuration."""

    def __init__(self) -> None:
        self._present: Mapping[str, Any] | None = None
        self._config: object = None
        self._differences: dict[str, tuple[Any, Any]] = {}

    def differences(self, config: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        """Return what differs: recorded, present."""
        if config is not self._config:
            self._config, self._differences = config, self._compare(config.get(ENVIRONMENT))
        return self._differences

    def _compare(self, recorded: Any) -> dict[str, tuple[Any, Any]]:
        if not isinstance(recorded, Mapping):
            return {}
        if self._present is None:
            self._present = environment()
        present = self._present
        return {
            name: (recorded.get(name), present.get(name))
            for name in dict.fromkeys([*recorded, *present])
            if recorded.get(name) != present.get(name)
        }
