"""One column: of an array, a masked array, a tensor or a sequence, as the type of its field.

- An array of numbers is converted at once; numpy rounds each number to the type once, as `typed`
  does for a single value. Anything else is taken value by value.
- No value is absent: masked elements, None and its kin in a sequence, nulls of other libraries.
- A vector is absent as a whole or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np

from cmeta.aliases import FLOAT64_INTEGER_MAX, I64_MAX, I64_MIN, U64_MAX, Array, Mask
from cmeta.errors import EncodeError
from cmeta.records.chunk import Column
from cmeta.records.precision import PrecisionTally
from cmeta.records.values import (
    as_finite,
    code_of,
    expected_of,
    is_missing,
    out_of_range,
    plain,
    refusal,
    require_held,
    typed,
)
from cmeta.schema.types import Field

_NUMBERS = "biuf"
_NONE = type(None)
_LEN_PLAIN = 8  # bytes of a number; a longer one has no equal in plain Python


def as_array(
    value: Any, field: Field, given: Any = None, tally: PrecisionTally | None = None
) -> Column:
    """Return a column of exactly the field's type.

    Parameters
    ----------
    value : array, masked array, tensor, sequence, or a column of pandas, polars or Arrow
        ``(n_records,)``, or ``(n_records, num_components)`` for a vector.
    field : Field
        The field of the column.
    given : bool array, (n_records,), optional
        Records that have the field; combined with what `value` itself lacks.
    tally : PrecisionTally, optional
        Gets what a declared float loses.

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
    column = Column(values, present)
    if tally is not None and field.is_float and field.declared:
        tally.add(field, Column(_as_doubles(raw), present).recorded(), column.recorded())
    return column


def _mask(given: Any, num_records: int, field: Field) -> Mask:
    mask: Mask = np.asarray(given)
    if mask.dtype != bool or mask.shape != (num_records,):
        raise EncodeError(
            f"present[{field.path!r}]: found {mask.dtype} {mask.shape}, "
            f"expected bool ({num_records},)"
        )
    return mask


def _filler(raw: Array, field: Field) -> Any:
    if raw.dtype.kind == "O":
        return field.labels[0] if field.labels else 0
    return field.labels[0] if raw.dtype.kind == "U" and field.labels else raw.dtype.type(0)


def _as_doubles(raw: Array) -> Array:
    """Return numbers as floats that show what the type of a field loses."""
    if raw.dtype.kind == "O":
        doubles = [as_finite(number) for number in raw.flat]
        return np.array(doubles, np.float64).reshape(raw.shape)
    return raw if raw.dtype.kind == "f" else raw.astype(np.float64)


# ----------------------------------------------------------------------------------------- as given


def _raw_array(value: Any, field: Field) -> tuple[Array, Mask | None]:
    """Return numbers or names as an array, and the mask of the rows that are present.

    An array of objects holds numbers of several kinds, as `plain` returns them.
    """
    if isinstance(value, np.ma.MaskedArray):
        return _unmask(value, field)
    try:
        value = listed(from_tensor(value))
    except Exception as err:  # whatever the methods of a foreign type raise
        kind = type(value).__name__
        raise EncodeError(
            f"{field.path}: the {kind} gives no array ({type(err).__name__}: {err}), "
            "expected an array or a sequence; give a numpy array"
        ) from err
    if isinstance(value, np.ndarray) and (value.dtype != object or value.ndim == 0):
        return _of_numpy(value)
    if isinstance(value, str | bytes | Mapping | Set) or not hasattr(value, "__len__"):
        kind = type(value).__name__
        raise EncodeError(
            f"{field.path}: found a {kind}, expected an array or a sequence, with a value for each "
            "record"
        )
    return _from_sequence(value, field)


def _unmask(value: Any, field: Field) -> tuple[Array, Mask]:
    present: Array = ~np.ma.getmaskarray(value)
    if present.ndim == 2:
        present = _whole_vectors(present, field)
    data = np.asarray(value.data)
    if data.dtype == object and data.ndim:
        rows = [row if there else None for row, there in zip(data, present, strict=True)]
        raw, given = _from_sequence(rows, field)
        return raw, present if given is None else given
    raw, given = _of_numpy(data)
    return raw, present if given is None else present & given


def _whole_vectors(present: Array, field: Field) -> Mask:
    """Return which vectors are present, given that for each component."""
    mask: Mask = np.asarray(present.all(axis=1))
    partly = present.any(axis=1) & ~mask
    if partly.any():
        raise EncodeError(
            f"{field.path}: a vector is absent as a whole or not at all; "
            f"found record {int(np.argmax(partly))} absent in part"
        )
    return mask


