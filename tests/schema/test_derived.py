"""Schemas derived from another: further metrics, phases, options, another size of a batch."""

import numpy as np
import pytest

from cmeta import SchemaError, default_schema


def test_with_metrics_declares_float32_in_the_open_group():
    schema = default_schema().with_metrics("accuracy", "train/loss")
    assert [f.path for f in schema.fields[-2:]] == ["metrics.accuracy", "metrics.train/loss"]
    assert schema["metrics.accuracy"].type_name == "f32"
    assert schema["metrics.accuracy"].quanta_per_unit == 1_000_000
    assert "metrics.accuracy" not in default_schema()


@pytest.mark.parametrize(
    ("options", "type_name", "quanta"),
    [
        ({"exact": True}, "f64", 0),
        ({"exact": True, "type": "f32"}, "f32", 0),
        ({"exact": False}, "f32", 1_000_000),
        ({"quanta_per_unit": 10}, "f32", 10),
        ({"type": "f64", "quanta_per_unit": 10**12}, "f64", 10**12),
        ({"type": "u16[2]", "unit": "bytes", "doc": "Queue lengths."}, "u16[2]", 0),
    ],
)
def test_with_metrics_takes_options(options, type_name, quanta):
    field = default_schema().with_metrics(lr=options)["metrics.lr"]
    assert (field.type_name, field.quanta_per_unit) == (type_name, quanta)
    assert field.unit == options.get("unit", "")


@pytest.mark.parametrize(
    ("names", "options", "words"),
    [
        (["entropy"], {}, ["metrics.entropy", "twice"]),
        ([""], {}, ["length >= 1"]),
        (["ä" * 128], {}, ["256 bytes", "1 to 255"]),
        (["\ud800"], {}, ["UTF-8"]),
        ([], {"lr": {"type": "f16"}}, ["lr", "'f16'", "f32"]),
        ([], {"lr": {"colour": 1}}, ["lr", "colour", "quanta_per_unit"]),
        ([], {"lr": {"quanta_per_unit": 10**9}}, ["quanta_per_unit", "1 to 10000000"]),
        ([], {"lr": {"codec": ["rice"]}}, ["codec", "['rice']", "'quantise'"]),
        ([], {"lr": {"type": "config"}}, ["config"]),
        ([], {"lr": 5}, ["lr"]),
        ([7], {}, ["7"]),
    ],
)
def test_with_metrics_refuses(names, options, words):
    with pytest.raises(SchemaError) as caught:
        default_schema().with_metrics(*names, **options)
    for word in words:
        assert word in str(caught.value)


def test_with_metrics_needs_an_open_group(load):
    schema = load(("open = true", "open = false"))
    with pytest.raises(SchemaError, match=r"record\.groups: found no open group"):
        schema.with_metrics("accuracy")


def test_with_phases_only_appends():
    phases = default_schema().phases
    schema = default_schema().with_phases("tune", "deploy")
    assert schema.phases == (*phases, "tune", "deploy")
    assert schema["phase"].labels == schema.phases
    assert default_schema().phases == phases


def test_with_phases_leaves_those_that_are_there():
    assert default_schema().with_phases("test", "train") == default_schema()
    assert default_schema().with_phases("test", "tune") == default_schema().with_phases("tune")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["tune", "tune"], ["enumerations.phase.values[6]", "found 'tune' twice"]),
        ([""], ["enumerations.phase.values[5]", "found ''", "length >= 1"]),
        (["\ud800"], ["enumerations.phase.values[5]", "UTF-8"]),
        ([f"p{i}" for i in range(252)], ["found 257 values", "1 to 256"]),
        ([3], ["3"]),
    ],
)
def test_with_phases_refuses(names, words):
    with pytest.raises(SchemaError) as caught:
        default_schema().with_phases(*names)
    for word in words:
        assert word in str(caught.value)


def test_with_batch_records():
    schema = default_schema().with_batch_records(16)
    assert schema.batch_records == 16
    assert default_schema().batch_records == 4096
    assert schema.fields == default_schema().fields


def test_with_batch_records_takes_integers_of_numpy():
    schema = default_schema().with_batch_records(np.int64(100))
    assert schema == default_schema().with_batch_records(100)


@pytest.mark.parametrize(
    ("batch_records", "words"),
    [
        (15, ["record.batch_records", "found 15", "16 to 65536"]),
        (65537, ["record.batch_records", "found 65537", "16 to 65536"]),
        (100.5, ["record.batch_records", "100.5"]),
        ("100", ["record.batch_records", "'100'"]),
    ],
)
def test_with_batch_records_refuses(batch_records, words):
    with pytest.raises(SchemaError) as caught:
        default_schema().with_batch_records(batch_records)
    for word in words:
        assert word in str(caught.value)


def test_with_options_changes_a_field():
    schema = default_schema().with_options("loss_value", exact=True)
    assert schema["loss_value"].exact
    assert [f.path for f in schema.fields] == [f.path for f in default_schema().fields]
    finer = schema.with_options("loss_value", exact=False, type="f64", quanta_per_unit=10**9)
    assert (finer["loss_value"].type_name, finer["loss_value"].quanta_per_unit) == ("f64", 10**9)


@pytest.mark.parametrize(
    ("path", "options", "words"),
    [
        ("loss", {"exact": True}, ["loss", "expected one of: timestamp, phase"]),
        ("loss_value", {"type": "f16"}, ["loss_value", "'f16'"]),
        ("loss_value", {"colour": 1}, ["loss_value", "colour"]),
        ("epoch", {"exact": True}, ["record.fields[19].exact", "expected a float field"]),
    ],
)
def test_with_options_refuses(path, options, words):
    with pytest.raises(SchemaError) as caught:
        default_schema().with_options(path, **options)
    for word in words:
        assert word in str(caught.value)
