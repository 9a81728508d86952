"""Which process of a distributed run this is, and whether it records."""

from __future__ import annotations

import os
from pathlib import Path

from cmeta.errors import EncodeError

VARIABLES = ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK")
PLACEHOLDER = "{rank}"


def rank_of(rank: object) -> int:
    """Return a process's rank.

    Parameters
    ----------
    rank : int or "auto"
        "auto": what a launcher has put into the environment, or 0.

    Raises
    ------
    EncodeError
        It is neither.
    """
    if isinstance(rank, int) and rank >= 0:
        return int(rank)
    if rank != "auto":
        raise EncodeError(f'rank: found {rank!r}, expected "auto" or an integer from 0 on')
    for name in VARIABLES:
        if (stated := os.environ.get(name, "")).isdecimal():
            return int(stated)
    return 0


def place_of(path: str | os.PathLike[str], rank: int) -> Path | None:
    """Return where a rank records; None: nowhere."""
    text = os.fspath(path)
    if PLACEHOLDER in text:
        return Path(text.replace(PLACEHOLDER, str(rank)))
    return Path(text) if rank == 0 else None