def _of_numpy(value: Array) -> tuple[Array, Mask | None]:
    """Return an array of any dtype as one that this module converts."""
    if value.dtype.kind in "mM":
        missing: Any = np.isnat(value)
        if value.ndim == 1 and missing.all():  # a column of NaT, of no record
            return np.zeros(len(value), np.int64), ~missing
    if value.dtype.kind == "V" and value.dtype.names is None:  # bfloat16, float8 ... of ml_dtypes
        for dtype in (np.int8, np.uint8, np.float32):
            if np.can_cast(value.dtype, dtype):
                return value.astype(dtype), None
    return value, None


def from_tensor(value: Any) -> Any:
    """Return a tensor of another library as an array, from any device, without its gradient."""
    for method in ("detach", "cpu"):
        if callable(getattr(value, method, None)):
            value = getattr(value, method)()
    if isinstance(value, np.ndarray) or not hasattr(value, "__array__"):
        return value
    if hasattr(value, "to_list") or hasattr(value, "to_pylist"):  # a column, not a tensor
        return value
    try:
        return np.asarray(value)
    except TypeError:  # bfloat16: numpy has no such type
        return np.asarray(value.float())


def listed(value: Any) -> Any:
    """Return a column of pandas, polars or Arrow as a list with None for no value.

    As an array it would have NaN there. Those that cannot lack a value become arrays; anything
    else is returned as it is.
    """
    if isinstance(value, np.ndarray | list | tuple):
        return value
    for name in ("to_pylist", "to_list"):
        if not callable(getattr(value, name, None)):
            continue
        if isinstance(getattr(value, "dtype", None), np.dtype):
            return np.asarray(value)
        nulls = getattr(value, "null_count", None)
        if nulls is not None and not (nulls() if callable(nulls) else nulls):
            array = np.asarray(value)
            return array if array.dtype.kind in _NUMBERS else getattr(value, name)()
        items = getattr(value, name)()
        kind = getattr(getattr(value, "dtype", None), "kind", "f")
        if kind != "f" and hasattr(value, "isna"):  # names that pandas lacks are NaN
            items = [None if na else item for item, na in zip(items, value.isna(), strict=True)]
        return items
    return value


def _from_sequence(value: Sequence[Any], field: Field) -> tuple[Array, Mask | None]:
    width = field.num_components
    rows = [vector(row, field) for row in value] if width else _scalars(value, field)
    present = np.array([row is not None for row in rows], bool)
    blank = [0] * width if width else (field.labels[0] if field.labels else 0)
    numbers: list[Any] = [blank if row is None else row for row in rows]
    if not numbers:
        return np.zeros((0, width) if width else 0, field.dtype.newbyteorder("=")), None
    flat = [number for row in numbers for number in row] if width else numbers
    raw = _as_raw(flat, is_named=bool(field.labels))
    return (raw.reshape(-1, width) if width else raw), present


def _scalars(value: Sequence[Any], field: Field) -> list[Any]:
    """Return plain numbers or names, None for no value."""
    items = list(value)
    if set(map(type, items)) <= {float, int, str, _NONE}:
        numbers = items
    else:
        path, expected = field.path, expected_of(field)
        numbers = [plain(item, path, expected) for item in items]
    if field.labels:  # a name that pandas lacks is NaN
        return [None if number != number else number for number in numbers]
    return numbers


def vector(row: Any, field: Field) -> list[Any] | None:
    """Return what is given for a vector as plain numbers, or None for no value.

    Raises
    ------
    EncodeError
        It is no vector of the field's size, or it has no value in part.
    """
    numbers = _components(row, field)
    if numbers is not None and None in numbers:
        if any(number is not None for number in numbers):
            raise _partly(field)
        return None
    return numbers


def _partly(field: Field) -> EncodeError:
    return EncodeError(
        f"{field.path}: found a vector with no value in part, expected {field.type_name}; "
        "a vector is absent as a whole or not at all"
    )


def _components(row: Any, field: Field) -> list[Any] | None:
    width = field.num_components
    items: Any = row if type(row) is list or type(row) is tuple else _vector_like(row, field)
    if items is None:
        return None
    if len(items) != width:
        raise EncodeError(f"{field.path}: found shape ({len(items)},), expected ({width},)")
    path, expected = field.path, expected_of(field)
    return [plain(component, path, expected) for component in items]


