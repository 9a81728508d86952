"""How far a recomputed value is from the recorded one, in quanta.

A value of fixed point is rounded to a quantum before it is stored, so that is where it is compared.
A value that is stored without loss, a floating-point number beyond the threshold included, is
compared by its place among all floats: one quantum is the next float. Integers, names and
configurations are equal or not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from cmeta.errors import CmetaError
from cmeta.format.journal_rows import stored
from cmeta.format.stages import fixed_point
from cmeta.records.chunk import Column
from cmeta.records.convert import as_array
from cmeta.schema import canonical_json
from cmeta.schema.load import shipped_format
from cmeta.schema.types import Field

FAR = 2**64  # quanta apart, of what no number of quanta brings together


def distance(field: Field, recorded: Any, replayed: Any) -> int:
    """Return how many quanta apart two values of a field are; 0 is exact.

    Parameters
    ----------
    recorded, replayed : value or None
        None: absent. NaN equals NaN.

    Raises
    ------
    EncodeError
        The replayed value is none of the field's type.
    """
    if recorded is None or replayed is None:
        return 0 if recorded is replayed else FAR
    quick = _quick(field, recorded, replayed)
    if quick is not None:
        return quick
    if field.type == "config":
        return 0 if _canonical(recorded) == _canonical(replayed) else FAR
    values = [as_array([value], field).values for value in (recorded, replayed)]
    if not field.is_float:
        return 0 if (values[0] == values[1]).all() else FAR
    pairs = zip(values[0].reshape(-1), values[1].reshape(-1), strict=True)
    return max(_apart(field, np.array([a]), np.array([b])) for a, b in pairs)


def _quick(field: Field, recorded: Any, replayed: Any) -> int | None:
    """Return the distance of ordinary values, which nearly all are; None: look closer.

    It is the same distance: a float near zero is rounded to a quantum by the same arithmetic.
    """
    kind = type(recorded)
    if kind is not type(replayed):
        return None
    if kind is not float:
        return 0 if kind in (int, str) and recorded == replayed else None
    if not field.quanta_per_unit:
        return 0 if recorded == replayed != 0 else None
    limit = _first_far(field)
    if not (-limit < recorded < limit and -limit < replayed < limit):
        return None
    quanta = field.quanta_per_unit
    near = (float(field.dtype.type(value)) for value in (recorded, replayed))
    one, other = (round(value * quanta) for value in near)
    return abs(one - other)


@cache
def _first_far(field: Field) -> float:
    """Return from which magnitude on floats are stored exactly; just below it they may round up."""
    bits = shipped_format().codecs.quantise.product_bits
    return fixed_point.threshold(field.quanta_per_unit, field.dtype, bits) / 2


def shown(field: Field, value: Any) -> Any:
    """Return a replayed value as a file would give it back, for a report."""
    if value is None or field.type == "config":
        return value
    try:
        kept = stored(Column(as_array([value], field).values, None), field).values[0].tolist()
    except CmetaError:
        return value
    return field.labels[kept] if field.labels else tuple(kept) if field.num_components else kept


def _apart(field: Field, one: Any, other: Any) -> int:
    kinds = [_kind(float(values[0])) for values in (one, other)]
    if kinds[0] != kinds[1]:
        return FAR
    if kinds[0] != "finite":
        return 0
    quanta = field.quanta_per_unit
    bits = shipped_format().codecs.quantise.product_bits
    if quanta:
        first, second = (int(fixed_point.encode(v, quanta, bits)[0]) for v in (one, other))
    else:
        first, second = (_place(v) for v in (one, other))
    return abs(first - second)


def _kind(value: float) -> str:
    if math.isfinite(value):
        return "finite"
    return "nan" if math.isnan(value) else str(value)


def _place(values: Any) -> int:
    """Return a float's place among all floats of its type; minus zero is one below zero."""
    bits = int(values.view(f"u{values.dtype.itemsize}")[0])
    sign = 1 << (values.dtype.itemsize * 8 - 1)
    return bits if bits < sign else -(bits - sign) - 1


def _canonical(config: Any) -> bytes | None:
    if not isinstance(config, Mapping) and canonical_json.members_of(config) is None:
        return None
    return canonical_json.dumps(
        canonical_json.as_mapping(config), shipped_format().limits, "config"
    )
