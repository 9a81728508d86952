"""Raw columns as columns of a field: every value exactly, or a `Misfit` that names the record.

The strings that cmeta's own text has for what JSON cannot say (``"NaN"``, ``"Infinity"``,
``"-Infinity"``, hexadecimal integers) are numbers here, unless the field is an enumeration.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from cmeta.chunk import Array, Mask
from cmeta.importer.tables.raw import FLOAT_SAFE, RawColumn, as_raw
from cmeta.schema import Field

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