def _vector_like(row: Any, field: Field) -> Any:
    """Return an array, tensor or other sequence as a list."""
    width = field.num_components
    if is_missing(row):
        return None
    try:
        shape = getattr(row, "shape", None)
        if shape is not None and tuple(shape) != (width,):
            raise EncodeError(f"{field.path}: found shape {tuple(shape)}, expected ({width},)")
        if isinstance(row, np.ndarray):
            is_plain = row.dtype.kind in _NUMBERS and row.dtype.itemsize <= _LEN_PLAIN
            return row.tolist() if is_plain else list(row)
        if shape is not None and hasattr(row, "tolist"):
            return row.tolist()
        row = row.as_py() if hasattr(row, "as_py") else listed(from_tensor(row))
        if row is None:  # a null of Arrow
            return None
        if not isinstance(row, str | bytes | Mapping | Set) and hasattr(row, "__len__"):
            return list(row)
    except EncodeError:
        raise
    except Exception as err:  # whatever the methods of a foreign type raise
        kind = type(row).__name__
        raise EncodeError(
            f"{field.path}: the {kind} gives no vector ({type(err).__name__}: {err}), "
            f"expected ({width},)"
        ) from err
    raise refusal(row, field.path, f"({width},)")


def _as_raw(numbers: list[Any], *, is_named: bool) -> Array:
    """Return plain numbers or names as an array that keeps each of them."""
    kinds = set(map(type, numbers))
    if kinds == {float}:
        return np.array(numbers, np.float64)
    if kinds <= ({int} if is_named else {int, bool}):
        low, high = min(numbers), max(numbers)
        if low >= I64_MIN and high <= I64_MAX:
            return np.array(numbers)
        if low >= 0 and high <= U64_MAX:
            return np.array(numbers, np.uint64)
    raw = np.empty(len(numbers), object)
    raw[:] = numbers
    return raw


# ------------------------------------------------------------------------------ as the field has it


def _typed(raw: Array, field: Field) -> Array:
    """Convert to the field's dtype; refuse values that do not fit."""
    dtype = field.dtype.newbyteorder("=")
    if raw.dtype.kind == "O":
        return _one_by_one(raw, field)
    if field.type == "enum":
        return _codes(raw, field)
    if raw.dtype.kind == "U" and raw.size:
        typed(str(raw.flat[0]), field)  # raises
    if raw.dtype.kind not in _NUMBERS:
        remedy = "record its parts, as real numbers" if raw.dtype.kind == "c" else "give numbers"
        raise EncodeError(f"{field.path}: found {raw.dtype}, expected {field.type_name}; {remedy}")
    if field.is_float:
        return _floats(raw, field, dtype)
    if raw.dtype.kind == "f":
        raise EncodeError(
            f"{field.path}: found {raw.dtype}, expected integers ({field.type_name}); "
            "convert it, such as values.astype(int)"
        )
    if raw.size and raw.dtype.kind != "b":
        least, greatest = field.limits
        low, high = int(raw.min()), int(raw.max())
        if low < least or high > greatest:
            raise out_of_range(low if low < least else high, field)
    return raw.astype(dtype)


def _one_by_one(raw: Array, field: Field) -> Array:
    """Convert numbers of several kinds; a name is looked up once."""
    dtype = field.dtype.newbyteorder("=")
    values = [typed(number, field) for number in raw.flat]
    return np.array(values, dtype).reshape(raw.shape)


def _floats(raw: Array, field: Field, dtype: np.dtype[Any]) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        values = raw.astype(dtype)
    if not field.declared:
        _require_all_held(raw, values, field)
    return values


def _require_all_held(raw: Array, values: Array, field: Field) -> None:
    """Refuse numbers that an undeclared metric cannot hold."""
    if raw.dtype.itemsize < 8 or raw.dtype == values.dtype:
        return
    if raw.dtype.kind in "iu":
        doubtful = (raw > FLOAT64_INTEGER_MAX) | (raw < -FLOAT64_INTEGER_MAX)
    else:
        doubtful = np.isinf(values)
    for place in np.flatnonzero(doubtful).tolist():
        number = raw.flat[place]
        number = int(number) if raw.dtype.kind in "iu" else number
        require_held(number, float(values.flat[place]), field)


def _codes(raw: Array, field: Field) -> Array:
    """Return the codes of an enumeration's values, given as names or codes."""
    if raw.dtype.kind == "U":
        names, places = np.unique(raw, return_inverse=True)
        codes = np.array([code_of(str(name), field) for name in names], np.uint8)
        return codes[places.reshape(raw.shape)] if len(names) else np.zeros(raw.shape, np.uint8)
    if raw.dtype.kind not in "iu":
        raise EncodeError(f"{field.path}: found {raw.dtype}, expected names or codes")
    if raw.size and (raw.min() < 0 or raw.max() >= len(field.labels)):
        code_of(int(raw[(raw < 0) | (raw >= len(field.labels))][0]), field)  # raises
    return raw.astype(np.uint8)
