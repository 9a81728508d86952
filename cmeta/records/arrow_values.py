"""The numbers in Arrow arrays of any type: exact, or known not to be.

- `plain` takes the wrapping off: extensions, run ends, dictionaries, views.
- Integers, floats and booleans keep their type. Decimals are integers if all are whole, otherwise
  float64. Dates and times become seconds since 1970, times of day seconds since midnight, durations
  seconds: the float64 nearest to a whole number of their own unit, so that nothing wraps around.
- A float64 keeps a decimal or a time if its shortest decimal is that number, as for numbers in a
  text. Which ones it rounds is part of the result.

Importing this module needs pyarrow.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from cmeta.aliases import FLOAT64_INTEGER_MAX, I64_MAX, I64_MIN, U64_MAX, Array, Mask
from cmeta.extras import require

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as compute
    import pyarrow.types as kinds
else:
    pa = require("pyarrow", "arrow")
    compute = require("pyarrow.compute", "arrow")
    kinds = require("pyarrow.types", "arrow")

SINCE_1970 = "seconds since 1970"
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_SECONDS_A_DAY = 86_400
_BOOL8 = "arrow.bool8"  # an extension of int8: other than 0 is true


@dataclass(frozen=True)
class Numbers:
    """An Arrow array as numbers.

    Attributes
    ----------
    values : array, (n,)
        Booleans, integers or floats; where null: NaN, 0 or False.
    rounded : bool array, (n,)
        Which float64 is not quite the number in the array.
    meaning : str
        What the numbers are, if the array has something else: ``seconds since 1970``; or "".
    """

    values: Array
    rounded: Mask
    meaning: str = ""


def one_array(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Return a column of a table as a single `plain` array."""
    if not isinstance(column, pa.ChunkedArray):
        return plain(column)
    if column.num_chunks == 1:
        return plain(column.chunk(0))
    if _is_wrapped(column.type):  # not every version can join these
        chunks = [plain(chunk) for chunk in column.chunks]
        column = pa.chunked_array(chunks) if chunks else column
    return plain(column.combine_chunks())


def plain(array: pa.Array) -> pa.Array:
    """Return an array without its extension type, run ends and dictionary.

    A dictionary of texts stays one, as long as none of them is null.
    """
    kind = array.type
    if _is_extension(kind):
        storage = plain(array.storage)
        is_bool = kind.extension_name == _BOOL8
        return compute.not_equal(storage, pa.scalar(0, pa.int8())) if is_bool else storage
    if _is_run_ends(kind):
        return plain(compute.run_end_decode(array))
    if kinds.is_dictionary(kind) and not (is_text(kind) and not array.dictionary.null_count):
        return plain(array.dictionary_decode())
    if kinds.is_string_view(kind):
        return _strings(array)
    return array


def _strings(views: pa.Array) -> pa.Array:
    """Return views of strings as plain ones, in versions of pyarrow without that cast, too."""
    try:
        return views.cast(pa.large_string())
    except pa.ArrowNotImplementedError:
        return pa.array(views.to_pylist(), pa.large_string())


def _is_wrapped(kind: pa.DataType) -> bool:
    return _is_extension(kind) or _is_run_ends(kind)


def _is_extension(kind: pa.DataType) -> bool:
    return isinstance(kind, pa.BaseExtensionType)


def _is_run_ends(kind: pa.DataType) -> bool:
    return bool(kinds.is_run_end_encoded(kind))


def is_text(kind: pa.DataType) -> bool:
    """Return whether a type is that of strings, or of a dictionary of them."""
    kind = kind.value_type if kinds.is_dictionary(kind) else kind
    return bool(kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind))


def is_list(kind: pa.DataType) -> bool:
    """Return whether a type is that of lists whose length may vary, however they are laid out."""
    views = [getattr(kinds, name, None) for name in ("is_list_view", "is_large_list_view")]
    tests = (kinds.is_list, kinds.is_large_list, *filter(None, views))
    return any(test(kind) for test in tests)


