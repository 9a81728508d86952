"""`RunInfo`: what a catalogue lists of a run, and `describe`, which finds it out.

A file is described in one pass over its columns, batch by batch, without a step of Python for each
record. Nothing that is wrong with a file is raised; its `RunInfo` states it. The encoded form is
loaded ten thousand times a second.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeVar

import numpy as np
from msgspec import Struct, msgpack

from cmeta.aliases import Rows
from cmeta.errors import BusyError, DecodeError
from cmeta.reader.reader import Reader
from cmeta.reader.selection import take
from cmeta.records.chunk import Column
from cmeta.records.config import flattened
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.schema.schema import Schema
from cmeta.schema.types import Field
from cmeta.storage.open import BatchInfo, watch_of
from cmeta.storage.watch import BUSY, unless_busy
from cmeta.tools.summary.statistics import BinnedMeans, Extremes, Point
from cmeta.vocabulary import best_loss_name, find, main_phase, no_such, phase_named

State = Literal["closed", "open", "busy", "damaged", "unreadable"]
Scalar = bool | int | float | str | None


class RunField(Struct, frozen=True, array_like=True, gc=False):
    """A field of a run, over all records that have it, or over those of one phase.

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
    phase : str
        The phase of these records; "" if they are of several.
    """

    type: str
    num_values: int
    last: Scalar
    min: Scalar = None
    max: Scalar = None
    min_timestamp: int | None = None
    max_timestamp: int | None = None
    num_nan: int = 0
    phase: str = ""


class RunInfo(Struct, frozen=True, array_like=True, gc=False):
    """The description of a run.

    Attributes
    ----------
    path : str
        The path by which it was found.
    state : str
        "closed"; "open": being written, or its writer died; its journal's records are included;
        "busy": its writer changed it each time that it was read; "damaged": only its intact records
        are described; "unreadable": missing, or not a file.
    status : str
        How the run ended, by `Recorder.finish`: "finished", "failed", "interrupted" or "pruned"; ""
        if it was not stated.
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
        of at most 16 components has an entry for each, such as ``tensor_signature[0]``. A float is
        summed up over the records of one phase, so that validation is not mixed with training:
        validate where it has values there, else train; `RunField.phase` says which.
    by_phase : dict of str to dict
        The same for each phase: ``run.by_phase["train"]["loss_value"]``; or, in the words that
        ``log`` takes, ``run["train/loss"]``.
    config : dict of str to value
        The configuration of the last record that has one, with flat keys: ``net.width``.
    num_configs : int
        Configurations in the file.
    loss_field : str
        The field of `loss`: ``loss_value``, or else a field whose name contains ``loss``.
    loss : tuple of float
        The curve of the loss in the phase of its `RunField`: means of at most 32 equal parts of the
        run, without the parts that have no value; NaN where no value is finite.
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
    by_phase: dict[str, dict[str, RunField]] = {}
    status: str = ""

    def __getitem__(self, name: str) -> RunField:
        """Return a field by its name, ``loss`` or ``val/loss``.

        Raises
        ------
        KeyError
            The run has no such field in this phase; names similar ones.
        """
        try:
            phase, path = SeriesNames([self]).resolve(name)
            return self.by_phase[phase][path] if phase else self.fields[path]
        except KeyError as err:
            reason = str(err.args[0])
            if " " not in reason:
                reason = f"{name!r} has no values in this run"
            raise KeyError(f"{self.path}: {reason}") from None


