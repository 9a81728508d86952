"""How far apart two values of a field are, in quanta.

A fixed-point value is rounded to a quantum before it is stored, so it is compared there. A float
that is stored without loss, or is too large for fixed point, is compared by its place among all
floats: one quantum is the next float. NaN equals NaN. Integers, names and configurations are equal
or not.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from cmeta.aliases import U64, Array, Mask
from cmeta.format.stages import fixed_point
from cmeta.format.stages.bits import to_ordered
from cmeta.records.arrays import as_array
from cmeta.records.config import config_json, members_of
from cmeta.schema.load import shipped_format
from cmeta.schema.types import Field

FAR = 2**64  # the distance of two values that no number of quanta brings together


def float_distances(a: Array, b: Array, quanta_per_unit: int) -> tuple[Mask, U64]:
    """Return which floats differ, and by how many quanta.

    Parameters
    ----------
    a, b : float array
        Of the same dtype and shape.
    quanta_per_unit : int
        0: stored without loss.

    Returns
    -------
    differ : bool array, of that shape
    quanta : uint64 array, of that shape
        0 where they differ and one is not finite: there is no distance to measure.
    """
    finite = np.isfinite(a) & np.isfinite(b)
    quanta = np.zeros(a.shape, np.uint64)
    quanta[finite] = _finite_distances(a[finite], b[finite], quanta_per_unit)
    both_nan = np.isnan(a) & np.isnan(b)
    differ: Mask = np.where(finite, quanta > 0, (a != b) & ~both_nan)
    return differ, quanta


def _finite_distances(a: Array, b: Array, quanta_per_unit: int) -> U64:
    if quanta_per_unit:
        bits = shipped_format().codecs.quantise.product_bits
        one, other = (fixed_point.encode(v, quanta_per_unit, bits) for v in (a, b))
    else:
        one, other = (to_ordered(v).astype(np.int64) for v in (a, b))
    high = np.maximum(one, other).view(np.uint64)  # modulo 2^64: a distance may exceed 2^63
    return high - np.minimum(one, other).view(np.uint64)


def distance(field: Field, recorded: Any, replayed: Any) -> int:
    """Return how many quanta apart two values of a field are: 0 if equal, `FAR` if unmeasurable.

    Parameters
    ----------
    recorded, replayed : value or None
        None: absent.

    Raises
    ------
    EncodeError
        A value does not fit the field's type.
    """
    if recorded is None or replayed is None:
        return 0 if recorded is replayed else FAR
    quick = _quick_distance(field, recorded, replayed)
    if quick is not None:
        return quick
    if field.type == "config":
        return 0 if _config_or_none(recorded) == _config_or_none(replayed) else FAR
    a, b = (as_array([value], field).values for value in (recorded, replayed))
    if not field.is_float:
        return 0 if (a == b).all() else FAR
    differ, quanta = float_distances(a, b, field.quanta_per_unit)
    return FAR if (differ & (quanta == 0)).any() else int(quanta.max())


def _quick_distance(field: Field, recorded: Any, replayed: Any) -> int | None:
    """Return the distance of ordinary scalars, without an array; None for all others.

    The distance is the same: a float near zero is rounded to a quantum by the same arithmetic.
    """
    kind = type(recorded)
    if kind is not type(replayed):
        return None
    if kind is not float:
        return 0 if kind in (int, str) and recorded == replayed else None
    if not field.quanta_per_unit:
        return 0 if recorded == replayed != 0 else None
    limit = _quick_limit(field)
    if not (-limit < recorded < limit and -limit < replayed < limit):
        return None
    quanta = field.quanta_per_unit
    near = (float(field.dtype.type(value)) for value in (recorded, replayed))
    one, other = (round(value * quanta) for value in near)
    return abs(one - other)


@cache
def _quick_limit(field: Field) -> float:
    """Return half the magnitude at which floats are stored exactly: rounding may cross it."""
    bits = shipped_format().codecs.quantise.product_bits
    return fixed_point.threshold(field.quanta_per_unit, field.dtype, bits) / 2


def _config_or_none(config: Any) -> bytes | None:
    """Return the canonical JSON of a configuration; None for anything else."""
    return None if members_of(config) is None else config_json(config)
