"""A run that is run again is compared with its records, one cycle at a time, in flat memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cmeta.compare.quanta import FAR, distance
from cmeta.compare.replay_report import Difference, ReplayReport, Verdict
from cmeta.errors import CmetaError
from cmeta.format.column import as_stored
from cmeta.records.arrays import as_array
from cmeta.records.chunk import Column
from cmeta.records.record import CycleRecord, flatten
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.schema.schema import Schema
from cmeta.schema.types import Field

ENVIRONMENT = "environment"  # the key of a configuration that states it
_INPUTS = (TIMESTAMP, PHASE, "seed_state", "config")  # what a cycle is given


class ReplayComparison:
    """Compares cycle by cycle, and fills in the report.

    Parameters
    ----------
    name : str
        Of the file, for the report.
    schema : Schema
        Of the file.
    volatile : bool
        Compare volatile fields too.

    Attributes
    ----------
    report : ReplayReport
    """

    def __init__(self, name: str, schema: Schema, *, volatile: bool = False) -> None:
        self._schema, self._has_volatile = schema, volatile
        self.report = ReplayReport(name)
        self._recorded: dict[str, None] = {}
        self._returned: set[str] = set()
        self._fields: dict[str, Field] = {}
        self._has_diverged = False
        self._worst = -1

    def add(self, ordinal: int, record: CycleRecord, replayed: Mapping[str, Any]) -> Verdict:
        """Compare one cycle.

        Parameters
        ----------
        ordinal : int
        record : CycleRecord
            As it was recorded.
        replayed : mapping of str to value
            By dotted name; only these are compared. None: absent.
        """
        recorded = flatten(record, self._schema)
        self._recorded.update(dict.fromkeys(recorded))
        self._returned |= replayed.keys()
        worst = 0
        for path, value in replayed.items():
            field = self._field(path)
            if self._is_left_out(field):
                continue
            quanta = distance(field, recorded.get(path), value)
            self.report.num_values += 1
            if quanta:
                self._add_difference(ordinal, record, field, recorded.get(path), value, quanta)
            worst = max(worst, quanta)
        verdict = self._verdict(worst)
        self.report.num_cycles += 1
        self.report.counts[verdict] += 1
        return verdict

    def finish(self) -> ReplayReport:
        """Return the report."""
        missing = [path for path in self._recorded if path not in self._returned]
        self.report.not_replayed = tuple(
            path
            for path in missing
            if path not in _INPUTS and not self._is_left_out(self._field(path))
        )
        return self.report

    def _is_left_out(self, field: Field) -> bool:
        return field.volatile and not self._has_volatile

    def _verdict(self, quanta: int) -> Verdict:
        if quanta == 0:
            return "exact"
        if quanta == 1:
            return "within one quantum"
        return "inconclusive" if self.report.environment else "diverged"

    def _add_difference(
        self, ordinal: int, record: CycleRecord, field: Field, recorded: Any, value: Any,
        quanta: int,
    ) -> None:  # fmt: skip
        report = self.report
        report.fields[field.path] = report.fields.get(field.path, 0) + 1
        is_first = report.first is None or (quanta > 1 and not self._has_diverged)
        # A digest has no distance, and the quanta of a lossless field are of many sizes.
        weight = quanta if quanta < FAR and field.quanta_per_unit else 0
        if not is_first and weight <= self._worst:
            return
        difference = Difference(
            ordinal, record.timestamp or 0, record.phase, field.path, recorded,
            _stored_value(value, field), quanta if quanta < FAR else None, record.step,
        )  # fmt: skip
        if is_first:
            report.first, self._has_diverged = difference, quanta > 1
        if weight > self._worst:
            report.worst, self._worst = difference, weight

    def _field(self, path: str) -> Field:
        if path not in self._fields:
            self._fields[path] = self._schema.field(path)
        return self._fields[path]


def _stored_value(value: Any, field: Field) -> Any:
    """Return a replayed value as a file would give it back, for the report."""
    if value is None or field.type == "config":
        return value
    try:
        kept = as_stored(Column(as_array([value], field).values, None), field).values[0].tolist()
    except CmetaError:
        return value
    return field.labels[kept] if field.labels else tuple(kept) if field.num_components else kept
