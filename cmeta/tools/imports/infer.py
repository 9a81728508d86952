"""Tables of other tools: the fields of their columns, inferred from names and values.

- The dotted name of a field, or its name without the group, is that field (``entropy`` is
  ``metrics.entropy``); so are a few short names (``loss``, ``seed``, ``_step``, ``global_step``).
  Under any other name, and if a value does not fit the field, the column is a metric. Booleans
  become 0 and 1; a metric with integers beyond 2^53 is declared with an integer type.
- `timestamp` is a column of that name if it holds integers from 0 on, otherwise the step, otherwise
  the index of the record. Floats and dates under that name, ``_timestamp`` of W&B, and dates under
  some other names are wall times: the metric ``wall_time``, in seconds since 1970.
- The phase is a column ``phase``, or ``split``, ``mode`` or ``stage`` of a few words, with the
  meaning that `cmeta.vocabulary` gives them; new phases are appended to the schema.
- In a text whose names are all as cmeta writes them, the shortest decimal of a float32 is that
  float32, as cmeta prints it; any other decimal is a float64.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from cmeta.aliases import Array, Mask
from cmeta.errors import EncodeError, counted
from cmeta.records.chunk import Column
from cmeta.records.config import config_json
from cmeta.records.values import is_float64
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.schema.schema import Schema, default_schema
from cmeta.schema.types import Field
from cmeta.tools.imports.columns import (
    Mismatch,
    SourceTable,
    column_of,
    is_float_safe,
    parsed_numbers,
    values_of,
)
from cmeta.tools.imports.exact import as_printed
from cmeta.tools.imports.formats import Imported, ImportOptions
from cmeta.tools.imports.scalar_log import WALL_TIME, free_name
from cmeta.vocabulary import did_you_mean, field_named, phases_named

PHASE_COLUMNS = ("phase", "split", "mode", "stage")
STEP = "step"
_SHORT_NAMES = {"seed": "seed_state", "_step": STEP, "global_step": STEP}
_CLOCKS = (TIMESTAMP, "_timestamp", WALL_TIME)  # numbers in these are seconds since 1970
_DATES = ("time", "datetime", "date", "created_at")  # text in these may be dates
_KINDS = {str: "text", list: "list", dict: "object", bytes: "bytes", bool: "boolean"}
_PHASE_WORDS_MAX = 16  # in a column that is not called phase


def infer(table: SourceTable, options: ImportOptions) -> Imported:
    """Return a table of another tool as the columns of fields.

    Raises
    ------
    EncodeError
        The user's schema does not have a phase, or there are too many of them.
    """
    return _Inference(table, options).imported()


class _Inference:
    """A table while the fields of its columns are being found."""

    def __init__(self, table: SourceTable, options: ImportOptions) -> None:
        self._table, self._options = table, options
        self._is_stated = options.schema is not None
        self._schema: Schema = options.schema or default_schema()
        self._left = dict(table.columns)
        self._columns: dict[str, Any] = {}
        self._configs: tuple[Mapping[str, Any], ...] = ()
        self._lost, self._notes = list(table.lost), list(table.notes)
        self._is_own_text = table.is_text and _has_own_names(table, self._schema)

    def imported(self) -> Imported:
        self._take_phase()
        self._take_config()
        self._join_vectors()
        self._take_timestamp()
        # A field's own name precedes a short one for it.
        for name in sorted(self._left, key=lambda name: name not in self._schema):
            self._take(name, self._left[name])
        self._take_step_as_timestamp()
        return Imported(
            self._columns, self._schema, self._configs, tuple(self._lost), tuple(self._notes),
            tuple(self._table.damage), self._is_stated,
        )  # fmt: skip

    # ------------------------------------------------------------------------------- phases

    def _take_phase(self) -> None:
        name = next((name for name in PHASE_COLUMNS if self._is_phase(name)), None)
        column = self._left.pop(name) if name else None
        default = self._options.default_phase
        words = [] if column is None else [str(word) for word in column.recorded()]
        is_incomplete = column is None or not column.mask().all()
        phases = phases_named([*words, *([default] if is_incomplete else [])], self._schema.phases)
        self._append_phases(phases)
        codes = {word: self._schema.phases.index(phase) for word, phase in phases.items()}
        values = np.full(self._table.num_records, codes.get(default, 0), np.uint8)
        if column is not None:
            values[column.mask()] = [codes[word] for word in words]
        self._notes += [f"{word} is the phase {p}" for word, p in phases.items() if word != p]
        self._columns[PHASE] = values

    def _is_phase(self, name: str) -> bool:
        column = self._left.get(name)
        if column is None or column.values.dtype != object:
            return False
        values = column.recorded()
        if not all(isinstance(value, str) and value for value in values):
            return False
        return name == PHASE or 0 < len(set(values)) <= _PHASE_WORDS_MAX

    def _append_phases(self, phases: Mapping[str, str]) -> None:
        new = {phase: word for word, phase in phases.items() if phase not in self._schema.phases}
        num_max = self._schema.format.limits.enumeration_max
        if new and (self._is_stated or len(self._schema.phases) + len(new) > num_max):
            phase, known = next(iter(new)), ", ".join(self._schema.phases)
            hint = did_you_mean(phase, self._schema.phases)
            raise EncodeError(
                f"{self._table.name}: found the phase {phase!r}, expected one of: "
                f'{known}{hint}; append it with schema.with_phases("...") (of at most {num_max})'
            )
        hints = {phase: did_you_mean(phase, self._schema.phases) for phase in new}
        if new:
            self._schema = self._schema.with_phases(*new)
        self._notes += [
            f"the phase {phase} was appended to the schema{hints[phase]}"
            for phase, word in new.items()
            if word != self._options.phase or hints[phase]
        ]

    # ---------------------------------------------------------------- configurations, vectors

    def _take_config(self) -> None:
        """Take a column of configurations: in JSON lines, an object of each record."""
        field = self._schema.config_field
        column = self._left.get(field.path) if field else None
        if field is None or column is None:
            return
        if all(isinstance(value, Mapping) for value in column.recorded()):
            del self._left[field.path]
            indices: dict[bytes, int] = {}
            values = np.zeros(len(column.values), np.uint32)
            for row in np.flatnonzero(column.mask()).tolist():
                where = f"{self._table.name}, {self._table.where(row)}, {field.path}"
                body = config_json(column.values[row], self._schema.format.limits, where)
                values[row] = indices.setdefault(body, len(indices))
                if values[row] == len(self._configs):
                    self._configs = (*self._configs, column.values[row])
            self._columns[field.path] = Column(values, column.present).masked()
        elif column.values.dtype.kind in "iuf":
            del self._left[field.path]
            self._lost.append(
                f"{field.path}: numbers of configurations that this file does not hold; full JSON "
                "lines hold them (cmeta cat --format jsonl --full)"
            )

    def _join_vectors(self) -> None:
        """Join the components ``name[0]``, ``name[1]``, ... of a CSV."""
        for field in self._schema.fields:
            names = [f"{field.path}[{i}]" for i in range(field.num_components)]
            if not names or not all(name in self._left for name in names):
                continue
            parts = [self._left[name] for name in names]
            is_same = all((part.mask() == parts[0].mask()).all() for part in parts)
            if is_same and all(part.values.dtype.kind in "iuf" for part in parts):
                stacked = np.stack([part.values for part in parts], axis=1)
                self._left = {n: c for n, c in self._left.items() if n not in names}
                self._left[field.path] = Column(stacked, parts[0].present)

    # --------------------------------------------------------------------------------- time

    def _take_timestamp(self) -> None:
        column = self._left.get(TIMESTAMP)
        if column is None:
            return
        try:
            values = values_of(column, self._schema[TIMESTAMP])
        except Mismatch:
            return  # a wall time
        del self._left[TIMESTAMP]
        self._columns[TIMESTAMP] = self._filled(TIMESTAMP, values, column.mask())

    def _take_step_as_timestamp(self) -> None:
        """Take the steps as timestamps if there are no others; without steps they are counted."""
        if TIMESTAMP not in self._columns and STEP in self._columns:
            steps = self._columns[STEP]
            present = ~np.ma.getmaskarray(steps)
            self._columns[TIMESTAMP] = self._filled(STEP, np.asarray(steps), present)

    def _filled(self, name: str, values: Array, present: Mask) -> Array:
        num_absent = int((~present).sum())
        if num_absent:
            self._notes.append(
                f"{counted(num_absent, 'record')} without {name}: that of the record before is used"
            )
        return forward_filled(values.astype(np.uint64), present)

    def _take_time(self, name: str, column: Column) -> bool:
        is_clock = name in _CLOCKS or (name in _DATES and column.values.dtype.kind == "O")
        seconds = as_seconds(column) if is_clock else None
        path = f"{self._schema.open_group}.{WALL_TIME}"
        if seconds is None or path in self._columns or self._schema.open_group is None:
            return False
        if name != WALL_TIME:
            self._notes.append(f"{name} is the metric {WALL_TIME}, in seconds")
        self._columns[path] = Column(seconds, column.present).masked()
        return True

    # --------------------------------------------------------------------- fields and metrics

    def _take(self, name: str, column: Column) -> None:
        field = inferred_field(name, self._schema, {*self._columns, TIMESTAMP})
        if field is not None and self._take_field(name, column, field):
            return
        if not self._take_time(name, column):
            self._take_metric(name, column)

    def _take_field(self, name: str, column: Column, field: Field) -> bool:
        try:
            values = values_of(column, field)
        except Mismatch as err:
            expected = ", ".join(field.labels) or field.type_name
            self._notes.append(
                f"{name} is a metric and not the field {field.path}: {self._table.where(err.row)} "
                f"has {err.value!r:.40}, expected {expected}"
            )
            return False
        if self._is_own_text:
            values = as_printed(values, column.mask(), field)
        self._columns[field.path] = Column(values, column.present).masked()
        return True

    def _take_metric(self, name: str, column: Column) -> None:
        group = self._schema.open_group
        name = name.removeprefix(f"{group}.") or name
        if reason := _why_no_metric(name, self._schema):
            self._lost.append(f"{name[:40]!r}: {reason}")
            return
        path = free_name(f"{group}.{name}", self._columns, self._schema)
        name = path.removeprefix(f"{group}.")
        metric = as_metric(name, column, self._table.where)
        self._lost += metric.lost
        self._notes += metric.notes
        if metric.values is None:
            return
        if metric.type != "f64" and self._is_stated:
            self._lost.append(f"{name}: integers beyond 2^53, which the schema does not declare")
            return
        if metric.type != "f64":
            self._schema = self._schema.with_metrics(**{name: {"type": metric.type}})
        self._columns[path] = Column(metric.values, metric.present).masked()


def _has_own_names(table: SourceTable, schema: Schema) -> bool:
    """Return whether all names are as cmeta writes them."""
    bases = {name.partition("[")[0] if name not in schema else name for name in table.columns}
    group = f"{schema.open_group}."
    is_known = all(base in schema or base.startswith(group) for base in bases)
    return is_known and {TIMESTAMP, PHASE} <= bases


# -------------------------------------------------------------------------------------- names


def inferred_field(name: str, schema: Schema, taken: Collection[str]) -> Field | None:
    """Return the declared field that a name means, unless it is taken.

    Examples
    --------
    >>> schema = default_schema()
    >>> [inferred_field(name, schema, ()).path for name in ("loss", "entropy", "step")]
    ['loss_value', 'metrics.entropy', 'step']
    """
    path = name if name in schema else field_named(_SHORT_NAMES.get(name, name), schema)
    if path not in schema:
        paths = [field.path for field in schema.fields if field.name == name]
        path = paths[0] if len(paths) == 1 else ""
    return schema[path] if path and path not in taken else None


def _why_no_metric(name: str, schema: Schema) -> str:
    """Return why a name cannot be a metric's; "" if it can."""
    len_max = schema.format.limits.name_bytes_max
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    if not 1 <= length <= len_max:
        return f"a name must have 1 to {len_max} bytes, and has {length}"
    return "the schema takes no undeclared metrics" if schema.open_group is None else ""


