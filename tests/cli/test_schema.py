"""`cmeta schema check|show|json`."""

import json

import jsonschema
import pytest
import tomli

import cmeta
from cmeta.schema.load import shipped_path


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "own.toml"
    text = shipped_path().read_text("utf-8")
    assert "batch_records = 4096" in text
    path.write_text(text.replace("batch_records = 4096", "batch_records = 100"), "utf-8")
    return path


def test_check(cm, own, chronicle, tmp_path):
    result = cm("schema", "check", own, chronicle, shipped_path())
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"{path}: valid: 20 fields in 22 columns" for path in (own, chronicle, shipped_path())
    ]


@pytest.mark.parametrize(
    ("change", "key", "message"),
    [
        (("batch_records = 100", "batch_records = 0"), "record.batch_records", "expected"),
        (('"f32[3]"', '"f32[0]"'), "record.fields[11].type", "f32[0]"),
        (("batch_records = 100", "batch_recrods = 100"), "record", "batch_recrods"),
        (("batch_records = 100", "batch_records ="), None, "not TOML"),
    ],
)
def test_an_error_names_the_key(cm, own, change, key, message):
    own.write_text(own.read_text("utf-8").replace(*change), "utf-8")
    result = cm("schema", "check", own)
    assert result.exit_code == 3
    assert result.stdout.startswith(f"{own}: invalid: {key or 'not TOML'}")
    found = json.loads(cm("schema", "check", "--json", own).stdout)
    assert (found["verdict"], found["key"]) == ("invalid", key)
    assert message in found["message"]
    for command in ("show", "json"):
        refused = cm("schema", command, own)
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert refused.stderr.startswith(f"Error: {own}: ")


def test_check_continues_after_an_error_and_exits_with_the_worst_code(
    cm, own, not_a_chronicle, tmp_path
):
    result = cm("schema", "check", tmp_path / "missing.toml", not_a_chronicle, own)
    assert result.exit_code == 3
    assert "missing.toml: No such file" in result.stderr
    assert f"{not_a_chronicle}: invalid: " in result.stdout
    assert f"{own}: valid" in result.stdout


def test_show(cm, own, chronicle):
    shipped = cm("schema", "show").stdout
    assert "Entropy of the predictive distribution." in shipped
    assert "metrics.entropy" in shipped
    assert "phase: dream, train, validate" in shipped
    assert "at most 4,096 records" in shipped
    assert "at most 100 records" in cm("schema", "show", own).stdout
    inside = cm("schema", "show", chronicle).stdout
    assert "at most 16 records" in inside
    assert "description" not in inside  # a chronicle carries no documentation


def test_show_json(cm, chronicle):
    found = json.loads(cm("schema", "show", "--json", chronicle).stdout)
    assert found["file"] == str(chronicle)
    assert found["batch_records"] == 16
    assert found["enumerations"]["phase"] == list(cmeta.default_schema().phases)
    fields = {field["name"]: field for field in found["fields"]}
    assert fields["tensor_signature"]["type"] == "f32[3]"
    assert fields["loss_value"]["quanta_per_unit"] == 1000000
    assert fields["loss_value"]["doc"] is None
    shipped = json.loads(cm("schema", "show", "--json").stdout)
    assert shipped["file"] is None
    assert all(field["doc"] for field in shipped["fields"])


def test_json(cm, own, chronicle):
    general = json.loads(cm("schema", "json").stdout)
    jsonschema.Draft202012Validator.check_schema(general)
    jsonschema.validate(tomli.loads(own.read_text("utf-8")), general)
    with cmeta.open(chronicle) as run:
        assert cm("schema", "json", chronicle).stdout.encode() == run.schema.embedded + b"\n"
    assert json.loads(cm("schema", "json", own).stdout)["record"]["batch_records"] == 100


def test_a_corrupt_chronicle(cm, not_a_chronicle):
    for command in ("show", "json"):
        result = cm("schema", command, not_a_chronicle)
        assert (result.exit_code, result.stdout) == (3, "")
        assert "not a .cmeta file: begins with" in result.stderr
