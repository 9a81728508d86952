import re

import chart
import numpy as np
import pytest

import cmeta


def draw(path, columns, **options):
    cmeta.write(path, columns)
    with cmeta.open(path) as reader:
        return chart.loss_chart(reader, **{"width": 60, "colour": False, **options})


@pytest.fixture
def falling():
    return {"phase": ["train"] * 400, "loss_value": np.geomspace(5, 0.05, 400)}


@pytest.mark.parametrize("width", [40, 80, 100])
def test_chart_fits_and_is_plain_without_colour(tmp_path, falling, width):
    drawn = draw(tmp_path / "run.cmeta", falling, width=width)
    lines = drawn.splitlines()
    assert max(map(len, lines)) == width
    assert "\033" not in drawn
    assert lines[0] == "loss   t train"


def test_chart_draws_a_falling_loss_falling(tmp_path, falling):
    rows = draw(tmp_path / "run.cmeta", falling).splitlines()[2:-2]
    places = [row.partition("┤")[2].find("t") for row in rows if "t" in row and "┤" in row]
    assert len(places) >= 4
    assert places == sorted(places)


def test_chart_marks_round_numbers(tmp_path, falling):
    drawn = draw(tmp_path / "run.cmeta", falling, width=80)
    assert set(re.findall(r"([\d.]+)┤", drawn)) >= {"0.1", "0.5", "2"}
    assert drawn.splitlines()[-1].split() == ["100", "200", "300"]


def test_coloured_chart_has_the_curves_of_all_phases(run):
    with cmeta.open(run.path) as reader:
        drawn = chart.loss_chart(reader, 80, colour=True)
    assert len(set(re.findall(r"\033\[38;5;\d+m", drawn))) == 3
    plain = re.sub(r"\033\[[\d;]*m", "", drawn)
    assert max(map(len, plain.splitlines())) <= 80
    assert "━ dream   ━ train   ━ validate" in plain


def test_a_chart_shows_nothing_of_the_one_before(tmp_path, falling):
    flat = {"phase": ["dream"] * 9, "loss_value": np.full(9, 0.3)}
    first = draw(tmp_path / "one.cmeta", falling)
    assert draw(tmp_path / "two.cmeta", flat).count("t") == 0
    assert draw(tmp_path / "one.cmeta", falling) == first


@pytest.mark.parametrize("losses", [[np.nan, np.inf], [0.0, -1.0], None])
def test_nothing_to_draw_is_said(tmp_path, losses):
    columns = {"phase": ["train", "train"]} | ({} if losses is None else {"loss_value": losses})
    assert draw(tmp_path / "run.cmeta", columns) == "no finite loss to draw"


def test_a_single_loss_is_drawn(tmp_path):
    assert draw(tmp_path / "run.cmeta", {"phase": ["train"], "loss_value": [0.5]}).count("t") >= 2