# -------------------------------------------------------------------------------------- times


def as_seconds(column: Column) -> Array | None:
    """Return wall times as seconds since 1970, or None if a value is not a time.

    Numbers are taken as they are; text must be dates of ISO 8601, in UTC unless it has an offset.

    Examples
    --------
    >>> as_seconds(column_of(["1970-01-01T00:01:00", "1970-01-02"])).tolist()
    [60.0, 86400.0]
    """
    if column.values.dtype != object:
        try:
            return values_of(column, Field("seconds", "f64"))
        except Mismatch:
            return None
    times = np.zeros(len(column.values))
    for row in np.flatnonzero(column.mask()).tolist():
        seconds = _seconds_of_date(column.values[row])
        if seconds is None:
            return None
        times[row] = seconds
    return times


def _seconds_of_date(text: object) -> float | None:
    try:
        date = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    if date is None:
        return None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()


def forward_filled(values: Array, present: Mask) -> Array:
    """Return values, absent ones filled from the preceding record; 0 before the first.

    Examples
    --------
    >>> forward_filled(np.array([0, 5, 0, 7]), np.array([False, True, False, True])).tolist()
    [0, 5, 5, 7]
    """
    if present.all():
        return values
    last = np.maximum.accumulate(np.where(present, np.arange(len(values)), -1))
    return np.where(last >= 0, values[np.maximum(last, 0)], values.dtype.type(0))


