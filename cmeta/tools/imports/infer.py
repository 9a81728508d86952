"""Times: wall times in seconds, and records that state no time of their own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from cmeta.aliases import Array, Mask
from cmeta.errors import EncodeError
from cmeta.schema import canonical_json
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.schema.schema import Schema, default_schema
from cmeta.schema.types import Field
from cmeta.tools.imports.exact import as_printed, counted
from cmeta.tools.imports.model import Imported, ImportOptions
from cmeta.tools.imports.native import as_masked
from cmeta.tools.imports.tables import (
    FLOAT_SAFE,
    Misfit,
    RawColumn,
    RawTable,
    as_field,
    as_raw,
    numbers,
)


def as_seconds(column: RawColumn) -> Array | None:
    """Return wall times as seconds since 1970, or None if they are none.

    Numbers are taken as they are; text must be dates of ISO 8601, in UTC unless it says otherwise.

    Examples
    --------
    >>> from cmeta.tools.imports.tables import as_raw
    >>> as_seconds(as_raw(["1970-01-01T00:01:00", "1970-01-02"])).tolist()
    [60.0, 86400.0]
    """
    if column.values.dtype != object:
        return _plain_seconds(column)
    found = np.zeros(len(column.values))
    for row in np.flatnonzero(column.present).tolist():
        seconds = _of_text(column.values[row])
        if seconds is None:
            return None
        found[row] = seconds
    return found


def _plain_seconds(column: RawColumn) -> Array | None:
    try:
        return as_field(column, Field("seconds", "f64"))
    except Misfit:
        return None


def _of_text(text: object) -> float | None:
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    if found is None:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def carried_on(values: Array, present: Mask) -> Array:
    """Return values with those of the record before where absent; 0 before the first.

    Examples
    --------
    >>> carried_on(np.array([0, 5, 0, 7]), np.array([False, True, False, True])).tolist()
    [0, 5, 5, 7]
    """
    if present.all():
        return values
    last = np.maximum.accumulate(np.where(present, np.arange(len(values)), -1))
    return np.where(last >= 0, values[np.maximum(last, 0)], values.dtype.type(0))


ALIASES = {
    "loss": "loss_value",
    "seed": "seed_state",
    "_step": "step",
    "global_step": "step",
}
PHASE_COLUMNS = ("phase", "split", "mode", "stage")
CLOCKS = ("timestamp", "_timestamp", "wall_time")  # numbers of these are seconds since 1970
DATES = ("time", "datetime", "date", "created_at")  # and text of these may be dates
PHASES = {
    "training": "train",
    "val": "validate",
    "valid": "validate",
    "validation": "validate",
    "eval": "validate",
    "evaluation": "validate",
}


def field_meant(name: str, schema: Schema, taken: Collection[str]) -> Field | None:
    """Return the declared field that a name means, unless it is taken.

    Examples
    --------
    >>> from cmeta.schema import default_schema
    >>> schema = default_schema()
    >>> [field_meant(name, schema, ()).path for name in ("loss", "entropy", "step")]
    ['loss_value', 'metrics.entropy', 'step']
    """
    path = name if name in schema else ALIASES.get(name, "")
    if path not in schema:
        same = [field.path for field in schema.fields if field.name == name]
        path = same[0] if len(same) == 1 else ""
    return schema[path] if path and path not in taken else None


def metric_name(name: str, schema: Schema) -> str:
    """Return a metric's own name, without the open group's in front.

    Examples
    --------
    >>> from cmeta.schema import default_schema
    >>> metric_name("metrics.lr", default_schema()), metric_name("train/lr", default_schema())
    ('lr', 'train/lr')
    """
    return name.removeprefix(f"{schema.open_group}.") or name


def why_no_name(name: str, schema: Schema) -> str:
    """Return why a name cannot be a metric's; "" if it can."""
    most = schema.format.limits.name_bytes_max
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        return "its name is no UTF-8"
    if not 1 <= length <= most:
        return f"a name must have 1 to {most} bytes, and has {length}"
    return "the schema takes no undeclared metrics" if schema.open_group is None else ""


