"""Tables of other tools: names and values as fields and metrics, with nothing lost unsaid.

- A name that means a field (`cmeta.importer.tables.naming`) becomes that field if all its values
  fit; any other becomes a metric. Booleans become 0 and 1; an integer beyond 2^53 makes its metric
  a declared one of an integer type.
- `timestamp` is a column of that name of integers from 0 on, else the step, else the place of the
  record. Floats and dates of that name, ``_timestamp`` of W&B, and dates of some other names are
  wall times: the metric ``wall_time``, in seconds since 1970.
- The phase is a column ``phase``, or ``split``, ``mode`` or ``stage`` of a few words. ``val``,
  ``valid``, ``eval`` mean validate; other words are appended to the schema's phases.
- A text whose names are all as cmeta itself writes them says a float32 by its shortest decimal, as
  cmeta does; any other decimal is a float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cmeta import canonical
from cmeta.chunk import Array
from cmeta.errors import EncodeError
from cmeta.importer.exact import as_printed, counted
from cmeta.importer.model import Imported, ImportOptions
from cmeta.importer.tables.clock import as_seconds, carried_on
from cmeta.importer.tables.metrics import as_metric
from cmeta.importer.tables.naming import (
    CLOCKS,
    DATES,
    PHASE_COLUMNS,
    field_meant,
    metric_name,
    understood_phases,
    why_no_name,
)
from cmeta.importer.tables.raw import RawColumn, RawTable
from cmeta.importer.tables.stated import as_masked
from cmeta.importer.tables.typed import Misfit, as_field
from cmeta.schema import Field, Schema, default_schema
from cmeta.schema.rules import PHASE, TIMESTAMP

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
                body = canonical.dumps(column.values[row], self._schema.format.limits, where)
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
