"""Palette: values as ranks in the ascending list of distinct values, which becomes a run itself."""

from __future__ import annotations

import numpy as np

from cmeta.aliases import I64
from cmeta.errors import CorruptError
from cmeta.schema.language import PaletteFacts


def entries_of(values: I64, facts: PaletteFacts) -> I64 | None:
    """Return the ascending distinct values, or None if a palette of them is not allowed."""
    most = max_entries(len(values), facts)
    if most < 2:
        return None
    ordered = np.sort(values)
    new = ordered[1:] != ordered[:-1]
    if not 1 <= np.count_nonzero(new) < most:
        return None
    entries: I64 = ordered[np.concatenate([[True], new])]
    return entries


def max_entries(num_values: int, facts: PaletteFacts) -> int:
    """Return the most entries that a palette of `num_values` may have; below 2: no palette."""
    return num_values // facts.values_per_entry if num_values >= facts.values_min else 0


def encode(values: I64, entries: I64) -> I64:
    """Return the rank of each value.

    Examples
    --------
    >>> encode(np.array([7, 3, 7]), np.array([3, 7])).tolist()
    [1, 0, 1]
    """
    return np.searchsorted(entries, values).astype(np.int64, copy=False)


def decode(ranks: I64, entries: I64) -> I64:
    """Undo `encode`.

    Raises
    ------
    CorruptError
        The entries do not ascend strictly, or a rank has no entry.
    """
    if not (entries[1:] > entries[:-1]).all():
        raise CorruptError("the palette does not ascend strictly")
    if ranks.size and (ranks.min() < 0 or ranks.max() >= len(entries)):
        raise CorruptError(f"a rank outside the palette of {len(entries)} entries")
    values: I64 = entries[ranks]
    return values
