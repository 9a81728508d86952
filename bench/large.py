"""A hundred million records, written and read in chunks, each competitor in its own process.

``python -m bench.large COMPETITOR RECORDS CYCLES`` writes the first workload in chunks of a million
records, scans it range by range, and prints the results as JSON. Each is run once, after a warm-up
with a single chunk; peak memory is the rise of the process's resident peak.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from bench import memory, workloads
from bench.competitors import ENTRIES, load
from bench.results import Cell, Results
from bench.telemetry import FOLDER, ROOT
from bench.timing import reason_of

WORKLOAD = next(iter(workloads.WORKLOADS))
NUM_LARGE = 100_000_000
_NOT_IN_CHUNKS = "not written in chunks here: the whole table would be held in memory"


def measure(num_records: int, num_cycles: int, names: tuple[str, ...], results: Results) -> None:
    """Measure those that write in chunks, one by one; state why the others are left out."""
    for entry in ENTRIES:
        if entry.name not in names:
            continue
        print(f"{WORKLOAD}, {num_records:,} records: {entry.name}", file=sys.stderr, flush=True)
        try:
            results.cells += _apart(entry.name, num_records, num_cycles)
        except Exception as err:  # a row of the results, whatever it is
            reason = reason_of(err)
            results.cells.append(Cell(entry.name, WORKLOAD, num_records, "write", reason=reason))


def _apart(name: str, num_records: int, num_cycles: int) -> list[Cell]:
    made = load(name)
    if not hasattr(made, "write_chunks"):
        slow = "left out: record by record, gigabytes of text or rows"
        reason = slow if made.rowwise else _NOT_IN_CHUNKS
        return [Cell(name, WORKLOAD, num_records, "write", reason=reason)]
    command = [sys.executable, "-m", "bench.large", name, str(num_records), str(num_cycles)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise RuntimeError(lines[-1])
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=list[Cell])


def cells_of(name: str, num_records: int, num_cycles: int) -> list[Cell]:
    """Write and read in this process, so that its peak memory is that of one competitor."""
    made: Any = load(name)
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="large-", dir=FOLDER) as folder:
        warm = made(Path(folder) / "warm")
        warm.write_chunks(workloads.chunks(WORKLOAD, min(num_records, workloads.CHUNK), num_cycles))
        warm.read_range(0, 1)
        competitor = made(Path(folder) / "run")
        chunks = partial(workloads.chunks, WORKLOAD, num_records, num_cycles)
        begun = memory.reset_peak()
        middle = num_records // 2
        steps: dict[str, Callable[[], Any]] = {
            "write": lambda: competitor.write_chunks(chunks()),
            "open": competitor.open,
            "column": lambda: competitor.read_column(workloads.COLUMN),
            "range": lambda: competitor.read_range(middle, middle + 999),
            "scan": lambda: _scan(competitor, num_records),
        }
        cells = []
        for operation, run in steps.items():
            begin = time.perf_counter()
            run()
            elapsed = time.perf_counter() - begin
            cells.append(Cell(name, WORKLOAD, num_records, operation, value=elapsed, rounds=1))
            if operation == "write":
                rise = float(max(0, memory.peak() - begun))
                cells.append(Cell(name, WORKLOAD, num_records, "memory, write", value=rise))
                length = float(competitor.length())
                cells.append(Cell(name, WORKLOAD, num_records, "size", value=length))
        return cells


def _scan(competitor: Any, num_records: int) -> None:
    """Read everything, one chunk at a time."""
    seen = 0
    for begin in range(0, num_records, workloads.CHUNK):
        seen += len(competitor.read_range(begin, begin + workloads.CHUNK - 1)["timestamp"])
    if seen != num_records:
        raise AssertionError(f"{seen} records were read, expected {num_records}")


if __name__ == "__main__":
    cells = cells_of(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    print(msgspec.json.encode(cells).decode())
