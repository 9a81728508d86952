"""Values and fields as text.

A float is written as the shortest decimal that reads back as the same value of its own type: a
float32 of 0.1 is ``0.1``, not ``0.10000000149011612``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import isfinite
from typing import Any

import numpy as np

from cmeta.aliases import Array
from cmeta.cli.table import Column, Table
from cmeta.safe_text import printable
from cmeta.schema.canonical_json import float_name
from cmeta.schema.types import Field

SAFE_INTEGER = 2**53 - 1  # the largest that every JSON reader gets exactly (RFC 8785)

# Below 16, neighbouring float32s are less than 1e-6 apart, so that at most one multiple of 1e-6
# rounds to a value; any shorter decimal would be such a multiple as well.
_STEPS_PER_UNIT, _STEPS_BELOW = 1e6, 16.0


@dataclass(frozen=True)
class Style:
    """How a format writes one value.

    Attributes
    ----------
    label : callable
        For the name of an enumeration's value.
    integer : callable
    finite : callable
        For a float.
    non_finite : callable
        For NaN and the infinities.
    """

    label: Callable[[str], str]
    integer: Callable[[int], str]
    finite: Callable[[float], str]
    non_finite: Callable[[float], str]


def json_string(text: str) -> str:
    """Return a JSON string: UTF-8, or ASCII if it has control characters."""
    return json.dumps(text, ensure_ascii=not text.isprintable())


def json_integer(value: int) -> str:
    """Return a JSON number, or a hex string for a large one.

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
ROUNDED = Style(printable, str, "{:.6g}".format, float_name)


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


def value_texts(field: Field, values: Array, style: Style) -> list[str]:
    """Return the values of a field, or of one of its components, as text.

    Parameters
    ----------
    values : array, (n,)
        As decoded: enumerations as codes, configurations as numbers.
    """
    if field.labels:
        labels = [style.label(label) for label in field.labels]
        return [labels[code] for code in values.tolist()]
    if field.type == "bool":
        return ["true" if value else "false" for value in values.tolist()]
    if not field.is_float:
        return list(map(style.integer, values.tolist()))
    doubles = shortest_doubles(values)
    texts = list(map(style.finite, doubles.tolist()))
    for i in np.flatnonzero(~np.isfinite(doubles)):
        texts[i] = style.non_finite(float(doubles[i]))
    return texts


def json_safe(value: Any) -> Any:
    """Replace the numbers that JSON cannot carry exactly, as the file's own JSON does.

    Examples
    --------
    >>> json_safe({"first_timestamp": 1_760_000_000_000_000_000, "loss": [float("nan"), 0.5]})
    {'first_timestamp': '0x186CC6ACD4B00000', 'loss': ['NaN', 0.5]}
    """
    if isinstance(value, str) or value is None:
        return value
    if isinstance(value, int):
        return value if abs(value) <= SAFE_INTEGER else _hex(value)
    if isinstance(value, float):
        return value if isfinite(value) else float_name(value)
    if isinstance(value, Mapping):
        return {key: json_safe(item) for key, item in value.items()}
    return [json_safe(item) for item in value] if isinstance(value, list | tuple) else value


def json_ascii(text: str) -> str:
    r"""Return JSON text with escapes in place of characters that are not printable.

    Examples
    --------
    >>> json_ascii('{"phase":"\x9b2J"}')
    '{"phase":"\\u009b2J"}'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def json_line(value: Any) -> str:
    r"""Return a JSON value as one line that ends in ``\n``."""
    text = _dumps(json_safe(value), ensure_ascii=False)
    if not text.isprintable():
        text = _dumps(json_safe(value), ensure_ascii=True)
    return text + "\n"


_dumps = partial(json.dumps, allow_nan=False, separators=(",", ":"))


def write_fields(
    fields: Sequence[Field], occurrences: Mapping[str, int] | None = None, *, has_doc: bool = False
) -> None:
    """Print a table of fields.

    Parameters
    ----------
    occurrences : mapping of str to int, optional
        The number of batches that have a field, by its path.
    has_doc : bool
        Whether to print the documentation, which only a schema file has.
    """
    counts = [f"{(occurrences or {}).get(field.path, 0):,}" for field in fields]
    texts = {
        "name": [field.path for field in fields],
        "type": [field.type_name for field in fields],
        "unit": [field.unit for field in fields],
    }
    if occurrences is not None:
        texts["in batches"] = counts
    texts["values"] = [storage(field) for field in fields]
    if has_doc:
        texts["description"] = [field.doc for field in fields]
    columns = [
        Column(title, is_left=title != "in batches", is_folded=title != "in batches")
        for title in texts
    ]
    styles = ["dim" if occurrences is not None and count == "0" else "" for count in counts]
    cells = [list(map(printable, column)) for column in texts.values()]
    Table(columns, indent="  ").write(cells, styles=styles)


def field_as_dict(field: Field) -> dict[str, Any]:
    """Return a field as ``--json`` prints it; keys may be added but never removed."""
    return {
        "name": field.path,
        "type": field.type_name,
        "declared": field.declared,
        "exact": field.exact if field.is_float else None,
        "quanta_per_unit": field.quanta_per_unit or None,
        "values": list(field.labels) or None,
        "unit": field.unit or None,
        "volatile": field.volatile,
    }


def storage(field: Field) -> str:
    """Return the values of an enumeration, or how exactly a float is stored; and a volatile one."""
    text = ", ".join(field.labels)
    if field.exact:
        text = "exact"
    elif field.quanta_per_unit:
        text = f"in steps of {_quantum(field.quanta_per_unit)}"
    return "; ".join([*([text] if text else []), *(["volatile"] if field.volatile else [])])


def _quantum(quanta_per_unit: int) -> str:
    """Return the step of a fixed-point field as exact text."""
    is_power_of_ten = str(quanta_per_unit).rstrip("0") == "1"
    return f"{1 / quanta_per_unit:g}" if is_power_of_ten else f"1/{quanta_per_unit}"
