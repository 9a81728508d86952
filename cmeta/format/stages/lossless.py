"""Lossless quantising: decimals, else the bits of a float32, else those of a float64.

Each batch uses the first mode that restores every value bit for bit. Logged numbers are mostly
short decimals; computed ones are mostly float32 (SPEC, Quantise).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cmeta.aliases import I64, Array
from cmeta.errors import CorruptError
from cmeta.format.stages.bits import from_ordered, to_ordered
from cmeta.schema.language import QuantiseFacts

_PROBE = 16


def encode(values: Array, facts: QuantiseFacts) -> tuple[int, I64]:
    """Return the mode and the integers.

    Parameters
    ----------
    values : float32 or float64 array, (n,)
        Finite.

    Examples
    --------
    >>> from cmeta.schema import shipped_format
    >>> encode(np.array([0.5, 0.25]), shipped_format().codecs.quantise)
    (2, array([50, 25]))
    """
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32)
    is_float32 = bool((narrow == values).all())
    decimals = _decimals(values, is_float32, facts)
    if decimals is not None:
        return decimals
    if is_float32:
        return facts.mode_float32, to_ordered(narrow).astype(np.int64)
    return facts.mode_float64, to_ordered(values).astype(np.int64)


def decode(mode: int, ints: I64, dtype: np.dtype[Any], facts: QuantiseFacts) -> Array:
    """Undo `encode`.

    Raises
    ------
    CorruptError
        An unknown mode, or an integer that is not a finite value in this mode.
    """
    if mode <= facts.decimals_max:
        most = 1 << facts.decimals_bits
        if ints.size and (ints.max() > most or ints.min() < -most):
            raise CorruptError(f"a decimal beyond 2^{facts.decimals_bits}")
        return (ints / np.float64(10**mode)).astype(dtype)
    if mode == facts.mode_float32:
        return _from_bits(ints, np.dtype(np.float32)).astype(dtype)
    if mode == facts.mode_float64 and dtype.itemsize == 8:
        return _from_bits(ints, np.dtype(np.float64))
    raise CorruptError(f"mode {mode} of a lossless {dtype.name}")


def _decimals(values: Array, is_float32: bool, facts: QuantiseFacts) -> tuple[int, I64] | None:
    """Return the fewest digits that restore all values, if any, and the integers."""
    wide = values.astype(np.float64)
    if (np.signbit(wide) & (wide == 0)).any():
        return None
    largest = float(np.abs(wide).max(initial=0.0))
    for digits in range(facts.decimals_max + 1):
        power = float(10**digits)  # exact up to 10^22, unlike pow() on some machines
        if largest * power > float(1 << (facts.decimals_bits + 1)):
            return None  # beyond what a decimal may be, however it is rounded
        if digits and is_float32 and largest * power >= 1 << facts.float32_digits_bits:
            return None
        if not _holds(values[:_PROBE], wide[:_PROBE], power, facts):
            continue
        if _holds(values, wide, power, facts):
            return digits, np.rint(wide * power).astype(np.int64)
    return None


def _holds(values: Array, wide: Array, power: float, facts: QuantiseFacts) -> bool:
    """Return whether decimals of this power of ten restore every value."""
    scaled = np.rint(wide * power)
    if np.abs(scaled).max(initial=0.0) > 1 << facts.decimals_bits:
        return False
    return bool(((scaled / power).astype(values.dtype) == values).all())


def _from_bits(ints: I64, dtype: np.dtype[Any]) -> Array:
    largest = int(to_ordered(np.array([np.finfo(dtype).max], dtype))[0])
    if ints.size and (ints.max() > largest or ints.min() < -largest - 1):
        raise CorruptError(f"an integer that is not a finite {dtype.name}")
    return from_ordered(ints, dtype)
