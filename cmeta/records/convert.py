"""Conversion of a user's values to columns of a schema.

- `Converter` makes a chunk of arrays by name, or of records: it resolves names, encodes the
  configurations, completes the timestamps.
- `as_array` makes one column: of an array, a masked array, a tensor or a sequence, of exactly the
  type of its field. A value that does not fit raises an error naming the field.
- A declared field that changes a value by more than 0.1% causes one warning (`warn_imprecise`).
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

import numpy as np

from cmeta.aliases import FLOAT64_INTEGER_MAX, I64_MAX, I64_MIN, U64_MAX, Array, Mask
from cmeta.errors import EncodeError, PrecisionWarning
from cmeta.records.chunk import Chunk, Column
from cmeta.records.columns import Columns
from cmeta.records.config import config_json, members_of
from cmeta.records.record import CycleRecord, flatten
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.schema.schema import Schema
from cmeta.schema.types import Field
from cmeta.vocabulary import did_you_mean, phase_named

CONFIG_KEY = "config"
TOLERANCE = 1e-3  # relative; a larger loss causes a warning
Loss = tuple[float, float]  # a value, and the one that will be stored in its place
_NONE_LEFT = f"timestamp: none is left to assign after {U64_MAX}"


class Converter:
    """Makes chunks of a user's values, for one file; warns of each field once.

    Parameters
    ----------
    schema : Schema
    config : mapping, or sequence of mappings, optional
        The configuration of every record that has none of its own; or the list that numbers in a
        column ``config`` refer to.

    Raises
    ------
    EncodeError
        A configuration is not a mapping, or not JSON.
    """

    def __init__(self, schema: Schema, config: Any = None) -> None:
        self._schema = schema
        self._warned: set[Field] = set()
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
            By dotted name, or as `Schema.path_named` takes it: ``loss`` is loss_value.
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
        losses: dict[Field, Loss | None] = {}
        configs: tuple[bytes, ...] = ()
        for name, value in columns.items():
            field = self._schema.field(self._schema.path_named(name))
            if field in made:
                raise EncodeError(f"{field.path}: given under two names")
            if field.type == "config":
                made[field], configs = self._config_column(value, field, present.get(name))
            else:
                made[field], losses[field] = as_array_and_loss(value, field, present.get(name))
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
        for field, loss in losses.items():
            warn_imprecise(field, loss, self._warned)
        kept = {f: c for f, c in made.items() if c.present is None or c.present.any()}
        return Chunk(num_records, kept, configs)

    def convert_records(self, records: Sequence[CycleRecord], next_timestamp: int) -> Chunk:
        """Return records as a chunk."""
        flat = [flatten(record, self._schema) for record in records]
        paths = {path: None for row in flat for path in row}
        if any(row.get(TIMESTAMP) is None for row in flat):
            _assign_timestamps(flat, next_timestamp)
            paths.setdefault(TIMESTAMP)
        columns = {path: [row.get(path) for row in flat] for path in paths}
        return self.convert(columns, None, next_timestamp)

    def _config_column(
        self, value: Any, field: Field, given: Any
    ) -> tuple[Column, tuple[bytes, ...]]:
        """Return numbers of configurations in a list, and the list."""
        listed = self._listed
        if isinstance(value, Mapping) or not isinstance(value, Iterable):
            kind = type(value).__name__
            raise EncodeError(
                f"config: found a {kind}, expected a sequence; one for all records is config=..."
            )
        if not isinstance(value, np.ndarray | np.ma.MaskedArray):
            value = list(value)  # also keeps its items alive, so that their ids differ
        if isinstance(value, np.ndarray) and value.dtype != object:
            if listed is None:
                raise EncodeError("config: numbers need config=[...], the list that they point to")
            column = as_array(value, field, given)
            used = column.recorded()
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


def _assign_timestamps(flat: list[dict[str, Any]], next_timestamp: int) -> None:
    """Give each record without a timestamp the next one after its predecessor's."""
    for row in flat:
        stated = row.get(TIMESTAMP)
        if stated is None and next_timestamp > U64_MAX:
            raise EncodeError(_NONE_LEFT)
        row[TIMESTAMP] = next_timestamp if stated is None else scalar(stated, TIMESTAMP)
        if not isinstance(row[TIMESTAMP], int):
            kind = type(row[TIMESTAMP]).__name__
            raise EncodeError(f"{TIMESTAMP}: found a {kind}, expected an integer (u64)")
        next_timestamp = row[TIMESTAMP] + 1


