"""`cmeta summary`: one run, several side by side, JSON, and unreadable files."""

import json
import re

import numpy as np
import pytest
from click.testing import CliRunner

import cmeta
from cmeta.cli.app import cli


@pytest.fixture
def run(tmp_path):
    """Write a run with statistics that are easy to check."""

    def write(name="run", factor=1.0, **columns):
        place = np.arange(40)
        path = tmp_path / f"{name}.cmeta"
        path.parent.mkdir(exist_ok=True)
        defaults = {
            "phase": np.where(place % 4 == 3, "validate", "train"),
            "loss_value": factor * (40 - place),
            "metrics.val_accuracy": np.ma.MaskedArray(place / 100, place % 4 != 3),
            "step": place,
        }
        cmeta.write(path, {**defaults, **columns})
        return path

    return write


def table_of(result):
    """Return the cells of each row by its section and name."""
    found, section, titles = {}, "", []
    for line in result.stdout.splitlines():
        if line.startswith("field"):
            titles = line.split()
        elif line.startswith("  ") and titles:
            cells = line.split()
            found[section, cells[0]] = dict(zip(titles[1:], cells[1:], strict=False))
        else:
            section = line.partition(":")[0]
    return found


def test_summary_of_a_run(cm, run):
    path = run()
    result = cm("summary", path)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[0] == f"{path}: closed, 40 records, timestamps 0 to 39"
    assert "\ntrain: 30 records\n" in result.stdout
    assert "\x1b" not in result.stdout
    table = table_of(result)
    assert list(table) == [
        ("train", "loss_value"), ("train", "step"),
        ("validate", "val_accuracy"), ("validate", "loss_value"), ("validate", "step"),
    ]  # fmt: skip
    loss = table["train", "loss_value"]
    course = loss.pop("course")
    assert loss == {
        "count": "30", "last": "2", "min": "2", "max": "40", "mean": "21", "deviation": "11.5",
        "slope": "-1",
    }  # fmt: skip
    assert re.fullmatch("[▁▂▃▄▅▆▇█]{16}", course)
    assert (course[0], course[-1]) == ("█", "▁")


def test_summary_of_a_selection(cm, run):
    result = cm("summary", run(), "--phase", "validate", "--fields", "val_accuracy", "--end", 19)
    assert list(table_of(result)) == [("validate", "val_accuracy")]
    assert table_of(result)["validate", "val_accuracy"]["count"] == "5"
    result = cm("summary", run(), "--stats", "nan,last", "--fields", "loss_value")
    assert table_of(result)["train", "loss_value"] == {"NaN": "0", "last": "2"}


def test_nan_and_infinities_are_counted(cm, run):
    loss = np.arange(40.0)
    loss[[4, 5, 38]] = np.nan, np.inf, np.nan
    loss[39] = -np.inf
    table = table_of(cm("summary", run(loss_value=loss)))
    assert table["train", "loss_value"]["NaN"] == "2"
    assert table["train", "loss_value"]["infinite"] == "1"
    assert table["train", "loss_value"]["last"] == "NaN"
    assert table["validate", "loss_value"]["last"] == "-Infinity"
    assert table["validate", "loss_value"]["max"] == "35"


def test_several_runs_side_by_side(cm, run):
    a, b = run("first"), run("second", factor=2.0, **{"metrics.extra": np.full(40, 7.0)})
    result = cm("summary", a, b, "--stats", "last,max", "--phase", "train")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert [line.split(":")[0] for line in lines[:2]] == [str(a), str(b)]
    assert lines[3].split() == ["first", "second"]
    assert lines[4].split() == ["field", "last", "max", "last", "max"]
    assert lines[5] == "train"
    rows = {line.split()[0]: line.split()[1:] for line in lines[6:]}
    assert rows == {
        "loss_value": ["2", "40", "4", "80"], "step": ["38", "38", "38", "38"], "extra": ["7", "7"],
    }  # fmt: skip
    assert lines[-1].index("7") > lines[3].index("second")


def test_runs_have_short_names(cm, run):
    a, b = run("one/run"), run("two/run")
    result = cm("summary", a.parent, b.parent.parent / "t*", "--stats", "last")
    assert result.stdout.splitlines()[3].split() == ["one/run", "two/run"]
    long = [run("a-very-long-name-of-a-run-1"), run("a-very-long-name-of-a-run-2")]
    result = cm("summary", *long, "--stats", "last")
    assert result.stdout.splitlines()[3].split() == [
        "a-very-lo...-a-run-1",
        "a-very-lo...-a-run-2",
    ]
    assert cm("summary", a, a, "--stats", "last").stdout.count(str(a)) == 1


