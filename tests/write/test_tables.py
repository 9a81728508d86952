"""Tables and columns of pandas, polars and Arrow: what they lack is absent, NaN is a value."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import cmeta
from cmeta import Columns

SCHEMA = cmeta.default_schema()
NAN = float("nan")
LOSSES, STEPS = [0.5, None, NAN, 0.25], [1, None, 3, 2**63]
PHASES, STATES = ["train", "train", "val", "validate"], ["stable", None, None, "diverging"]
SIGNATURES = [[1.0, 2.0, 3.0], None, None, [4.0, 5.0, 6.0]]
MASKED = np.ma.array([0.5, 9.0, NAN, 0.25], mask=[0, 1, 0, 0])


def arrow():
    return pa.table({
        "phase": PHASES,
        "loss_value": pa.array(LOSSES, from_pandas=False),
        "step": pa.array(STEPS, pa.uint64()),
        "metrics.state": STATES,
        "metrics.x": pa.array([1, None, 2, 3], pa.int32()),
        "tensor_signature": SIGNATURES,
    })  # fmt: skip


def pandas_of_arrow():
    return arrow().to_pandas(types_mapper=pd.ArrowDtype)


def pandas_masked():
    frame = pandas_of_arrow()
    frame["step"] = pd.array(STEPS, "UInt64")
    frame["metrics.state"] = pd.Series(STATES, dtype="category")
    frame["phase"] = pd.Series(PHASES)
    frame["metrics.x"] = pd.array([1, None, 2, 3], "Int32")
    return frame


TABLES = {
    "pyarrow": arrow,
    "a batch": lambda: arrow().combine_chunks().to_batches()[0],
    "polars": lambda: pl.from_arrow(arrow()),
    "pandas of Arrow": pandas_of_arrow,
    "pandas with masks": pandas_masked,
}


@pytest.fixture
def expected(target):
    present = np.array([True, False, True, True])
    signatures = np.array([row or [0.0] * 3 for row in SIGNATURES])
    columns = {
        "phase": PHASES, "loss_value": MASKED, "step": STEPS, "metrics.state": STATES,
        "metrics.x": np.array([1.0, 9.0, 2.0, 3.0]), "tensor_signature": signatures,
    }  # fmt: skip
    both = np.array([True, False, False, True])
    cmeta.write(target, columns, present={"metrics.x": present, "tensor_signature": both})
    return target.read_bytes()


@pytest.mark.parametrize("make", TABLES.values(), ids=TABLES)
@pytest.mark.parametrize("way", ["write", "from_arrow", "chunks", "columns", "lists"])
def test_every_way_in_gives_the_same_file(target, expected, make, way):
    table = make()
    if way == "from_arrow":
        given = Columns.from_arrow(table, SCHEMA)
    elif way == "chunks":
        given = [table[:1], table[1:]] if way != "a batch" else [table]
        given = [table.slice(0, 1), table.slice(1)] if hasattr(table, "slice") else given
    elif way in ("columns", "lists"):
        names = getattr(table, "column_names", None) or (
            table.schema.names if isinstance(table, pa.RecordBatch) else list(table.columns)
        )
        given = {name: table[name] for name in names}
        if way == "lists":
            given = {name: list(column) for name, column in given.items()}
    else:
        given = table
    cmeta.write(target, given)
    assert target.read_bytes() == expected


def test_a_nan_of_a_plain_data_frame_is_a_value(target):
    frame = pd.DataFrame({"phase": ["train"] * 2, "loss_value": [0.5, NAN]})
    for given in (frame, dict(frame), Columns.from_arrow(frame, SCHEMA)):
        cmeta.write(target, given)
        with cmeta.open(target) as run:
            found = run.read()
        assert found.present["loss_value"].tolist() == [True, True]
        assert np.isnan(found["loss_value"][1])


def test_a_file_goes_through_other_libraries_and_back(target, expected):
    with cmeta.open(target) as run:
        table = run.to_arrow()
        frames = [run.to_polars(), run.to_pandas(), table, table.to_reader()]
    for frame in frames:
        cmeta.write(target, Columns.from_arrow(frame, SCHEMA))
        assert target.read_bytes() == expected


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (pd.DataFrame({"phase": ["train"], "loss_value": [1j]}), ["loss_value"]),
        (
            pd.DataFrame({"phase": ["train"], "loss_value": [object()]}),
            ["loss_value: found values"],
        ),
        (pl.DataFrame({"phase": ["trian"]}), ["phase: found 'trian'", "did you mean train?"]),
        (pl.DataFrame({"phase": ["train"], "loss_value": ["x"]}), ["loss_value"]),
    ],
)
def test_what_does_not_fit_is_named(refuse, given, words):
    refuse(given, words)


@pytest.mark.parametrize("given", [5, {"phase": ["train"]}, [1], "x"])
def test_what_is_no_table_is_refused(given):
    with pytest.raises(cmeta.EncodeError, match="expected a table of pyarrow, pandas or polars"):
        Columns.from_arrow(given, SCHEMA)


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "float8_e5m2", "int4", "uint4"])
def test_numbers_of_ml_dtypes(target, name):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    column = np.array([1, 0, 2], getattr(ml_dtypes, name))
    found = []
    for given in (column, list(column), column.astype(object), [float(v) for v in column]):
        cmeta.write(target, {"phase": ["train"] * 3, "loss_value": given, "metrics.x": given})
        found.append(target.read_bytes())
    with cmeta.Recorder(target, mode="replace") as rec:
        for value in column:
            rec.log("train", loss=value, metrics={"x": value})
    assert {*found, target.read_bytes()} == {found[0]}
