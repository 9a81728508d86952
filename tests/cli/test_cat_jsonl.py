"""`cmeta cat --json`: every value survives the round trip."""

import json
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import cmeta
from cmeta.schema import canonical_json
from cmeta.schema.load import shipped_format
from cmeta.testing.runs import files


def lines_of(cm, path, *options, exit_code=0):
    result = cm("cat", "--json", path, *options)
    assert result.exit_code == exit_code, result.stderr
    return [json.loads(line, parse_constant=refuse) for line in result.stdout.splitlines()]


def refuse(constant):
    raise AssertionError(f"{constant} is no JSON")


def as_json(record, run):
    """Return the expected JSON of a record, by the library's canonical JSON."""
    plain = record.as_dict()
    if "config" in plain:
        plain["config"] = run.configs.index(plain["config"])
    plain = {
        name: {key: narrow(item, run, f"{name}.{key}") for key, item in value.items()}
        if isinstance(value, dict)
        else narrow(value, run, name)
        for name, value in plain.items()
    }
    return json.loads(canonical_json.dumps(plain, shipped_format().limits, "record"))


def narrow(value, run, path):
    """Return a float32 as the double of its shortest decimal."""
    if isinstance(value, tuple):
        return [narrow(item, run, path) for item in value]
    if isinstance(value, float) and path in run.schema and run.schema[path].type == "f32":
        return float(str(np.float32(value)))
    return value


def test_cat_json_round_trips(cm, chronicle):
    found = lines_of(cm, chronicle)
    with cmeta.open(chronicle) as run:
        assert found == [as_json(record, run) for record in run]
    assert len(found) == 100
    assert len({line["config"] for line in found}) == 2


def test_cat_json_line(cm, chronicle):
    first, second = cm("cat", "--json", chronicle, "--end", 1001).stdout.splitlines()
    assert first.startswith('{"timestamp":1000,"phase":"train","metrics":{"entropy":')
    assert '"state":"stable"' in first
    assert first.endswith(',"loss_value":1.0,"seed_state":0,"config":0}')
    assert '"loss_value":"NaN","seed_state":"0x9E3779B97F4A7C15"' in second
    assert "state" not in json.loads(second)["metrics"]


def test_cat_json_writes_non_finite_values_as_strings_and_omits_absent_ones(cm, chronicle):
    found = [line.get("loss_value", "absent") for line in lines_of(cm, chronicle)[:11]]
    assert found[1:4] == ["NaN", "Infinity", "-Infinity"]
    assert found[10] == "absent"


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=files())
def test_cat_json_round_trips_any_file(cm, tmp_path, data):
    path = tmp_path / "any.cmeta"
    path.write_bytes(data)
    found = lines_of(cm, path)
    with cmeta.open(path) as run:
        expected = list(run)
        assert len(found) == len(expected)
        for line, record in zip(found, expected, strict=True):
            assert flat(line) == flat(record_as_json(record, run))


def record_as_json(record, run):
    config = run.schema.config_field
    plain = record.as_dict()
    if config is not None and config.name in plain:
        plain[config.name] = run.configs.index(plain[config.name])
    found = {}
    for name, value in plain.items():
        group = name in run.schema.groups
        found[name] = (
            {k: plain_value(v, run, f"{name}.{k}") for k, v in value.items()}
            if group
            else plain_value(value, run, name)
        )
    return found


def plain_value(value, run, path):
    """Return the JSON of a value, independently of the command line's code."""
    match value:
        case tuple():
            return [plain_value(item, run, path) for item in value]
        case bool():
            return value
        case int() if abs(value) >= 2**53:
            return hex(value).upper().replace("X", "x")
        case float() if not math.isfinite(value):
            return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
        case float():
            return narrow(value, run, path)
    return value


def flat(value):
    """Return a form in which 0.0 differs from -0.0, and True from 1."""
    return json.dumps(value, sort_keys=True)


@pytest.mark.parametrize("value", [2**53 - 1, 2**53, 2**64 - 1])
def test_cat_json_writes_large_integers_as_canonical_json_does(cm, tmp_path, value):
    path = tmp_path / "seed.cmeta"
    cmeta.write(path, {"phase": ["train"], "seed_state": np.array([value], "u8")})
    (line,) = lines_of(cm, path, "--fields", "seed_state")
    assert json.dumps(line, separators=(",", ":")).encode() == canonical_json.dumps(
        {"seed_state": value}, shipped_format().limits, "record"
    )


def test_cat_json_keeps_the_order_of_fields_and_an_empty_record(cm, chronicle):
    fields = "seed_state,metrics.val_accuracy,timestamp"
    lines = cm("cat", "--json", chronicle, "--fields", fields).stdout.splitlines()
    assert lines[3].startswith('{"seed_state":"0x')
    assert lines[3].endswith(',"metrics":{"val_accuracy":0.03},"timestamp":1003}')
    found = lines_of(cm, chronicle, "--fields", "val_accuracy", "--end", "1003")
    assert found == [{}, {}, {}, {"metrics": {"val_accuracy": 0.03}}]
    assert lines_of(cm, chronicle, "--fields", "coherence") == [{}] * 100


def test_cat_json_of_an_empty_chronicle(cm, empty):
    result = cm("cat", "--json", empty)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"Note: {empty} has no records\n"
