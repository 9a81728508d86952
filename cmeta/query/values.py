"""Lossless comparison up to 64 bits, including mixed columns.

- Integers with integers: exact, whatever their signs; numpy guarantees this.
- Integers with floats: exact, as in Python; the integer is not rounded first.
- A constant that is the shortest decimal of a float32 means that float32 when it is compared with a
  column of float32: ``loss_value == 0.1`` finds the values shown as 0.1.
- A column of a configuration may mix numbers, texts and booleans: they are compared one by one.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from cmeta.aliases import FLOAT64_INTEGER_MAX, Array, Mask
from cmeta.query.arithmetic import as_number, packed
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
    left, right = as_number(left), as_number(right)
    if left.dtype.kind in _INTEGERS and right.dtype.kind in _INTEGERS:
        return np.asarray(ufunc(left, right))
    left, right = _as_float32(left, right), _as_float32(right, left)
    result = np.array(ufunc(left, right))
    if left.dtype.kind != right.dtype.kind:
        _correct(result, left, right, exact)
    return result


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
    """Return the numbers among objects, and where they are: objects again, or of one dtype."""
    objects = values.ravel().tolist()
    known = np.array([isinstance(v, _NUMBERS) for v in objects], np.bool_)
    given = [int(v) if isinstance(v, bool) else v for v in objects if isinstance(v, _NUMBERS)]
    filler = given[0] if given else 0.0  # of a type that occurs
    left = iter(given)
    numbers = packed([next(left) if k else filler for k in known.tolist()], values.shape)
    return numbers, known.reshape(values.shape)


def _dtype_of(values: list[Any]) -> np.dtype[Any] | None:
    """Return a dtype that holds values of one type; None if there is none."""
    if type(values[0]) is not int:
        return np.array(values).dtype
    for dtype in (np.dtype(np.int64), np.dtype(np.uint64)):
        limits = np.iinfo(dtype)
        if limits.min <= min(values) and max(values) <= limits.max:
            return dtype
    return None
