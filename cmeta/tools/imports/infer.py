"""Tables of other tools: the fields of their columns, inferred from names and values.

- A table is cmeta's own if all names are as cmeta writes them, with timestamp and phase; any other
  is foreign. In an own text, the shortest decimal of a float32 is that float32, as cmeta prints it;
  any other decimal is a float64.
- The dotted name of a field, or its name without the group, is that field (``entropy`` is
  ``metrics.entropy``); so are the words of `cmeta.vocabulary` (``Step``, ``iter``, ``seed``).
  Under any other name, and if a value does not fit the field, the column is a metric. Booleans
  become 0 and 1; a metric with integers beyond 2^53 is declared with an integer type. Text that is
  a number, such as ``"0.5"``, is that number.
- `timestamp` is the step, otherwise the index of the row. A foreign column ``timestamp`` is a wall
  time, whole numbers included: the metric ``wall_time``, in seconds since 1970. It never changes
  the order of the rows.
- The phase is a column ``phase``, or ``split``, ``mode`` or ``stage`` of a few words; new phases
  are appended to the schema. Without such a column, a foreign table's names give the phase as they
  do in a log (``val_loss``): the values of a row that belong to different phases become records of
  these phases, each with the row's step, epoch and time. The loss of each phase is `loss_value`.
- A column of nothing but text or lists is left out, and noted: no chronicle holds such. Text among
  numbers is reported as lost.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
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
from cmeta.tools.imports.cells import Cells
from cmeta.tools.imports.columns import (
    Mismatch,
    SourceTable,
    column_of,
    is_float_safe,
    is_of_type,
    number_of_text,
    overlaid,
    parsed_numbers,
    values_of,
)
from cmeta.tools.imports.exact import as_printed
from cmeta.tools.imports.formats import Imported, ImportOptions, listed
from cmeta.tools.imports.scalar_log import EPOCH, LOSS, WALL_TIME, free_name, takes_floats
from cmeta.vocabulary import (
    PHASES,
    column_named,
    column_rank,
    did_you_mean,
    field_named,
    loss_among,
    phase_of_name,
    phases_named,
)

STEP, DATE = "step", "date"
_OF_ROW = (STEP, EPOCH, WALL_TIME, DATE, "seed_state")  # belong to all records of a row
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
        self._columns: dict[str, Cells] = {}
        self._declared: dict[str, dict[str, Any]] = {}  # metrics that no float64 holds
        self._configs: tuple[Mapping[str, Any], ...] = (table.config,) if table.config else ()
        self._lost, self._notes = list(table.lost), list(table.notes)
        self._num_records, self._where = table.num_records, table.where
        self._rows: Array | None = None  # of each record, if rows were split
        self._is_own = _has_own_names(table, self._schema)

    def imported(self) -> Imported:
        if not self._is_own:
            self._read_quoted_numbers()
        self._take_phase()
        self._take_config()
        self._join_vectors()
        self._take_timestamp()
        # A field's own name precedes another word for it.
        order = sorted(self._left, key=lambda name: (name not in self._schema, column_rank(name)))
        for name in order:
            self._take(name, self._left[name])
        if self._declared:
            self._schema = self._schema.with_metrics(**self._declared)
        self._take_step_as_timestamp()
        self._require_values()
        return Imported(
            self._columns, self._schema, self._configs, tuple(self._lost), tuple(self._notes),
            tuple(self._table.damage), self._is_stated,
        )  # fmt: skip

    def _read_quoted_numbers(self) -> None:
        quoted = []
        for name, cells in self._left.items():
            if cells.values.dtype != object:
                continue
            field = inferred_field(name, self._schema, ())
            if field and field.labels:
                continue
            pairs = [(v, number_of_text(v) if isinstance(v, str) else v) for v in cells.values]
            if not any(isinstance(v, str) and isinstance(n, int | float) for v, n in pairs):
                continue
            column = column_of([number for _, number in pairs])
            self._left[name] = cells.with_values(column.values).kept(column.mask())
            quoted.append(name)
        if quoted:
            self._notes.append(f"numbers in quotes are read as numbers: {listed(quoted)}")

    def _require_values(self) -> None:
        """Raise if no record would have a value.

        Raises
        ------
        EncodeError
        """
        if self._columns.keys() <= {PHASE, TIMESTAMP} and self._left and self._num_records:
            names = listed(repr(name[:40]) for name in self._table.columns)
            raise EncodeError(
                f"{self._table.name}: found no number in {counted(self._num_records, 'record')} "
                f"with the names {names}; expected a table with a column of numbers"
            )

    # ------------------------------------------------------------------------------- phases

    def _take_phase(self) -> None:
        default = self._options.default_phase
        candidates = sorted(self._left, key=column_rank)
        name = next((name for name in candidates if self._is_phase(name)), None)
        if name is None:
            self._take_phase_of_names(default)
            return
        cells = self._left.pop(name)
        words = [str(word) for word in cells.values]
        is_incomplete = len(words) < self._num_records
        codes = self._codes([*words, *([default] if is_incomplete else [])])
        values = np.full(self._num_records, codes.get(default, 0), np.uint8)
        values[cells.places()] = [codes[word] for word in words]
        self._columns[PHASE] = Cells(None, values)

    def _codes(self, words: Iterable[str]) -> dict[str, int]:
        """Return the code of each word's phase, after new phases were appended to the schema."""
        phases = phases_named(words, self._schema.phases)
        self._append_phases(phases)
        self._notes += [f"{word} is the phase {p}" for word, p in phases.items() if word != p]
        return {word: self._schema.phases.index(phase) for word, phase in phases.items()}

    def _take_phase_of_names(self, default: str) -> None:
        """Take the phases from the names of the columns, and split the rows by phase."""
        known = self._schema.phases if self._is_stated else {*self._schema.phases, *PHASES}
        words = dict.fromkeys(self._left, default)
        for name, cells in self._left.items():
            if len(cells.values) and not self._is_own:
                words[name] = self._phase_of_column(name, known) or default
        code_of = self._codes(dict.fromkeys([default, *words.values()]))
        codes = {name: code_of[word] for name, word in words.items() if not self._is_of_row(name)}
        used = np.unique([code_of[default], *codes.values()])
        present = np.zeros((self._num_records, len(used)), bool)
        for name, code in codes.items():
            present[self._left[name].places(), np.searchsorted(used, code)] = True
        absent = ~present.any(axis=1)
        present[absent, np.searchsorted(used, code_of[default])] = True
        phases = used[np.nonzero(present)[1]]
        self._columns[PHASE] = Cells(None, phases.astype(np.uint8))
        if len(phases) > self._num_records or len(np.unique(phases)) > 1:
            self._split(present, {name: int(np.searchsorted(used, c)) for name, c in codes.items()})
            self._note_phases(words, default)
        self._join_losses(phases, codes)

    def _phase_of_column(self, name: str, phases: Collection[str]) -> str | None:
        is_own = name in self._schema or self._is_of_row(name)
        return None if is_own else phase_of_name(name, phases)

    def _is_of_row(self, name: str) -> bool:
        config = self._schema.config_field
        return column_named(name) in _OF_ROW or (config is not None and name == config.path)

    def _split(self, present: Mask, phases: Mapping[str, int]) -> None:
        """Make records of the phases of each row.

        Parameters
        ----------
        present : bool array, (n_rows, n_phases)
            Which records there are.
        phases : mapping of str to int
            The place of the phase of each column; those without one are of all records of a row.
        """
        rows = np.nonzero(present)[0]
        count = present.sum(axis=1)
        first = np.cumsum(count) - count
        record = np.cumsum(present).reshape(present.shape) - 1
        for name, cells in self._left.items():
            places = cells.places()
            if name in phases:
                self._left[name] = Cells(record[places, phases[name]], cells.values)
                continue
            again = np.repeat(np.arange(len(places)), count[places])
            nth = np.arange(len(again)) - np.repeat(
                np.cumsum(count[places]) - count[places], count[places]
            )
            is_all = len(again) == len(rows)
            self._left[name] = Cells(
                None if is_all else first[places[again]] + nth, cells.values[again]
            )
        where = self._table.where
        self._rows = rows
        self._num_records, self._where = len(rows), lambda record: where(int(rows[record]))

    def _note_phases(self, words: Mapping[str, str], default: str) -> None:
        names: dict[str, list[str]] = {}
        for name, word in words.items():
            names.setdefault(word, []).append(name)
        self._notes += [
            f"the names give the phase {word}: {listed(of_word)}"
            for word, of_word in names.items()
            if word != default
        ]

    def _join_losses(self, phases: Array, codes: Mapping[str, int]) -> None:
        """Join the losses of all phases in one column, `loss_value`."""
        if self._is_own or LOSS not in self._schema or not takes_floats(self._schema[LOSS]):
            return
        field = self._schema[LOSS]
        parts: dict[str, Cells] = {}
        for code in np.unique(phases).tolist():
            names = [name for name in codes if codes[name] == code]
            loss = LOSS if LOSS in names else loss_among(names, self._schema.phases)
            if loss and is_of_type(self._left[loss].column(), field):
                parts[loss] = self._left[loss]
        if parts.keys() <= {LOSS}:
            return
        self._notes += [f"{name} is loss_value" for name in parts if name not in (LOSS, "loss")]
        for name in parts:
            del self._left[name]
        self._left = {LOSS: overlaid([*parts.values()])} | self._left

    def _is_phase(self, name: str) -> bool:
        values = self._left[name].values
        if column_named(name) != PHASE or values.dtype != object:
            return False
        if not all(isinstance(value, str) and value for value in values):
            return False
        return name == PHASE or 0 < len({*values}) <= _PHASE_WORDS_MAX

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
        cells = self._left.get(field.path) if field else None
        if field is None or cells is None:
            return
        if all(isinstance(value, Mapping) for value in cells.values):
            del self._left[field.path]
            configs: dict[bytes, int] = {}
            distinct: list[Mapping[str, Any]] = []
            numbers = np.zeros(len(cells.values), np.uint32)
            for place, config in enumerate(cells.values):
                where = f"{self._table.name}, {self._where(cells.row(place))}, {field.path}"
                body = config_json(config, self._schema.format.limits, where)
                numbers[place] = configs.setdefault(body, len(configs))
                if numbers[place] == len(distinct):
                    distinct.append(config)
            self._configs = tuple(distinct)
            self._columns[field.path] = cells.with_values(numbers)
        elif cells.values.dtype.kind in "iuf":
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
            is_same = all(np.array_equal(part.places(), parts[0].places()) for part in parts)
            if is_same and all(part.values.dtype.kind in "iuf" for part in parts):
                stacked = np.stack([part.values for part in parts], axis=1)
                for name in names:
                    del self._left[name]
                self._left[field.path] = parts[0].with_values(stacked)

    # --------------------------------------------------------------------------------- time

    def _take_timestamp(self) -> None:
        cells = self._left.get(TIMESTAMP) if self._is_own else None
        if cells is None:
            return
        try:
            values = values_of(cells.column(), self._schema[TIMESTAMP])
        except Mismatch:
            return  # a wall time
        del self._left[TIMESTAMP]
        self._columns[TIMESTAMP] = self._filled(TIMESTAMP, cells.with_values(values))

    def _take_step_as_timestamp(self) -> None:
        """Take the steps as timestamps if there are no others; without steps, number the rows."""
        if TIMESTAMP not in self._columns and STEP in self._columns:
            self._columns[TIMESTAMP] = self._filled(STEP, self._columns[STEP])
        if TIMESTAMP not in self._columns and self._rows is not None:
            self._columns[TIMESTAMP] = Cells(None, self._rows.astype(np.uint64))

    def _filled(self, name: str, cells: Cells) -> Cells:
        num_absent = self._num_records - len(cells.values)
        if num_absent:
            self._notes.append(
                f"{counted(num_absent, 'record')} without {name}: that of the record before is used"
            )
        values, present = np.zeros(self._num_records, np.uint64), np.zeros(self._num_records, bool)
        values[cells.places()], present[cells.places()] = cells.values, True
        return Cells(None, forward_filled(values, present))

    def _take_time(self, name: str, cells: Cells) -> bool:
        meaning, is_text = column_named(name), cells.values.dtype.kind == "O"
        is_clock = meaning == WALL_TIME or (meaning == DATE and is_text)
        seconds = as_seconds(cells.column()) if is_clock else None
        path = f"{self._schema.open_group}.{WALL_TIME}"
        if seconds is None or path in self._columns or self._schema.open_group is None:
            return False
        if name != WALL_TIME:
            self._notes.append(f"{name} is the metric {WALL_TIME}, in seconds")
        self._columns[path] = cells.with_values(seconds)
        return True

    # --------------------------------------------------------------------- fields and metrics

    def _take(self, name: str, cells: Cells) -> None:
        field = inferred_field(name, self._schema, self._columns)
        is_time = field is not None and field.path == TIMESTAMP  # a wall time
        if field is not None and not is_time and self._take_field(name, cells, field):
            return
        if not self._take_time(name, cells):
            self._take_metric(name, cells)

    def _take_field(self, name: str, cells: Cells, field: Field) -> bool:
        column = cells.column()
        try:
            values = values_of(column, field)
        except Mismatch as err:
            expected = ", ".join(field.labels) or field.type_name
            self._notes.append(
                f"{name} is a metric and not the field {field.path}: "
                f"{self._where(cells.row(err.row))} has {err.value!r:.40}, expected {expected}"
            )
            return False
        if self._is_own and self._table.is_text:
            values = as_printed(values, column.mask(), field)
        self._columns[field.path] = cells.with_values(values)
        return True

    def _take_metric(self, name: str, cells: Cells) -> None:
        group = self._schema.open_group
        name = name.removeprefix(f"{group}.") or name
        if reason := _why_no_metric(name, self._schema):
            self._lost.append(f"{name[:40]!r}: {reason}")
            return
        path = free_name(f"{group}.{name}", self._columns, self._schema)
        name = path.removeprefix(f"{group}.")
        metric = as_metric(name, cells.column(), lambda place: self._where(cells.row(place)))
        if metric.values is None and metric.is_no_number:
            self._notes += metric.lost
        else:
            self._lost += metric.lost
        self._notes += metric.notes
        if metric.values is None:
            return
        if metric.type != "f64" and self._is_stated:
            self._lost.append(f"{name}: integers beyond 2^53, which the schema does not declare")
            return
        if metric.type != "f64":
            self._declared[name] = {"type": metric.type}
        self._columns[path] = cells.with_values(metric.values).kept(metric.present)


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
    path = name if name in schema else field_named(column_named(name), schema)
    for word in (name, name.lower()):
        if path not in schema:
            paths = [field.path for field in schema.fields if field.name == word]
            path = paths[0] if len(paths) == 1 else path
    return schema[path] if path in schema and path not in taken else None


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
    is_no_number : bool
        There is nothing but text, lists and objects in it.
    """

    values: Array | None
    present: Mask
    type: str = "f64"
    lost: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    is_no_number: bool = False


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
        return Metric(None, present, lost=tuple(sentence), is_no_number=True)
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
        return Metric(None, left, lost=tuple(lost), is_no_number=True)
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
