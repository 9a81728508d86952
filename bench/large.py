"""A hundred million records: what can be written and read in pieces, each in its own process.

``python -m bench.large CONTESTANT RECORDS CYCLES`` writes the first kind of telemetry in chunks of
a million, then scans it range by range, and prints what it found as JSON. One run each, after a
warm one of a single chunk; the peak of memory is that of the whole process beyond what it held.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from bench import kinds, memory
from bench.contestants import ENTRIES, load
from bench.results import Cell, Results
from bench.telemetry import FOLDER, ROOT
from bench.timing import reason_of

KIND = next(iter(kinds.KINDS))
NUM_LARGE = 100_000_000
_NOT_IN_PIECES = "not written in pieces here: the whole would be held in memory"


def measure(num_records: int, num_cycles: int, names: tuple[str, ...], results: Results) -> None:
    """Measure those who can, one after the other, and say of the others why not."""
    for entry in ENTRIES:
        if entry.name not in names:
            continue
        print(f"{KIND}, {num_records:,} records: {entry.name}", file=sys.stderr, flush=True)
        try:
            results.cells += _apart(entry.name, num_records, num_cycles)
        except Exception as err:  # a row of the results, whatever it is
            reason = reason_of(err)
            results.cells.append(Cell(entry.name, KIND, num_records, "write", reason=reason))


def _apart(name: str, num_records: int, num_cycles: int) -> list[Cell]:
    made = load(name)
    if not hasattr(made, "write_chunks"):
        slow = "left out: records pass through Python one at a time, gigabytes of text or rows"
        reason = slow if made.rowwise else _NOT_IN_PIECES
        return [Cell(name, KIND, num_records, "write", reason=reason)]
    command = [sys.executable, "-m", "bench.large", name, str(num_records), str(num_cycles)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise RuntimeError(lines[-1])
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=list[Cell])


def cells_of(name: str, num_records: int, num_cycles: int) -> list[Cell]:
    """Write and read in this process; what it takes is one process's own."""
    made: Any = load(name)
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="large-", dir=FOLDER) as folder:
        warm = made(Path(folder) / "warm")
        warm.write_chunks(kinds.chunks(KIND, min(num_records, kinds.CHUNK), num_cycles))
        warm.read_range(0, 1)
        contestant = made(Path(folder) / "run")
        begun = memory.reset_peak()
        middle = num_records // 2
        steps: dict[str, Callable[[], Any]] = {
            "write": lambda: contestant.write_chunks(kinds.chunks(KIND, num_records, num_cycles)),
            "open": contestant.open,
            "column": lambda: contestant.read_column(kinds.COLUMN),
            "range": lambda: contestant.read_range(middle, middle + 999),
            "scan": lambda: _scan(contestant, num_records),
        }
        cells = []
        for operation, run in steps.items():
            begin = time.perf_counter()
            run()
            elapsed = time.perf_counter() - begin
            cells.append(Cell(name, KIND, num_records, operation, value=elapsed, rounds=1))
            if operation == "write":
                rise = float(max(0, memory.peak() - begun))
                cells.append(Cell(name, KIND, num_records, "memory, write", value=rise))
                length = float(contestant.length())
                cells.append(Cell(name, KIND, num_records, "size", value=length))
        return cells


def _scan(contestant: Any, num_records: int) -> None:
    """Read everything, a chunk in memory at a time."""
    seen = 0
    for begin in range(0, num_records, kinds.CHUNK):
        seen += len(contestant.read_range(begin, begin + kinds.CHUNK - 1)["timestamp"])
    if seen != num_records:
        raise AssertionError(f"{seen} records were read, expected {num_records}")


if __name__ == "__main__":
    found = cells_of(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    print(msgspec.json.encode(found).decode())
