"""Tallies: a run's columns summed up batch by batch, without a step of Python for each record."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np

from cmeta.aliases import Array
from cmeta.errors import CmetaError, DecodeError
from cmeta.reader.reader import Reader
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.schema.types import Field
from cmeta.storage.open import AnyBatch
from cmeta.tools.runs.run_info import RunField, RunInfo, Scalar, State

NUM_BINS = 32
COMPONENTS_MAX = 16  # of a vector: a longer one is data, not a course that is looked at


def labels_of(declared: Field) -> Iterator[str]:
    """Yield the names under which a field is listed.

    Examples
    --------
    >>> list(labels_of(Field("norms", "f32", num_components=2)))
    ['norms[0]', 'norms[1]']
    """
    if not declared.num_components:
        yield declared.path
    elif declared.num_components <= COMPONENTS_MAX:
        yield from (f"{declared.path}[{i}]" for i in range(declared.num_components))


@dataclass
class Tally:
    """What is known of one column so far."""

    field: Field
    num_values: int = 0
    num_nan: int = 0
    last: Any = None
    low: tuple[Any, int | None] = (None, None)  # a value, and the timestamp where it first was
    high: tuple[Any, int | None] = (None, None)

    def add(self, values: Array, timestamps: Array) -> None:
        """Take in the values of a batch that are present, at least one."""
        self.num_values += len(values)
        self.last = values[-1]
        if self.field.labels:
            return
        low, high = values.argmin(), values.argmax()
        if self.field.is_float and np.isnan(values[low]):  # argmin stops at a NaN
            numbers = np.flatnonzero(~np.isnan(values))
            self.num_nan += len(values) - len(numbers)
            if not len(numbers):
                return
            low, high = numbers[values[numbers].argmin()], numbers[values[numbers].argmax()]
        if self.low[1] is None or values[low] < self.low[0]:
            self.low = values[low], int(timestamps[low])
        if self.high[1] is None or values[high] > self.high[0]:
            self.high = values[high], int(timestamps[high])

    def result(self) -> RunField:
        """Return what is known, as plain Python."""
        last = self.field.labels[self.last] if self.field.labels else _plain(self.last)
        (low, low_at), (high, high_at) = self.low, self.high
        return RunField(
            self.field.type, self.num_values, last, _plain(low), _plain(high),
            low_at, high_at, self.num_nan,
        )  # fmt: skip


@dataclass
class Course:
    """The course of a column over a run of a known length, in bins of equal stretches.

    Attributes
    ----------
    num_records : int
        Of the whole run.
    """

    num_records: int
    _sums: Array = field(default_factory=lambda: np.zeros(NUM_BINS))
    _finite: Array = field(default_factory=lambda: np.zeros(NUM_BINS, np.int64))
    _present: Array = field(default_factory=lambda: np.zeros(NUM_BINS, np.int64))

    def add(self, values: Array, ordinals: Array) -> None:
        """Take in values, and which records of the run they are of."""
        width = min(NUM_BINS, self.num_records)
        place = ordinals * width // self.num_records
        finite = np.isfinite(values)
        # Divided before they are summed, so that no sum of float64s is beyond the largest one.
        parts = values[finite].astype(np.float64) / self.num_records
        self._present += np.bincount(place, minlength=NUM_BINS)
        self._finite += np.bincount(place[finite], minlength=NUM_BINS)
        self._sums += np.bincount(place[finite], parts, minlength=NUM_BINS)

    def bins(self) -> tuple[float, ...]:
        """Return the mean of each stretch that has a value; NaN where none is finite."""
        there = self._present > 0
        counts = self._finite[there]
        with np.errstate(invalid="ignore", divide="ignore"):
            means = self._sums[there] / (counts / self.num_records)
        return tuple(np.where(counts > 0, means, np.nan).tolist())


def _plain(value: Any) -> Scalar:
    found: Scalar = value.item() if isinstance(value, np.generic) else value
    return found


T = TypeVar("T")

LOSS_FIELDS = ("loss_value", "loss")


def look(path: str) -> RunInfo:
    """Return what is known of a file, whatever it is.

    Examples
    --------
    >>> look("no-such.cmeta").state, look("no-such.cmeta").problem
    ('unreadable', 'No such file or directory')
    """
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            what = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            return RunInfo(path, "unreadable", f"{what}, expected a .cmeta file")
        with Reader(path) as run:
            return _Look(run).info(path)
    except DecodeError as err:
        return RunInfo(path, "damaged", str(err), status.st_size)
    except OSError as err:
        return RunInfo(path, "unreadable", err.strerror or str(err))
    except (CmetaError, MemoryError) as err:
        return RunInfo(path, "unreadable", str(err) or "there is not enough memory for it")


def loss_field_of(fields: Iterable[Field]) -> Field | None:
    """Return the field that is the loss of a run: by its name.

    Examples
    --------
    >>> fields = [Field("lr", "f32"), Field("train/loss", "f64", "metrics")]
    >>> loss_field_of(fields).path
    'metrics.train/loss'
    """
    scalars = [f for f in fields if f.is_float and not f.num_components]
    for name in LOSS_FIELDS:
        for known in scalars:
            if known.name == name:
                return known
    return next((f for f in scalars if "loss" in f.name.lower().split("/")[-1].split("_")), None)


def flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of a configuration by dotted key; lists and empty objects stay whole.

    Examples
    --------
    >>> dict(flat({"lr": 0.1, "net": {"width": 8, "tags": ["a"]}}))
    {'lr': 0.1, 'net.width': 8, 'net.tags': ['a']}
    """
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


