"""Configurations and schemas of two files: which are the same, and where they differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from cmeta.aliases import Array, Mask
from cmeta.records.chunk import Column
from cmeta.records.config import Config, config_json, differing_keys, flattened
from cmeta.schema.schema import Schema
from cmeta.schema.types import Field
from cmeta.tools.diff.diff_report import ConfigDifference, SchemaDifference

KEYS_MAX = 50
_PAIRS_MAX = 100  # of configurations that are compared key by key


class ConfigComparison:
    """The configurations of a and b, and the keys in which they differ.

    Attributes
    ----------
    ids : pair of int64 array, (n_configs,)
        An integer for each configuration of a and of b; equal for equal content.
    """

    def __init__(self, a: Sequence[Config], b: Sequence[Config]) -> None:
        self._a, self._b = a, b
        numbers: dict[bytes, int] = {}
        first, second = (
            np.array([numbers.setdefault(config_json(c), len(numbers)) for c in side] or [-1], "i8")
            for side in (a, b)
        )
        self.ids: tuple[Array, Array] = (first, second)
        self._seen: set[tuple[int, int]] = set()
        self._differences: dict[str, ConfigDifference] = {}

    def add(self, a: Column | None, b: Column | None, differ: Mask, ordinal: int) -> None:
        """Add a window of records in which the configurations differ.

        Parameters
        ----------
        differ : bool array, (n_records,)
        ordinal : int
            Of the window's first record.
        """
        rows = np.flatnonzero(differ)
        pairs = np.stack([_numbers(column, rows) for column in (a, b)], axis=1)
        distinct, firsts = np.unique(pairs, axis=0, return_index=True)
        for place in np.argsort(firsts):
            pair = (int(distinct[place][0]), int(distinct[place][1]))
            if pair in self._seen or len(self._seen) >= _PAIRS_MAX:
                continue
            self._seen.add(pair)
            at = ordinal + int(rows[firsts[place]])
            for key, one, other in config_differences(
                self._a[pair[0]] if pair[0] >= 0 else {}, self._b[pair[1]] if pair[1] >= 0 else {}
            ):
                self._differences.setdefault(key, ConfigDifference(at, key, one, other))

    @property
    def num_keys(self) -> int:
        """How many keys differ."""
        return len(self._differences)

    @property
    def differences(self) -> list[ConfigDifference]:
        """The first `KEYS_MAX` of them."""
        return list(self._differences.values())[:KEYS_MAX]


def _numbers(column: Column | None, rows: Array) -> Array:
    """Return the numbers of configurations; -1 where there is none."""
    if column is None:
        return np.full(len(rows), -1, np.int64)
    values, present = column.rows(rows)
    numbers = values.astype(np.int64)
    return numbers if present is None else np.where(present, numbers, -1)


def config_differences(a: Config, b: Config) -> Iterator[tuple[str, Any, Any]]:
    """Yield each key that differs, with both values; a missing value is None.

    Examples
    --------
    >>> list(config_differences({"lr": 0.1, "net": {"width": 8}}, {"lr": 0.1, "net": {"width": 9}}))
    [('net.width', 8, 9)]
    """
    one, other = flattened(a), flattened(b)
    for key in differing_keys([one, other]):
        yield key, one.get(key), other.get(key)


def schema_differences(
    a: Schema, b: Schema, fields: tuple[Mapping[str, Field], Mapping[str, Field]]
) -> Iterator[SchemaDifference]:
    """Yield where two schemas describe the records differently.

    Parameters
    ----------
    fields : pair of mapping of str to Field
        All fields of a and of b, undeclared ones included.
    """
    if a.batch_records != b.batch_records:
        yield SchemaDifference("batch_records", a.batch_records, b.batch_records)
    if a.open_group != b.open_group:
        yield SchemaDifference("open_group", a.open_group, b.open_group)
    for path in dict.fromkeys([*fields[0], *fields[1]]):
        yield from _field_differences(path, fields[0].get(path), fields[1].get(path))


def _field_differences(path: str, a: Field | None, b: Field | None) -> Iterator[SchemaDifference]:
    if a is None or b is None:
        if any(f is not None and f.declared for f in (a, b)):
            names = (None if f is None else f.type_name for f in (a, b))
            yield SchemaDifference(path, *names)
        return
    properties = {
        "type": (a.type_name, b.type_name),
        "unit": (a.unit, b.unit),
        "quanta_per_unit": (a.quanta_per_unit, b.quanta_per_unit),
        "labels": (", ".join(a.labels), ", ".join(b.labels)),
    }
    for name, (one, other) in properties.items():
        if one != other:
            yield SchemaDifference(f"{path}.{name}", one or None, other or None)
