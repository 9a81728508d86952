"""Inputs made to cost an importer much, and what they cost it.

`python -m bench.hostile` prints, for each of them, its size, and the time and the peak of memory
that its import takes, per megabyte of it. An import that is refused counts as well. The tests
import the same inputs at size n and at 2 n, and count the work.
"""

from __future__ import annotations

import argparse
import bz2
import gzip
import json
import lzma
import resource
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

Maker = Callable[[Path, int], Path]
MAKERS: dict[str, Maker] = {}
_MEGABYTE = 1e6
_BIG = 2**60 + 1  # no float64


def maker(function: Maker) -> Maker:
    """Register a function that writes an input of n parts, and returns its path."""
    MAKERS[function.__name__] = function
    return function


def _lines(path: Path, lines: Iterable[str]) -> Path:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)
    return path


def _json(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value))
    return path


def _names(n: int) -> list[str]:
    return [f"m{i}" for i in range(n)]


# ------------------------------------------------------------------------------------------ texts


@maker
def csv_digits(folder: Path, n: int) -> Path:
    """Write cells of n digits that are no number."""
    return _lines(folder / "a.csv", ["a,loss", *["1" * n + "x,1"] * 3])


@maker
def csv_names(folder: Path, n: int) -> Path:
    """Write n columns, each an integer that no float64 is."""
    return _lines(folder / "a.csv", [",".join(_names(n)), ",".join([str(_BIG)] * n)])


@maker
def csv_rows(folder: Path, n: int) -> Path:
    """Write the shortest rows."""
    return _lines(folder / "a.csv", ["a,b", *["1,"] * n])


@maker
def csv_quotes(folder: Path, n: int) -> Path:
    """Write quotes that are opened and never closed."""
    return _lines(folder / "a.csv", ["a,b", "1,2", *['"x,1'] * n])


@maker
def csv_texts(folder: Path, n: int) -> Path:
    """Write a column of different words, called phase."""
    return _lines(folder / "a.csv", ["loss,split", *(f"1,w{i}" for i in range(n))])


@maker
def csv_phases(folder: Path, n: int) -> Path:
    """Write names of four phases, and rows that each split into as many records."""
    names = [f"{phase}/{i}" for phase in ("train", "val", "test", "predict") for i in range(10)]
    return _lines(folder / "a.csv", [",".join(names), *[",".join("1" * 40)] * n])


@maker
def csv_comments(folder: Path, n: int) -> Path:
    """Write n comments, each with a member of the configuration."""
    comments = (f'#{{"c{i}": 1}}' for i in range(n))
    return _lines(folder / "a.csv", [*comments, "a,b", "1,2"])


@maker
def jsonl_keys(folder: Path, n: int) -> Path:
    """Write a record with n keys."""
    return _lines(folder / "a.jsonl", [json.dumps(dict.fromkeys(_names(n), 1))])


@maker
def jsonl_new_keys(folder: Path, n: int) -> Path:
    """Write n records, each with a key that no other has."""
    return _lines(folder / "a.jsonl", (json.dumps({name: 0.5}) for name in _names(n)))


@maker
def jsonl_absent(folder: Path, n: int) -> Path:
    """Write one wide record, then n with a single value."""
    wide = json.dumps(dict.fromkeys(_names(300), 1))
    return _lines(folder / "a.jsonl", [wide, *repeat('{"a":1}', n)])


