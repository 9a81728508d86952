"""The matrix: every competitor and every operation, on four workloads of several lengths.

For each workload and length, all competitors write the same table; the table that they read back is
compared with it once; then they take turns at each operation. A competitor that fails, or whose
package is missing, gets a row with the reason. A measurement that would take too long is left out,
and its cell states the estimate.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from bench import memory, workloads
from bench.competitors import ENTRIES, load
from bench.competitors.base import Competitor, Table, between
from bench.results import OPERATIONS, Cell, Loss, Results
from bench.telemetry import FOLDER
from bench.timing import MOST_ROUNDS, Failure, reason_of, turns

NUM_APPENDED, APPEND_ROUNDS = 100, 5
NUM_TRIED = (50, 250)  # records that a logger writes for an estimate
NUM_SHORT = 1_000  # records up to which loggers write every workload
LEAST_FOR_CORES = 100_000  # records from which more than one thread is useful
MOST_OF_ALL_WORKLOADS = 100_000  # records up to which the slow are timed on every workload
FIRST_WORKLOAD = next(iter(workloads.WORKLOADS))


@dataclass(frozen=True)
class Plan:
    """The measurements to make.

    Attributes
    ----------
    lengths : tuple of int
        Numbers of records, ascending.
    workloads, operations, competitors : tuple of str
    num_cycles : int
        Records of a workload that are trained.
    budget : float
        Seconds for the rounds of one cell; at least three rounds below it, one beyond.
    rounds : int
        At most.
    longest : float
        Seconds beyond which a single run is not begun.
    """

    lengths: tuple[int, ...] = (1_000, 100_000, 1_000_000)
    workloads: tuple[str, ...] = tuple(workloads.WORKLOADS)
    operations: tuple[str, ...] = tuple(OPERATIONS)
    competitors: tuple[str, ...] = tuple(entry.name for entry in ENTRIES)
    num_cycles: int = 100_000
    budget: float = 2.0
    rounds: int = MOST_ROUNDS
    longest: float = 40.0


@dataclass
class _Round:
    """A workload of one length, and its competitors."""

    plan: Plan
    workload: str
    table: Table
    folder: Path
    results: Results
    present: dict[str, Competitor] = field(default_factory=dict)
    num_appended: dict[str, int] = field(default_factory=dict)

    @property
    def num_records(self) -> int:
        return len(self.table["timestamp"])

    def add(self, name: str, operation: str, **facts: Any) -> None:
        cell = Cell(name, self.workload, self.num_records, operation, **facts)
        self.results.cells.append(cell)

    def refuse(self, name: str, reason: str) -> None:
        """Give every operation a cell with the reason for having no figure."""
        for operation in self.plan.operations:
            self.add(name, operation, reason=reason)


def measure(plan: Plan, results: Results, save: Callable[[], None]) -> None:
    """Measure everything in the plan, adding to `results`; `save` is called as it grows."""
    for length in plan.lengths:
        for workload in plan.workloads:
            _say(f"{workload}, {length:,} records")
            table = workloads.table(workload, length, plan.num_cycles)
            folder = FOLDER / "matrix" / f"{workload}-{length}"
            current = _Round(plan, workload, table, folder, results)
            try:
                _one_round(current)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            save()


def _one_round(current: _Round) -> None:
    for name in current.plan.competitors:
        _enter(current, name)
    timed = {n: c for n, c in current.present.items() if _is_timed(current, c)}
    for name in current.present.keys() - timed.keys():
        _refuse_times(current, name)
    # Appending makes files longer, so it comes last.
    for operation in sorted(current.plan.operations, key="append".__eq__):
        if OPERATIONS[operation] == "s":
            _say(f"  {operation}")
            _time(current, operation, timed, threads=1)
    if current.workload == FIRST_WORKLOAD:
        _memories(current)


def _enter(current: _Round, name: str) -> None:
    """Let a competitor write once, and compare what it reads back."""
    try:
        made = load(name)
        note_of(current.results, name, made)
        is_first = current.workload == FIRST_WORKLOAD
        if made.is_logger and not is_first and current.num_records > NUM_SHORT:
            reason = f"a logger's cost does not depend on the values: see {FIRST_WORKLOAD}"
            current.refuse(name, reason)
            return
        folder = current.folder / re.sub(r"\W+", "-", name)
        shutil.rmtree(folder, ignore_errors=True)  # left by an interrupted run
        competitor = made(folder)
        seconds = _forecast(current, competitor)
        if seconds > current.plan.longest:
            each = seconds / current.num_records
            current.refuse(name, f"about {seconds:,.0f} s: {_short_time(each)} per record")
            return
        competitor.write(current.table)
        lost = _compare(current, competitor)
    except Exception as err:  # becomes a row of the results
        current.refuse(name, reason_of(err))
        return
    current.present[name] = competitor
    if lost:
        current.results.losses.append(Loss(name, current.workload, current.num_records, lost))
    if "size" in current.plan.operations:
        current.add(name, "size", value=competitor.length())


def _compare(current: _Round, competitor: Competitor) -> list[str]:
    """Return the columns that are lost.

    Raises
    ------
    AssertionError
        A column or a range read alone differs from that of the whole table.
    """
    back = competitor.read_all()
    lost = [n for n in current.table if not workloads.is_same(back, current.table, n)]
    if current.num_records <= MOST_OF_ALL_WORKLOADS:
        column = competitor.read_column(workloads.COLUMN)
        if not workloads.is_same({workloads.COLUMN: column}, back, workloads.COLUMN):
            raise AssertionError("a column read alone differs")
        start, end = range_of(current.num_records)
        part, expected = competitor.read_range(start, end), between(back, start, end)
        if not all(workloads.is_same(part, expected, name) for name in expected):
            raise AssertionError("a range read alone differs")
    return lost


def note_of(results: Results, name: str, made: type[Competitor]) -> None:
    """Keep a competitor's notes."""
    results.notes[name] = dict(made.notes)
    results.syncs[name] = made.sync


