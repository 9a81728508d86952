"""The bits of floats as integers in monotone order: a smaller float has a smaller integer."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[Any]
Ints = npt.NDArray[Any]


def integer_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the signed integer type of a float type's size."""
    return np.dtype(f"i{dtype.itemsize}")


def magnitude_bits(values: Floats) -> Ints:
    """Return the bits of ``abs(values)``, signed integers of the same size."""
    return np.abs(values).view(integer_dtype(values.dtype))


def to_ordered(values: Floats) -> Ints:
    """Return integers in the order of the floats; -0.0 stands just below 0.0.

    Examples
    --------
    >>> to_ordered(np.array([-0.0, 0.0, 1e-45], np.float32)).tolist()
    [-1, 0, 1]
    """
    dtype = integer_dtype(values.dtype)
    bits = np.ascontiguousarray(values).view(dtype)
    ordered: Ints = bits ^ ((bits >> (dtype.itemsize * 8 - 1)) & np.iinfo(dtype).max)
    return ordered


def from_ordered(ordered: Ints, dtype: np.dtype[Any]) -> Floats:
    """Undo `to_ordered`: the map on bits is its own inverse."""
    ints = ordered.astype(integer_dtype(dtype))
    bits: Ints = ints ^ ((ints >> (dtype.itemsize * 8 - 1)) & np.iinfo(ints.dtype).max)
    return bits.view(dtype)
