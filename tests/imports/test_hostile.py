"""Inputs made to cost an importer much: work and memory grow as they do, and no more.

The work is counted as calls and the memory as allocations, not timed. What SQLite, pyarrow and
regular expressions do within one call is not seen so: those inputs are so large that a test would
not end.
"""

import gzip
import json
import lzma
import os
import re
import sqlite3
import sys
import tracemalloc

import pytest

import cmeta
from bench.hostile import (
    MAKERS,
    mlflow_tables,
    size_of,
    tensorboard_log,
    wandb_log,
    wandb_row,
)
from cmeta.schema.schema import Schema
from cmeta.tools.imports import compressed, fitting, parquet, scalar_log, wandb
from cmeta.tools.imports.import_run import import_run
from cmeta.tools.imports.import_runs import find_sources

PARTS = 50  # n, of n, 2 n and 4 n
MULTIPLE, FREE = 256, 1 << 24  # bytes of memory for each of the input, and for any input
SLACK_CALLS, SLACK_BYTES = 12_000, 1 << 17


@pytest.fixture(autouse=True)
def small_allowances(monkeypatch):
    """Let the allowances that any input has be small, so that small inputs exceed them."""
    monkeypatch.setattr(fitting, "_CELLS_FREE", 1 << 10)
    monkeypatch.setattr(compressed, "_LEN_FREE", 1 << 16)
    monkeypatch.setattr(parquet, "_VALUES_FREE", 1 << 10)
    for module in (scalar_log, wandb):
        monkeypatch.setattr(module, "CONFIGS_FREE", 1 << 10)


def outcome(source, out):
    try:
        return import_run(source, out, replace=True)
    except cmeta.CmetaError:
        return None


def num_calls(source, out):
    count = 0

    def see(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(see)
    try:
        outcome(source, out)
    finally:
        sys.setprofile(None)
    return count


def peak(source, out):
    tracemalloc.start()
    try:
        outcome(source, out)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", MAKERS)
def test_work_and_memory_grow_as_the_input_does(tmp_path, name):
    sources = []
    for number in (PARTS, 2 * PARTS, 4 * PARTS):
        folder = tmp_path / str(number)
        folder.mkdir()
        sources.append(MAKERS[name](folder, number))
    out = tmp_path / "out.cmeta"
    outcome(sources[0], out)  # whatever is only done once
    calls = [num_calls(source, out) for source in sources]
    assert calls[2] - calls[1] < 2.5 * max(calls[1] - calls[0], SLACK_CALLS), calls
    peaks = [peak(source, out) for source in sources]
    assert peaks[2] - peaks[1] < 2.5 * max(peaks[1] - peaks[0], SLACK_BYTES), peaks
    assert peaks[2] < FREE + MULTIPLE * size_of(sources[2]), peaks


@pytest.mark.parametrize("ending", ["x", ",5x", "e", ".x"])
def test_many_digits_that_are_no_number(imported, text, ending):
    """Quadratic before: minutes for each of these."""
    digits = "1" * 120_000
    found = imported(text("log.csv", "a;loss", f"{digits}{ending};1"))
    assert found.values("loss_value") == [1]


@pytest.mark.parametrize("opened", [gzip.open, lzma.open])
def test_a_compressed_file_that_fills_the_disk_is_refused(tmp_path, opened, monkeypatch):
    monkeypatch.setattr(compressed, "_LEN_FREE", 1 << 20)
    path = tmp_path / "log.csv.gz"
    with opened(path, "wb") as file:
        file.write(b"a,b\n" + b"1,2\n" * 1_000_000)
    with pytest.raises(cmeta.EncodeError, match="that become more than 1,048,576"):
        cmeta.import_run(path, tmp_path / "out.cmeta")
    with opened(path, "wb") as file:
        file.write(b"a,b\n" + b"1,2\n" * 200_000)
    assert cmeta.import_run(path, tmp_path / "out.cmeta").num_records == 200_000


def test_a_folder_is_looked_at_without_decompressing_whole_files(tmp_path, monkeypatch):
    with gzip.open(tmp_path / "a.log.gz", "wb") as file:
        file.write(b"step 1: loss 2\n" + b"0" * 50_000_000)
    monkeypatch.setattr(compressed, "_LEN_FREE", 1 << 24)
    assert len(find_sources(tmp_path).runs) == 1


def test_a_long_line_is_a_bad_line(tmp_path, monkeypatch):
    for name, text in (
        ("a.jsonl", '{"a": 1}\n{"a": "%s"}\n{"a": 2}\n'),
        ("a.csv", "a,b\n1,2\n%s\n3,4\n"),
    ):
        path = tmp_path / name
        path.write_text(text % ("x" * (1 << 24)))
        with pytest.raises(cmeta.EncodeError, match=r"line [23]: found a line of 16,777,\d+ char"):
            import_run(path, tmp_path / f"{name}.cmeta")
        report = import_run(path, tmp_path / f"{name}.cmeta", skip_bad_lines=True)
        assert report.num_records == 2
        assert "1 bad line skipped" in report.damage[0]


def test_names_beyond_those_that_an_import_takes(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({f"m{i}": 1 for i in range(8200)}) + "\n")
    report = import_run(path, tmp_path / "out.cmeta")
    assert any("8 values of 8 names beyond the first 8,192" in lost for lost in report.lost)
    assert any("beyond the 4,096 columns of a batch" in lost for lost in report.lost)


def test_metrics_that_are_mostly_absent_are_kept_in_short_batches(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f'{{"m{i}": {i}}}\n' for i in range(500)))
    report = import_run(path, tmp_path / "out.cmeta")
    assert report.ok
    assert any(re.match(r"batches have \d+ records", note) for note in report.notes)
    with cmeta.open(tmp_path / "out.cmeta") as run:
        assert run.read()["metrics.m77"][77] == 77
    assert cmeta.validate(tmp_path / "out.cmeta").ok


