"""Seeds: one root for a run, and from it a seed for each cycle (SPEC, Seeds).

A seed restores the *start* of a generator's stream; it never restores weights, an optimiser or a
place in the data. The scheme is stated in the configuration, so a file says itself how its seeds
came about.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from cmeta.errors import EncodeError
from cmeta.schema.language import to_int
from cmeta.schema.load import shipped_format

_MODULUS = 2**64
_LOW = 2**32  # what numpy's global generator takes


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
    """Return the ordinal whose seed this is; every u64 is the seed of exactly one.

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
        It is none.
    """
    try:
        value = root.__index__()
    except (AttributeError, TypeError):
        found = type(root).__name__
        raise EncodeError(f"seed: found a {found}, expected an integer (u64)") from None
    if not 0 <= value < _MODULUS:
        raise EncodeError(f"seed: found {value}, expected 0 to {_MODULUS - 1}")
    return int(value)


def root_in(config: Mapping[str, Any] | None) -> int | None:
    """Return the root that a configuration states, if it states one of our scheme."""
    facts = shipped_format().seeds
    stated = (config or {}).get(facts.config_key)
    if not isinstance(stated, Mapping) or stated.get(facts.scheme_key) != facts.scheme:
        return None
    root: Any = stated.get(facts.root_key)
    try:
        value = int(root, 16) if isinstance(root, str) else int(root)
    except (TypeError, ValueError):
        return None
    return value if 0 <= value < _MODULUS else None


def with_root(config: Mapping[str, Any] | None, root: int) -> dict[str, Any]:
    """Return a configuration that states the root, beside what it states already."""
    facts = shipped_format().seeds
    own = (config or {}).get(facts.config_key)
    stated = dict(own) if isinstance(own, Mapping) else {}
    stated |= {facts.root_key: root, facts.scheme_key: facts.scheme}
    return {**(config or {}), facts.config_key: stated}


def put_in_force(seed: int) -> None:
    """Seed the global generators: of `random`, of numpy, and of torch if it is imported.

    numpy's takes the low 32 bits only; torch's CPU generator uses no more of it either.
    """
    random.seed(seed)
    np.random.seed(seed % _LOW)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(seed)