@pytest.mark.parametrize("width", [50, 80, 140])
def test_hidden_statistics_are_noted(cm, run, monkeypatch, width):
    monkeypatch.setattr("cmeta.cli.table.terminal_width", lambda: width)
    paths = [run(name) for name in ("first", "second", "third")]
    for given in ([paths[0]], paths):
        result = cm("summary", *given)
        table = result.stdout.partition("\n\n")[2]
        assert max(map(len, table.splitlines())) <= width
        assert "last" in table
        assert ("no room for: " in result.stderr) == (width < 140 or len(given) == 3)
    assert "third" in table


def test_an_unknown_name(cm, run):
    a, b = run("first"), run("second", **{"metrics.extra": np.ones(40)})
    assert cm("summary", a, b, "--fields", "extra").exit_code == 0
    for options, message in (
        (["--fields", "nothing"], "Invalid value for '--fields': 'nothing' is not in this file."),
        (["--phase", "tune"], "Invalid value for '--phase': 'tune' is not in this file."),
        (["--fields", "phase"], "phase is of type enum, expected a numeric field."),
        (
            ["--start", "9", "--end", "3"],
            "Invalid value for '--start': --start 9 is after --end 3.",
        ),
        (["--stats", "median"], "Invalid value for '--stats': 'median' is not one of: count, nan,"),
    ):
        result = cm("summary", a, b, *options)
        assert (result.exit_code, result.stdout) == (2, "")
        assert message in result.stderr


def test_no_records_to_summarise(cm, empty, run):
    result = cm("summary", empty)
    assert (result.exit_code, result.stdout) == (0, f"{empty}: closed, 0 records\n")
    assert result.stderr == "Note: no numeric values to summarise\n"
    assert cm("summary", run(), "--start", 1000).exit_code == 0


def test_json(cm, run, empty):
    path = run(step=np.full(40, 2**64 - 1, "u8"), loss_value=[np.nan] * 40)
    result = cm("summary", "--json", path, empty)
    assert (result.exit_code, result.stderr) == (0, "")
    one, two = map(json.loads, result.stdout.splitlines())
    assert (one["file"], one["phases"]) == (str(path), {"train": 30, "validate": 10})
    fields = {(f["phase"], f["field"]): f for f in one["fields"]}
    assert fields["train", "step"]["max"] == "0xFFFFFFFFFFFFFFFF"
    loss = fields["train", "loss_value"]
    assert (loss["num_nan"], loss["last"], loss["mean"]) == (30, "NaN", None)
    assert (two["file"], two["num_records"], two["fields"]) == (str(empty), 0, [])


def test_damaged_batches_are_skipped_and_reported(cm, flipped, truncated, chronicle):
    result = cm("summary", flipped, "--fields", "entropy", "--stats", "count")
    assert result.exit_code == 3
    assert result.stdout.startswith(f"{flipped}: damaged, 84 records, timestamps 1000 to 1099\n")
    lost = "its 16 records, timestamps 1032 to 1047, are left out"
    assert re.search(
        rf"^Error: {re.escape(str(flipped))}: offset \d+, BATCH.*; {lost}$", result.stderr
    )
    counts = [int(row["count"]) for row in table_of(result).values()]
    assert sum(counts) == 84
    result = cm("summary", truncated, chronicle, "--stats", "count")
    assert result.exit_code == 3
    assert str(chronicle) in result.stdout and str(chronicle) not in result.stderr
    assert cm("summary", flipped, "--start", 1048).exit_code == 0


def test_an_unreadable_file_does_not_stop_the_others(cm, chronicle, not_a_chronicle, tmp_path):
    result = cm("summary", tmp_path / "missing.cmeta", chronicle, "--stats", "last")
    assert (result.exit_code, len(table_of(result)) > 3) == (2, True)
    assert result.stderr.count("No such file") == 1
    result = cm("summary", not_a_chronicle, chronicle, "--fields", "loss_value")
    assert (result.exit_code, len(table_of(result))) == (3, 3)
    assert cm("summary").exit_code == 2


def test_an_open_file(cm, still_open):
    result = cm("summary", still_open)
    assert result.exit_code == 0
    assert result.stderr.startswith(f"Note: {still_open} is open: never closed")
    assert ": open, " in result.stdout


def test_control_characters_in_names_are_escaped(cm, run):
    result = cm("summary", run(**{"metrics.x\x1b[2J\ny": np.ones(40)}))
    assert "\x1b" not in result.stdout
    assert r"x\x1b[2J\ny" in result.stdout


def test_without_blocks_or_colour_in_a_pipe(process, run):
    with process("summary", run(), env={"PYTHONIOENCODING": "ascii"}) as child:
        found, errors = child.communicate()
    assert (child.returncode, errors) == (0, b"")
    assert b"#" in found and found.isascii() and b"\x1b" not in found


def test_standard_input(run):
    result = CliRunner().invoke(cli, ["summary", "-", "--stats", "last"], input=run().read_bytes())
    assert result.exit_code == 0
    assert result.stdout.startswith("<stdin>: closed, 40 records")
    assert table_of(result)["train", "loss_value"] == {"last": "2"}
