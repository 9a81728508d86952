"""Speed: bulk writes and reads, a small range of a large file, validation, import time.

Times are medians on one machine, one thread. Ratios come first: they carry over to others.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import cmeta
from bench import telemetry
from bench.competitors.bulk import bulk_formats
from bench.report import Goal, Section, Table, ratio
from bench.timing import import_seconds, peak_memory, race

MOST_WRITE_US, MOST_READ_US = 6.0, 1.5
MOST_OPEN_MS, MOST_IMPORT_MS, MOST_BATCHES = 60.0, 80.0, 2
ROUNDS, ROUNDS_QUICK = 9, 2
RANGE = 1_000
NUM_LARGE, NUM_LARGE_QUICK = 1_000_000, 100_000
# Fourteen columns, ten of them floats: a record that every competitor can hold unchanged.
FIELDS = (
    "timestamp", "phase", "seed_state", "action_code", "loss_value", "coherence",
    "metrics.entropy", "metrics.grad_energy", "metrics.val_accuracy", "metrics.loss_slope",
    "metrics.entropy_drift", "metrics.coherence_decay", "metrics.oscillation_index",
    "metrics.risk_score",
)  # fmt: skip


def measure(quick: bool = False) -> list[Section]:
    """Measure everything: a section for each question."""
    pa.set_cpu_count(1)
    rounds = ROUNDS_QUICK if quick else ROUNDS
    num_cycles = telemetry.NUM_CYCLES_QUICK if quick else telemetry.NUM_CYCLES
    num_large = NUM_LARGE_QUICK if quick else NUM_LARGE
    columns = _fourteen(telemetry.load("minibatch", num_cycles))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cmeta.PrecisionWarning)
        return [_bulk(columns, rounds), _range(columns, num_large, rounds), _import(rounds)]


def _fourteen(columns: cmeta.Columns) -> dict[str, Any]:
    """Return the fourteen columns as a user would pass them, masked where values are absent.

    A column that the run never recorded is zero.
    """
    num_records = columns.num_records
    found = {}
    for name in FIELDS:
        if name not in columns:
            dtype = columns.schema[name].dtype.newbyteorder("=")
            found[name] = np.zeros(num_records, dtype)
        elif columns.present[name].all():
            found[name] = columns[name]
        else:
            found[name] = columns.masked(name)
    return found


# ----------------------------------------------------------------------------------------- bulk


def _bulk(columns: dict[str, Any], rounds: int) -> Section:
    num_records = len(columns["phase"])
    own = telemetry.FOLDER / "speed.cmeta"
    cmeta.write(own, columns)
    others = bulk_formats(columns, own)
    writers = {name: other.write for name, other in others.items()}
    writing = race({"cmeta": lambda: cmeta.write(own, columns)} | writers, rounds)
    readers = {name: other.read for name, other in others.items()}
    mine = {"cmeta": lambda: _read(own), "cmeta, codes": lambda: _read(own, codes=True)}
    reading = race(mine | readers, rounds)
    checks = race(
        {
            "every rule": lambda: cmeta.validate(own),
            "without canonical choices": lambda: cmeta.validate(own, canonical=False),
        },
        rounds,
    )
    paths = {"cmeta": own, "cmeta, codes": own} | {
        name: other.path for name, other in others.items()
    }
    lengths = {name: path.stat().st_size for name, path in paths.items()}
    section = Section(
        "Speed: in bulk",
        f"{num_records:,} records of {len(columns)} columns, minibatch telemetry, median of "
        f"{rounds} rounds after a warm-up, one thread, files in the page cache. cmeta also syncs "
        "its file and its folder; phases are written as codes and read as names, in the row "
        "*codes* as codes. Parquet takes and gives numpy arrays. pcodec takes and gives the "
        "integers, batch by batch: quantising is not in its times.",
    )
    section.goals = [
        Goal("write", writing["cmeta"] / num_records * 1e6, MOST_WRITE_US, "us/record"),
        Goal("read", reading["cmeta"] / num_records * 1e6, MOST_READ_US, "us/record"),
    ]
    section.tables = [
        _race_table("Writing", writing, lengths, num_records),
        _race_table("Reading", reading, lengths, num_records),
        _race_table("Validating", checks, dict.fromkeys(checks, lengths["cmeta"]), num_records),
    ]
    return section


def _read(path: Path, *, codes: bool = False) -> cmeta.Columns:
    with cmeta.open(path) as run:
        return run.read(codes=codes)


def _race_table(
    title: str, times: Mapping[str, float], lengths: Mapping[str, int], num_records: int
) -> Table:
    own = next(iter(times.values()))
    rows = [
        [name, ratio(own, seconds), f"{seconds / num_records * 1e6:.3f}",
         f"{lengths[name] / seconds / 1e6:.1f}", f"{lengths[name] / num_records:.2f}"]
        for name, seconds in times.items()
    ]  # fmt: skip
    first = next(iter(times))
    header = ["", f"{first} / it", "us per record", "MB/s of its file", "bytes per record"]
    return Table(title, header, rows)


# ---------------------------------------------------------------------------------------- range


def _range(columns: dict[str, Any], num_large: int, rounds: int) -> Section:
    section = Section(
        f"Speed: {RANGE:,} records of a large file",
        f"Open, read all fields of {RANGE:,} records in a row, close: {rounds} rounds after a warm "
        "one, files in the page cache. Batches and columns are those that were decoded; memory is "
        "the most that Python and numpy held at a time.",
    )
    rows = []
    for num_records in (num_large // 5, num_large):  # shows what grows with the file
        path = _large_file(columns, num_records)
        for where, start in _places(path, num_records).items():
            rows.append(_range_row(path, where, start, num_records, rounds, section))
    header = ["records in the file", "where", "ms", "batches", "columns", "kB read", "peak kB"]
    section.tables = [Table("Ranges", header, rows)]
    return section


def _range_row(
    path: Path, where: str, start: int, num_records: int, rounds: int, section: Section
) -> list[str]:
    end = start + RANGE - 1

    def read() -> None:
        with cmeta.open(path) as run:
            if run.read(start=start, end=end).num_records != RANGE:
                raise AssertionError(f"not {RANGE} records in the range")

    with cmeta.open(path) as run:
        run.read(start=start, end=end)
        stats, len_read = run.stats, run.len_read
    ms = race({where: read}, rounds)[where] * 1e3
    peak = peak_memory(read)
    what = f"{num_records:,}, {where}"
    section.goals += [
        Goal(f"{what}: time", ms, MOST_OPEN_MS, "ms"),
        Goal(f"{what}: batches", stats.num_batches, MOST_BATCHES),
    ]
    counts = [str(stats.num_batches), str(stats.num_columns)]
    return [
        f"{num_records:,}", where, f"{ms:.1f}", *counts,
        f"{len_read / 1e3:,.0f}", f"{peak / 1e3:,.0f}",
    ]  # fmt: skip


def _places(path: Path, num_records: int) -> dict[str, int]:
    """Return first timestamps of a range within a batch, and of one across two batches."""
    with cmeta.open(path) as run:
        batch = run.batches[len(run.batches) // 2]
    if not RANGE <= batch.first_timestamp <= num_records - RANGE:
        raise AssertionError("the file is too short for its ranges")
    first = batch.first_timestamp
    return {"within a batch": first, "across two batches": first - RANGE // 2}


def _large_file(columns: dict[str, Any], num_records: int) -> Path:
    """Write the telemetry end to end as often as it takes, with timestamps that go on."""
    path = telemetry.FOLDER / f"large-{num_records}.cmeta"
    cmeta.write(path, _end_to_end(columns, num_records))
    return path


def _end_to_end(columns: dict[str, Any], num_records: int) -> Iterator[dict[str, Any]]:
    length = len(columns["phase"])
    for begin in range(0, num_records, length):
        count = min(length, num_records - begin)
        chunk = {name: values[:count] for name, values in columns.items()}
        yield chunk | {"timestamp": np.arange(begin, begin + count, dtype=np.uint64)}


# --------------------------------------------------------------------------------------- import


def _import(rounds: int) -> Section:
    modules = ("cmeta", "pyarrow.parquet")
    found = {module: import_seconds(module, rounds) * 1e3 for module in modules}
    section = Section(
        "Speed: importing",
        f"In a fresh process that has imported numpy; median of {rounds} after a warm-up.",
    )
    section.goals = [Goal("import cmeta", found["cmeta"], MOST_IMPORT_MS, "ms")]
    rows = [[name, ratio(found["cmeta"], ms), f"{ms:.1f}"] for name, ms in found.items()]
    section.tables = [Table("Imports", ["", "cmeta / it", "ms beyond numpy"], rows)]
    return section


def main(arguments: list[str]) -> None:
    """Print the times."""
    for section in measure("--quick" in arguments):
        print(section.render())


if __name__ == "__main__":
    main(sys.argv[1:])
