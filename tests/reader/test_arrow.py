"""Arrow: the values of `read`, of exactly the types of their fields, null where absent."""

import json
import math

import numpy as np
import pyarrow as pa
from hypothesis import given

import cmeta
from cmeta.testing.oracle import identical
from cmeta.testing.runs import files
from cmeta.testing.values import to_bytes
from tests.reader.arrow_values import assert_same_table, assert_table

PHASES = ("dream", "train", "validate", "test", "predict")
TYPES = {
    "timestamp": pa.uint64(),
    "phase": pa.dictionary(pa.int8(), pa.string()),
    "metrics.entropy": pa.float32(),
    "metrics.state": pa.dictionary(pa.int8(), pa.string()),
    "tensor_signature": pa.list_(pa.float32(), 3),
    "loss_value": pa.float32(),
    "seed_state": pa.uint64(),
    "config": pa.dictionary(pa.int32(), pa.string()),
    "epoch": pa.uint32(),
    "metrics.accuracy": pa.float64(),
    "metrics.late": pa.float64(),
}


# ---------------------------------------------------------------------------------- a table


def test_everything(run, records):
    table = run.to_arrow()
    assert table.num_rows == 100
    assert {field.name: field.type for field in table.schema} == TYPES
    assert table.column_names == list(run.read())
    assert_table(table, run, records)
    table.validate(full=True)


def test_only_timestamp_and_phase_are_never_null(run):
    nullable = {field.name: field.nullable for field in run.to_arrow().schema}
    assert [name for name, may in nullable.items() if not may] == ["timestamp", "phase"]


def test_enumerations_have_all_their_names_in_order(run):
    found = run.to_arrow(["phase", "metrics.state"], phase="validate")
    assert tuple(found["phase"].chunk(0).dictionary.to_pylist()) == PHASES
    labels = run.schema["metrics.state"].labels
    assert tuple(found["metrics.state"].chunk(0).dictionary.to_pylist()) == labels
    assert found["phase"].to_pylist() == ["validate"] * 50


def test_configurations_are_their_json(run):
    found = run.to_arrow(["config"])["config"]
    assert found.to_pylist() == ['{"lr":0.1}'] * 60 + ['{"lr":0.01}'] * 40
    assert found.num_chunks == 1


def test_a_range_some_fields_and_a_phase(run, records):
    found = run.to_arrow(["metrics.late", "loss_value"], 85, 400, "train")
    chosen = [r for r in records if 85 <= r.timestamp <= 400 and r.phase == "train"]
    assert found.column_names == ["loss_value", "metrics.late"]
    assert_table(found, run, chosen)
    assert found.num_rows == len(chosen) > 0


def test_numbers_are_not_copied(run):
    read = run.read(codes=True)
    table = read.to_arrow()
    for path in ("seed_state", "loss_value", "metrics.late"):
        assert table[path].chunk(0).buffers()[1].address == read[path].ctypes.data
    vector = table["tensor_signature"].chunk(0).values
    assert vector.buffers()[1].address == read["tensor_signature"].ctypes.data


def test_an_answer_with_names_gives_the_table_of_one_with_codes(run):
    assert run.read().to_arrow().equals(run.to_arrow(), check_metadata=True)


def test_nan_is_no_null_and_extremes_stay(tmp_path):
    values = {
        "phase": ["train"] * 4,
        "timestamp": [0, 2**63, 2**64 - 2, 2**64 - 1],
        "seed_state": [2**64 - 1, None, 2**63 + 1, 0],
        "loss_value": [math.nan, None, math.inf, -math.inf],
        "metrics.\N{GREEK SMALL LETTER ETA},'\"/ x": [math.nan, 1e-300, None, -0.0],
    }
    cmeta.write(tmp_path / "run.cmeta", values)
    with cmeta.open(tmp_path / "run.cmeta") as run:
        table = run.to_arrow()
    assert table["timestamp"].to_pylist() == values["timestamp"]
    assert table["seed_state"].to_pylist() == values["seed_state"]
    for path in list(values)[3:]:
        assert all(map(identical, table[path].to_pylist(), values[path])), path
        assert table[path].null_count == 1


