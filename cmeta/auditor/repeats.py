"""Repeats: seeds that come again, found exactly and in bounded memory.

Seeds of the scheme ascend in their ordinals, and what ascends does not repeat. If they do not, the
seeds are gone through again in as many passes as keep one pass small: each takes those seeds whose
hash falls into its share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from cmeta.chunk import Array

SEEDS_OF_A_PASS = 1 << 20
_MOST_EXAMPLES = 3
_SPREAD = np.uint64(0xD6E8FEB86659FD93)  # odd; spreads seeds that are near to each other
_HASH_BITS = np.uint64(32)

Seeds = Iterable[tuple[Array, Array]]  # ordinals of records, and their seeds


@dataclass
class Repeats:
    """What comes again.

    Attributes
    ----------
    num_repeated : int
        Records whose seed an earlier record has.
    examples : list of tuple
        The first of them: its ordinal, that of the earlier record, the seed.
    """

    num_repeated: int = 0
    examples: list[tuple[int, int, int]] = field(default_factory=list)


def repeats_of(
    seeds: Callable[[], Seeds], num_seeds: int, per_pass: int = SEEDS_OF_A_PASS
) -> Repeats:
    """Return the seeds that come again.

    Parameters
    ----------
    seeds : callable
        Yields, each time that it is called, all ordinals and seeds in order.
    num_seeds : int
        How many there are.
    """
    found = Repeats()
    num_passes = -(-num_seeds // per_pass)
    for share in range(num_passes):
        _one_pass(seeds(), share, num_passes, per_pass, found)
    found.examples.sort()
    del found.examples[_MOST_EXAMPLES:]
    return found


def _one_pass(seeds: Seeds, share: int, num_passes: int, per_pass: int, found: Repeats) -> None:
    seen = (np.zeros(0, np.uint64), np.zeros(0, np.int64))
    waiting: list[tuple[Array, Array]] = []
    num_waiting = 0
    for ordinals, values in seeds:
        if num_passes > 1:
            mine = (values * _SPREAD >> _HASH_BITS) % np.uint64(num_passes) == np.uint64(share)
            ordinals, values = ordinals[mine], values[mine]
        waiting.append((values, ordinals))
        num_waiting += len(values)
        if num_waiting >= per_pass // 4:
            seen, waiting, num_waiting = _merge([seen, *waiting], found), [], 0
    _merge([seen, *waiting], found)


def _merge(parts: list[tuple[Array, Array]], found: Repeats) -> tuple[Array, Array]:
    """Return each seed with the ordinal of its first record; note those that come again."""
    values = np.concatenate([part[0] for part in parts])
    ordinals = np.concatenate([part[1] for part in parts])
    order = np.argsort(values, kind="stable")  # so that of equal seeds the earliest comes first
    values, ordinals = values[order], ordinals[order]
    is_first = np.ones(len(values), bool)
    is_first[1:] = values[1:] != values[:-1]
    again = np.flatnonzero(~is_first)
    found.num_repeated += len(again)
    if len(again):
        firsts = ordinals[is_first][np.cumsum(is_first) - 1]
        for place in again[np.argsort(ordinals[again])][:_MOST_EXAMPLES].tolist():
            found.examples.append((int(ordinals[place]), int(firsts[place]), int(values[place])))
    return values[is_first], ordinals[is_first]
