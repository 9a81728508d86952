"""Scalars as training tools log them, one by one, and the records that they make up.

- A record is one (step, phase). A scalar joins the latest record of its step and phase; a name that
  this record already has begins another record of equal timestamp. A value that was logged late so
  finds its record, and a step that was logged twice is two records, in order.
- ``timestamp`` and ``step`` are the step; ``wall_time`` is that of the record's first scalar.
- A metric keeps its whole name. Its first word may name a phase (``val/acc``, ``eval_loss``), which
  is appended to the schema if that lacks it; a schema that the user gave stays as it is.
- The loss of a phase, if a single name plainly is that, becomes `loss_value`; the configuration
  keeps its name under ``imported``.
- ``epoch`` is the field of that name if all of its values are whole numbers, otherwise a metric.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from cmeta.aliases import Array
from cmeta.errors import EncodeError
from cmeta.schema.load import shipped_format
from cmeta.schema.schema import default_schema
from cmeta.schema.types import Field
from cmeta.tools.imports.cells import Cells
from cmeta.tools.imports.columns import NAMES_MAX, names_beyond
from cmeta.tools.imports.formats import Imported, ImportOptions, listed
from cmeta.vocabulary import (
    PHASES,
    did_you_mean,
    loss_among,
    phase_named,
    phase_of_name,
    phases_named,
)

LOSS, EPOCH, WALL_TIME, ABOUT = "loss_value", "epoch", "wall_time", "imported"
_STEP_MAX = 2**63 - 1
DEPTH_MAX = shipped_format().format.limits.json_depth_max  # levels of a configuration
NO_CONFIG = 2**32 - 1  # in place of the index of a configuration
CONFIGS_FREE = 1 << 22  # bytes of JSON that the configurations of any run may have
_STATUSES = {
    "FINISHED": "finished", "COMPLETED": "finished", "FAILED": "failed", "KILLED": "interrupted",
    "INTERRUPTED": "interrupted",
}  # fmt: skip


class ReasonCounts:
    """Counts the values that a sentence of the report is about, by reason and name.

    Examples
    --------
    >>> counts = ReasonCounts()
    >>> counts.add("text is not kept", "notes")
    >>> counts.add("text is not kept", "notes")
    >>> list(counts.sentences())
    ['text is not kept: 2 of notes']
    """

    def __init__(self) -> None:
        self._counts: dict[str, dict[str, int]] = {}

    def add(self, reason: str, name: str, count: int = 1) -> None:
        """Count values of a name."""
        if count:
            names = self._counts.setdefault(reason, {})
            names[name] = names.get(name, 0) + count

    def sentences(self) -> Iterator[str]:
        """Yield one sentence for each reason, in the order in which they came up."""
        for reason, names in self._counts.items():
            yield f"{reason}: {sum(names.values()):,} of {listed(names)}"


def status_named(word: object) -> str | None:
    """Return how a run ended, of a tool's word for it; None: it had not ended, or nobody knows.

    Examples
    --------
    >>> status_named("KILLED"), status_named("RUNNING")
    ('interrupted', None)
    """
    return _STATUSES.get(word) if isinstance(word, str) else None


def free_name(name: str, *taken: Container[str]) -> str:
    """Return a name that is not taken, with ``_`` appended as often as needed.

    Examples
    --------
    >>> free_name("wall_time", {"loss", "wall_time"})
    'wall_time_'
    """
    while any(name in names for names in taken):
        name += "_"
    return name


class ScalarLog:
    """Scalars in the order in which they were logged.

    Parameters
    ----------
    options : ImportOptions

    Attributes
    ----------
    schema : Schema
        With the phases that have occurred so far.
    default_phase : str
        The phase of names that do not tell theirs.
    names : dict of str to int
        The index of each name, which `name` holds.
    name, phase, step, value, wall_time, config : array, (n_scalars,)
        Indices into `names`, the schema's phases and the configurations; steps from 0; seconds.
        `wall_time` is empty if the tool keeps none, and NaN for a scalar without one; `config` is
        empty if there is only one configuration, and `NO_CONFIG` for a scalar without one.
    lost, notes : ReasonCounts
        Values that are left out, and values that are kept in another form.

    Raises
    ------
    EncodeError
        The user's schema lacks the default phase, or takes no undeclared metrics.
    """

    def __init__(self, options: ImportOptions) -> None:
        self.schema = options.schema or default_schema()
        self.is_schema_stated = options.schema is not None
        if self.schema.open_group is None:
            raise EncodeError(
                "the schema has no open group, so it cannot take the metrics of a run"
            )
        (self.default_phase,) = phases_named([options.default_phase], self.schema.phases).values()
        self._appended: list[str] = []  # notes
        if self.default_phase not in self.schema.phases:
            hint = did_you_mean(self.default_phase, self.schema.phases)
            if self.is_schema_stated:
                raise EncodeError(
                    f"found the phase {self.default_phase!r}, expected one of: "
                    f"{', '.join(self.schema.phases)}{hint}; "
                    'append it with schema.with_phases("...")'
                )
            self._appended += [_appended(self.default_phase) + hint] if hint else []
            self.schema = self.schema.with_phases(self.default_phase)
        self._codes = {phase: code for code, phase in enumerate(self.schema.phases)}
        self.names: dict[str, int] = {}
        self.name, self.phase, self.step = array("q"), array("B"), array("q")
        self.value, self.wall_time, self.config = array("d"), array("d"), array("I")
        self.lost, self.notes = ReasonCounts(), ReasonCounts()

    def phase_of_word(self, word: str) -> str | None:
        """Return the phase that a word names, such as a folder's name, or None."""
        return phase_named(word, self._known_phases)

    def phase_of_name(self, name: str) -> str | None:
        """Return the phase that the first word of a metric's name gives, or None."""
        return phase_of_name(name, self._known_phases)

    @property
    def _known_phases(self) -> Collection[str]:
        return self.schema.phases if self.is_schema_stated else {*self._codes, *PHASES}

    def code_of(self, phase: str) -> int:
        """Return the code of a phase, after it was appended to the schema if need be."""
        if phase not in self._codes:
            self._codes[phase] = len(self._codes)
            self._appended.append(_appended(phase))
            self.schema = self.schema.with_phases(phase)
        return self._codes[phase]

    def add(self, name: str, phase: str, step: int, value: float) -> bool:
        """Add a scalar; returns whether it could be kept."""
        if not 0 <= step <= _STEP_MAX:
            self.lost.add("a step below 0 or beyond 2^63 - 1 is not a valid timestamp", name)
            return False
        self.name.append(self.names.setdefault(name, len(self.names)))
        self.phase.append(self.code_of(phase))
        self.step.append(step)
        self.value.append(self.number(name, value))
        return True

    def number(self, name: str, value: float) -> float:
        """Return a number as a float, and count it if that rounds it."""
        try:
            number = float(value)
        except OverflowError:
            self.lost.add("numbers beyond the range of float64 are kept as infinity", name)
            return float("inf") if value > 0 else float("-inf")
        if isinstance(value, bool):
            self.notes.add("true and false are kept as 1 and 0", name)
        elif isinstance(value, int) and number != value:
            self.lost.add("integers beyond 2^53 are rounded to float64", name)
        return number

    def imported(
        self,
        about: Mapping[str, Any],
        configs: Sequence[Mapping[str, Any]] = ({},),
        damage: Sequence[str] = (),
        status: str | None = None,
    ) -> Imported:
        """Return the records that the scalars make up.

        Parameters
        ----------
        about : mapping
            Facts about the source; every configuration gets them under ``imported``.
        configs : sequence of mapping
            The configurations that `config` refers to, or a single one.
        damage : sequence of str
            Where the source was damaged.
        status : str or None
            How the run ended; see `status_named`.
        """
        records = _Records(self)
        facts = dict(about) | ({LOSS: records.losses} if records.losses else {})
        facts = _recordable(facts, f"config.{ABOUT}", self.lost, DEPTH_MAX - 1)
        own = [_recordable(config, "config", self.lost) for config in configs]
        num_full = len(own)
        if len(json.dumps(facts)) * num_full > CONFIGS_FREE:
            num_full = 1
            self._appended.append("facts about the run are in its first configuration only")
        full = [{**c, free_name(ABOUT, c): facts} if i < num_full else c for i, c in enumerate(own)]
        columns = records.columns()
        return Imported(
            columns, self.schema, full,
            lost=(*self.lost.sentences(), *records.lost),
            notes=(*self.notes.sentences(), *self._appended, *records.notes),
            damage=tuple(damage), is_schema_stated=self.is_schema_stated,
            status=status,
        )  # fmt: skip


