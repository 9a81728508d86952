"""The options of a recorder, checked; and the rank, which decides where a process records.

With ``{rank}`` in its path, every process of a distributed run records into a file of its own;
without, only rank 0 records.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmeta.errors import EncodeError
from cmeta.records import seeds
from cmeta.records.config import as_mapping, config_json
from cmeta.schema.schema import Schema

DEFAULT_MAX_RECORDS = 1024
RANK_VARIABLES = ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK")
_RANK_PLACEHOLDER = "{rank}"


@dataclass(frozen=True)
class Options:
    """The options of a session; see `Recorder`.

    Raises
    ------
    EncodeError
        An option is invalid.
    """

    schema: Any
    mode: str
    seed: Any
    max_records: int | None
    flush_every: int
    durability: str
    resume_at: Any
    on_error: str
    config: Any = None

    def __post_init__(self) -> None:
        _require_one_of("mode", self.mode, ("new", "resume", "replace", "verify"))
        _require_one_of("durability", self.durability, ("os", "fsync"))
        _require_one_of("on_error", self.on_error, ("raise", "warn"))
        _require_count("flush_every", self.flush_every, 1)
        _require_count("max_records", self.num_kept, 0)
        if self.schema is not None and not isinstance(self.schema, Schema):
            kind = type(self.schema).__name__
            raise EncodeError(f"schema: found {kind}, expected cmeta.Schema")
        if self.resume_at is not None and self.mode not in ("resume", "verify"):
            raise EncodeError('resume_at requires mode="resume" or "verify"')
        _ = self.root, self.resume_limit  # checked before anything is created
        if self.config is not None:
            config = as_mapping(self.config)
            config_json(config if self.root is None else seeds.with_root(config, self.root))

    def require_config_field(self, schema: Schema) -> None:
        """Raise an error for a configuration that the schema has no field for."""
        if self.config is not None and schema.config_field is None:
            raise EncodeError("config: the schema has no field of type config")

    @property
    def root(self) -> int | None:
        """The root of all seeds."""
        return None if self.seed is None else seeds.checked_root(self.seed)

    @property
    def num_kept(self) -> int:
        """The number of newest records that stay in memory."""
        return DEFAULT_MAX_RECORDS if self.max_records is None else self.max_records

    @property
    def resume_limit(self) -> tuple[int | None, int | None]:
        """The number of records to keep when resuming, or the last timestamp to keep."""
        state = self.resume_at
        if state is None:
            return None, None
        if isinstance(state, int) and not isinstance(state, bool):
            return None, state
        if isinstance(state, Mapping) and {"num_records", "timestamp"} <= state.keys():
            return int(state["num_records"]), None
        kind = type(state).__name__
        raise EncodeError(
            f"resume_at: found {kind}, expected a timestamp or the result of state_dict()"
        )


def rank_of(rank: object) -> int:
    """Return the rank of this process.

    Parameters
    ----------
    rank : int or "auto"
        "auto": the rank that a launcher has put into the environment, or 0.

    Raises
    ------
    EncodeError
        `rank` is neither.
    """
    if isinstance(rank, int) and rank >= 0:
        return int(rank)
    if rank != "auto":
        raise EncodeError(f'rank: found {rank!r}, expected "auto" or an integer of at least 0')
    for name in RANK_VARIABLES:
        if (value := os.environ.get(name, "")).isdecimal():
            return int(value)
    return 0


def path_of_rank(path: str | os.PathLike[str], rank: int) -> Path | None:
    """Return the path of the file that a rank records, or None for a rank that does not record."""
    text = os.fspath(path)
    if _RANK_PLACEHOLDER in text:
        return Path(text.replace(_RANK_PLACEHOLDER, str(rank)))
    return Path(text) if rank == 0 else None


def _require_one_of(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        expected = ", ".join(map(repr, allowed))
        raise EncodeError(f"{name}: found {value!r}, expected one of: {expected}")


def _require_count(name: str, value: Any, least: int) -> None:
    if type(value) is not int or value < least:
        raise EncodeError(f"{name}: found {value!r}, expected an integer of at least {least}")
