"""Arrow data as columns: what `to_arrow` gave comes back, and what others make of it is taken."""

import json

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given

import cmeta
from cmeta import Columns, EncodeError
from cmeta.testing.runs import files
from cmeta.testing.values import to_bytes

DEFAULT = cmeta.default_schema()


def rewritten(columns):
    """Return the bytes of a file of columns."""
    return to_bytes(columns, columns.schema)


# ------------------------------------------------------------------------------- there and back


def test_a_table_comes_back_as_what_was_read(run, assert_same):
    for question in ({}, {"start": 85, "end": 400, "phase": "train"}, {"end": 5}):
        found, read = Columns.from_arrow(run.to_arrow(**question)), run.read(**question)
        assert_same(found, read)
        assert found.schema == read.schema
        assert found.configs == (read.configs if "config" in read else ())
    assert_same(Columns.from_arrow(run.to_arrow(), codes=True), run.read(codes=True))


def test_a_batch_is_taken_as_a_table_is(run):
    parts = [Columns.from_arrow(batch) for batch in run.arrow_batches(["seed_state", "phase"])]
    read = run.read(["seed_state", "phase"])
    for path in read:
        assert np.concatenate([part[path] for part in parts]).tolist() == read[path].tolist()


def test_a_table_of_many_chunks(run, data):
    assert rewritten(Columns.from_arrow(pa.Table.from_batches(run.arrow_batches()))) == data


def test_fields_that_are_absent_throughout(run):
    paths = ["coherence", "action_code", "step", "tensor_signature", "config"]
    table = run.to_arrow(paths, end=10).slice(0, 1)  # of the first record, which has none of these
    found = Columns.from_arrow(table.drop(["config"]))
    assert not any(found.present[path].any() for path in found)
    assert found["action_code"].tolist() == [""]
    assert np.isnan(found["tensor_signature"]).all()


@given(files())
def test_a_file_comes_back_byte_by_byte(file):
    run = cmeta.open(file)
    assert rewritten(Columns.from_arrow(run.to_arrow(), codes=True)) == file
    streamed = pa.Table.from_batches(run.arrow_batches(), run.to_arrow().schema)
    assert rewritten(Columns.from_arrow(streamed, codes=True)) == file


def with_lists(table):
    """Return a table without fixed-size lists, whose nulls pyarrow does not write before 25."""
    columns = [
        pa.array(column.to_pylist(), pa.list_(column.type.value_field))
        if pa.types.is_fixed_size_list(column.type) else column
        for column in table.columns
    ]  # fmt: skip
    fields = [
        pa.field(f.name, c.type, f.nullable, f.metadata)
        for f, c in zip(table.schema, columns, strict=True)
    ]
    return pa.Table.from_arrays(columns, schema=pa.schema(fields, table.schema.metadata))


@given(files())
def test_parquet_keeps_a_file_byte_by_byte(file):
    sink = pa.BufferOutputStream()
    pq.write_table(with_lists(cmeta.open(file).to_arrow()), sink, row_group_size=7)
    table = pq.read_table(pa.BufferReader(sink.getvalue()))
    assert rewritten(Columns.from_arrow(table, codes=True)) == file


def test_parquet_written_batch_by_batch(run, data, tmp_path):
    stream = run.arrow_batches()
    with pq.ParquetWriter(
        tmp_path / "run.parquet", with_lists(stream.schema.empty_table()).schema
    ) as writer:
        for batch in stream:
            writer.write_table(with_lists(pa.Table.from_batches([batch])))
    assert rewritten(Columns.from_arrow(pq.read_table(tmp_path / "run.parquet"))) == data


# --------------------------------------------------------------------- what others make of it


def through_duckdb(run):
    records = run.to_arrow()
    assert records.num_rows
    return duckdb.sql("select * from records").to_arrow_table()


def column_as(path, kind):
    def change(run):
        table = run.to_arrow()
        place = table.column_names.index(path)
        return table.set_column(place, path, table[path].cast(kind))

    return change


def in_another_order(run):
    table = run.to_arrow()
    parts = pa.concat_tables([table.slice(0, 33), table.slice(33)])
    return parts.select(sorted(table.column_names))


OTHERS = {
    "polars": lambda run: run.to_polars().to_arrow(),
    "pandas": lambda run: pa.Table.from_pandas(run.to_pandas(), preserve_index=False),
    "duckdb": through_duckdb,
    "names as strings": column_as("phase", pa.large_string()),
    "json as strings": column_as("config", pa.string()),
    "vectors as lists": column_as("tensor_signature", pa.list_(pa.float32())),
    "wider integers": column_as("epoch", pa.int64()),
    "wider floats": column_as("loss_value", pa.float64()),
    "another order": in_another_order,
}


@pytest.mark.parametrize("make", OTHERS.values(), ids=OTHERS)
def test_other_libraries_keep_a_file_byte_by_byte(run, data, make):
    assert rewritten(Columns.from_arrow(make(run), run.schema)) == data


