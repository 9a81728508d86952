"""--start, --end, --phase, --fields: the records printed, and the columns read for them."""

import json
from contextlib import ExitStack

import numpy as np
import pytest

import cmeta
from cmeta.cli.files import open_chronicle
from cmeta.cli.rows import RowStream
from cmeta.reader.selection import Selection


def timestamps(cm, path, *options):
    result = cm("cat", "--json", path, *options)
    assert result.exit_code == 0, result.stderr
    return [json.loads(line)["timestamp"] for line in result.stdout.splitlines()]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), range(1000, 1100)),
        (("--start", 1090), range(1090, 1100)),
        (("--end", 1007), range(1000, 1008)),
        (("--start", 1016, "--end", 1016), [1016]),
        (("--start", 0, "--end", 2**64 - 1), range(1000, 1100)),
        (("--start", "0x3F7", "--end", "0x3f8"), [1015, 1016]),
        (("--phase", "dream"), range(1004, 1100, 5)),
        (("--phase", "dream", "--phase", "validate", "--end", 1009), [1003, 1004, 1008, 1009]),
        (("--phase", "dream,validate", "--end", 1009), [1003, 1004, 1008, 1009]),
        (("--start", 1001, "--end", 1002, "--phase", "validate"), []),
    ],
)
def test_selection_of_records(cm, chronicle, options, expected):
    assert timestamps(cm, chronicle, *options) == list(expected)


def keys(cm, path, fields):
    result = cm("cat", "--json", path, "--fields", fields, "--start", 1050, "--end", 1050)
    assert result.exit_code == 0, result.stderr
    return list(json.loads(result.stdout).items())


def test_selection_of_fields(cm, chronicle):
    assert [key for key, _ in keys(cm, chronicle, "phase,timestamp")] == ["phase", "timestamp"]
    assert keys(cm, chronicle, "phase,phase") == [("phase", "train")]
    with_group, without = keys(cm, chronicle, "metrics.entropy"), keys(cm, chronicle, "entropy")
    assert with_group == without
    assert list(dict(with_group)["metrics"]) == ["entropy"]


def test_selection_of_a_field_with_a_comma_in_its_name(cm, chronicle):
    name = 'late/\N{GREEK SMALL LETTER ALPHA},"b"'
    quoted = '"' + name.replace('"', '""') + '"'
    ((group, metrics),) = keys(cm, chronicle, quoted)
    assert (group, list(metrics)) == ("metrics", [name])
    assert metrics[name] == 50 / 3


def test_selection_prefers_the_exact_name(cm, tmp_path):
    path = tmp_path / "twice.cmeta"
    cmeta.write(path, {"phase": ["train"], "step": [1], "metrics.step": [0.5]})
    found = cm("cat", "--json", path, "--fields", "step").stdout
    assert json.loads(found) == {"step": 1}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--fields", "losss"), ["--fields", "'losss' is not in this file", "loss_value"]),
        (("--fields", "entropi"), ["Did you mean metrics.entropy", "It has: timestamp, phase,"]),
        (("--fields", "qqq"), ["'qqq' is not in this file. It has: timestamp, phase,"]),
        (("--fields", "phase,,step"), ["--fields", "empty name"]),
        (("--phase", "Trian"), ["--phase", "Did you mean train", "It has: dream, train, validate"]),
        (("--start", "soon"), ["--start", "'soon' is not an integer"]),
        (("--start", "-1"), ["--start", "-1 is negative"]),
        (("--start", 1.5), ["--start", "'1.5' is not an integer"]),
        (("--start", 9, "--end", 8), ["--start", "--start 9 is after --end 8"]),
        (("--format", "xml"), ["--format", "'table', 'jsonl', 'csv'"]),
        (("--format", "csv", "--json"), ["--json and --format csv contradict each other"]),
        (("--feilds", "phase"), ["--feilds", "--fields"]),
    ],
)
def test_an_invalid_selection_lists_the_valid_names(cm, chronicle, options, words):
    result = cm("cat", chronicle, *options)
    assert (result.exit_code, result.stdout) == (2, "")
    usage = result.stderr.replace("cli", "cmeta").replace("-h'", "--help'")  # by version of click
    assert "Try 'cmeta cat --help' for help" in usage
    assert all(word in result.stderr for word in words)


def test_an_unknown_field_lists_at_most_a_screen_of_names(cm, tmp_path):
    path = tmp_path / "many.cmeta"
    cmeta.write(path, {"phase": ["train"]} | {f"metrics.m{i}": [1.0] for i in range(100)})
    result = cm("cat", path, "--fields", "x")
    assert "and 80 more." in result.stderr


def test_cat_json_is_short_for_format_jsonl(cm, chronicle):
    short = cm("cat", "--json", chronicle)
    assert short.stdout == cm("cat", "--format", "jsonl", chronicle).stdout
    assert short.stdout == cm("cat", "--format", "jsonl", "--json", chronicle).stdout


@pytest.fixture
def stream_of():
    """Open a chronicle and stream a selection of it."""
    with ExitStack() as stack:

        def make(path, fields=None, start=None, end=None):
            reader = stack.enter_context(open_chronicle(path))
            chosen = None if fields is None else tuple(reader.schema[name] for name in fields)
            return reader, RowStream(reader, Selection.of(reader.schema, start, end, None), chosen)

        yield make


def test_rows_are_read_batch_by_batch(stream_of, chronicle):
    reader, stream = stream_of(chronicle)
    blocks = iter(stream)
    for i in range(1, 8):
        assert next(blocks).num_records == (16 if i < 7 else 4)
        assert reader.stats.num_batches == i
    assert next(blocks, None) is None
    assert stream.num_rows == 100


def test_rows_read_only_the_batches_and_columns_that_are_needed(stream_of, chronicle):
    reader, stream = stream_of(chronicle, ["loss_value"], start=1040, end=1046)
    assert sum(block.num_records for block in stream) == 7
    assert reader.stats.num_batches == 1
    assert reader.stats.num_columns == 3  # the loss, and timestamps and phases to find the rows


def test_rows_of_wide_batches_are_read_in_blocks_of_bounded_size(stream_of, tmp_path, monkeypatch):
    monkeypatch.setattr("cmeta.cli.rows._CELLS_AT_ONCE", 30)
    path = tmp_path / "wide.cmeta"
    cmeta.write(path, {"phase": ["train"] * 25, "step": range(25)})
    reader, stream = stream_of(path)
    blocks = list(stream)
    assert [block.num_records for block in blocks] == [10, 10, 5]
    step = reader.schema["step"]
    found = np.concatenate([block.columns[step][0] for block in blocks])
    assert found.tolist() == list(range(25))
