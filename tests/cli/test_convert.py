"""`cmeta convert`: other tools can read its output, and importing it loses nothing."""

import csv
import gc
import io
import json
import sys
import tracemalloc
from functools import partial

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import cmeta

NUM_RECORDS = 100


@pytest.mark.parametrize("name", ["run.jsonl", "run.ndjson", "run.parquet", "run.pq"])
def test_importing_a_converted_file_restores_the_identical_file(cm, chronicle, tmp_path, name):
    out, again = tmp_path / name, tmp_path / "again.cmeta"
    result = cm("convert", chronicle, out)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    assert cm("import", out, again).exit_code == 0
    assert again.read_bytes() == chronicle.read_bytes()


def test_csv_without_the_configurations_is_noted(cm, chronicle, tmp_path, empty):
    result = cm("convert", chronicle, tmp_path / "run.csv")
    assert "CSV has the numbers of the 2 configurations only" in result.stderr
    assert cm("import", tmp_path / "run.csv", tmp_path / "again.cmeta").exit_code == 4
    assert cm("convert", chronicle, tmp_path / "run.jsonl").stderr == ""
    assert cm("convert", empty, tmp_path / "empty.csv").stderr == ""


def test_csv_equals_that_of_cat(cm, chronicle, tmp_path):
    out = tmp_path / "run.csv"
    assert cm("convert", chronicle, out).exit_code == 0
    assert out.read_bytes().decode() == cm("cat", "--format", "csv", chronicle).stdout
    assert len(list(csv.reader(io.StringIO(out.read_text("utf-8"))))) == NUM_RECORDS + 1


def test_pandas_reads_the_parquet(cm, chronicle, tmp_path):
    out = tmp_path / "run.parquet"
    assert cm("convert", chronicle, out).exit_code == 0
    frame = pd.read_parquet(out, dtype_backend="pyarrow")
    with cmeta.open(chronicle) as run:
        read = run.read()
    assert frame["seed_state"].tolist() == read["seed_state"].tolist()
    assert frame["phase"].astype(str).tolist() == read["phase"].tolist()
    assert frame["loss_value"].isna().tolist() == (~read.present["loss_value"]).tolist()
    kept = frame["loss_value"].array._pa_array.to_pylist()
    np.testing.assert_array_equal(kept[1:4], [np.nan, np.inf, -np.inf])


def test_a_selection(cm, chronicle, tmp_path):
    out = tmp_path / "run.parquet"
    options = ["--start", 1010, "--end", 1050, "--phase", "validate,dream", "--fields", "entropy"]
    assert cm("convert", chronicle, out, *options).exit_code == 0
    table = pq.read_table(out)
    with cmeta.open(chronicle) as run:
        read = run.read(["metrics.entropy"], 1010, 1050, ["validate", "dream"])
    assert sorted(table.column_names) == ["metrics.entropy", "phase", "timestamp"]
    assert table["metrics.entropy"].to_pylist() == read["metrics.entropy"].tolist()


def test_standard_output(cm, chronicle, tmp_path, process):
    text = cm("convert", chronicle, "-", "--format", "jsonl").stdout
    assert json.loads(text.splitlines()[0])["cmeta"]["num_records"] == NUM_RECORDS
    running = process("convert", chronicle, "-", "--format", "parquet")
    data, errors = running.communicate(timeout=60)
    assert (running.returncode, errors) == (0, b"")
    assert pq.read_table(io.BytesIO(data)).num_rows == NUM_RECORDS


def test_an_unknown_format_is_refused(cm, chronicle, tmp_path):
    for out in (tmp_path / "run.xls", "-"):
        result = cm("convert", chronicle, out)
        assert result.exit_code == 2
        assert "has none of the suffixes .jsonl, .ndjson, .csv, .parquet, .pq" in result.stderr
        assert "stdin" not in result.stderr
    assert cm("convert", chronicle, tmp_path / "run.xls", "--format", "csv").exit_code == 0


@pytest.mark.parametrize("name", ["run.jsonl", "run.csv", "run.parquet"])
def test_an_existing_file_is_kept_without_replace(cm, chronicle, tmp_path, name):
    out = tmp_path / name
    out.write_text("mine")
    result = cm("convert", chronicle, out)
    assert result.exit_code == 2
    assert f"{out}: exists; --replace overwrites it" in result.stderr
    assert out.read_text() == "mine"
    assert cm("convert", chronicle, out, "--replace").exit_code == 0
    assert out.stat().st_size > 1000


@pytest.mark.parametrize("name", ["run.jsonl", "run.csv", "run.parquet"])
@pytest.mark.parametrize("damage", ["flipped", "truncated"])
def test_a_damaged_file_is_not_converted(cm, request, tmp_path, name, damage):
    path, out = request.getfixturevalue(damage), tmp_path / name
    result = cm("convert", path, out)
    assert result.exit_code == 3
    assert str(path) in result.stderr
    assert not [found for found in tmp_path.iterdir() if found.name.startswith(("run.j", ".run"))]
    assert not out.exists()


@pytest.mark.parametrize("name", ["run.jsonl", "run.csv", "run.parquet"])
def test_an_empty_and_an_open_chronicle(cm, empty, still_open, tmp_path, name):
    out, again = tmp_path / name, tmp_path / "again.cmeta"
    assert cm("convert", empty, out).exit_code == 0
    assert cm("import", out, again).exit_code == 0
    assert again.read_bytes() == empty.read_bytes()
    result = cm("convert", still_open, out, "--replace")
    assert result.exit_code == 0
    assert "is open" in result.stderr


def test_without_pyarrow_the_error_names_the_extra(cm, chronicle, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    result = cm("convert", chronicle, tmp_path / "run.parquet")
    assert result.exit_code == 2
    assert "needs pyarrow: pip install pyarrow (the extra 'arrow')" in result.stderr
    assert cm("convert", chronicle, tmp_path / "run.csv").exit_code == 0


@pytest.mark.parametrize("name", ["run.jsonl", "run.csv"])
def test_memory_does_not_grow_with_the_file(cm, tmp_path, name, request):
    request.addfinalizer(partial(gc.set_threshold, *gc.get_threshold()))
    gc.set_threshold(50)  # so that garbage in cycles, which comes in batches, is not counted
    peaks = []
    schema = cmeta.default_schema().with_batch_records(512)
    for num_batches in (16, 64):
        path = tmp_path / f"{num_batches}.cmeta"
        size = 512 * num_batches
        values = np.random.default_rng(1).random(size)
        cmeta.write(path, {"phase": np.zeros(size, np.uint8), "metrics.x": values}, schema)
        cm("convert", path, tmp_path / f"{num_batches}-{name}")  # imports, caches
        tracemalloc.start()
        assert cm("convert", path, tmp_path / name, "--replace").exit_code == 0
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0]  # of four times the records


@pytest.mark.parametrize("format_", ["jsonl", "csv", "parquet"])
def test_a_file_is_never_converted_in_place(cm, chronicle, tmp_path, format_):
    before, link = chronicle.read_bytes(), tmp_path / "link"
    link.symlink_to(chronicle)
    hard, journal = tmp_path / "hard", chronicle.with_name(f"{chronicle.name}-journal")
    hard.hardlink_to(chronicle)
    for out in (chronicle, link, hard, journal):
        result = cm("convert", chronicle, out, "--format", format_, "--replace")
        assert result.exit_code == 2
        assert "no command changes what it reads; choose another name" in result.stderr
    assert chronicle.read_bytes() == before
    assert not journal.exists()
