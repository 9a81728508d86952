"""Configurations: taken from a user, as canonical JSON, flattened to dotted keys, and compared.

A configuration becomes plain JSON as ``json.dumps(config, default=str)`` would make it, with these
differences, so that equal configurations are equal bytes and nothing is lost without a word:

- what has members is an object, and what has elements is a list; a set is a sorted list;
- keys that are the same text are refused, and so is a value whose text is only an address;
- a class or a function is its name, and an enumeration its value.
"""

from __future__ import annotations

import dataclasses
import math
import re
import sys
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence, Set
from enum import Enum
from pathlib import PurePath
from types import BuiltinFunctionType, FunctionType, SimpleNamespace
from typing import Any

from cmeta.errors import EncodeError
from cmeta.schema import canonical_json
from cmeta.schema.language import Limits
from cmeta.schema.load import shipped_format

Config = Mapping[str, Any]
_MISSING = object()
_ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]+")
_DATES = "mM"  # numpy's kinds of times and dates


def as_mapping(config: Any, path: str = "config") -> dict[str, Any]:
    """Return a configuration as plain JSON: dictionaries, lists, texts, numbers, booleans, None.

    Parameters
    ----------
    config : mapping, dataclass, Namespace or other object with members
    path : str
        The name of the configuration in errors.

    Raises
    ------
    EncodeError
        It is of another type, or holds something that is not JSON; the message names its key.

    Examples
    --------
    >>> from pathlib import PurePosixPath
    >>> as_mapping({"id2label": {0: "cat"}, "data": PurePosixPath("a/b"), "tags": {"y", "x"}})
    {'id2label': {'0': 'cat'}, 'data': 'a/b', 'tags': ['x', 'y']}
    """
    members = members_of(config)
    if members is None:
        name = type(config).__name__
        raise EncodeError(f"{path}: found a {name}, expected a mapping, dataclass or Namespace")
    return _object(members, path, shipped_format().limits.json_depth_max)


def config_json(config: Any, limits: Limits | None = None, path: str = "config") -> bytes:
    """Return the canonical JSON of a configuration: equal for equal configurations.

    Raises
    ------
    EncodeError
        As `as_mapping`; or it is too large.
    """
    return canonical_json.dumps(as_mapping(config, path), limits or shipped_format().limits, path)


# ------------------------------------------------------------------------------ a user's values


def members_of(value: Any) -> Mapping[Any, Any] | None:
    """Return the members of an object that has names for them; None for other types."""
    if isinstance(value, Mapping):
        return value
    kind = type(value)
    if isinstance(value, type | Enum):
        return None
    if dataclasses.is_dataclass(value):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    argparse = sys.modules.get("argparse")  # a Namespace exists only if it was imported
    if isinstance(value, SimpleNamespace) or (argparse and isinstance(value, argparse.Namespace)):
        return dict(vars(value))
    if names := getattr(kind, "__struct_fields__", None):  # msgspec
        return {name: getattr(value, name) for name in names}
    if attributes := getattr(kind, "__attrs_attrs__", None):
        return {a.name: getattr(value, a.name) for a in attributes}
    if hasattr(kind, "tolist"):  # a column, such as of pandas, which has keys as well
        return None
    for convert in ("model_dump", "to_dict"):  # pydantic; transformers, ml_collections
        if callable(getattr(kind, convert, None)):
            members = _read(getattr(value, convert), kind.__name__)
            return members if isinstance(members, Mapping) else None
    if hasattr(kind, "keys") and hasattr(kind, "__getitem__"):
        return {key: value[key] for key in value.keys()}  # noqa: SIM118  (no Mapping)
    return None


def _read(function: Any, path: str) -> Any:
    """Return the result of a user's code, whose error is that of a configuration."""
    try:
        return function()
    except EncodeError:
        raise
    except Exception as err:
        raise EncodeError(f"{path}: cannot be read: {type(err).__name__}: {err}") from err


def _plain(value: Any, path: str, depth: int) -> Any:
    """Return a value as plain JSON; `depth` is the number of levels that may follow."""
    kind = type(value)
    if value is None or kind is bool or kind is int or kind is float:
        return value
    if isinstance(value, Enum):  # before int and str, which it may be as well
        is_plain = isinstance(value.value, bool | int | float | str)
        return _plain(value.value if is_plain else value.name, path, depth)
    if isinstance(value, str):
        return _text(value, path)
    if isinstance(value, bool | int | float):  # of a type of its own, such as numpy's float64
        return float(value) if isinstance(value, float) else int(value)
    if isinstance(value, PurePath):
        return _text(value.as_posix(), path)
    if (members := _read(lambda: members_of(value), path)) is not None:
        return _object(members, path, depth)
    if isinstance(value, Set):
        return _sorted(_list(value, path, depth))
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return _list(_read(lambda: list(value), path), path, depth)
    return _converted(value, path, depth)


