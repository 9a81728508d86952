"""The public class: what a schema says, and when two are equal."""

from pathlib import Path

import pytest

from cmeta import Schema, default_schema

SHIPPED = Path(__file__).parents[2] / "schema" / "cmeta_schema.toml"


def test_the_default_is_the_shipped_file():
    assert default_schema() is default_schema()
    assert default_schema() == Schema.load(SHIPPED)
    assert repr(default_schema()) == "<Schema of 20 fields, 4096 records a batch>"


def test_the_default_record_is_the_original_one():
    schema = default_schema()
    assert [(f.path, f.type_name) for f in schema.fields] == [
        ("timestamp", "u64"),
        ("phase", "enum"),
        ("metrics.entropy", "f32"),
        ("metrics.grad_energy", "f32"),
        ("metrics.val_accuracy", "f32"),
        ("metrics.loss_slope", "f32"),
        ("metrics.entropy_drift", "f32"),
        ("metrics.coherence_decay", "f32"),
        ("metrics.oscillation_index", "f32"),
        ("metrics.risk_score", "f32"),
        ("metrics.state", "enum"),
        ("tensor_signature", "f32[3]"),
        ("loss_value", "f32"),
        ("coherence", "f32"),
        ("action_code", "enum"),
        ("seed_state", "u64"),
        ("config", "config"),
        ("state_digest", "u64"),
        ("step", "u64"),
        ("epoch", "u32"),
    ]
    assert schema.num_columns == sum(f.num_columns for f in schema.fields)


def test_its_enumerations_begin_with_the_original_ones():
    assert dict(default_schema().enumerations) == {
        "phase": ("dream", "train", "validate", "test", "predict"),
        "diagnostic_state": ("stable", "oscillating", "degrading", "diverging"),
        "temporal_action": (
            "adjust_lr",
            "damp_learning_rate",
            "expand_dream_pool",
            "contract_dream_pool",
            "reset_phase_weights",
        ),
    }
    assert default_schema().phases == ("dream", "train", "validate", "test", "predict")


def test_what_a_schema_says(load):
    schema = load()
    assert schema.batch_records == 64
    assert schema.groups == ("metrics", "host")
    assert schema.open_group == "metrics"
    assert schema.enumerations["mood"] == ("calm", "tense")
    assert schema.config_field is schema["settings"]
    assert schema.num_columns == 9
    assert "metrics.loss" in schema
    assert "loss" not in schema
    assert schema.document.record.fields[2].unit == "nat"
    assert schema.format.version == 0x0100


def test_a_schema_without_groups_and_config(load):
    schema = load(
        ('[[record.groups]]\nname = "metrics"\nopen = true\n', ""),
        ('[[record.groups]]\nname = "host"\n', ""),
        ('name = "loss"\ngroup = "metrics"', 'name = "loss"'),
        ('name = "load"\ngroup = "host"', 'name = "load"'),
        ('type = "config"', 'type = "bool"'),
    )
    assert schema.groups == ()
    assert schema.open_group is None
    assert schema.config_field is None


def test_fields_are_resolved(load):
    schema = load()
    assert schema["timestamp"].chain == ("split", "delta", "rice")
    assert schema["phase"].labels == ("dream", "train")
    loss = schema["metrics.loss"]
    assert (loss.name, loss.group, loss.path, loss.unit) == (
        "loss",
        "metrics",
        "metrics.loss",
        "nat",
    )
    assert loss.chain == ("class", "quantise", "palette", "split", "delta", "rice")
    assert loss.quanta_per_unit == 1_000_000
    assert loss.is_float
    assert not loss.exact
    position = schema["position"]
    assert (position.type, position.num_components, position.num_columns) == ("f64", 3, 3)
    assert position.type_name == "f64[3]"
    assert position.quanta_per_unit == 1000
    assert schema["host.load"].chain == ("class", "palette", "split", "delta", "rice")
    assert [f.nullable for f in schema.fields] == [False, False, True, True, True, True, True]


@pytest.mark.parametrize(
    ("type_", "dtype"),
    [
        ("u8", "|u1"), ("u16", "<u2"), ("u32", "<u4"), ("u64", "<u8"),
        ("i8", "|i1"), ("i16", "<i2"), ("i32", "<i4"), ("i64", "<i8"),
        ("f32", "<f4"), ("f64", "<f8"), ("bool", "|b1"),
    ],
)  # fmt: skip
def test_types_have_little_endian_dtypes(type_, dtype):
    field = default_schema().with_metrics(x={"type": type_})["metrics.x"]
    assert field.dtype.str == dtype
    assert field.num_components == 0


def test_equal_schemas_have_equal_bytes_and_hashes(load):
    assert load() == load()
    assert hash(load()) == hash(load())
    assert load() != load(("batch_records = 64", "batch_records = 65"))
    assert load() != load().embedded
    assert len({load(), load(), default_schema()}) == 2


@pytest.mark.parametrize(
    "change",
    [
        ('doc = "How it feels."', 'doc = "Otherwise."'),
        ('{ name = "calm", doc = "No news." }', '"calm"'),
        ('name = "host"', 'name = "host"\ndoc = "The machine."'),
        ('name = "load"', 'doc = "Its load."\nname = "load"'),
        ('unit = "nat"', 'unit = "nat"\nquanta_per_unit = 1000000'),
        ('unit = "nat"', 'unit = "nat"\nexact = false'),
        ('name = "mood"\ntype', 'codec = ["class", "palette", "split", "delta", "rice"]\n'
         'name = "mood"\ntype'),
        ('name = "host"', 'name = "host"\nopen = false'),
    ],
)  # fmt: skip
def test_documentation_and_defaults_do_not_count(load, change):
    assert load(change) == load()
    assert load(change).embedded == load().embedded


@pytest.mark.parametrize(
    "change",
    [
        ('values = ["dream", "train"]', 'values = ["train", "dream"]'),
        ("open = true", "open = false"),
        ('name = "load"', 'name = "loads"'),
        ('unit = "nat"', 'unit = "bit"'),
        ('unit = "nat"', 'unit = "nat"\nexact = true'),
        ("quanta_per_unit = 1000", "quanta_per_unit = 1001"),
        ('codec = ["split", "delta", "rice"]', "codec = ['delta', 'rice']"),
    ],
)
def test_whatever_reaches_the_bytes_counts(load, change):
    assert load(change) != load()


def test_a_schema_is_frozen():
    with pytest.raises(AttributeError):
        default_schema().batch_records = 3
