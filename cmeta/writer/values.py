"""What a user gives, as arrays of a field's type: conversion, and what it says if that fails.

Accepted: Python and numpy scalars, arrays, masked arrays, sequences with None for absent values,
and anything with `.item()` or `__float__` (a torch tensor on any device, bfloat16, with gradient).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np

from cmeta.chunk import Array, Column, Mask
from cmeta.errors import EncodeError
from cmeta.schema import Field

_TOLERATED = 1e-3  # relative; a larger loss is warned of


def as_array(value: Any, field: Field, given: Any = None) -> Column:
    """Return a column as an array of the field's type, and which records have it.

    Parameters
    ----------
    value : array, masked array, tensor or sequence
        ``(n_records,)``, or ``(n_records, num_components)`` for a vector.
    field : Field
        What it is a column of.
    given : bool array, (n_records,), optional
        Which records have it, besides what `value` itself says.

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
    imprecise = _imprecise(raw, values, field) if field.is_float and field.declared else None
    return Column(values, present, imprecise)


def _mask(given: Any, num_records: int, field: Field) -> Mask:
    mask: Mask = np.asarray(given)
    if mask.dtype != bool or mask.shape != (num_records,):
        found, expected = f"{mask.dtype} {mask.shape}", f"bool ({num_records},)"
        raise EncodeError(f"present[{field.path!r}]: found {found}, expected {expected}")
    return mask


def require_one_element(value: Any, path: str) -> None:
    """Refuse an array or tensor of several elements, without looking at them.

    Raises
    ------
    EncodeError
    """
    shape = getattr(value, "shape", ())
    size = getattr(value, "size", 1)
    num_elements = size if isinstance(size, int) else int(np.prod(shape))
    if num_elements != 1:
        raise EncodeError(f"{path}: found shape {tuple(shape)}, expected a value of one element")


def scalar(value: Any, path: str) -> Any:
    """Return a value of one element as a Python scalar (or string).

    Raises
    ------
    EncodeError
        It has more elements than one, or is no number; names field and shape.

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
            found = method()
            if isinstance(found, bool | int | float | str):
                return found
    raise EncodeError(f"{path}: found a {type(value).__name__}, expected a number")


def _raw_array(value: Any, field: Field) -> tuple[Array, Mask | None]:
    """Return whatever numpy makes of `value`, and which rows are present."""
    if isinstance(value, np.ma.MaskedArray):
        return _unmask(value, field)
    value = from_tensor(value)
    if isinstance(value, np.ndarray) and (value.dtype != object or value.ndim == 0):
        return value, None
    if isinstance(value, str | bytes | Mapping | Set) or not hasattr(value, "__len__"):
        found = type(value).__name__
        raise EncodeError(f"{field.path}: found a {found}, expected an array or a sequence")
    return _from_sequence(value, field)


def _unmask(value: Any, field: Field) -> tuple[Array, Mask]:
    present: Array = ~np.ma.getmaskarray(value)
    if present.ndim == 2:
        if (present.any(axis=1) != present.all(axis=1)).any():
            raise EncodeError(f"{field.path}: a vector is absent as a whole or not at all")
        present = np.all(present, axis=1)
    return np.asarray(value.data), present


def from_tensor(value: Any) -> Any:
    """Bring a tensor of another library to numpy, without gradient, from any device."""
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


def _integer_dtype(plain: list[Any], field: Field) -> Any:
    flat = [item for row in plain for item in (row if field.num_components else [row])]
    low, high = min(flat), max(flat)
    if low < -(2**63) or high > 2**64 - 1 or (low < 0 and high > 2**63 - 1):
        found = f"{low} and {high}" if low < 0 < 2**63 <= high else low if low < 0 else high
        raise EncodeError(f"{field.path}: found {found}, expected {field.type_name}")
    return np.uint64 if high > 2**63 - 1 else None


def _require_labels(plain: list[Any], field: Field) -> None:
    """Refuse names where no enumeration gives them a meaning."""
    if not field.labels:
        rows = (row if field.num_components else [row] for row in plain)
        found = next(item for row in rows for item in row if isinstance(item, str))
        raise EncodeError(f"{field.path}: found {found!r}, expected {field.type_name}")


def _require_float64(plain: list[Any], field: Field) -> None:
    """Refuse an integer that an undeclared metric, a float64, cannot hold."""
    for item in plain:
        if isinstance(item, int) and abs(item) > 2**53 and not _is_float64(item):
            raise EncodeError(
                f"{field.path}: found {item}, an integer beyond 2^53 that float64 cannot hold; "
                "declare the metric with an integer type"
            )


def _is_float64(value: int) -> bool:
    try:
        return int(float(value)) == value
    except OverflowError:
        return False


def _item(item: Any, field: Field) -> Any:
    if not field.num_components:
        return scalar(item, field.path)
    rows = from_tensor(item)
    if isinstance(rows, str | bytes | Mapping | Set) or not hasattr(rows, "__len__"):
        found = type(rows).__name__
        raise EncodeError(f"{field.path}: found a {found}, expected ({field.num_components},)")
    shape = rows.shape if isinstance(rows, np.ndarray) else (len(rows),)
    if shape != (field.num_components,):
        raise EncodeError(f"{field.path}: found shape {shape}, expected ({field.num_components},)")
    return [scalar(component, field.path) for component in rows]


def _filler(raw: Array, field: Field) -> Any:
    return field.labels[0] if raw.dtype.kind == "U" and field.labels else raw.dtype.type(0)


def _typed(raw: Array, field: Field) -> Array:
    """Convert to the field's dtype, refusing what does not fit."""
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
    limits: Any = np.iinfo(dtype.name)
    if raw.size and raw.dtype.kind != "b":
        low, high = int(raw.min()), int(raw.max())
        if low < limits.min or high > limits.max:
            found = low if low < limits.min else high
            expected = f"{field.type_name}: {limits.min} to {limits.max}"
            raise EncodeError(f"{field.path}: found {found}, expected {expected}")
    return raw.astype(dtype)


