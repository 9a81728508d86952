"""Names for what is known of runs, as conditions, sorting and tables use them; a row is a run.

- ``file state problem num_records first_timestamp last_timestamp len_file num_configs``
- ``phases.NAME``: records of a phase; ``config.KEY``: of the configuration
- ``FIELD``, also without its group where that is unique: its last value; with ``.min``, ``.max``,
  ``.min_timestamp``, ``.max_timestamp``, ``.num_values`` or ``.num_nan`` something else of it
- ``min:FIELD``, ``max:FIELD`` and ``last:FIELD`` mean the same
"""

from __future__ import annotations

import difflib
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cmeta.query.values import column_of
from cmeta.records.chunk import Column
from cmeta.schema.canonical_json import dumps
from cmeta.schema.load import shipped_format
from cmeta.tools.runs.run_info import RunInfo

FACTS = (
    "file", "state", "problem", "num_records", "first_timestamp", "last_timestamp", "len_file",
    "num_configs",
)  # fmt: skip
PARTS = ("last", "min", "max", "num_values", "num_nan", "min_timestamp", "max_timestamp")
_VALUES = ("last", "min", "max")  # parts that have the type of the field
_CONFIG, _PHASES = "config.", "phases."
_GUESSES_MAX = 3


@dataclass(frozen=True)
class Key:
    """A name that has been understood.

    Attributes
    ----------
    name : str
        In full.
    value : callable
        Gives what a run has for it; None if nothing.
    field, part : str
        The field that it is of, and what of it; "" if it is of none.
    """

    name: str
    value: Callable[[RunInfo], Any]
    field: str = ""
    part: str = ""


class Keys:
    """What some runs have names for.

    Examples
    --------
    >>> from cmeta.tools.runs.run_info import RunField
    >>> known = RunField("f32", 3, 0.5, 0.25, 0.75)
    >>> runs = [RunInfo("a.cmeta", "closed", fields={"metrics.accuracy": known}),
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
        self._shorts = {_short(path): path for path in self._fields if shorts[_short(path)] == 1}

    def key(self, name: str) -> Key:
        """Return what a name means.

        Raises
        ------
        KeyError
            No run has anything of this name; says what is alike.
        """
        if name in FACTS:
            attribute = "path" if name == "file" else name
            return Key(name, lambda run: getattr(run, attribute))
        if name.startswith(_CONFIG) and (inner := name.removeprefix(_CONFIG)) in self._configs:
            return Key(name, lambda run: run.config.get(inner))
        if name.startswith(_PHASES) and (inner := name.removeprefix(_PHASES)) in self._phases:
            return Key(name, lambda run: run.phases.get(inner, 0))
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
        """Return what each run has for a name, None for nothing."""
        value = self.key(name).value
        return [value(run) for run in self._runs]

    def column(self, name: str) -> Column:
        """Return values as a column that conditions take, and which runs have one.

        Raises
        ------
        KeyError
        """
        key = self.key(name)
        values, present = column_of(map(key.value, self._runs))
        if key.part in _VALUES:
            types = {run.fields[key.field].type for run in self._runs if key.field in run.fields}
            if types == {"f32"}:  # for which 0.1 means another value than for a float64
                values = values.astype(np.float32)
        return Column(values, present)

    def _path(self, name: str) -> str | None:
        return name if name in self._fields else self._shorts.get(name)

    def _unknown(self, name: str) -> str:
        known = [*FACTS, *self._fields, *self._shorts]
        known += [f"{_CONFIG}{key}" for key in self._configs]
        known += [f"{_PHASES}{phase}" for phase in self._phases]
        base = name.partition(":")[2] or name
        close = list(dict.fromkeys(difflib.get_close_matches(base, known, _GUESSES_MAX)))
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        return f"no run here has {name!r}{hint}"


def _key_of_field(path: str, part: str) -> Key:
    def value(run: RunInfo) -> Any:
        known = run.fields.get(path)
        return None if known is None else getattr(known, part)

    return Key(path if part == "last" else f"{path}.{part}", value, path, part)


def _short(path: str) -> str:
    """Return a field's name without its group."""
    return path.partition(".")[2] or path


def in_order(values: Sequence[Any], *, reverse: bool = False) -> list[int]:
    """Return the places of values in their order: numbers, texts, others; then NaN; then nothing.

    What is missing comes last in reverse as well.

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
    return (1, value) if isinstance(value, str) else (2, _text(value))


def differing(runs: Sequence[RunInfo]) -> list[str]:
    """Return the keys of the configuration in which runs differ, in the order of their names.

    Examples
    --------
    >>> runs = [RunInfo("a", "closed", config={"lr": lr, "seed": 7}) for lr in (0.1, 0.2)]
    >>> differing(runs)
    ['lr']
    """
    keys = sorted({key for run in runs for key in run.config})
    return [key for key in keys if len({_same(run.config.get(key)) for run in runs}) > 1]


def _same(value: Any) -> Any:
    """Return something that is equal for the same JSON, and can stand in a set."""
    if isinstance(value, bool) or value is None:
        return str(value), None  # True is 1 in Python, but not in JSON
    return value if isinstance(value, int | float | str) else (None, _text(value))


def _text(value: Any) -> bytes:
    return dumps({"": value}, shipped_format().limits, "config")
