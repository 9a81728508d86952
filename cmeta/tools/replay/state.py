"""`ReplayState`: what a record tells about the start of its cycle.

A seed restores the start of a generator's stream: never weights, an optimiser, or a position in the
data. A cycle that depends on those needs a checkpoint, or a replay from the beginning.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from cmeta.errors import EncodeError
from cmeta.records import seeds
from cmeta.records.record import CycleRecord

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
