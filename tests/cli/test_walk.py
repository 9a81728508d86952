"""A walk over all commands: help, wrong arguments, missing, corrupt and empty files.

Whatever goes wrong: an exit code that says so, a message that names the file, no traceback, nothing
half written. A new command needs an entry in `CALLS`; without it, the walk fails.
"""

import json

import pytest

from cmeta.cli.app import COMMANDS

# How a command is called on a file; OUT is a file that must not exist yet.
CALLS = {
    "info": ["FILE"],
    "validate": ["FILE"],
    "cat": ["FILE"],
    "head": ["-n", "100", "FILE"],
    "tail": ["-n", "100", "FILE"],
    "query": ["FILE", "loss_value < 9"],
    "summary": ["FILE"],
    "plot": ["FILE"],
    "runs": ["--no-cache", "FILE"],
    "diff": ["FILE", "GOOD"],
    "audit": ["--jobs", "1", "FILE"],
    "replay": ["FILE", "CYCLE"],
    "recover": ["FILE", "OUT"],
    "import": ["FILE", "OUT"],
    "convert": ["FILE", "OUT.csv"],
    "schema check": ["FILE"],
    "schema show": ["FILE"],
    "schema json": ["FILE"],
    "completion": [],
}
# The commands that take a chronicle.
READING = [name for name in CALLS if name not in ("import", "completion")]
FOR_A_FLIPPED_BIT = {"recover": 4, "schema check": 0, "schema show": 0, "schema json": 0}
FOR_NOT_A_CHRONICLE = {"runs": 3}
FOR_NO_RECORDS = {"diff": 1, "replay": 5, "recover": 0}
WITH_JSON = [name for name in READING if name not in ("plot", "convert", "schema json")]


@pytest.fixture
def call(cm, chronicle, tmp_path, monkeypatch):
    """Call a command on a file."""
    monkeypatch.chdir(tmp_path)  # leftovers would be here
    (tmp_path / "cycle.py").write_text("def cycle(state):\n    return None\n")
    places = {
        "GOOD": chronicle,
        "CYCLE": "cycle.py:cycle",
        "OUT": "out.cmeta",
        "OUT.csv": "out.csv",
    }

    def run(name, file, *more):
        return cm(
            *name.split(), *({"FILE": file, **places}.get(arg, arg) for arg in CALLS[name]), *more
        )

    return run


def messages(result):
    """Return the messages, after the checks that hold for every error."""
    text = result.stdout + result.stderr
    assert "Traceback" not in text
    assert "\x1b" not in text
    return text


def outputs(tmp_path):
    return {path.name for path in tmp_path.glob("*out*")}


def test_calls_cover_every_command():
    assert {name.split()[0] for name in CALLS} == set(COMMANDS)


@pytest.mark.parametrize("name", [*CALLS, "schema"])
def test_help(cm, name):
    for flag in ("--help", "-h"):
        result = cm(*name.split(), flag)
        assert (result.exit_code, result.stderr) == (0, "")
        assert f" {name} [OPTIONS]" in result.stdout
        assert f"Examples:\n    cmeta {name} " in result.stdout
        assert "xit code" in result.stdout
        assert max(map(len, result.stdout.splitlines())) <= 100


@pytest.mark.parametrize("name", [*CALLS, "schema"])
def test_an_unknown_option(cm, name):
    result = cm(*name.split(), "--no-such-option")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "No such option" in messages(result)


@pytest.mark.parametrize(
    "name", [name for name in CALLS if name not in ("schema show", "schema json")]
)
def test_no_argument(cm, name):
    result = cm(*name.split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Missing argument" in messages(result)


@pytest.mark.parametrize("name", [*READING, "import"])
def test_a_missing_file(call, tmp_path, name):
    result = call(name, tmp_path / "missing.cmeta")
    assert result.exit_code == 2
    assert str(tmp_path / "missing.cmeta") in messages(result)
    assert outputs(tmp_path) == set()


@pytest.mark.parametrize("name", [name for name in READING if name not in ("runs", "audit")])
def test_a_folder_without_chronicles(call, tmp_path, name):
    (tmp_path / "folder").mkdir()
    result = call(name, tmp_path / "folder")
    assert (result.exit_code, result.stdout) == (2, "")
    assert str(tmp_path / "folder") in messages(result)
    assert outputs(tmp_path) == set()


@pytest.mark.parametrize("name", READING)
def test_a_flipped_bit(call, flipped, tmp_path, name):
    result = call(name, flipped)
    assert result.exit_code == FOR_A_FLIPPED_BIT.get(name, 3)
    assert str(flipped) in messages(result) or result.exit_code == 0
    if name != "recover":
        assert outputs(tmp_path) == set()


@pytest.mark.parametrize("name", READING)
def test_a_file_that_is_not_a_chronicle(call, not_a_chronicle, tmp_path, name):
    result = call(name, not_a_chronicle)
    assert result.exit_code == FOR_NOT_A_CHRONICLE.get(name, 3)
    assert str(not_a_chronicle) in messages(result)
    assert outputs(tmp_path) == set()


@pytest.mark.parametrize("name", READING)
def test_an_empty_file(call, tmp_path, name):
    path = tmp_path / "nothing.cmeta"
    path.write_bytes(b"")
    result = call(name, path)
    assert result.exit_code == 3
    assert str(path) in messages(result)
    assert outputs(tmp_path) == set()


@pytest.mark.parametrize("name", READING)
def test_a_chronicle_without_records(call, empty, name):
    result = call(name, empty)
    messages(result)
    assert result.exit_code == FOR_NO_RECORDS.get(name, 0)


@pytest.mark.parametrize("name", READING)
def test_an_intact_chronicle(call, chronicle, name):
    result = call(name, chronicle)
    messages(result)
    codes = {"audit": 1, "replay": 5}  # a loss that is NaN; nothing that was compared
    assert result.exit_code == codes.get(name, 0)


@pytest.mark.parametrize("name", WITH_JSON)
def test_json_output_is_one_object_a_line(call, chronicle, flipped, name):
    for file in (chronicle, flipped):
        result = call(name, file, "--json")
        assert result.stdout or result.exit_code
        assert all(isinstance(json.loads(line), dict) for line in result.stdout.splitlines())


@pytest.mark.parametrize("name", ["cat", "head", "tail", "query", "summary", "plot", "convert"])
def test_the_same_words_select(call, chronicle, tmp_path, name):
    for more, message in (
        (["--start", "9", "--end", "1"], "is after --end 1"),
        (["--start", "x"], "'x' is not an integer"),
        (["--end", "-1"], "expected a timestamp of 0 or more"),
        (["--phase", "trian"], "Did you mean train"),
        (["--fields", "los_value"], "Did you mean loss_value"),
        (["--fields", ","], "has an empty name"),
    ):
        result = call(name, chronicle, *more)
        assert result.exit_code == 2
        assert message in messages(result)
        assert result.stdout == ""
        assert outputs(tmp_path) == set()


OF_SCHEMA = ("show", "check", "json")
HELPS = [(), *((name,) for name in COMMANDS), *(("schema", name) for name in OF_SCHEMA)]


@pytest.mark.parametrize("command", HELPS, ids=" ".join)
def test_a_help_fits_a_terminal_of_80_columns(cm, command):
    result = cm(*command, "--help")
    assert result.exit_code == 0
    assert [line for line in result.stdout.splitlines() if len(line) > 80] == []
