"""A constant replaced in the schema changes grammar, codecs, tables and JSON Schema: no Python."""

import re

import numpy as np
import pytest

import cmeta
from cmeta.format.encoder import Encoder
from cmeta.format.grammar import Grammar
from cmeta.format.index import map_file
from cmeta.format.stages import delta
from cmeta.records.convert import Converter
from cmeta.schema.load import shipped_format
from cmeta.schema.schema import Schema
from cmeta.source import BytesSource
from tools.specgen.__main__ import main
from tools.specgen.facts import load_facts
from tools.specgen.json_schema import json_schema
from tools.specgen.sections import sections

LOSS = 'name = "loss_value"\ntype = "f32"'
OWN = """
[[record.fields]]
name = "temperature"
group = "metrics"
type = "f64"
quanta_per_unit = 100
unit = "degC"
doc = "Of the machine."

[[record.fields]]
name = "weather"
type = "enum"
enumeration = "weather"
doc = "Outside."
"""
WEATHER = """
[enumerations.weather]
values = ["sun", { name = "rain", doc = "Take a coat." }]
"""


def replaced(text, *changes):
    """Return a schema file with some lines changed, each of which must be there once."""
    for before, after in changes:
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    return text


@pytest.fixture
def shipped(root):
    return (root / "schema" / "cmeta_schema.toml").read_text("utf-8")


@pytest.fixture
def own(shipped, tmp_path):
    """Return a schema file with another step of loss_value, two more fields, an enumeration."""
    text = replaced(
        shipped,
        (LOSS, f"{LOSS}\nquanta_per_unit = 8"),
        ("batch_records = 4096", "batch_records = 64"),
        ("\n[record]\n", f"{WEATHER}\n[record]\n"),
    )
    path = tmp_path / "own.toml"
    path.write_text(text + OWN, "utf-8")
    return path


def test_a_record_of_ones_own_is_written_and_read(own, tmp_path):
    path = tmp_path / "run.cmeta"
    loss = np.linspace(-1, 1, 200, dtype=np.float32)
    columns = {
        "phase": ["train"] * 200,
        "loss_value": loss,
        "metrics.temperature": 20 + np.arange(200) / 3,
        "weather": ["sun", "rain"] * 100,
    }
    with pytest.warns(cmeta.PrecisionWarning, match="loss_value"):
        cmeta.write(path, columns, schema=Schema.load(own))
    assert cmeta.validate(path).ok
    with cmeta.open(path) as run:
        assert [batch.num_records for batch in run.batches] == [64, 64, 64, 8]
        found = run.read()
    np.testing.assert_array_equal(found["loss_value"], np.rint(loss * 8) / 8)
    np.testing.assert_array_equal(
        found["metrics.temperature"], np.rint((20 + np.arange(200) / 3) * 100) / 100
    )
    assert found["weather"].tolist() == columns["weather"]


def test_the_step_of_a_field_changes_its_column(own):
    fields = [schema["loss_value"] for schema in (cmeta.default_schema(), Schema.load(own))]
    assert [field.quanta_per_unit for field in fields] == [1000000, 8]
    files = []
    for schema in (cmeta.default_schema().with_batch_records(64), Schema.load(own)):
        encoder = Encoder(schema)
        columns = {"phase": ["train"] * 3, "loss_value": [0.5, 0.25, 0.75]}
        chunk = Converter(schema).convert(columns, None, 0)
        encoder.begin()
        encoder.feed(chunk)
        files.append(encoder.finish())
    assert len(set(files)) == 2


def test_the_tables_follow(own, written):
    facts = load_facts(own)
    found = {name: section(facts) for name, section in sections(facts).items()}
    changed = {name for name in found if found[name] != written[name]}
    assert changed == {"default-record", "enumerations", "sizes"}
    record, enumerations = found["default-record"], found["enumerations"]
    assert "A batch holds 64 records." in record
    assert re.search(r"`loss_value` \| `f32` \| 8 \|", record)
    assert "`metrics.temperature` | `f64` | 100 |  | degC | Of the machine. |" in record
    assert "`weather` | `enum weather` |" in record
    assert "| `weather` | 1 | `rain` | Take a coat. |" in enumerations


