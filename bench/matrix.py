"""The matrix: every contestant, every operation, on four kinds of telemetry and several lengths.

For each kind and length all contestants write the same table; what they give back is compared with
it once; then they take turns at each operation. A contestant whose package is missing, or that
fails, is a row that says so. What would take too long is left out, and its cell says how long.
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

from bench import kinds, memory
from bench.contestants import ENTRIES, load
from bench.contestants.base import Contestant, Table, between
from bench.results import OPERATIONS, Cell, Loss, Results
from bench.telemetry import FOLDER
from bench.timing import MOST_ROUNDS, Failure, reason_of, turns

NUM_APPENDED, APPEND_ROUNDS = 100, 5
NUM_TRIED = (50, 250)  # records that a logger writes to see how long many will take
NUM_SHORT = 1_000  # records up to which loggers meet every kind
LEAST_FOR_CORES = 100_000  # records from which on more threads than one are of use
MOST_OF_ALL_KINDS = 100_000  # records up to which the slow are timed on every kind
FIRST_KIND = next(iter(kinds.KINDS))


@dataclass(frozen=True)
class Plan:
    """What is to be measured.

    Attributes
    ----------
    lengths : tuple of int
        Numbers of records, ascending.
    kinds, operations, contestants : tuple of str
    num_cycles : int
        How many records of a kind are trained.
    budget : float
        Seconds for the rounds of one cell; at least three rounds below it, one beyond.
    rounds : int
        At most.
    longest : float
        Seconds beyond which a single run is not begun.
    """

    lengths: tuple[int, ...] = (1_000, 100_000, 1_000_000)
    kinds: tuple[str, ...] = tuple(kinds.KINDS)
    operations: tuple[str, ...] = tuple(OPERATIONS)
    contestants: tuple[str, ...] = tuple(entry.name for entry in ENTRIES)
    num_cycles: int = 100_000
    budget: float = 2.0
    rounds: int = MOST_ROUNDS
    longest: float = 40.0


@dataclass
class _Round:
    """A kind and a length, and those who take part."""

    plan: Plan
    kind: str
    table: Table
    folder: Path
    results: Results
    present: dict[str, Contestant] = field(default_factory=dict)
    num_appended: dict[str, int] = field(default_factory=dict)

    @property
    def num_records(self) -> int:
        return len(self.table["timestamp"])

    def add(self, name: str, operation: str, **facts: Any) -> None:
        cell = Cell(name, self.kind, self.num_records, operation, **facts)
        self.results.cells.append(cell)

    def refuse(self, name: str, reason: str) -> None:
        """Say of every operation why there is no figure."""
        for operation in self.plan.operations:
            self.add(name, operation, reason=reason)


def measure(plan: Plan, results: Results, save: Callable[[], None]) -> None:
    """Measure everything in the plan, adding to `results`; `save` is called as it grows."""
    for length in plan.lengths:
        for kind in plan.kinds:
            _say(f"{kind}, {length:,} records")
            table = kinds.table(kind, length, plan.num_cycles)
            folder = FOLDER / "matrix" / f"{kind}-{length}"
            current = _Round(plan, kind, table, folder, results)
            try:
                _one_round(current)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            save()


def _one_round(current: _Round) -> None:
    for name in current.plan.contestants:
        _enter(current, name)
    timed = {n: c for n, c in current.present.items() if _is_timed(current, c)}
    for name in current.present.keys() - timed.keys():
        _refuse_times(current, name)
    # Appending makes files longer, so it comes last.
    for operation in sorted(current.plan.operations, key="append".__eq__):
        if OPERATIONS[operation] == "s":
            _say(f"  {operation}")
            _time(current, operation, timed, threads=1)
    if current.kind == FIRST_KIND:
        _memories(current)


def _enter(current: _Round, name: str) -> None:
    """Let a contestant write once, and hold what it gives back against what it was given."""
    try:
        made = load(name)
        note_of(current.results, name, made)
        if made.is_logger and current.kind != FIRST_KIND and current.num_records > NUM_SHORT:
            current.refuse(name, f"a logger's cost does not depend on the values: see {FIRST_KIND}")
            return
        folder = current.folder / re.sub(r"\W+", "-", name)
        shutil.rmtree(folder, ignore_errors=True)  # of a run that was stopped
        contestant = made(folder)
        seconds = _forecast(current, contestant)
        if seconds > current.plan.longest:
            each = seconds / current.num_records
            current.refuse(name, f"some {seconds:,.0f} s: {_short_time(each)} a record")
            return
        contestant.write(current.table)
        lost = _compare(current, contestant)
    except Exception as err:  # a row of the results, whatever it is
        current.refuse(name, reason_of(err))
        return
    current.present[name] = contestant
    if lost:
        current.results.losses.append(Loss(name, current.kind, current.num_records, lost))
    if "size" in current.plan.operations:
        current.add(name, "size", value=contestant.length())


def _compare(current: _Round, contestant: Contestant) -> list[str]:
    """Return the columns that are lost; raise if a part is not a part of the whole.

    Raises
    ------
    AssertionError
        One column, or a range, is not what it is when everything is read.
    """
    back = contestant.read_all()
    lost = [n for n in current.table if not kinds.is_same(back, current.table, n)]
    if current.num_records <= MOST_OF_ALL_KINDS:
        column = contestant.read_column(kinds.COLUMN)
        if not kinds.is_same({kinds.COLUMN: column}, back, kinds.COLUMN):
            raise AssertionError("a column read alone is another one")
        start, end = range_of(current.num_records)
        part, expected = contestant.read_range(start, end), between(back, start, end)
        if not all(kinds.is_same(part, expected, name) for name in expected):
            raise AssertionError("a range read alone is another one")
    return lost


def note_of(results: Results, name: str, made: type[Contestant]) -> None:
    """Keep what must be known of a contestant."""
    results.notes[name] = dict(made.notes)
    results.syncs[name] = made.sync


def _forecast(current: _Round, contestant: Contestant) -> float:
    """Return how many seconds a logger will write, by what some records more take than few.

    So what it costs to begin and to end is left aside. 0 for others: none of them is that slow.
    """
    if not contestant.is_logger:
        return 0.0
    times = []
    for count in (NUM_TRIED[0], *NUM_TRIED):  # once to warm it
        part = {key: values[:count] for key, values in current.table.items()}
        begin = time.perf_counter()
        contestant.write(part)
        times.append(time.perf_counter() - begin)
    each = max(0.0, times[2] - times[1]) / (NUM_TRIED[1] - NUM_TRIED[0])
    return each * current.num_records


def _is_timed(current: _Round, contestant: Contestant) -> bool:
    if current.kind == FIRST_KIND or not contestant.rowwise:
        return True
    return not contestant.is_logger and current.num_records <= MOST_OF_ALL_KINDS


def _refuse_times(current: _Round, name: str) -> None:
    for operation in current.plan.operations:
        if OPERATIONS[operation] == "s":
            reason = f"record by record, whatever the values: see {FIRST_KIND}"
            current.add(name, operation, reason=reason)


def _time(current: _Round, operation: str, timed: dict[str, Contestant], threads: int) -> None:
    """Let all who can take turns at an operation."""
    runs: dict[str, Callable[[], Any]] = {}
    for name, contestant in timed.items():
        run = _run_of(current, name, contestant, operation)
        if run is None:
            reason = contestant.notes.get(operation, "the format has none")
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
    current: _Round, name: str, contestant: Contestant, operation: str
) -> Callable[[], Any] | None:
    """Return an operation without arguments; None if the format has none."""
    start, end = range_of(current.num_records)
    runs = {
        "write": partial(contestant.write, current.table),
        "read": contestant.read_all,
        "column": partial(contestant.read_column, kinds.COLUMN),
        "range": partial(contestant.read_range, start, end),
        "open": contestant.open,
        "verify": contestant.verify,
    }
    if operation != "append":
        return runs[operation]
    if contestant.append is None:
        return None
    append = contestant.append

    def run() -> None:
        begin = current.num_records + current.num_appended.get(name, 0)
        given = kinds.further(current.table, NUM_APPENDED, begin)
        current.num_appended[name] = current.num_appended.get(name, 0) + NUM_APPENDED
        append(given)

    return run


def range_of(num_records: int) -> tuple[int, int]:
    """Return the first and the last timestamp of the range: a tenth, at most 1,000 records."""
    count = min(1_000, num_records // 10)
    start = num_records // 2
    return start, start + count - 1


def _memories(current: _Round) -> None:
    """Measure the peak memory, of the longest table and of loggers, who may not get so far."""
    wanted = [o for o in current.plan.operations if o.startswith("memory")]
    is_longest = current.num_records == max(current.plan.lengths)
    contestants = {n: c for n, c in current.present.items() if is_longest or c.is_logger}
    if not wanted or not contestants:
        return
    stored = FOLDER / "matrix" / "table.npz"
    memory.store(stored, current.table)
    for name, contestant in contestants.items():
        for operation in wanted:
            _say(f"  {operation}: {name}")
            try:
                what = operation.partition(", ")[2]
                value = memory.peak_of(name, contestant.folder, what, stored)
                current.add(name, operation, value=value)
            except Exception as err:
                current.add(name, operation, reason=reason_of(err))
    stored.unlink()


def _short_time(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f} us"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
