"""A record in plain Python, as a user gives it and gets it back; and its way to a chunk and back.

`CycleRecord` names the fields of the default schema, so that editors complete them; fields of
another schema are in `extra`, those of a group as a mapping.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from cmeta.errors import EncodeError
from cmeta.records.chunk import Chunk, Column
from cmeta.schema.schema import Schema
from cmeta.schema.types import Field
from cmeta.vocabulary import did_you_mean, field_named


class DiagnosticsSnapshot(Mapping[str, Any]):
    """The metrics of a cycle: a read-only mapping whose keys are attributes too.

    Examples
    --------
    >>> snapshot = DiagnosticsSnapshot(entropy=1.5, state="stable", **{"train/loss": 0.25})
    >>> snapshot.entropy, snapshot["train/loss"], len(snapshot)
    (1.5, 0.25, 3)
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        self._values = {**(values or {}), **more}

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(f"no metric {name!r} in this cycle") from None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mapping) and _key(self) == _key(other)

    def __hash__(self) -> int:
        return hash(_key(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self._values,))

    def __repr__(self) -> str:
        return f"DiagnosticsSnapshot({self._values!r})"


@dataclass(frozen=True, eq=False, kw_only=True)
class CycleRecord:
    """One cycle of a run. Only the phase is required; None is absent.

    Two records are equal if their values are; NaN equals NaN.

    Attributes
    ----------
    timestamp : int
        Monotonic cycle index or epoch time; assigned if it is None.
    phase : str
        "dream", "train", "validate", or a further phase of the schema.
    metrics : DiagnosticsSnapshot
        Declared and undeclared metrics.
    tensor_signature : tuple of float, (3,)
        Mean chromatic vector.
    loss_value, coherence : float
        Loss of learner or evaluator; coherence of dream pool or tensor.
    action_code : str
        The temporal action that was triggered: its name; when writing, also its code.
    seed_state, state_digest : int
        Seed of the cycle; digest of the full state.
    config : mapping
        The configuration of the run.
    step, epoch : int
        The user's own counters.
    extra : mapping
        Fields that only the file's schema names.

    Examples
    --------
    >>> record = CycleRecord(phase="train", timestamp=3, loss_value=0.5, metrics={"lr": 0.1})
    >>> record.loss_value, record.loss, record.lr
    (0.5, 0.5, 0.1)
    """

    phase: str
    timestamp: int | None = None
    metrics: Mapping[str, Any] = field(default_factory=DiagnosticsSnapshot)
    tensor_signature: tuple[float, ...] | None = None
    loss_value: float | None = None
    coherence: float | None = None
    action_code: str | None = None
    seed_state: int | None = None
    config: Mapping[str, Any] | None = None
    state_digest: int | None = None
    step: int | None = None
    epoch: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.metrics, DiagnosticsSnapshot):
            object.__setattr__(self, "metrics", DiagnosticsSnapshot(self.metrics))

    def __getattr__(self, name: str) -> Any:
        """Return a field of another schema, the field that a word means, or a metric."""
        if name.startswith("_") or name in NAMED_FIELDS or name == "extra":  # while it is made
            raise AttributeError(name)
        if name in self.extra:
            return self.extra[name]
        if (path := field_named(name, NAMED_FIELDS)) != name:
            return getattr(self, path)
        if name in self.metrics:
            return self.metrics[name]
        known = (*NAMED_FIELDS, *self.extra, *self.metrics)
        raise AttributeError(f"this record has no field {name!r}{did_you_mean(name, known)}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CycleRecord) and _key(self.as_dict()) == _key(other.as_dict())

    def __hash__(self) -> int:
        return hash(_key(self.as_dict()))

    def as_dict(self) -> dict[str, Any]:
        """Return what is present, nested as the schema nests it."""
        plain = {name: getattr(self, name) for name in NAMED_FIELDS}
        plain["metrics"] = dict(self.metrics) or None
        plain.update(self.extra)
        return {name: value for name, value in plain.items() if value is not None}


NAMED_FIELDS = tuple(f.name for f in fields(CycleRecord) if f.name != "extra")


def flatten(
    record: CycleRecord | Mapping[str, Any], schema: Schema, *, keep_none: bool = False
) -> dict[str, Any]:
    """Return a record's values by dotted name, whose names are those of `Schema.given_field`.

    None is left out, unless `keep_none`. A group is given as a mapping, and `metrics` is the open
    group, whatever its name.

    Raises
    ------
    EncodeError
        A field is not in the schema, or given under two names.
    """
    flat: dict[str, Any] = {}
    given = record.as_dict() if isinstance(record, CycleRecord) else record
    for name, value in given.items():
        if value is None and not (keep_none and name not in schema.groups):
            continue
        group = _group(name, schema)
        if group is None:
            _put(flat, schema.given_field(name).path, value)
            continue
        if not isinstance(value, Mapping):
            raise EncodeError(f"{name}: found a {type(value).__name__}, expected a mapping")
        for member, inner in value.items():
            if not isinstance(member, str):
                kind = type(member).__name__
                raise EncodeError(f"{name}: found the key {member!r}, a {kind}, expected a string")
            if inner is not None or keep_none:
                _put(flat, f"{group}.{member}", inner)
    return flat


def _group(name: str, schema: Schema) -> str | None:
    """Return the group that a name is; `metrics` is the open one, as in `Recorder.log`."""
    if name in schema.groups:
        return name
    return schema.open_group if name == "metrics" and name not in schema else None


def _put(flat: dict[str, Any], path: str, value: Any) -> None:
    if path in flat:
        raise EncodeError(f"{path}: given under two names")
    flat[path] = value


def records_of(chunk: Chunk, configs: Sequence[Mapping[str, Any]]) -> Iterator[CycleRecord]:
    """Yield the records of a chunk, some of them in memory at a time; undoes `flatten`.

    Parameters
    ----------
    configs : sequence of mapping
        What the numbers in column ``config`` refer to.
    """
    nester = _Nester(chunk.columns)
    for begin in range(0, chunk.num_records, _RECORDS_AT_ONCE):
        rows = slice(begin, begin + _RECORDS_AT_ONCE)
        lists = [
            _objects(field, column.rows(rows), configs) for field, column in chunk.columns.items()
        ]
        yield from map(nester.record, zip(*lists, strict=True))


_RECORDS_AT_ONCE = 1024


def _objects(field: Field, column: Column, configs: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Return a column as plain Python, None where absent."""
    values: list[Any] = column.values.tolist()
    if field.labels:
        values = [field.labels[code] for code in values]
    elif field.type == "config":
        values = [configs[number] if number < len(configs) else None for number in values]
    elif field.num_components:
        values = [tuple(vector) for vector in values]
    if column.present is None:
        return values
    present = column.present.tolist()
    return [
        value if is_present else None for value, is_present in zip(values, present, strict=True)
    ]


class _Nester:
    """Makes records from rows of values, whose places are those of `fields`."""

    def __init__(self, fields: Iterable[Field]) -> None:
        self._named: list[tuple[str, int]] = []
        self._extra: list[tuple[str, int]] = []
        self._groups: dict[str, list[tuple[str, int]]] = {}
        for place, field_ in enumerate(fields):
            member = (field_.name, place)
            if field_.group:
                self._groups.setdefault(field_.group, []).append(member)
            elif field_.name in NAMED_FIELDS and field_.name != "metrics":
                self._named.append(member)
            else:
                self._extra.append(member)
        self._metrics = self._groups.pop("metrics", [])

    def record(self, row: Sequence[Any]) -> CycleRecord:
        """Return the record of a row; None is absent."""
        extra = _present(self._extra, row)
        for group, members in self._groups.items():
            if values := _present(members, row):
                extra[group] = values
        named = {name: row[place] for name, place in self._named}
        metrics = DiagnosticsSnapshot(_present(self._metrics, row))
        return CycleRecord(**named, metrics=metrics, extra=extra)


def _present(members: list[tuple[str, int]], row: Sequence[Any]) -> dict[str, Any]:
    return {name: row[place] for name, place in members if row[place] is not None}


def _key(value: Any) -> Any:
    """Return something hashable that is equal for equal values, NaN included."""
    if isinstance(value, Mapping):
        return tuple(sorted((k, _key(v)) for k, v in value.items()))
    if isinstance(value, list | tuple):
        return tuple(_key(v) for v in value)
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    return value
