"""`ChunkMaker`: what a user gives, as chunks of checked and typed columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from cmeta import canonical
from cmeta.chunk import Chunk, Column
from cmeta.columns import Columns
from cmeta.errors import EncodeError
from cmeta.model import CycleRecord, flatten, unknown_field
from cmeta.schema import Field, Schema, undeclared
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.writer.precision import warn_imprecise
from cmeta.writer.values import as_array, scalar

CONFIG_KEY = "config"
_MOST = int(np.iinfo(np.uint64).max)
_NONE_LEFT = f"timestamp: none is left to assign after {_MOST}"


class ChunkMaker:
    """Turns what a user gives into chunks; remembers which warnings have been given."""

    def __init__(self, schema: Schema, config: Any = None) -> None:
        self._schema = schema
        self._warned: set[Field] = set()
        self._undeclared: dict[str, Field] = {}
        self._fixed: bytes | None = None
        self._listed: tuple[bytes, ...] | None = None
        if config is not None and schema.config_field is None:
            raise EncodeError("config: the schema has no field of type config")
        if canonical.members_of(config) is not None:
            self._fixed = self._json(config, CONFIG_KEY)
        elif isinstance(config, str | bytes) or not isinstance(config, Iterable | None):
            found = type(config).__name__
            raise EncodeError(f"config: found a {found}, expected a mapping or a list of mappings")
        elif config is not None:
            self._listed = tuple(self._json(c, f"config[{i}]") for i, c in enumerate(config))

    def make(
        self,
        columns: Mapping[str, Any],
        present: Mapping[str, Any] | None,
        next_timestamp: int,
    ) -> Chunk:
        """Return a chunk of columns.

        Parameters
        ----------
        columns : mapping of str to array
            By dotted name.
        present : mapping of str to bool array, (n_records,), or None
            Which records have a field.
        next_timestamp : int
            The first timestamp, if `columns` has none.

        Raises
        ------
        EncodeError
            A field is unknown, missing, of another length, or has a value that does not fit.
        """
        is_read = isinstance(columns, Columns)
        if present is None:
            present = columns.present if isinstance(columns, Columns) else {}
        made: dict[Field, Column] = {}
        configs: tuple[bytes, ...] = ()
        for path, value in columns.items():
            field = self._field(path)
            if field.type == "config":
                made[field], configs = self._config_column(value, field, present.get(path))
            else:
                made[field] = as_array(value, field, present.get(path))
        num_records = self._num_records(made)
        for path in present:
            if path not in columns:
                raise EncodeError(f"present names {path!r}, which is not among the columns")
        self._complete(made, num_records, next_timestamp)
        if self._schema.config_field and self._schema.config_field not in made and self._fixed:
            made[self._schema.config_field] = Column(np.zeros(num_records, np.uint32), None)
            configs = (self._fixed,)
        if self._listed and self._schema.config_field not in made and not is_read:
            raise EncodeError("config: a list needs a column config that points to it")
        for field, column in made.items():
            warn_imprecise(field, column.imprecise, self._warned)
        kept = {f: c for f, c in made.items() if c.present is None or c.present.any()}
        return Chunk(num_records, kept, configs)

    def make_from_records(self, records: Sequence[CycleRecord], next_timestamp: int) -> Chunk:
        """Return a chunk of records."""
        flat = [flatten(record, self._schema) for record in records]
        paths = {path: None for row in flat for path in row}
        if any(row.get(TIMESTAMP) is None for row in flat):
            _assign_timestamps(flat, next_timestamp)
            paths.setdefault(TIMESTAMP)
        return self.make({p: [row.get(p) for row in flat] for p in paths}, None, next_timestamp)

    def _field(self, path: str) -> Field:
        if path in self._schema:
            return self._schema[path]
        if path in self._undeclared:
            return self._undeclared[path]
        group, _, name = path.partition(".")
        if not name or group != self._schema.open_group:
            raise unknown_field(path, self._schema)
        most = self._schema.format.limits.name_bytes_max
        try:
            length = len(name.encode())
        except UnicodeEncodeError as err:
            raise EncodeError(f"metric {name!r}: not a name that UTF-8 can encode") from err
        if length > most:
            raise EncodeError(f"metric {name!r}: a name of {length} bytes, at most {most}")
        field = undeclared(name, group, self._schema.format.codecs)
        self._undeclared[path] = field
        return field

    def _config_column(
        self, value: Any, field: Field, given: Any
    ) -> tuple[Column, tuple[bytes, ...]]:
        """Return places in a list of configurations, and the list."""
        listed = self._listed
        if isinstance(value, Mapping) or not isinstance(value, Iterable):
            found = type(value).__name__
            raise EncodeError(
                f"config: found a {found}, expected a sequence; one for all records is config=..."
            )
        if not isinstance(value, np.ndarray | np.ma.MaskedArray):
            value = list(value)  # also keeps what is made on the way alive
        if isinstance(value, np.ndarray) and value.dtype != object:
            if listed is None:
                raise EncodeError("config: numbers need config=[...], the list that they point to")
            column = as_array(value, field, given)
            used = column.values if column.present is None else column.values[column.present]
            if used.size and used.max() >= len(listed):
                raise EncodeError(
                    f"config: found number {used.max()}, expected below {len(listed)}"
                )
            return column, listed
        if any(isinstance(item, int | np.integer) for item in value):
            numbers = as_array(value, field)
            mask = numbers.present if given is None else given
            return self._config_column(numbers.values, field, mask)
        places: dict[bytes, int] = {}
        bodies: dict[int, bytes | None] = {id(None): self._fixed}
        codes: list[int | None] = []
        for item in value:
            if id(item) not in bodies:
                bodies[id(item)] = self._json(item, CONFIG_KEY)
            body = bodies[id(item)]
            codes.append(None if body is None else places.setdefault(body, len(places)))
        return as_array(codes, field, given), tuple(places)

    def _json(self, config: Any, what: str) -> bytes:
        stated = canonical.as_mapping(config, what)
        return canonical.dumps(stated, self._schema.format.limits, what)

    def _num_records(self, made: dict[Field, Column]) -> int:
        lengths = {f.path: len(c.values) for f, c in made.items()}
        if PHASE not in lengths:
            raise EncodeError("phase: missing; every record has a phase")
        for path, length in lengths.items():
            if length != lengths[PHASE]:
                raise EncodeError(f"{path}: {length} records, but phase has {lengths[PHASE]}")
        return lengths[PHASE]

    def _complete(self, made: dict[Field, Column], num_records: int, next_timestamp: int) -> None:
        timestamp, phase = self._schema[TIMESTAMP], self._schema[PHASE]
        if timestamp not in made:
            if num_records and next_timestamp + num_records - 1 > _MOST:
                raise EncodeError(_NONE_LEFT)
            assigned = np.arange(num_records, dtype=np.uint64) + np.uint64(next_timestamp & _MOST)
            made[timestamp] = Column(assigned, None)
        for field in (timestamp, phase):
            if made[field].present is not None:
                raise EncodeError(f"{field.path}: absent in a record, expected in every one")


def batched(records: Iterable[CycleRecord], size: int) -> Iterable[list[CycleRecord]]:
    """Cut an iterable of records into lists."""
    group: list[CycleRecord] = []
    for record in records:
        group.append(record)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def _assign_timestamps(flat: list[dict[str, Any]], next_timestamp: int) -> None:
    """Give each record without a timestamp the one after its predecessor's."""
    for row in flat:
        stated = row.get(TIMESTAMP)
        if stated is None and next_timestamp > _MOST:
            raise EncodeError(_NONE_LEFT)
        row[TIMESTAMP] = next_timestamp if stated is None else scalar(stated, TIMESTAMP)
        if not isinstance(row[TIMESTAMP], int):
            found = type(row[TIMESTAMP]).__name__
            raise EncodeError(f"{TIMESTAMP}: found a {found}, expected an integer (u64)")
        next_timestamp = row[TIMESTAMP] + 1
