"""Columns whose values are of more than one type, such as a key of configurations that is a number
in one run and a name in the next. They are arrays of Python objects, compared one by one.

A number is never equal to a text, and whether it is less is unknown.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from cmeta.query.exact import COMPARISONS, Array

Mask = npt.NDArray[np.bool_]

_NUMBERS = (bool, int, float)


def column_of(values: Iterable[Any]) -> tuple[Array, Mask | None]:
    """Return Python objects as a column: of one dtype if one holds them all without loss.

    Parameters
    ----------
    values : iterable
        Numbers, texts, booleans; None is absent, and so is anything else, such as a list.

    Returns
    -------
    values : array, (n,)
        bool, int64, uint64, float64, str, or object if they are mixed.
    present : bool array, (n,), or None
        None if all are there.

    Examples
    --------
    >>> values, present = column_of([1, None, 3])
    >>> values.tolist(), present.tolist()
    ([1, 0, 3], [True, False, True])
    >>> column_of([0.1, "cosine"])[0].dtype
    dtype('O')
    """
    found = [value if isinstance(value, (*_NUMBERS, str)) else None for value in values]
    present = np.array([value is not None for value in found], np.bool_)
    there = [value for value in found if value is not None]
    kinds = {type(value) for value in there}
    if not there:
        array: Array = np.zeros(len(found))
    else:
        dtype = _dtype_of(there) if len(kinds) == 1 else None
        array = np.empty(len(found), object) if dtype is None else np.zeros(len(found), dtype)
        array[present] = there
    return array, None if present.all() else present


def compare_mixed(name: str, left: Array, right: Array) -> tuple[Array, Mask]:
    """Compare objects one by one; give also what is known."""
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
    """Return objects as float64, and which of them are numbers."""
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
    """Return the dtype of values of one type; None if there is none that holds them all."""
    if type(values[0]) is not int:
        return np.array(values).dtype
    for dtype in (np.dtype(np.int64), np.dtype(np.uint64)):
        limits = np.iinfo(dtype)
        if limits.min <= min(values) and max(values) <= limits.max:
            return dtype
    return None
