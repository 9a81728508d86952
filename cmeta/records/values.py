"""One value: whatever a user gives, as the value of its field. Every entrance converts here.

- `plain` makes a plain number, a string or None of it: of a numpy or torch scalar, an array of one
  element, a Decimal, an Arrow scalar. Every kind of "no value" becomes None: a masked element,
  pandas.NA, NaT, an Arrow null. No foreign exception leaves it.
- `typed` makes the field's value of that. A float is rounded to its type once, however it was
  given: what float64 does not hold is rounded to odd there, so that rounding to float32 afterwards
  gives the same as rounding the number itself.
- What is no value of the field raises an error naming the field, what was found, what was expected
  and a remedy.
"""

from __future__ import annotations

import datetime
import math
import operator
import reprlib
import struct
import sys
from collections.abc import Mapping, Sequence, Set
from decimal import Decimal
from fractions import Fraction
from numbers import Rational
from typing import Any

import numpy as np

from cmeta.aliases import FLOAT64_INTEGER_MAX
from cmeta.errors import EncodeError
from cmeta.schema.rules import PHASE
from cmeta.schema.types import Field
from cmeta.vocabulary import did_you_mean, phase_named

_PLAIN = frozenset({float, int, bool, str, type(None)})
_QUICK = frozenset(
    {np.float16, np.float32, np.float64, np.bool_}
    | {np.dtype(code).type for code in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")}
)
_EXACT = (Decimal, Fraction, np.longdouble)  # compared with a float, they say what it lost
_FLOAT32_MAX = float(np.finfo(np.float32).max)
_LEN_BRIEF = 40
_FLOAT64 = struct.Struct("<d")
_BITS = struct.Struct("<q")
_REMEDIES: tuple[tuple[type | tuple[type, ...], str], ...] = (
    ((complex, np.complexfloating), "record its parts, such as abs(z) and z.real"),
    ((datetime.timedelta, np.timedelta64), "record seconds, such as delta.total_seconds()"),
    ((datetime.date, datetime.time, np.datetime64), "record seconds, such as time.timestamp()"),
    ((str, bytes), "convert it, such as float(text)"),
    ((Mapping, Sequence, Set, np.ndarray), "record one number of it, such as its mean"),
)


# ---------------------------------------------------------------------------------------- as given


def is_missing(value: Any) -> bool:
    """Return whether a value is one of the objects that mean "no value".

    Examples
    --------
    >>> is_missing(None), is_missing(np.ma.masked), is_missing(np.datetime64("NaT"))
    (True, True, True)
    >>> is_missing(float("nan"))
    False
    """
    if value is None or value is np.ma.masked:
        return True
    pandas = sys.modules.get("pandas")
    if pandas is not None and (
        value is getattr(pandas, "NA", None) or value is getattr(pandas, "NaT", None)
    ):
        return True
    return isinstance(value, np.datetime64 | np.timedelta64) and bool(np.isnat(value))


def plain(value: Any, path: str, expected: str = "a number") -> Any:
    """Return a value of one element as a Python scalar or string, or None for no value.

    What a float would round is returned as it is: a Decimal, a fraction, a numpy.longdouble.

    Parameters
    ----------
    value : object
    path, expected : str
        The field and its type, for an error.

    Raises
    ------
    EncodeError
        The value has more than one element, or is neither a number nor a string.

    Examples
    --------
    >>> plain(np.float32(0.5), "loss_value"), plain(np.ma.masked, "loss_value")
    (0.5, None)
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind in _QUICK:
        return value.item()
    try:
        return _plain(value, path, expected)
    except EncodeError:
        raise
    except Exception as err:  # whatever the methods of a foreign type raise
        raise EncodeError(
            f"{path}: {_described(value)} gives no value ({type(err).__name__}: {err}), "
            f"expected {expected}; give a number, such as float(value)"
        ) from err


def _plain(value: Any, path: str, expected: str) -> Any:
    if isinstance(value, np.ndarray):
        return _only_element(value, path, expected)
    if isinstance(value, np.generic):
        return _of_numpy(value, path, expected)
    if isinstance(value, _EXACT):
        return value
    for base in (str, int, float):
        if isinstance(value, base):  # a subclass, such as an enum.IntEnum
            return base(value)
    if is_missing(value):
        return None
    item = getattr(value, "item", None)
    if callable(item):
        return _of_item(value, item, path, expected)
    if callable(getattr(value, "as_py", None)):  # an Arrow scalar
        return _accepted(value.as_py(), value, path, expected)
    if hasattr(value, "__index__"):
        return operator.index(value)
    if isinstance(value, Rational):
        return Fraction(value)
    if hasattr(value, "__float__"):
        return float(value)
    raise refusal(value, path, expected)


def _only_element(value: Any, path: str, expected: str) -> Any:
    if value.size != 1:
        raise not_one_element(value.shape, path)
    if isinstance(value, np.ma.MaskedArray):
        if np.ma.getmaskarray(value).all():
            return None
        value = value.data
    return plain(value.reshape(-1)[0], path, expected)


def not_one_element(shape: Any, path: str) -> EncodeError:
    """Return the error for an array or tensor in place of one number."""
    return EncodeError(
        f"{path}: found shape {tuple(shape)}, expected a value of one element; "
        "record one number of it, such as its mean"
    )


def _of_numpy(value: np.generic, path: str, expected: str) -> Any:
    if isinstance(value, np.str_):
        return str(value)
    if is_missing(value):
        return None
    if isinstance(value, np.longdouble):
        return value
    if isinstance(value, np.datetime64 | np.timedelta64 | np.void | np.bytes_):
        raise refusal(value, path, expected)
    return _accepted(value.item(), value, path, expected)


def _of_item(value: Any, item: Any, path: str, expected: str) -> Any:
    try:
        found = item()
    except Exception:
        shape = getattr(value, "shape", ())
        if math.prod(shape) != 1:
            raise not_one_element(shape, path) from None
        raise
    return _accepted(found, value, path, expected)


def _accepted(found: Any, value: Any, path: str, expected: str) -> Any:
    """Return what a value gives for itself, if that is plain."""
    if type(found) in _PLAIN or isinstance(found, _EXACT):
        return found
    if is_missing(found):
        return None
    raise refusal(value, path, expected)


def refusal(value: Any, path: str, expected: str) -> EncodeError:
    """Return the error for what is no value of a field."""
    remedy = next((text for kinds, text in _REMEDIES if isinstance(value, kinds)), "")
    if not remedy and callable(getattr(value, "is_complex", None)) and value.is_complex():
        remedy = _REMEDIES[0][1]
    remedy = remedy or "give a number, such as float(value)"
    return EncodeError(f"{path}: found {_described(value)}, expected {expected}; {remedy}")


def _described(value: Any) -> str:
    """Return the type of a value, and the value if it is short enough to be shown."""
    kind = type(value).__name__
    try:
        text = reprlib.repr(value)
    except Exception:  # an error message must not fail
        return f"a {kind}"
    is_brief = len(text) <= _LEN_BRIEF and "\n" not in text
    return f"a {kind} ({text})" if is_brief else f"a {kind}"


# ------------------------------------------------------------------------------ as the field has it


def expected_of(field: Field) -> str:
    """Return what a value of one component must be, for an error."""
    if field.labels:
        return f"a name or code ({field.type_name})"
    kind = "an integer" if not field.is_float and field.type != "bool" else "a number"
    return f"{kind} ({field.type_name})"


def typed(number: Any, field: Field) -> Any:
    """Return the value of one component: of a float field a float64, which its type rounds once.

    Parameters
    ----------
    number : float, int, bool, str, Decimal, Fraction or numpy.longdouble
        As `plain` returns it; not None.

    Raises
    ------
    EncodeError
        It does not fit the field.
    """
    if field.is_float:
        if isinstance(number, str):
            raise EncodeError(
                f"{field.path}: found {number!r}, expected {field.type_name}; "
                "convert it, such as float(text)"
            )
        value = as_double(number, is_narrow=field.type == "f32")
        if not field.declared:
            require_held(number, value, field)
        elif field.type == "f32" and abs(value) > _FLOAT32_MAX:
            with np.errstate(over="ignore"):
                return float(np.float32(value))
        return value
    if field.labels:
        return code_of(number, field)
    if isinstance(number, str):
        raise EncodeError(f"{field.path}: found {number!r}, expected {field.type_name}")
    if not isinstance(number, int):
        kind = "float64" if isinstance(number, float) else type(number).__name__
        raise EncodeError(
            f"{field.path}: found {kind} {number}, expected integers ({field.type_name}); "
            "convert it, such as int(value); a metric keeps a fraction: "
            f"metrics={{{field.name!r}: ...}}"
        )
    least, greatest = field.limits
    if least <= number <= greatest:
        return bool(number) if field.type == "bool" else int(number)
    raise out_of_range(number, field)


def out_of_range(number: int, field: Field) -> EncodeError:
    """Return the error for an integer that the field's type does not hold."""
    if field.type == "bool":
        return EncodeError(
            f"{field.path}: found a value other than 0 and 1, {number}, expected bool"
        )
    least, greatest = field.limits
    expected = f"{field.type_name}: {least} to {greatest}"
    return EncodeError(f"{field.path}: found {number}, expected {expected}")


def as_double(number: Any, *, is_narrow: bool) -> float:
    """Return a number as a float64.

    Parameters
    ----------
    number : float, int, bool, Decimal, Fraction or numpy.longdouble
    is_narrow : bool
        The result will be rounded to float32. Then a number between two float64s becomes the one
        with an odd mantissa: never half way between two float32s, and on the right side of it.

    Examples
    --------
    >>> as_double(2**60 + 2**36 + 1, is_narrow=False) == 2**60 + 2**36
    True
    >>> int(np.float32(as_double(2**60 + 2**36 + 1, is_narrow=True))) == 2**60 + 2**37
    True
    """
    if type(number) is float:
        return number
    if isinstance(number, int) and -FLOAT64_INTEGER_MAX <= number <= FLOAT64_INTEGER_MAX:
        return float(number)
    try:
        near = float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf
    except ValueError:  # a signalling NaN
        return math.nan
    if not is_narrow or not math.isfinite(near):
        return near
    same = Decimal.from_float(near) if isinstance(number, Decimal) else near
    if number == same:
        return near
    if _BITS.unpack(_FLOAT64.pack(near))[0] & 1:
        return near
    return math.nextafter(near, math.inf if number > same else -math.inf)


def as_finite(number: Any) -> float:
    """Return a number as a float64; as the largest one, if it is finite and none holds it."""
    value = as_double(number, is_narrow=False)
    is_beyond = math.isinf(value) and number not in (math.inf, -math.inf)
    return math.copysign(sys.float_info.max, value) if is_beyond else value


def require_held(number: Any, value: float, field: Field) -> None:
    """Refuse a number that an undeclared metric, a float64, cannot hold.

    Raises
    ------
    EncodeError
        An integer beyond 2^53 that is no float64, or a number beyond all floats.
    """
    if type(number) is float:
        return
    if isinstance(number, int) and abs(number) > FLOAT64_INTEGER_MAX and number != value:
        raise EncodeError(
            f"{field.path}: found {number}, an integer beyond 2^53 that float64 cannot hold; "
            "declare the metric with an integer type, or give float(value)"
        )
    if math.isinf(value) and number not in (math.inf, -math.inf):
        raise EncodeError(
            f"{field.path}: found {_described(number)}, which is beyond float64; "
            "record its logarithm, or give float(value)"
        )


def is_float64(value: int) -> bool:
    """Return whether float64 holds an integer exactly."""
    return as_double(value, is_narrow=False) == value


def code_of(given: Any, field: Field) -> int:
    """Return the code of an enumeration's value, given as a name or a code.

    Raises
    ------
    EncodeError
    """
    if isinstance(given, str):
        return _code_of_name(given, field)
    if isinstance(given, bool) or not isinstance(given, int):
        kind = {float: "float64"}.get(type(given), type(given).__name__)
        raise EncodeError(f"{field.path}: found {kind} {given}, expected names or codes")
    if not 0 <= given < len(field.labels):
        raise EncodeError(
            f"{field.path}: found code {given}, expected 0 to {len(field.labels) - 1}"
        )
    return given


def _code_of_name(name: str, field: Field) -> int:
    is_phase = field.enumeration == PHASE
    label = phase_named(name, field.labels) if is_phase else name
    if label in field.labels:
        return field.labels.index(label)
    hint = did_you_mean(name, field.labels)
    hint += '; append it with schema.with_phases("...")' if is_phase else ""
    known = ", ".join(field.labels)
    raise EncodeError(f"{field.path}: found {name!r}, expected one of: {known}{hint}")
