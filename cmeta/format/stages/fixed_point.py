"""Fixed-point quantising, with float steps for large values (SPEC, Quantise).

Below the threshold T a quantum is ``1 / quanta_per_unit``; from T on, where floats themselves are
coarser than that, every representable float has its own integer. The map is monotone, idempotent
at all magnitudes, and no finite value is out of range.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from cmeta.aliases import I64, Array
from cmeta.errors import CorruptError
from cmeta.format.stages.bits import magnitude_bits


@cache
def threshold(quanta_per_unit: int, dtype: np.dtype[Any], product_bits: int) -> float:
    """Return T: the smallest power of two, at least 1, above which floats are stored exactly.

    ``ulp(T) * quanta_per_unit >= 1`` or ``2 T * quanta_per_unit > 2 ** product_bits``.

    Examples
    --------
    >>> threshold(1000000, np.dtype("f4"), 50)
    16.0
    """
    ulp_of_one = float(np.finfo(dtype).eps)
    t = 1.0
    while t * ulp_of_one * quanta_per_unit < 1 and 2 * t * quanta_per_unit <= 2**product_bits:
        t *= 2
    return t


def encode(values: Array, quanta_per_unit: int, product_bits: int) -> I64:
    """Return quanta.

    Parameters
    ----------
    values : float32 or float64 array, (n,)
        Finite.

    Examples
    --------
    >>> encode(np.array([0.25, -0.0, 16.000002], np.float32), 1000000, 50).tolist()
    [250000, 0, 16000001]
    """
    t = threshold(quanta_per_unit, values.dtype, product_bits)
    magnitude = np.abs(values).astype(np.float64)
    near = magnitude < t
    if near.all():
        # rint is half to even; float64 holds the products of the near ones.
        all_near: I64 = np.rint(values.astype(np.float64) * quanta_per_unit).astype(np.int64)
        return all_near
    quanta = np.rint(np.where(near, magnitude, 0) * quanta_per_unit).astype(np.int64)
    far = int(t) * quanta_per_unit - _bits_of(t, values.dtype)
    quanta[~near] = magnitude_bits(values[~near]).astype(np.int64) + np.int64(far)
    signed: I64 = np.where(values < 0, -quanta, quanta)
    return signed


def decode(quanta: I64, dtype: np.dtype[Any], quanta_per_unit: int, product_bits: int) -> Array:
    """Undo `encode`.

    Raises
    ------
    CorruptError
        Quanta beyond those of the largest finite float.
    """
    t = threshold(quanta_per_unit, dtype, product_bits)
    first_far = int(t) * quanta_per_unit
    if quanta.size == 0 or (quanta.max() < first_far and quanta.min() > -first_far):
        return (quanta / np.float64(quanta_per_unit)).astype(dtype)
    largest = first_far + _bits_of(float(np.finfo(dtype).max), dtype) - _bits_of(t, dtype)
    if quanta.max() > largest or quanta.min() < -largest:
        raise CorruptError(f"quanta beyond {largest}, the largest finite {dtype.name}")
    magnitude = np.abs(quanta)
    near = magnitude < first_far
    values = (np.where(near, magnitude, 0) / np.float64(quanta_per_unit)).astype(dtype)
    bits = magnitude[~near] - np.int64(first_far - _bits_of(t, dtype))
    values[~near] = bits.astype(f"i{dtype.itemsize}").view(dtype)
    return np.where(quanta < 0, -values, values)


def _bits_of(value: float, dtype: np.dtype[Any]) -> int:
    return int(magnitude_bits(np.array([value], dtype))[0])
