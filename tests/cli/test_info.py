"""`cmeta info`: its output matches the file."""

import hashlib
import json

import numpy as np
import pytest

import cmeta


def facts(cm, path, *options, exit_code=0):
    result = cm("info", "--json", path, *options)
    assert result.exit_code == exit_code
    assert result.stdout.count("\n") == 1
    return json.loads(result.stdout)


def test_info_json(cm, chronicle):
    found = facts(cm, chronicle)
    data = chronicle.read_bytes()
    assert found["file"] == str(chronicle)
    assert (found["state"], found["version"], found["problems"]) == ("closed", "1.0", [])
    assert (found["num_records"], found["num_batches"], found["batch_records"]) == (100, 7, 16)
    assert (found["first_timestamp"], found["last_timestamp"]) == (1000, 1099)
    assert found["len_file"] == len(data)
    assert found["bytes_per_record"] == len(data) / 100
    assert found["sha256"] == hashlib.sha256(data).hexdigest()
    assert found["phases"] == {"dream": 20, "train": 60, "validate": 20}


def test_info_json_lists_fields_and_configurations_in_file_order(cm, chronicle):
    found = facts(cm, chronicle)
    with cmeta.open(chronicle) as run:
        assert [f["name"] for f in found["fields"]] == [f.path for f in run.fields]
        assert found["configs"] == list(run.configs)
    fields = {f.pop("name"): f for f in found["fields"]}
    assert fields["loss_value"] == {
        "type": "f32", "declared": True, "exact": False, "quanta_per_unit": 1000000,
        "values": None, "unit": None, "volatile": False, "num_batches": 7,
    }  # fmt: skip
    assert fields["phase"]["values"] == list(run.schema.phases)
    assert fields["phase"]["exact"] is None
    assert fields["timestamp"]["unit"] == "cycle"
    assert fields["tensor_signature"]["type"] == "f32[3]"
    assert fields["coherence"]["num_batches"] == 0
    (late,) = [f for f in fields.values() if not f["declared"]]
    assert late == {
        "type": "f64", "declared": False, "exact": True, "quanta_per_unit": None,
        "values": None, "unit": None, "volatile": False, "num_batches": 4,
    }  # fmt: skip


def test_info_quick_reads_no_batches(cm, chronicle):
    found, all_facts = facts(cm, chronicle, "--quick"), facts(cm, chronicle)
    assert found["phases"] is found["sha256"] is None
    assert all(field["num_batches"] is None for field in found["fields"])
    kept = found.keys() - {"phases", "sha256", "fields"}
    assert {k: found[k] for k in kept} == {k: all_facts[k] for k in kept}


def test_info_text(cm, chronicle):
    result = cm("info", chronicle)
    assert (result.exit_code, result.stderr) == (0, "")
    words = " ".join(result.stdout.split())
    size = chronicle.stat().st_size
    for expected in (
        "state closed", "version 1.0", "records 100", "7 of at most 16 records",
        f"{size:,} bytes, {size / 100:.2f} per record", "timestamps 1000 to 1099",
        "dream 20, train 60, validate 20", f"sha256 {facts(cm, chronicle)['sha256']}",
        "loss_value f32 7 in steps of 1e-06", "metrics.entropy f32 nat 7",
        "Undeclared metrics name type unit in batches values metrics.late/",
        ',"b" f64 4 exact',
        '0 {"lr": 0.1, "name": "mlp", "seed": "0x1000000000000000"} 1 {"lr": 0.05',
    ):  # fmt: skip
        assert expected in words
    assert not any(line != line.rstrip() for line in result.stdout.splitlines())


def test_info_of_an_empty_chronicle(cm, empty):
    found = facts(cm, empty)
    assert (found["state"], found["num_records"], found["num_batches"]) == ("closed", 0, 0)
    assert found["first_timestamp"] is found["last_timestamp"] is found["bytes_per_record"] is None
    assert (found["phases"], found["configs"]) == ({}, [])
    text = cm("info", empty)
    assert text.exit_code == 0
    assert "timestamps" not in text.stdout
    assert "per record" not in text.stdout


def test_info_json_of_timestamps_beyond_safe_integers(cm, tmp_path):
    path, now = tmp_path / "ns.cmeta", 1_760_000_000_123_456_789
    cmeta.write(path, {"phase": ["train"], "timestamp": np.array([now], "u8")})
    assert int(facts(cm, path)["first_timestamp"], 0) == now


@pytest.mark.parametrize(("quanta", "step"), [(1000, "0.001"), (3, "1/3"), (1, "1")])
def test_info_states_the_quantum_of_a_field(cm, tmp_path, quanta, step):
    path = tmp_path / "steps.cmeta"
    schema = cmeta.default_schema().with_metrics(x={"quanta_per_unit": quanta})
    cmeta.write(path, {"phase": ["train"], "metrics.x": [1.0]}, schema)
    (line,) = [s for s in cm("info", path).stdout.splitlines() if s.startswith("  metrics.x ")]
    assert line.endswith(f"in steps of {step}")


def test_info_escapes_control_characters_of_the_file(cm, tmp_path):
    path = tmp_path / "hostile.cmeta"
    metrics = {"metrics.\x1b[2J\x9b": [1.0]}
    cmeta.write(path, {"phase": ["train"], **metrics}, config={"\x1b\x7f": "\x9b1m"})
    result = cm("info", path)
    assert all(char.isprintable() or char == "\n" for char in result.stdout)
    assert "metrics.\\x1b[2J\\x9b" in result.stdout
    line = cm("info", path, "--json").stdout
    assert line[:-1].isprintable()
    assert json.loads(line)["configs"] == [{"\x1b\x7f": "\x9b1m"}]


def test_the_table_has_the_fields_that_were_recorded(cm, tmp_path):
    with cmeta.Recorder(tmp_path / "run.cmeta") as rec:
        rec.log("train", loss=0.5, lr=0.1)
    before, _, after = cm("info", tmp_path / "run.cmeta").stdout.partition(
        "Declared, never recorded"
    )
    assert [line.split()[0] for line in before.partition("Fields")[2].splitlines()[2:5]] == [
        "timestamp", "phase", "loss_value",
    ]  # fmt: skip
    assert "metrics.entropy" not in before
    assert {"metrics.entropy,", "step,", "epoch"} <= {*after.split()}
    assert "metrics.entropy" in cm("info", "--quick", tmp_path / "run.cmeta").stdout
    cmeta.write(tmp_path / "empty.cmeta", {"phase": []})
    assert "never recorded" not in cm("info", tmp_path / "empty.cmeta").stdout
