"""What a user asks of a recorder, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cmeta.errors import EncodeError
from cmeta.records import seeds
from cmeta.schema.schema import Schema

DEFAULT_MAX_RECORDS = 1024


@dataclass(frozen=True)
class Wishes:
    """See `Recorder`.

    Raises
    ------
    EncodeError
        One of them is not what it must be.
    """

    schema: Any
    mode: str
    seed: Any
    max_records: int | None
    flush_every: int
    durability: str
    resume_at: Any
    on_error: str

    def __post_init__(self) -> None:
        _require("mode", self.mode, ("new", "resume", "replace"))
        _require("durability", self.durability, ("os", "fsync"))
        _require("on_error", self.on_error, ("raise", "warn"))
        _require_count("flush_every", self.flush_every, 1)
        _require_count("max_records", self.num_kept, 0)
        if self.schema is not None and not isinstance(self.schema, Schema):
            found = type(self.schema).__name__
            raise EncodeError(f"schema: found a {found}, expected a cmeta.Schema")
        if self.resume_at is not None and self.mode != "resume":
            raise EncodeError('resume_at: goes with mode="resume" only')
        _ = self.root, self.limit

    @property
    def root(self) -> int | None:
        """The root of all seeds."""
        return None if self.seed is None else seeds.checked_root(self.seed)

    @property
    def num_kept(self) -> int:
        """How many of the newest records to keep."""
        return DEFAULT_MAX_RECORDS if self.max_records is None else self.max_records

    @property
    def limit(self) -> tuple[int | None, int | None]:
        """How many records to keep when resuming, or up to which timestamp."""
        state = self.resume_at
        if state is None:
            return None, None
        if isinstance(state, int) and not isinstance(state, bool):
            return None, state
        if isinstance(state, Mapping) and {"num_records", "timestamp"} <= state.keys():
            return int(state["num_records"]), None
        found = type(state).__name__
        raise EncodeError(
            f"resume_at: found a {found}, expected a timestamp or what state_dict() gave"
        )


def _require(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        expected = ", ".join(map(repr, allowed))
        raise EncodeError(f"{name}: found {value!r}, expected one of: {expected}")


def _require_count(name: str, value: Any, least: int) -> None:
    if type(value) is not int or value < least:
        raise EncodeError(f"{name}: found {value!r}, expected an integer from {least} on")
