"""An oracle for the format: the value that reading returns for a value that was written.

It follows the text of the specification value by value, with plain Python floats, `struct` and
`fractions`. It calls no codec, so that codecs can be tested against it.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import cache
from typing import Any

from cmeta.schema.load import shipped_format
from cmeta.schema.types import Field

_MANTISSA_BITS = {"f32": 23, "f64": 52}
_SAFE_INTEGER = 2**53 - 1


def expected(value: Any, field: Field) -> Any:
    """Return the value that reading gives for a value that was written.

    Parameters
    ----------
    value : Any
        A Python or numpy scalar, a sequence of them for a vector, a mapping for a configuration;
        None for an absent value.
    field : Field
        Its field, such as ``schema["metrics.entropy"]``.

    Returns
    -------
    None, bool, int, float, str, tuple or mapping
        In the form of `CycleRecord`. Compare with `identical`, for which NaN equals NaN.

    Examples
    --------
    A declared float is stored as fixed point below a threshold, and exactly from there on:

    >>> import cmeta
    >>> loss = cmeta.default_schema()["loss_value"]
    >>> expected(-0.0000004, loss), expected(0.1234567, loss), expected(1e30, loss)
    (0.0, 0.12345699965953827, 1.0000000150474662e+30)

    An exact float comes back unchanged:

    >>> rate = cmeta.default_schema().with_metrics(lr={"exact": True})["metrics.lr"]
    >>> expected(1e-300, rate)
    1e-300
    """
    if value is None:
        return None
    if field.num_components:
        return tuple(_component(component, field) for component in value)
    if field.type == "config":
        return _as_json(value)
    return _component(value, field)


def identical(found: Any, wanted: Any) -> bool:
    """Return whether two values have the same type and the same bits; all NaNs are equal.

    Examples
    --------
    >>> identical(0.0, -0.0), identical(float("nan"), float("nan")), identical(1, 1.0)
    (False, True, False)
    """
    if isinstance(wanted, float) and isinstance(found, float):
        if math.isnan(wanted):
            return math.isnan(found)
        return struct.pack("<d", found) == struct.pack("<d", wanted)
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        return found.keys() == wanted.keys() and all(identical(found[k], wanted[k]) for k in wanted)
    if isinstance(wanted, list | tuple):
        same = type(found) is type(wanted) and len(found) == len(wanted)
        return same and all(map(identical, found, wanted))
    return type(found) is type(wanted) and bool(found == wanted)


@cache
def threshold(quanta_per_unit: int, type_: str) -> int:
    """Return T, the magnitude from which a fixed-point field stores every float exactly.

    The smallest power of two for which ``ulp(T) * quanta_per_unit >= 1``, or for which
    ``2 T * quanta_per_unit`` exceeds the bits of a product.

    Examples
    --------
    >>> threshold(1000000, "f32"), threshold(1000000, "f64")
    (16, 1073741824)
    """
    product_max = 2 ** shipped_format().codecs.quantise.product_bits
    t = Fraction(1)
    while not (
        t / 2 ** _MANTISSA_BITS[type_] * quanta_per_unit >= 1
        or 2 * t * quanta_per_unit > product_max
    ):
        t *= 2
    return int(t)


def _component(value: Any, field: Field) -> Any:
    if field.type == "enum":
        return value if isinstance(value, str) else field.labels[int(value)]
    if field.type == "bool":
        return bool(value)
    if not field.is_float:
        return int(value)
    rounded = _round_to_type(float(value), field.type)
    if not math.isfinite(rounded):
        return math.nan if math.isnan(rounded) else rounded
    return rounded if field.exact else _fixed_point(rounded, field)


def _fixed_point(x: float, field: Field) -> float:
    if abs(x) >= threshold(field.quanta_per_unit, field.type):
        return x
    quanta = round(x * field.quanta_per_unit)  # to an integer, halves to even
    return _round_to_type(quanta / field.quanta_per_unit, field.type)


def _round_to_type(x: float, type_: str) -> float:
    if type_ == "f64" or not math.isfinite(x):
        return x
    try:
        (narrow,) = struct.unpack("<f", struct.pack("<f", x))
    except OverflowError:
        return math.copysign(math.inf, x)
    return float(narrow)


def _as_json(value: Any) -> Any:
    """Return a value as JSON stores it: no tuples, one kind of number, strings for other values."""
    match value:
        case bool() | str() | None:
            return value
        case int():
            return value if abs(value) <= _SAFE_INTEGER else _hex(value)
        case float() if not math.isfinite(value):
            return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
        case float():
            is_integer = value.is_integer() and abs(value) <= _SAFE_INTEGER
            return int(value) if is_integer else value
        case Mapping():
            return {key: _as_json(inner) for key, inner in value.items()}
        case Sequence():
            return [_as_json(inner) for inner in value]
    return _as_json(value.item())


def _hex(value: int) -> str:
    return f"{'-' if value < 0 else ''}0x{abs(value):X}"
