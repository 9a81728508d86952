"""`cmeta diff`: text, JSON, fields and exit codes."""

import json

import numpy as np
import pytest

import cmeta
from cmeta.safe_text import printable


@pytest.fixture
def other(chronicle, tmp_path):
    """The same run with some values changed and another size of batches."""

    def make(name="other", batch_records=32, **changed):
        with cmeta.open(chronicle) as run:
            found, configs, schema = run.read(), run.configs, run.schema
        columns = {path: found.masked(path) for path in found}
        for path, (row, value) in changed.items():
            columns[path.replace("__", ".")][row] = value
        path = tmp_path / f"{name}.cmeta"
        cmeta.write(path, columns, schema.with_batch_records(batch_records), configs)
        return path

    return make


def test_diff_of_the_same_bytes(cm, chronicle):
    result = cm("diff", chronicle, chronicle)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        f"a:  {chronicle}  100 records", f"b:  {chronicle}  100 records",
        "identical: every byte is the same",
    ]  # fmt: skip


def test_diff_of_the_same_records(cm, chronicle, other):
    result = cm("diff", chronicle, other())
    assert result.exit_code == 0
    assert "equal: all 100 records are equal\n" in result.stdout
    assert "  batch_records  a 16  b 32\n" in result.stdout


def test_diff_of_values(cm, chronicle, other):
    b = other(loss_value=(40, 0.5), metrics__entropy=(50, 1.0))
    result = cm("diff", chronicle, b)
    assert result.exit_code == 1
    assert "\ndiffers: 2 of 100 records differ\n" in result.stdout
    assert "\nfirst difference: record 40, train, at 1040\n  loss_value  a " in result.stdout
    found = json.loads(cm("diff", "--json", chronicle, b).stdout)
    assert (found["verdict"], found["num_differing"]) == ("differs", 2)
    assert (found["first"]["ordinal"], found["first"]["b"]) == (40, 0.5)
    assert list(found["fields"]) == ["metrics.entropy", "loss_value"]


def test_diff_of_some_fields(cm, chronicle, other):
    b = other(loss_value=(40, 0.5))
    assert cm("diff", chronicle, b, "--fields", "entropy,seed_state").exit_code == 0
    assert cm("diff", chronicle, b, "--fields", "entropy", "--fields", "loss_value").exit_code == 1
    assert cm("diff", chronicle, b, "--start", 1041).exit_code == 0
    assert cm("diff", chronicle, b, "--end", 1039).exit_code == 0
    assert cm("diff", chronicle, b, "--end", 1040).exit_code == 1
    result = cm("diff", chronicle, b, "--fields", "loss_valu")
    assert result.exit_code == 2
    assert "Did you mean loss_value or " in result.stderr


def test_diff_of_a_field_only_in_b(cm, chronicle, other, tmp_path):
    a = tmp_path / "a.cmeta"
    cmeta.write(a, {"phase": ["train"] * 100, "timestamp": np.arange(1000, 1100)})
    result = cm("diff", a, chronicle, "--fields", "tensor_signature,loss_value")
    assert result.exit_code == 1
    assert "\nonly in b\n" in result.stdout


def test_diff_of_large_numbers_in_json(cm, chronicle, other):
    found = json.loads(cm("diff", "--json", chronicle, other(seed_state=(7, 2**64 - 1))).stdout)
    assert found["first"]["b"] == "0xFFFFFFFFFFFFFFFF"
    nan = json.loads(cm("diff", "--json", chronicle, other("nan", loss_value=(5, np.nan))).stdout)
    assert nan["first"]["b"] == "NaN"


def test_diff_of_an_unreadable_file(cm, chronicle, flipped, truncated, not_a_chronicle, tmp_path):
    for bad in (flipped, truncated, not_a_chronicle):
        for pair in ((chronicle, bad), (bad, chronicle)):
            result = cm("diff", *pair)
            assert (result.exit_code, result.stdout) == (3, "")
            assert str(bad) in result.stderr
            assert str(chronicle) not in result.stderr
    missing = tmp_path / "missing.cmeta"
    result = cm("diff", chronicle, missing)
    assert (result.exit_code, result.stderr) == (
        2,
        f"Error: {missing}: No such file or directory\n",
    )
    assert cm("diff", chronicle, tmp_path).exit_code == 2
    assert cm("diff", chronicle).exit_code == 2


def test_diff_escapes_control_characters_in_names(cm, tmp_path):
    name, rows = "metrics.x\x1b[2J\ny", {"phase": ["train"] * 2}
    paths = [tmp_path / "a.cmeta", tmp_path / "b.cmeta"]
    for value, path in enumerate(paths):
        cmeta.write(path, {**rows, name: [1.0, value]}, None, ())
    result = cm("diff", *paths)
    assert result.exit_code == 1
    assert printable(name) in result.stdout
    assert "\x1b" not in result.stdout and "[2J\ny" not in result.stdout


def test_phases(cm, chronicle, tmp_path):
    other = tmp_path / "other.cmeta"
    with cmeta.open(chronicle) as run:
        records = [record for record in run if record.phase != "train"]
        cmeta.write(other, records, run.schema)
    assert cm("diff", chronicle, other).exit_code == 1
    result = cm("diff", chronicle, other, "--phase", "val,dream")
    assert (result.exit_code, "all 40 records are equal" in result.stdout) == (0, True)
    result = cm("diff", chronicle, other, "--phase", "trian")
    assert (result.exit_code, "Did you mean train" in result.stderr) == (2, True)
