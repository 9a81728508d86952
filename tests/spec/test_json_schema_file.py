"""The JSON Schema beside the schema file: legal files pass, slips are found in an editor."""

import json

import pytest
import tomli
from jsonschema import Draft202012Validator, ValidationError

from cmeta.schema.schema import default_schema
from tools.specgen.facts import load_facts
from tools.specgen.json_schema import json_schema
from tools.specgen.samples import SAMPLES


@pytest.fixture(scope="module")
def shipped(root):
    return tomli.loads((root / "schema" / "cmeta_schema.toml").read_text("utf-8"))


@pytest.fixture(scope="module")
def validator(root):
    schema = json.loads((root / "schema" / "cmeta_schema.schema.json").read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def test_the_file_is_in_step(validator):
    assert validator.schema == json.loads(json.dumps(json_schema(load_facts())))


def test_the_shipped_schema_is_valid(validator, shipped):
    validator.validate(shipped)


def test_a_schema_of_ones_own_is_valid(validator, shipped):
    validator.validate({key: shipped[key] for key in ("enumerations", "record")})
    for sample in SAMPLES:
        validator.validate(tomli.loads(sample.toml))


def test_the_shipped_schema_names_it(root):
    first = (root / "schema" / "cmeta_schema.toml").read_text("utf-8").splitlines()[0]
    assert first == "#:schema ./cmeta_schema.schema.json"


FIELD = {"name": "x", "type": "f32"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("batch_records", 15),
        ("batch_records", 65537),
        ("batch_records", "many"),
        ("fields", []),
        ("field", {"name": "x"}),
        ("field", FIELD | {"type": "f16"}),
        ("field", FIELD | {"type": "enum[3]"}),
        ("field", FIELD | {"name": ""}),
        ("field", FIELD | {"name": "x" * 256}),
        ("field", FIELD | {"quanta_per_unit": 0}),
        ("field", FIELD | {"quanta_per_unit": 10**12 + 1}),
        ("field", FIELD | {"codec": ["class", "zstd"]}),
        ("field", FIELD | {"exact": 1}),
        ("field", FIELD | {"color": "red"}),
        ("groups", [{"name": "metrics", "open": "yes"}]),
    ],
)
def test_slips_are_found(validator, shipped, key, value):
    record = dict(shipped["record"])
    if key == "field":
        record["fields"] = [*record["fields"], value]
    else:
        record[key] = value
    with pytest.raises(ValidationError):
        validator.validate({"enumerations": shipped["enumerations"], "record": record})


@pytest.mark.parametrize("values", [[], ["x"] * 257, ["x", 3], [{"doc": "no name"}]])
def test_slips_in_enumerations_are_found(validator, shipped, values):
    enumerations = shipped["enumerations"] | {"more": {"values": values}}
    with pytest.raises(ValidationError):
        validator.validate({"enumerations": enumerations, "record": shipped["record"]})


def test_examples_are_legal(validator, shipped):
    """What an editor offers is a legal record again."""
    definitions = validator.schema["$defs"]
    record = {"batch_records": definitions["Record"]["properties"]["batch_records"]["examples"][0]}
    record["fields"] = definitions["RecordField"]["examples"]
    record["groups"] = shipped["record"]["groups"]
    validator.validate({"enumerations": shipped["enumerations"], "record": record})
    assert record["fields"] == json.loads(default_schema().embedded)["record"]["fields"]
