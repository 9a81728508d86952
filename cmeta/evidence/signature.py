"""`signature`: the mean of a tensor, the same on every machine and in every order of summation.

Floats do not add associatively, so a mean of floats depends on the order, and with it on threads
and devices. Quanta do: every element is rounded to a quantum first, and integers are summed.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from cmeta.errors import EncodeError
from cmeta.schema import shipped_format
from cmeta.writer.values import from_tensor

_NUM_COMPONENTS = 3
_HALVES = 32  # bits: sums of so many bits cannot overflow 64 in any array that fits into memory


def signature(tensor: Any) -> tuple[float, ...]:
    """Return the mean over all axes but the last, in exact integer arithmetic of quanta.

    Parameters
    ----------
    tensor : array or tensor, (..., 3)
        Of any real type, on any device. Each element is rounded to a quantum (a millionth), half to
        even.

    Returns
    -------
    tuple of float, (3,)
        Means, rounded to a quantum, half to even. A component with NaN in it is NaN, as is one with
        infinities of both signs; one with infinities of one sign is that infinity.

    Raises
    ------
    EncodeError
        The last axis is not of size 3, or there is no element.

    Examples
    --------
    >>> signature([[0.1, 0.2, 0.3], [0.3, 0.2, 0.1]])
    (0.2, 0.2, 0.2)
    """
    values = np.asarray(from_tensor(tensor))
    if values.dtype.kind not in "biuf":
        raise EncodeError(f"tensor: found {values.dtype}, expected numbers")
    if values.ndim == 0 or values.shape[-1] != _NUM_COMPONENTS:
        raise EncodeError(
            f"tensor: found shape {values.shape}, expected a last axis of size {_NUM_COMPONENTS}"
        )
    if values.size == 0:
        raise EncodeError(f"tensor: found shape {values.shape}, which has no element to average")
    columns = values.reshape(-1, _NUM_COMPONENTS).T
    return tuple(_mean(np.ascontiguousarray(column)) for column in columns)


def _mean(column: np.ndarray[Any, Any]) -> float:
    quanta_per_unit = shipped_format().codecs.quantise.quanta_per_unit
    if column.dtype.kind == "f" and not np.isfinite(column).all():
        with np.errstate(invalid="ignore"):
            return float(column[~np.isfinite(column)].astype(np.float64).sum())
    total = _sum_of_quanta(column, quanta_per_unit)
    return round(Fraction(total, len(column))) / quanta_per_unit


def _sum_of_quanta(column: np.ndarray[Any, Any], quanta_per_unit: int) -> int:
    """Return the exact sum of the elements' quanta."""
    if column.dtype.kind != "f":
        return int(sum(column.tolist())) * quanta_per_unit
    wide = column.astype(np.float64)
    near = np.abs(wide) < 2**62 / quanta_per_unit
    quanta = np.rint(wide[near] * quanta_per_unit).astype(np.int64)
    low = int((quanta & ((1 << _HALVES) - 1)).sum(dtype=np.int64))
    high = int((quanta >> _HALVES).sum(dtype=np.int64))
    # So far out a float is an integer number of quanta by itself, or nearly: exact in Python.
    far = sum(round(Fraction(value) * quanta_per_unit) for value in wide[~near].tolist())
    return (high << _HALVES) + low + far
