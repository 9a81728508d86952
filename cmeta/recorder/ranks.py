"""The place of this process in a training: its rank, and whether that is known at all.

A rank number alone proves nothing: jobs of a sweep that one ``srun`` starts have one too, and each
of them is a run of its own. Processes are one training if `torch.distributed` is initialised, or if
the environment has what they need to find each other: MASTER_ADDR, and more than one process.
torchrun, deepspeed, ``accelerate launch`` and Lightning set that; for srun and mpirun users do.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

from cmeta.errors import EncodeError
from cmeta.schema.load import shipped_format

RANKS = ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK")
WORLD_SIZES = (
    "WORLD_SIZE", "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE",
)  # fmt: skip
ADDRESS = "MASTER_ADDR"
_ASKED = "{rank} in the path"


@dataclass(frozen=True)
class Place:
    """The place of a process in a training.

    Attributes
    ----------
    rank : int
    world_size : int or None
        Number of processes; None: not known.
    evidence : str
        What shows that this process is one of several; "" where nothing does.
    """

    rank: int = 0
    world_size: int | None = None
    evidence: str = ""

    @property
    def of_recorder(self) -> Place:
        """The place of rank 0, which records for this process."""
        return Place(0, self.world_size, self.evidence if self.world_size else "")

    def __str__(self) -> str:
        of_all = f" of {self.world_size}" if self.world_size else ""
        return f"rank {self.rank}{of_all}"


def find_place(rank: object = "auto", *, is_asked: bool = False) -> Place:
    """Return the place of this process.

    Parameters
    ----------
    rank : int or "auto"
        The rank, or "auto": as `torch.distributed` or the environment says it.
    is_asked : bool
        The user has asked for a file of each rank, so a launcher's number is taken at its word.

    Raises
    ------
    EncodeError
        `rank` is neither.
    """
    place = _distributed() or _environment()
    if rank == "auto":
        asked = Place(launched_rank() or 0, _launched_size(), _ASKED) if is_asked else Place()
        return place or asked
    most = shipped_format().seeds.num_ranks_max - 1
    if isinstance(rank, bool) or not isinstance(rank, int) or not 0 <= rank <= most:
        raise EncodeError(f'rank: found {rank!r}, expected "auto" or an integer from 0 to {most:,}')
    size = place.world_size if place else None
    known_size = size if size is None or rank < size else None
    evidence = _ASKED if is_asked else "rank=" if rank or known_size else ""
    return Place(int(rank), known_size, evidence)


def launched_rank() -> int | None:
    """Return the number that a launcher gave this process, be it of a training or not."""
    return _first_number(RANKS)


def _launched_size() -> int | None:
    return _first_number(WORLD_SIZES)


def _distributed() -> Place | None:
    """Return the place that `torch.distributed` states, if it is initialised."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return None
    return Place(distributed.get_rank(), distributed.get_world_size(), "torch.distributed")


def _environment() -> Place | None:
    """Return the place that the environment states, if it shows a training of several."""
    size = _launched_size()
    if not os.environ.get(ADDRESS) or size is None or size < 2:
        return None
    rank = _environment_rank(size)
    return None if rank is None else Place(rank, size, f"{ADDRESS} and {size} processes")


def _environment_rank(world_size: int) -> int | None:
    if (rank := _number("RANK")) is not None:
        return rank
    local, node = _number("LOCAL_RANK"), _first_number(("NODE_RANK", "GROUP_RANK"))
    if local is not None and node is not None:  # Lightning, which does not set RANK
        return node * (_number("LOCAL_WORLD_SIZE") or world_size) + local
    rank = launched_rank()
    return local if rank is None else rank


def _first_number(names: tuple[str, ...]) -> int | None:
    return next((number for name in names if (number := _number(name)) is not None), None)


def _number(name: str) -> int | None:
    value = os.environ.get(name, "")
    return int(value) if value.isascii() and value.isdecimal() else None
