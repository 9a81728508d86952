"""Peak memory of one operation, in a process of its own.

``python -m bench.memory COMPETITOR FOLDER write|read TABLE`` warms the competitor up with a few
records, resets the peak of the process, runs the operation once, and prints by how many bytes the
resident peak has risen. Resident memory includes the allocations of every library. Where the
system cannot reset the peak, the rise of the process's overall peak is printed.
"""

from __future__ import annotations

import ctypes
import gc
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from bench.competitors import load
from bench.competitors.base import Competitor, Table
from bench.telemetry import ROOT

_WARM_RECORDS = 100
_PEAK, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_MASK = " mask"


def peak_of(name: str, folder: Path, operation: str, stored: Path) -> int:
    """Return by how many bytes an operation raises the peak of a process of its own.

    Raises
    ------
    RuntimeError
        The process failed; the message is its last line.
    """
    command = [sys.executable, "-W", "ignore", "-m", "bench.memory"]
    done = subprocess.run(
        [*command, name, str(folder), operation, str(stored)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise RuntimeError(lines[-1])
    return int(done.stdout.split()[-1])


def store(path: Path, table: Table) -> None:
    """Save a table for the process, as plain arrays."""
    arrays = {name: np.ma.getdata(values) for name, values in table.items()}
    masks = {
        name + _MASK: np.ma.getmaskarray(values)
        for name, values in table.items()
        if isinstance(values, np.ma.MaskedArray)
    }
    np.savez(path, **arrays, **masks)


def stored_table(path: Path) -> Table:
    """Return a table that `store` saved."""
    with np.load(path) as arrays:
        found = {name: arrays[name] for name in arrays.files if not name.endswith(_MASK)}
        for name in arrays.files:
            if name.endswith(_MASK):
                bare = name.removesuffix(_MASK)
                found[bare] = np.ma.MaskedArray(found[bare], arrays[name])
    return found


def rise(competitor: Competitor, operation: str, table: Table) -> int:
    """Run an operation once, and return by how many bytes the peak has risen."""
    begun = reset_peak()
    kept = competitor.write(table) if operation == "write" else competitor.read_all()
    highest = peak()
    del kept
    return max(0, highest - begun)


def reset_peak() -> int:
    """Release free memory, reset the peak if the system can, and return it."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
        _RESET.write_text("5")
    except (OSError, AttributeError):
        return peak()
    return peak()


def peak() -> int:
    if _PEAK.exists():
        for line in _PEAK.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _main(name: str, folder: str, operation: str, stored: str) -> None:
    table = stored_table(Path(stored))
    made = load(name)
    with tempfile.TemporaryDirectory(prefix="cmeta-bench-") as other:
        warm = made(Path(other) / "warm")
        warm.write({key: values[:_WARM_RECORDS] for key, values in table.items()})
        warm.read_all()
        if operation == "write":
            print(rise(made(Path(other) / "measured"), operation, table))
        else:
            table.clear()
            print(rise(made(Path(folder)), operation, table))


if __name__ == "__main__":
    _main(*sys.argv[1:])