class SeriesNames:
    """The names of fields, each alone or after a phase: ``loss``, ``val/loss``.

    A field whose own name has a slash means itself.
    """

    def __init__(self, runs: Sequence[RunInfo]) -> None:
        paths = dict.fromkeys(path for run in runs for path in run.fields)
        self.names = {path: path.partition(".")[2] or path for path in paths}
        self._runs = runs
        self._phases = tuple(dict.fromkeys(phase for run in runs for phase in run.phases))

    def find(self, name: str) -> tuple[str, str] | None:
        """Return the phase, or "", and the field; None if there is none.

        Raises
        ------
        AmbiguousNameError
            There is more than one.
        """
        path = find(name, self.names)
        if path is not None:
            return "", path
        word, slash, inner = name.partition("/")
        phase = phase_named(word, self._phases) if slash else None
        if phase is None:
            return None
        path = find(inner, self.names, partial(self._occurs, phase))
        return None if path is None else (phase, path)

    def _occurs(self, phase: str, path: str) -> bool:
        return any(path in run.by_phase.get(phase, ()) for run in self._runs)

    def resolve(self, name: str) -> tuple[str, str]:
        """Return the phase, or "", and the field.

        Raises
        ------
        KeyError
            There is none, or more than one; names similar ones.
        """
        known = self.find(name)
        if known is None:
            raise KeyError(no_such("field", name, self.names))
        return known


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
        return unless_busy(lambda: _description(path))
    except BusyError:
        return RunInfo(path, "busy", BUSY, status.st_size)
    except DecodeError as err:
        err.file = ""  # which is that of the description
        return RunInfo(path, "damaged", str(err), status.st_size)
    except OSError as err:
        return RunInfo(path, "unreadable", err.strerror or str(err))
    except Exception as err:  # whatever it is, the other files are described
        reason = "not enough memory to read it" if isinstance(err, MemoryError) else repr(err)
        return RunInfo(path, "unreadable", str(err) or reason)


def _description(path: str) -> RunInfo:
    watch = watch_of(path)
    with Reader(path) as run:
        info = _Description(run).info(path)
        if info.state == "damaged" or (info.state == "open" and not run.has_journal):
            watch.require_unchanged()
    return info


class _Description:
    """One pass over an open run."""

    def __init__(self, run: Reader) -> None:
        self._run, self._schema = run, run.schema
        self._problem: DecodeError | None = run.problem if run.state == "damaged" else None
        self._num_records = 0
        self._timestamps: tuple[int, int] | None = None
        self._phases = np.zeros(len(run.schema.phases), np.int64)
        self._series: dict[str, _Series] = {}
        self._config: int | None = None
        fields = self._attempt(lambda: run.fields, run.schema.fields)
        self._listed = [
            field
            for field in fields
            if field.path not in (TIMESTAMP, PHASE) and any(listed_names(field))
        ]
        self._losses = loss_fields_of(fields)
        self._curves: dict[tuple[Field, int], BinnedMeans] = {}

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
        fields = {name: series.run_field(self._schema) for name, series in self._series.items()}
        loss = next((field for field in self._losses if field.path in fields), None)
        curve = [] if loss is None else self._curve(loss, fields[loss.path].phase)
        return RunInfo(
            path,
            state,
            problem="" if self._problem is None else str(self._problem),
            len_file=self._run.len_file,
            num_records=self._num_records,
            first_timestamp=first_timestamp,
            last_timestamp=last_timestamp,
            phases={name: count for name, count in counts if count},
            fields=fields,
            config=flattened(configs[self._config or 0]) if has_config else {},
            num_configs=len(configs),
            loss_field="" if loss is None else loss.path,
            loss=tuple(curve),
            by_phase=self._by_phase(),
            status=self._run.status or "",
        )

    def _by_phase(self) -> dict[str, dict[str, RunField]]:
        by_phase: dict[str, dict[str, RunField]] = {}
        for code, phase in enumerate(self._schema.phases):
            for name, series in self._series.items():
                if code in series.by_phase:
                    field = _run_field(series.field, series.by_phase[code], phase)
                    by_phase.setdefault(phase, {})[name] = field
        return by_phase

    def _curve(self, loss: Field, phase: str) -> list[float]:
        """Return the curve of a loss in one phase, or in all of them."""
        codes = range(len(self._schema.phases))
        if phase:
            codes = range(begin := self._schema.phases.index(phase), begin + 1)
        curves = [self._curves[loss, code] for code in codes if (loss, code) in self._curves]
        whole = curves[0]
        for curve in curves[1:]:
            whole.merge(curve)
        means: list[float] = whole.means[whole.present].tolist()
        return means

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
        codes = batch.phases.codes
        self._phases += np.bincount(codes, minlength=len(self._phases))
        self._num_records += batch.num_records
        begin = self._timestamps[0] if self._timestamps else batch.first_timestamp
        self._timestamps = (begin, batch.last_timestamp)
        present_codes = np.unique(codes).tolist()
        rows_of_phases: list[tuple[int, Rows]] = [
            (code, slice(None) if len(present_codes) == 1 else np.flatnonzero(codes == code))
            for code in present_codes
        ]
        for field, column in columns.items():
            if field.type == "config":
                recorded = column.recorded()
                self._config = int(recorded[-1]) if len(recorded) else self._config
                continue
            for code, rows in rows_of_phases:
                self._add_column(field, column.rows(rows), timestamps[rows], code)
                if field in self._losses:
                    self._add_loss(field, column, rows, info.first_record, code)

    def _add_column(self, field: Field, column: Column, timestamps: Any, code: int) -> None:
        """Add the values of one phase."""
        values = column.recorded()
        if not len(values):
            return
        if column.present is not None:
            timestamps = timestamps[column.present]
        for i, name in enumerate(listed_names(field)):
            if name not in self._series:
                self._series[name] = _Series(field, {})
            by_phase = self._series[name].by_phase
            if code not in by_phase:
                by_phase[code] = Extremes(finite_only=False)
            by_phase[code].add(values[:, i] if field.num_components else values, timestamps)

    def _add_loss(self, field: Field, column: Column, rows: Rows, first: int, code: int) -> None:
        """Add the values of one phase to the curve of a loss."""
        recorded = np.arange(len(column.values))[rows]
        if column.present is not None:
            recorded = recorded[column.present[rows]]
        num_bins = min(NUM_BINS, len(self._run))
        curve = self._curves.setdefault((field, code), BinnedMeans(num_bins))
        bins = (first + recorded) * num_bins // len(self._run)
        curve.add(bins, column.values[recorded].astype(np.float64))


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