# ------------------------------------------------------------------------------------ metrics


@dataclass(frozen=True)
class Metric:
    """A column as a metric.

    Attributes
    ----------
    values : array, (n_records,), or None
        None: nothing of it can be kept.
    present : bool array, (n_records,)
    type : str
        ``f64``, or the type of integers that a float64 cannot hold.
    lost, notes : tuple of str
    """

    values: Array | None
    present: Mask
    type: str = "f64"
    lost: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def as_metric(name: str, column: Column, where: Callable[[int], str]) -> Metric:
    """Return a column as a metric, every number exact.

    Examples
    --------
    >>> metric = as_metric("note", column_of(["warm-up", 1.5]), "line {}".format)
    >>> metric.values.tolist(), metric.lost
    ([0.0, 1.5], ("note: text of 1 record is not kept, such as 'warm-up' (line 0)",))
    """
    column = parsed_numbers(column)
    values, present = column.values, column.mask()
    if values.ndim == 2:
        sentence = [_not_kept(name, values, present, "list", where)] if present.any() else []
        return Metric(None, present, lost=tuple(sentence))
    kind = values.dtype.kind
    if kind == "O":
        return _numbers_among(name, column, where)
    if kind == "b":
        notes = (f"{name}: true and false are kept as 1 and 0",)
        return Metric(values.astype(np.float64), present, notes=notes)
    if kind == "f":
        return Metric(values.astype(np.float64), present)
    if is_float_safe(values[present]):
        return Metric(np.where(present, values, 0).astype(np.float64), present)
    type_ = "i64" if kind == "i" else "u64"
    notes = (f"{name} is declared {type_}: it has integers beyond 2^53",)
    return Metric(values.astype(type_.replace("64", "8")), present, type_, (), notes)


