"""Which files a path means, in Python and for every command."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

import cmeta
from cmeta.cli.app import cli
from cmeta.cli.files import expand
from cmeta.storage.find import find_files


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A folder of files by their names; the current one."""
    monkeypatch.chdir(tmp_path)

    def make(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    return make


def test_folders_patterns_and_files(tree, tmp_path):
    tree("r/b.cmeta", "r/a.cmeta", "r/x/ü ,\"'.cmeta", "r/.hidden/c.cmeta", "r/a.txt", "z.cmeta")
    below = ["r/.hidden/c.cmeta", "r/a.cmeta", "r/b.cmeta", "r/x/ü ,\"'.cmeta"]
    assert list(find_files("r").files) == below
    assert list(find_files(tmp_path / "r").files) == [str(tmp_path / name) for name in below]
    assert list(find_files("r/**/*.cmeta").files) == below
    assert find_files("r/*.cmeta").files == ("r/a.cmeta", "r/b.cmeta")
    assert find_files(str(tmp_path / "*.cmeta")).files == (str(tmp_path / "z.cmeta"),)
    assert list(find_files(".").files) == [*below, "z.cmeta"]
    assert find_files(["z.cmeta", "r", "no-such.cmeta"]).files == (
        "z.cmeta",
        *below,
        "no-such.cmeta",
    )
    assert find_files("r/*").files == (
        "r/.hidden/c.cmeta",
        *below[1:],
    )  # as the shell would have it
    assert find_files("r/*.txt").files == ("r/a.txt",)
    assert find_files("r/none/*.cmeta").files == find_files([]).files == ()
    os.mkdir("empty")
    given = ["r/none/*.cmeta", "empty", "z.cmeta"]
    assert find_files(given).files == ("z.cmeta",)
    assert find_files(given, keep_empty=True).files == tuple(given)
    assert find_files("r").folders == (str(tmp_path / "r"),)


def test_a_file_is_found_once(tree):
    tree("r/a.cmeta")
    assert find_files(["r", "r/*.cmeta", "r/a.cmeta"]).files == ("r/a.cmeta",)
    assert find_files(["./r//a.cmeta", "r/a.cmeta", "./r/"]).files == ("./r//a.cmeta",)
    assert find_files(["no.cmeta", "no.cmeta"]).files == ("no.cmeta",)


def test_a_name_that_looks_like_a_pattern(tree):
    tree("a[1].cmeta", "a1.cmeta")
    assert find_files("a[1].cmeta").files == ("a[1].cmeta",)
    assert find_files("a[12].cmeta").files == ("a1.cmeta",)


def test_a_journal_stands_for_its_file(tree):
    tree("r/a.cmeta-journal", "r/b.cmeta", "r/b.cmeta-journal")
    assert find_files("r").files == ("r/a.cmeta", "r/b.cmeta")


def test_a_folder_with_the_name_of_a_run(tree):
    tree("r/a.cmeta/b.cmeta")
    assert find_files("r").files == find_files("r/**/*.cmeta").files == ("r/a.cmeta/b.cmeta",)


def test_links(tree, tmp_path):
    tree("r/one/a.cmeta", "elsewhere/b.cmeta")
    os.symlink("one", "r/latest")  # a folder that is there anyway
    os.symlink("..", "r/one/loop")
    os.symlink("one/a.cmeta", "r/a-again.cmeta")
    os.symlink("../elsewhere/b.cmeta", "r/b.cmeta")
    os.symlink("../elsewhere/b.cmeta", "r/b-again.cmeta")
    os.symlink("../elsewhere", "r/folder.cmeta")
    os.symlink("gone", "r/dangling.cmeta")
    os.symlink("self.cmeta", "r/self.cmeta")
    expected = ["r/b-again.cmeta", "r/dangling.cmeta", "r/one/a.cmeta", "r/self.cmeta"]
    assert list(find_files("r").files) == expected
    assert list(find_files("r/**/*.cmeta").files) == expected
    assert find_files("r/latest").files == ("r/latest/a.cmeta",)  # asked for by its name
    assert find_files(["r/a-again.cmeta", "r/one/a.cmeta"]).files == ("r/one/a.cmeta",)


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_names_that_are_not_utf8(tmp_path):
    path = os.path.join(os.fsencode(tmp_path), b"\xff.cmeta")
    try:
        open(path, "w").close()
    except OSError:
        pytest.skip("the file system takes only UTF-8")
    assert [os.fsencode(name) for name in find_files(tmp_path).files] == [path]


# One tree and one meaning, whichever way in.


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """A folder of chronicles with links, and a journal whose file is lost."""
    monkeypatch.chdir(tmp_path)
    for name in ("r/one/a.cmeta", "r/b.cmeta", "elsewhere/c.cmeta"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        cmeta.write(name, {"phase": ["train"], "loss_value": [0.5]})
    os.symlink("one", "r/latest")
    os.symlink("one/a.cmeta", "r/a-again.cmeta")
    os.symlink("../elsewhere/c.cmeta", "r/c.cmeta")
    Path("r/lost.cmeta-journal").touch()
    Path("r/notes.txt").touch()
    Path("empty").mkdir()


BELOW = ["r/b.cmeta", "r/c.cmeta", "r/lost.cmeta", "r/one/a.cmeta"]
MEANINGS = {
    "folder": (["r"], BELOW),
    "pattern": (["r/**/*.cmeta"], [name for name in BELOW if name != "r/lost.cmeta"]),
    "folders of a pattern": (["r*"], BELOW),
    "named": (["r/b.cmeta", "r/a-again.cmeta", "no.cmeta"], None),
    "a link and its file": (["r/a-again.cmeta", "r/one/a.cmeta"], ["r/one/a.cmeta"]),
    "twice": (["r/b.cmeta", "./r/b.cmeta", "r"], ["r/b.cmeta", *BELOW[1:]]),
}


def by_command(*command):
    """Return which files a command has an answer or an error for, in the order of the answers."""

    def files(paths):
        result = CliRunner().invoke(cli, [*command, *paths])
        answers = [json.loads(line) for line in result.stdout.splitlines()]
        answered = dict.fromkeys(answer["file"] for answer in answers)
        errors = [line.split(": ")[1] for line in result.stderr.splitlines() if ": " in line]
        return [*answered, *dict.fromkeys(name for name in errors if name not in answered)]

    return files


ENTRANCES = {
    "scan": lambda paths: [run.path for run in cmeta.scan(paths, cache=False, jobs=1)],
    "audit": lambda paths: [report.name for report in cmeta.audit(paths, jobs=1)],
    "commands": lambda paths: list(map(str, expand(map(Path, paths)))),
    "cmeta validate": by_command("validate", "--json"),
    "cmeta audit": by_command("audit", "--json", "--jobs", "1"),
    "cmeta runs": by_command("runs", "--json", "--no-cache"),
    "cmeta summary": by_command("summary", "--json"),
    "cmeta schema check": by_command("schema", "check", "--json"),
}


@pytest.mark.parametrize("entrance", ENTRANCES)
@pytest.mark.parametrize(("paths", "expected"), MEANINGS.values(), ids=MEANINGS)
@pytest.mark.usefixtures("runs")
def test_every_entrance_means_the_same_files(entrance, paths, expected):
    if entrance == "cmeta runs" and "no.cmeta" in paths:
        pytest.skip("refused before anything is listed")
    files = ENTRANCES[entrance](paths)
    assert sorted(files) == sorted(expected or paths)
    if entrance in ("scan", "audit", "commands"):
        assert files == (expected or paths)


@pytest.mark.parametrize("path", ["empty", "none/*.cmeta"])
@pytest.mark.usefixtures("runs")
def test_nothing_found_is_an_error_where_it_is_opened(path):
    assert cmeta.scan(path, cache=False) == []
    (report,) = cmeta.audit(path)
    assert (report.name, report.verdict) == (path, "unreadable")
    for command in ("validate", "audit", "summary", "schema check"):
        result = CliRunner().invoke(cli, [*command.split(), path])
        assert result.exit_code == 2
        assert path in result.stdout + result.stderr
    result = CliRunner().invoke(cli, ["runs", path])
    assert (result.exit_code, result.stdout) == (0, "0 runs\n")
    assert path in result.stderr
