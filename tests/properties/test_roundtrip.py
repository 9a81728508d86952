"""Write, then read: every value comes back as its schema promises, bit by bit."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from msgspec.structs import replace

import cmeta
from cmeta.schema.language import RecordField
from cmeta.schema.load import shipped_format
from cmeta.schema.schema import Schema
from cmeta.testing.values import to_bytes, to_records
from tests.properties.runs import assert_same, flat, from_arrays, from_records, more, promised, runs


@more(4)
@given(runs())
def test_reading_gives_what_the_schema_promises(run):
    reader = cmeta.open(to_bytes(run.columns, run.schema))
    wanted = promised(run)
    assert reader.schema == run.schema
    assert len(reader) == len(wanted["phase"])
    assert_same(from_arrays(reader.read()), wanted)


@given(runs(min_records=1))
def test_iterating_gives_what_the_schema_promises(run):
    reader = cmeta.open(to_bytes(run.columns, run.schema))
    assert_same(from_records(reader, run.schema), promised(run))


@given(runs(min_records=1))
def test_records_are_stored_as_columns_are(run):
    records = to_records(run.columns, run.schema)
    reader = cmeta.open(to_bytes([records], run.schema))
    assert_same(from_arrays(reader.read()), promised(run))


@given(runs())
def test_every_file_that_is_written_is_valid(run):
    report = cmeta.validate(to_bytes(run.columns, run.schema))
    assert report.ok, str(report)


@given(runs())
def test_what_is_written_to_disk_are_these_bytes(tmp_path_factory, run):
    path = tmp_path_factory.mktemp("run") / "run.cmeta"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cmeta.PrecisionWarning)
        written = cmeta.write(path, run.columns, run.schema)
    assert path.read_bytes() == to_bytes(run.columns, run.schema)
    with cmeta.open(path) as reader:
        assert written == len(reader)
    assert [p.name for p in path.parent.iterdir()] == ["run.cmeta"]


@pytest.mark.parametrize("last", [2**64 - 1, 2**64 - 2])
def test_a_timestamp_beyond_64_bits_is_not_assigned(tmp_path, last):
    before = {"phase": ["train"], "timestamp": np.array([last], np.uint64)}
    with pytest.raises(cmeta.EncodeError):
        cmeta.write(tmp_path / "run.cmeta", [before, {"phase": ["train", "train"]}])


@pytest.mark.parametrize(
    "number", [2.0**53, -(2.0**53), 1e16, 1.2345e20, 2**53, 2**63, 2**64, -(2**70), 1e21, -0.0]
)
def test_a_configuration_of_any_number_is_read_again(tmp_path, number):
    path = tmp_path / "run.cmeta"
    cmeta.write(path, {"phase": ["train"]}, config={"number": number})
    wanted = f"{number:#X}".replace("X", "x") if isinstance(number, int) else number
    with cmeta.open(path) as reader:
        assert reader.configs == ({"number": wanted},)
    assert cmeta.validate(path).ok


@pytest.mark.parametrize(
    "config", [{"\ud800": 1}, {"a": "\ud800"}, {1: 1, "1": 2}, {"a": b"1"}, {"a": object()}]
)
def test_a_configuration_that_is_not_json_is_an_encode_error(tmp_path, config):
    with pytest.raises(cmeta.EncodeError):
        cmeta.write(tmp_path / "run.cmeta", {"phase": ["train"]}, config=config)
    assert not list(tmp_path.iterdir())


def test_values_of_any_magnitude_are_written_without_a_numpy_warning():
    schema = cmeta.default_schema().with_metrics(wide={"type": "f64"})
    with np.errstate(over="ignore"):
        values = np.array([0.0, 1e308, -1e308, 5e-324, np.inf, np.nan])
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        data = to_bytes({"phase": ["train"] * 6, "metrics.wide": values}, schema)
        assert cmeta.validate(data).ok
        read = cmeta.open(data).read(["metrics.wide"])["metrics.wide"]
    np.testing.assert_array_equal(read, [0.0, 1e308, -1e308, 0.0, np.inf, np.nan])


def test_a_label_that_ends_in_nul_is_refused_or_kept():
    """numpy's strings end before trailing NULs, so two such labels would be one in an array."""
    try:
        schema = cmeta.default_schema().with_phases("test", "test\0")
    except cmeta.SchemaError:
        return
    data = to_bytes({"phase": ["test", "test\0"]}, schema)
    assert cmeta.open(data).read()["phase"].tolist() == ["test", "test\0"]
    assert [record.phase for record in cmeta.open(data)] == ["test", "test\0"]


def test_a_field_may_have_the_name_of_an_attribute_of_a_record():
    document = cmeta.default_schema().document
    fields = (*document.record.fields[:2], RecordField(name="metrics", type="f32"),
              RecordField(name="extra", type="u8"), RecordField(name="as_dict", type="u8"))  # fmt: skip
    schema = Schema(
        replace(document, record=replace(document.record, fields=fields, groups=())),
        shipped_format(),
    )
    columns = {"phase": ["train"], "metrics": [0.5], "extra": [1], "as_dict": [2]}
    reader = cmeta.open(to_bytes(columns, schema))
    (record,) = reader
    assert flat(record, schema) == {
        "timestamp": 0, "phase": "train", "metrics": 0.5, "extra": 1, "as_dict": 2,
    }  # fmt: skip
    assert to_bytes([[record]], schema) == to_bytes(columns, schema)
