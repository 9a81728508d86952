"""`cmeta plot`: its pictures, in a pipe and on a terminal."""

import math
import re
import sys
from decimal import Decimal

import numpy as np
import pytest
from click.testing import CliRunner

import cmeta
from cmeta.cli.app import cli
from cmeta.cli.chart import ChartStyle, line_chart, linear_ticks, log_ticks
from cmeta.tools.summary.plot_data import BinnedCurve

LARGEST = np.finfo("f8").max


@pytest.fixture
def run(tmp_path):
    """Write a run of a lossless loss."""
    schema = cmeta.default_schema().with_batch_records(64).with_options(
        "loss_value", type="f64", exact=True
    )  # fmt: skip

    def write(loss, name="run", **columns):
        path = tmp_path / f"{name}.cmeta"
        columns = {"phase": ["train"] * len(loss), "loss_value": loss, **columns}
        cmeta.write(path, columns, schema)
        return path

    return write


def canvas(result, nth=0):
    """Return the rows of a picture, without their frame."""
    assert result.exit_code == 0, result.stderr
    tops = [i for i, line in enumerate(result.stdout.splitlines()) if "┌" in line]
    rows = []
    for line in result.stdout.splitlines()[tops[nth] + 1 :]:
        if "└" in line:
            break
        rows.append(re.split("[│┤]", line)[1])
    return rows


def columns_of(rows, letter="a"):
    """Return the rows of each column that hold a letter."""
    width = max(map(len, rows))
    return [[y for y, row in enumerate(rows) if row[x : x + 1] == letter] for x in range(width)]


def test_a_rising_line_rises(cm, run):
    rows = canvas(cm("plot", run(np.arange(300.0)), "--width", 60, "--height", 12))
    heights = [min(ys) for ys in columns_of(rows) if ys]
    assert len(heights) > 50
    assert heights == sorted(heights, reverse=True)
    assert (heights[0], heights[-1]) == (len(rows) - 1, 0)


@pytest.mark.parametrize("width", [40, 80, 141])
def test_a_picture_fits_and_is_plain_in_a_pipe(cm, run, width):
    result = cm("plot", run(np.sin(np.arange(999) / 50)), "--width", width)
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= width
    assert lines[0] == "loss_value   a train"
    assert lines[-2].strip() == "timestamp"
    assert "\x1b" not in result.stdout
    assert len(canvas(result)) == 17


def test_no_spike_is_lost(cm, run):
    loss = np.zeros(100_000)
    loss[[31_234, 71_234]] = 1.0, -1.0
    found = columns_of(canvas(cm("plot", run(loss), "--width", 60, "--height", 13)))
    (up,) = [x for x, ys in enumerate(found) if 0 in ys]
    (down,) = [x for x, ys in enumerate(found) if max(ys) == 9]
    assert up / len(found) == pytest.approx(0.312, abs=0.02)
    assert down / len(found) == pytest.approx(0.712, abs=0.02)


def test_nan_and_infinities_are_gaps_and_counted(cm, run):
    loss = np.full(1000, 2.0)
    loss[400:500], loss[500:600] = np.nan, np.inf
    result = cm("plot", run(loss), "--width", 60)
    drawn = [bool(ys) for ys in columns_of(canvas(result))]
    gap = "".join("#" if one else " " for one in drawn)
    assert re.fullmatch("#+ +#+ *", gap)
    assert gap.count(" ") / len(gap) == pytest.approx(0.2, abs=0.05)
    assert "not drawn: train: 100 NaN, 100 infinite\n" in result.stdout
    nothing = cm("plot", run([np.nan] * 3, "nan"))
    assert "no finite values\nnot drawn: train: 3 NaN\n" in nothing.stdout


def test_sparse_values_are_connected(cm, run):
    loss = np.ma.MaskedArray(np.arange(1000.0), np.arange(1000) % 100 != 0)
    assert all(columns_of(canvas(cm("plot", run(loss), "--width", 60)))[:50])


def test_a_logarithmic_scale(cm, run):
    loss = np.geomspace(1e-3, 1e3, 600)
    straight = canvas(cm("plot", run(loss), "--log", "--width", 60))
    heights = [np.mean(ys) for ys in columns_of(straight) if ys]
    assert np.ptp(np.diff(heights)) <= 2
    loss[:4] = 0, -1, np.nan, np.inf
    result = cm("plot", run(loss), "--log")
    assert "not drawn: train: 1 NaN, 1 infinite, 2 not positive\n" in result.stdout
    assert re.search(r"^ +100┤", result.stdout, re.M)
    assert "no positive values" in cm("plot", run([0.0, -1.0]), "--log").stdout


