"""Configurations: taken from a user, as canonical JSON, flattened to dotted keys, and compared."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

from cmeta.errors import EncodeError
from cmeta.schema import canonical_json
from cmeta.schema.language import Limits
from cmeta.schema.load import shipped_format

Config = Mapping[str, Any]
_MISSING = object()


def as_mapping(config: Any, path: str = "config") -> Config:
    """Return a configuration, given as a mapping, a dataclass or a Namespace, as a mapping.

    Raises
    ------
    EncodeError
        It is of another type.
    """
    members = canonical_json.members_of(config)
    if members is None:
        name = type(config).__name__
        raise EncodeError(f"{path}: found a {name}, expected a mapping, dataclass or Namespace")
    return members


def config_json(config: Any, limits: Limits | None = None, path: str = "config") -> bytes:
    """Return the canonical JSON of a configuration: equal for equal configurations.

    Raises
    ------
    EncodeError
        It is not a mapping, dataclass or Namespace, or holds something that is not JSON.
    """
    return canonical_json.dumps(as_mapping(config, path), limits or shipped_format().limits, path)


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
    """Return the canonical JSON of any one value, as a mapping's only member."""
    return canonical_json.dumps({"": value}, shipped_format().limits, "config")
