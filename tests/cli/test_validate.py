"""`cmeta validate`: verdicts, findings and exit codes."""

import json
import struct

import numpy as np
import pytest

import cmeta
from cmeta.format.block import encode_block
from cmeta.format.grammar import grammar_of
from cmeta.schema.load import shipped_format


def test_validate_a_valid_file(cm, chronicle):
    result = cm("validate", chronicle)
    size = chronicle.stat().st_size
    expected = f"{chronicle}: valid: 100 records in 7 batches, {size:,} bytes\n"
    assert (result.exit_code, result.stdout, result.stderr) == (0, expected, "")


def test_validate_json(cm, chronicle):
    result = cm("validate", "--json", chronicle)
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "file": str(chronicle), "verdict": "valid", "state": "closed", "has_journal": False,
        "num_records": 100, "num_batches": 7, "len_file": chronicle.stat().st_size, "findings": [],
    }  # fmt: skip


def test_validate_lists_all_findings_by_offset(cm, flipped):
    expected = sorted(cmeta.validate(flipped).findings, key=lambda finding: finding.offset)
    assert len(expected) >= 3
    result = cm("validate", flipped)
    first, *lines = result.stdout.splitlines()
    assert result.exit_code == 3
    assert first.startswith(f"{flipped}: corrupt: {len(expected)} findings in ")
    assert lines == [f"  {finding}" for finding in expected]
    found = json.loads(cm("validate", "--json", flipped).stdout)
    assert found["verdict"] == "corrupt"
    assert found["findings"] == [vars(finding) for finding in expected]


def test_validate_an_open_file(cm, still_open):
    result = cm("validate", still_open)
    assert result.exit_code == 1
    assert f"{still_open}: open: never closed" in result.stdout
    assert "intact: 96 records in 6 batches" in result.stdout
    assert "records after the last full batch may be missing" in result.stdout
    assert json.loads(cm("validate", "--json", still_open).stdout)["verdict"] == "open"


def test_validate_an_open_file_with_a_damaged_batch(cm, still_open):
    data = bytearray(still_open.read_bytes())
    data[-20] ^= 1
    still_open.write_bytes(data)
    result = cm("validate", still_open)
    assert result.exit_code == 3
    assert "corrupt: 1 finding" in result.stdout


def test_validate_reports_on_each_file_and_exits_with_the_worst_code(
    cm, chronicle, flipped, empty, tmp_path
):
    missing = tmp_path / "missing.cmeta"
    result = cm("validate", chronicle, flipped, missing, empty)
    assert result.exit_code == 3
    starts = [line.partition(": ")[0] for line in result.stdout.splitlines() if line[0] != " "]
    assert starts == [str(chronicle), str(flipped), str(empty), "4 files"]
    assert result.stdout.endswith("4 files: 2 valid, 1 corrupt, 1 unreadable\n")
    assert result.stderr == f"Error: {missing}: No such file or directory\n"
    lines = cm("validate", "--json", chronicle, flipped, missing, empty).stdout.splitlines()
    assert [json.loads(line)["verdict"] for line in lines] == ["valid", "corrupt", "valid"]
    assert cm("validate", chronicle, missing).exit_code == 2
    assert cm("validate", chronicle, empty).exit_code == 0


def test_validate_an_open_and_a_missing_file(cm, still_open, tmp_path):
    assert cm("validate", still_open, tmp_path / "missing.cmeta").exit_code == 2


def test_the_canonical_check_is_optional(cm, tmp_path):
    path = tmp_path / "run.cmeta"
    cmeta.write(path, {"phase": ["train"] * 40, "loss_value": [0.5, 0.25] * 20})
    path.write_bytes(with_useless_configuration(path))
    result = cm("validate", path)
    assert result.exit_code == 3
    assert "CanonicalError" in result.stdout
    assert cm("validate", "--no-canonical", path).exit_code == 0


def with_useless_configuration(path):
    """Return the file with a CONFIG that no record uses: it is readable, but no writer would write it."""
    grammar = grammar_of(shipped_format())
    data = path.read_bytes()
    with cmeta.open(path) as run:
        (batch,) = run.batches  # a short one
    start, at = grammar.header.size, batch.offset
    end = at + batch.len_block
    config = encode_block("CONFIG", b"{}", grammar)[0]
    fields = grammar.bodies["INDEX"].parse(
        data[end + grammar.frame_head.size : -grammar.trailer.size - grammar.frame_tail.size]
    )
    entries = np.repeat(fields["entries"], [1, 2])
    entries[1] = (grammar.kinds["CONFIG"], grammar.flags_of("CONFIG"), 0, 0, at, 0, 0)
    entries[2]["offset"] += len(config)
    fields |= {"entries": entries, "num_blocks": 3, "index_offset": end + len(config)}
    index = encode_block("INDEX", grammar.bodies["INDEX"].build(fields), grammar)[0]
    payload = data[start:at] + config + data[at:end] + index
    return data[:start] + payload + grammar.trailer.build({"checksum": grammar.checksum(payload)})


@pytest.mark.parametrize("make", ["truncated", "not_a_chronicle"])
def test_validate_an_incomplete_file(cm, request, make):
    path = request.getfixturevalue(make)
    result = cm("validate", path)
    assert result.exit_code == 3
    assert "corrupt: 1 finding in " in result.stdout
    assert "\n  offset " in result.stdout


def test_validate_identifies_a_foreign_file(cm, not_a_chronicle):
    assert "not a .cmeta file: begins with" in cm("validate", not_a_chronicle).stdout


def test_validate_reports_a_newer_version(cm, damaged):
    def change(data, batches):
        data[:6] = data[:4] + struct.pack("<H", 0x0900)

    result = cm("validate", damaged(change))
    assert result.exit_code == 3
    assert "UnsupportedVersionError" in result.stdout
    assert "a newer cmeta may read it" in result.stdout


def test_more_values_than_allowed(cm, chronicle):
    result = cm("validate", "--max-cells", 5, chronicle)
    assert result.exit_code == 2
    assert "not checked" in result.stderr
    assert "expected at most 5 (--max-cells)" in result.stderr
    assert cm("validate", "--max-cells", 10**6, chronicle).exit_code == 0
