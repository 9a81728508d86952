"""`python -m bench.catalogue`: `cmeta runs` on a folder of 10,000 short runs, twice.

A run has 300 records of a phase and 20 other fields. Every fortieth is generated; the others are
copies, which cost as much as different runs because the catalogue identifies a file by its path.
The time is that of the whole process, as a user waits for it. The files are in the page cache both
times.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import cmeta
from bench import telemetry
from bench.report import Goal, Section, Table

NUM_RUNS, NUM_RUNS_QUICK = 10_000, 400
NUM_RECORDS = 300
COPIES = 40
MOST_SECONDS_FIRST, MOST_SECONDS_AGAIN = 60.0, 3.0
_AGAIN = 3  # times


def measure(quick: bool = False) -> list[Section]:
    """Measure the first listing, and later ones."""
    num_runs = NUM_RUNS_QUICK if quick else NUM_RUNS
    folder = make_runs(num_runs)
    with tempfile.TemporaryDirectory(prefix="cmeta-catalogue-") as cache:
        first, first_cpu = _seconds(folder, cache)
        again, again_cpu = _median(folder, cache)
        as_json, json_cpu = _median(folder, cache, "--json")
        len_catalogue = sum(path.stat().st_size for path in Path(cache).iterdir())
    rows = [
        [name, f"{wall:.2f}", f"{cpu:.2f}", f"{cpu / num_runs * 1e3:.3f}"]
        for name, wall, cpu in (
            ("the first time", first, first_cpu),
            ("again", again, again_cpu),
            ("again, as JSON", as_json, json_cpu),
        )
    ]
    note = f"The catalogue takes {len_catalogue / num_runs:,.0f} bytes per run."
    table = Table("Seconds", ["`cmeta runs`", "s", "CPU s", "CPU ms per run"], rows, note)
    goals = [
        Goal("a folder for the first time", first, MOST_SECONDS_FIRST, "s"),
        Goal("the same folder again", again, MOST_SECONDS_AGAIN, "s"),
    ]
    text = (
        f"`cmeta runs` on {num_runs:,} runs of {NUM_RECORDS} records and 20 fields, including the "
        f"start of the process, with {os.cpu_count()} CPUs."
    )
    return [Section("A folder of runs", text, [] if quick else goals, [table])]


def make_runs(num_runs: int) -> Path:
    """Return a folder of runs, generating it unless it exists."""
    folder = telemetry.FOLDER / f"runs-{num_runs}"
    if folder.is_dir():
        return folder
    making = folder.with_name(f"{folder.name}.tmp")
    shutil.rmtree(making, ignore_errors=True)
    original = making
    for number in range(num_runs):
        path = making / f"sweep-{number % 100:02}" / f"run-{number:05}.cmeta"
        path.parent.mkdir(parents=True, exist_ok=True)
        if number % COPIES:
            shutil.copyfile(original, path)
        else:
            write_run(path, number)
            original = path
    making.rename(folder)
    return folder


def write_run(path: Path, number: int) -> None:
    """Write a run whose values, fields and configuration resemble those of a real one."""
    draw = np.random.default_rng(number)
    schema = cmeta.default_schema()
    place = np.arange(NUM_RECORDS)
    noise = draw.normal(0, 0.02, (16, NUM_RECORDS)).astype(np.float32)
    columns: dict[str, object] = {
        "timestamp": place,
        "phase": np.where(place % 10 == 9, "validate", "train"),
        "loss_value": np.exp(-place / draw.uniform(40, 200)).astype(np.float32) + noise[0] ** 2,
        "metrics.val_accuracy": np.ma.MaskedArray(1 - np.exp(-place / 90) * 0.9, place % 10 != 9),
        "coherence": noise[1] + 1,
        "step": place,
        "epoch": place // 30,
        "seed_state": draw.integers(0, 2**63, NUM_RECORDS).astype(np.uint64),
        "config": np.zeros(NUM_RECORDS, np.uint32),
    }
    names = [f.path for f in schema.fields if f.group == "metrics" and f.is_float]
    for i, name in enumerate(name for name in names if name not in columns):
        columns[name] = noise[i + 2] + 1
    for i in range(20 - len(columns)):
        columns[f"metrics.layer{i}/norm"] = noise[i + 9].astype(np.float64) + 2
    config = {"lr": float(draw.choice([0.1, 0.03, 0.01])), "net": {"width": 64}, "seed": number}
    cmeta.write(path, columns, schema, [config])


def _median(folder: Path, cache: str, *options: str) -> tuple[float, float]:
    found = [_seconds(folder, cache, *options) for _ in range(_AGAIN)]
    wall, cpu = (statistics.median(times) for times in zip(*found, strict=True))
    return wall, cpu


def _seconds(folder: Path, cache: str, *options: str) -> tuple[float, float]:
    """Return the elapsed time and the CPU time; other processes affect only the first."""
    command = [sys.executable, "-m", "cmeta", "runs", str(folder), *options]
    environment = {**os.environ, "CMETA_CACHE_DIR": cache}
    begin, cpu = time.perf_counter(), _cpu()
    subprocess.run(
        command, cwd=telemetry.ROOT, env=environment, stdout=subprocess.DEVNULL, check=True
    )
    return time.perf_counter() - begin, _cpu() - cpu


def _cpu() -> float:
    """Return the CPU seconds of finished child processes."""
    times = os.times()
    return times.children_user + times.children_system


if __name__ == "__main__":
    for section in measure("--quick" in sys.argv):
        print(section.render())
