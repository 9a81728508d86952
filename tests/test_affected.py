"""Which tests `make quick` runs for a change."""

from pathlib import PurePosixPath

import pytest

from tools.affected import CORE, GUIDE, ROOT, affected_by, changed, main, of_room, select


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("cmeta/reader/reader.py", ["tests/reader", "cmeta/reader/reader.py"]),
        ("cmeta/reader/removed.py", ["tests/reader"]),
        ("cmeta/errors.py", ["tests/test_errors.py", "cmeta/errors.py"]),
        ("tests/reader/test_read.py", ["tests/reader/test_read.py"]),
        ("tests/reader/test_removed.py", []),
        (
            "tests/storage/helper.py",
            sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("tests/storage/test_*.py")),
        ),
        ("tests/conftest.py", []),
        ("docs/reading.md", [GUIDE.format("docs/reading.md")]),
        ("schema/cmeta_schema.toml", ["tests/schema", "tests/spec"]),
        ("tools/specgen/facts.py", ["tests/spec"]),
        ("tools/affected.py", ["tests/test_affected.py"]),
        ("LICENSE", []),
    ],
)
def test_the_affected_by_a_file(path, expected):
    assert list(affected_by(PurePosixPath(path))) == expected


def test_a_tool_is_a_room_of_its_own(tmp_path):
    (tmp_path / "tests" / "diff").mkdir(parents=True)
    path = PurePosixPath("cmeta/tools/diff/diff.py")
    assert list(affected_by(path, tmp_path)) == ["tests/diff"]


def test_the_core_set_comes_first_and_nothing_twice():
    paths = [PurePosixPath("tests/reader/test_read.py"), PurePosixPath("cmeta/reader/reader.py")]
    found = select(paths, ["reader"])
    assert found == [*CORE, "tests/reader", "cmeta/reader/reader.py"]
    assert select([], []) == list(CORE)
    assert all((ROOT / name).exists() for name in found)


def test_a_room_is_chosen_by_its_name(capsys):
    assert main(["--room", "reader"]) == 0
    assert capsys.readouterr().out.split() == [*CORE, "tests/reader"]
    assert main(["--room", "cellar"]) == 2
    assert "no tests of a room 'cellar'" in capsys.readouterr().err
    assert of_room("cellar") == []


WITHOUT_TESTS = {"__init__", "__main__", "aliases", "vocabulary"}  # names; their doctests run
ROOMS = {p.parent.name for p in (ROOT / "cmeta").glob("*/__init__.py")}
ROOMS |= {p.parent.name for p in (ROOT / "cmeta" / "tools").glob("*/__init__.py")}
ROOMS |= {p.stem for p in (ROOT / "cmeta").glob("*.py")}


@pytest.mark.parametrize("room", sorted(ROOMS - WITHOUT_TESTS))
def test_every_room_has_tests(room):
    assert of_room(room)


def test_where_there_is_no_git_nothing_has_changed(tmp_path):
    assert changed(tmp_path) == []