@maker
def jsonl_nested(folder: Path, n: int) -> Path:
    """Write records that are nested as deeply as they may be."""
    key = "k" * 8
    record = ('{"' + key + '":') * 31 + "1" + "}" * 31
    return _lines(folder / "a.jsonl", repeat(record, n // 30 + 1))


@maker
def jsonl_text(folder: Path, n: int) -> Path:
    """Write a line that never ends."""
    return _lines(folder / "a.jsonl", ['{"a": "' + "x" * (n * 10)])


@maker
def jsonl_lists(folder: Path, n: int) -> Path:
    """Write a list of empty lists."""
    return _lines(folder / "a.jsonl", ['{"loss": 1, "a": [' + ",".join(["[]"] * n) + "]}"])


@maker
def jsonl_configs(folder: Path, n: int) -> Path:
    """Write records as cmeta does, each with a configuration of its own."""
    rows = ({"timestamp": i, "phase": "train", "config": {"a": i}} for i in range(n))
    return _lines(folder / "a.jsonl", map(json.dumps, rows))


@maker
def json_history(folder: Path, n: int) -> Path:
    """Write a history of n names."""
    return _json(folder / "a.json", {name: [1] for name in _names(n)})


@maker
def json_records(folder: Path, n: int) -> Path:
    """Write a list of records, each with a key that no other has."""
    return _json(folder / "a.json", [{name: 1} for name in _names(n)])


@maker
def log_digits(folder: Path, n: int) -> Path:
    """Write lines that nearly are numbers, and words without end."""
    long = "1" * 9000
    lines = [f"step 1: loss {long}x", f"step 1: {'a ' * 4000}", f"step 1: loss 1{'a' * 9000}!"]
    return _lines(folder / "a.log", ["step 1: loss 2", *lines * (n // 100 + 1)])


@maker
def log_names(folder: Path, n: int) -> Path:
    """Write a log in which each line has a name that no other has."""
    return _lines(folder / "a.log", (f"step {i}: m{i} 1" for i in range(n)))


@maker
def trainer_keys(folder: Path, n: int) -> Path:
    """Write a history of the Trainer, each entry with a key that no other has."""
    entries = [{"step": i, name: 1} for i, name in enumerate(_names(n))]
    return _json(folder / "trainer_state.json", {"log_history": entries})


@maker
def sacred_metrics(folder: Path, n: int) -> Path:
    """Write a run of Sacred with n metrics."""
    metric = {"values": [1], "steps": [0], "timestamps": ["2026-01-01T00:00:00"]}
    _json(folder / "run.json", {})
    _json(folder / "config.json", {})
    _json(folder / "metrics.json", dict.fromkeys(_names(n), metric))
    return folder


# --------------------------------------------------------------------------------------- databases


@maker
def mlflow_metrics(folder: Path, n: int) -> Path:
    """Write a database of MLflow with n metrics, at a step each."""
    path = folder / "mlflow.db"
    with sqlite3.connect(path) as database:
        mlflow_tables(database)
        rows = ((name, 1.0, i, i, 0, "r") for i, name in enumerate(_names(n)))
        database.executemany("INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?)", rows)
    database.close()
    return path


def mlflow_tables(database: sqlite3.Connection) -> None:
    """Make the tables that an import reads, with one run."""
    database.executescript(
        """
        CREATE TABLE experiments (experiment_id INTEGER, name TEXT);
        CREATE TABLE runs (run_uuid TEXT, name TEXT, experiment_id INTEGER, status TEXT,
                           start_time INTEGER, end_time INTEGER, lifecycle_stage TEXT);
        CREATE TABLE metrics (key, value, timestamp, step, is_nan, run_uuid);
        CREATE TABLE params (key, value, run_uuid);
        CREATE TABLE tags (key, value, run_uuid);
        INSERT INTO runs VALUES ('r', 'name', 0, 'FINISHED', 0, 1, 'active');
        """
    )


@maker
def mlflow_folder(folder: Path, n: int) -> Path:
    """Write a run of a file store, with a metric of n lines that are no values."""
    run = folder / "0" / "r"
    (run / "metrics").mkdir(parents=True)
    (run / "meta.yaml").write_text("run_id: r\nlifecycle_stage: active\n")
    (run / "metrics" / "a").write_text("1 2 3\n" + "x\n" * n)
    return folder


@maker
def wandb_config(folder: Path, n: int) -> Path:
    """Write a run of W&B whose configuration gets a member at each of n rows."""
    return wandb_log(folder / "run-x.wandb", _config_and_row(n))


def _config_and_row(n: int) -> Iterator[Any]:
    from wandb.proto.wandb_internal_pb2 import Record

    for i in range(n):
        record = Record()
        record.config.update.add(key=f"c{i}", value_json="1")
        yield record
        yield wandb_row(i, {"loss": 0.5})


@maker
def wandb_keys(folder: Path, n: int) -> Path:
    """Write a run of W&B, each row with a key that no other has."""
    rows = (wandb_row(i, {name: 0.5}) for i, name in enumerate(_names(n)))
    return wandb_log(folder / "run-x.wandb", rows)


@maker
def wandb_paths(folder: Path, n: int) -> Path:
    """Write a run of W&B, with keys of n parts."""
    from wandb.proto.wandb_internal_pb2 import Record

    record = wandb_row(0, {"loss": 0.5, "m": {"_type": "image"}})
    for last in "abc":
        record.history.item.add(nested_key=["k"] * n + [last], value_json="1")
    config = Record()
    config.config.update.add(nested_key=["k"] * n, value_json="1")
    return wandb_log(folder / "run-x.wandb", [config, record])


@maker
def wandb_invalid(folder: Path, n: int) -> Path:
    """Write a log of W&B whose records are no messages."""
    return wandb_log(folder / "run-x.wandb", [wandb_row(0, {"loss": 1}), *[b"\xff"] * n])


def wandb_row(step: int, values: dict[str, Any]) -> Any:
    """Return a row of the history."""
    from wandb.proto.wandb_internal_pb2 import Record

    record = Record()
    record.history.step.num = step
    for name, value in values.items():
        record.history.item.add(key=name, value_json=json.dumps(value))
    return record


def wandb_log(path: Path, records: Iterable[Any]) -> Path:
    """Write records as W&B frames them."""
    size = 32768
    with path.open("wb") as file:
        file.write(struct.pack("<4sHB", b":W&B", 0xBEE1, 0))
        for record in records:
            data = record if isinstance(record, bytes) else record.SerializeToString()
            kind_of_first = 2
            while True:
                room = size - file.tell() % size
                if room < 7:
                    file.write(bytes(room))
                    room = size
                part, data = data[: room - 7], data[room - 7 :]
                kind = (
                    (kind_of_first - 1 if kind_of_first == 2 else 4) if not data else kind_of_first
                )
                crc = zlib.crc32(part, zlib.crc32(bytes([kind])))
                file.write(struct.pack("<IHB", crc, len(part), kind) + part)
                if not data:
                    break
                kind_of_first = 3
    return path


@maker
def tensorboard_tags(folder: Path, n: int) -> Path:
    """Write an event file with n tags."""
    return tensorboard_log(folder / "events.out.tfevents.1", map(_event, range(n)))


def _event(i: int, tag: str | None = None) -> bytes:
    from tensorboard.compat.proto.event_pb2 import Event

    event = Event(step=i, wall_time=1.0)
    event.summary.value.add(tag=tag or f"m{i}", simple_value=0.5)
    data: bytes = event.SerializeToString()
    return data


@maker
def tensorboard_folders(folder: Path, n: int) -> Path:
    """Write n folders with an event file each."""
    for i in range(n // 10):
        (folder / f"r{i}").mkdir()
        (folder / f"r{i}" / "events.out.tfevents.1").touch()
    return folder


@maker
def tensorboard_damage(folder: Path, n: int) -> Path:
    """Write an event file with a damaged byte between all records."""
    path = tensorboard_log(folder / "events.out.tfevents.1", (_event(i, "a") for i in range(n)))
    data, parts, place = path.read_bytes(), [], 0
    while place < len(data):
        end = place + 16 + struct.unpack_from("<Q", data, place)[0]
        parts.append(data[place:end])
        place = end
    path.write_bytes(b"\x01".join(parts))
    return path


@maker
def tensorboard_invalid(folder: Path, n: int) -> Path:
    """Write an event file whose records are no events."""
    return tensorboard_log(folder / "events.out.tfevents.1", [_event(0), *repeat(b"\xff", n)])


def tensorboard_log(path: Path, events: Iterable[bytes]) -> Path:
    """Write events as TensorBoard frames them."""
    from cmeta.tools.imports.tensorboard import masked_crc

    with path.open("wb") as file:
        for data in events:
            head = struct.pack("<Q", len(data))
            crcs = (struct.pack("<I", masked_crc(part)) for part in (head, data))
            file.write(head + next(crcs) + data + next(crcs))
    return path


# ------------------------------------------------------------------------- Parquet and compression


@maker
def parquet_rows(folder: Path, n: int) -> Path:
    """Write rows of a constant, 100,000 of them in a few hundred bytes."""
    import pyarrow as pa
    from pyarrow import parquet

    path = folder / "a.parquet"
    constant = pa.table({"loss": pa.repeat(0.5, 100_000)})
    with parquet.ParquetWriter(path, constant.schema) as writer:
        for _ in range(n):
            writer.write_table(constant)
    return path


@maker
def parquet_columns(folder: Path, n: int) -> Path:
    """Write a row of n columns."""
    import pyarrow as pa
    from pyarrow import parquet

    path = folder / "a.parquet"
    parquet.write_table(pa.table({name: [1] for name in _names(n)}), path)
    return path


@maker
def parquet_text(folder: Path, n: int) -> Path:
    """Write a long text in many rows, of which the file has one copy."""
    import pyarrow as pa
    from pyarrow import parquet

    path = folder / "a.parquet"
    words = pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), n), ["x" * 20_000])
    parquet.write_table(pa.table({"note": words, "loss": pa.repeat(0.5, n)}), path)
    return path


@maker
def gzip_bomb(folder: Path, n: int) -> Path:
    """Write a compressed text of n tenths of a megabyte, all alike."""
    return _bomb(folder / "a.csv.gz", gzip.open, n)


@maker
def bzip2_bomb(folder: Path, n: int) -> Path:
    """Write the same for bzip2."""
    return _bomb(folder / "a.csv.bz2", bz2.open, n)


@maker
def xz_bomb(folder: Path, n: int) -> Path:
    """Write the same for xz."""
    return _bomb(folder / "a.csv.xz", lzma.open, n)


def _bomb(path: Path, opened: Any, n: int) -> Path:
    with opened(path, "wb") as file:
        for _ in range(n // 10):
            file.write(b"0" * 1_000_000)
    return path


# ------------------------------------------------------------------------------------------ figures


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def main(arguments: list[str] | None = None) -> int:
    """Print the figures, or those of some inputs."""
    parser = argparse.ArgumentParser(prog="python -m bench.hostile", description=__doc__)
    parser.add_argument("inputs", nargs="*", choices=[[], *MAKERS], metavar="INPUT")
    parser.add_argument("--size", type=int, default=20_000, help="parts of each input")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.alone:
        _measure(options.inputs[0], options.size)
        return 0
    print(f"{'input':20} {'bytes':>12} {'seconds':>8} {'MB peak':>8} {'s per MB':>9}  result")
    for name in options.inputs or MAKERS:
        command = [sys.executable, "-m", "bench.hostile", name, "--alone"]
        subprocess.run([*command, "--size", str(options.size)], check=False)
    return 0


def _measure(name: str, size: int) -> None:
    """Print the figures of one input, in a process of its own."""
    import cmeta
    from cmeta.tools.imports.import_run import import_run

    with tempfile.TemporaryDirectory() as text:
        folder = Path(text, "source")
        folder.mkdir()
        source = MAKERS[name](folder, size)
        before, began = _peak(), time.process_time()
        try:
            report = import_run(source, Path(text, "out.cmeta"))
            result = f"{report.num_records:,} records of {len(report.fields):,} fields"
        except cmeta.CmetaError as err:
            result = f"refused: {str(err).replace(text, '')[:60]}"
        seconds, peak = time.process_time() - began, (_peak() - before) / _MEGABYTE
        length = size_of(source)
    per_mb = seconds / max(length / _MEGABYTE, 1e-9)
    print(f"{name:20} {length:12,} {seconds:8.2f} {peak:8.0f} {per_mb:9.2f}  {result}", flush=True)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    sys.exit(main())
