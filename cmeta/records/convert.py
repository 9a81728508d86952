"""`Converter`: makes a chunk of arrays by name, or of records.

It resolves names, encodes the configurations and completes the timestamps; `cmeta.records.arrays`
converts each column. What declared floats lose is counted in its `precision`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from cmeta.aliases import U64_MAX
from cmeta.errors import EncodeError
from cmeta.records.arrays import as_array, listed
from cmeta.records.chunk import Chunk, Column
from cmeta.records.columns import Columns
from cmeta.records.config import config_json, members_of
from cmeta.records.precision import PrecisionTally
from cmeta.records.record import CycleRecord, flatten
from cmeta.records.values import is_missing, plain
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.schema.schema import Schema
from cmeta.schema.types import Field

CONFIG_KEY = "config"
_NONE_LEFT = f"timestamp: none is left to assign after {U64_MAX}"


class Converter:
    """Makes chunks of a user's values, for one file.

    Parameters
    ----------
    schema : Schema
    config : mapping, or sequence of mappings, optional
        The configuration of every record that has none of its own; or the list that numbers in a
        column ``config`` refer to.

    Attributes
    ----------
    precision : PrecisionTally
        What declared floats have lost so far.

    Raises
    ------
    EncodeError
        A configuration is not a mapping, or not JSON.
    """

    def __init__(self, schema: Schema, config: Any = None) -> None:
        self._schema = schema
        self.precision = PrecisionTally(schema)
        self._fixed: bytes | None = None
        self._listed: tuple[bytes, ...] | None = None
        if config is not None and schema.config_field is None:
            raise EncodeError("config: the schema has no field of type config")
        if members_of(config) is not None:
            self._fixed = self._json(config, CONFIG_KEY)
        elif isinstance(config, str | bytes) or not isinstance(config, Iterable | None):
            kind = type(config).__name__
            raise EncodeError(f"config: found a {kind}, expected a mapping or a list of mappings")
        elif config is not None:
            self._listed = tuple(self._json(c, f"config[{i}]") for i, c in enumerate(config))

    def convert(
        self,
        columns: Mapping[str, Any],
        present: Mapping[str, Any] | None,
        next_timestamp: int,
    ) -> Chunk:
        """Return columns as a chunk.

        Parameters
        ----------
        columns : mapping of str to array
            By name, as `Schema.given_field` takes it: ``loss`` is loss_value.
        present : mapping of str to bool array, (n_records,), or None
            Which records have a field.
        next_timestamp : int
            The first timestamp, if `columns` has none.

        Raises
        ------
        EncodeError
            A field is unknown, missing, of another length, or has a value that does not fit.
        """
        if present is None:
            present = columns.present if isinstance(columns, Columns) else {}
        made: dict[Field, Column] = {}
        configs: tuple[bytes, ...] = ()
        for name, value in columns.items():
            field = self._schema.given_field(name)
            if field in made:
                raise EncodeError(f"{field.path}: given under two names")
            if field.type == "config":
                made[field], configs = self._config_column(value, field, present.get(name))
            else:
                made[field] = as_array(value, field, present.get(name), self.precision)
        num_records = self._num_records(made)
        for name in present:
            if name not in columns:
                raise EncodeError(f"present names {name!r}, which is not among the columns")
        self._complete(made, num_records, next_timestamp)
        config = self._schema.config_field
        if config is not None and config not in made and self._fixed:
            made[config] = Column(np.zeros(num_records, np.uint32), None)
            configs = (self._fixed,)
        if self._listed and config not in made and not isinstance(columns, Columns):
            raise EncodeError("config: a list needs a column config that points to it")
        kept = {f: c for f, c in made.items() if c.present is None or c.present.any()}
        return Chunk(num_records, kept, configs)

    def prepare(self, given: CycleRecord | Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
        """Return columns by name, or the values of one record; and whether it is a record.

        A mapping whose phase is a single value is a record, unless a field has a column of values:
        then every single value is that of each record.

        Raises
        ------
        EncodeError
            As `flatten`.
        """
        if not isinstance(given, CycleRecord) and not _is_single(given.get(PHASE)):
            return given, False
        flat = flatten(given, self._schema)
        columns = {path: value for path, value in flat.items() if self._is_column(path, value)}
        if not columns or isinstance(given, CycleRecord):
            return flat, True
        num_records = len(next(iter(columns.values())))
        singles = {path: [value] * num_records for path, value in flat.items()}
        return singles | columns, False

    def _is_column(self, path: str, value: Any) -> bool:
        return _num_axes(value) > (1 if self._schema.field(path).num_components else 0)

    def convert_records(self, flat: list[dict[str, Any]], next_timestamp: int) -> Chunk:
        """Return records, by dotted names, as a chunk."""
        paths = {path: None for row in flat for path in row}
        if any(plain(row.get(TIMESTAMP), TIMESTAMP) is None for row in flat):
            _assign_timestamps(flat, next_timestamp)
            paths.setdefault(TIMESTAMP)
        columns = {path: [row.get(path) for row in flat] for path in paths}
        return self.convert(columns, None, next_timestamp)

    def _config_column(
        self, value: Any, field: Field, given: Any
    ) -> tuple[Column, tuple[bytes, ...]]:
        """Return numbers of configurations in a list, and the list."""
        given_list = self._listed
        if isinstance(value, Mapping) or not isinstance(value, Iterable):
            kind = type(value).__name__
            raise EncodeError(
                f"config: found a {kind}, expected a sequence; one for all records is config=..."
            )
        if not isinstance(value, np.ndarray | np.ma.MaskedArray):
            value = list(listed(value))  # also keeps its items alive, so that their ids differ
        if isinstance(value, np.ndarray) and value.dtype != object:
            if given_list is None:
                raise EncodeError("config: numbers need config=[...], the list that they point to")
            column = as_array(value, field, given)
            used = column.recorded()
            if used.size and used.max() >= len(given_list):
                raise EncodeError(
                    f"config: found number {used.max()}, expected below {len(given_list)}"
                )
            return column, given_list
        if any(isinstance(item, int | np.integer) for item in value):
            numbers = as_array(value, field)
            mask = numbers.present if given is None else given
            return self._config_column(numbers.values, field, mask)
        places: dict[bytes, int] = {}
        bodies: dict[int, bytes | None] = {id(None): self._fixed}
        codes: list[int | None] = []
        for item in value:
            if id(item) not in bodies:
                is_body = not is_missing(item)
                bodies[id(item)] = self._json(item, CONFIG_KEY) if is_body else self._fixed
            body = bodies[id(item)]
            codes.append(None if body is None else places.setdefault(body, len(places)))
        return as_array(codes, field, given), tuple(places)

    def _json(self, config: Any, what: str) -> bytes:
        return config_json(config, self._schema.format.limits, what)

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
            if num_records and next_timestamp + num_records - 1 > U64_MAX:
                raise EncodeError(_NONE_LEFT)
            assigned = np.arange(num_records, dtype=np.uint64) + np.uint64(next_timestamp & U64_MAX)
            made[timestamp] = Column(assigned, None)
        for field in (timestamp, phase):
            if made[field].present is not None:
                raise EncodeError(f"{field.path}: absent in a record, expected in every one")


def _is_single(phase: Any) -> bool:
    return phase is not None and not _num_axes(phase)


def _num_axes(value: Any) -> int:
    """Return the number of axes that an array of a value would have."""
    if isinstance(value, str | bytes | Mapping):
        return 0
    if isinstance(value, list | tuple):
        return 1 + (_num_axes(value[0]) if value else 0)
    shape = getattr(value, "shape", None)
    return len(shape) if isinstance(shape, tuple) else int(hasattr(value, "__len__"))


def _assign_timestamps(flat: list[dict[str, Any]], next_timestamp: int) -> None:
    """Give each record without a timestamp the next one after its predecessor's."""
    for row in flat:
        stated = plain(row.get(TIMESTAMP), TIMESTAMP, "an integer (u64)")
        if stated is None and next_timestamp > U64_MAX:
            raise EncodeError(_NONE_LEFT)
        row[TIMESTAMP] = next_timestamp if stated is None else stated
        if not isinstance(row[TIMESTAMP], int):
            kind = type(row[TIMESTAMP]).__name__
            raise EncodeError(f"{TIMESTAMP}: found a {kind}, expected an integer (u64)")
        next_timestamp = row[TIMESTAMP] + 1
