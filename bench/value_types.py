"""Recording values of each type: the time of `Recorder.log`, divided by that for a plain float.

All types take turns in one process, some records at a time, and the least time of each counts: the
time of the machine's other work is no part of it.
"""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

import cmeta
from bench.report import Goal, Section, Table

MOST_OF_A_FLOAT, MOST_CYCLE_US = 2.0, 30.0
ROUNDS, ROUNDS_QUICK = 60, 10
IN_TURN = 200  # records of one type, then of the next
FLOAT, CYCLE = "float", "rec.cycle, all generators seeded"


def measure(quick: bool = False) -> list[Section]:
    """Measure the cost of each type of value."""
    rounds = ROUNDS_QUICK if quick else ROUNDS
    types, torch = _types(), "torch" if "torch" in sys.modules else "no other library"
    with (
        tempfile.TemporaryDirectory(prefix="cmeta-bench-") as folder,
        warnings.catch_warnings(action="ignore", category=cmeta.PrecisionWarning),
    ):
        times = _race(Path(folder), types, rounds)
    own = times[FLOAT]
    ratios = {name: seconds / own for name, seconds in times.items() if name in types}
    worst = max(ratios, key=ratios.__getitem__)
    section = Section(
        "Speed: values of each type",
        f"One call of `log` with one value, {rounds * IN_TURN:,} records of each type, taken in "
        "turns; the least time of a turn counts. A cycle also derives its seed and sets the "
        f"generators of `random`, numpy and {torch}.",
    )
    section.goals = [
        Goal(f"the slowest type ({worst}) / float", ratios[worst], MOST_OF_A_FLOAT, "ratio"),
        Goal("a cycle", times[CYCLE] * 1e6, MOST_CYCLE_US, "us"),
    ]
    rows = [[n, f"{s / own:.2f}", f"{s * 1e6:.1f}"] for n, s in times.items()]
    section.tables = [Table("One record", ["", "it / float", "us"], rows)]
    return [section]


def _types() -> dict[str, dict[str, Any]]:
    """Return what is given to `log`, by the name of its type."""
    array = np.array([0.1, 0.2, 0.3])
    types: dict[str, dict[str, Any]] = {
        FLOAT: {"loss": 1.0},
        "a small loss": {"loss": 1.23e-5},
        "int": {"loss": 1},
        "bool": {"loss": True},
        "numpy.float32": {"loss": np.float32(0.3)},
        "numpy.float64": {"loss": np.float64(0.3)},
        "an array of no axes": {"loss": np.array(0.3)},
        "Decimal": {"loss": Decimal("0.3")},
        "NaN": {"loss": float("nan")},
        "a keyword": {"lr": 0.1},
        "signature: tuple": {"tensor_signature": (0.1, 0.2, 0.3)},
        "signature: list": {"tensor_signature": [0.1, 0.2, 0.3]},
        "signature: array": {"tensor_signature": array},
        "signature: float32": {"tensor_signature": array.astype(np.float32)},
    }
    try:
        import torch
    except ImportError:
        return types
    return types | {
        "torch": {"loss": torch.tensor(0.3)},
        "torch, with a gradient": {"loss": torch.tensor(0.3, requires_grad=True)},
        "signature: torch": {"tensor_signature": torch.tensor(array)},
    }


def _race(folder: Path, types: dict[str, dict[str, Any]], rounds: int) -> dict[str, float]:
    """Return the seconds of one record, for each type and for a cycle."""
    recorders = [cmeta.Recorder(folder / f"{number}.cmeta") for number in range(len(types) + 1)]
    calls = [_logging(rec, given) for rec, given in zip(recorders, types.values(), strict=False)]
    calls.append(_cycling(recorders[-1]))
    times = dict.fromkeys([*types, CYCLE], float("inf"))
    for _ in range(rounds + 1):
        for name, call in zip(times, calls, strict=True):
            begun = time.perf_counter()
            for _ in range(IN_TURN):
                call()
            times[name] = min(times[name], (time.perf_counter() - begun) / IN_TURN)
    for recorder in recorders:
        recorder.close()
    return times


def _logging(recorder: cmeta.Recorder, given: dict[str, Any]) -> Callable[[], None]:
    def log() -> None:
        recorder.log("train", **given)

    return log


def _cycling(recorder: cmeta.Recorder) -> Callable[[], None]:
    def cycle() -> None:
        with recorder.cycle("train"):
            pass

    return cycle
