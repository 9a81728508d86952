"""`RunInfo`: what a catalogue lists of a run, and `describe`, which finds it out.

A file is described in one pass over its columns, batch by batch, without a step of Python for each
record. Nothing that is wrong with a file is raised; its `RunInfo` states it. The encoded form is
loaded ten thousand times a second.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Literal, TypeVar

import numpy as np
from msgspec import Struct, msgpack

from cmeta.errors import CmetaError, DecodeError
from cmeta.reader.reader import Reader
from cmeta.reader.selection import take
from cmeta.records.chunk import Column
from cmeta.records.config import flattened
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.schema.types import Field
from cmeta.storage.open import BatchInfo
from cmeta.tools.summary.statistics import BinnedMeans, Extremes
from cmeta.vocabulary import best_loss_name

State = Literal["closed", "open", "damaged", "unreadable"]
Scalar = bool | int | float | str | None


class RunField(Struct, frozen=True, array_like=True, gc=False):
    """A field of a run, over all records that have it.

    Attributes
    ----------
    type : str
        As in a schema, such as ``f32``.
    num_values : int
        Records that have it.
    last : bool, int, float or str
        The value in the last record that has it; the name of an enumeration's value.
    min, max : bool, int, float or None
        The least and the greatest value, infinities included, NaN not. None: all are NaN, or it is
        an enumeration.
    min_timestamp, max_timestamp : int or None
        Of the first record with that value.
    num_nan : int
        Values that are NaN.
    """

    type: str
    num_values: int
    last: Scalar
    min: Scalar = None
    max: Scalar = None
    min_timestamp: int | None = None
    max_timestamp: int | None = None
    num_nan: int = 0


class RunInfo(Struct, frozen=True, array_like=True, gc=False):
    """The description of a run.

    Attributes
    ----------
    path : str
        The path by which it was found.
    state : str
        "closed"; "open": being written, or its writer died; its journal's records are included;
        "damaged": only its intact records are described; "unreadable": missing, or not a file.
    problem : str
        The error of a damaged or unreadable file.
    len_file : int
        In bytes.
    num_records : int
    first_timestamp, last_timestamp : int or None
    phases : dict of str to int
        Records of each phase that occurs.
    fields : dict of str to RunField
        Each field that occurs, by dotted name, except timestamp, phase and configuration. A vector
        of at most 16 components has an entry for each, such as ``tensor_signature[0]``.
    config : dict of str to value
        The configuration of the last record that has one, with flat keys: ``net.width``.
    num_configs : int
        Configurations in the file.
    loss_field : str
        The field of `loss`: ``loss_value``, or else a field whose name contains ``loss``.
    loss : tuple of float
        The curve of the loss: means of at most 32 equal parts of the run, without the parts that
        have no value; NaN where no value is finite.
    """

    path: str
    state: State
    problem: str = ""
    len_file: int = 0
    num_records: int = 0
    first_timestamp: int | None = None
    last_timestamp: int | None = None
    phases: dict[str, int] = {}
    fields: dict[str, RunField] = {}
    config: dict[str, Any] = {}
    num_configs: int = 0
    loss_field: str = ""
    loss: tuple[float, ...] = ()


LAYOUT = " ".join((*RunInfo.__struct_fields__, *RunField.__struct_fields__))
encode = msgpack.Encoder().encode
decode = msgpack.Decoder(RunInfo).decode

NUM_BINS = 32  # of the loss curve
COMPONENTS_MAX = 16  # a longer vector is data, not a set of curves

T = TypeVar("T")


def describe(path: str) -> RunInfo:
    """Return the description of a file, whatever it is.

    Examples
    --------
    >>> describe("no-such.cmeta").state, describe("no-such.cmeta").problem
    ('unreadable', 'No such file or directory')
    """
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            return RunInfo(path, "unreadable", f"{kind}, expected a .cmeta file")
        with Reader(path) as run:
            return _Description(run).info(path)
    except DecodeError as err:
        return RunInfo(path, "damaged", str(err), status.st_size)
    except OSError as err:
        return RunInfo(path, "unreadable", err.strerror or str(err))
    except (CmetaError, MemoryError) as err:
        return RunInfo(path, "unreadable", str(err) or "not enough memory to read it")


class _Description:
    """One pass over an open run."""

    def __init__(self, run: Reader) -> None:
        self._run, self._schema = run, run.schema
        self._problem: DecodeError | None = run.problem if run.state == "damaged" else None
        self._num_records = 0
        self._timestamps: tuple[int, int] | None = None
        self._phases = np.zeros(len(run.schema.phases), np.int64)
        self._fields: dict[str, tuple[Field, Extremes]] = {}
        self._config: int | None = None
        fields = self._attempt(lambda: run.fields, run.schema.fields)
        self._listed = [
            field
            for field in fields
            if field.path not in (TIMESTAMP, PHASE) and any(listed_names(field))
        ]
        self._loss = loss_field_of(fields)
        self._loss_curve = BinnedMeans(min(NUM_BINS, len(run)))

    def info(self, path: str) -> RunInfo:
        """Read the run, and return its description."""
        none: tuple[Mapping[str, Any], ...] = ()
        configs = self._attempt(lambda: self._run.configs, none)
        for info in self._run.batches:
            self._attempt(partial(self._add, info), None)
        state: State = self._run.state if self._problem is None else "damaged"
        first_timestamp, last_timestamp = self._timestamps or (None, None)
        counts = zip(self._schema.phases, self._phases.tolist(), strict=True)
        has_config = self._config is not None and self._config < len(configs)
        return RunInfo(
            path,
            state,
            problem="" if self._problem is None else str(self._problem),
            len_file=self._run.len_file,
            num_records=self._num_records,
            first_timestamp=first_timestamp,
            last_timestamp=last_timestamp,
            phases={name: count for name, count in counts if count},
            fields={name: _run_field(*known) for name, known in self._fields.items()},
            config=flattened(configs[self._config or 0]) if has_config else {},
            num_configs=len(configs),
            loss_field="" if self._loss is None else self._loss.path,
            loss=tuple(self._loss_curve.means[self._loss_curve.present].tolist()),
        )

    def _attempt(self, work: Callable[[], T], default: T) -> T:
        """Return the result of `work`; the default, and remember the problem, if it is damaged."""
        try:
            return work()
        except DecodeError as err:
            self._problem = self._problem or err
            return default

    def _add(self, info: BatchInfo) -> None:
        """Add a batch; none of it unless all of it can be read."""
        batch = self._run.batch(info.ordinal)
        timestamps = batch.timestamps
        columns = take(batch, slice(0, batch.num_records), self._listed).columns
        self._phases += np.bincount(batch.phases.codes, minlength=len(self._phases))
        self._num_records += batch.num_records
        begin = self._timestamps[0] if self._timestamps else batch.first_timestamp
        self._timestamps = (begin, batch.last_timestamp)
        for field, column in columns.items():
            self._add_column(field, column, timestamps, info.first_record)

    def _add_column(self, field: Field, column: Column, timestamps: Any, first: int) -> None:
        values, present = column.recorded(), column.present
        if not len(values):
            return
        if field.type == "config":
            self._config = int(values[-1])
            return
        if field == self._loss:
            ordinals = first + (np.arange(len(values)) if present is None else present.nonzero()[0])
            bins = ordinals * len(self._loss_curve.present) // len(self._run)
            self._loss_curve.add(bins, values.astype(np.float64))
        if present is not None:
            timestamps = timestamps[present]
        for i, name in enumerate(listed_names(field)):
            if name not in self._fields:
                self._fields[name] = field, Extremes(finite_only=False)
            series = values[:, i] if field.num_components else values
            self._fields[name][1].add(series, timestamps)


def listed_names(field: Field) -> Iterator[str]:
    """Yield the names under which a field is listed.

    Examples
    --------
    >>> list(listed_names(Field("norms", "f32", num_components=2)))
    ['norms[0]', 'norms[1]']
    """
    if not field.num_components:
        yield field.path
    elif field.num_components <= COMPONENTS_MAX:
        yield from (f"{field.path}[{i}]" for i in range(field.num_components))


def _run_field(field: Field, extremes: Extremes) -> RunField:
    last: Any = extremes.last and extremes.last[0]
    if field.labels:  # names have no order
        return RunField(field.type, extremes.num_values, field.labels[last])
    (low, low_at), (high, high_at) = extremes.min or (None, None), extremes.max or (None, None)
    return RunField(
        field.type, extremes.num_values, _plain(last), _plain(low), _plain(high),
        low_at, high_at, extremes.num_nan,
    )  # fmt: skip


def _plain(value: Any) -> Scalar:
    scalar: Scalar = value.item() if isinstance(value, np.generic) else value
    return scalar


def loss_field_of(fields: Iterable[Field]) -> Field | None:
    """Return the field that is the loss of a run, by its name.

    Examples
    --------
    >>> fields = [Field("lr", "f32"), Field("train/loss", "f64", "metrics")]
    >>> loss_field_of(fields).path
    'metrics.train/loss'
    """
    by_name: dict[str, Field] = {}
    for field in fields:
        if field.is_float and not field.num_components:
            by_name.setdefault(field.name, field)
    name = best_loss_name(by_name)
    return None if name is None else by_name[name]
