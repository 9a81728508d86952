"""Tables as a source has them, before their fields are known; and columns as values of a field.

Rows arrive in blocks and become arrays at once, so that a source of many records takes the memory
of arrays and not that of Python objects; an absent value takes none. No integer is rounded to a
float here: blocks of different kinds become a column of objects, unless float64 holds all of their
values.

`values_of` gives every value of a column exactly as a field has it, or raises a `Mismatch` that
names the record. The strings that cmeta's own text has for values beyond JSON (``"NaN"``,
``"Infinity"``, ``"-Infinity"``, hexadecimal integers) are numbers there, unless the field is an
enumeration.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cmeta.aliases import FLOAT64_INTEGER_MAX, Array, Mask
from cmeta.errors import counted
from cmeta.records.chunk import Column
from cmeta.schema.load import shipped_format
from cmeta.schema.types import Field
from cmeta.tools.imports.cells import Cells
from cmeta.tools.imports.formats import NON_FINITE, listed

ROWS_AT_ONCE = 4096
# More than the columns of a batch, as another batch may have others.
NAMES_MAX = 2 * shipped_format().format.limits.columns_max
_I64, _U64 = np.iinfo(np.int64), np.iinfo(np.uint64)
_HEX = re.compile(r"-?0x[0-9A-Fa-f]{1,16}")
_INTEGER = re.compile(r"[+-]?\d{1,40}")
_FLOAT = re.compile(r"[+-]?(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][+-]?\d++)?")
_WORDS: dict[str, Any] = {"true": True, "false": False, "nan": float("nan")} | {
    f"{sign}{word}": float(f"{sign}inf") for sign in ("", "+", "-") for word in ("inf", "infinity")
}
_ABSENT = {"", "na", "n/a", "#n/a", "<na>", "null", "none", "-", "--"}


@dataclass
class SourceTable:
    """All columns of a source.

    Attributes
    ----------
    name : str
        The source, for errors.
    num_records : int
    columns : mapping of str to Cells
        Booleans, integers, floats, or objects: strings, lists, mappings, large integers.
    where : callable
        Takes the index of a record and returns its place in the source, such as ``line 7``.
    is_text : bool
        Floats were read from decimals.
    lost, damage, notes : list of str
        As in `Imported`.
    config : mapping
        The configuration of all records; empty: the source has none.
    """

    name: str
    num_records: int
    columns: Mapping[str, Cells]
    where: Callable[[int], str]
    is_text: bool = False
    lost: list[str] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    config: Mapping[str, Any] = field(default_factory=dict)


class TableBuilder:
    """Collects blocks of rows.

    Attributes
    ----------
    num_records : int
        In the blocks that are complete.
    """

    def __init__(self) -> None:
        self.num_records = 0
        self._rows: list[Mapping[str, Any]] = []
        self._parts: dict[str, list[Cells]] = {}
        self._beyond: dict[str, int] = {}

    def add_row(self, row: Mapping[str, Any]) -> None:
        """Take a row; None is absent."""
        self._rows.append(row)
        if len(self._rows) == ROWS_AT_ONCE:
            self._flush()

    def add_block(self, columns: Mapping[str, Sequence[Any]], num_records: int) -> None:
        """Take a block of rows as columns; None is absent."""
        for name, values in columns.items():
            column = column_of(values)
            present = column.mask()
            self._add(name, np.flatnonzero(present), column.values[present])
        self.num_records += num_records

    def finish(self) -> dict[str, Cells]:
        """Return the columns, in the order in which their names first occurred."""
        self._flush()
        return {name: _joined(self._parts.pop(name), self.num_records) for name in [*self._parts]}

    def lost(self) -> list[str]:
        """Return the sentence about the names that are too many."""
        return [names_beyond(self._beyond)] if self._beyond else []

    def _flush(self) -> None:
        rows, self._rows = self._rows, []
        names = rows[0].keys() if rows else {}
        if all(row.keys() == names for row in rows):
            self.add_block({name: [row[name] for row in rows] for name in names}, len(rows))
            return
        places: dict[str, list[int]] = {}
        values: dict[str, list[Any]] = {}
        for place, row in enumerate(rows):
            for name, value in row.items():
                if name not in places:
                    places[name], values[name] = [], []
                if value is not None:
                    places[name].append(place)
                    values[name].append(value)
        for name, numbers in places.items():
            self._add(name, np.array(numbers, np.int64), column_of(values[name]).values)
        self.num_records += len(rows)

    def _add(self, name: str, places: Array, values: Array) -> None:
        if name not in self._parts and len(self._parts) >= NAMES_MAX:
            self._beyond[name] = self._beyond.get(name, 0) + len(values)
            return
        parts = self._parts.setdefault(name, [])
        if len(values):
            parts.append(Cells(places + self.num_records, values))


def names_beyond(counts: Mapping[str, int]) -> str:
    """Return the sentence about the names that come after the first `NAMES_MAX`."""
    return (
        f"{counted(sum(counts.values()), 'value')} of {counted(len(counts), 'name')} beyond the "
        f"first {NAMES_MAX:,}, as many as an import takes: {listed(repr(n)[:60] for n in counts)}"
    )


def column_of(values: Sequence[Any]) -> Column:
    """Return Python values as an array of the simplest type that holds them exactly.

    Examples
    --------
    >>> column_of([1, None, 0.5]).values.tolist(), column_of([2**60, 0.5]).values.dtype
    ([1.0, 0.0, 0.5], dtype('O'))
    """
    types = set(map(type, values))
    present = np.ones(len(values), bool)
    if type(None) in types:
        present = np.array([value is not None for value in values], bool)
        types.discard(type(None))
    dtype = _dtype_of(types, values)
    if dtype is None:
        return Column(np.fromiter(values, object, len(values)), present)
    if not present.all():
        values = [0 if value is None else value for value in values]
    return Column(np.array(values, dtype), present)


def _dtype_of(types: set[type], values: Sequence[Any]) -> Any:
    """Return the dtype that holds all values exactly; None: only objects do."""
    if types == {bool}:
        return np.bool_
    if not types or types == {float}:
        return np.float64
    if not types <= {int, float}:
        return None
    integers = [value for value in values if type(value) is int]
    low, high = min(integers), max(integers)
    if types == {int, float}:
        return np.float64 if low >= -FLOAT64_INTEGER_MAX and high <= FLOAT64_INTEGER_MAX else None
    if _I64.min <= low and high <= _I64.max:
        return np.int64
    return np.uint64 if low >= 0 and high <= _U64.max else None


def number_of_text(text: str) -> Any:
    """Return the number or truth value that a text is; None for a word that says there is none.

    ``nan`` is a number: a loss that has become NaN is a fact about the run. Any other text stays.

    Examples
    --------
    >>> [number_of_text(text) for text in ("", " 3", "1e-3", "-inf", "True", "N/A", "warm-up")]
    [None, 3, 0.001, -inf, True, None, 'warm-up']
    """
    word = text.strip()
    if _INTEGER.fullmatch(word):
        return int(word)
    if _FLOAT.fullmatch(word):
        number = float(word)
        return text if math.isinf(number) else number  # 1e999 is no infinity
    word = word.lower()
    return None if word in _ABSENT else _WORDS.get(word, text)


def is_number(text: str) -> bool:
    """Return whether a text is a number; truth values are none."""
    return type(number_of_text(text)) in (int, float)


def is_absent(text: str) -> bool:
    """Return whether a text says that there is no value."""
    return text.strip().lower() in _ABSENT


def overlaid(columns: Sequence[Cells]) -> Cells:
    """Return one column of several, each of which has values in other records.

    Examples
    --------
    >>> late, early = Cells(np.array([1]), np.array([0.5])), Cells(np.array([0]), np.array([1]))
    >>> overlaid([late, early]).values
    array([1. , 0.5])
    """
    if len(columns) == 1:
        return columns[0]
    rows = np.concatenate([cells.places() for cells in columns])
    order = np.argsort(rows, kind="stable")
    return Cells(rows[order], _concatenated(columns)[order])


def _joined(parts: list[Cells], num_records: int) -> Cells:
    """Return the parts of a column, each of later records."""
    if not parts:
        return Cells(np.zeros(0, np.int64), np.zeros(0))
    rows = np.concatenate([cells.places() for cells in parts])
    return Cells(None if len(rows) == num_records else rows, _concatenated(parts))


def _concatenated(parts: Sequence[Cells]) -> Array:
    dtype = _common_dtype([cells.values for cells in parts])
    if dtype.kind == "O":
        return np.concatenate([_objects(cells.values) for cells in parts])
    return np.concatenate([cells.values for cells in parts], dtype=dtype, casting="unsafe")


def _objects(values: Array) -> Array:
    """Return Python's own objects, not numpy's scalars."""
    return values if values.dtype == object else np.fromiter(values.tolist(), object, len(values))


def _common_dtype(parts: Sequence[Array]) -> Any:
    dtypes = {values.dtype for values in parts}
    if len(dtypes) < 2:
        return next(iter(dtypes), np.dtype(np.float64))
    is_numeric = all(dtype.kind in "iuf" for dtype in dtypes)
    if not is_numeric or not all(map(is_float_safe, parts)):
        return np.dtype(object)
    return np.dtype(np.float64)


def is_float_safe(values: Array) -> bool:
    """Return whether float64 holds all numbers of an array."""
    if values.dtype.kind == "f" or not values.size:
        return True
    return int(values.min()) >= -FLOAT64_INTEGER_MAX and int(values.max()) <= FLOAT64_INTEGER_MAX


# ------------------------------------------------------------------------- values of a field


class Mismatch(Exception):  # noqa: N818  (always caught by an importer)
    """A value that a field cannot hold exactly.

    Attributes
    ----------
    row : int
        Index of the record in the source.
    value : object
    """

    def __init__(self, row: int, value: Any) -> None:
        super().__init__(row, value)
        self.row, self.value = row, value


def values_of(column: Column, field: Field) -> Array:
    """Return the values of a column as those of a field; floats as float64; 0 where absent.

    Parameters
    ----------
    column : Column
    field : Field
        A field of configurations takes their numbers.

    Returns
    -------
    array, (n_records,) or (n_records, num_components)

    Raises
    ------
    Mismatch
    """
    if field.num_components:
        return _vectors(column, field)
    if column.values.ndim != 1:
        raise _mismatch(column, column.mask())
    if field.labels:
        return _codes(column, field)
    column = parsed_numbers(column)
    if field.is_float:
        return _floats(column)
    return _integers(column, *field.limits).astype(field.dtype.newbyteorder("="))


def is_of_type(column: Column, field: Field) -> bool:
    """Return whether a field can hold every value of a column."""
    try:
        values_of(column, field)
    except Mismatch:
        return False
    return True


def parsed_numbers(column: Column) -> Column:
    """Return a column with the strings that mean numbers replaced.

    Examples
    --------
    >>> parsed_numbers(column_of(["NaN", 0.5])).values.tolist()
    [nan, 0.5]
    >>> parsed_numbers(column_of(["0x10"])).values.tolist()
    [16]
    """
    if column.values.dtype != object:
        return column
    parsed = [
        (_number(value) if isinstance(value, str) else value) if is_present else None
        for value, is_present in zip(column.values, column.mask().tolist(), strict=True)
    ]
    return column_of(parsed)


def _number(text: str) -> Any:
    if text in NON_FINITE:
        return NON_FINITE[text]
    return int(text, 16) if _HEX.fullmatch(text) else text


def _mismatch(column: Column, bad: Mask) -> Mismatch:
    """Return a mismatch of the first bad record."""
    row = int(np.argmax(bad))
    value = column.values[row]
    return Mismatch(row, value.tolist() if isinstance(value, np.ndarray | np.generic) else value)


def _codes(column: Column, field: Field) -> Array:
    code_of = {label: code for code, label in enumerate(field.labels)}
    codes = np.zeros(len(column.values), np.uint8)
    for row in np.flatnonzero(column.mask()).tolist():
        value = column.values[row]
        code = code_of.get(value) if isinstance(value, str) else None
        if code is None:
            raise _mismatch(column, np.arange(len(codes)) == row)
        codes[row] = code
    return codes


def _floats(column: Column) -> Array:
    values = column.values
    if values.dtype.kind == "f":
        return values.astype(np.float64)
    if values.dtype.kind == "b":
        raise _mismatch(column, column.mask())
    if values.dtype.kind not in "iu":
        return _each(column, _float)
    floats = values.astype(np.float64)
    if not is_float_safe(values):
        is_exact = (floats.astype(object) == values.astype(object)).astype(bool)
        if not is_exact.all():
            raise _mismatch(column, ~is_exact & column.mask())
    return floats


def _float(value: Any) -> float:
    if type(value) not in (int, float) or (type(value) is int and int(float(value)) != value):
        raise ValueError
    return float(value)


def _integers(column: Column, low: int, high: int) -> Array:
    """Return integers within bounds; a float counts if it is whole."""
    values, present = column.values, column.mask()
    if values.dtype.kind == "b":
        bad = present & (high != 1)
        values = values.astype(np.int64)
    elif values.dtype.kind == "f":
        is_whole = np.isfinite(values) & (np.abs(values) <= FLOAT64_INTEGER_MAX)
        is_whole[is_whole] &= values[is_whole] == np.rint(values[is_whole])
        bad = present & ~(is_whole & (values >= low) & (values <= high))
        values = np.where(present & ~bad, values, 0).astype(np.int64)
    elif values.dtype.kind in "iu":
        bad = present & ((values < low) | (values > high))
    else:
        return _each(column, lambda value: _integer(value, low, high))
    if bad.any():
        raise _mismatch(column, bad)
    return np.where(present, values, 0)


def _integer(value: Any, low: int, high: int) -> int:
    if type(value) is float and value.is_integer() and abs(value) <= FLOAT64_INTEGER_MAX:
        value = int(value)
    if type(value) is not int or not low <= value <= high:
        raise ValueError
    return value


def _each(column: Column, convert: Callable[[Any], Any]) -> Array:
    """Convert objects one by one."""
    converted: list[Any] = [0] * len(column.values)
    for row in np.flatnonzero(column.mask()).tolist():
        try:
            converted[row] = convert(column.values[row])
        except (ValueError, OverflowError):
            raise _mismatch(column, np.arange(len(converted)) == row) from None
    return column_of(converted).values


def _vectors(column: Column, field: Field) -> Array:
    """Return vectors, each component converted as a column of its own."""
    width, num_records = field.num_components, len(column.values)
    if column.values.ndim == 2:
        if column.values.shape[1] != width:
            raise _mismatch(column, column.mask())
        parts = [Column(part, column.mask()) for part in column.values.T]
    else:
        for row in np.flatnonzero(column.mask()).tolist():
            value = column.values[row]
            if not isinstance(value, list) or len(value) != width or None in value:
                raise Mismatch(row, value)
        cells = zip(column.values, column.mask().tolist(), strict=True)
        rows = [value if is_present else [0] * width for value, is_present in cells]
        parts = [
            Column(column_of([row[i] for row in rows]).values, column.mask()) for i in range(width)
        ]
    scalar = Field(field.name, field.type, labels=field.labels)
    stacked: Array = np.stack([values_of(part, scalar) for part in parts], axis=1)
    return stacked.reshape(num_records, width)
