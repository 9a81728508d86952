"""The options of a recorder, checked before anything is created."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cmeta.errors import EncodeError, SchemaError
from cmeta.recorder import wall_time
from cmeta.recorder.ranks import Place
from cmeta.recorder.state import State, count_of, is_integer
from cmeta.records import seeds
from cmeta.records.config import as_mapping, config_json
from cmeta.schema.schema import Schema, default_schema

DEFAULT_MAX_RECORDS = 1024
PLAN_VARIABLE = "CMETA_VERIFY"  # a folder: a command asks for a comparison; see `verify_plan`


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
    place: Place
    config: Any = None
    wall_time: Any = None

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
        _require_one_of("wall_time", self.wall_time, (None, True, False))
        # Checked before anything is created.
        _ = self.origin, self.resume_limit, self.new_schema
        if self.config is not None:
            config = as_mapping(self.config)
            stated = seeds.with_origin(config, self.origin) if self.origin.is_stated else config
            config_json(stated)

    @property
    def new_schema(self) -> Schema:
        """The schema of a new file."""
        schema: Schema = self.schema or default_schema()
        if self.wall_time is None:
            return _timed(schema) if wall_time.is_wished() else schema
        return schema.with_wall_time() if self.wall_time else schema

    def fits(self, schema: Schema) -> bool:
        """Return whether a file may have this schema: the one given, perhaps with wall times."""
        return self.schema is None or schema in (self.schema, _timed(self.schema))

    def require_config_field(self, schema: Schema) -> None:
        """Raise an error for a configuration that the schema has no field for."""
        if self.config is not None and schema.config_field is None:
            raise EncodeError("config: the schema has no field of type config")

    @property
    def origin(self) -> seeds.Origin:
        """The origin of seeds that the configuration states, as far as it is not the file's."""
        root = None if self.seed is None else seeds.checked_root(self.seed)
        if not self.place.evidence:
            return seeds.Origin(root)
        return seeds.Origin(root, self.place.rank, self.place.world_size)

    @property
    def num_kept(self) -> int:
        """The number of newest records that stay in memory."""
        return DEFAULT_MAX_RECORDS if self.max_records is None else self.max_records

    @property
    def resume_limit(self) -> tuple[int | None, int | None]:
        """The number of records to keep when resuming, or the last timestamp to keep."""
        if self.state is not None:
            return self.state.num_records, None
        at = self.resume_at
        return None, None if at is None else count_of(at, "a timestamp")

    @property
    def state(self) -> State | None:
        """The state to resume at, if `resume_at` is one."""
        at = self.resume_at
        return None if at is None or is_integer(at) else State.of(at)


def _timed(schema: Schema) -> Schema:
    """Return a schema with a wall time, if it can have one."""
    try:
        return schema.with_wall_time()
    except SchemaError:
        return schema


def _require_one_of(name: str, value: Any, allowed: tuple[Any, ...]) -> None:
    if value not in allowed:
        expected = ", ".join(map(repr, allowed))
        raise EncodeError(f"{name}: found {value!r}, expected one of: {expected}")


def _require_count(name: str, value: Any, least: int) -> None:
    if type(value) is not int or value < least:
        raise EncodeError(f"{name}: found {value!r}, expected an integer of at least {least}")