def test_every_kind_of_integer_and_a_long_enumeration():
    widths = [f"{kind}{bits}" for kind in "ui" for bits in (8, 16, 32, 64)]
    options = {name: {"type": name} for name in widths} | {
        "flag": {"type": "bool"},
        "flags": {"type": "bool[2]"},
    }
    schema = cmeta.default_schema().with_metrics(**options)
    schema = schema.with_phases(*(f"p{i}" for i in range(200)))
    run = cmeta.open(
        to_bytes(
            {
                "phase": ["train", "p199"],
                **{f"metrics.{name}": [int(np.iinfo(np.dtype(f"{name[0]}{int(name[1:]) // 8}")).max), None]
                   for name in widths},
                "metrics.flag": [None, True],
                "metrics.flags": [(True, False), None],
            },
            schema,
        )
    )  # fmt: skip
    table = run.to_arrow()
    names = {"u": "uint", "i": "int"}
    for name in widths:
        kind = names[name[0]] + name[1:]
        assert str(table.schema.field(f"metrics.{name}").type) == kind
        assert table[f"metrics.{name}"].to_pylist()[1] is None
    assert table["metrics.u64"].to_pylist() == [2**64 - 1, None]
    assert table["metrics.flag"].to_pylist() == [None, True]
    assert table["metrics.flags"].to_pylist() == [[True, False], None]
    assert table["phase"].to_pylist() == ["train", "p199"]
    assert table.schema.field("phase").type.index_type == pa.int16()


def test_an_empty_file_has_a_schema_and_no_rows(tmp_path):
    cmeta.write(tmp_path / "run.cmeta", {"phase": []})
    with cmeta.open(tmp_path / "run.cmeta") as run:
        table = run.to_arrow()
        assert table.schema.names == ["timestamp", "phase"]
        assert table.num_rows == 0
        stream = run.arrow_batches()
        assert stream.schema == table.schema
        assert list(stream) == []
        assert run.to_arrow(["config", "tensor_signature"]).num_rows == 0


def test_no_fields_and_fields_that_never_occur(run):
    assert run.to_arrow([]).num_columns == 0
    found = run.to_arrow(["coherence", "action_code", "step", "config"], end=9)
    assert found.num_rows == 0
    found = run.to_arrow(["coherence", "action_code", "step"], end=10)
    assert found.to_pylist() == [{"coherence": None, "action_code": None, "step": None}] * 2


# -------------------------------------------------------------------------------- metadata


def test_fields_carry_unit_documentation_and_quanta(run):
    schema = run.to_arrow().schema
    entropy = schema.field("metrics.entropy").metadata
    assert entropy == {
        b"unit": b"nat",
        b"doc": b"Entropy of the predictive distribution.",
        b"quanta_per_unit": b"1000000",
    }
    assert schema.field("timestamp").metadata[b"unit"] == b"cycle"
    assert b"quanta_per_unit" not in schema.field("seed_state").metadata
    assert schema.field("phase").metadata == {b"doc": b"Phase label."}
    assert schema.field("metrics.late").metadata is None


def test_documentation_is_not_taken_from_a_field_that_is_another():
    schema = cmeta.default_schema().with_options("loss_value", unit="bit")
    schema = schema.with_options("coherence", exact=True)
    data = to_bytes({"phase": ["train"], "loss_value": [1.0], "coherence": [1.0]}, schema)
    found = cmeta.open(data).to_arrow().schema
    assert found.field("loss_value").metadata == {b"unit": b"bit", b"quanta_per_unit": b"1000000"}
    assert found.field("coherence").metadata == {b"doc": b"Dream pool or tensor coherence."}


def test_a_field_s_own_documentation_comes_first():
    schema = cmeta.default_schema().with_options("step", doc="Steps of the optimiser.")
    there = {"step": np.array([True])}
    found = cmeta.Columns({"step": np.array([1], np.uint64)}, there, schema).to_arrow()
    assert found.schema.field("step").metadata[b"doc"] == b"Steps of the optimiser."


def test_a_table_carries_version_schema_and_configurations(run):
    metadata = run.to_arrow().schema.metadata
    assert metadata[b"cmeta.version"] == b"1.0"
    assert metadata[b"cmeta.schema"] == run.schema.embedded
    assert json.loads(metadata[b"cmeta.configs"]) == [{"lr": 0.1}, {"lr": 0.01}]
    assert b"cmeta.configs" not in run.to_arrow(["loss_value"]).schema.metadata


# ------------------------------------------------------------------------------- properties


@given(files())
def test_a_table_holds_what_the_records_hold(file):
    run = cmeta.open(file)
    table = run.to_arrow()
    table.validate(full=True)
    assert table.column_names == list(run.read())
    assert_table(table, run, list(run))
    assert_same_table(pa.Table.from_batches(run.arrow_batches(), table.schema), table)
