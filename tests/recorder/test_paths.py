"""The path of a recorder, and of every other file that is written."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import cmeta
from cmeta import EncodeError
from cmeta.recorder import run_path
from cmeta.storage.new_path import name_max

COLUMNS = {"phase": ["train"], "loss": [0.5]}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder, and an empty one to work in."""
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


def run(path, **options):
    with cmeta.Recorder(path, **options) as rec:
        rec.log("train", loss=0.5)
    return rec.path


def test_changing_the_folder_while_recording(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    rec = cmeta.Recorder("run.cmeta", cmeta.default_schema().with_batch_records(16))
    rec.log("train", step=0)
    os.chdir("sub")
    for step in range(1, 100):
        rec.log("train", step=step)
    assert len(rec.records) == 100
    rec.close()
    assert (os.listdir(tmp_path / "sub"), rec.path) == ([], tmp_path / "run.cmeta")
    assert cmeta.validate(tmp_path / "run.cmeta").num_records == 100


def test_missing_folders_are_made(home):
    assert run("a/b/run.cmeta").is_file()
    assert cmeta.write("c/d/run.cmeta", COLUMNS) == 1
    Path("log.csv").write_text("step,loss\n0,0.5\n")
    cmeta.import_run("log.csv", "e/f/run.cmeta")
    cmeta.recover("c/d/run.cmeta", "g/h/run.cmeta")
    command = [sys.executable, "-m", "cmeta", "convert", "c/d/run.cmeta", "i/j/run.csv"]
    subprocess.run(command, check=True, capture_output=True)
    for path in ("e/f/run.cmeta", "g/h/run.cmeta", "i/j/run.csv"):
        assert Path(path).is_file()


def test_the_home_folder(home):
    assert run("~/run.cmeta") == home / "run.cmeta"
    cmeta.write("~/w/run.cmeta", COLUMNS)
    (home / "log.csv").write_text("step,loss\n0,0.5\n")
    cmeta.import_run("~/log.csv", "~/imported.cmeta")
    cmeta.recover("~/run.cmeta", "~/recovered.cmeta")
    for name in ("run", "w/run", "imported", "recovered"):
        with cmeta.open(f"~/{name}.cmeta") as reader:
            assert len(reader) == 1
    assert cmeta.validate("~/run.cmeta").ok
    assert cmeta.diff("~/run.cmeta", "~/w/run.cmeta").same
    assert len(cmeta.scan("~")) == 4
    assert cmeta.audit("~/run.cmeta", against="~/w/run.cmeta")[0].ok
    assert os.listdir(home.parent / "work") == []


def test_a_folder_and_placeholders(home, monkeypatch):
    monkeypatch.setattr(sys.modules["__main__"], "__file__", "/x/train.py", raising=False)
    now = r"\d{8}-\d{6}(-\d+)?"
    Path("runs").mkdir()
    for given, pattern in (
        ("runs", rf"runs/train-{now}\.cmeta"),
        ("new/", rf"new/train-{now}\.cmeta"),
        ("{name}/{time}.cmeta", rf"train/{now}\.cmeta"),
        ("{time}-{rank}.cmeta", rf"{now}-0\.cmeta"),
        (b"runs/{name}.cmeta", r"runs/train\.cmeta"),
        (Path("{name}-a.cmeta"), r"train-a\.cmeta"),
    ):
        path = run(given).relative_to(Path.cwd())
        assert re.fullmatch(pattern, str(path)), path


def test_runs_of_the_same_second_have_files_of_their_own(home, monkeypatch):
    monkeypatch.setattr(run_path.time, "strftime", lambda form: "20261129-142501")
    names = [run("{time}.cmeta").name, run("{time}.cmeta", mode="replace").name]
    with cmeta.Recorder("{time}.cmeta") as other:  # not closed yet: it is locked
        names += [other.path.name, run("{time}.cmeta").name]
    assert names == [f"20261129-142501{end}.cmeta" for end in ("", "-2", "-3", "-4")]


@pytest.mark.parametrize(
    ("main", "name"),
    [(None, "run"), ("/x/train.py", "train"), ("/x/pkg/__main__.py", "pkg"), ("", "run")],
)
def test_the_name_of_the_script(home, monkeypatch, main, name):
    monkeypatch.setattr(sys.modules["__main__"], "__file__", main, raising=False)
    assert run("{name}.cmeta").stem == name


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ("{tiem}.cmeta", {}, r"path: no placeholder \{tiem\}; there are: \{name\}, \{rank\}"),
        ("{rank:03d}.cmeta", {}, r"path: no placeholder \{rank:03d\}"),
        ("{Time}.cmeta", {}, r"path: no placeholder \{Time\}"),
        ("{}.cmeta", {}, r"path: no placeholder \{\}"),
        ("run.cmeta-journal", {"mode": "replace"}, "is the name of the journal of 'run.cmeta'"),
        ("run.cmeta-lock", {}, "is the name of the lock of 'run.cmeta'"),
        ("{time}.cmeta", {"mode": "resume"}, r"\{time\} means a new file every time"),
        (".", {"mode": "resume"}, "'.' is a folder; mode=\"resume\" requires the path"),
        ("", {}, "path: found '', expected the path of a file"),
        ("a\0b", {}, "path: found"),
        (None, {}, "path: found NoneType, expected the path of a file"),
        (3, {}, "path: found int"),
        ("x" * 248, {}, "takes 256 bytes with the '-journal' of the file beside it.*allows 255"),
    ],
)
def test_paths_that_are_refused_leave_nothing(home, given, options, message):
    with pytest.raises(EncodeError, match=message):
        cmeta.Recorder(given, **options)
    assert os.listdir(".") == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