def understood_phases(found: Collection[str], known: Collection[str]) -> dict[str, str]:
    """Return the phase that each word for a phase means; two words never become one phase.

    Examples
    --------
    >>> understood_phases({"train", "val"}, ("dream", "train", "validate"))["val"]
    'validate'
    >>> understood_phases({"val", "eval"}, ("dream", "train", "validate"))["val"]
    'val'
    """
    meant = {}
    for word in sorted(found):
        phase = word if word in known else PHASES.get(word.lower(), word)
        meant[word] = phase if phase in known else word
    counts = [*meant.values()]
    return {
        word: phase if phase == word or counts.count(phase) == 1 else word
        for word, phase in meant.items()
    }


_KINDS = {str: "text", list: "list", dict: "object", bytes: "bytes", bool: "boolean"}


@dataclass(frozen=True)
class Metric:
    """What a column is as a metric.

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


def as_metric(name: str, column: RawColumn, where: Callable[[int], str]) -> Metric:
    """Return what a column is as a metric.

    Examples
    --------
    >>> found = as_metric("note", as_raw(["warm-up", 1.5]), "line {}".format)
    >>> found.values.tolist(), found.lost
    ([0.0, 1.5], ("note: text of 1 record is not kept, such as 'warm-up' (line 0)",))
    """
    column = numbers(column)
    if column.values.ndim == 2:
        return _without(name, column, column.present, "list", where)
    if column.values.dtype == object:
        return _of_objects(name, column, where)
    kind = column.values.dtype.kind
    if kind == "b":
        notes = (f"{name}: true and false are kept as 1 and 0",)
        return Metric(column.values.astype(np.float64), column.present, notes=notes)
    if kind == "f":
        return Metric(column.values.astype(np.float64), column.present)
    there = column.values[column.present]
    is_safe = not there.size or (int(there.min()) >= -FLOAT_SAFE and int(there.max()) <= FLOAT_SAFE)
    if is_safe:
        return Metric(np.where(column.present, column.values, 0).astype(np.float64), column.present)
    type_ = "i64" if kind == "i" else "u64"
    notes = (f"{name} is declared {type_}: it has integers beyond 2^53",)
    return Metric(column.values.astype(type_.replace("64", "8")), column.present, type_, (), notes)


def _of_objects(name: str, column: RawColumn, where: Callable[[int], str]) -> Metric:
    """Keep the numbers among other things."""
    lost: list[str] = []
    left = column.present.copy()
    for kind, word in _KINDS.items():
        found = np.array([type(value) is kind for value in column.values], bool) & column.present
        if kind is not bool and found.any():
            lost += _without(name, column, found, word, where).lost
            left &= ~found
    if not left.any():
        return Metric(None, left, lost=tuple(lost))
    there = zip(column.values, left.tolist(), strict=True)
    kept: list[Any] = [value if is_there else None for value, is_there in there]
    plain = as_raw([int(value) if isinstance(value, bool) else value for value in kept])
    if plain.values.dtype != object:
        found_ = as_metric(name, plain, where)
        return Metric(found_.values, left, found_.type, (*lost, *found_.lost), found_.notes)
    return _rounded(name, kept, left, lost, where)


def _rounded(
    name: str, kept: list[Any], left: Mask, lost: list[str], where: Callable[[int], str]
) -> Metric:
    """Keep what float64 holds of integers that no one type does."""
    bad = np.array([type(v) is int and not _is_float(v) for v in kept], bool)
    sentence = _sentence(name, kept, bad, "an integer that no 64 bits hold with the others", where)
    fine = left & ~bad
    values = np.array([float(v) if ok else 0.0 for v, ok in zip(kept, fine.tolist(), strict=True)])
    return Metric(values if fine.any() else None, fine, lost=(*lost, sentence))


def _is_float(value: int) -> bool:
    try:
        return int(float(value)) == value
    except OverflowError:
        return False


def _without(
    name: str, column: RawColumn, found: Mask, word: str, where: Callable[[int], str]
) -> Metric:
    lost = (_sentence(name, column.values, found, word, where),) if found.any() else ()
    return Metric(None, column.present, lost=lost)


def _sentence(name: str, values: Any, found: Mask, word: str, where: Callable[[int], str]) -> str:
    row, count = int(np.argmax(found)), int(found.sum())
    value = values[row]
    shown = repr(value.tolist() if isinstance(value, np.ndarray) else value)
    shown = shown if len(shown) <= 40 else f"{shown[:37]}..."
    return (
        f"{name}: {word} of {counted(count, 'record')} is not kept, such as {shown} ({where(row)})"
    )


_PHASES_MOST = 16  # words of a column that is not called phase
STEP, WALL_TIME = "step", "wall_time"


def import_foreign(table: RawTable, options: ImportOptions) -> Imported:
    """Return a table of another tool as columns.

    Raises
    ------
    EncodeError
        A phase that a stated schema does not have, or too many of them.
    """
    return _Foreign(table, options).imported()


class _Foreign:
    """A table while its columns are being understood."""

    def __init__(self, table: RawTable, options: ImportOptions) -> None:
        self._table, self._options = table, options
        self._is_stated = options.schema is not None
        self._schema: Schema = options.schema or default_schema()
        self._left = dict(table.columns)
        self._columns: dict[str, Any] = {}
        self._configs: tuple[Mapping[str, Any], ...] = ()
        self._lost, self._notes = list(table.lost), list(table.notes)
        self._is_own = table.is_text and _is_own_form(table, self._schema)

    def imported(self) -> Imported:
        self._take_phase()
        self._take_config()
        self._take_vectors()
        self._take_timestamp()
        # A field's own name comes before another one for it.
        for name in sorted(self._left, key=lambda name: name not in self._schema):
            self._take(name, self._left[name])
        self._stamp()
        return Imported(
            self._columns, self._schema, self._configs, tuple(self._lost), tuple(self._notes),
            tuple(self._table.damage), self._is_stated,
        )  # fmt: skip

    # ---------------------------------------------------------------------------- what leads

    def _take_phase(self) -> None:
        name = next((n for n in PHASE_COLUMNS if self._is_phase(n)), None)
        column = self._left.pop(name) if name else None
        default = self._options.default_phase
        words = [] if column is None else [str(word) for word in column.values[column.present]]
        is_missing = column is None or not column.present.all()
        meant = understood_phases({*words, *([default] if is_missing else [])}, self._schema.phases)
        self._know_phases(meant)
        codes = {word: self._schema.phases.index(phase) for word, phase in meant.items()}
        found = np.full(self._table.num_records, codes.get(default, 0), np.uint8)
        if column is not None:
            found[column.present] = [codes[word] for word in words]
        for word, phase in meant.items():
            if word != phase:
                self._notes.append(f"{word} is the phase {phase}")
        self._columns[PHASE] = found

    def _is_phase(self, name: str) -> bool:
        column = self._left.get(name)
        if column is None or column.values.dtype != object:
            return False
        there = column.values[column.present]
        if not all(isinstance(value, str) and value for value in there):
            return False
        return name == PHASE or 0 < len(set(there)) <= _PHASES_MOST

    def _know_phases(self, meant: Mapping[str, str]) -> None:
        new = [phase for phase in dict.fromkeys(meant.values()) if phase not in self._schema.phases]
        most = self._schema.format.limits.enumeration_max
        if new and (self._is_stated or len(self._schema.phases) + len(new) > most):
            known = ", ".join(self._schema.phases)
            raise EncodeError(
                f"{self._table.name}: found the phase {new[0]!r}, expected one of: {known}; append "
                f'it with schema.with_phases("...") (of at most {most})'
            )
        self._schema = self._schema.with_phases(*new) if new else self._schema

    def _take_config(self) -> None:
        """Take a column of configurations: objects of JSON lines, each record's own."""
        field = self._schema.config_field
        column = self._left.get(field.path) if field else None
        if field is None or column is None:
            return
        there = column.values[column.present]
        if all(isinstance(value, Mapping) for value in there):
            del self._left[field.path]
            places: dict[bytes, int] = {}
            numbers = np.zeros(len(column.values), np.uint32)
            for row in np.flatnonzero(column.present).tolist():
                where = f"{self._table.name}, {self._table.where(row)}, {field.path}"
                body = canonical_json.dumps(column.values[row], self._schema.format.limits, where)
                numbers[row] = places.setdefault(body, len(places))
                if numbers[row] == len(self._configs):
                    self._configs = (*self._configs, column.values[row])
            self._columns[field.path] = as_masked(column, numbers)
        elif column.values.dtype.kind in "iuf":
            del self._left[field.path]
            self._lost.append(
                f"{field.path}: numbers of configurations that this file does not hold; full JSON "
                "lines hold them (cmeta cat --format jsonl --full)"
            )

    def _take_vectors(self) -> None:
        """Put the components ``name[0]``, ``name[1]``, ... of a CSV together."""
        for field in self._schema.fields:
            names = [f"{field.path}[{i}]" for i in range(field.num_components)]
            if not names or not all(name in self._left for name in names):
                continue
            parts = [self._left[name] for name in names]
            same = all((part.present == parts[0].present).all() for part in parts)
            if same and all(part.values.dtype.kind in "iuf" for part in parts):
                stacked = np.stack([part.values for part in parts], axis=1)
                self._left = {n: c for n, c in self._left.items() if n not in names}
                self._left[field.path] = RawColumn(stacked, parts[0].present)

    # ---------------------------------------------------------------------------------- time

    def _take_timestamp(self) -> None:
        column = self._left.get(TIMESTAMP)
        if column is None:
            return
        try:
            values = as_field(column, self._schema[TIMESTAMP])
        except Misfit:
            return  # a wall time, as any other column of such a name may be
        del self._left[TIMESTAMP]
        self._columns[TIMESTAMP] = self._carried(TIMESTAMP, values, column)

    def _stamp(self) -> None:
        """Take the steps as timestamps if there is nothing better; else they are counted."""
        if TIMESTAMP in self._columns or STEP not in self._columns:
            return
        steps = self._columns[STEP]
        column = RawColumn(np.asarray(steps), ~np.ma.getmaskarray(steps))
        self._columns[TIMESTAMP] = self._carried(STEP, column.values, column)

    def _carried(self, name: str, values: Array, column: RawColumn) -> Array:
        num_missing = int((~column.present).sum())
        if num_missing:
            self._notes.append(
                f"{counted(num_missing, 'record')} without {name}: that of the one before is taken"
            )
        return carried_on(values.astype(np.uint64), column.present)

    def _take_time(self, name: str, column: RawColumn) -> bool:
        is_clock = name in CLOCKS or (name in DATES and column.values.dtype.kind == "O")
        seconds = as_seconds(column) if is_clock else None
        path = f"{self._schema.open_group}.{WALL_TIME}"
        if seconds is None or path in self._columns or self._schema.open_group is None:
            return False
        if name != WALL_TIME:
            self._notes.append(f"{name} is the metric {WALL_TIME}, in seconds")
        self._columns[path] = as_masked(column, seconds)
        return True

    # ------------------------------------------------------------------------- everything else

    def _take(self, name: str, column: RawColumn) -> None:
        field = field_meant(name, self._schema, {*self._columns, TIMESTAMP})
        if field is not None and self._take_field(name, column, field):
            return
        if not self._take_time(name, column):
            self._take_metric(name, column)

    def _take_field(self, name: str, column: RawColumn, field: Field) -> bool:
        try:
            values = as_field(column, field)
        except Misfit as misfit:
            where = self._table.where(misfit.row)
            expected = ", ".join(field.labels) or field.type_name
            self._notes.append(
                f"{name} is a metric and not the field {field.path}: {where} has "
                f"{misfit.found!r:.40}, expected {expected}"
            )
            return False
        if self._is_own:
            values = as_printed(values, column.present, field)
        self._columns[field.path] = as_masked(column, values)
        return True

    def _take_metric(self, name: str, column: RawColumn) -> None:
        plain = metric_name(name, self._schema)
        if why := why_no_name(plain, self._schema):
            self._lost.append(f"{plain[:40]!r}: {why}")
            return
        while f"{self._schema.open_group}.{plain}" in {*self._columns, *self._declared}:
            plain += "_"
        found = as_metric(plain, column, self._table.where)
        self._lost += found.lost
        self._notes += found.notes
        if found.values is None:
            return
        if found.type != "f64" and self._is_stated:
            self._lost.append(f"{plain}: integers beyond 2^53, which the schema does not declare")
            return
        if found.type != "f64":
            self._schema = self._schema.with_metrics(**{plain: {"type": found.type}})
        path = f"{self._schema.open_group}.{plain}"
        self._columns[path] = as_masked(RawColumn(found.values, found.present), found.values)

    @property
    def _declared(self) -> tuple[str, ...]:
        return tuple(field.path for field in self._schema.fields)


def _is_own_form(table: RawTable, schema: Schema) -> bool:
    """Return whether all names are as cmeta writes them."""
    bases = {name.partition("[")[0] if name not in schema else name for name in table.columns}
    group = f"{schema.open_group}."
    known = all(base in schema or base.startswith(group) for base in bases)
    return known and {TIMESTAMP, PHASE} <= bases
