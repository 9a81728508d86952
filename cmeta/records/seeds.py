"""Seeds: one root for a run, from which each cycle's seed is derived (SPEC, Seeds).

A seed restores the *start* of a generator's stream; it does not restore weights, an optimiser or a
position in the data. The configuration states root and scheme, so a file documents how its seeds
were derived.

The processes of one training have one root, and each rank a stretch of seeds of its own, so no two
of them draw the same numbers. Rank 0 has the seeds that a process alone would have.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cmeta.aliases import U64_MAX
from cmeta.errors import EncodeError
from cmeta.schema.language import to_int
from cmeta.schema.load import shipped_format

_MODULUS = U64_MAX + 1
_NUMPY_MODULUS = 2**32  # numpy's global generator takes 32 bits


def seed_of(root: int, ordinal: int, rank: int = 0) -> int:
    """Return the seed of a cycle.

    Parameters
    ----------
    root : int
        u64; of the whole run.
    ordinal : int
        Of the record, from 0.
    rank : int
        Of the process, in a training of several that all have this root.

    Returns
    -------
    int
        u64: ``root + (rank * rank_stride + ordinal) * step``, modulo 2^64 (SPEC, Seeds).

    Examples
    --------
    >>> seed_of(7, 0), seed_of(7, 1) - seed_of(7, 0) == seed_of(0, 1)
    (7, True)
    >>> seed_of(7, 0, rank=1) == seed_of(7, 0)
    False
    """
    facts = shipped_format().seeds
    place = rank * to_int(facts.rank_stride) + ordinal
    return (root + place * to_int(facts.step)) % _MODULUS


def ordinal_of(root: int, seed: int) -> int:
    """Return the ordinal that has this seed; every u64 is the seed of exactly one ordinal.

    Examples
    --------
    >>> ordinal_of(7, seed_of(7, 123))
    123
    """
    inverse = pow(to_int(shipped_format().seeds.step), -1, _MODULUS)
    return (seed - root) * inverse % _MODULUS


def checked_root(root: Any) -> int:
    """Return a root as a u64.

    Raises
    ------
    EncodeError
        `root` is not an integer from 0 to 2^64 - 1.
    """
    try:
        value = root.__index__()
    except (AttributeError, TypeError):
        kind = type(root).__name__
        raise EncodeError(f"seed: found {kind}, expected an integer (u64)") from None
    if not 0 <= value <= U64_MAX:
        raise EncodeError(f"seed: found {value}, expected 0 to {U64_MAX}")
    return int(value)


@dataclass(frozen=True)
class Origin:
    """Where the seeds of a process come from, as its configuration states it.

    Attributes
    ----------
    root : int or None
        u64; of the whole run, as the user gave it. None: there is none of our scheme.
    rank : int or None
        Of the process that recorded; None: not stated, one process alone.
    world_size : int or None
        Number of processes of the training; None: not known.
    """

    root: int | None = None
    rank: int | None = None
    world_size: int | None = None

    @property
    def own_root(self) -> int | None:
        """The root of this process's seeds: that of the run for rank 0, another for each other."""
        return None if self.root is None else seed_of(self.root, 0, self.rank or 0)

    def after(self, earlier: Origin) -> Origin:
        """Return the origin of a resumed run: what this one does not state is as before."""
        root = earlier.root if self.root is None else self.root
        if self.rank is None:
            return Origin(root, earlier.rank, earlier.world_size)
        return Origin(root, self.rank, self.world_size)

    @property
    def is_stated(self) -> bool:
        """Whether there is anything for a configuration to state."""
        return self != Origin()


def origin_in(config: Mapping[str, Any] | None) -> Origin:
    """Return the origin that a configuration states; what it states wrongly counts as absent."""
    facts = shipped_format().seeds
    entry = (config or {}).get(facts.config_key)
    if not isinstance(entry, Mapping):
        return Origin()
    rank = _integer(entry.get(facts.rank_key), facts.num_ranks_max - 1)
    world_size = _integer(entry.get(facts.world_size_key), facts.num_ranks_max)
    root = _integer(entry.get(facts.root_key), U64_MAX)
    is_ours = entry.get(facts.scheme_key) == facts.scheme
    is_ours &= rank is not None or entry.get(facts.rank_key) is None
    return Origin(root if is_ours else None, rank, world_size)


def _integer(value: Any, most: int) -> int | None:
    try:
        number = int(value, 16) if isinstance(value, str) else int(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if 0 <= number <= most else None


def root_in(config: Mapping[str, Any] | None) -> int | None:
    """Return the root of the seeds of the process that recorded with a configuration, or None.

    Recorder, replay and audit all derive seeds from this one.
    """
    return origin_in(config).own_root


def with_origin(config: Mapping[str, Any] | None, origin: Origin) -> dict[str, Any]:
    """Return a configuration that states this origin, and no other."""
    facts = shipped_format().seeds
    before = (config or {}).get(facts.config_key)
    entry = dict(before) if isinstance(before, Mapping) else {}
    scheme = None if origin.root is None else facts.scheme
    stated = {
        facts.root_key: origin.root,
        facts.scheme_key: scheme,
        facts.rank_key: origin.rank,
        facts.world_size_key: origin.world_size,
    }
    entry = {key: value for key, value in entry.items() if key not in stated}
    entry |= {key: value for key, value in stated.items() if value is not None}
    return {**(config or {}), facts.config_key: entry}


def seed_global_generators(seed: int) -> None:
    """Seed the global generators of `random`, of numpy, and of torch if it is imported.

    numpy's takes the low 32 bits only; torch's CPU generator uses no more of it either.
    """
    random.seed(seed)
    np.random.seed(seed % _NUMPY_MODULUS)
    if torch := sys.modules.get("torch"):
        _seed_torch(torch, seed)


def _seed_torch(torch: Any, seed: int) -> None:
    """Seed what `torch.manual_seed` seeds, with the same numbers.

    That function notes a stack trace for each kind of device that has not been used yet, which
    takes longer than all the rest of a cycle; here a kind without any device is left out.
    """
    generator = getattr(torch, "default_generator", None)
    if generator is None:
        torch.manual_seed(seed)
        return
    for name in _LAZY_DEVICES:
        devices = getattr(torch, name, None)
        if devices is not None and _has_devices(name, devices):
            devices.manual_seed_all(seed)
    if "mps" not in _ABSENT:
        if torch.backends.mps.is_available():
            torch.mps.manual_seed(seed)
        else:
            _ABSENT.add("mps")
    torch.random._seed_custom_device(seed)
    generator.manual_seed(seed)


_LAZY_DEVICES = ("cuda", "xpu", "mtia")
_ABSENT: set[str] = set()  # kinds of which this machine has no device; once none, always none


def _has_devices(name: str, devices: Any) -> bool:
    """Return whether a kind of device is in use, or may be used later."""
    if name in _ABSENT:
        return False
    if devices.is_initialized():
        return True
    if devices._is_in_bad_fork():
        return False
    if devices.device_count() == 0:
        _ABSENT.add(name)
        return False
    return True
