"""What is compared of two runs: their fields, configurations and schemas.

`FieldComparison` says which records differ, by how many quanta, the first and the worst. Floats are
compared as in `cmeta.compare.quanta`. The coarser of two precisions decides, so that the same run
recorded as float32 and as float64 is the same. Integers, names and configurations are equal or not.
NaN equals NaN, an absent value equals an absent one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cmeta.aliases import U64, Array, Mask
from cmeta.compare.quanta import float_distances
from cmeta.records.chunk import Column
from cmeta.records.config import Config, config_json, differing_keys, flattened
from cmeta.schema.schema import Schema
from cmeta.schema.types import Field
from cmeta.tools.diff.diff_report import ConfigDifference, Deviation, FieldDiff, SchemaDifference

Describe = Callable[[int, int | None], Deviation]


@dataclass(frozen=True)
class Outcome:
    """How the records of a window differ in a field.

    Attributes
    ----------
    differ : bool array, (n_records,)
    quanta : uint64 array, (n_records,), or None
        The distance; 0 where none can be measured. None: the field has no quanta.
    """

    differ: Mask
    quanta: U64 | None = None


class FieldComparison:
    """A field as a and b have it, one of which may lack it; its size is fixed.

    Parameters
    ----------
    a, b : Field or None
    config_ids : pair of array, (n_configs,)
        For the number of a configuration in each file, an integer that is equal for equal content.

    Attributes
    ----------
    num_present : list of int, (2,)
        Records of a and of b that have the field, among those that both files have.
    """

    def __init__(self, a: Field | None, b: Field | None, config_ids: tuple[Array, Array]) -> None:
        self.num_present = [0, 0]
        self._num_differing = 0
        self._first: Deviation | None = None
        self._worst: Deviation | None = None
        self._max_quanta = 0
        self._compare: Callable[[Array, Array], Outcome] | None = None
        self._translates = False
        self._quanta_per_unit = 0
        self.is_config = any(f is not None and f.type == "config" for f in (a, b))
        if a is None or b is None or a.num_components != b.num_components:
            return
        if a.is_float and b.is_float:
            self._dtype = min((a.dtype, b.dtype), key=lambda dtype: dtype.itemsize)
            stated = [f.quanta_per_unit for f in (a, b) if f.quanta_per_unit]
            self._quanta_per_unit = min(stated, default=0)
            self._compare = self._floats
        elif a.type == b.type == "config":
            self._tables, self._translates = config_ids, True
            self._compare = self._by_table
        elif a.type == b.type == "enum":
            self._tables, self._translates = _shared_codes(a, b), a.labels != b.labels
            self._compare = _equal if a.labels == b.labels else self._by_table
        elif (a.type[0] in "iu" and b.type[0] in "iu") or a.type == b.type:
            self._compare = _equal

    @property
    def is_fixed_point(self) -> bool:
        """Whether a distance is in quanta of the schema, not in floats."""
        return self._quanta_per_unit > 0

    @property
    def result(self) -> FieldDiff | None:
        """How the field differs; None if it does not."""
        if self._first is None:
            return None
        return FieldDiff(self._num_differing, self._first, self._worst)

    def add(
        self, a: Column | None, b: Column | None, num_records: int, describe: Describe
    ) -> Mask | None:
        """Add a window of the same records of both, and return which of them differ, if any.

        Parameters
        ----------
        describe : callable
            Returns the deviation of a row, given its distance in quanta.
        """
        for side, column in enumerate((a, b)):
            if column is not None:
                mask = column.present
                count = num_records if mask is None else int(np.count_nonzero(mask))
                self.num_present[side] += count
        outcome = self.compare(a, b, num_records)
        if outcome is None:
            return None
        differ, quanta = outcome.differ, outcome.quanta
        self._num_differing += int(np.count_nonzero(differ))
        if self._first is None:
            row = int(np.argmax(differ))
            self._first = describe(row, None if quanta is None else int(quanta[row]) or None)
        if quanta is not None:
            row = int(np.argmax(quanta))
            if quanta[row] > self._max_quanta:
                self._max_quanta = int(quanta[row])
                self._worst = describe(row, self._max_quanta)
        return differ

    def compare(self, a: Column | None, b: Column | None, num_records: int) -> Outcome | None:
        """Return how a window differs; None if all records are the same."""
        has_a, has_b = (_present(column, num_records) for column in (a, b))
        if a is None or b is None or self._compare is None:
            differ = has_a | has_b
            return Outcome(differ) if differ.any() else None
        one, other = a.values, b.values
        same_mask = bool((has_a == has_b).all())
        same_type = one.dtype == other.dtype and not self._translates
        if same_mask and same_type and one.tobytes() == other.tobytes():
            return None
        outcome = self._compare(one, other)
        both = has_a & has_b
        differ = np.where(both, outcome.differ, has_a != has_b)
        if not differ.any():
            return None
        quanta = outcome.quanta
        return Outcome(differ, None if quanta is None else np.where(both, quanta, np.uint64(0)))

    def _by_table(self, a: Array, b: Array) -> Outcome:
        one, other = (
            table[np.minimum(values, len(table) - 1)]
            for table, values in zip(self._tables, (a, b), strict=True)
        )
        return Outcome(one != other)

    def _floats(self, a: Array, b: Array) -> Outcome:
        with np.errstate(over="ignore"):
            one, other = (np.ascontiguousarray(v, self._dtype.newbyteorder("=")) for v in (a, b))
        if one.tobytes() == other.tobytes():
            num_records = len(one)
            return Outcome(np.zeros(num_records, bool), np.zeros(num_records, np.uint64))
        differ, quanta = float_distances(one, other, self._quanta_per_unit)
        return Outcome(_any_component(differ), quanta if quanta.ndim == 1 else quanta.max(axis=1))


def _equal(a: Array, b: Array) -> Outcome:
    return Outcome(_any_component(a != b))


def _any_component(differ: Array) -> Mask:
    return np.asarray(differ if differ.ndim == 1 else differ.any(axis=1), bool)


def _present(column: Column | None, num_records: int) -> Mask:
    return np.zeros(num_records, bool) if column is None else column.mask()


def _shared_codes(a: Field, b: Field) -> tuple[Array, Array]:
    """Return the codes of a's and of b's labels in a numbering that both share."""
    numbers: dict[str, int] = {}
    for label in (*a.labels, *b.labels):
        numbers.setdefault(label, len(numbers))
    return (
        np.array([numbers[label] for label in a.labels]),
        np.array([numbers[label] for label in b.labels]),
    )


def value_of(field: Field | None, column: Column | None, row: int, configs: Any) -> Any:
    """Return one value as a reader gives it, floats by their shortest decimals; None: absent."""
    if field is None or column is None or (column.present is not None and not column.present[row]):
        return None
    value = column.values[row]
    if field.labels:
        return field.labels[int(value)]
    if field.type == "config":
        return configs[int(value)]
    if field.num_components:
        return tuple(_scalar(component) for component in value)
    return _scalar(value)


def _scalar(value: Any) -> Any:
    return float(str(value)) if isinstance(value, np.floating) else value.item()


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

    def add(
        self, a: Column | None, b: Column | None, differ: Mask, ordinal_of: Callable[[int], int]
    ) -> None:
        """Add a window of records in which the configurations differ.

        Parameters
        ----------
        differ : bool array, (n_records,)
        ordinal_of : callable
            Returns the ordinal of a record of the window.
        """
        rows = np.flatnonzero(differ)
        pairs = np.stack([_numbers(column, rows) for column in (a, b)], axis=1)
        distinct, firsts = np.unique(pairs, axis=0, return_index=True)
        for place in np.argsort(firsts):
            pair = (int(distinct[place][0]), int(distinct[place][1]))
            if pair in self._seen or len(self._seen) >= _PAIRS_MAX:
                continue
            self._seen.add(pair)
            at = ordinal_of(int(rows[firsts[place]]))
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