class _Records:
    """The records of a log: its scalars that can be kept, ordered by record."""

    def __init__(self, log: ScalarLog) -> None:
        self._schema, self._log = log.schema, log
        self.lost, self.notes = list[str](), list[str]()
        step = np.array(log.step, np.int64)
        phase = np.array(log.phase, np.uint8)
        name = np.array(log.name, np.int64)
        kept = self._with_valid_names(name)
        self._order = kept[np.lexsort((phase[kept], step[kept]))]
        self._step, self._phase = step[self._order], phase[self._order]
        self._name = name[self._order]
        self._begins = _begins(self._step, self._phase, self._name)
        self._record = np.cumsum(self._begins) - 1
        self.num_records = int(self._begins.sum())
        self.losses = self._find_losses()

    def _with_valid_names(self, name: Array) -> Array:
        """Return the indices of the scalars whose names a chronicle can hold."""
        len_max = self._schema.format.limits.name_bytes_max
        counts = np.bincount(name, minlength=len(self._log.names))
        fits = np.ones(len(self._log.names), bool)
        beyond = {}
        for text, index in self._log.names.items():
            if index >= NAMES_MAX:
                fits[index], beyond[text] = False, int(counts[index])
                continue
            length = len(text.encode(errors="replace"))
            if not 1 <= length <= len_max or not _is_utf8(text):
                fits[index] = False
                reason = f"a name must be 1 to {len_max} bytes of UTF-8"
                self._log.lost.add(reason, repr(text[:40]), int(counts[index]))
        self.lost += [names_beyond(beyond)] if beyond else []
        return np.flatnonzero(fits[name]) if len(name) else np.zeros(0, np.int64)

    def _find_losses(self) -> dict[str, str]:
        """Return, by phase, the one name that is the loss."""
        phases, names = self._schema.phases, list(self._log.names)
        if LOSS not in self._schema or not takes_floats(self._schema[LOSS]):
            return {}
        losses: dict[str, str] = {}
        for code, phase in enumerate(phases):
            used = np.unique(self._name[self._phase == code]).tolist()
            if loss := loss_among((names[index] for index in used), phases):
                losses[phase] = loss
        return losses

    def columns(self) -> dict[str, Cells]:
        """Return the columns by dotted name."""
        timestamp = Cells(None, self._step[self._begins].astype(np.uint64))
        columns = {"timestamp": timestamp, "phase": Cells(None, self._phase[self._begins])}
        if "step" in self._schema:
            columns["step"] = timestamp
        if self._log.config:
            config = np.array(self._log.config, np.uint32)[self._order][self._begins]
            columns["config"] = Cells(None, config).kept(config != NO_CONFIG)
        metrics = self._metrics()
        if self._log.wall_time:
            clock = free_name(WALL_TIME, self._log.names)
            times = self._wall_time(clock)
            columns[f"{self._schema.open_group}.{clock}"] = Cells(None, times).kept(
                ~np.isnan(times)
            )
        return columns | metrics

    def _metrics(self) -> dict[str, Cells]:
        paths, path_of = self._paths()
        by_path = path_of[self._phase, self._name]
        order = np.argsort(by_path, kind="stable")
        edges = np.flatnonzero(np.diff(by_path[order], prepend=-1, append=-1))
        values = np.array(self._log.value, np.float64)[self._order]
        columns: dict[str, Cells] = {}
        for begin, end in pairwise(edges.tolist()):
            scalars = order[begin:end]
            path = paths[int(by_path[scalars[0]])]
            cells = self._cells(self._record[scalars], values[scalars])
            if path == f"{self._schema.open_group}.{EPOCH}" and self._is_epoch(cells.values):
                path, cells = EPOCH, cells.with_values(cells.values.astype(np.uint32))
            columns[path] = cells
        return columns

    def _is_epoch(self, values: Array) -> bool:
        """Return whether the field ``epoch`` can take all values."""
        if EPOCH not in self._schema or self._schema[EPOCH].type != "u32":
            return False
        return bool(((values >= 0) & (values < 2**32) & (values == np.floor(values))).all())

    def _paths(self) -> tuple[list[str], Array]:
        """Return the paths of the columns, and the index of each by phase and name."""
        names = self._log.names
        paths = [self._path(name) for name in names] + [LOSS]
        path_of = np.tile(np.arange(len(names)), (len(self._schema.phases), 1))
        for phase, name in self.losses.items():
            path_of[self._schema.phases.index(phase), names[name]] = len(names)
        return paths, path_of

    def _path(self, name: str) -> str:
        """Return the path of a metric, renamed if the schema declares the name as another type."""
        group = self._schema.open_group
        free = name
        while (path := f"{group}.{free}") in self._schema and not takes_floats(self._schema[path]):
            free = free_name(free, self._log.names)
        if free != name:
            self.notes.append(f"{name} is not a number in the schema; the metric is {free}")
        return path

    def _cells(self, rows: Array, values: Array) -> Cells:
        return Cells(None if len(rows) == self.num_records else rows, values)

    def _wall_time(self, clock: str) -> Array:
        times = np.array(self._log.wall_time, np.float64)[self._order]
        first: Array = times[self._begins]  # a record's scalars are in the order of the log
        with np.errstate(invalid="ignore"):  # times may be infinite
            apart = np.abs(times - first[self._record])
        num_apart = int((apart > 0).sum())
        if num_apart:
            self.notes.append(
                f"a record has one {clock}, that of its first value; those of {num_apart:,} other "
                f"values are not kept, at most {np.nanmax(apart):.3g} s apart"
            )
        return first


