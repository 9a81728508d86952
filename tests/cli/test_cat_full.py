"""`cmeta cat --format jsonl --full`: a complete chronicle as lines, and back."""

import json

import pytest

import cmeta


def full(cm, path, *options):
    result = cm("cat", "--format", "jsonl", "--full", path, *options)
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_importing_restores_the_identical_file(cm, chronicle, tmp_path):
    lines, out = tmp_path / "run.jsonl", tmp_path / "again.cmeta"
    lines.write_text(cm("cat", "--json", "--full", chronicle).stdout, encoding="utf-8")
    assert cm("import", lines, out).exit_code == 0
    assert out.read_bytes() == chronicle.read_bytes()


def test_the_lines_after_the_preamble_equal_those_of_cat(cm, chronicle):
    preamble, *records = full(cm, chronicle)
    plain = cm("cat", "--json", chronicle).stdout.splitlines()
    assert records == [json.loads(line) for line in plain]
    assert preamble["cmeta"]["num_records"] == len(records) == 100
    with cmeta.open(chronicle) as run:
        assert preamble["cmeta"]["configs"] == [dict(config) for config in run.configs]
        assert preamble["cmeta"]["schema"] == json.loads(run.schema.embedded)


def test_a_selection_has_no_record_count_in_its_preamble(cm, chronicle):
    preamble, *records = full(cm, chronicle, "--phase", "validate")
    assert "num_records" not in preamble["cmeta"]
    assert len(records) == 20


def test_timestamp_and_phase_are_always_printed(cm, chronicle, tmp_path):
    preamble, *records = full(cm, chronicle, "--fields", "loss_value")
    assert records[0] == {"timestamp": 1000, "phase": "train", "loss_value": 1.0}
    lines, out = tmp_path / "part.jsonl", tmp_path / "part.cmeta"
    lines.write_text("".join(f"{json.dumps(line)}\n" for line in [preamble, *records]))
    assert cm("import", lines, out).exit_code == 0
    with cmeta.open(chronicle) as run, cmeta.open(out) as part:
        whole = run.read(["timestamp", "phase", "loss_value"])
        assert [str(record) for record in part.read(list(whole))["loss_value"]] == [
            str(value) for value in whole["loss_value"]
        ]


def test_an_empty_chronicle(cm, empty, tmp_path):
    lines, out = tmp_path / "empty.jsonl", tmp_path / "again.cmeta"
    lines.write_text(cm("cat", "--json", "--full", empty).stdout)
    assert len(lines.read_text().splitlines()) == 1
    assert cm("import", lines, out).exit_code == 0
    assert out.read_bytes() == empty.read_bytes()


def test_importing_an_open_file_gives_the_closed_one(cm, still_open, chronicle, tmp_path):
    preamble, *records = full(cm, still_open)
    assert "num_records" not in preamble["cmeta"]
    lines, out = tmp_path / "open.jsonl", tmp_path / "closed.cmeta"
    lines.write_text("".join(f"{json.dumps(line)}\n" for line in [preamble, *records]))
    assert cm("import", lines, out).exit_code == 0
    expected = tmp_path / "expected.cmeta"
    with cmeta.open(chronicle) as run:
        last = run.batches[-2].last_timestamp
        cmeta.write(expected, run.read(end=last))
    assert out.read_bytes() == expected.read_bytes()


def test_an_export_of_a_damaged_file_is_marked_incomplete(cm, flipped, tmp_path):
    result = cm("cat", "--json", "--full", flipped)
    assert result.exit_code == 3
    lines = tmp_path / "damaged.jsonl"
    lines.write_text(result.stdout, encoding="utf-8")
    again = cm("import", lines, tmp_path / "out.cmeta")
    assert again.exit_code == 4
    assert "16 records of the 100 that the first line states: missing" in again.stdout


@pytest.mark.parametrize("options", [[], ["--format", "csv"], ["--format", "table"]])
def test_full_is_refused_for_other_formats(cm, chronicle, options):
    result = cm("cat", "--full", *options, chronicle)
    assert result.exit_code == 2
    assert "--full requires --format jsonl" in result.stderr


def test_the_help_explains_the_preamble(cm):
    text = " ".join(cm("cat", "--help").stdout.split())
    assert '{"cmeta": {"version", "num_records", "schema", "configs"}}' in text
    assert "identical file" in text