def _object(members: Mapping[Any, Any], path: str, depth: int) -> dict[str, Any]:
    _require_level(path, depth)
    made: dict[str, Any] = {}
    keys: dict[str, Any] = {}
    for key, value in _read(lambda: list(members.items()), path):
        name = _key(key, path)
        if name in made:
            raise EncodeError(
                f"{path}: the keys {keys[name]!r} and {key!r} are both {name!r} in JSON"
            )
        keys[name] = key
        made[name] = _plain(value, f"{path}.{name}", depth - 1)
    return made


def _list(values: Iterable[Any], path: str, depth: int) -> list[Any]:
    _require_level(path, depth)
    return [_plain(value, f"{path}[{i}]", depth - 1) for i, value in enumerate(values)]


def _require_level(path: str, depth: int) -> None:
    if depth <= 0:
        raise EncodeError(f"{path}: nested too deeply")


def _sorted(values: list[Any]) -> list[Any]:
    """Return the elements of a set in an order that depends on nothing else."""
    is_number = all(isinstance(v, int | float) and v == v for v in values)
    return sorted(values) if is_number else sorted(values, key=value_json)


def _key(key: Any, path: str) -> str:
    """Return the key of a member, as `json.dumps` makes it."""
    if isinstance(key, Enum):
        key = _plain(key, path, 0)
    if not isinstance(key, str) and hasattr(key, "dtype") and hasattr(key, "item"):
        key = key.item()
    if isinstance(key, str):
        return _text(key, f"{path}: a key")
    if key is None or isinstance(key, bool):
        return {None: "null", True: "true", False: "false"}[key]
    if isinstance(key, int):
        return int.__repr__(key)
    if isinstance(key, float):
        return repr(float(key)) if math.isfinite(key) else canonical_json.float_name(key)
    kind = type(key).__name__
    raise EncodeError(
        f"{path}: the key {key!r} is a {kind}; expected a string, number, boolean or None"
    )


def _text(value: str, path: str) -> str:
    text = str.__str__(value)
    try:
        text.isascii() or text.encode()
    except UnicodeEncodeError as err:
        raise EncodeError(f"{path}: UTF-8 cannot encode {text!r}") from err
    return text


def _converted(value: Any, path: str, depth: int) -> Any:
    """Return the elements of an array, or the text of a value that JSON does not have."""
    if isinstance(value, bytes | bytearray | memoryview):
        raise _no_json(value, path, "is binary data")
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if kind and kind in _DATES:
        value = value.astype(str)
    for convert in ("tolist", "item"):  # numpy, torch, jax: an array or a scalar
        method = getattr(value, convert, None)
        if callable(method) and not isinstance(value, type):
            try:
                elements = method()
            except (TypeError, ValueError, RuntimeError):
                continue
            if type(elements) is not type(value):
                return _plain(elements, path, depth)
    if isinstance(value, type | FunctionType | BuiltinFunctionType):
        return f"{value.__module__}.{value.__qualname__}"
    text: str = _read(lambda: str(value), path)
    if _ADDRESS.search(text):
        raise _no_json(value, path, "has no text but its address")
    return _text(text, path)


def _no_json(value: Any, path: str, problem: str) -> EncodeError:
    return EncodeError(
        f"{path}: {type(value).__name__} is not JSON: it {problem}; expected a mapping, list, "
        "string, number, boolean or None, or an object with such members"
    )


# ------------------------------------------------------------------------ flattened and compared


def flattened(config: Config) -> dict[str, Any]:
    """Return the values of a configuration by dotted key; lists and empty objects stay whole.

    Examples
    --------
    >>> flattened({"lr": 0.1, "net": {"width": 8, "tags": ["a"]}})
    {'lr': 0.1, 'net.width': 8, 'net.tags': ['a']}
    """
    return dict(_items(config, ""))


def _items(config: Config, prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from _items(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def differing_keys(configs: Sequence[Config]) -> list[str]:
    """Return the keys whose values are not the same JSON in all flattened configurations.

    A missing key differs from every value, null included.

    Examples
    --------
    >>> differing_keys([{"lr": 0.1, "net.width": 8}, {"lr": 0.1, "net.width": 9}, {"lr": 0.1}])
    ['net.width']
    """
    keys = dict.fromkeys(key for config in configs for key in config)
    return [
        key for key in keys if len({_identity(config.get(key, _MISSING)) for config in configs}) > 1
    ]


def _identity(value: Any) -> Hashable:
    """Return something hashable that is equal for the same JSON: 8 and 8.0, but not 1 and true."""
    if isinstance(value, bool) or value is None:
        return str(value), None
    if isinstance(value, int | float | str) or value is _MISSING:
        return value
    return None, value_json(value)


def value_json(value: Any) -> bytes:
    """Return the canonical JSON of any one plain value, as a mapping's only member."""
    return canonical_json.dumps({"": value}, shipped_format().limits, "config")
