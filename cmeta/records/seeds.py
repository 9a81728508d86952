"""Seeds: one root for a run, from which each cycle's seed is derived (SPEC, Seeds).

A seed restores the *start* of a generator's stream; it does not restore weights, an optimiser or a
position in the data. The configuration states root and scheme, so a file documents how its seeds
were derived.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from cmeta.aliases import U64_MAX
from cmeta.errors import EncodeError
from cmeta.schema.language import to_int
from cmeta.schema.load import shipped_format

_MODULUS = U64_MAX + 1
_NUMPY_MODULUS = 2**32  # numpy's global generator takes 32 bits


def seed_of(root: int, ordinal: int) -> int:
    """Return the seed of a cycle.

    Parameters
    ----------
    root : int
        u64; of the whole run.
    ordinal : int
        Of the record, from 0.

    Returns
    -------
    int
        u64: ``root + ordinal * step``, modulo 2^64 (SPEC, Seeds).

    Examples
    --------
    >>> seed_of(7, 0), seed_of(7, 1) - seed_of(7, 0) == seed_of(0, 1)
    (7, True)
    """
    return (root + ordinal * to_int(shipped_format().seeds.step)) % _MODULUS


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


def root_in(config: Mapping[str, Any] | None) -> int | None:
    """Return the root that a configuration states, or None if it states none of our scheme."""
    facts = shipped_format().seeds
    entry = (config or {}).get(facts.config_key)
    if not isinstance(entry, Mapping) or entry.get(facts.scheme_key) != facts.scheme:
        return None
    root: Any = entry.get(facts.root_key)
    try:
        value = int(root, 16) if isinstance(root, str) else int(root)
    except (TypeError, ValueError):
        return None
    return value if 0 <= value <= U64_MAX else None


def with_root(config: Mapping[str, Any] | None, root: int) -> dict[str, Any]:
    """Return a configuration with the root added to it."""
    facts = shipped_format().seeds
    before = (config or {}).get(facts.config_key)
    entry = dict(before) if isinstance(before, Mapping) else {}
    entry |= {facts.root_key: root, facts.scheme_key: facts.scheme}
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
