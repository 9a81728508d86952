"""Canonical JSON: the only bytes that a SCHEMA or CONFIG body may have.

RFC 8785, with two additions (SPEC, Canonical JSON): an integer beyond 2^53 - 1 is a hex string,
NaN and the infinities are strings. Size and depth are checked before parsing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import msgspec
import rfc8785

from cmeta.errors import CorruptError, EncodeError, LimitError
from cmeta.schema.language import Limits

_SAFE_INTEGER = 2**53 - 1
# Possessive, with an optional closing quote: a string without an end is scanned only once.
_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*+"?|([\[{])|([\]}])', re.DOTALL)


def dumps(value: object, limits: Limits, what: str) -> bytes:
    """Return the canonical JSON of `value`.

    Parameters
    ----------
    value : object
        Mappings with string keys, sequences, strings, numbers, booleans, None.
    limits : Limits
        Its `json_bytes_max` and `json_depth_max` are enforced.
    what : str
        The name of the value in errors, such as ``config``.

    Raises
    ------
    EncodeError
        `value` is not JSON, is too deep or too large; the message names the key path.

    Examples
    --------
    >>> from cmeta.schema import shipped_format
    >>> dumps({"lr": 1e-3, "seed": 2**64 - 1, "best": float("inf")}, shipped_format().limits, "x")
    b'{"best":"Infinity","lr":0.001,"seed":"0xFFFFFFFFFFFFFFFF"}'
    """
    plain = _plain(value, what, limits.json_depth_max)
    try:
        data = rfc8785.dumps(plain)
    except rfc8785.CanonicalizationError as err:
        raise EncodeError(f"{what}: {err}") from err
    except UnicodeEncodeError as err:
        raise EncodeError(f"{what}: a key that UTF-8 cannot encode: {err.object!r}") from err
    if len(data) > limits.json_bytes_max:
        raise EncodeError(f"{what}: {len(data)} bytes of JSON, at most {limits.json_bytes_max}")
    return data


def loads(data: bytes, limits: Limits) -> Any:
    """Return the value of canonical JSON.

    Raises
    ------
    LimitError, CorruptError
        Too long, too deep, not JSON, or not canonical. Offsets are relative to `data`.
    """
    if len(data) > limits.json_bytes_max:
        raise LimitError(f"{len(data)} bytes of JSON, at most {limits.json_bytes_max}")
    _bound_depth(data, limits.json_depth_max)
    try:
        value = _as_binary64(msgspec.json.decode(data))
        again = dumps(value, limits, "JSON")
    except (msgspec.DecodeError, UnicodeDecodeError, OverflowError, EncodeError) as err:
        raise CorruptError(f"not JSON: {err}") from err
    if again != data:
        pairs = enumerate(zip(data, again, strict=False))
        offset = next((i for i, (a, b) in pairs if a != b), min(len(data), len(again)))
        raise CorruptError("not canonical JSON (RFC 8785)", offset=offset)
    return value


def float_name(value: float) -> str:
    """Return the string for a float that JSON does not have."""
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _plain(value: object, path: str, depth: int) -> Any:
    """Replace numbers that RFC 8785 refuses; `depth` is the number of levels that may follow."""
    match value:
        case None | bool() | str():
            return value
        case int():
            return value if abs(value) <= _SAFE_INTEGER else f"{value:#X}".replace("X", "x")
        case float():
            return value if math.isfinite(value) else float_name(value)
        case Mapping() | list() | tuple() if depth == 0:
            raise EncodeError(f"{path}: nested too deeply")
        case Mapping():
            return {_key(k, path): _plain(v, f"{path}.{k}", depth - 1) for k, v in value.items()}
        case list() | tuple():
            return [_plain(v, f"{path}[{i}]", depth - 1) for i, v in enumerate(value)]
    raise EncodeError(
        f"{path}: {type(value).__name__} is not JSON; expected a mapping, list, string, number, "
        "boolean or None"
    )


def _as_binary64(value: Any) -> Any:
    """Read numbers as RFC 8785 does: an integer beyond 2^53 - 1 is a float without a point."""
    if isinstance(value, dict):
        return {k: _as_binary64(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_as_binary64(v) for v in value]
    is_large = isinstance(value, int) and abs(value) > _SAFE_INTEGER
    return float(value) if is_large else value


def _key(key: object, path: str) -> str:
    if isinstance(key, str):
        return key
    raise EncodeError(f"{path}: the key {key!r} is a {type(key).__name__}; expected a string")


def _bound_depth(data: bytes, most: int) -> None:
    """Refuse nesting beyond `most` levels before a parser recurses."""
    depth = 0
    for found in _STRING_OR_BRACKET.finditer(data):
        if found[1]:
            depth += 1
            if depth > most:
                raise LimitError(f"JSON nested beyond {most} levels", offset=found.start())
        elif found[2]:
            depth -= 1