def numbers_of(array: pa.Array) -> Numbers | None:
    """Return a `plain` array as numbers; None if its type is not one of numbers.

    Examples
    --------
    >>> import datetime
    >>> numbers_of(pa.array([datetime.date(1, 1, 1), None])).values.tolist()
    [-62135596800.0, 0.0]
    >>> numbers_of(pa.array([Decimal("0.10"), Decimal("2")])).values.tolist()
    [0.1, 2.0]
    >>> numbers_of(pa.array(["a"])) is None
    True
    """
    kind = array.type
    if kinds.is_boolean(kind) or kinds.is_integer(kind):
        return _exact(_integers(array))
    if kinds.is_floating(kind):
        array = array.cast(pa.float32()) if kinds.is_float16(kind) and array.null_count else array
        return _exact(array.to_numpy(zero_copy_only=False))  # null is NaN
    if kinds.is_decimal(kind):
        return _decimals(array.to_pylist())
    if kinds.is_date32(kind):
        days = _integers(array.cast(pa.int32())).astype(np.int64)
        return _seconds(days * _SECONDS_A_DAY, 1, SINCE_1970)
    if kinds.is_date64(kind):
        return _seconds(_ticks(array), _PER_SECOND["ms"], SINCE_1970)
    if kinds.is_timestamp(kind):
        return _seconds(_ticks(array), _PER_SECOND[kind.unit], SINCE_1970)
    if kinds.is_time(kind):
        return _seconds(_ticks(array), _PER_SECOND[kind.unit], "seconds since midnight")
    if kinds.is_duration(kind):
        return _seconds(_ticks(array), _PER_SECOND[kind.unit], "seconds")
    return None


def _exact(values: Array) -> Numbers:
    return Numbers(values, np.zeros(len(values), bool))


def _integers(array: pa.Array) -> Array:
    """Return integers or booleans; null as 0."""
    if array.null_count:
        array = array.fill_null(False if kinds.is_boolean(array.type) else 0)
    values: Array = array.to_numpy(zero_copy_only=False)
    return values


def _ticks(array: pa.Array) -> Array:
    """Return times in their own unit, int64."""
    if kinds.is_time32(array.type):
        array = array.cast(pa.int32())
    return _integers(array.cast(pa.int64()))


def _seconds(ticks: Array, per_second: int, meaning: str) -> Numbers:
    """Return ticks as seconds, each rounded once."""
    seconds = ticks / per_second
    far = (ticks > FLOAT64_INTEGER_MAX) | (ticks < -FLOAT64_INTEGER_MAX)  # no float64 themselves
    seconds[far] = [tick / per_second for tick in ticks[far].tolist()]
    rounded = np.spacing(np.abs(seconds)) >= _units(ticks, per_second)
    rows = np.flatnonzero(rounded)
    pairs = zip(seconds[rows].tolist(), ticks[rows].tolist(), strict=True)
    rounded[rows] = [not _is_kept(value, Fraction(tick, per_second)) for value, tick in pairs]
    return Numbers(seconds, rounded, meaning)


def _is_kept(number: float, stated: Decimal | Fraction) -> bool:
    """Return whether a float64 is a number, exactly or as its shortest decimal."""
    return number == stated or Fraction(repr(number)) == stated


def _units(ticks: Array, per_second: int) -> Array:
    """Return the largest of second, millisecond, ... that each number of ticks is a multiple of."""
    units = np.full(len(ticks), 1 / per_second)
    for in_ticks in (10**3, 10**6, 10**9):
        if in_ticks <= per_second:
            units[ticks % in_ticks == 0] = in_ticks / per_second
    return units


def _decimals(values: list[Decimal | None]) -> Numbers:
    stated = [value for value in values if value is not None]
    if all(value == value.to_integral_value() for value in stated):
        integers = [0 if value is None else int(value) for value in values]
        low, high = min(integers, default=0), max(integers, default=0)
        if low >= I64_MIN and high <= I64_MAX:
            return _exact(np.array(integers, np.int64))
        if low >= 0 and high <= U64_MAX:
            return _exact(np.array(integers, np.uint64))
    floats = [float("nan") if value is None else float(value) for value in values]
    pairs: list[tuple[float, Any]] = list(zip(floats, values, strict=True))
    rounded = [value is not None and not _is_kept(number, value) for number, value in pairs]
    return Numbers(np.array(floats, np.float64), np.array(rounded, bool))


def text_of(array: pa.Array, row: int) -> str:
    """Return one value in words, however far from the range of Python's own dates."""
    try:
        return str(array[row].cast(pa.string()))
    except pa.ArrowException:
        return f"{array[row].cast(pa.int64())} ({array.type})"
