"""Sparklines: levels, non-finite values, and terminals without block characters."""

import io
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp

from cmeta.cli.chart import is_ascii_only, sparkline

LARGEST = np.finfo("f8").max


def test_levels_range_from_the_lowest_to_the_highest():
    assert sparkline(np.arange(8), ascii_only=False) == "▁▂▃▄▅▆▇█"
    assert sparkline(np.arange(8)[::-1], ascii_only=True) == "#*+=-,._"
    assert sparkline([-LARGEST, 0, LARGEST], ascii_only=False) == "▁▅█"
    assert sparkline([7.0] * 4, ascii_only=False) == "▄▄▄▄"
    assert sparkline([], ascii_only=False) == ""


def test_values_that_are_not_finite_are_marked():
    assert sparkline([np.nan, 0, np.inf, 1], ascii_only=False) == "!▁!█"
    assert sparkline([np.nan, np.nan], ascii_only=False) == "!!"


@settings(max_examples=100, deadline=None)
@given(hnp.arrays("f8", (20,)))
def test_any_values_have_a_sparkline(values):
    for width in (1, 7, 20, 33):
        line = sparkline(values, width, ascii_only=True)
        assert len(line) == min(width, len(values))
        assert set(line) <= set("_.,-=+*#!")
        assert ("!" not in line) or not np.isfinite(values).all()


@pytest.mark.parametrize(
    ("encoding", "expected"), [("ascii", True), ("latin-1", True), ("utf-8", False)]
)
def test_blocks_are_used_only_where_stdout_can_show_them(monkeypatch, encoding, expected):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    assert is_ascii_only() is expected
    assert sparkline([0, 1]).isascii() is expected