def _appended(phase: str) -> str:
    return f"the phase {phase} was appended to the schema"


def is_deeper(value: Any, most: int) -> bool:
    """Return whether objects and lists are nested to more levels.

    Examples
    --------
    >>> is_deeper({"a": [1]}, 2), is_deeper({"a": [1]}, 1)
    (False, True)
    """
    level = [value]
    for _ in range(most + 1):
        level = [v for v in level if isinstance(v, Mapping | list | tuple)]
        if not level:
            return False
        inner = [v.values() if isinstance(v, Mapping) else v for v in level]
        level = [value for values in inner for value in values]
    return True


def _recordable(value: Any, path: str, lost: ReasonCounts, depth: int = DEPTH_MAX) -> Any:
    """Return plain data that a configuration can hold.

    Half a character pair in a text is replaced, and what is nested too deeply is None; both are
    counted.
    """
    if isinstance(value, str) and not _is_utf8(value):
        lost.add(
            "texts that are not UTF-8 have ? in their place", path.encode(errors="replace").decode()
        )
        return value.encode(errors="replace").decode()
    if not isinstance(value, Mapping | list | tuple):
        return value
    if depth == 0:
        lost.add(f"nested beyond {DEPTH_MAX} levels", path.encode(errors="replace").decode()[:80])
        return None
    if isinstance(value, Mapping):
        pairs = [(_recordable(key, path, lost), inner) for key, inner in value.items()]
        return {key: _recordable(v, f"{path}.{key}", lost, depth - 1) for key, v in pairs}
    return [_recordable(inner, path, lost, depth - 1) for inner in value]


def _begins(step: Array, phase: Array, name: Array) -> Array:
    """Return which scalars, ordered by step and phase, begin a record."""
    begins = np.ones(len(step), bool)
    begins[1:] = (step[1:] != step[:-1]) | (phase[1:] != phase[:-1])
    group = np.cumsum(begins) - 1
    order = np.lexsort((name, group))
    again = (group[order][1:] == group[order][:-1]) & (name[order][1:] == name[order][:-1])
    starts = np.append(np.flatnonzero(begins), len(step))
    for number in np.unique(group[order][1:][again]).tolist():
        first = int(starts[number])
        seen: set[int] = set()
        for i, index in enumerate(name[first : int(starts[number + 1])].tolist(), first):
            if index in seen:
                begins[i] = True
                seen.clear()
            seen.add(index)
    return begins


def takes_floats(field: Field) -> bool:
    """Return whether a field holds one float."""
    return field.is_float and not field.num_components


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
