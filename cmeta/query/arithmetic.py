"""Arithmetic on numbers, each record's result as if it were alone.

- A number is an integer or a float64. A sum, difference, product or remainder of integers is the
  exact integer if that fits in 64 bits, and the float64 nearest to it otherwise.
- A quotient is the float64 nearest to the exact one, for integers too; a power is a float64, so
  that it takes no time. Division by zero gives an infinity or NaN, a remainder by zero NaN.
- Everything else is that of float64.

Which of these a record gets depends on its own numbers alone: neither an absent value nor a large
one elsewhere changes it. Where integers and floats meet in one column, it holds objects of Python
(`packed`); such columns are rare, and are computed one by one.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cmeta.aliases import FLOAT64_INTEGER_MAX, I64_MAX, I64_MIN, U64_MAX, Array, Mask

Number = int | float

_INTEGERS = "iu"  # kinds of dtypes
_OBJECT = "O"
_MODULAR: dict[str, tuple[np.ufunc, Callable[[int, int], int]]] = {
    "+": (np.add, operator.add),
    "-": (np.subtract, operator.sub),
    "*": (np.multiply, operator.mul),
}
_OF_FLOATS: dict[str, np.ufunc] = {
    "+": np.add, "-": np.subtract, "*": np.multiply,
    "/": np.true_divide, "%": np.remainder, "**": np.power,
}  # fmt: skip


def compute(name: str, left: Array, right: Array, known: Mask | None = None) -> Array:
    """Compute with numbers.

    Parameters
    ----------
    left, right : array, (n,) or ()
        Booleans, integers, floats, or objects that are integers and floats.
    known : bool array, (n,) or (), optional
        Where both have a value; default: everywhere. Elsewhere the result has no meaning.

    Examples
    --------
    >>> compute("-", np.array([1], "u8"), np.array(3)).tolist()
    [-2]
    >>> compute("+", np.array([2**64 - 1], "u8"), np.array(-1)).tolist()
    [18446744073709551614]
    >>> compute("%", np.array([46, 46]), np.array([0, 23])).tolist()
    [nan, 0]
    """
    left, right = as_number(left), as_number(right)
    if _OBJECT in (left.dtype.kind, right.dtype.kind):
        return _one_by_one(name, left, right, known)
    if left.dtype.kind not in _INTEGERS or right.dtype.kind not in _INTEGERS or name == "**":
        return _of_floats(name, left, right)
    if known is not None:  # an absent integer may be anything
        left, right = np.where(known, left, 1), np.where(known, right, 1)
    if not left.size or not right.size:
        return np.zeros(np.broadcast_shapes(left.shape, right.shape), np.int64)
    result = _of_integers(name, left, right)
    return _one_by_one(name, left, right, None) if result is None else result


def absolute(values: Array) -> Array:
    """Return absolute values, also that of the lowest integer."""
    numbers = as_number(values)
    if numbers.dtype.kind == _OBJECT:
        return packed([abs(value) for value in numbers.ravel().tolist()], numbers.shape)
    if numbers.dtype.kind == "i":
        return np.asarray(np.abs(numbers.astype(np.int64))).astype(np.uint64)
    return np.asarray(np.abs(numbers))


def negative(values: Array, known: Mask | None = None) -> Array:
    """Return the negated values."""
    numbers = as_number(values)
    if numbers.dtype.kind == "f":
        return np.asarray(np.negative(numbers))
    if numbers.dtype.kind == _OBJECT:
        opposites = [_fitting(-v) if isinstance(v, int) else -v for v in numbers.ravel().tolist()]
        return packed(opposites, numbers.shape)
    return compute("-", np.array(0), numbers, known)


def as_number(values: Array) -> Array:
    """Return booleans as 0 and 1, and any numbers as they are."""
    return values.astype(np.uint8) if values.dtype.kind == "b" else values


def as_floats(values: Array) -> Array:
    """Return numbers as float64."""
    numbers = as_number(values)
    if numbers.dtype.kind != _OBJECT:
        return numbers.astype(np.float64)
    return np.array([_float(v) for v in numbers.ravel().tolist()]).reshape(numbers.shape)


def packed(numbers: Sequence[Number], shape: tuple[int, ...]) -> Array:
    """Return numbers as an array: int64, uint64, float64, or objects if these do not hold them.

    Examples
    --------
    >>> packed([1, 2**63], (2,)).dtype, packed([1, 0.5], (2,)).dtype
    (dtype('uint64'), dtype('O'))
    """
    kinds = {type(number) for number in numbers}
    dtype: Any = object
    if kinds == {float}:
        dtype = np.float64
    elif kinds == {int}:
        dtype = _holding(min(numbers), max(numbers)) or object
    array = np.empty(len(numbers), dtype)
    array[:] = numbers
    return array.reshape(shape)


def _of_floats(name: str, left: Array, right: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.asarray(_OF_FLOATS[name](left.astype(np.float64), right.astype(np.float64)))


def _of_integers(name: str, left: Array, right: Array) -> Array | None:
    """Return the result of the same type for all records; None if there may be no such type."""
    sides = (int(left.min()), int(left.max())), (int(right.min()), int(right.max()))
    if name == "/":
        is_exact = all(abs(end) <= FLOAT64_INTEGER_MAX for side in sides for end in side)
        return _of_floats(name, left, right) if is_exact else None
    if name == "%":
        kind = _holding(*sides[0], *sides[1])
        if kind is None or not np.all(right):
            return None
        return np.asarray(np.remainder(left.astype(kind), right.astype(kind)))
    ufunc, of_integers = _MODULAR[name]
    kind = _holding(*(of_integers(a, b) for a in sides[0] for b in sides[1]))
    if kind is None:
        return None
    with np.errstate(over="ignore"):  # modulo 2^64, which is exact for results that fit
        result = ufunc(left.astype(np.uint64), right.astype(np.uint64))
    return np.asarray(result).astype(kind)


def _one_by_one(name: str, left: Array, right: Array, known: Mask | None) -> Array:
    """Compute record by record: integers in Python, everything else in numpy."""
    left, right = np.broadcast_arrays(left, right)
    pairs = list(zip(left.ravel().tolist(), right.ravel().tolist(), strict=True))
    if known is not None:
        are_known = np.broadcast_to(known, left.shape).ravel().tolist()
        pairs = [pair if k else (1, 1) for pair, k in zip(pairs, are_known, strict=True)]
    results: list[Number] = [
        _of_two_integers(name, a, b) if isinstance(a, int) and isinstance(b, int) else math.nan
        for a, b in pairs
    ]
    rest = [i for i, (a, b) in enumerate(pairs) if not (isinstance(a, int) and isinstance(b, int))]
    if rest:
        floats = np.array([[_float(value) for value in pairs[i]] for i in rest])
        for i, result in zip(rest, _of_floats(name, *floats.T).tolist(), strict=True):
            results[i] = result
    return packed(results, left.shape)


def _of_two_integers(name: str, a: int, b: int) -> Number:
    if name == "**" or (name in "/%" and b == 0):
        return float(_of_floats(name, np.array(_float(a)), np.array(_float(b))))
    if name == "/":
        return _quotient(a, b)
    return _fitting(a % b if name == "%" else _MODULAR[name][1](a, b))


def _quotient(a: int, b: int) -> float:
    try:
        return a / b  # rounded once
    except OverflowError:
        return math.inf if (a > 0) == (b > 0) else -math.inf


def _fitting(number: int) -> Number:
    """Return an integer that fits in 64 bits, or the float nearest to one that does not."""
    return number if I64_MIN <= number <= U64_MAX else _float(number)


def _float(value: Number) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _holding(*numbers: Number) -> type[np.int64] | type[np.uint64] | None:
    if min(numbers) >= I64_MIN and max(numbers) <= I64_MAX:
        return np.int64
    return np.uint64 if min(numbers) >= 0 and max(numbers) <= U64_MAX else None