def _forecast(current: _Round, competitor: Competitor) -> float:
    """Return an estimate of the seconds that a logger will take to write; 0 for others.

    It is extrapolated from the difference between two short runs, which leaves the cost of starting
    and finishing out.
    """
    if not competitor.is_logger:
        return 0.0
    times = []
    for count in (NUM_TRIED[0], *NUM_TRIED):  # the first run warms up
        part = {key: values[:count] for key, values in current.table.items()}
        begin = time.perf_counter()
        competitor.write(part)
        times.append(time.perf_counter() - begin)
    each = max(0.0, times[2] - times[1]) / (NUM_TRIED[1] - NUM_TRIED[0])
    return each * current.num_records


def _is_timed(current: _Round, competitor: Competitor) -> bool:
    if current.workload == FIRST_WORKLOAD or not competitor.rowwise:
        return True
    return not competitor.is_logger and current.num_records <= MOST_OF_ALL_WORKLOADS


def _refuse_times(current: _Round, name: str) -> None:
    for operation in current.plan.operations:
        if OPERATIONS[operation] == "s":
            reason = f"record by record, independent of the values: see {FIRST_WORKLOAD}"
            current.add(name, operation, reason=reason)


def _time(current: _Round, operation: str, timed: dict[str, Competitor], threads: int) -> None:
    """Let all competitors that have an operation take turns at it."""
    runs: dict[str, Callable[[], Any]] = {}
    for name, competitor in timed.items():
        run = _run_of(current, name, competitor, operation)
        if run is None:
            reason = competitor.notes.get(operation, "the format has none")
            current.add(name, operation, threads=threads, reason=reason)
        else:
            runs[name] = run
    most = min(current.plan.rounds, APPEND_ROUNDS if operation == "append" else MOST_ROUNDS)
    for name, found in turns(runs, current.plan.budget, most).items():
        if isinstance(found, Failure):
            current.add(name, operation, threads=threads, reason=found.reason)
        else:
            value, spread, rounds = found
            current.add(name, operation, threads=threads, value=value, spread=spread, rounds=rounds)
    cores = os.cpu_count() or 1
    if threads == 1 < cores and current.num_records >= LEAST_FOR_CORES:
        several = {n: c for n, c in timed.items() if operation in c.threaded}
        if several:
            together = {n: type(c)(c.folder, cores) for n, c in several.items()}
            _time(current, operation, together, threads=cores)


def _run_of(
    current: _Round, name: str, competitor: Competitor, operation: str
) -> Callable[[], Any] | None:
    """Return an operation without arguments; None if the format has none."""
    start, end = range_of(current.num_records)
    runs = {
        "write": partial(competitor.write, current.table),
        "read": competitor.read_all,
        "column": partial(competitor.read_column, workloads.COLUMN),
        "range": partial(competitor.read_range, start, end),
        "open": competitor.open,
        "verify": competitor.verify,
    }
    if operation != "append":
        return runs[operation]
    if competitor.append is None:
        return None
    append = competitor.append

    def run() -> None:
        begin = current.num_records + current.num_appended.get(name, 0)
        given = workloads.further(current.table, NUM_APPENDED, begin)
        current.num_appended[name] = current.num_appended.get(name, 0) + NUM_APPENDED
        append(given)

    return run


def range_of(num_records: int) -> tuple[int, int]:
    """Return the first and the last timestamp of the range: a tenth, at most 1,000 records."""
    count = min(1_000, num_records // 10)
    start = num_records // 2
    return start, start + count - 1


def _memories(current: _Round) -> None:
    """Measure peak memory: of the longest table, and of loggers, which may not write that one."""
    wanted = [o for o in current.plan.operations if o.startswith("memory")]
    is_longest = current.num_records == max(current.plan.lengths)
    competitors = {n: c for n, c in current.present.items() if is_longest or c.is_logger}
    if not wanted or not competitors:
        return
    stored = FOLDER / "matrix" / "table.npz"
    memory.store(stored, current.table)
    for name, competitor in competitors.items():
        for operation in wanted:
            _say(f"  {operation}: {name}")
            try:
                what = operation.partition(", ")[2]
                value = memory.peak_of(name, competitor.folder, what, stored)
                current.add(name, operation, value=value)
            except Exception as err:
                current.add(name, operation, reason=reason_of(err))
    stored.unlink()


def _short_time(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f} us"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
