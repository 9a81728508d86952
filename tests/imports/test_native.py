"""Chronicles as full JSON lines: importing them gives the identical bytes, or an error."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import cmeta
from cmeta.cli.formats import write_jsonl, write_preamble
from cmeta.cli.rows import RowStream
from cmeta.reader.selection import Selection
from cmeta.testing.runs import files
from cmeta.tools.imports.import_run import import_run

SOME = settings(suppress_health_check=list(HealthCheck))


def in_full(source):
    """Return a chronicle as full JSON lines."""
    parts = []
    with cmeta.open(source) as run:
        write_preamble(run, len(run), parts.append)
        write_jsonl(RowStream(run, Selection(None, None, None)), parts.append)
    return "".join(parts)


@pytest.fixture
def whole(tmp_path):
    """Full JSON lines of a small run, as lines."""
    path = tmp_path / "first.cmeta"
    columns = {
        "phase": ["train", "train", "validate"], "loss_value": np.float32([0.1, np.nan, 16.1]),
        "config": [0, 1, 0], "metrics.late": np.ma.array([0, 1e-300, -0.0], mask=[1, 0, 0]),
        "action_code": ["adjust_lr", None, None],
    }  # fmt: skip
    cmeta.write(path, columns, config=[{"lr": 1e21}, {"lr": 0.1, "seed": 2**64}])
    return in_full(path).splitlines()


@SOME
@given(data=files())
def test_any_chronicle_comes_back_byte_for_byte(tmp_path, data):
    source, out = tmp_path / "run.jsonl", tmp_path / "run.cmeta"
    source.write_text(in_full(data), encoding="utf-8")
    report = import_run(source, out, replace=True)
    assert report.format == "jsonl"
    assert report.ok
    assert out.read_bytes() == data


def test_the_first_line_has_schema_and_configurations(whole):
    preamble = json.loads(whole[0])["cmeta"]
    assert list(preamble) == ["version", "num_records", "schema", "configs"]
    assert preamble["num_records"] == 3
    assert preamble["configs"] == [{"lr": 1e21}, {"lr": 0.1, "seed": "0x10000000000000000"}]


def test_order_of_keys_and_lines_between_do_not_matter(imported, text, whole, tmp_path):
    turned = [json.dumps(dict(reversed(json.loads(line).items()))) for line in whole]
    found = imported(text("turned.jsonl", *turned[:2], "", *turned[2:]))
    assert found.report.ok
    assert found.path.read_bytes() == (tmp_path / "first.cmeta").read_bytes()


def change(number, old, new):
    def changed(lines):
        assert old in lines[number]
        lines[number] = lines[number].replace(old, new)

    return changed


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (change(2, '"train"', '"trian"'), r"line 3, phase: found 'trian', expected one of: dream"),
        (change(1, "0.1", '"0.1"'), r"line 2, loss_value: found '0.1', expected f32"),
        (change(1, '"config":0', '"config":2'), r"line 2, config: found 'configuration 2 of 2'"),
        (change(1, '"config":0', '"config":-1'), r"line 2, config: found -1, expected config"),
        (change(1, "loss_value", "loss_vaule"), r"field 'loss_vaule' is not in the schema"),
        (lambda lines: lines.append(lines[-1]), r"found 4 records, but its first line says 3"),
        (change(2, "}", ""), r"line 3, column \d+: not JSON"),
        (change(0, '"type":"f32"', '"type":"f16"'), r"line 1, cmeta.schema: not a schema: .*f16"),
        (change(0, '"batch_records":4096', '"batch_records":1'), r"line 1, cmeta.schema: .*1"),
        (change(0, '"configs":[', '"configs":[3,'), r"line 1, cmeta.configs\[0\]: expected an obj"),
        (change(0, '"num_records":3', '"num_records":-3'), r"line 1, cmeta.num_records: found -3"),
    ],
)
def test_damage_is_an_error_that_names_the_place(imported, text, whole, damage, message):
    damage(whole)
    with pytest.raises(cmeta.EncodeError, match=message):
        imported(text("whole.jsonl", *whole, end=""))


@pytest.mark.parametrize("num_bytes", [0, 1, 20])
def test_what_is_there_of_a_file_that_was_cut_off(imported, text, whole, num_bytes):
    last = whole[3][:num_bytes]
    found = imported(text("whole.jsonl", *whole[:3], last, end=""))
    assert found.values("phase") == ["train", "train"]
    assert found.configs == ({"lr": 1e21},) or len(found.configs) == 2
    missing = "1 record of the 3 that the first line states: missing"
    cut = [f"line 4 is cut off: {num_bytes} bytes"] * bool(num_bytes)
    assert [part.replace("byte ", "bytes ") for part in found.report.damage] == [*cut, missing]


def test_another_version_is_noted(imported, text, whole):
    change(0, '"version":"1.0"', '"version":"1.9"')(whole)
    found = imported(text("whole.jsonl", *whole))
    assert found.report.notes == ("the file was written as format 1.9; it is written again as 1.0",)


def test_values_that_the_schema_rounds_are_reported(imported, text, whole):
    change(1, '"loss_value":0.1', '"loss_value":0.12345678')(whole)
    (lost,) = imported(text("whole.jsonl", *whole)).report.lost
    assert lost.startswith("loss_value: ")
    assert "rounded, as the schema requires" in lost


def test_jsonl_and_csv_that_hold_no_schema_give_the_same_values(tmp_path, cm):
    first, second = tmp_path / "first.cmeta", tmp_path / "second.cmeta"
    rng = np.random.default_rng(3)
    num_records = 500
    columns = {
        "timestamp": np.arange(num_records) * 3, "phase": ["train", "validate"] * 250,
        "loss_value": np.ma.array(rng.integers(-20000, 20000, num_records) / 1024, mask=rng.random(500) < 0.1),
        "tensor_signature": rng.integers(-2000, 2000, (num_records, 3)) / 1024,
        "seed_state": rng.integers(0, 2**64, num_records, np.uint64),
        "metrics.entropy": rng.random(num_records) + 1, "metrics.any,thing": rng.random(num_records),
        "metrics.state": ["stable", None] * 250,
    }  # fmt: skip
    cmeta.write(first, columns)
    for name, format_ in (("run.jsonl", "jsonl"), ("run.csv", "csv")):
        lines = cm("cat", first, "--format", format_)
        (tmp_path / name).write_text(lines.stdout, encoding="utf-8")
        report = import_run(tmp_path / name, second, replace=True)
        assert report.ok
        assert second.read_bytes() == first.read_bytes()
