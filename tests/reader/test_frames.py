"""Data frames: the types of the fields, absent values apart from NaN; and libraries that are missing."""

import math
import subprocess
import sys

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given

import cmeta
from cmeta.testing.oracle import identical
from cmeta.testing.runs import files


@pytest.fixture
def extremes(tmp_path):
    """Return a run of values that other types of a frame would change."""
    values = {
        "phase": ["dream", "validate", "validate"],
        "timestamp": [0, 2**63, 2**64 - 1],
        "seed_state": [2**64 - 1, None, 2**53 + 1],
        "loss_value": [math.nan, None, 0.5],
        "tensor_signature": [None, (1, 2, 3), (0.5, 0.25, 0)],
        "config": [{"lr": 0.1}, None, {"lr": 0.2}],
        "metrics.flag": [1.0, None, 0.0],
    }
    cmeta.write(tmp_path / "extremes.cmeta", values)
    with cmeta.open(tmp_path / "extremes.cmeta") as run:
        yield run


# --------------------------------------------------------------------------------- pandas


def test_pandas_gets_the_types_of_arrow(run):
    frame, table = run.to_pandas(), run.to_arrow()
    assert frame.shape == (100, 11)
    assert list(frame.columns) == table.column_names
    for field in table.schema:
        dtype = frame.dtypes[field.name]
        if pa.types.is_dictionary(field.type):
            assert isinstance(dtype, pd.CategoricalDtype)
        else:
            assert dtype == pd.ArrowDtype(field.type)


def test_pandas_keeps_integers_and_tells_nan_from_absent(extremes):
    frame = extremes.to_pandas()
    assert frame["timestamp"].tolist() == [0, 2**63, 2**64 - 1]
    assert frame["seed_state"].tolist() == [2**64 - 1, pd.NA, 2**53 + 1]
    loss = frame["loss_value"]
    assert loss[1] is pd.NA
    assert math.isnan(loss[0])
    assert loss[2] == 0.5
    assert pa.array(loss).null_count == 1


def test_pandas_gets_enumerations_as_categories_in_their_order(extremes):
    frame = extremes.to_pandas()
    assert frame["phase"].cat.categories.tolist() == list(extremes.schema.phases)
    assert frame["phase"].cat.codes.tolist() == [0, 2, 2]
    assert frame["config"].cat.categories.tolist() == ['{"lr":0.1}', '{"lr":0.2}']
    assert frame["config"].isna().tolist() == [False, True, False]
    assert frame.groupby("phase", observed=True).size().to_dict() == {"dream": 1, "validate": 2}


def test_pandas_gets_vectors_as_lists(extremes):
    found = extremes.to_pandas()["tensor_signature"]
    assert found[0] is pd.NA
    assert list(found[1]) == [1, 2, 3]
    assert found.dropna().list[0].tolist() == [1.0, 0.5]


# --------------------------------------------------------------------------------- polars


def test_polars_gets_the_types_of_the_fields(run):
    frame = run.to_polars()
    states = pl.Enum(list(run.schema["metrics.state"].labels))
    assert dict(frame.schema) == {
        "timestamp": pl.UInt64,
        "phase": pl.Enum(["dream", "train", "validate", "test", "predict"]),
        "metrics.entropy": pl.Float32,
        "metrics.state": states,
        "tensor_signature": pl.Array(pl.Float32, 3),
        "loss_value": pl.Float32,
        "seed_state": pl.UInt64,
        "config": pl.Categorical,
        "epoch": pl.UInt32,
        "metrics.accuracy": pl.Float64,
        "metrics.late": pl.Float64,
    }
    assert frame.shape == (100, 11)


def test_polars_keeps_integers_and_tells_nan_from_absent(extremes):
    frame = extremes.to_polars()
    assert frame["timestamp"].to_list() == [0, 2**63, 2**64 - 1]
    assert frame["seed_state"].to_list() == [2**64 - 1, None, 2**53 + 1]
    assert frame["loss_value"].is_null().to_list() == [False, True, False]
    assert frame["loss_value"].is_nan().to_list() == [True, None, False]
    assert frame["tensor_signature"].to_list() == [None, [1, 2, 3], [0.5, 0.25, 0]]
    assert frame["config"].to_list() == ['{"lr":0.1}', None, '{"lr":0.2}']
    assert frame["phase"].to_list() == ["dream", "validate", "validate"]


