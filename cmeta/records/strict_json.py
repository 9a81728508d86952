"""JSON that others wrote, read so that nothing in it is lost without a word.

Python's own parser keeps the last of two members of one name, and makes a number beyond the range
of float64 an infinity. Both are errors here. ``NaN`` and ``Infinity``, which Python and most tools
for training write, are numbers.
"""

from __future__ import annotations

import json
import math
from typing import Any


class UnkeptError(ValueError):
    """JSON that would not be kept as it is."""


def loads(data: str | bytes) -> Any:
    """Return the value of a JSON text.

    Raises
    ------
    ValueError
        It is not JSON, or nested too deeply. A `json.JSONDecodeError` has line and column.
    UnkeptError
        It has a name twice in an object, or a number that no float64 and no integer holds.

    Examples
    --------
    >>> loads('{"loss": 1e999}')
    Traceback (most recent call last):
        ...
    cmeta.records.strict_json.UnkeptError: found 1e999, a number that no float64 holds
    """
    try:
        return json.loads(data, object_pairs_hook=_members, parse_float=_number)
    except RecursionError as err:
        raise ValueError("nested too deeply") from err
    except ValueError as err:
        if type(err) is ValueError and str(err).startswith("Exceeds the limit"):
            raise UnkeptError("found an integer of more than 4,300 digits") from err
        raise


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise UnkeptError(f"found {name[:80]!r} twice, expected it once")
        seen.add(name)
    return members


def _number(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise UnkeptError(f"found {text[:80]}, a number that no float64 holds")
    return number