@pytest.mark.parametrize("mode", ["new", "resume", "replace"])
def test_what_is_no_file_is_not_touched(home, mode):
    os.mkfifo("pipe")
    with pytest.raises(OSError, match=r"not a regular file.*pipe"):
        cmeta.Recorder("pipe", mode=mode)
    assert os.listdir() == ["pipe"]


def test_a_link_means_its_file(home):
    os.makedirs("runs")
    os.symlink("runs/a.cmeta", "latest.cmeta")
    rec = cmeta.Recorder("latest.cmeta")
    rec.log("train", loss=0.5)
    assert (rec.path, os.path.islink("latest.cmeta")) == (Path("runs/a.cmeta").resolve(), True)
    with cmeta.open("latest.cmeta") as reader:  # while it is recorded: with its journal
        assert (len(reader), reader.state) == (1, "open")
    with pytest.raises(cmeta.LockedError):
        cmeta.write("latest.cmeta", COLUMNS)
    rec.close()
    for mode, num in (("resume", 2), ("replace", 1)):
        run("latest.cmeta", mode=mode)
        assert cmeta.validate("runs/a.cmeta").num_records == num
    assert sorted(os.listdir()) == ["latest.cmeta", "runs"]


def test_a_folder_that_is_removed_is_no_obstacle(home):
    os.mkdir("gone")
    os.chdir("gone")
    with cmeta.Recorder("../run.cmeta") as rec:
        os.rmdir("../gone")
        assert str(rec.path) in repr(rec)


def test_names_up_to_the_limit_of_the_file_system(home):
    most = name_max(Path.cwd())
    for letter in "aü":  # one byte each, or two
        stem = letter * ((most - len("-journal.cmeta")) // len(letter.encode()))
        path = run(f"{stem}.cmeta")
        run(path, mode="resume")
        with cmeta.Recorder(path, mode="resume", resume_at=0) as rec:
            assert (rec.num_dropped, rec.dropped_to.is_file()) == (1, True)
        rec = cmeta.Recorder(rec.dropped_to, mode="resume")  # such a name has room for a journal
        rec.close()
    longest = "b" * (most - len(".cmeta")) + ".cmeta"
    cmeta.write(longest, COLUMNS)
    cmeta.recover(longest, "c" + longest[1:])
    assert cmeta.validate("c" + longest[1:]).ok


def test_leftovers_of_long_names_are_found(home):
    name = "x" * 240 + ".cmeta"
    other = "x" * 239 + "y.cmeta"
    from cmeta.storage.atomic import RECORDER_TEMPORARY, temporary_file

    kept = {}
    for target in (name, other):
        with temporary_file(Path.cwd() / target, suffix=RECORDER_TEMPORARY) as file:
            kept[target] = file.path
        kept[target].write_bytes(b"")
    run(name)
    assert not kept[name].exists()
    assert kept[other].exists()
    kept[name].write_bytes(b"")
    assert "leftover-temporary" in [f.code for f in cmeta.audit(name)[0].findings]
