"""The names by which conditions, sorting and tables refer to properties of runs; a row is a run.

- ``file state problem num_records first_timestamp last_timestamp len_file num_configs``
- ``phases.NAME``: records of a phase; ``config.KEY``: a value of the configuration
- ``FIELD``, or its name without the group where that is unique: its last value; with ``.min``,
  ``.max``, ``.min_timestamp``, ``.max_timestamp``, ``.num_values`` or ``.num_nan`` that property
- ``min:FIELD`` means ``FIELD.min``, and so on
- Words for the loss and for phases as in `cmeta.vocabulary`
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cmeta.query.values import column_of
from cmeta.records.chunk import Column
from cmeta.records.config import differing_keys, value_json
from cmeta.tools.runs.run_info import RunInfo
from cmeta.vocabulary import field_named, phase_named, similar

PROPERTIES = (
    "file", "state", "problem", "num_records", "first_timestamp", "last_timestamp", "len_file",
    "num_configs",
)  # fmt: skip
PARTS = ("last", "min", "max", "num_values", "num_nan", "min_timestamp", "max_timestamp")
_VALUES = ("last", "min", "max")  # parts of the field's own type
_CONFIG, _PHASES = "config.", "phases."


@dataclass(frozen=True)
class Key:
    """A property of runs.

    Attributes
    ----------
    name : str
        Its full name.
    value : callable
        Returns the value for a run; None if it has none.
    field, part : str
        The field and the part of it, such as ``min``; "" for other properties.
    """

    name: str
    value: Callable[[RunInfo], Any]
    field: str = ""
    part: str = ""


class Keys:
    """The properties that some runs have.

    Examples
    --------
    >>> from cmeta.tools.runs.run_info import RunField
    >>> accuracy = RunField("f32", 3, 0.5, 0.25, 0.75)
    >>> runs = [RunInfo("a.cmeta", "closed", fields={"metrics.accuracy": accuracy}),
    ...         RunInfo("b.cmeta", "closed", config={"lr": 0.1})]
    >>> keys = Keys(runs)
    >>> keys.values("accuracy.max"), keys.values("config.lr"), keys.key("max:accuracy").name
    ([0.75, None], [None, 0.1], 'metrics.accuracy.max')
    """

    def __init__(self, runs: Sequence[RunInfo]) -> None:
        self._runs = runs
        self._fields = dict.fromkeys(name for run in runs for name in run.fields)
        self._configs = dict.fromkeys(key for run in runs for key in run.config)
        self._phases = dict.fromkeys(name for run in runs for name in run.phases)
        shorts = Counter(map(_short, self._fields))
        self._paths = {_short(path): path for path in self._fields if shorts[_short(path)] == 1}
        self._paths |= {path: path for path in self._fields}

    def key(self, name: str) -> Key:
        """Return the property of a name.

        Raises
        ------
        KeyError
            No run has it; the message lists similar names.
        """
        if name in PROPERTIES:
            attribute = "path" if name == "file" else name
            return Key(name, lambda run: getattr(run, attribute))
        if name.startswith(_CONFIG) and (inner := name.removeprefix(_CONFIG)) in self._configs:
            return Key(name, lambda run: run.config.get(inner))
        if name.startswith(_PHASES):
            phase = phase_named(name.removeprefix(_PHASES), self._phases)
            if phase is not None:
                return Key(f"{_PHASES}{phase}", lambda run: run.phases.get(phase, 0))
        part, colon, inner = name.partition(":")
        if not (colon and part in PARTS and (path := self._path(inner))):
            part, path = "last", self._path(name)
        if not path:
            inner, _, part = name.rpartition(".")
            path = self._path(inner) if part in PARTS else None
        if not path:
            raise KeyError(self._unknown(name))
        return _key_of_field(path, part)

    def values(self, name: str) -> list[Any]:
        """Return the value of each run for a name; None if it has none."""
        value = self.key(name).value
        return [value(run) for run in self._runs]

    def column(self, name: str) -> Column:
        """Return the values for a name as a column, for conditions.

        Raises
        ------
        KeyError
        """
        key = self.key(name)
        values, present = column_of(map(key.value, self._runs))
        if key.part in _VALUES:
            types = {run.fields[key.field].type for run in self._runs if key.field in run.fields}
            if types == {"f32"}:  # 0.1 as a float32 is not 0.1 as a float64
                values = values.astype(np.float32)
        return Column(values, present)

    def _path(self, name: str) -> str | None:
        return self._paths.get(field_named(name, self._paths))

    def _unknown(self, name: str) -> str:
        known = [*PROPERTIES, *self._paths]
        known += [f"{_CONFIG}{key}" for key in self._configs]
        known += [f"{_PHASES}{phase}" for phase in self._phases]
        base = name.partition(":")[2] or name
        guesses = similar(base, dict.fromkeys(known))
        hint = f"; did you mean {' or '.join(guesses)}?" if guesses else ""
        return f"no run here has {name!r}{hint}"


def _key_of_field(path: str, part: str) -> Key:
    def value(run: RunInfo) -> Any:
        field = run.fields.get(path)
        return None if field is None else getattr(field, part)

    return Key(path if part == "last" else f"{path}.{part}", value, path, part)


def _short(path: str) -> str:
    """Return a field's name without its group."""
    return path.partition(".")[2] or path


def in_order(values: Sequence[Any], *, reverse: bool = False) -> list[int]:
    """Return the indices that sort values: numbers, strings, others, then NaN, then None.

    NaN and None come last in reverse order as well.

    Examples
    --------
    >>> in_order([3, None, float("nan"), 1]), in_order([3, None, float("nan"), 1], reverse=True)
    ([3, 0, 2, 1], [0, 3, 2, 1])
    """
    ranked = [(*_rank(value), place) for place, value in enumerate(values)]
    sortable = [item for item in ranked if item[0] < _LAST]
    sortable.sort(key=lambda item: item[:2], reverse=reverse)  # stable: equal ones keep their order
    last = sorted(item for item in ranked if item[0] >= _LAST)
    return [item[2] for item in sortable + last]


_LAST = 3


def _rank(value: Any) -> tuple[int, Any]:
    if value is None:
        return _LAST + 1, 0
    if isinstance(value, float) and math.isnan(value):
        return _LAST, 0
    if isinstance(value, int | float):
        return 0, value
    return (1, value) if isinstance(value, str) else (2, value_json(value))


def differing(runs: Sequence[RunInfo]) -> list[str]:
    """Return the keys of the configuration in which runs differ, sorted; null is a missing value.

    Examples
    --------
    >>> runs = [RunInfo("a", "closed", config={"lr": lr, "seed": 7}) for lr in (0.1, 0.2)]
    >>> differing(runs)
    ['lr']
    """
    stated = [{k: v for k, v in run.config.items() if v is not None} for run in runs]
    return sorted(differing_keys(stated))
