"""RESULTS.md and results.svg: ratios first, nothing hidden, the same bytes for the same results."""

import xml.etree.ElementTree as ElementTree

import pytest

import bench.__main__ as command
from bench import tables
from bench.report import Goal, Section, Table
from bench.results import Cell, Loss, Results


@pytest.fixture
def found():
    cells = [
        Cell("cmeta", "noisy", 1000, "size", value=20_000.0),
        Cell("cmeta", "noisy", 1000, "write", value=0.02, spread=0.1, rounds=9),
        Cell("Parquet, plain", "noisy", 1000, "size", value=60_000.0),
        Cell("Parquet, plain", "noisy", 1000, "write", value=0.004, spread=0.02, rounds=9),
        Cell("TensorBoard", "noisy", 1000, "size", value=585_000.0),
        Cell("TensorBoard", "noisy", 1000, "write", reason="about 77 s: 0.8 ms per record"),
        Cell("cmeta", "smooth", 1000, "size", value=10_000.0),
        Cell("Parquet, plain", "smooth", 1000, "size", value=8_000.0),
        Cell("cmeta", "noisy", 1000, "write", threads=2, value=0.01),
    ]
    return Results(
        [("Date", "2026-01-01")], cells, [Loss("TensorBoard", "noisy", 1000, ["seed_state"])],
        {"cmeta": {"append": "by a recorder"}}, {"cmeta": "file and folder"},
        [Section("Sizes", "Text.", [Goal("whole", 2.0, 1.0)], [Table("T", ["", "n"], [["a", "1"]])])],
        True,
    )  # fmt: skip


def test_ratios_come_first_and_where_others_win_is_bold(found):
    text = tables.render(found)
    assert (
        text.index("Where others are better") < text.index("## Ratios") < text.index("## Absolute")
    )
    rows = [line for line in text.splitlines() if line.startswith("| Parquet, plain")]
    assert [cell.strip() for cell in rows[0].split("|")[1:-1]] == [
        "Parquet, plain",
        "**1/2, 1.25x**",
        "**1/1, 5.00x**",
    ]
    ratios = [[cell.strip() for cell in row.split("|")[2:-1]] for row in rows[1:3]]
    assert ratios == [["0.333", "**5.00**"], ["**1.25**"]]


def test_reasons_losses_notes_and_goals_are_said(found):
    text = tables.render(found)
    assert "(1) about 77 s: 0.8 ms per record; † TensorBoard does not return: seed_state." in text
    assert "| TensorBoard †" in text
    assert "- **cmeta**. Syncs: file and folder. *append*: by a recorder" in text
    assert "| Sizes   | whole |" in text
    assert "missed" in text
    assert "noisy, 1,000 records, 2 threads" in text
    assert "Part of a run" not in text
    found.complete = False
    assert "**Part of a run only.**" in tables.render(found)


def test_absolute_figures_have_units(found):
    text = tables.render(found).partition("## Absolute")[2]
    for figure in ("20.0 B/rec", "20.0 ms ±5%", "4.00 ms ±1%"):
        assert figure in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.01234, "0.0123"),
        (1.0, "1.00"),
        (12.34, "12.3"),
        (999.9, "1,000"),
        (12345.6, "12,346"),
        (float("inf"), "inf"),
    ],
)
def test_figures_have_three_digits(value, text):
    assert tables.figure(value) == text


def test_times_have_the_unit_that_suits_them():
    assert [tables.seconds(t) for t in (2.0, 0.0125, 3e-6, 1e-9)] == [
        "2.00 s",
        "12.5 ms",
        "3.00 us",
        "0.00100 us",
    ]


def test_nothing_measured_renders():
    assert tables.render(Results(complete=True)) == "# Results\n\n\n"


# ---------------------------------------------------------------------------------------- picture


def picture():
    pytest.importorskip("matplotlib")
    from bench import picture

    return picture


def test_the_points_are_ratios_with_the_span_of_the_workloads(found):
    points = picture().points(found, "size")
    assert points == {"Parquet, plain": (3.0, 0.8, 3.0), "TensorBoard": (29.25, 29.25, 29.25)}
    assert picture().points(found, "write") == {"Parquet, plain": (0.2, 0.2, 0.2)}


def test_a_shorter_measurement_has_its_length(found):
    longer = [Cell(name, "noisy", 5000, "write", value=1.0) for name in ("cmeta", "Parquet, plain")]
    large = [Cell("cmeta", "noisy", 10**8, "write", value=1.0)]
    found.cells += [*longer, *large, Cell("TensorBoard", "noisy", 5000, "write", reason="long")]
    found.cells[5] = Cell("TensorBoard", "noisy", 1000, "write", value=0.8)
    names = picture().labels(found)
    assert names["TensorBoard"] == "TensorBoard (1,000)"
    assert names["Parquet, plain"] == "Parquet, plain"


def test_the_picture_is_the_same_every_time_and_follows_the_background(found, tmp_path):
    draw = picture().draw
    for name in ("a.svg", "b.svg"):
        draw(found, tmp_path / name)
    text = (tmp_path / "a.svg").read_text("utf-8")
    assert text == (tmp_path / "b.svg").read_text("utf-8")
    ElementTree.fromstring(text)
    assert "prefers-color-scheme: dark" in text
    assert "currentColor" in text
    assert "Parquet, plain" in text
    found.cells[0] = Cell("cmeta", "noisy", 1000, "size", value=21_000.0)
    draw(found, tmp_path / "b.svg")
    assert text != (tmp_path / "b.svg").read_text("utf-8")


# ----------------------------------------------------------------------------------- command line


@pytest.fixture
def places(monkeypatch, tmp_path):
    for name in ("RESULTS", "PICTURE", "STORED", "PARTIAL"):
        monkeypatch.setattr(command, name, tmp_path / f"{name}.out.svg")
    return tmp_path


def test_rendering_what_was_kept(places, found, capsys):
    pytest.importorskip("matplotlib")
    found.save(places / "kept.json")
    assert command.main(["--render", "--source", str(places / "kept.json")]) == 0
    assert command.RESULTS.read_text("utf-8") == tables.render(found)
    assert "<svg" in command.PICTURE.read_text("utf-8")
    assert command.main(["--render", "--source", str(places / "nothing.json")]) == 2
    assert "nothing has been measured" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "sizes,speed"], "--only: found 'speed', expected some of size,"),
        (["--workloads", "loud"], "--workloads: found 'loud', expected some of noisy,"),
        (["--competitors", "HDF5"], "--competitors: found 'HDF5'"),
        (["--records", "ten"], "could not convert string to float: 'ten'"),
        (["--records", "1.5"], "'1.5' is not a number of records"),
    ],
)
def test_options_that_are_refused(arguments, message, capsys):
    assert command.main(arguments) == 2
    assert message in capsys.readouterr().err


def test_a_part_is_printed_and_leaves_the_results_alone(places, capsys):
    options = ["--quick", "--only", "sizes,open", "--workloads", "constant", "--records", "1e2"]
    assert command.main([*options, "--competitors", "Parquet, plain"]) == 0
    out = capsys.readouterr().out
    assert "**Part of a run only.**" in out
    assert "constant, 100 records" in out
    assert "B/rec" in out
    assert command.PARTIAL.exists()
    assert not command.RESULTS.exists()
    assert not command.STORED.exists()


def test_another_part_that_fails_is_a_section(monkeypatch):
    assert command._sections("nowhere", True) == []
    from bench import sizes

    monkeypatch.setattr(sizes, "measure", lambda quick: 1 / 0)
    assert [part.title for part in command._sections("sizes", True)] == ["Not measured: sizes"]
