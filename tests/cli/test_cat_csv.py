"""`cmeta cat --format csv`: exact values, and columns fixed by the first line."""

import csv
import io

import numpy as np

import cmeta


def rows_of(cm, path, *options):
    result = cm("cat", "--format", "csv", path, *options)
    assert result.exit_code == 0, result.stderr
    return list(csv.reader(io.StringIO(result.stdout)))


def test_cat_csv_round_trips(cm, chronicle):
    header, *rows = rows_of(cm, chronicle)
    with cmeta.open(chronicle) as run:
        read = run.read()
    assert header == [
        "timestamp", "phase", "metrics.entropy", "metrics.val_accuracy", "metrics.state",
        *(f"tensor_signature[{i}]" for i in range(3)), "loss_value", "seed_state", "config",
        'metrics.late/\N{GREEK SMALL LETTER ALPHA},"b"',
    ]  # fmt: skip
    columns = dict(zip(header, zip(*rows, strict=True), strict=True))
    for title, cells in columns.items():
        name, _, component = title.partition("[")
        values, present = read[name], read.present[name]
        if component:
            values = values[:, int(component[:-1])]
        assert [cell != "" for cell in cells] == present.tolist()
        found = np.array([cell for cell in cells if cell]).astype(values.dtype)
        np.testing.assert_array_equal(found, values[present], strict=True)
    assert columns["loss_value"][1:4] == ("NaN", "Infinity", "-Infinity")
    assert columns["loss_value"][10] == ""
    assert columns["seed_state"][1] == str(0x9E3779B97F4A7C15)


def test_cat_csv_is_plain_text_with_unix_lines(cm, chronicle):
    text = cm("cat", "--format", "csv", chronicle).stdout
    assert text.splitlines()[0].endswith(',"metrics.late/\N{GREEK SMALL LETTER ALPHA},""b"""')
    assert "\r" not in text
    assert text.count("\n") == 101


def test_cat_csv_has_only_the_columns_of_the_selection(cm, chronicle):
    assert "metrics.val_accuracy" not in rows_of(cm, chronicle, "--phase", "train")[0]
    assert not any("late" in name for name in rows_of(cm, chronicle, "--end", "1049")[0])
    assert any("late" in name for name in rows_of(cm, chronicle, "--end", "1050")[0])
    asked_for = rows_of(cm, chronicle, "--fields", "coherence,phase", "--end", "1000")
    assert asked_for == [["coherence", "phase"], ["", "train"]]


def test_cat_csv_keeps_a_record_whose_only_cell_is_empty(cm, chronicle):
    rows = rows_of(cm, chronicle, "--fields", "val_accuracy", "--end", "1003")
    assert rows == [["metrics.val_accuracy"], [""], [""], [""], ["0.03"]]


def test_cat_csv_of_an_empty_chronicle_is_a_header(cm, empty):
    assert rows_of(cm, empty) == [["timestamp", "phase"]]


def test_cat_csv_quotes_labels(cm, tmp_path):
    path = tmp_path / "labels.cmeta"
    names = ["a,b", 'say "x"', "two\nlines", " edge ", "plain"]
    cmeta.write(path, {"phase": names}, cmeta.default_schema().with_phases(*names))
    assert rows_of(cm, path, "--fields", "phase") == [["phase"], *([name] for name in names)]
