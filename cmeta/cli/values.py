"""Values as text. A float is always the shortest decimal that reads back as the same value of its
own type: a float32 of 0.1 is ``0.1``, not ``0.10000000149011612``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import isfinite
from typing import Any

import numpy as np

from cmeta.aliases import Array
from cmeta.cli.console import printable
from cmeta.schema.canonical_json import float_name
from cmeta.schema.types import Field

SAFE_INTEGER = 2**53 - 1  # of JSON: what every reader gets exactly (RFC 8785)

# Below 16, neighbours of float32 are less than one step of 1e-6 apart, so that at most one multiple
# of 1e-6 rounds to a value; any decimal shorter than that one would be a multiple as well.
_STEPS_PER_UNIT, _STEPS_BELOW = 1e6, 16.0


@dataclass(frozen=True)
class Style:
    """How a format writes one value.

    Attributes
    ----------
    label : callable
        Of an enumeration's value.
    integer : callable
    finite : callable
        Of a float.
    non_finite : callable
        Of NaN and the infinities.
    """

    label: Callable[[str], str]
    integer: Callable[[int], str]
    finite: Callable[[float], str]
    non_finite: Callable[[float], str]


def json_string(text: str) -> str:
    """Return a JSON string: UTF-8, unless a terminal could obey it."""
    return json.dumps(text, ensure_ascii=not text.isprintable())


def json_integer(value: int) -> str:
    """Return a JSON number, or the hex string that stands for a large one.

    Examples
    --------
    >>> json_integer(2**53 - 1), json_integer(2**64 - 1), json_integer(-(2**63))
    ('9007199254740991', '"0xFFFFFFFFFFFFFFFF"', '"-0x8000000000000000"')
    """
    return str(value) if abs(value) <= SAFE_INTEGER else f'"{_hex(value)}"'


def _hex(value: int) -> str:
    return f"{'-' if value < 0 else ''}0x{abs(value):X}"


JSON = Style(json_string, json_integer, repr, lambda value: f'"{float_name(value)}"')
EXACT = Style(str, str, repr, float_name)
SHOWN = Style(printable, str, "{:.6g}".format, float_name)


def shortest_doubles(values: Array) -> Array:
    """Return float64s whose shortest decimals are those of the given floats.

    Parameters
    ----------
    values : float32 or float64 array, (n,)

    Returns
    -------
    float64 array, (n,)

    Examples
    --------
    >>> shortest_doubles(np.float32([0.1, 1e-3, 2**24])).tolist()
    [0.1, 0.001, 16777216.0]
    """
    doubles = values.astype(np.float64)
    if values.dtype.itemsize == doubles.itemsize:
        return doubles
    with np.errstate(invalid="ignore", over="ignore"):
        steps = np.rint(doubles * _STEPS_PER_UNIT) / _STEPS_PER_UNIT
        short = (np.abs(doubles) < _STEPS_BELOW) & (steps.astype(values.dtype) == values)
    rest = np.flatnonzero(~short)
    steps[rest] = [float(str(value)) for value in values[rest]]
    return steps


def texts(field: Field, values: Array, style: Style) -> list[str]:
    """Return one component of a field as text.

    Parameters
    ----------
    values : array, (n,)
        As decoded: an enumeration as codes, a configuration as its number.
    """
    if field.labels:
        labels = [style.label(label) for label in field.labels]
        return [labels[code] for code in values.tolist()]
    if field.type == "bool":
        return ["true" if value else "false" for value in values.tolist()]
    if not field.is_float:
        return list(map(style.integer, values.tolist()))
    doubles = shortest_doubles(values)
    found = list(map(style.finite, doubles.tolist()))
    for i in np.flatnonzero(~np.isfinite(doubles)):
        found[i] = style.non_finite(float(doubles[i]))
    return found


def plain(value: Any) -> Any:
    """Replace what JSON cannot carry exactly, as the file's own JSON does.

    Examples
    --------
    >>> plain({"first_timestamp": 1_760_000_000_000_000_000, "loss": [float("nan"), 0.5]})
    {'first_timestamp': '0x186CC6ACD4B00000', 'loss': ['NaN', 0.5]}
    """
    if isinstance(value, str) or value is None:
        return value
    if isinstance(value, int):
        return value if abs(value) <= SAFE_INTEGER else _hex(value)
    if isinstance(value, float):
        return value if isfinite(value) else float_name(value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def json_line(value: Any) -> str:
    r"""Return any JSON value as one line, ``\n`` included."""
    text = _dumps(plain(value), ensure_ascii=False)
    if not text.isprintable():
        text = _dumps(plain(value), ensure_ascii=True)
    return text + "\n"


_dumps = partial(json.dumps, allow_nan=False, separators=(",", ":"))