# ------------------------------------------------------------------- configurations that change


def test_a_configuration_that_changes_at_every_row_is_kept_as_far_as_there_is_room(tmp_path):
    path = MAKERS["wandb_config"](tmp_path, 400)
    report = import_run(path, tmp_path / "out.cmeta")
    (lost,) = report.lost
    assert lost.startswith("the configuration changed after the first ")
    with cmeta.open(tmp_path / "out.cmeta") as run:
        columns = run.read()
    present = columns.present["config"]
    assert 10 < present.sum() < 400
    assert present[: present.sum()].all()


# ------------------------------------------------------------------------------- no tracebacks


def deep(levels):
    return '{"a":' * levels + "1" + "}" * levels


def test_a_wandb_log_of_odd_messages(tmp_path):
    from wandb.proto.wandb_internal_pb2 import Record

    config, times, keys = Record(), wandb_row(0, {"loss": 0.5}), wandb_row(1, {"loss": 0.25})
    config.config.update.add(key="deep", value_json=deep(900))
    config.config.update.add(nested_key=["k"] * 2000, value_json="1")
    config.config.update.add(key="lr", value_json="0.5")
    times.history.item.add(key="_timestamp", value_json="1" + "0" * 400)
    keys.history.item.add(nested_key=["k"] * 2000, value_json="1")
    keys.history.item.add(key="nested", value_json=deep(900))
    path = wandb_log(tmp_path / "run-x.wandb", [config, times, keys])
    report = import_run(path, tmp_path / "out.cmeta")
    assert [lost.partition(":")[0] for lost in report.lost] == [
        "nested beyond 32 levels", "numbers beyond the range of float64 are kept as infinity",
        "a key of more than 32 parts cannot be kept",
    ]  # fmt: skip
    with cmeta.open(tmp_path / "out.cmeta") as run:
        assert run.configs[0]["lr"] == 0.5
        assert run.read()["loss_value"].tolist() == [0.5, 0.25]


def test_hyperparameters_that_are_nested_deeply_are_left_out(tmp_path):
    folder = tmp_path / "1"
    folder.mkdir()
    (folder / "run.json").write_text("{}")
    (folder / "config.json").write_text(f'{{"lr": 1, "deep": {deep(200)}}}')
    (folder / "metrics.json").write_text("{}")
    report = import_run(folder, tmp_path / "out.cmeta")
    assert any("nested beyond 32 levels" in lost for lost in report.lost)
    with cmeta.open(tmp_path / "out.cmeta") as run:
        assert len(run) == 0