@pytest.mark.parametrize(
    "loss",
    [[1.0], [0.0, 0.0], [LARGEST, -LARGEST, 0], [5e-324, 1e-323], [1e16, 1e16 + 2], [LARGEST] * 3],
)
@pytest.mark.parametrize("log", [[], ["--log"]])
def test_any_values_can_be_drawn(cm, run, loss, log):
    result = cm("plot", run(loss), *log)
    assert result.exit_code == 0
    assert ("no positive values" in result.stdout) == bool(log and max(loss) <= 0)


def test_several_runs_and_phases_in_one_picture(cm, run):
    phases = np.where(np.arange(200) % 2, "validate", "train")
    paths = [
        run(np.full(200, level), name, phase=phases) for name, level in (("one", 1.0), ("two", 2.0))
    ]
    result = cm("plot", *paths)
    legend = "loss_value   a one train   b one validate   c two train   d two validate"
    assert result.stdout.splitlines()[0] == legend
    result = cm("plot", *paths, "--phase", "train")
    assert result.stdout.splitlines()[0] == "loss_value, train   a one   b two"
    rows = canvas(result)
    assert "b" in rows[0] and "a" in rows[-1]
    assert cm("plot", *paths, "--width", 40).stdout.splitlines()[1].startswith("  ")


def test_a_picture_for_each_field(cm, run):
    path = run(np.arange(50.0), step=np.arange(50) * 10)
    result = cm("plot", path, "--fields", "loss_value,step,tensor_signature", "--height", 8)
    titles = [line.split()[0] for line in result.stdout.splitlines() if "train" in line]
    assert titles == ["loss_value", "step"]
    assert len(canvas(result, 1)) == 5


def test_another_field_on_the_horizontal_axis(cm, run):
    path = run([1.0, 2.0, 3.0, 4.0], step=np.ma.MaskedArray([10, 20, 15, 0], [0, 0, 0, 1]))
    result = cm("plot", path, "--x", "step", "--width", 60)
    assert result.stdout.splitlines()[-3].strip() == "step"
    assert "not drawn: train: 1 without step\n" in result.stdout
    found = [min(ys) for ys in columns_of(canvas(result)) if ys]
    assert found[0] == 16
    assert 0 in found[20:40]
    other = run([1.0], "other")
    for options, message in (
        (["--x", "nothing"], "Invalid value for '--x': 'nothing' is not in this file."),
        (["--x", "phase"], "Invalid value for '--x': phase is of type enum, expected a numeric"),
        (["--x", "tensor_signature"], "tensor_signature is of type f32[3], expected"),
        (["--fields", "config"], "config is of type config, expected a numeric field"),
        (["--width", "3"], "Invalid value for '--width'"),
    ):
        result = cm("plot", path, other, *options)
        assert (result.exit_code, result.stdout) == (2, "")
        assert message in result.stderr
    result = cm("plot", other, "--fields", "step")
    assert (result.exit_code, result.stderr) == (0, "Note: no values to draw\n")


def test_timestamps_of_nanoseconds(cm, run):
    first = 1_760_000_000_000_000_000
    when = first + np.arange(100, dtype="u8") * np.uint64(10**9)
    rows = canvas(cm("plot", run(np.arange(100.0), timestamp=when), "--width", 80))
    heights = [min(ys) for ys in columns_of(rows) if ys]
    assert heights == sorted(heights, reverse=True)
    assert len(set(heights)) == len(rows)


def test_damaged_batches_are_left_out_and_reported(
    cm, flipped, not_a_chronicle, chronicle, still_open, tmp_path
):
    result = cm("plot", flipped, "--fields", "entropy")
    assert (result.exit_code, "┌" in result.stdout) == (3, True)
    assert result.stderr.count("its 16 records, timestamps 1032 to 1047, are left out") == 1
    result = cm("plot", not_a_chronicle, chronicle)
    assert (result.exit_code, "┌" in result.stdout, result.stderr.count("\n")) == (3, True, 1)
    assert cm("plot", chronicle, tmp_path / "missing.cmeta").exit_code == 2
    result = cm("plot", still_open)
    assert (result.exit_code, result.stderr.count("is open: never closed")) == (0, 1)


def test_colour_and_dots_on_a_terminal(run, monkeypatch):
    for module in ("commands.plot", "console"):
        monkeypatch.setattr(f"cmeta.cli.{module}.has_colour", lambda stream: True)
    result = CliRunner().invoke(cli, ["plot", str(run(np.arange(99.0)))], color=True)
    assert "\x1b[38;5;" in result.output
    assert re.search("[⠁-⣿]", result.output)
    assert "━ train" in result.output


