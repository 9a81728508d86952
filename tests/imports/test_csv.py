"""CSV of the csv module, of pandas, and of cmeta."""

import csv
import math

import numpy as np
import pandas as pd
import pytest

import cmeta

NAN, INF = math.nan, math.inf
LOSSES = [0.1 + 0.2, NAN, INF, -INF, 1e-300]


@pytest.fixture
def rows(tmp_path):
    """Write rows by the csv module."""

    def write(header, *others, name="log.csv", **options):
        path = tmp_path / name
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, **options)
            writer.writerow(header)
            writer.writerows(others)
        return path

    return write


@pytest.mark.parametrize("options", [{}, {"delimiter": "\t"}, {"delimiter": ";", "quoting": 1}])
def test_the_csv_module(imported, rows, options):
    source = rows(
        ["step", "loss", "train/acc, top 5", 'a "b"', "split"],
        [0, 0.1 + 0.2, 1, "", "train"], [10, "nan", 0.5, 7, "val"], [20, "", "-Infinity", 8, ""],
        **options,
    )  # fmt: skip
    found = imported(source)
    assert found.report.format == "csv"
    assert found.values("timestamp") == found.values("step") == [0, 10, 20]
    assert found.values("phase") == ["train", "validate", "train"]
    np.testing.assert_array_equal(found.values("loss_value")[:2], [0.1 + 0.2, NAN])
    assert found.values("loss_value")[2] is None
    assert found.values("metrics.train/acc, top 5") == [1, 0.5, -INF]
    assert found.values('metrics.a "b"') == [None, 7, 8]
    assert found.report.ok


def test_pandas(imported, tmp_path):
    source = tmp_path / "log.csv"
    frame = pd.DataFrame(
        {
            "epoch": [0, 1, 2, 3, 4], "loss": LOSSES, "seed": np.uint64(2**64 - 1) - np.arange(5, dtype=np.uint64),
            "ok": [True, False, True, True, True], "split": ["train"] * 4 + ["test"],
        }
    )  # fmt: skip
    frame.to_csv(source, na_rep="nan")
    found = imported(source)
    np.testing.assert_array_equal(found.values("loss_value"), LOSSES)
    assert found.values("epoch") == [0, 1, 2, 3, 4]
    assert found.values("seed_state") == frame["seed"].tolist()
    assert found.values("metrics.ok") == [1, 0, 1, 1, 1]
    assert found.values("phase") == ["train"] * 4 + ["test"]
    note = "1 column without a name, as pandas writes its index, is left out"
    assert note in found.report.notes
    assert found.report.ok


def test_integers_that_pandas_made_floats(imported, tmp_path):
    source = tmp_path / "log.csv"
    pd.DataFrame({"step": [1, 2, None], "loss": [1.0, 2.0, 3.0]}).to_csv(source, index=False)
    found = imported(source)
    assert found.values("step") == [1, 2, None]
    assert found.values("timestamp") == [1, 2, 2]


def test_text_is_reported_and_labels_are_kept(imported, rows):
    source = rows(["action_code", "state", "host"], ["adjust_lr", "stable", "a"], ["", "", "b"])
    found = imported(source)
    assert found.values("action_code") == ["adjust_lr", None]
    assert found.values("metrics.state") == ["stable", None]
    assert found.report.notes == ("host: text of 2 records is not kept, such as 'a' (line 2)",)
    assert found.report.ok


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n1,2,3\n", "line 3: found 3 cells, expected 2"),
        ("a,b\n1,2\n\n1\n", "line 4: found 1 cell, expected 2"),
        ("a,a\n1,2\n", "line 1: found two columns 'a', expected one"),
        ('a,b\n1,"2\n', "line 2: not CSV: unexpected end of data"),
        (b"a,b\n1,\xff\n", "line 2, byte 3: not UTF-8"),
        (b"a,\xff\n1,2\n", "line 1, byte 3: not UTF-8"),
    ],
)
def test_files_that_are_not_csv(imported, tmp_path, text, message):
    source = tmp_path / "log.csv"
    source.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(cmeta.EncodeError, match=message) as caught:
        imported(source, format="csv")
    assert str(source) in str(caught.value)


def test_cells_with_line_ends_count_as_lines(imported, rows):
    source = rows(["x", "note"], [1, "one\ntwo"], [2, "three"])
    found = imported(source)
    assert found.report.notes == (
        "note: text of 2 records is not kept, such as 'one\\ntwo' (line 3)",
    )


def test_many_blocks_and_kinds_that_change(imported, rows):
    values = [*range(5000), 0.5, *range(5000), 2**53 + 1]
    found = imported(rows(["x", "step"], *zip(values, range(len(values)), strict=True)))
    kept = found.values("metrics.x")
    assert kept[:-1] == values[:-1]
    assert kept[-1] is None
    assert "line 10003" in found.report.lost[0]


def test_a_header_alone_and_an_empty_file(imported, text):
    assert imported(text("log.csv", "step,loss")).report.num_records == 0
    with pytest.raises(cmeta.EncodeError, match="found an empty file, expected a line of names"):
        imported(text("log.csv", "", end=""), format="csv")


def test_prose_is_not_a_table(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("hello there, this is not it\n")
    with pytest.raises(
        cmeta.EncodeError, match="found a file that begins with b'hello there, thi'"
    ):
        cmeta.import_run(path, tmp_path / "run.cmeta")
    path.write_text("step,loss\n")  # a run that has not begun
    assert cmeta.import_run(path, tmp_path / "run.cmeta").num_records == 0
