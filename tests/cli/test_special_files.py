"""FIFOs, devices, sockets and folders where a file is expected: no command waits for them.

An open chronicle is refused by name if its journal is one, a closed one does not need its journal;
a command over a folder goes on with the good files.
"""

import os
import shutil
import socket
import time

import pytest

import cmeta

from .test_walk import CALLS, READING, call  # noqa: F401  (a fixture)

pytestmark = [pytest.mark.skipif(os.name != "posix", reason="FIFOs"), pytest.mark.timeout(60)]


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(path))


KINDS = {
    "FIFO": os.mkfifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "socket": make_socket,
    "folder": os.mkdir,
}


@pytest.fixture(params=KINDS)
def special(request, tmp_path, monkeypatch):
    """Make a file that is no regular one."""
    monkeypatch.chdir(tmp_path)  # a socket's path is short

    def make(path):
        KINDS[request.param](path.relative_to(tmp_path))
        return path

    make.kind = request.param
    return make


@pytest.fixture
def opened(tmp_path):
    """An open chronicle whose writer died."""
    path = tmp_path / "open.cmeta"
    rec = cmeta.Recorder(path, cmeta.default_schema().with_batch_records(16))
    for i in range(40):
        rec.log("train", loss=0.5, step=i)
    rec._session._sealer.stop()
    rec._session.is_closed = True
    (tmp_path / "open.cmeta-lock").unlink(missing_ok=True)
    return path


@pytest.mark.parametrize("name", [name for name in CALLS if name != "completion"])
def test_as_the_file(call, special, name, tmp_path):  # noqa: F811
    if name == "runs" and special.kind == "folder":
        pytest.skip("what this command is for")
    result = call(name, special(tmp_path / "x.cmeta"))
    assert result.exit_code == 2
    assert "x.cmeta" in result.stderr + result.stdout
    assert sorted(path.name for path in tmp_path.glob("out*")) == []


@pytest.mark.parametrize("name", READING)
def test_as_the_journal_of_a_closed_file_it_does_not_matter(call, special, chronicle, name):  # noqa: F811
    expected = call(name, chronicle)
    for path in chronicle.parent.glob("out*"):
        path.unlink()
    special(chronicle.with_name(chronicle.name + "-journal"))
    result = call(name, chronicle)
    if name == "recover":  # it reads whatever there is
        return
    assert result.exit_code == expected.exit_code, result.stderr


@pytest.mark.parametrize(
    "name", [name for name in READING if name != "recover" and not name.startswith("schema")]
)
def test_as_the_journal_of_an_open_file_it_is_named(call, special, opened, name):  # noqa: F811
    journal = opened.with_name(opened.name + "-journal")
    journal.unlink()
    special(journal)
    result = call(name, opened)
    assert result.exit_code == 2
    assert "open.cmeta-journal" in result.stderr + result.stdout


def test_a_recorder_refuses_it(special, opened):
    journal = opened.with_name(opened.name + "-journal")
    journal.unlink()
    special(journal)
    with pytest.raises((OSError, cmeta.RecorderError), match=r"open\.cmeta-journal"):
        cmeta.Recorder(opened, mode="resume")


@pytest.mark.parametrize("name", ["audit", "runs", "validate", "summary", "query", "plot"])
def test_a_folder_goes_on_with_the_good_files(call, special, chronicle, name):  # noqa: F811
    folder = chronicle.parent / "runs"
    folder.mkdir()
    shutil.copy(chronicle, folder / "good.cmeta")
    special(folder / "bad.cmeta")
    shutil.copy(chronicle, folder / "leftover.cmeta")
    special(folder / "leftover.cmeta-journal")
    special(folder / "good.cmeta-lock")
    result = call(name, folder)
    is_bad = special.kind != "folder"  # which holds no chronicle
    assert result.exit_code == (2 if is_bad else 1 if name == "audit" else 0), result.stderr
    assert "good" in result.stdout
    assert "leftover" in result.stdout


def test_one_writer_that_never_comes(tmp_path):
    """Not even a FIFO that somebody holds open for writing keeps a reader waiting."""
    os.mkfifo(tmp_path / "x.cmeta")
    descriptor = os.open(tmp_path / "x.cmeta", os.O_RDWR)
    before = time.monotonic()
    try:
        with pytest.raises(OSError, match="a FIFO, expected a regular file"):
            cmeta.open(tmp_path / "x.cmeta")
    finally:
        os.close(descriptor)
    assert time.monotonic() - before < 30
