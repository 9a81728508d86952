"""What the names of other tools tell: the phase, the loss; and what is said of what is left behind.

A metric keeps its whole name. Its first word may name a phase (``val/acc``, ``eval_loss``); a name
that is nothing but that word and ``loss`` is the loss of the phase.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from cmeta.aliases import Array
from cmeta.errors import EncodeError
from cmeta.schema.schema import Schema, default_schema
from cmeta.schema.types import Field
from cmeta.tools.imports.infer import understood_phases
from cmeta.tools.imports.model import Imported, ImportOptions

_WORDS = {
    "train": ("train", "training"),
    "validate": (
        "val", "valid", "validate", "validation", "eval", "evaluate", "evaluation",
        "test", "testing", "dev",
    ),
}  # fmt: skip
_PHASES = {word: phase for phase, words in _WORDS.items() for word in words}
_FIRST_WORD = re.compile(r"([^/_.\-\s]+)[/_.\-\s]+(.*)", re.DOTALL)
_LOSS, _MOST_NAMES = "loss", 8


def phase_of_word(word: str, phases: Collection[str]) -> str | None:
    """Return the phase that a word names, if it names one of `phases`.

    Examples
    --------
    >>> phase_of_word("valid", ("train", "validate")), phase_of_word("model", ("train",))
    ('validate', None)
    """
    if word in phases:
        return word
    phase = _PHASES.get(word.lower())
    return phase if phase in phases else None


def phase_of(name: str, phases: Collection[str]) -> str | None:
    """Return the phase that the first word of a name tells.

    Examples
    --------
    >>> phases = ("dream", "train", "validate")
    >>> [phase_of(name, phases) for name in ("val/acc", "eval_loss", "dream.kl", "loss", "lr")]
    ['validate', 'validate', 'dream', None, None]
    """
    match = _FIRST_WORD.match(name)
    return phase_of_word(match[1], phases) if match else None


def loss_among(names: Iterable[str], phases: Collection[str]) -> str | None:
    """Return the name that is plainly the loss: ``loss``, or else the only one with a phase before.

    Examples
    --------
    >>> phases = ("train", "validate")
    >>> loss_among(["lr", "train/loss", "train/box_loss"], phases)
    'train/loss'
    >>> loss_among(["loss", "train_loss"], phases)
    'loss'
    >>> loss_among(["val/loss", "test/loss"], phases) is None
    True
    """
    likely = []
    for name in names:
        match = _FIRST_WORD.match(name)
        if name == _LOSS:
            return name
        if match and match[2] == _LOSS and phase_of_word(match[1], phases):
            likely.append(name)
    return likely[0] if len(likely) == 1 else None


def free_name(name: str, taken: Collection[str]) -> str:
    """Return a name that is not taken, with as many ``_`` behind it as that needs.

    Examples
    --------
    >>> free_name("wall_time", {"loss", "wall_time"})
    'wall_time_'
    """
    while name in taken:
        name += "_"
    return name


class Tally:
    """Counts what is left behind, by reason and name.

    Examples
    --------
    >>> tally = Tally()
    >>> tally.add("text is not kept", "notes")
    >>> tally.add("text is not kept", "notes")
    >>> list(tally.sentences())
    ['text is not kept: 2 of notes']
    """

    def __init__(self) -> None:
        self._found: dict[str, dict[str, int]] = {}

    def add(self, reason: str, name: str, count: int = 1) -> None:
        """Count values of a name that are left behind."""
        if count:
            names = self._found.setdefault(reason, {})
            names[name] = names.get(name, 0) + count

    def __bool__(self) -> bool:
        return bool(self._found)

    def sentences(self) -> Iterator[str]:
        """Yield a sentence for each reason, in the order in which they came up."""
        for reason, names in self._found.items():
            yield f"{reason}: {sum(names.values()):,} of {listed(names)}"


def listed(names: Iterable[str]) -> str:
    """Return names in a line; of many only the first.

    Examples
    --------
    >>> listed("abcdefghij")
    'a, b, c, d, e, f, g, h and 2 more'
    """
    every = list(names)
    more = f" and {len(every) - _MOST_NAMES:,} more" if len(every) > _MOST_NAMES else ""
    return ", ".join(every[:_MOST_NAMES]) + more


LOSS, EPOCH, WALL_TIME, ABOUT = "loss_value", "epoch", "wall_time", "imported"
_MOST_BYTES = 1 << 33  # of all columns: what is logged by turns fills a table with nothing
_MOST_STEP = 2**63 - 1


@dataclass
class Points:
    """Numbers in the order in which they were logged.

    Attributes
    ----------
    names : dict of str to int
        Each name's place, which `name` holds.
    name, phase, step, value, wall_time, config : array, (n_points,)
        Places in `names`, in the schema's phases and in the configurations; steps from 0; seconds.
        `wall_time` is empty where the tool keeps none, and NaN for a point without one; `config`
        is empty where there is but one.
    lost, notes : Tally
        What is left behind, and what is kept in another form.
    """

    names: dict[str, int] = field(default_factory=dict)
    name: array[int] = field(default_factory=lambda: array("q"))
    phase: array[int] = field(default_factory=lambda: array("B"))
    step: array[int] = field(default_factory=lambda: array("q"))
    value: array[float] = field(default_factory=lambda: array("d"))
    wall_time: array[float] = field(default_factory=lambda: array("d"))
    config: array[int] = field(default_factory=lambda: array("I"))
    lost: Tally = field(default_factory=Tally)
    notes: Tally = field(default_factory=Tally)

    def add(self, name: str, phase: int, step: int, value: float) -> bool:
        """Add a number; returns whether it could be kept."""
        if not 0 <= step <= _MOST_STEP:
            self.lost.add("a step below 0 or beyond 2^63 - 1 is no timestamp", name)
            return False
        self.name.append(self.names.setdefault(name, len(self.names)))
        self.phase.append(phase)
        self.step.append(step)
        self.value.append(self.number(name, value))
        return True

    def number(self, name: str, value: float) -> float:
        """Return a number as a float, and say so if that rounds it."""
        try:
            number = float(value)
        except OverflowError:
            number = float("inf") if value > 0 else float("-inf")
        if isinstance(value, bool):
            self.notes.add("true and false are kept as 1 and 0", name)
        elif isinstance(value, int) and number != value:
            self.lost.add("integers beyond 2^53 are rounded to float64", name)
        return number


def base_schema(options: ImportOptions) -> tuple[Schema, str]:
    """Return the schema to begin with, which has the default phase, and that phase.

    Raises
    ------
    EncodeError
        The schema was stated, and does not have the phase or takes no undeclared metrics.
    """
    schema = options.schema or default_schema()
    phase = understood_phases({options.default_phase}, schema.phases)[options.default_phase]
    if schema.open_group is None:
        raise EncodeError("the schema has no open group, so it cannot take the metrics of a run")
    if phase not in schema.phases and options.schema is not None:
        known = ", ".join(schema.phases)
        raise EncodeError(
            f"found the phase {phase!r}, expected one of: {known}; append it with "
            'schema.with_phases("...")'
        )
    return (schema if phase in schema.phases else schema.with_phases(phase)), phase


def assemble(
    points: Points,
    schema: Schema,
    options: ImportOptions,
    about: Mapping[str, Any],
    configs: Sequence[Mapping[str, Any]] = ({},),
    damage: Sequence[str] = (),
) -> Imported:
    """Return the records that `points` make up.

    Parameters
    ----------
    points : Points
    schema : Schema
        Its phases are those that the points name.
    options : ImportOptions
    about : mapping
        What is known of the source; goes into every configuration under ``imported``.
    configs : sequence of mapping
        What the points' `config` points to, or a single one.
    damage : sequence of str
        Where the source was damaged.

    Raises
    ------
    EncodeError
        The records would take more memory than is reasonable.
    """
    table = _Table(points, schema)
    told = dict(about) | ({LOSS: table.losses} if table.losses else {})
    full = [{**config, free_name(ABOUT, config): told} for config in configs]
    columns = table.columns()
    lost = (*points.lost.sentences(), *table.lost)
    notes = (*points.notes.sentences(), *table.notes)
    is_stated = options.schema is not None
    return Imported(columns, schema, full, lost, notes, tuple(damage), is_stated)


class _Table:
    """Points, kept ones only and ordered by record."""

    def __init__(self, points: Points, schema: Schema) -> None:
        self._schema, self._points = schema, points
        self.lost, self.notes = list[str](), list[str]()
        step = np.array(points.step, np.int64)
        phase = np.array(points.phase, np.uint8)
        name = np.array(points.name, np.int64)
        kept = self._nameable(name)
        order = np.lexsort((phase[kept], step[kept]))
        self._places = kept[order]
        self._step, self._phase = step[self._places], phase[self._places]
        self._name = name[self._places]
        self._begins = _begins(self._step, self._phase, self._name)
        self._record = np.cumsum(self._begins) - 1
        self.num_records = int(self._begins.sum())
        self.losses = self._find_losses()

    def _nameable(self, name: Array) -> Array:
        """Return the places of points whose names a chronicle can hold."""
        most = self._schema.format.limits.name_bytes_max
        counts = np.bincount(name, minlength=len(self._points.names))
        fits = np.ones(len(self._points.names), bool)
        for text, place in self._points.names.items():
            length = len(text.encode(errors="replace"))
            if not 1 <= length <= most or not _is_utf8(text):
                fits[place] = False
                reason = f"a name must be 1 to {most} bytes of UTF-8"
                self._points.lost.add(reason, repr(text[:40]), int(counts[place]))
        return np.flatnonzero(fits[name]) if len(name) else np.zeros(0, np.int64)

    def _find_losses(self) -> dict[str, str]:
        """Return, by phase, the one name that is the loss."""
        phases, names = self._schema.phases, list(self._points.names)
        if LOSS not in self._schema or not _takes_floats(self._schema[LOSS]):
            return {}
        found: dict[str, str] = {}
        for code, phase in enumerate(phases):
            here = np.unique(self._name[self._phase == code]).tolist()
            if loss := loss_among((names[place] for place in here), phases):
                found[phase] = loss
        return found

    def columns(self) -> dict[str, Any]:
        timestamp = self._step[self._begins].astype(np.uint64)
        columns: dict[str, Any] = {
            "timestamp": timestamp, "phase": self._phase[self._begins],
        }  # fmt: skip
        if "step" in self._schema:
            columns["step"] = timestamp
        if self._points.config:
            config = np.array(self._points.config, np.uint32)[self._places]
            columns["config"] = config[self._begins]
        metrics = self._metrics()
        if self._points.wall_time:
            clock = free_name(WALL_TIME, self._points.names)
            times = self._wall_time(clock)
            columns[f"{self._schema.open_group}.{clock}"] = np.ma.masked_where(
                np.isnan(times), times
            )
        return columns | metrics

    def _metrics(self) -> dict[str, Any]:
        path_of = self._paths()
        by_path = path_of[self._phase, self._name]
        self._bound(int(path_of.max(initial=0)) + 1)
        order = np.argsort(by_path, kind="stable")
        edges = np.flatnonzero(np.diff(by_path[order], prepend=-1, append=-1))
        values = np.array(self._points.value, np.float64)[self._places]
        columns: dict[str, Any] = {}
        for begin, end in pairwise(edges.tolist()):
            points = order[begin:end]
            path = self._path_names[int(by_path[points[0]])]
            column = self._column(self._record[points], values[points])
            if path == f"{self._schema.open_group}.{EPOCH}" and self._is_whole(values[points]):
                path, column = EPOCH, column.astype(np.uint32)
            columns[path] = column
        return columns

    def _is_whole(self, values: Array) -> bool:
        """Return whether the field ``epoch`` can take all values."""
        if EPOCH not in self._schema or self._schema[EPOCH].type != "u32":
            return False
        return bool(((values >= 0) & (values < 2**32) & (values == np.floor(values))).all())

    def _paths(self) -> Array:
        """Return the place of a path by phase and name: that of the metric, or of the loss."""
        names = self._points.names
        self._path_names = [self._path(name) for name in names] + [LOSS]
        table = np.tile(np.arange(len(names)), (len(self._schema.phases), 1))
        for phase, name in self.losses.items():
            table[self._schema.phases.index(phase), names[name]] = len(names)
        return table

    def _path(self, name: str) -> str:
        """Return the metric of a name, with another one where the schema means something else."""
        group, taken = self._schema.open_group, set(self._points.names)
        kept = name
        while (path := f"{group}.{kept}") in self._schema and not _takes_floats(self._schema[path]):
            kept = free_name(kept, taken)
        if kept != name:
            self.notes.append(f"{name} is no number in the schema; the metric is {kept}")
        return path

    def _bound(self, num_columns: int) -> None:
        size = num_columns * self.num_records * 9  # a value and its mask
        if size > _MOST_BYTES:
            raise EncodeError(
                f"found {self.num_records:,} records of {num_columns:,} metrics, of which each "
                f"has but a few: {size:,} bytes as columns, at most {_MOST_BYTES:,}; import one "
                "run or one file at a time"
            )

    def _column(self, rows: Array, values: Array) -> Array:
        if len(rows) == self.num_records:
            return values
        whole, absent = np.zeros(self.num_records), np.ones(self.num_records, bool)
        whole[rows], absent[rows] = values, False
        return np.ma.MaskedArray(whole, absent)

    def _wall_time(self, clock: str) -> Array:
        times = np.array(self._points.wall_time, np.float64)[self._places]
        # A record's points stand in the order in which they were logged.
        kept: Array = times[self._begins]
        apart = np.abs(times - kept[self._record])
        num_apart = int((apart > 0).sum())
        if num_apart:
            self.lost.append(
                f"a record has one {clock}, that of its first value; those of {num_apart:,} other "
                f"values are not kept, at most {np.nanmax(apart):.3g} s apart"
            )
        return kept


def _begins(step: Array, phase: Array, name: Array) -> Array:
    """Return which points, ordered by step and phase, begin a record."""
    begins = np.ones(len(step), bool)
    begins[1:] = (step[1:] != step[:-1]) | (phase[1:] != phase[:-1])
    group = np.cumsum(begins) - 1
    order = np.lexsort((name, group))
    again = (group[order][1:] == group[order][:-1]) & (name[order][1:] == name[order][:-1])
    starts = np.append(np.flatnonzero(begins), len(step))
    for number in np.unique(group[order][1:][again]).tolist():
        first = int(starts[number])
        seen: set[int] = set()
        for place, found in enumerate(name[first : int(starts[number + 1])].tolist(), first):
            if found in seen:
                begins[place] = True
                seen.clear()
            seen.add(found)
    return begins


def _takes_floats(found: Field) -> bool:
    return found.is_float and not found.num_components


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
