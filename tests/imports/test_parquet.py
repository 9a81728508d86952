"""Parquet of pyarrow and pandas, and of cmeta: values keep their types."""

import datetime
import io
import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings

import cmeta
from cmeta.cli.formats import write_parquet
from cmeta.testing.runs import files
from cmeta.tools.imports.import_run import import_run

NAN = math.nan
SOME = settings(suppress_health_check=list(HealthCheck))


def test_pyarrow(imported, tmp_path):
    source = tmp_path / "log.parquet"
    table = pa.table(
        {
            "step": pa.array([0, 1, 2], pa.int32()),
            "loss": pa.array([0.1, NAN, None], pa.float64()),
            "half": pa.array(np.float16([0.5, 1.5, 2.5])),
            "narrow": pa.array([0.1, None, 0.3], pa.float32()),
            "seed": pa.array([2**64 - 1, None, 1], pa.uint64()),
            "ids": pa.array([2**53 + 1, 5, None], pa.int64()),
            "split": pa.array(["train", "val", "train"]).dictionary_encode(),
            "ok": pa.array([True, None, False]),
            "eval": pa.array([{"acc": 0.5, "top": {"k": 1}}, None, {"acc": None, "top": None}]),
            "tensor_signature": pa.array([[1, 2, 3], None, [4, 5, 6]], pa.list_(pa.float32())),
            "time": pa.array([datetime.datetime(2025, 1, 1)] * 3, pa.timestamp("us")),
            "name": ["a", "b", None],
            "nothing": pa.nulls(3),
        }
    )
    pq.write_table(table, source, row_group_size=2)
    found = imported(source)
    assert found.report.format == "parquet"
    assert found.values("timestamp") == [0, 1, 2]
    assert found.values("phase") == ["train", "validate", "train"]
    np.testing.assert_array_equal(found.values("loss_value")[:2], [0.1, NAN])
    assert found.values("loss_value")[2] is None
    assert found.values("metrics.half") == [0.5, 1.5, 2.5]
    assert found.values("metrics.narrow") == [float(np.float32(0.1)), None, float(np.float32(0.3))]
    assert found.values("seed_state") == [2**64 - 1, None, 1]
    assert found.values("metrics.ids") == [2**53 + 1, 5, None]
    assert found.values("metrics.ok") == [1, None, 0]
    assert found.values("metrics.eval/acc") == [0.5, None, None]
    assert found.values("metrics.eval/top/k") == [1, None, None]
    assert found.values("tensor_signature") == [[1, 2, 3], None, [4, 5, 6]]
    assert found.values("metrics.time") == [1735689600.0] * 3
    note = "name: text of 2 records is not kept, such as 'a' (row 0)"
    assert note in found.report.notes
    assert found.report.ok


def test_pandas(imported, tmp_path):
    source = tmp_path / "log.parquet"
    frame = pd.DataFrame({"epoch": [0, 1], "loss": [0.25, NAN], "lr": np.float32([0.1, 0.2])})
    frame.to_parquet(source)
    found = imported(source)
    assert found.values("epoch") == [0, 1]
    assert found.values("metrics.lr") == [float(np.float32(0.1)), float(np.float32(0.2))]
    assert found.values("loss_value") == [0.25, None]  # pandas itself writes NaN as null
    assert found.report.ok


def test_a_file_that_is_cut(imported, tmp_path):
    source = tmp_path / "log.parquet"
    pq.write_table(pa.table({"step": [1, 2, 3]}), source)
    source.write_bytes(source.read_bytes()[:-9])
    with pytest.raises(cmeta.EncodeError, match="not Parquet, or damaged") as caught:
        imported(source)
    assert str(source) in str(caught.value)


@SOME
@given(data=files())
def test_any_chronicle_comes_back_byte_for_byte(tmp_path, data):
    with cmeta.open(data) as run:
        batches = run.arrow_batches()
        target = io.BytesIO()
        write_parquet(batches.schema, batches, target)
    source, out = tmp_path / "run.parquet", tmp_path / "run.cmeta"
    source.write_bytes(target.getvalue())
    report = import_run(source, out, replace=True)
    assert report.ok
    assert out.read_bytes() == data


def test_a_vector_that_is_absent_in_part(imported, tmp_path, cm):
    first, source = tmp_path / "first.cmeta", tmp_path / "run.parquet"
    signature = np.ma.array([[1, 2, 3], [0, 0, 0]], mask=[[False] * 3, [True] * 3])
    cmeta.write(first, {"phase": ["train"] * 2, "tensor_signature": signature})
    cm("convert", first, source)
    assert pq.read_table(source)["tensor_signature"].to_pylist() == [[1, 2, 3], None]
    assert imported(source).path.read_bytes() == first.read_bytes()


def test_values_survive_pandas(imported, tmp_path):
    first = tmp_path / "first.cmeta"
    columns = {
        "timestamp": [5, 6, 7], "phase": ["train", "train", "validate"],
        "loss_value": np.ma.array([0.1, NAN, 0], mask=[0, 0, 1]), "metrics.lr": [0.1, 1e-300, 3],
        "seed_state": np.array([2**64 - 1, 1, 2], np.uint64),
    }  # fmt: skip
    cmeta.write(first, columns)
    source = tmp_path / "frame.parquet"
    with cmeta.open(first) as run:
        run.to_pandas().to_parquet(source)
    found = imported(source)
    assert found.path.read_bytes() == first.read_bytes()


def test_an_invalid_schema_in_the_metadata(imported, tmp_path):
    source = tmp_path / "log.parquet"
    table = pa.table({"phase": ["train"]}).replace_schema_metadata({b"cmeta.schema": b"{}"})
    pq.write_table(table, source)
    with pytest.raises(cmeta.EncodeError, match="schema"):
        imported(source)