# --------------------------------------------------------------------------------------- one column


def as_array(value: Any, field: Field, given: Any = None) -> Column:
    """Return a column of the field's type; see `as_array_and_loss`."""
    return as_array_and_loss(value, field, given)[0]


def as_array_and_loss(value: Any, field: Field, given: Any = None) -> tuple[Column, Loss | None]:
    """Return a column of the field's type, and a value that it changes by more than 0.1%, if any.

    Parameters
    ----------
    value : array, masked array, tensor or sequence
        ``(n_records,)``, or ``(n_records, num_components)`` for a vector.
    field : Field
        The field of the column.
    given : bool array, (n_records,), optional
        Records that have the field; combined with the mask of `value` itself.

    Raises
    ------
    EncodeError
        Wrong shape, a value out of range, of the wrong kind, or without a label.
    """
    raw, present = _raw_array(value, field)
    expected = 2 if field.num_components else 1
    if raw.ndim != expected or (expected == 2 and raw.shape[1] != field.num_components):
        shape = f"(n, {field.num_components})" if field.num_components else "(n,)"
        raise EncodeError(f"{field.path}: found shape {raw.shape}, expected {shape}")
    if given is not None:
        mask = _mask(given, len(raw), field)
        present = mask if present is None else mask & present
    if present is not None and present.all():
        present = None
    if present is not None:
        raw = np.where(present if expected == 1 else present[:, None], raw, _filler(raw, field))
    values = _typed(raw, field)
    loss = _loss(raw, values, field) if field.is_float and field.declared else None
    return Column(values, present), loss


def _mask(given: Any, num_records: int, field: Field) -> Mask:
    mask: Mask = np.asarray(given)
    if mask.dtype != bool or mask.shape != (num_records,):
        raise EncodeError(
            f"present[{field.path!r}]: found {mask.dtype} {mask.shape}, "
            f"expected bool ({num_records},)"
        )
    return mask


# ----------------------------------------------------------------------------------------- as given


def _raw_array(value: Any, field: Field) -> tuple[Array, Mask | None]:
    """Return a value as a numpy array, and the mask of the rows that are present."""
    if isinstance(value, np.ma.MaskedArray):
        return _unmask(value, field)
    value = from_tensor(value)
    if isinstance(value, np.ndarray) and (value.dtype != object or value.ndim == 0):
        return value, None
    if isinstance(value, str | bytes | Mapping | Set) or not hasattr(value, "__len__"):
        kind = type(value).__name__
        raise EncodeError(f"{field.path}: found a {kind}, expected an array or a sequence")
    return _from_sequence(value, field)


def _unmask(value: Any, field: Field) -> tuple[Array, Mask]:
    present: Array = ~np.ma.getmaskarray(value)
    if present.ndim == 2:
        if (present.any(axis=1) != present.all(axis=1)).any():
            raise EncodeError(f"{field.path}: a vector is absent as a whole or not at all")
        present = np.all(present, axis=1)
    return np.asarray(value.data), present


def from_tensor(value: Any) -> Any:
    """Return a tensor of another library as an array, from any device, without its gradient."""
    for method in ("detach", "cpu"):
        if callable(getattr(value, method, None)):
            value = getattr(value, method)()
    if isinstance(value, np.ndarray) or not hasattr(value, "__array__"):
        return value
    try:
        return np.asarray(value)
    except TypeError:  # bfloat16: numpy has no such type
        return np.asarray(value.float())


def _from_sequence(value: Sequence[Any], field: Field) -> tuple[Array, Mask | None]:
    present = np.array([item is not None for item in value], bool)
    width = field.num_components
    blank: Any = [0] * width if width else (field.labels[0] if field.labels else 0)
    plain = [blank if item is None else _item(item, field) for item in value]
    if not plain:
        return np.zeros((0, width) if width else 0, field.dtype.newbyteorder("=")), None
    kinds = {type(item) for row in plain for item in (row if width else [row])}
    if str in kinds:
        _require_labels(plain, field)
        if len(kinds) > 1:
            plain = [_code(item, field) if isinstance(item, str) else item for item in plain]
    if not field.declared and int in kinds:
        _require_float64(plain, field)
    try:
        # Python integers beyond int64 would become floats, or mix with negative ones.
        dtype = _integer_dtype(plain, field) if kinds <= {int, bool} else None
        return np.array(plain, dtype), present
    except (ValueError, OverflowError) as err:
        raise EncodeError(f"{field.path}: {err}") from err