def test_the_json_schema_follows(own):
    before, after = (json_schema(facts)["$defs"] for facts in (load_facts(), load_facts(own)))
    assert before != after
    field = after["RecordField"]
    assert "weather" in field["properties"]["enumeration"]["examples"]
    assert {"name": "loss_value", "type": "f32", "quanta_per_unit": 8} in field["examples"]
    assert {"values": ["sun", "rain"]} in after["Enumeration"]["examples"]
    assert after["Record"]["properties"]["batch_records"]["examples"] == [64]


FORMAT_CHANGES = [
    ("magic = 0x0C0DA55E", "magic = 0x0C0DA55F", {"header"}),
    ("minor = 0\n", "minor = 3\n", set()),
    ("rotate = 17", "rotate = 18", {"checksum"}),
    ("kind = 5\ncritical = true", "kind = 9\ncritical = true", {"block-kinds"}),
    ("block_residuals = 128", "block_residuals = 64", {"codec-constants"}),
    ("values_per_entry = 4", "values_per_entry = 40", {"codec-constants"}),
    ("nan = 1\n", "nan = 5\n", {"classes"}),
    ("mode_float32 = 16", "mode_float32 = 30", {"modes"}),
    ("widths = [0, 1, 2, 4, 8]", "widths = [0, 1, 3, 5, 8]", {"widths"}),
    ('name = "palette", bits = 1', 'name = "palette", bits = 2', {"column-flags"}),
    ('{ name = "num_blocks", type = "u32"', '{ name = "num_blocks", type = "u64"', {"block-INDEX"}),
    ("json_depth_max = 32", "json_depth_max = 16", {"limits"}),
    ("quanta_per_unit = 1000000  #", "quanta_per_unit = 500000 #", {"codec-constants"}),
]


@pytest.mark.parametrize(("before", "after", "tables"), FORMAT_CHANGES)
def test_a_constant_of_the_format_changes_its_table_and_the_bytes(
    before, after, tables, shipped, tmp_path, written
):
    path = tmp_path / "cmeta_schema.toml"
    path.write_text(replaced(shipped, (before, after)), "utf-8")
    facts = load_facts(path)
    found = {name: section(facts) for name, section in sections(facts).items()}
    assert tables <= {name for name in found if found[name] != written[name]}
    data = file_of(facts.schema)
    assert (data != file_of(load_facts().schema)) == ("json_depth_max" not in before)
    assert map_file(BytesSource(data), Grammar(facts.format)).problem is None


def file_of(schema):
    """Return a file that has something of everything: classes, a palette, a lossless float."""
    encoder = Encoder(schema)
    rare = [5, 1003, 0, 7, 7, 0, 1003, 5, 0, 0, 5, 1003, 7, 7] * 10
    columns = {
        "phase": ["dream"] * 140,
        "epoch": rare,
        "loss_value": [float("nan"), 0.3] * 70,
        "metrics.third": [i / 3 for i in range(140)],
        "metrics.half": np.arange(140, dtype=np.float32) / np.float32(3),
        "state_digest": [i * i * 2**20 for i in range(140)],
    }
    chunk = Converter(schema).convert(columns, None, 0)
    start = encoder.begin()
    data = start + encoder.feed(chunk) + encoder.finish()
    header = encoder.header(encoder.num_records)
    return header + data[len(header) :]


def test_the_command_follows_a_replaced_constant(shipped, root, tmp_path):
    (tmp_path / "schema").mkdir()
    (tmp_path / "SPEC.md").write_text((root / "SPEC.md").read_text("utf-8"), "utf-8")
    text = replaced(shipped, ("batch_records_max = 65536", "batch_records_max = 32768"))
    (tmp_path / "schema" / "cmeta_schema.toml").write_text(text, "utf-8")
    assert main(["--check"], tmp_path) == 1
    assert main([], tmp_path) == 0
    assert main(["--check"], tmp_path) == 0
    assert "| `batch_records_max` | 32,768 |" in (tmp_path / "SPEC.md").read_text("utf-8")
    schema = (tmp_path / "schema" / "cmeta_schema.schema.json").read_text("utf-8")
    assert '"maximum": 32768' in schema


def test_the_delta_stage_has_the_forms_of_the_schema():
    forms = shipped_format().codecs.delta.forms
    assert tuple(form.heads for form in forms) == delta.NUM_HEADS
    assert tuple(form.step for form in forms) == delta.HAS_STEP