def test_a_frame_that_cmeta_never_saw():
    frame = pd.DataFrame({"phase": ["train", "validate"], "metrics.lr": [0.5, np.nan], "step": [1, 2]})  # fmt: skip
    found = Columns.from_arrow(pa.Table.from_pandas(frame), DEFAULT)
    run = cmeta.open(rewritten(found))
    assert run.read()["step"].tolist() == [1, 2]
    assert [record.metrics.get("lr") for record in run] == [0.5, None]


def test_configurations_as_json_of_any_spelling():
    texts = [json.dumps({"lr": 0.1, "a": 1e20}), None, '{"a": 100000000000000000000, "lr": 0.1}']
    table = pa.table({"phase": ["train"] * 3, "config": texts})
    found = list(cmeta.open(rewritten(Columns.from_arrow(table, DEFAULT))))
    assert [record.config and record.config["lr"] for record in found] == [0.1, None, 0.1]
    exact = pa.table({"phase": ["train"], "config": ['{"a":100000000000000000000}']})
    kept = next(iter(cmeta.open(rewritten(Columns.from_arrow(exact, DEFAULT)))))
    assert kept.config == {"a": 1e20}


# ------------------------------------------------------------------------------- what is refused

BROKEN = {
    "a name that no phase has": (
        {"phase": ["train", "nope"]},
        "phase: found 'nope', expected one of: dream, train, validate",
    ),
    "text for a number": ({"loss_value": ["0.5"]}, "loss_value: found a column of string, expected f32"),
    "a time": (
        {"timestamp": pa.array([0], pa.timestamp("us"))},
        r"timestamp: found a column of timestamp\[us\], expected u64",
    ),
    "a vector that is null in part": (
        {"tensor_signature": pa.array([[1, 2, 3], [1, None, 3]], pa.list_(pa.float32(), 3))},
        "tensor_signature: a null within the vector of record 1",
    ),
    "a vector of another size": (
        {"tensor_signature": pa.array([[1.0, 2.0]])},
        "tensor_signature: .*expected f32.3.",
    ),
    "lists where a number stands": ({"step": pa.array([[1], [2, 3]])}, "step: .*expected u64"),
    "a configuration that is no JSON": ({"config": ["{lr: 1}"]}, r"config\[0\]: found '\{lr: 1\}', expected JSON"),
    "a configuration that is no object": ({"config": ["[1]"]}, r"config\[0\]: found '\[1\]', expected a JSON object"),
    "a configuration that is too deep": ({"config": ["[" * 500 + "]" * 500]}, r"config\[0\]: .*nested beyond"),
}  # fmt: skip


@pytest.mark.parametrize(("columns", "message"), BROKEN.values(), ids=BROKEN)
def test_what_cannot_be_a_column_is_named(columns, message):
    with pytest.raises(EncodeError, match=message):
        Columns.from_arrow(pa.table(columns), DEFAULT)


def test_what_a_null_holds_does_not_matter():
    items = pa.array([1.0, None, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], pa.float32())
    vectors = pa.FixedSizeListArray.from_arrays(items, 3, mask=pa.array([True, False, True]))
    found = Columns.from_arrow(pa.table({"tensor_signature": vectors}), DEFAULT)
    assert found.present["tensor_signature"].tolist() == [False, True, False]
    assert np.isnan(found["tensor_signature"][[0, 2]]).all()
    assert found["tensor_signature"][1].tolist() == [3.0, 4.0, 5.0]

    names = pa.DictionaryArray.from_arrays(pa.array([None, 1], pa.int8()), ["nope", "train"])
    found = Columns.from_arrow(pa.table({"phase": names}), DEFAULT)
    assert found["phase"].tolist() == ["", "train"]


def test_a_slice_is_read_from_where_it_begins(run):
    batch = next(run.arrow_batches())
    found, read = Columns.from_arrow(batch.slice(6, 9)), run.read()
    for path in found:
        if path in read and path != "config":
            np.testing.assert_array_equal(found[path], read[path][6:15])


def test_a_table_without_a_schema_and_with_a_broken_one():
    table = pa.table({"phase": ["train"]})
    with pytest.raises(EncodeError, match=r"found no cmeta.schema .*from_arrow\(table, schema\)"):
        Columns.from_arrow(table)
    broken = table.replace_schema_metadata({"cmeta.schema": "{}"})
    with pytest.raises(EncodeError, match=r"cmeta.schema in the table's metadata: "):
        Columns.from_arrow(broken)


def test_two_columns_of_one_name():
    table = pa.Table.from_arrays([pa.array(["train"])] * 2, ["phase", "phase"])
    with pytest.raises(EncodeError, match="found two columns 'phase'"):
        Columns.from_arrow(table, DEFAULT)


def test_a_column_that_the_schema_does_not_know_is_a_metric_or_refused_when_written():
    table = pa.table({"phase": ["train"], "weight": [1.0]})
    with cmeta.open(rewritten(Columns.from_arrow(table, DEFAULT))) as run:
        assert run.read()["metrics.weight"].tolist() == [1.0]
    found = Columns.from_arrow(table.rename_columns(["phase", "other.weight"]), DEFAULT)
    with pytest.raises(EncodeError, match=r"field 'other\.weight' is not in the schema"):
        rewritten(found)
