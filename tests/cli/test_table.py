"""The one terminal table: widths, folding, groups, and columns that do not fit."""

import json

import pytest

from cmeta.cli.table import Column, Table, folded, write_pairs


@pytest.fixture
def width(monkeypatch):
    """Set the width of the terminal; None is a pipe."""

    def set_width(columns):
        monkeypatch.setattr("cmeta.cli.table.terminal_width", lambda: columns)

    set_width(None)
    return set_width


def test_columns_are_aligned_and_widened_page_by_page(width, capsys):
    table = Table([Column("name", is_left=True), Column("n")], has_rule=True)
    table.write([["a"], ["1"]])
    table.write([["b"], ["2"]])
    table.write([["longer"], ["300"]])
    assert capsys.readouterr().out.splitlines() == [
        "name  n", "----  -", "a     1", "b     2", "", "name      n", "------  ---", "longer  300",
    ]  # fmt: skip
    assert table.num_rows == 3


@pytest.mark.parametrize(("columns", "hidden"), [(None, []), (14, []), (13, ["b c"]), (1, ["b c"])])
def test_columns_that_do_not_fit_are_hidden_except_the_first(width, capsys, columns, hidden):
    width(columns)
    table = Table([Column("a"), Column("c", group="b")])
    table.write([["123456"], ["123456"]])
    assert table.hidden == hidden
    assert ("b" in capsys.readouterr().out) == (not hidden)


def test_long_cells_are_folded_on_a_terminal_only(width, capsys):
    cells = [["phase", "x"], ["7", "8"], ["dream, train, validate", "exact"]]
    columns = [Column("name", is_left=True), Column("n"), Column("values", True, is_folded=True)]
    Table(columns, indent="  ").write(cells, styles=["dim", ""])
    assert "dream, train, validate" in capsys.readouterr().out
    width(24)
    Table(columns, indent="  ").write(cells, styles=["dim", ""])
    assert capsys.readouterr().out.splitlines() == [
        "  name   n  values",
        "  phase  7  dream,",
        "            train,",
        "            validate",
        "  x      8  exact",
    ]


def test_a_folded_column_keeps_a_minimum_width(width, capsys):
    width(3)
    Table([Column("values", True, is_folded=True)]).write([["0123456789abcdef"]])
    assert capsys.readouterr().out.splitlines() == ["values", "0123456789", "abcdef"]


def test_folding_counts_terminal_columns_and_terminates():
    wide = "\N{CJK UNIFIED IDEOGRAPH-8A13}"
    assert folded(wide * 5, 4) == [wide * 2, wide * 2, wide]
    assert folded(wide, 1) == [wide]
    assert folded("", 5) == [""]


def test_pairs(width, capsys):
    pairs = [("file", "a/rather/long/path.cmeta"), ("n", "1")]
    write_pairs(pairs)
    assert capsys.readouterr().out == "file  a/rather/long/path.cmeta\nn     1\n"
    width(20)
    write_pairs(pairs)
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["file  a/rather/long/", "      path.cmeta", "n     1"]


def test_alarming_cells_are_coloured_on_a_terminal(width, capsys, monkeypatch):
    monkeypatch.setattr("cmeta.cli.console.has_colour", lambda stream: True)
    Table([Column("n", is_alarming=lambda cell: cell == "NaN")]).write([["1", "NaN"]])
    lines = capsys.readouterr().out.splitlines()
    assert [json.dumps(line) for line in lines[1:]] == [
        '"  1"', json.dumps("\x1b[31mNaN\x1b[0m"),
    ]  # fmt: skip


@pytest.mark.parametrize("columns", [40, 60, 200])
def test_info_fits_a_terminal(cm, chronicle, width, columns):
    width(columns)
    text = cm("info", chronicle).stdout
    head = text.partition("\nUndeclared")[0].splitlines()
    room = max(columns, 2 + 5 * 10 + 4 * 2)  # folded columns have a minimum width
    assert max(map(len, head)) <= room
    assert "validate" in text
