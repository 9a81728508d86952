"""`Verification`: what a training logs, compared with what was recorded, record by record.

Records are aligned by their order among those that are selected. What differs in the configuration
is reported but is no divergence, because a configuration often states a date or a folder; what it
states under ``environment`` decides between *diverged* and *inconclusive*.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any

from cmeta.compare.replay_comparison import ENVIRONMENT, ReplayComparison
from cmeta.compare.replay_report import ReplayReport
from cmeta.errors import counted
from cmeta.reader.reader import Reader, numbered_records
from cmeta.reader.selection import Selection, num_rows
from cmeta.recorder.verify_plan import VerifyPlan
from cmeta.records.config import differing_keys, flattened
from cmeta.records.record import CycleRecord, flatten
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.vocabulary import field_named

# Where these differ, all else does: they are compared, and so named, first.
_FIRST = (PHASE, TIMESTAMP, "step", "epoch", "seed_state")


class Verification:
    """Compares the records of a run that is run again with those of the file.

    Parameters
    ----------
    run : Reader
        The recorded run.
    plan : VerifyPlan
    first : int
        Ordinal of the first record that the training logs.
    name : str
        Of the recorded run, in the report.

    Attributes
    ----------
    has_diverged : bool
        A record differs by more than one quantum, or is not in the file.
    is_past_end : bool
        Every record up to the plan's `end` has been logged.
    """

    def __init__(self, run: Reader, plan: VerifyPlan, first: int, name: str) -> None:
        self._run, self._plan, self._schema = run, plan, run.schema
        selection = Selection.of(run.schema, plan.start, plan.end, plan.phases or None)
        self._selection = replace(selection, first=first)
        self._recorded: Iterator[tuple[int, CycleRecord]]
        self._recorded = numbered_records(run, self._selection)
        self._num_expected = _count(run, self._selection)
        self._phases = {run.schema.phases[code] for code in selection.phases or ()}
        self._comparison = ReplayComparison(name, run.schema, volatile=plan.volatile)
        self._is_ignored: dict[str, bool] = {}
        self._configs: tuple[Any, Any] = (None, None)
        self._num_logged = self._num_after = 0
        self.has_diverged = self.is_past_end = False

    def reopen(self, run: Reader) -> None:
        """Go on with another reader of the file: the training closes its run and continues it."""
        self._run = run
        self._recorded = islice(numbered_records(run, self._selection), self._num_logged, None)

    def add(self, record: CycleRecord, *, is_assigned: bool) -> None:
        """Compare the next record that the training logs.

        Parameters
        ----------
        is_assigned : bool
            The recorder has assigned the timestamp. Among the records of some phases, it then says
            how many others there were, and is not compared.
        """
        plan, timestamp = self._plan, record.timestamp or 0
        if plan.end is not None and timestamp > plan.end:
            self.is_past_end = True
            return
        if (plan.start is not None and timestamp < plan.start) or (
            self._phases and record.phase not in self._phases
        ):
            return
        self._num_logged += 1
        ordinal, recorded = next(self._recorded, (-1, None))
        if recorded is None:
            self._add_surplus()
            return
        self._compare_configs(recorded.config or {}, record.config or {})
        ignored = {TIMESTAMP} if is_assigned and self._phases else set()
        verdict = self._comparison.add(ordinal, recorded, self._values(recorded, record, ignored))
        self.has_diverged |= verdict in ("diverged", "inconclusive")
        is_last = self._num_logged == self._num_expected
        self.is_past_end |= plan.end is not None and is_last and self._run.state == "closed"

    def report(self, *, is_stopped: bool) -> ReplayReport:
        """Return the report as of now.

        Parameters
        ----------
        is_stopped : bool
            The training was not to log the records that are still missing.
        """
        report = self._comparison.finish()
        missing = self._num_expected - self._num_logged
        report.num_missing = 0 if is_stopped else max(0, missing)
        return report

    def _values(
        self, recorded: CycleRecord, record: CycleRecord, ignored: set[str]
    ) -> dict[str, Any]:
        """Return what to compare, absent values included; the phase alone if that differs."""
        now = flatten(record, self._schema)
        if recorded.phase != record.phase and not self._ignores(PHASE):
            return {PHASE: record.phase}
        then = dict.fromkeys(flatten(recorded, self._schema))
        values = {name: None for name in _FIRST if name in then or name in now} | then | now
        return {p: v for p, v in values.items() if p not in ignored and not self._ignores(p)}

    def _ignores(self, path: str) -> bool:
        if path not in self._is_ignored:
            field = self._schema.field(path)
            names = (path, field.name)
            self._is_ignored[path] = field.type == "config" or any(
                fnmatchcase(name, pattern) or field_named(pattern, self._schema) == path
                for pattern in self._plan.ignore
                for name in names
            )
        return self._is_ignored[path]

    def _add_surplus(self) -> None:
        report = self._comparison.report
        if self._run.state == "closed":
            report.num_surplus += 1
            self.has_diverged = True
            return
        self._num_after += 1
        logged = counted(self._num_after, "record that was", "records that were")
        report.notes = (f"the recorded run was never closed: {logged} logged after its last one",)

    def _compare_configs(self, recorded: Mapping[str, Any], now: Mapping[str, Any]) -> None:
        if self._configs[0] is recorded and self._configs[1] is now:
            return
        self._configs = (recorded, now)
        report = self._comparison.report
        pair = flattened(recorded), flattened(now)
        differing = {key: (pair[0].get(key), pair[1].get(key)) for key in differing_keys(pair)}
        prefix = f"{ENVIRONMENT}."
        report.environment = {
            key.removeprefix(prefix): values
            for key, values in differing.items()
            if key.startswith(prefix) or key == ENVIRONMENT
        }
        for key, values in differing.items():
            if not key.startswith(prefix) and key != ENVIRONMENT:
                report.config.setdefault(key, values)


def _count(run: Reader, selection: Selection) -> int:
    """Return how many records are selected."""
    num_records = 0
    for info in selection.infos(run):
        if selection.phases is None and selection.start is None and selection.end is None:
            num_records += info.first_record + info.num_records
            num_records -= max(info.first_record, selection.first)
        else:
            num_records += num_rows(selection.rows(run.batch(info.ordinal), info))
    return num_records