def _numbers_among(name: str, column: Column, where: Callable[[int], str]) -> Metric:
    """Keep the numbers among other objects."""
    lost: list[str] = []
    left = column.mask().copy()
    for type_, kind in _KINDS.items():
        mask = np.array([type(value) is type_ for value in column.values], bool) & column.mask()
        if type_ is not bool and mask.any():
            lost.append(_not_kept(name, column.values, mask, kind, where))
            left &= ~mask
    if not left.any():
        return Metric(None, left, lost=tuple(lost))
    cells = zip(column.values, left.tolist(), strict=True)
    kept: list[Any] = [value if is_left else None for value, is_left in cells]
    plain = column_of([int(value) if isinstance(value, bool) else value for value in kept])
    if plain.values.dtype != object:
        metric = as_metric(name, plain, where)
        return Metric(metric.values, left, metric.type, (*lost, *metric.lost), metric.notes)
    # Integers that no single type holds: those that float64 has.
    bad = np.array([type(value) is int and not is_float64(value) for value in kept], bool)
    kind = "an integer outside the 64-bit range of the other values"
    lost.append(_not_kept(name, kept, bad, kind, where))
    good = left & ~bad
    cells = zip(kept, good.tolist(), strict=True)
    values = np.array([float(value) if is_good else 0.0 for value, is_good in cells])
    return Metric(values if good.any() else None, good, lost=tuple(lost))


def _not_kept(name: str, values: Any, mask: Mask, kind: str, where: Callable[[int], str]) -> str:
    row, count = int(np.argmax(mask)), int(mask.sum())
    value = values[row]
    text = repr(value.tolist() if isinstance(value, np.ndarray) else value)
    text = text if len(text) <= 40 else f"{text[:37]}..."
    return (
        f"{name}: {kind} of {counted(count, 'record')} is not kept, such as {text} ({where(row)})"
    )