def _item(item: Any, field: Field) -> Any:
    if not field.num_components:
        return scalar(item, field.path)
    rows = from_tensor(item)
    if isinstance(rows, str | bytes | Mapping | Set) or not hasattr(rows, "__len__"):
        kind = type(rows).__name__
        raise EncodeError(f"{field.path}: found a {kind}, expected ({field.num_components},)")
    shape = rows.shape if isinstance(rows, np.ndarray) else (len(rows),)
    if shape != (field.num_components,):
        raise EncodeError(f"{field.path}: found shape {shape}, expected ({field.num_components},)")
    return [scalar(component, field.path) for component in rows]


def scalar(value: Any, path: str) -> Any:
    """Return a value of one element as a Python scalar (or string).

    Raises
    ------
    EncodeError
        The value has more than one element, or is not a number; names field and shape.

    Examples
    --------
    >>> scalar(np.float32(0.5), "loss_value")
    0.5
    """
    if isinstance(value, bool | int | float | str):
        return value
    require_one_element(value, path)
    for convert in ("item", "__float__"):
        method = getattr(value, convert, None)
        if callable(method):
            converted = method()
            if isinstance(converted, bool | int | float | str):
                return converted
    raise EncodeError(f"{path}: found a {type(value).__name__}, expected a number")


def require_one_element(value: Any, path: str) -> None:
    """Refuse an array or tensor of several elements, without copying them.

    Raises
    ------
    EncodeError
    """
    shape = getattr(value, "shape", ())
    size = getattr(value, "size", 1)
    num_elements = size if isinstance(size, int) else int(np.prod(shape))
    if num_elements != 1:
        raise EncodeError(f"{path}: found shape {tuple(shape)}, expected a value of one element")


def _integer_dtype(plain: list[Any], field: Field) -> Any:
    flat = [item for row in plain for item in (row if field.num_components else [row])]
    low, high = min(flat), max(flat)
    if low < I64_MIN or high > U64_MAX or (low < 0 and high > I64_MAX):
        values = f"{low} and {high}" if low < 0 <= I64_MAX < high else low if low < 0 else high
        raise EncodeError(f"{field.path}: found {values}, expected {field.type_name}")
    return np.uint64 if high > I64_MAX else None


def _require_labels(plain: list[Any], field: Field) -> None:
    """Refuse names for a field that is not an enumeration."""
    if not field.labels:
        rows = (row if field.num_components else [row] for row in plain)
        name = next(item for row in rows for item in row if isinstance(item, str))
        raise EncodeError(f"{field.path}: found {name!r}, expected {field.type_name}")


def _require_float64(plain: list[Any], field: Field) -> None:
    """Refuse an integer that an undeclared metric, a float64, cannot hold."""
    for item in plain:
        if isinstance(item, int) and abs(item) > FLOAT64_INTEGER_MAX and not is_float64(item):
            raise EncodeError(
                f"{field.path}: found {item}, an integer beyond 2^53 that float64 cannot hold; "
                "declare the metric with an integer type"
            )


def is_float64(value: int) -> bool:
    """Return whether float64 holds an integer exactly."""
    try:
        return int(float(value)) == value
    except OverflowError:
        return False


def _filler(raw: Array, field: Field) -> Any:
    return field.labels[0] if raw.dtype.kind == "U" and field.labels else raw.dtype.type(0)


# ------------------------------------------------------------------------------ as the field has it


def _typed(raw: Array, field: Field) -> Array:
    """Convert to the field's dtype; refuse values that do not fit."""
    dtype = field.dtype.newbyteorder("=")
    if field.type == "enum":
        return _codes(raw, field)
    if raw.dtype.kind not in "biuf":
        raise EncodeError(f"{field.path}: found {raw.dtype}, expected {field.type_name}")
    if field.is_float:
        return _floats(raw, field, dtype)
    if raw.dtype.kind == "f":
        raise EncodeError(f"{field.path}: found {raw.dtype}, expected integers ({field.type_name})")
    if field.type == "bool":
        if ((raw != 0) & (raw != 1)).any():
            raise EncodeError(f"{field.path}: found a value other than 0 and 1, expected bool")
        return raw.astype(bool)
    least, greatest = field.limits
    if raw.size and raw.dtype.kind != "b":
        low, high = int(raw.min()), int(raw.max())
        if low < least or high > greatest:
            value = low if low < least else high
            expected = f"{field.type_name}: {least} to {greatest}"
            raise EncodeError(f"{field.path}: found {value}, expected {expected}")
    return raw.astype(dtype)