def test_ascii_characters_without_utf8(process, run):
    with process("plot", run(np.arange(99.0)), env={"PYTHONIOENCODING": "ascii"}) as child:
        found, errors = child.communicate()
    assert (child.returncode, errors) == (0, b"")
    assert found.isascii() and b"\\u" not in found and b"+--" in found


def test_without_plotext_the_error_names_the_extra(cm, run, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotext", None)
    result = cm("plot", run([1.0]))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "Error: needs plotext: pip install plotext (the extra 'plot')\n"


@pytest.mark.parametrize(
    ("low", "high"),
    [(0, 1), (-3.7, 12.1), (0.1, 0.10001), (0, 2**64 - 1), (1e-300, 1e300), (-LARGEST, LARGEST)],
)
def test_ticks_are_round_in_order_and_few(low, high):
    ticks = linear_ticks(low, high, 6)
    assert 2 <= len(ticks) <= 7
    assert [place for place, _ in ticks] == sorted({place for place, _ in ticks})
    assert all(0 <= place <= 1 for place, _ in ticks)
    for place, label in ticks:
        value = float(label.replace(",", ""))
        assert (value / 2 - low / 2) / (high / 2 - low / 2) == pytest.approx(place, abs=1e-6)


@pytest.mark.parametrize(("low", "high"), [(-323.3, 308.25), (0, 1), (0.30, 0.31), (-3, 2), (5, 5)])
def test_ticks_of_a_logarithmic_scale(low, high):
    ticks = log_ticks(low, high)
    assert 1 <= len(ticks) <= 9
    for place, label in ticks:
        if low < high and low > -300:
            assert low + place * (high - low) == pytest.approx(
                np.log10(float(label.replace(",", ""))), abs=0.01
            )


def test_a_constant_is_drawn_in_the_middle(cm, run):
    rows = canvas(cm("plot", run([3.0] * 50), "--height", 12))
    assert [y for y, row in enumerate(rows) if "a" in row] == [len(rows) // 2]
    assert "3┤" in cm("plot", run([3.0] * 50)).stdout


EXTENTS = [(0.0, 1.0), (0.013, 0.97), (-3.0, 700.0), (1e-9, 2.5e-9), (1.0, 1.0000001), (0.5, 1e12)]


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize(("low", "high"), EXTENTS)
def test_a_label_names_the_value_of_its_row_at_every_height_and_width(low, high, log):
    if log:
        low, high = math.log10(abs(low) or 1e-3), math.log10(high)
        low = min(low, high - 1e-6)
    for height in range(5, 41):
        for width in (20, 47, 120) if height < 9 else (60,):
            labels = labels_of(low, high, ChartStyle(width, height, ascii_only=True, log=log))
            values = list(labels.values())
            assert len(values) > 1 and values == sorted(set(values), reverse=True)
            for row, label in labels.items():
                share = 1 - row / (height - 4)
                value = low + (high - low) * share
                value = 10**value if log else value
                shown = Decimal(1).scaleb(Decimal(label).normalize().as_tuple().exponent)
                assert abs(float(label) - value) <= float(shown) * 0.5000001


def labels_of(low, high, style):
    """Return the labels of the vertical axis, by their rows from the top."""
    curve = BinnedCurve(style.num_bins, log=False)
    curve.add(np.arange(style.num_bins), np.linspace(low, high, style.num_bins))
    rows = line_chart("t", [("c", curve)], (0, 9), "x", style)[2 : style.height - 1]
    assert len(rows) == style.height - 3
    labels = {i: re.match(r" *(.*?)[+|](?!\d)", row)[1] for i, row in enumerate(rows)}
    return {i: Decimal(label.replace(",", "")) for i, label in labels.items() if label}


@pytest.mark.parametrize("width", range(20, 130, 7))
def test_the_labels_below_do_not_run_into_each_other(width):
    style = ChartStyle(width, 8, ascii_only=True)
    for extent in ((0, 100), (0, 123_456), (7, 7_000_000), (2**63, 2**63 + 5)):
        curve = BinnedCurve(style.num_bins)
        curve.add(np.arange(style.num_bins), np.linspace(0, 1, style.num_bins))
        below = line_chart("t", [("c", curve)], extent, "x", style)[8]
        known = {label for n in range(1, 7) for _, label in linear_ticks(*extent, n)}
        assert set(below.split()) <= known
