"""Timing: contestants take turns, warmed alike, and the median of the rounds counts.

Taking turns spreads the machine's moods over all contestants; a median forgets a single hiccup.
"""

from __future__ import annotations

import gc
import os
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Mapping
from typing import Any

from bench.telemetry import FOLDER, ROOT

_IMPORT = """
import time, numpy
begin = time.perf_counter()
import {module}
print(time.perf_counter() - begin)
"""


def race(contestants: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Return the median time of each contestant in seconds, after one round to warm up."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name, run in contestants.items():
            gc.collect()
            gc.disable()
            begin = time.perf_counter()
            run()
            elapsed = time.perf_counter() - begin
            gc.enable()
            if number:
                times[name].append(elapsed)
    return {name: statistics.median(found) for name, found in times.items()}


def peak_memory(run: Callable[[], Any]) -> int:
    """Return the most bytes that Python and numpy held at a time beyond what they held before."""
    gc.collect()
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def import_seconds(module: str, rounds: int) -> float:
    """Return the median time in seconds to import a module in a fresh process that has numpy.

    Its bytecode is cached, as it is where a package has been installed.
    """
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(FOLDER / "bytecode")
    command = [sys.executable, "-c", _IMPORT.format(module=module)]
    found = []
    for number in range(rounds + 1):
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        if number:  # the first one fills the caches
            found.append(float(done.stdout))
    return statistics.median(found)
