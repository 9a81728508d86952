"""The names by which conditions, sorting and tables refer to properties of runs; a row is a run.

- ``file state problem num_records first_timestamp last_timestamp len_file num_configs``
- ``phases.NAME``: records of a phase; ``config.KEY``: a value of the configuration
- ``FIELD``, or its name without the group where that is unique: its last value; with ``.min``,
  ``.max``, ``.min_timestamp``, ``.max_timestamp``, ``.num_values`` or ``.num_nan`` that property
- ``min:FIELD`` means ``FIELD.min``, and so on
- ``PHASE/FIELD``, also with these parts: that of one phase. Without a phase, a float is that of
  validation where there is any, else of training; everything else is over all records.
- Words for the loss and for phases as in `cmeta.vocabulary`
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, get_args

import numpy as np

from cmeta.query import hints
from cmeta.query.parse import Expression
from cmeta.query.values import column_of
from cmeta.records.chunk import Column
from cmeta.records.config import differing_keys, value_json
from cmeta.schema.load import shipped_format
from cmeta.tools.runs.run_info import RunInfo, SeriesNames, State
from cmeta.vocabulary import AmbiguousNameError, did_you_mean, phase_named

PROPERTIES = (
    "file", "state", "status", "problem", "num_records", "first_timestamp", "last_timestamp",
    "len_file", "num_configs",
)  # fmt: skip
PARTS = ("last", "min", "max", "num_values", "num_nan", "min_timestamp", "max_timestamp")
# Properties with few values.
TEXTS: Mapping[str, tuple[str, ...]] = {
    "state": get_args(State), "status": ("", *shipped_format().format.statuses),
}  # fmt: skip
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
    phase : str
        The phase, if the name has one.
    """

    name: str
    value: Callable[[RunInfo], Any]
    field: str = ""
    part: str = ""
    phase: str = ""

    def phases_of(self, runs: Iterable[RunInfo]) -> list[str]:
        """Return the phases that a field without one stands for, in runs where it has several."""
        fields = [run.fields[self.field] for run in runs if self.field in run.fields]
        has_others = any(
            field.phase and sum(self.field in fields for fields in run.by_phase.values()) > 1
            for run in runs if (field := run.fields.get(self.field)) is not None
        )  # fmt: skip
        return list(dict.fromkeys(f.phase for f in fields)) if has_others and not self.phase else []


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
        self._names = SeriesNames(runs)

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
        series = self._names.find(inner) if colon and part in PARTS else None
        if series is None:
            part, series = "last", self._names.find(name)
        if series is None:
            inner, _, part = name.rpartition(".")
            series = self._names.find(inner) if part in PARTS else None
        if series is None:
            raise KeyError(self._unknown(name))
        return _key_of_field(*series, part)

    def select(self, expression: Expression) -> list[RunInfo]:
        """Return the runs for which a condition is true.

        Raises
        ------
        QueryError
            A name that no run has, or a text that a property never is.
        """
        expression = expression.with_qualified_names(self._is_phase)
        for name, text in expression.texts:
            if name in TEXTS and text not in TEXTS[name]:
                known = ", ".join(TEXTS[name]) + did_you_mean(text, TEXTS[name])
                raise expression.error(name, f"{name} is never {text!r}; it is one of: {known}")
        if not self._runs:
            return []
        chosen = expression.evaluate(partial(self._column_or_hint, expression.text))
        return [self._runs[i] for i in np.flatnonzero(chosen).tolist()]

    def _column_or_hint(self, text: str, name: str) -> Column:
        try:
            return self.column(name)
        except AmbiguousNameError:
            raise
        except KeyError as err:
            known = [*self._fields, *(f"{_CONFIG}{key}" for key in self._configs)]
            texts = {*self._phases, *(text for texts in TEXTS.values() for text in texts)}
            hint = hints.of_name(name, text, known, texts)
            raise KeyError(f"no run here has {name!r}{hint}" if hint else err.args[0]) from None

    def _is_phase(self, word: str) -> bool:
        """Return whether a word is a phase, and not the name of a property."""
        if phase_named(word, self._phases) is None:
            return False
        try:
            self.key(word)
        except KeyError:
            return True
        return False

    def __contains__(self, name: str) -> bool:
        """Return whether a name is that of a property."""
        try:
            self.key(name)
        except AmbiguousNameError:
            return True
        except KeyError:
            return False
        return True

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
        values = list(map(key.value, self._runs))
        if key.part in _VALUES:  # whatever the types of other runs: 0.1 of a float32 is 0.1
            for i, run in enumerate(self._runs):
                if key.field in run.fields and run.fields[key.field].type == "f32":
                    values[i] = None if values[i] is None else float(str(np.float32(values[i])))
        return column_of(values)

    def _unknown(self, name: str) -> str:
        known = [*PROPERTIES, *self._names.names.values(), *self._fields]
        known += [f"{_CONFIG}{key}" for key in self._configs]
        known += [f"{_PHASES}{phase}" for phase in self._phases]
        base = name.partition(":")[2] or name
        return f"no run here has {name!r}{did_you_mean(base, dict.fromkeys(known))}"


def _key_of_field(phase: str, path: str, part: str) -> Key:
    def value(run: RunInfo) -> Any:
        field = (run.by_phase.get(phase, {}) if phase else run.fields).get(path)
        return None if field is None else getattr(field, part)

    name = f"{phase}/{path}" if phase else path
    return Key(name if part == "last" else f"{name}.{part}", value, path, part, phase)


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


def telling(runs: Sequence[RunInfo]) -> list[str]:
    """Return the keys in which runs differ, those first that are likely to explain a result.

    Numbers and switches come first, then texts that several runs share; a text that is another in
    every run, such as a path, only names it. Lists and objects come last. Among equals, keys that
    are nested less come first.

    Examples
    --------
    >>> runs = [RunInfo(n, "closed", config={"dir": n, "opt": o, "lr": lr, "tags": [n]})
    ...         for n, o, lr in (("a", "adam", 0.1), ("b", "sgd", 0.2), ("c", "sgd", 0.3))]
    >>> telling(runs)
    ['lr', 'opt', 'dir', 'tags']
    """

    def rank(key: str) -> int:
        values = [run.config[key] for run in runs if run.config.get(key) is not None]
        if all(isinstance(value, int | float) for value in values):
            return 0
        if not all(isinstance(value, int | float | str) for value in values):
            return 3
        return 1 if len(set(map(str, values))) < len(values) else 2

    return sorted(differing(runs), key=lambda key: (rank(key), key.count("."), key))


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
