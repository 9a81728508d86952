"""The preamble: what a whole chronicle is besides its records, as one JSON object.

It stands in the first line of full JSON lines and in the metadata of a Parquet file. Schema and
configurations are the JSON of their blocks; together with the records they fix every byte of a
file, so that importing gives the identical one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cmeta.aliases import Array, Mask
from cmeta.errors import CmetaError, DecodeError, EncodeError
from cmeta.schema import canonical_json
from cmeta.schema.load import shipped_format
from cmeta.schema.schema import Schema
from cmeta.schema.types import Field

KEY = "cmeta"


@dataclass(frozen=True)
class Preamble:
    """What a preamble says.

    Attributes
    ----------
    schema : Schema
    configs : tuple of mapping
        By number.
    num_records : int or None
        How many records must follow; None: not known when it was written.
    notes : tuple of str
    """

    schema: Schema
    configs: tuple[Mapping[str, Any], ...]
    num_records: int | None
    notes: tuple[str, ...] = ()


def preamble_of(
    schema: Schema, configs: Sequence[Mapping[str, Any]], num_records: int | None
) -> dict[str, Any]:
    """Return a preamble as JSON values.

    Examples
    --------
    >>> from cmeta.schema import default_schema
    >>> list(preamble_of(default_schema(), [{"lr": 0.1}], 3)["cmeta"])
    ['version', 'num_records', 'schema', 'configs']
    """
    counted = {} if num_records is None else {"num_records": num_records}
    plain_schema = canonical_json.loads(schema.embedded, schema.format.limits)
    return {
        KEY: {
            "version": _version(),
            **counted,
            "schema": plain_schema,
            "configs": [dict(config) for config in configs],
        }
    }


def is_preamble(plain: Any) -> bool:
    """Return whether a JSON value is a preamble, and no record."""
    inner = plain.get(KEY) if isinstance(plain, Mapping) and len(plain) == 1 else None
    return isinstance(inner, Mapping) and {"version", "schema", "configs"} <= inner.keys()


def parse_preamble(plain: Mapping[str, Any], where: str) -> Preamble:
    """Return what a preamble says.

    Parameters
    ----------
    where : str
        Its place, for errors: ``line 1``.

    Raises
    ------
    EncodeError
        A schema or a configuration that is none.
    """
    inner = plain[KEY]
    configs, num_records = inner["configs"], inner.get("num_records")
    for i, config in enumerate(configs if isinstance(configs, list) else [None]):
        if not isinstance(config, Mapping):
            raise EncodeError(f"{where}, {KEY}.configs[{i}]: expected an object for each of a list")
    if num_records is not None and (type(num_records) is not int or num_records < 0):
        raise EncodeError(f"{where}, {KEY}.num_records: found {num_records!r}, expected a count")
    version = inner["version"]
    notes = () if version == _version() else (_rewritten(version),)
    return Preamble(_schema(inner["schema"], where), tuple(configs), num_records, notes)


def _schema(plain: Any, where: str) -> Schema:
    format_ = shipped_format()
    try:
        return Schema.from_embedded(canonical_json.dumps(plain, format_.limits, "schema"), format_)
    except CmetaError as err:
        reason = err.message if isinstance(err, DecodeError) else str(err)
        raise EncodeError(f"{where}, {KEY}.schema: {reason}") from err


def _version() -> str:
    facts = shipped_format().format
    return f"{facts.major}.{facts.minor}"


def _rewritten(version: Any) -> str:
    return f"the file was written as format {version}; it is written again as {_version()}"


FLOAT_SAFE = 2**53  # up to here every integer is a float64
ROWS_AT_ONCE = 4096
_I64, _U64 = np.iinfo(np.int64), np.iinfo(np.uint64)


@dataclass(frozen=True)
class RawColumn:
    """A column of a source.

    Attributes
    ----------
    values : array, (n_records,) or (n_records, k)
        Of booleans, integers, floats, or objects: strings, lists, mappings, large integers.
    present : bool array, (n_records,)
    """

    values: Array
    present: Mask


@dataclass
class RawTable:
    """All columns of a source.

    Attributes
    ----------
    name : str
        Of the source, for errors.
    num_records : int
    columns : mapping of str to RawColumn
    where : callable
        Of a record's place, such as ``line 7``.
    is_text : bool
        Floats were read from decimals.
    preamble : Preamble or None
    lost, damage, notes : list of str
        As `Imported` has them.
    """

    name: str
    num_records: int
    columns: Mapping[str, RawColumn]
    where: Callable[[int], str]
    is_text: bool = False
    preamble: Preamble | None = None
    lost: list[str] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class TableBuilder:
    """Collects blocks of rows."""

    def __init__(self) -> None:
        self.num_records = 0
        self._rows: list[Mapping[str, Any]] = []
        self._parts: dict[str, list[tuple[int, RawColumn]]] = {}

    def add_row(self, row: Mapping[str, Any]) -> None:
        """Take a row; None is absent."""
        self._rows.append(row)
        if len(self._rows) == ROWS_AT_ONCE:
            self._flush()

    def add_block(self, columns: Mapping[str, Sequence[Any]], num_records: int) -> None:
        """Take a block of rows as columns; None is absent."""
        for name, values in columns.items():
            column = as_raw(values)
            if column.present.any():
                self._parts.setdefault(name, []).append((self.num_records, column))
            else:
                self._parts.setdefault(name, [])
        self.num_records += num_records

    def finish(self) -> dict[str, RawColumn]:
        """Return the columns, in the order in which their names first came."""
        self._flush()
        return {name: _joined(self._parts.pop(name), self.num_records) for name in [*self._parts]}

    def _flush(self) -> None:
        rows, self._rows = self._rows, []
        names = dict.fromkeys(name for row in rows for name in row)
        self.add_block({name: [row.get(name) for row in rows] for name in names}, len(rows))


def as_raw(values: Sequence[Any]) -> RawColumn:
    """Return Python values as an array of the simplest kind that holds them exactly.

    Examples
    --------
    >>> as_raw([1, None, 0.5]).values.tolist(), as_raw([2**60, 0.5]).values.dtype
    ([1.0, 0.0, 0.5], dtype('O'))
    """
    kinds = set(map(type, values))
    present = np.ones(len(values), bool)
    if type(None) in kinds:
        present = np.array([value is not None for value in values], bool)
        kinds.discard(type(None))
    dtype = _dtype_of(kinds, values)
    if dtype is None:
        return RawColumn(np.fromiter(values, object, len(values)), present)
    if not present.all():
        values = [0 if value is None else value for value in values]
    return RawColumn(np.array(values, dtype), present)


def _dtype_of(kinds: set[type], values: Sequence[Any]) -> Any:
    """Return the dtype that holds all values exactly; None: none but that of objects."""
    if kinds == {bool}:
        return np.bool_
    if not kinds or kinds == {float}:
        return np.float64
    if not kinds <= {int, float}:
        return None
    integers = [value for value in values if type(value) is int]
    low, high = min(integers), max(integers)
    if kinds == {int, float}:
        return np.float64 if low >= -FLOAT_SAFE and high <= FLOAT_SAFE else None
    if _I64.min <= low and high <= _I64.max:
        return np.int64
    return np.uint64 if low >= 0 and high <= _U64.max else None


def _joined(parts: list[tuple[int, RawColumn]], num_records: int) -> RawColumn:
    dtype = _common([column for _, column in parts])
    values = np.full(num_records, None) if dtype.kind == "O" else np.zeros(num_records, dtype)
    present = np.zeros(num_records, bool)
    for start, column in parts:
        here = slice(start, start + len(column.values))
        values[here] = _objects(column.values) if dtype.kind == "O" else column.values
        present[here] = column.present
    return RawColumn(values, present)


def _objects(values: Array) -> Array:
    """Return Python's own objects, not numpy's scalars."""
    return values if values.dtype == object else np.fromiter(values.tolist(), object, len(values))


def _common(columns: list[RawColumn]) -> Any:
    dtypes = {column.values.dtype for column in columns}
    if len(dtypes) < 2:
        return next(iter(dtypes), np.dtype(np.float64))
    numeric = all(dtype.kind in "iuf" for dtype in dtypes)
    if not numeric or not all(map(_is_float_safe, columns)):
        return np.dtype(object)
    return np.dtype(np.float64)


def _is_float_safe(column: RawColumn) -> bool:
    if column.values.dtype.kind == "f":
        return True
    low, high = int(column.values.min()), int(column.values.max())
    return low >= -FLOAT_SAFE and high <= FLOAT_SAFE


_NON_FINITE = {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}
_HEX = re.compile(r"-?0x[0-9A-Fa-f]{1,16}")


class Misfit(Exception):  # noqa: N818  (an answer, not a failure)
    """A value that a field cannot hold exactly.

    Attributes
    ----------
    row : int
        Ordinal of the record in the source.
    found : object
    """

    def __init__(self, row: int, found: Any) -> None:
        super().__init__(row, found)
        self.row, self.found = row, found


def as_field(column: RawColumn, field: Field) -> Array:
    """Return the values of a column as those of a field; a float as float64; 0 where absent.

    Parameters
    ----------
    column : RawColumn
    field : Field
        Not of a configuration.

    Returns
    -------
    array, (n_records,) or (n_records, num_components)

    Raises
    ------
    Misfit
    """
    if field.num_components:
        return _vectors(column, field)
    if column.values.ndim != 1:
        raise _first(column, column.present)
    if field.labels:
        return _codes(column, field)
    plain = numbers(column)
    if field.is_float:
        return _floats(plain)
    if field.type == "bool":
        return _integers(plain, 0, 1).astype(bool)
    limits: Any = np.iinfo(field.dtype.name)
    return _integers(plain, int(limits.min), int(limits.max)).astype(limits.dtype)


def numbers(column: RawColumn) -> RawColumn:
    """Return a column with the strings that stand for numbers replaced.

    Examples
    --------
    >>> numbers(as_raw(["NaN", 0.5])).values.tolist(), numbers(as_raw(["0x10"])).values.tolist()
    ([nan, 0.5], [16])
    """
    if column.values.dtype != object:
        return column
    plain = [
        (_number(value) if isinstance(value, str) else value) if there else None
        for value, there in zip(column.values, column.present.tolist(), strict=True)
    ]
    return as_raw(plain)


def _number(text: str) -> Any:
    if text in _NON_FINITE:
        return _NON_FINITE[text]
    return int(text, 16) if _HEX.fullmatch(text) else text


def _first(column: RawColumn, bad: Mask) -> Misfit:
    row = int(np.argmax(bad))
    found = column.values[row]
    return Misfit(row, found.tolist() if isinstance(found, np.ndarray | np.generic) else found)


def _codes(column: RawColumn, field: Field) -> Array:
    codes = {label: code for code, label in enumerate(field.labels)}
    found = np.zeros(len(column.values), np.uint8)
    for row in np.flatnonzero(column.present).tolist():
        value = column.values[row]
        code = codes.get(value) if isinstance(value, str) else None
        if code is None:
            raise _first(column, np.arange(len(found)) == row)
        found[row] = code
    return found


def _floats(column: RawColumn) -> Array:
    values = column.values
    if values.dtype.kind == "f":
        return values.astype(np.float64)
    if values.dtype.kind == "b":
        raise _first(column, column.present)
    if values.dtype.kind in "iu":
        found = values.astype(np.float64)
        safe = found.astype(object) == values.astype(object) if _is_large(values) else None
        if safe is not None and not safe.all():
            raise _first(column, ~safe.astype(bool) & column.present)
        return found
    return _each(column, _float)


def _is_large(values: Array) -> bool:
    return bool(values.size) and bool(((values > FLOAT_SAFE) | (values < -FLOAT_SAFE)).any())


def _float(value: Any) -> float:
    if type(value) not in (int, float) or (type(value) is int and int(float(value)) != value):
        raise ValueError
    return float(value)


def _integers(column: RawColumn, low: int, high: int) -> Array:
    """Return integers within bounds; a float counts if it is whole."""
    values, present = column.values, column.present
    if values.dtype.kind == "b":
        bad = present & (high != 1)
        values = values.astype(np.int64)
    elif values.dtype.kind == "f":
        whole = np.isfinite(values) & (np.abs(values) <= FLOAT_SAFE)
        whole[whole] &= values[whole] == np.rint(values[whole])
        bad = present & ~(whole & (values >= low) & (values <= high))
        values = np.where(present & ~bad, values, 0).astype(np.int64)
    elif values.dtype.kind in "iu":
        bad = present & ((values < low) | (values > high))
    else:
        return _each(column, lambda value: _integer(value, low, high))
    if bad.any():
        raise _first(column, bad)
    return np.where(present, values, 0)


def _integer(value: Any, low: int, high: int) -> int:
    if type(value) is float and value.is_integer() and abs(value) <= FLOAT_SAFE:
        value = int(value)
    if type(value) is not int or not low <= value <= high:
        raise ValueError
    return value


def _each(column: RawColumn, convert: Callable[[Any], Any]) -> Array:
    """Convert objects one by one."""
    found: list[Any] = [0] * len(column.values)
    for row in np.flatnonzero(column.present).tolist():
        try:
            found[row] = convert(column.values[row])
        except (ValueError, OverflowError):
            raise _first(column, np.arange(len(found)) == row) from None
    return as_raw(found).values


def _vectors(column: RawColumn, field: Field) -> Array:
    """Return vectors, each component as a column of its own."""
    width, num_records = field.num_components, len(column.values)
    if column.values.ndim == 2:
        if column.values.shape[1] != width:
            raise _first(column, column.present)
        parts = [RawColumn(part, column.present) for part in column.values.T]
    else:
        for row in np.flatnonzero(column.present).tolist():
            value = column.values[row]
            if not isinstance(value, list) or len(value) != width or None in value:
                raise Misfit(row, value)
        blank = [0] * width
        there = zip(column.values, column.present.tolist(), strict=True)
        rows = [value if is_there else blank for value, is_there in there]
        parts = [as_raw([row[i] for row in rows]) for i in range(width)]
        parts = [RawColumn(part.values, column.present) for part in parts]
    scalar = Field(field.name, field.type, labels=field.labels)
    stacked: Array = np.stack([as_field(part, scalar) for part in parts], axis=1)
    return stacked.reshape(num_records, width)