# ----------------------------------------------------------------------------------- both


@pytest.mark.parametrize("question", [
    {"phase": "train", "start": 85, "end": 400},
    {"fields": ["metrics.late", "loss_value"], "end": 300},
    {"fields": ["config", "phase", "tensor_signature", "metrics.state"], "start": 10**6},
    {"fields": ["config", "action_code"], "end": 20},
    {"fields": []},
])  # fmt: skip
def test_frames_have_the_rows_and_columns_of_the_answer(run, question):
    read = run.read(**question)
    for frame in (run.to_pandas(**question), run.to_polars(**question)):
        assert list(frame.columns) == list(read)
        assert len(frame) == read.num_records
        for path in read:
            assert sum(frame[path].isna() if isinstance(frame, pd.DataFrame)
                       else frame[path].is_null()) == (~read.present[path]).sum()  # fmt: skip


def test_names_are_kept_whatever_they_hold(tmp_path):
    names = [
        "metrics.a",
        "metrics.a\0b",
        "metrics.a\0c",
        "metrics.\N{GREEK SMALL LETTER ETA} '\"/,",
    ]
    values = {name: [float(i)] for i, name in enumerate(names)}
    cmeta.write(tmp_path / "run.cmeta", {"phase": ["train"], **values})
    with cmeta.open(tmp_path / "run.cmeta") as run:
        for frame in (run.to_pandas(), run.to_polars()):
            assert {name: list(frame[name]) for name in names} == values


def test_an_answer_already_read_becomes_a_frame_too(run):
    read = run.read(["phase", "epoch"], phase="train")
    assert read.to_pandas().equals(run.to_pandas(["phase", "epoch"], phase="train"))
    assert read.to_polars().equals(run.to_polars(["phase", "epoch"], phase="train"))


def test_an_empty_file(tmp_path):
    cmeta.write(tmp_path / "run.cmeta", {"phase": []})
    with cmeta.open(tmp_path / "run.cmeta") as run:
        assert run.to_pandas().shape == run.to_polars().shape == (0, 2)


@given(files())
def test_frames_hold_what_the_table_holds(file):
    run = cmeta.open(file)
    table = run.to_arrow()
    frame = run.to_polars()
    assert frame.columns == table.column_names
    for path, values in zip(table.column_names, table.columns, strict=True):
        assert all(map(identical, frame[path].to_list(), values.to_pylist())), path
    pandas = run.to_pandas()
    for path, values in zip(table.column_names, table.columns, strict=True):
        if not pa.types.is_dictionary(values.type):
            found = pa.array(pandas[path])
            assert found.type == values.type
            assert all(map(identical, found.to_pylist(), values.to_pylist())), path


# ------------------------------------------------------------------- without the libraries


@pytest.mark.parametrize(
    ("missing", "call", "extra"),
    [
        ("pyarrow", "run.to_arrow()", "arrow"),
        ("pyarrow", "run.arrow_batches()", "arrow"),
        ("pyarrow", "run.read().to_arrow()", "arrow"),
        ("pyarrow", "cmeta.Columns.from_arrow(None)", "arrow"),
        ("pyarrow", "run.to_polars()", "arrow"),
        ("pandas", "run.to_pandas()", "pandas"),
        ("pandas", "run.read().to_pandas()", "pandas"),
        ("polars", "run.to_polars()", "polars"),
        ("polars", "run.read().to_polars()", "polars"),
    ],
)
def test_a_missing_library_is_named_with_its_extra(path, missing, call, extra):
    code = f"""
import sys, cmeta
sys.modules[{missing!r}] = None
with cmeta.open(sys.argv[1]) as run:
    try:
        {call}
    except cmeta.MissingExtraError as err:
        assert isinstance(err, ImportError) and isinstance(err, cmeta.CmetaError)
        print(err)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"needs {missing}: pip install {missing} (the extra {extra!r})\n"
