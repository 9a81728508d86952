"""Configurations of two files: which are the same, and which keys differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from cmeta.aliases import Array, Mask
from cmeta.records.chunk import Column
from cmeta.schema import canonical_json
from cmeta.schema.load import shipped_format
from cmeta.schema.schema import Schema
from cmeta.schema.types import Field
from cmeta.tools.diff.diff_report import ConfigDifference, SchemaDifference

MOST_KEYS = 50
_MOST_PAIRS = 100  # of configurations that are looked into
Config = Mapping[str, Any]


class Configs:
    """The configurations of a and b.

    Attributes
    ----------
    ids : pair of int64 array, (n_configs,)
        An integer for each number: the same for the same content.
    """

    def __init__(self, a: Sequence[Config], b: Sequence[Config]) -> None:
        self._a, self._b = a, b
        numbers: dict[bytes, int] = {}
        limits = shipped_format().limits
        first, second = (
            np.array(
                [
                    numbers.setdefault(canonical_json.dumps(c, limits, "config"), len(numbers))
                    for c in side
                ]
                or [-1],
                np.int64,
            )
            for side in (a, b)
        )
        self.ids: tuple[Array, Array] = (first, second)
        self._seen: set[tuple[int, int]] = set()
        self._found: dict[str, ConfigDifference] = {}

    def look(self, a: Column | None, b: Column | None, differ: Mask, ordinal: int) -> None:
        """Note the keys of the configurations that differ in a window.

        Parameters
        ----------
        differ : bool array, (n_records,)
        ordinal : int
            Of the window's first record.
        """
        rows = np.flatnonzero(differ)
        pairs = np.stack([_numbers(cells, rows) for cells in (a, b)], axis=1)
        distinct, firsts = np.unique(pairs, axis=0, return_index=True)
        for place in np.argsort(firsts):
            pair = (int(distinct[place][0]), int(distinct[place][1]))
            if pair in self._seen or len(self._seen) >= _MOST_PAIRS:
                continue
            self._seen.add(pair)
            at = ordinal + int(rows[firsts[place]])
            for key, one, other in differing_keys(
                self._a[pair[0]] if pair[0] >= 0 else {}, self._b[pair[1]] if pair[1] >= 0 else {}
            ):
                self._found.setdefault(key, ConfigDifference(at, key, one, other))

    @property
    def num_keys(self) -> int:
        """How many keys differ."""
        return len(self._found)

    @property
    def found(self) -> list[ConfigDifference]:
        """The first of them."""
        return list(self._found.values())[:MOST_KEYS]


def differing_keys(a: Config, b: Config) -> Iterator[tuple[str, Any, Any]]:
    """Yield key path and values of what differs; a missing value is None.

    Examples
    --------
    >>> list(differing_keys({"lr": 0.1, "net": {"width": 8}}, {"lr": 0.1, "net": {"width": 9}}))
    [('net.width', 8, 9)]
    """
    one, other = dict(_flat(a, "")), dict(_flat(b, ""))
    for key in dict.fromkeys([*one, *other]):
        if key not in one or key not in other or _text(one[key]) != _text(other[key]):
            yield key, one.get(key), other.get(key)


def _flat(config: Config, prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _text(value: Any) -> bytes:
    return canonical_json.dumps({"": value}, shipped_format().limits, "config")


def _numbers(cells: Column | None, rows: Array) -> Array:
    if cells is None:
        return np.full(len(rows), -1, np.int64)
    values = cells.values[rows].astype(np.int64)
    return values if cells.present is None else np.where(cells.present[rows], values, -1)


def schema_differences(
    a: Schema, b: Schema, fields: tuple[Mapping[str, Field], Mapping[str, Field]]
) -> Iterator[SchemaDifference]:
    """Yield what two schemas say differently of the records.

    Parameters
    ----------
    fields : pair of mapping of str to Field
        All fields of a and of b, the undeclared ones included.
    """
    if a.batch_records != b.batch_records:
        yield SchemaDifference("batch_records", a.batch_records, b.batch_records)
    if a.open_group != b.open_group:
        yield SchemaDifference("open_group", a.open_group, b.open_group)
    for path in dict.fromkeys([*fields[0], *fields[1]]):
        yield from _of_field(path, fields[0].get(path), fields[1].get(path))


def _of_field(path: str, a: Field | None, b: Field | None) -> Iterator[SchemaDifference]:
    if a is None or b is None:
        declared = [f for f in (a, b) if f is not None and f.declared]
        if declared:
            names = (None if f is None else f.type_name for f in (a, b))
            yield SchemaDifference(path, *names)
        return
    facts = {
        "type": (a.type_name, b.type_name),
        "unit": (a.unit, b.unit),
        "quanta_per_unit": (a.quanta_per_unit, b.quanta_per_unit),
        "labels": (", ".join(a.labels), ", ".join(b.labels)),
    }
    for name, (one, other) in facts.items():
        if one != other:
            yield SchemaDifference(f"{path}.{name}", one or None, other or None)