@dataclass(frozen=True)
class _Series:
    """A field, or a component of it, in each phase, by code."""

    field: Field
    by_phase: dict[int, Extremes]

    def run_field(self, schema: Schema) -> RunField:
        """Return the field under its plain name."""
        names = {schema.phases[code]: code for code in sorted(self.by_phase)}
        # Only what is measured has another meaning in each phase; a step or a seed has not.
        phase = main_phase(names) if self.field.is_float or len(names) == 1 else None
        if phase is not None:
            return _run_field(self.field, self.by_phase[names[phase]], phase)
        return _run_field(self.field, merged(self.by_phase[code] for code in names.values()))


def _run_field(field: Field, extremes: Extremes, phase: str = "") -> RunField:
    last: Any = extremes.last and extremes.last[0]
    if field.labels:  # names have no order
        return RunField(field.type, extremes.num_values, field.labels[last], phase=phase)
    (low, low_at), (high, high_at) = extremes.min or (None, None), extremes.max or (None, None)
    return RunField(
        field.type, extremes.num_values, _plain(last), _plain(low), _plain(high),
        low_at, high_at, extremes.num_nan, phase,
    )  # fmt: skip


def merged(parts: Iterable[Extremes]) -> Extremes:
    """Return the extremes of several phases, given in the order of the phases, as of one stream."""
    whole = Extremes(finite_only=False)
    for part in parts:
        whole.num_values += part.num_values
        whole.num_nan += part.num_nan
        # At one timestamp, records are in the order of the phases.
        if whole.last is None or (part.last is not None and part.last[1] >= whole.last[1]):
            whole.last = part.last
        whole.min = _better(whole.min, part.min, lambda a, b: bool(a < b))
        whole.max = _better(whole.max, part.max, lambda a, b: bool(a > b))
    return whole


def _better(one: Point | None, other: Point | None, is_better: Callable[[Any, Any], bool]) -> Any:
    if one is None or other is None:
        return one or other
    if one[0] == other[0]:
        return min(one, other, key=lambda point: point[1])
    return other if is_better(other[0], one[0]) else one


def _plain(value: Any) -> Scalar:
    scalar: Scalar = value.item() if isinstance(value, np.generic) else value
    return scalar


def loss_fields_of(fields: Iterable[Field]) -> list[Field]:
    """Return the fields that may be the loss of a run, the most likely first.

    A declared field may have no values; then that of the undeclared metrics counts.
    """
    every = list(fields)
    likely = (loss_field_of(every), loss_field_of(f for f in every if not f.declared))
    return list(dict.fromkeys(field for field in likely if field is not None))


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
