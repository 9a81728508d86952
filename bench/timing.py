"""Timing: competitors take turns after a warm-up, and the median of the rounds counts.

Taking turns spreads disturbances of the machine over all competitors; the median ignores outliers.
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
from typing import Any, NamedTuple

from bench.telemetry import FOLDER, ROOT

MOST_ROUNDS = 25

_IMPORT = """
import time, numpy
begin = time.perf_counter()
import {module}
print(time.perf_counter() - begin)
"""


def race(competitors: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Return the median time of each competitor in seconds, after one warm-up round."""
    times: dict[str, list[float]] = {name: [] for name in competitors}
    for number in range(rounds + 1):
        for name, run in competitors.items():
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
    """Return by how many bytes the peak of Python and numpy rises."""
    gc.collect()
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def import_seconds(module: str, rounds: int) -> float:
    """Return the median time in seconds to import a module in a fresh process that has numpy.

    Its bytecode is cached, as in an installed package.
    """
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(FOLDER / "bytecode")
    command = [sys.executable, "-c", _IMPORT.format(module=module)]
    found = []
    for number in range(rounds + 1):
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        if number:  # the first fills the caches
            found.append(float(done.stdout))
    return statistics.median(found)


class Timing(NamedTuple):
    """The time of a competitor.

    Attributes
    ----------
    seconds : float
        Median.
    spread : float
        Interquartile range as a share of the median.
    rounds : int
    """

    seconds: float
    spread: float
    rounds: int


class Failure(NamedTuple):
    """The reason for having no time."""

    reason: str


def turns(
    competitors: Mapping[str, Callable[[], Any]], budget: float, most: int = MOST_ROUNDS
) -> dict[str, Timing | Failure]:
    """Race with as many rounds for each competitor as its time allows.

    Each is warmed up by one run. The rounds of slow competitors are spread over those of fast ones,
    and each round begins with a different one. A competitor that fails drops out.

    Parameters
    ----------
    competitors : mapping of str to callable
    budget : float
        Seconds for the rounds of one competitor; at least 3 rounds, but only one if a single run
        takes longer.
    most : int
        Rounds at most.
    """
    found: dict[str, Timing | Failure] = {}
    times: dict[str, list[float]] = {}
    rounds: dict[str, int] = {}
    _freeze()
    for name, run in competitors.items():
        warm = _attempt(run)
        if isinstance(warm, Failure):
            found[name] = warm
            continue
        times[name] = []
        rounds[name] = 1 if warm > budget else min(most, max(3, int(budget / max(warm, 1e-9))))
    _freeze()
    longest = max(rounds.values(), default=0)
    for number in range(longest):
        names = list(rounds)
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            if _is_due(number, rounds[name], longest) and name not in found:
                elapsed = _attempt(competitors[name])
                if isinstance(elapsed, Failure):
                    found[name] = elapsed
                else:
                    times[name].append(elapsed)
    return {name: found.get(name) or _summary(times[name]) for name in competitors}


def _freeze() -> None:
    """Collect once, and exempt all live objects from later collections: libraries are large."""
    gc.collect()
    gc.freeze()


def _is_due(number: int, rounds: int, longest: int) -> bool:
    return (number + 1) * rounds // longest > number * rounds // longest


def _attempt(run: Callable[[], Any]) -> float | Failure:
    gc.collect()
    gc.disable()
    try:
        begin = time.perf_counter()
        run()
        return time.perf_counter() - begin
    except Exception as err:  # any error of a competitor becomes a row of the results
        return Failure(reason_of(err))
    finally:
        gc.enable()


def _summary(times: list[float]) -> Timing:
    median = statistics.median(times)
    if len(times) < 3:
        return Timing(median, 0.0, len(times))
    low, _, high = statistics.quantiles(times, n=4, method="inclusive")
    return Timing(median, (high - low) / median, len(times))


def reason_of(err: Exception) -> str:
    """Return an error as one line, for a table."""
    lines = str(err).strip().splitlines()
    return f"{type(err).__name__}: {lines[0] if lines else ''}"[:120]
