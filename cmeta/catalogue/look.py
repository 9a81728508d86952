"""Looking at one file: everything that a catalogue says of it, in one pass over its columns.

Nothing that is wrong with a file is raised; it is what the row says.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

import numpy as np

from cmeta.catalogue.info import RunInfo, State
from cmeta.catalogue.tally import Course, Tally, labels_of
from cmeta.errors import CmetaError, DecodeError
from cmeta.reader import Reader
from cmeta.reader.info import AnyBatch
from cmeta.schema import Field
from cmeta.schema.rules import PHASE, TIMESTAMP

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