def _floats(raw: Array, field: Field, dtype: np.dtype[Any]) -> Array:
    if not field.declared and raw.dtype.kind in "iu":
        most = FLOAT64_INTEGER_MAX
        far = (raw > most) | (raw < -most) if raw.dtype.itemsize == 8 else raw[:0] > 0
        _require_float64(raw[far].tolist() if far.any() else [], field)
    with np.errstate(over="ignore", invalid="ignore"):
        return raw.astype(dtype)


def _codes(raw: Array, field: Field) -> Array:
    """Return the codes of an enumeration's values, given as names or codes."""
    if raw.dtype.kind == "U":
        names, places = np.unique(raw, return_inverse=True)
        codes = np.array([_code(str(name), field) for name in names], np.uint8)
        return codes[places.reshape(raw.shape)] if len(names) else np.zeros(raw.shape, np.uint8)
    if raw.dtype.kind not in "iu":
        raise EncodeError(f"{field.path}: found {raw.dtype}, expected names or codes")
    if raw.size and (raw.min() < 0 or raw.max() >= len(field.labels)):
        code = raw[(raw < 0) | (raw >= len(field.labels))][0]
        raise EncodeError(f"{field.path}: found code {code}, expected 0 to {len(field.labels) - 1}")
    return raw.astype(np.uint8)


def _code(name: str, field: Field) -> int:
    is_phase = field.enumeration == PHASE
    label = phase_named(name, field.labels) if is_phase else name
    if label in field.labels:
        return field.labels.index(label)
    hint = did_you_mean(name, field.labels)
    hint += '; append it with schema.with_phases("...")' if is_phase else ""
    known = ", ".join(field.labels)
    raise EncodeError(f"{field.path}: found {name!r}, expected one of: {known}{hint}")


# ---------------------------------------------------------------------------------------- precision


def warn_imprecise(
    field: Field, loss: tuple[float, float] | None, warned: set[Field] | None = None
) -> None:
    """Warn that a value will be stored as another one; once for each field.

    Parameters
    ----------
    loss : tuple of float or None
        The given value and the stored one; None: no loss.
    warned : set of Field, optional
        Fields with an earlier warning; the field is added.
    """
    if loss is None or (warned is not None and field in warned):
        return
    if warned is not None:
        warned.add(field)
    given, stored = loss
    warnings.warn(
        f"{field.path}: {given:.6g} will be stored as {stored:.6g}; " + _remedy(field, stored),
        PrecisionWarning,
        stacklevel=_depth_of_caller(),
    )


def _remedy(field: Field, stored: float) -> str:
    """Return why a field is imprecise, and the remedy."""
    if field.exact or not np.isfinite(stored):
        remedy = (
            f"schema=cmeta.default_schema().with_options({field.path!r}, type='f64', exact=True)"
        )
        return f"its type is {field.type}. Remedy: {remedy}"
    remedy = f"schema=cmeta.default_schema().with_options({field.path!r}, exact=True)"
    return f"its quantum is 1/{field.quanta_per_unit}. Remedy: {remedy}"


def _depth_of_caller() -> int:
    """Return the `stacklevel`, for the caller, of the first frame outside this package."""
    depth, frame = 0, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("cmeta."):
        depth, frame = depth + 1, frame.f_back
    return depth + 1


def _loss(raw: Array, values: Array, field: Field) -> Loss | None:
    """Return a value whose stored form differs from it by more than 0.1%, if there is one."""
    quanta = field.quanta_per_unit
    smallest = 1 / quanta if quanta else float(np.finfo(values.dtype).tiny)
    with np.errstate(invalid="ignore"):  # a signalling NaN
        given = raw.astype(np.float64, copy=False)
        magnitude = np.abs(given)
        # A rounding error is at most half a quantum, so that only values below 500 quanta can lose
        # as much; and those beyond the range of the type.
        small = (magnitude > 0) & (magnitude * TOLERANCE < smallest)
    suspect = given[small | (np.isfinite(given) & ~np.isfinite(values))]
    if suspect.size == 0:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = suspect.astype(values.dtype).astype(np.float64)
    stored = rounded
    if quanta:
        with np.errstate(over="ignore"):
            stored = np.rint(rounded * quanta) / quanta
    lost = np.abs(stored - suspect) > TOLERANCE * np.abs(suspect)
    if not lost.any():
        return None
    first = int(np.argmax(lost))
    return float(suspect[first]), float(stored[first])