def _floats(raw: Array, field: Field, dtype: np.dtype[Any]) -> Array:
    if not field.declared and raw.dtype.kind in "iu":
        far = (raw > 2**53) | (raw < -(2**53)) if raw.dtype.itemsize == 8 else raw[:0] > 0
        _require_float64(raw[far].tolist() if far.any() else [], field)
    with np.errstate(over="ignore", invalid="ignore"):
        return raw.astype(dtype)


def _imprecise(raw: Array, values: Array, field: Field) -> tuple[float, float] | None:
    """Find a value of which fixed point keeps less than 99.9%."""
    given = raw.astype(np.float64, copy=False)
    magnitude = np.abs(given)
    # A rounding error is at most half a quantum, so only values below 500 quanta can lose so much;
    # and what the type itself cannot hold.
    quanta = field.quanta_per_unit
    smallest = 1 / quanta if quanta else float(np.finfo(values.dtype).tiny)
    small = (magnitude > 0) & (magnitude * _TOLERATED < smallest)
    suspect = given[small | (np.isfinite(given) & ~np.isfinite(values))]
    if suspect.size == 0:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = suspect.astype(values.dtype).astype(np.float64)
    stored = rounded
    if quanta:
        with np.errstate(over="ignore"):
            stored = np.rint(rounded * quanta) / quanta
    lost = np.abs(stored - suspect) > _TOLERATED * np.abs(suspect)
    if not lost.any():
        return None
    worst = int(np.argmax(lost))
    return float(suspect[worst]), float(stored[worst])


def _codes(raw: Array, field: Field) -> Array:
    """Return the codes of an enumeration's values, given as names or codes."""
    if raw.dtype.kind == "U":
        names, places = np.unique(raw, return_inverse=True)
        codes = np.array([_code(str(name), field) for name in names], np.uint8)
        return codes[places.reshape(raw.shape)] if len(names) else np.zeros(raw.shape, np.uint8)
    if raw.dtype.kind not in "iu":
        raise EncodeError(f"{field.path}: found {raw.dtype}, expected names or codes")
    if raw.size and (raw.min() < 0 or raw.max() >= len(field.labels)):
        found = raw[(raw < 0) | (raw >= len(field.labels))][0]
        raise EncodeError(
            f"{field.path}: found code {found}, expected 0 to {len(field.labels) - 1}"
        )
    return raw.astype(np.uint8)


def _code(name: str, field: Field) -> int:
    try:
        return field.labels.index(name)
    except ValueError:
        known = ", ".join(field.labels)
        hint = '; append it with schema.with_phases("...")' if field.enumeration == "phase" else ""
        raise EncodeError(f"{field.path}: found {name!r}, expected one of: {known}{hint}") from None
