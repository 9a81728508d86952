"""Where output goes: a name that cannot be written, standard output, a file that is recorded."""

import os

import pytest

import cmeta

CALLS = {
    "convert": ["convert", "run.cmeta", "OUT", "--format", "csv"],
    "import": ["import", "log.csv", "OUT"],
    "recover": ["recover", "run.cmeta", "OUT"],
}


@pytest.fixture(autouse=True)
def folder(chronicle, tmp_path, monkeypatch):
    """A chronicle, a CSV and an empty folder in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "log.csv").write_text("step,loss\n0,1.5\n")
    (tmp_path / "folder").mkdir()
    before = sorted(os.listdir(tmp_path))
    yield tmp_path
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("name", CALLS)
def test_a_folder_as_output_is_named(cm, name):
    args = ["folder" if arg == "OUT" else arg for arg in CALLS[name]]
    calls = [args] if name == "recover" else [args, [*args, "--replace"]]
    for call in calls:
        result = cm(*call)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "Error: folder" in result.stderr
        assert ".tmp" not in result.stderr
        assert "expected a .cmeta file" not in result.stderr


def test_recover_writes_to_standard_output(cm, chronicle, tmp_path):
    (tmp_path / "log.csv").write_bytes(chronicle.read_bytes()[:-20])
    result = cm("recover", "log.csv", "-")
    assert result.exit_code == 0
    assert result.stdout_bytes == chronicle.read_bytes()
    assert "100 records salvaged, to standard output" in result.stderr
    (tmp_path / "log.csv").write_bytes(b"nothing of a chronicle")
    result = cm("recover", "log.csv", "-", "--json")
    assert (result.exit_code, result.stdout_bytes) == (3, b"")
    assert '"verdict":"nothing"' in result.stderr


@pytest.mark.parametrize(
    "call",
    [
        ["convert", "?un.cmeta", "out.csv"],
        ["recover", "?un.cmeta", "out.cmeta"],
        ["replay", "?un.cmeta", "os:getcwd"],
        ["cat", "?un.cmeta"],
        ["schema", "show", "?un.cmeta"],
    ],
)
def test_a_pattern_where_one_file_is_expected(cm, call):
    result = cm(*call)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "?un.cmeta: a pattern, which matches 1 file; this command takes one" in result.stderr
    call = [arg.replace("?un", "?nothing") for arg in call]
    assert "?nothing.cmeta: no file matches" in cm(*call).stderr


def test_a_file_that_is_recorded_is_not_replaced(cm, tmp_path_factory):
    path = tmp_path_factory.mktemp("recorded") / "run.cmeta"
    with cmeta.Recorder(path) as recorder:
        recorder.log("train", loss=1.0)
        with pytest.raises(cmeta.LockedError):
            cmeta.write(path, {"phase": ["train"]})
        result = cm("import", "log.csv", path, "--replace")
        assert (result.exit_code, "being written" in result.stderr) == (2, True)
        recorder.log("train", loss=2.0)
    with cmeta.open(path) as run:
        assert len(run) == 2
    cmeta.write(path, {"phase": ["train"]})
    assert os.listdir(path.parent) == ["run.cmeta"]


def test_an_output_that_is_no_regular_file_is_not_replaced(tmp_path_factory):
    path = tmp_path_factory.mktemp("special") / "pipe"
    os.mkfifo(path)
    with pytest.raises(FileExistsError, match="not a regular file"):
        cmeta.write(path, {"phase": ["train"]})
    with pytest.raises(IsADirectoryError, match="this is a folder"):
        cmeta.write(path.parent, {"phase": ["train"]})
    assert os.listdir(path.parent) == ["pipe"]


def test_no_digest_of_a_file_that_still_changes(cm, still_open, chronicle):
    assert "sha256" not in cm("audit", still_open).stdout
    still_open.unlink()
    assert "sha256" in cm("audit", chronicle).stdout


def test_a_schema_check_names_the_file_once(cm):
    result = cm("schema", "check", "log.csv")
    assert (result.exit_code, result.stdout.count("log.csv")) == (3, 1)
