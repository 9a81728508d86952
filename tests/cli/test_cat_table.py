"""`cmeta cat` for people: aligned columns, only of fields that occur."""

import re

import numpy as np

import cmeta


def table_of(cm, path, *options):
    result = cm("cat", path, *options)
    assert result.exit_code == 0, result.stderr
    return result.stdout.splitlines()


def cells_of(lines):
    """Return the cells of lines, which the rule below the header delimits."""
    spans = [match.span() for match in re.finditer("-+", lines[1])]
    for line in lines:
        covered = {i for start, end in spans for i in range(start, end)}
        assert all(char == " " for i, char in enumerate(line) if i not in covered)
    return [[line[start:end].strip() for start, end in spans] for line in lines]


def test_cat_table(cm, chronicle):
    header, _, *rows = cells_of(table_of(cm, chronicle, "--end", "1012"))
    assert header == [
        "timestamp", "phase", "entropy", "val_accuracy", "state", "tensor_signature",
        "loss_value", "seed_state", "config",
    ]  # fmt: skip
    assert len(rows) == 13
    assert rows[0][:2] == ["1000", "train"]
    assert [row[6] for row in rows[:4]] == ["1", "NaN", "Infinity", "-Infinity"]
    assert rows[5][6] == "0.882497"
    assert rows[10][6] == ""
    assert rows[1][7] == str(0x9E3779B97F4A7C15)
    assert re.fullmatch(r"\[-?[\d.]+ -?[\d.]+ -?[\d.]+\]", rows[0][5])


def test_cat_table_aligns_numbers_right_and_names_left(cm, chronicle):
    lines = table_of(cm, chronicle, "--fields", "phase,timestamp,loss_value", "--end", "1004")
    assert lines == [
        "phase     timestamp  loss_value",
        "--------  ---------  ----------",
        "train          1000           1",
        "train          1001         NaN",
        "train          1002    Infinity",
        "validate       1003   -Infinity",
        "dream          1004    0.904837",
    ]


def test_cat_table_repeats_the_header_when_later_rows_are_wider(cm, tmp_path, monkeypatch):
    monkeypatch.setattr("cmeta.cli.formats._ROWS_FOR_WIDTHS", 10)
    path = tmp_path / "wide.cmeta"
    schema = cmeta.default_schema().with_batch_records(16).with_phases("a_much_longer_phase")
    phases = ["train"] * 16 + ["a_much_longer_phase"] * 2
    cmeta.write(path, {"phase": phases}, schema)
    lines = table_of(cm, path)
    again = lines.index("")
    cells_of(lines[:again])
    assert cells_of(lines[again + 1 :])[2:] == [
        ["16", "a_much_longer_phase"],
        ["17", "a_much_longer_phase"],
    ]
    assert len(lines) == 2 + 16 + 1 + 2 + 2
    monkeypatch.undo()
    assert len(table_of(cm, path)) == 2 + 18  # known beforehand


def test_cat_table_aligns_names_of_double_width(cm, tmp_path):
    path = tmp_path / "wide.cmeta"
    schema = cmeta.default_schema().with_phases("\N{CJK UNIFIED IDEOGRAPH-8A13}" * 2)
    cmeta.write(path, {"phase": ["train", schema.phases[-1]], "step": [7, 8]}, schema)
    lines = table_of(cm, path, "--fields", "phase,step")
    assert lines[2:] == ["train     7", "\N{CJK UNIFIED IDEOGRAPH-8A13}" * 2 + "      8"]


def test_cat_table_distinguishes_names_of_two_groups(cm, tmp_path):
    path = tmp_path / "twice.cmeta"
    cmeta.write(path, {"phase": ["train"], "step": [1], "metrics.step": [0.5]})
    assert cells_of(table_of(cm, path))[0] == ["timestamp", "phase", "step", "metrics.step"]


def test_cat_table_cuts_long_vectors(cm, tmp_path):
    path = tmp_path / "vector.cmeta"
    schema = cmeta.default_schema().with_metrics(v={"type": "f64[9]", "exact": True})
    cmeta.write(path, {"phase": ["train"], "metrics.v": np.arange(9.0)[None]}, schema)
    assert table_of(cm, path, "--fields", "v")[2] == "[0 1 2 3 4 5 ...]"


def test_cat_table_escapes_control_characters_of_the_file(cm, tmp_path):
    path = tmp_path / "hostile.cmeta"
    schema = cmeta.default_schema().with_phases("\x9b2J\a")
    cmeta.write(path, {"phase": ["\x9b2J\a"], "metrics.\x9b": [1.0]}, schema)
    assert all(line.isprintable() for line in table_of(cm, path))


def test_cat_table_without_records(cm, chronicle, empty):
    result = cm("cat", chronicle, "--start", 5000)
    assert (result.exit_code, result.stdout) == (0, "")
    expected = f"Note: no matching records; {chronicle} has timestamps 1000 to 1099\n"
    assert result.stderr == expected
    assert cm("cat", empty).stderr == f"Note: {empty} has no records\n"
