"""Lossless comparison and arithmetic up to 64 bits, including mixed columns.

- Integers with integers: exact, whatever their signs; numpy guarantees this.
- Integers with floats: exact, as in Python; the integer is not rounded first.
- A constant that is the shortest decimal of a float32 means that float32 when it is compared with a
  column of float32: ``loss_value == 0.1`` finds the values shown as 0.1.
- Sums, differences, products and remainders of integers are exact as long as all of them fit in 64
  bits, and float64 otherwise. Quotients and powers are float64, so that a power takes no time.
- A column of a configuration may mix numbers, texts and booleans: they are compared one by one.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from cmeta.aliases import FLOAT64_INTEGER_MAX, I64_MAX, I64_MIN, U64_MAX, Array, Mask
from cmeta.records.chunk import Column

_INTEGERS = "iu"  # kinds of dtypes
_NUMBERS = (bool, int, float)

COMPARISONS: dict[str, tuple[np.ufunc, Callable[[Any, Any], bool]]] = {
    "<": (np.less, operator.lt),
    "<=": (np.less_equal, operator.le),
    ">": (np.greater, operator.gt),
    ">=": (np.greater_equal, operator.ge),
    "==": (np.equal, operator.eq),
    "!=": (np.not_equal, operator.ne),
}
_EXACT: dict[str, tuple[np.ufunc, Callable[[int, int], int]]] = {
    "+": (np.add, operator.add),
    "-": (np.subtract, operator.sub),
    "*": (np.multiply, operator.mul),
}
_INEXACT: dict[str, np.ufunc] = {
    "+": np.add, "-": np.subtract, "*": np.multiply,
    "/": np.true_divide, "%": np.remainder, "**": np.power,
}  # fmt: skip


def compare(name: str, left: Array, right: Array) -> Array:
    """Compare numbers; a constant is an array without dimensions.

    Examples
    --------
    >>> compare("<", np.array([2**63], "u8"), np.array(2.0**63 + 2048)).tolist()
    [True]
    >>> compare("==", np.array([0.1], "f4"), np.array(0.1)).tolist()
    [True]
    """
    ufunc, exact = COMPARISONS[name]
    left, right = _number(left), _number(right)
    if left.dtype.kind in _INTEGERS and right.dtype.kind in _INTEGERS:
        return np.asarray(ufunc(left, right))
    left, right = _as_float32(left, right), _as_float32(right, left)
    result = np.array(ufunc(left, right))
    if left.dtype.kind != right.dtype.kind:
        _correct(result, left, right, exact)
    return result


def compute(name: str, left: Array, right: Array) -> Array:
    """Compute with numbers.

    Examples
    --------
    >>> compute("-", np.array([1], "u8"), np.array(3)).tolist()
    [-2]
    >>> compute("+", np.array([2**64 - 1], "u8"), np.array(-1)).tolist()
    [18446744073709551614]
    """
    left, right = _number(left), _number(right)
    if left.dtype.kind in _INTEGERS and right.dtype.kind in _INTEGERS:
        if not left.size or not right.size:
            return np.zeros(np.broadcast_shapes(left.shape, right.shape), np.int64)
        integers = _exact(name, left, right)
        if integers is not None:
            return integers
    with np.errstate(all="ignore"):
        return np.asarray(_INEXACT[name](left.astype(np.float64), right.astype(np.float64)))


def absolute(values: Array) -> Array:
    """Return absolute values, also that of the lowest integer."""
    numbers = _number(values)
    if numbers.dtype.kind == "i":
        return np.asarray(np.abs(numbers.astype(np.int64))).astype(np.uint64)
    return np.asarray(np.abs(numbers))


def negative(values: Array) -> Array:
    """Return the negated values."""
    numbers = _number(values)
    if numbers.dtype.kind in _INTEGERS:
        return compute("-", np.array(0), numbers)
    return np.asarray(np.negative(numbers))


def _number(values: Array) -> Array:
    return values.astype(np.uint8) if values.dtype.kind == "b" else values


def _as_float32(constant: Array, column: Array) -> Array:
    """Return the float32 whose shortest decimal a constant is, for a column of float32."""
    if column.dtype != np.float32 or constant.ndim or constant.dtype.kind != "f":
        return constant
    with np.errstate(over="ignore", under="ignore"):
        near = constant.astype(np.float32)
    return near if float(str(near)) == float(constant) else constant


def _correct(result: Array, left: Array, right: Array, exact: Callable[[Any, Any], bool]) -> None:
    """Compare again, exactly, where a large integer was rounded to the float beside it.

    Rounding keeps the order, so that the result is right everywhere else.
    """
    left, right = np.broadcast_arrays(left, right)
    integers = left if left.dtype.kind in _INTEGERS else right
    if integers.dtype.itemsize < np.float64().itemsize:
        return
    doubtful = np.equal(left, right) & (np.abs(integers.astype(np.float64)) >= FLOAT64_INTEGER_MAX)
    rows = np.flatnonzero(doubtful)
    pairs = zip(left.ravel()[rows].tolist(), right.ravel()[rows].tolist(), strict=True)
    result.flat[rows] = [exact(a, b) for a, b in pairs]  # Python compares int with float exactly


def _exact(name: str, left: Array, right: Array) -> Array | None:
    """Return the integers, or None if they do not fit in 64 bits."""
    sides = (int(left.min()), int(left.max())), (int(right.min()), int(right.max()))
    if name == "%":
        kind = _holding(*sides[0], *sides[1])
        if kind is None or not np.all(right):
            return None
        return np.asarray(np.remainder(left.astype(kind), right.astype(kind)))
    if name not in _EXACT:
        return None
    ufunc, of_integers = _EXACT[name]
    kind = _holding(*(of_integers(a, b) for a in sides[0] for b in sides[1]))
    if kind is None:
        return None
    with np.errstate(over="ignore"):  # modulo 2^64, which is exact for results that fit
        result = ufunc(left.astype(np.uint64), right.astype(np.uint64))
    return np.asarray(result).astype(kind)


def _holding(*numbers: int) -> type[np.int64] | type[np.uint64] | None:
    if min(numbers) >= I64_MIN and max(numbers) <= I64_MAX:
        return np.int64
    return np.uint64 if min(numbers) >= 0 and max(numbers) <= U64_MAX else None


def column_of(values: Iterable[Any]) -> Column:
    """Return Python objects as a column, of one dtype if that holds them all without loss.

    Parameters
    ----------
    values : iterable
        Numbers, texts, booleans; anything else, such as None or a list, is absent.

    Returns
    -------
    Column
        bool, int64, uint64, float64, str, or object if they are mixed.

    Examples
    --------
    >>> values, present = column_of([1, None, 3])
    >>> values.tolist(), present.tolist()
    ([1, 0, 3], [True, False, True])
    >>> column_of([0.1, "cosine"])[0].dtype
    dtype('O')
    """
    scalars = [value if isinstance(value, (*_NUMBERS, str)) else None for value in values]
    present = np.array([value is not None for value in scalars], np.bool_)
    given = [value for value in scalars if value is not None]
    if not given:
        array: Array = np.zeros(len(scalars))
    else:
        is_mixed = len({type(value) for value in given}) > 1
        dtype = None if is_mixed else _dtype_of(given)
        array = np.empty(len(scalars), object) if dtype is None else np.zeros(len(scalars), dtype)
        array[present] = given
    return Column(array, None if present.all() else present)


def compare_mixed(name: str, left: Array, right: Array) -> tuple[Array, Mask]:
    """Compare objects one by one; return also where the result is known."""
    of_two = COMPARISONS[name][1]
    left, right = np.broadcast_arrays(left, right)
    result, known = np.zeros(left.shape, np.bool_), np.ones(left.shape, np.bool_)
    for i, (a, b) in enumerate(zip(left.ravel().tolist(), right.ravel().tolist(), strict=True)):
        if isinstance(a, str) == isinstance(b, str) and a is not None and b is not None:
            result.flat[i] = of_two(a, b)
        elif name in ("==", "!="):
            result.flat[i] = name == "!="
        else:
            known.flat[i] = False
    return result, known


def numbers_of(values: Array) -> tuple[Array, Mask]:
    """Return objects as float64, and where they are numbers."""
    objects = values.ravel().tolist()
    known = np.array([isinstance(v, _NUMBERS) for v in objects], np.bool_)
    numbers = np.array([_float(v) if isinstance(v, _NUMBERS) else 0.0 for v in objects])
    return numbers.reshape(values.shape), known.reshape(values.shape)


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _dtype_of(values: list[Any]) -> np.dtype[Any] | None:
    """Return a dtype that holds values of one type; None if there is none."""
    if type(values[0]) is not int:
        return np.array(values).dtype
    for dtype in (np.dtype(np.int64), np.dtype(np.uint64)):
        limits = np.iinfo(dtype)
        if limits.min <= min(values) and max(values) <= limits.max:
            return dtype
    return None
