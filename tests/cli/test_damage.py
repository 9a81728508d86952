"""Damaged, open and foreign files: intact records are printed, errors reported, exit code 3."""

import json

import pytest

import cmeta
from cmeta.errors import DecodeError

COMMANDS = [("info",), ("info", "--json"), ("validate",), ("cat",), ("cat", "--json")]


def problem_of(path):
    """Return what reading all of a file raises."""
    with pytest.raises(DecodeError) as caught, cmeta.open(path) as run:
        run.read()
    return caught.value


def printed(result):
    return [json.loads(line)["timestamp"] for line in result.stdout.splitlines()]


def test_cat_of_a_flipped_bit_prints_all_other_batches(cm, flipped):
    problem = problem_of(flipped)
    result = cm("cat", "--json", flipped)
    assert result.exit_code == 3
    assert printed(result) == [*range(1000, 1032), *range(1048, 1100)]
    where = f"offset {problem.offset}, {problem.path}: ChecksumError: {problem.message}"
    lost = "its 16 records, timestamps 1032 to 1047, are left out"
    assert result.stderr == f"Error: {flipped}: {where}; {lost}\n"


def test_cat_of_a_range_without_the_damage_succeeds(cm, flipped):
    result = cm("cat", "--json", flipped, "--start", 1048)
    assert (result.exit_code, result.stderr) == (0, "")
    assert printed(result) == list(range(1048, 1100))


@pytest.mark.parametrize("format_", ["csv", "table"])
def test_cat_of_a_flipped_bit_in_other_formats(cm, flipped, format_):
    result = cm("cat", "--format", format_, flipped)
    assert result.exit_code == 3
    assert "1031" in result.stdout
    assert "1048" in result.stdout
    assert "1032" not in result.stdout
    assert "offset" in result.stderr


def test_cat_of_a_truncated_file_prints_the_intact_records(cm, truncated):
    problem = cmeta.validate(truncated).findings[0]
    result = cm("cat", "--json", truncated)
    assert result.exit_code == 3
    assert printed(result) == list(range(1000, 1048))
    assert f"Error: {truncated}: {problem}; intact: 48 records" in result.stderr
    assert "partial=True" not in result.stderr


def test_cat_of_a_truncated_file_before_the_damage_succeeds(cm, truncated):
    result = cm("cat", "--json", truncated, "--end", 1046)
    assert (result.exit_code, result.stderr) == (0, "")
    assert printed(result) == list(range(1000, 1047))
    # Another record of the last intact timestamp may have followed it.
    assert cm("cat", "--json", truncated, "--end", 1047).exit_code == 3


def test_cat_with_a_damaged_name_prints_the_declared_fields(cm, chronicle):
    data = bytearray(chronicle.read_bytes())
    data[data.index(b"late/")] ^= 1
    chronicle.write_bytes(data)
    result = cm("cat", "--json", chronicle)
    assert result.exit_code == 3
    assert printed(result) == list(range(1000, 1100))
    assert "NAME" in result.stderr
    assert result.stderr.endswith("; undeclared metrics are left out\n")
    assert cm("cat", "--json", chronicle, "--fields", "timestamp").exit_code == 0
    asked_for = cm("cat", "--json", chronicle, "--fields", "late/x")
    assert (asked_for.exit_code, asked_for.stdout) == (3, "")
    assert asked_for.stderr.startswith(f"Error: {chronicle}: offset ")


def test_cat_limits_the_number_of_reported_problems(cm, damaged):
    def change(data, batches):
        for batch in batches:
            data[batch.offset + batch.len_block // 2] ^= 4

    path = damaged(change)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cmeta.cli.errors._PROBLEMS_MAX", 3)
        result = cm("cat", path)
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.count("BATCH") == 3
    assert result.stderr.endswith("and 4 more\n")
    assert "Note" not in result.stderr


def test_cat_of_an_open_file_has_a_note(cm, still_open):
    result = cm("cat", "--json", still_open)
    assert result.exit_code == 0
    assert printed(result) == list(range(1000, 1096))
    assert result.stderr.startswith(f"Note: {still_open} is open")


def test_info_of_an_open_file(cm, still_open):
    result = cm("info", "--json", still_open)
    assert (result.exit_code, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    assert (found["state"], found["num_records"], found["sha256"]) == ("open", 96, None)
    assert "may be missing" in cm("info", still_open).stdout


def test_info_of_an_open_file_with_a_torn_end(cm, still_open):
    still_open.write_bytes(still_open.read_bytes()[:-5])
    found = json.loads(cm("info", "--json", still_open).stdout)
    assert (found["state"], found["num_records"]) == ("open", 80)
    assert [problem["kind"] for problem in found["problems"]] == ["TruncatedError"]
    assert "after it" in cm("info", still_open).stdout


def test_info_of_a_flipped_bit(cm, flipped):
    problem = problem_of(flipped)
    result = cm("info", "--json", flipped)
    found = json.loads(result.stdout)
    assert result.exit_code == 3
    assert found["state"] == "damaged"
    assert found["problems"] == [
        {"offset": problem.offset, "path": problem.path, "kind": "ChecksumError",
         "message": problem.message}
    ]  # fmt: skip
    assert found["sha256"] is None
    assert sum(found["phases"].values()) == 84
    where = f"offset {problem.offset}, {problem.path}"
    assert result.stderr == f"Error: {flipped}: damaged at {where}\n"
    text = cm("info", flipped)
    assert text.exit_code == 3
    assert f"{where}: ChecksumError: {problem.message}" in text.stdout


def test_info_of_a_truncated_file(cm, truncated):
    result = cm("info", truncated)
    assert result.exit_code == 3
    assert "damaged" in result.stdout
    assert "records     48\n" in result.stdout
    assert "damaged at offset" in result.stderr


@pytest.mark.parametrize("needle", [b"late/", b'"mlp"'])
def test_info_of_a_damaged_name_or_configuration(cm, chronicle, needle):
    data = bytearray(chronicle.read_bytes())
    data[data.index(needle) + 1] ^= 1
    chronicle.write_bytes(data)
    result = cm("info", "--json", chronicle)
    found = json.loads(result.stdout)
    assert (result.exit_code, found["state"]) == (3, "damaged")
    assert found["num_records"] == 100
    assert found["problems"][0]["offset"] < data.index(needle[2:])


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_that_is_not_a_chronicle(cm, not_a_chronicle, command):
    result = cm(*command, not_a_chronicle)
    assert result.exit_code == 3
    output = result.stderr + result.stdout
    assert f"{not_a_chronicle}: " in output
    assert "offset 0, header.signature: CorruptError: " in output
    assert "not a .cmeta file: begins with" in output


@pytest.mark.parametrize("command", COMMANDS)
def test_an_empty_file(cm, tmp_path, command):
    path = tmp_path / "nothing.cmeta"
    path.touch()
    result = cm(*command, path)
    assert result.exit_code == 3
    assert "offset 0" in result.stderr + result.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_truncation_is_reported(cm, chronicle, tmp_path, command):
    data = chronicle.read_bytes()
    path = tmp_path / "prefix.cmeta"
    for length in range(0, len(data), 191):
        path.write_bytes(data[:length])
        assert cm(*command, path).exit_code == 3