def test_a_parquet_file_with_durations_and_names_that_are_not_utf8(tmp_path):
    import pyarrow as pa
    from pyarrow import parquet as files

    durations = pa.array([1, None, -(2**63) + 1, 2**62], pa.duration("ns"))
    path = tmp_path / "a.parquet"
    files.write_table(pa.table({"abc": durations, "loss": [1.0] * 4}), path)
    report = import_run(path, tmp_path / "out.cmeta")
    assert "metrics.abc" in report.fields
    files.write_table(pa.table({"abc": durations}), path, store_schema=False)
    path.write_bytes(path.read_bytes().replace(b"abc", b"a\xffc"))
    with pytest.raises(cmeta.EncodeError, match="not UTF-8"):
        import_run(path, tmp_path / "other.cmeta")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = " + "[" * 500 + "]" * 500, "nested too deeply"),
        ("a = " + "{b=" * 500 + "1" + "}" * 500, "nested too deeply"),
        (".".join(["a"] * 1000) + " = 1", "a key of more than 32 parts"),
        ("[" + ' . "x" . '.join(["a"] * 100) + "]", "a key of more than 32 parts"),
        ("a = " + "1" * 5000, "an integer of more than 4,300 digits"),
        ("a = 1\n" * 1_000_000, "found more than 4,194,304 bytes"),
    ],
)
def test_a_schema_made_to_hurt(tmp_path, text, message):
    path = tmp_path / "schema.toml"
    path.write_text(text)
    with pytest.raises(cmeta.SchemaError, match=message):
        Schema.load(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs")
@pytest.mark.parametrize("suffix", ["-journal", "-wal", "-shm"])
def test_a_fifo_beside_a_database_is_refused(tmp_path, suffix):
    path = tmp_path / "mlflow.db"
    with sqlite3.connect(path) as database:
        mlflow_tables(database)
    database.close()
    os.mkfifo(f"{path}{suffix}")
    with pytest.raises((cmeta.EncodeError, OSError), match="FIFO, expected a regular file"):
        import_run(path, tmp_path / "out.cmeta")


def test_a_database_that_computes_for_ever_or_has_other_types(tmp_path):
    path = tmp_path / "mlflow.db"
    with sqlite3.connect(path) as database:
        mlflow_tables(database)
        rows = [
            ("a", 1.0, 10**12, 3),
            (None, 1.0, 1, 1),
            ("b", "x", 1, 1),
            ("c", 1, "t", 1),
            (b"d", 1, 1, 1.5),
        ]
        database.executemany("INSERT INTO metrics VALUES (?, ?, ?, ?, 0, 'r')", rows)
        database.execute("INSERT INTO params VALUES (NULL, 3, 'r')")
    database.close()
    report = import_run(path, tmp_path / "out.cmeta")
    assert report.num_records == 1
    assert "4 rows of metrics left out" in report.damage[0]
    with sqlite3.connect(path) as database:
        database.execute("DROP TABLE metrics")
        database.execute(
            "CREATE TABLE metrics (key, value, timestamp, step, is_nan, run_uuid, "
            "big AS (zeroblob(200000000)))"
        )
        database.execute("DROP TABLE tags")
        database.execute("CREATE TABLE tags (key, run_uuid, value AS (zeroblob(200000000)))")
        database.execute("INSERT INTO tags VALUES ('a', 'r')")
    database.close()
    with pytest.raises(cmeta.EncodeError, match="SQLite format 3"):
        import_run(path, tmp_path / "other.cmeta")


# ------------------------------------------------------- numbers and names that JSON does not keep

TWICE, HUGE = '{"loss": 1, "loss": 2}', '{"loss": 1e999}'


@pytest.mark.parametrize(("line", "reason"), [(TWICE, "'loss' twice"), (HUGE, "1e999")])
def test_json_that_would_not_be_kept(tmp_path, line, reason):
    sources = {
        "a.jsonl": f'{{"loss": 3}}\n{line}\n',
        "a.json": f'{{"history": {{"loss": [1]}}, "params": {line}}}',
        "trainer_state.json": f'{{"log_history": [{{"step": 1, "loss": 1}}], "x": {line}}}',
    }
    for name, content in sources.items():
        (tmp_path / name).write_text(content)
        format_ = {"a.json": "json"}.get(name)
        with pytest.raises(cmeta.EncodeError, match=reason):
            import_run(tmp_path / name, tmp_path / "out.cmeta", format=format_)
    skipped = import_run(tmp_path / "a.jsonl", tmp_path / "out.cmeta", skip_bad_lines=True)
    assert skipped.num_records == 1
    assert reason in skipped.damage[0]
    path = wandb_log(tmp_path / "run-x.wandb", [wandb_row(0, {"loss": 0.5})])
    from wandb.proto.wandb_internal_pb2 import Record

    record = Record()
    record.history.item.add(key="m", value_json=line)
    record.history.item.add(key="acc", value_json="1")
    path = wandb_log(path, [wandb_row(0, {"loss": 0.5}), record])
    (lost,) = import_run(path, tmp_path / "other.cmeta").lost
    assert "a name twice, or a number that no float64 holds" in lost


def test_a_number_beyond_float64_is_no_infinity_in_any_text(imported, text):
    found = imported(text("log.csv", "loss,acc", "1e999,1", "inf,2"))
    assert found.values("metrics.loss") == [None, float("inf")]
    found = imported(text("b.log", "step 1: loss 1e999, acc 2", "step 2: loss inf, acc 1"))
    assert found.values("metrics.loss") == [None, float("inf")]
    assert any("1e999" in lost for lost in found.report.lost)
    found = imported(text("c.log", "{'loss': 1e999, 'step': 1}", "{'loss': 2.0, 'step': 2}"))
    assert found.values("loss_value") == [2]


def test_a_configuration_for_an_import(tmp_path, text):
    from click.testing import CliRunner

    from cmeta.cli.app import cli

    source = text("log.csv", "loss", "1")
    for content, reason in ((TWICE, "twice"), (HUGE, "1e999")):
        (tmp_path / "config.json").write_text(content)
        arguments = [source, tmp_path / "o.cmeta", "--config", tmp_path / "config.json"]
        result = CliRunner().invoke(cli, ["import", *map(str, arguments)])
        assert result.exit_code == 2
        assert reason in result.stderr


def test_damage_to_many_records_is_one_sentence(tmp_path):
    log = tensorboard_log(tmp_path / "events.out.tfevents.1", [b"\xff"] * 100)
    (damage,) = import_run(log, tmp_path / "out.cmeta").damage
    assert damage.endswith("record 0 is not a valid event and was skipped, and 99 more")
