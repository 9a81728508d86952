"""Recording: the time of one call of `Recorder.log`, compared with one SQLite insert.

Both take turns in one process, record by record, so that a disturbance of the machine affects both.
Sealing and journal rotation go on in the background.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import cmeta
from bench.report import Goal, Section, Table

MOST_LOG_US, MOST_OF_SQLITE = 10.0, 1.0
NUM_RECORDS, NUM_RECORDS_QUICK = 400_000, 40_000
IN_TURN = 10_000  # records of one, then of the other
METRICS = ("entropy", "grad_energy", "val_accuracy", "loss_slope", "risk_score")

Times = npt.NDArray[np.float64]


def measure(quick: bool = False) -> list[Section]:
    """Measure recording record by record."""
    num_records = NUM_RECORDS_QUICK if quick else NUM_RECORDS
    rows = np.random.default_rng(0).uniform(0.5, 2.0, (IN_TURN, len(METRICS) + 1)).tolist()
    with tempfile.TemporaryDirectory(prefix="cmeta-bench-") as folder:
        times = _race(Path(folder), num_records, rows)
    own, other = (float(np.median(times[name])) for name in ("cmeta, os", "SQLite"))
    section = Section(
        "Speed: record by record",
        f"{num_records:,} records of a timestamp, a phase, a loss and five metrics, one call each, "
        "in turns. cmeta: default schema, `flush_every=1`, sealing and rotating in the background; "
        "os and fsync state what records survive: a crash of the process, or a loss of power. "
        "SQLite: one insert and one transaction per record, WAL, synchronous=NORMAL, a prepared "
        "statement.",
    )
    section.goals = [
        Goal("log", own, MOST_LOG_US, "us, median"),
        Goal("log / SQLite insert", own / other, MOST_OF_SQLITE, "ratio of medians"),
    ]
    header = ["", "median us", "mean us", "99.9% us", "longest ms"]
    section.tables = [Table("One record", header, [_row(*item) for item in times.items()])]
    return [section]


def _row(name: str, times: Times) -> list[str]:
    found = (np.median(times), times.mean(), np.quantile(times, 0.999))
    return [name, *(f"{value:.1f}" for value in found), f"{times.max() / 1e3:.1f}"]


def _race(folder: Path, num_records: int, rows: list[list[float]]) -> dict[str, Times]:
    """Return the microseconds of each call, for each competitor."""
    recorder = cmeta.Recorder(folder / "run.cmeta")
    safe = cmeta.Recorder(folder / "safe.cmeta", durability="fsync")
    base = _database(folder / "run.sqlite")
    count = iter(range(10**9))
    statement = f"insert into run values (?, ?{', ?' * len(rows[0])})"

    def log(row: list[float]) -> None:
        recorder.log("train", loss=row[0], metrics=_metrics(row))

    def insert(row: list[float]) -> None:
        base.execute(statement, (next(count), "train", *row))

    def log_safely(row: list[float]) -> None:
        safe.log("train", loss=row[0], metrics=_metrics(row))

    times: dict[str, list[Times]] = {"cmeta, os": [], "SQLite": [], "cmeta, fsync": []}
    for _ in range(num_records // IN_TURN):
        times["cmeta, os"].append(_timed(log, rows))
        times["SQLite"].append(_timed(insert, rows))
    times["cmeta, fsync"].append(_timed(log_safely, rows[:1000]))
    for recorded in (recorder, safe):
        recorded.close()
    base.close()
    return {name: np.concatenate(parts) for name, parts in times.items()}


def _metrics(row: list[float]) -> dict[str, float]:
    return {
        "entropy": row[1], "grad_energy": row[2], "val_accuracy": row[3], "loss_slope": row[4],
        "risk_score": row[5],
    }  # fmt: skip


def _timed(call: Callable[[list[float]], Any], rows: list[list[float]]) -> Times:
    times = np.empty(len(rows))
    clock = time.perf_counter
    for place, row in enumerate(rows):
        begun = clock()
        call(row)
        times[place] = clock() - begun
    return times * 1e6


def _database(path: Path) -> sqlite3.Connection:
    base = sqlite3.connect(path, isolation_level=None)
    base.execute("pragma journal_mode=wal")
    base.execute("pragma synchronous=normal")
    columns = ", ".join(f"{name} real" for name in ("loss", *METRICS))
    base.execute(f"create table run (timestamp integer primary key, phase text, {columns})")
    return base
