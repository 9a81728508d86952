"""`cmeta query` and `cmeta head`: records, formats and exit codes."""

import json

import pytest

import cmeta

LATE = 'late/\N{GREEK SMALL LETTER ALPHA},"b"'


def lines(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def timestamps(result):
    return [one["timestamp"] for one in lines(result)]


def test_a_condition_with_range_phase_fields_and_limit(cm, chronicle):
    condition = "loss_value < 0.2 and phase == 'dream'"
    found = cm("query", chronicle, condition, "--json")
    assert (found.exit_code, timestamps(found)) == (0, [1069, 1074, 1079, 1084, 1089, 1094, 1099])
    some = cm("query", chronicle, condition, "--start", 1070, "--end", 1090, "--json")
    assert timestamps(some) == [1074, 1079, 1084, 1089]
    other = cm("query", chronicle, "0 < loss_value < 0.2", "--phase", "validate", "--limit", 2, "--json",
               "--fields", "timestamp,val_accuracy")  # fmt: skip
    assert lines(other) == [
        {"timestamp": 1068, "metrics": {"val_accuracy": 0.68}},
        {"timestamp": 1073, "metrics": {"val_accuracy": 0.73}},
    ]


def test_an_always_true_condition_equals_cat(cm, chronicle):
    for format_ in ("table", "csv", "jsonl"):
        asked = cm("query", chronicle, "timestamp >= 0", "--format", format_)
        assert asked.stdout == cm("cat", chronicle, "--format", format_).stdout
        assert asked.exit_code == 0


def test_keys_of_the_configuration_and_undeclared_metrics(cm, chronicle):
    found = cm("query", chronicle, f"config.lr < 0.1 and metrics[{LATE!r}] > 32.5", "--json")
    assert timestamps(found) == [1098, 1099]
    found = cm("query", chronicle, "config.seed == 2 ** 60 and timestamp < 1002", "--json")
    assert timestamps(found) == [1000, 1001]


def test_count(cm, chronicle, empty):
    assert cm("query", chronicle, "isnan(loss_value)", "--count").stdout == "1\n"
    assert cm("query", chronicle, "loss_value is None", "--count", "--limit", 5).stdout == "5\n"
    both = cm("query", chronicle, empty, "phase == 'train'", "--count")
    assert both.stdout == f"{chronicle}: 60\n{empty}: 0\n"
    as_json = cm("query", chronicle, "phase == 'train'", "--count", "--json")
    assert lines(as_json) == [{"file": str(chronicle), "num_records": 60}]


def test_several_files_are_named(cm, chronicle, tmp_path):
    other = tmp_path / "other.cmeta"
    other.write_bytes(chronicle.read_bytes())
    found = cm("query", tmp_path, "timestamp == 1000", "--json", "--fields", "timestamp")
    assert lines(found) == [
        {"file": str(other), "timestamp": 1000},
        {"file": str(chronicle), "timestamp": 1000},
    ]
    table = cm("query", tmp_path / "*.cmeta", "timestamp == 1000", "--fields", "timestamp")
    one = "timestamp\n---------\n     1000\n"
    assert table.stdout == f"{other}:\n{one}\n{chronicle}:\n{one}\n"
    csv = cm("query", tmp_path, "timestamp == 1000", "--format", "csv")
    assert (csv.exit_code, csv.stdout) == (2, "")
    assert "--format csv takes one file" in csv.stderr


def test_an_empty_result_has_a_note(cm, chronicle):
    result = cm("query", chronicle, "loss_value > 1e9 and not isinf(loss_value)")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"Note: {chronicle} has no matching records\n"


def test_an_invalid_condition_is_shown_with_its_position(cm, chronicle):
    result = cm("query", chronicle, "loss_value = \x1b")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines()[-2:] == ["  loss_value = \\x1b", "             ^"]


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("los_value < 1", "no field 'los_value' (did you mean loss_value"),
        ("phase == 'trian'", "phase is never 'trian'; it is one of: dream, train, validate"),
        ("phase < 3", "this compares a text with a number\n  phase < 3\n          ^\n"),
    ],
)
def test_unknown_names(cm, chronicle, empty, condition, message):
    result = cm("query", chronicle, condition)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"Error: {chronicle}: ")
    assert message in result.stderr


def test_an_unreadable_file_does_not_stop_the_others(
    cm, chronicle, flipped, not_a_chronicle, tmp_path
):
    missing = tmp_path / "missing.cmeta"
    result = cm(
        "query", missing, not_a_chronicle, flipped, chronicle, "timestamp < 1100", "--count"
    )
    assert result.exit_code == 3
    assert result.stdout == f"{flipped}: 84\n{chronicle}: 100\n"
    assert f"Error: {missing}: No such file" in result.stderr
    assert f"Error: {flipped}: offset " in result.stderr


def test_batches_that_cannot_match_are_not_read(cm, flipped):
    result = cm("query", flipped, "timestamp >= 1048 and loss_value < 9", "--count")
    assert (result.exit_code, result.stderr) == (0, "")
    assert cm("query", flipped, "timestamp >= 1047 and loss_value < 9", "--count").exit_code == 3


def test_head(cm, chronicle, empty):
    assert timestamps(cm("head", chronicle, "--json")) == list(range(1000, 1010))
    assert timestamps(cm("head", "-n", 40, chronicle, "--json")) == list(range(1000, 1040))
    assert timestamps(cm("head", "-n", 2, chronicle, "--phase", "dream", "--json")) == [1004, 1009]
    assert timestamps(cm("head", "-n", 2, chronicle, "--start", 1050, "--json")) == [1050, 1051]
    assert cm("head", "-n", 0, chronicle, "--json").stdout == ""
    assert len(lines(cm("head", "-n", 1000, chronicle, "--json"))) == 100
    assert cm("head", empty).exit_code == 0


def test_head_shows_only_the_columns_of_its_records(cm, chronicle):
    header = cm("head", "-n", 3, chronicle, "--format", "csv").stdout.splitlines()[0]
    assert "val_accuracy" not in header  # the fourth record has it
    assert "metrics.val_accuracy" in cm("head", "-n", 4, chronicle, "--format", "csv").stdout


def test_head_reads_no_further_than_necessary(cm, flipped, truncated, monkeypatch):
    assert cm("head", "-n", 32, flipped, "--json").exit_code == 0
    assert cm("head", "-n", 32, flipped).exit_code == 0
    assert cm("head", "-n", 33, flipped, "--json").exit_code == 3
    assert cm("head", "-n", 48, truncated).exit_code == 0
    assert cm("head", "-n", 49, truncated).exit_code == 3
    read = []
    batch = cmeta.Reader.batch
    monkeypatch.setattr(cmeta.Reader, "batch", lambda self, i: read.append(i) or batch(self, i))
    cm("head", "-n", 16, flipped, "--json")
    assert set(read) == {0}


def test_a_file_without_a_condition(cm, chronicle):
    result = cm("query", chronicle)
    assert result.exit_code == 2
    assert "expected a FILE followed by an EXPRESSION, such as: cmeta query" in result.stderr