class _Look:
    """One pass over an open run."""

    def __init__(self, run: Reader) -> None:
        self._run, self._schema = run, run.schema
        self._tallies: dict[str, Tally] = {}
        self._phases = np.zeros(len(run.schema.phases), np.int64)
        self._problem: DecodeError | None = run.problem if run.state == "damaged" else None
        self._num_records = 0
        self._timestamps: tuple[int, int] | None = None
        self._config: int | None = None
        fields = self._attempt(lambda: run.fields, run.schema.fields)
        self._loss = loss_field_of(fields)
        self._course = Course(max(1, len(run)))

    def info(self, path: str) -> RunInfo:
        """Read the run and return what it holds."""
        none: tuple[Mapping[str, Any], ...] = ()
        configs = self._attempt(lambda: self._run.configs, none)
        for info in self._run.batches:
            self._attempt(partial(self._add, info.ordinal), None)
        state: State = self._run.state if self._problem is None else "damaged"
        first_timestamp, last_timestamp = self._timestamps or (None, None)
        pairs = zip(self._schema.phases, self._phases.tolist(), strict=True)
        number = self._config
        return RunInfo(
            path,
            state,
            "" if self._problem is None else str(self._problem),
            self._run.len_file,
            self._num_records,
            first_timestamp,
            last_timestamp,
            {name: count for name, count in pairs if count},
            {name: tally.result() for name, tally in self._tallies.items()},
            dict(flat(configs[number])) if number is not None and number < len(configs) else {},
            len(configs),
            "" if self._loss is None else self._loss.path,
            self._course.bins(),
        )

    def _attempt(self, work: Callable[[], T], otherwise: T) -> T:
        """Return what `work` gives; if that is damaged, remember the first problem."""
        try:
            return work()
        except DecodeError as err:
            self._problem = self._problem or err
            return otherwise

    def _add(self, ordinal: int) -> None:
        """Take in a batch: nothing of it unless all of it can be read."""
        first = ordinal * self._schema.batch_records
        batch = self._run.batch(ordinal)
        timestamps = batch.timestamps
        parts = _columns(batch)
        self._phases += np.bincount(batch.phases.codes, minlength=len(self._phases))
        self._num_records += batch.num_records
        begin = self._timestamps[0] if self._timestamps else batch.first_timestamp
        self._timestamps = (begin, batch.last_timestamp)
        for known, values, present in parts:
            self._put(known, values, present, timestamps, first)

    def _put(self, known: Field, values: Any, present: Any, timestamps: Any, first: int) -> None:
        ordinals = np.arange(first, first + len(values))
        if present is not None:
            values, timestamps, ordinals = values[present], timestamps[present], ordinals[present]
        if not len(values):
            return
        if known.type == "config":
            self._config = int(values[-1])
            return
        if known == self._loss:
            self._course.add(values, ordinals)
        for i, label in enumerate(labels_of(known)):
            tally = self._tallies.setdefault(label, Tally(known))
            tally.add(values[:, i] if known.num_components else values, timestamps)


def _columns(batch: AnyBatch) -> list[tuple[Field, Any, Any]]:
    """Return the columns of a batch but those that every record has."""
    found = []
    for known in batch.fields:
        if known.path in (TIMESTAMP, PHASE) or not any(labels_of(known)):
            continue
        column = batch.column(known, 0)
        if column is not None:
            found.append((known, *column))
    return found
