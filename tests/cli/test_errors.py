"""Invalid usage and unreadable input: exit code 2, one line with the path, nothing on stdout."""

import os
import sys

import pytest

COMMANDS = ["info", "validate", "cat"]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_missing_file(cm, tmp_path, command):
    path = tmp_path / "missing.cmeta"
    result = cm(command, path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"Error: {path}: No such file or directory\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder(cm, tmp_path, command):
    result = cm(command, tmp_path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"Error: {tmp_path}: a folder without a .cmeta file\n"


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe(cm, tmp_path, command):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    result = cm(command, path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{path}: not a regular file" in result.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_without_permission(cm, chronicle, command, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied", str(chronicle))

    monkeypatch.setattr("cmeta.source.FileSource.__init__", refuse)
    result = cm(command, chronicle)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"Error: {chronicle}: Permission denied\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_disk_that_fails(cm, chronicle, command, monkeypatch):
    def fail(*args):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("cmeta.source.FileSource._read", fail)
    result = cm(command, chronicle)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"Error: {chronicle}: Input/output error\n"


def test_a_disk_that_fails_while_reading(cm, chronicle, monkeypatch):
    def fail(*args):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("cmeta.cli.rows.RowStream._read", fail)
    result = cm("cat", "--json", chronicle)
    assert result.exit_code == 2
    assert result.stderr == f"Error: {chronicle}: Input/output error\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_file(cm, command):
    result = cm(command)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Missing argument 'FILE" in result.stderr


def test_an_unknown_command(cm):
    result = cm("inof", "x")
    assert result.exit_code == 2
    assert "No such command 'inof'" in result.stderr


def test_a_file_in_place_of_a_command(cm, chronicle):
    result = cm(chronicle)
    assert result.exit_code == 2
    assert f"try `cmeta info {chronicle}`" in result.stderr


def test_version(cm):
    import cmeta

    result = cm("--version")
    assert (result.exit_code, result.stdout) == (0, f"cmeta {cmeta.__version__}, format 1.0\n")


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)])
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_has_examples(cm, command, flag):
    result = cm(*command, flag)
    assert result.exit_code == 0
    examples = result.stdout.partition("Examples:\n")[2]
    assert examples.startswith(f"    cmeta {command[0] if command else 'info'} ")
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_help_lists_the_commands_in_order(cm):
    lines = cm("--help").stdout.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in lines[:3]] == COMMANDS


def test_an_interrupt_has_its_own_exit_code(cm, chronicle, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("cmeta.cli.rows.RowStream._read", interrupt)
    assert cm("cat", chronicle).exit_code == 130


def test_an_error_of_the_library_becomes_a_message(cm, chronicle, monkeypatch):
    from cmeta.errors import SchemaError

    def fail(*args):
        raise SchemaError("found \x1b, expected none", source="here.toml", key="a.b")

    monkeypatch.setattr("cmeta.cli.options.RecordOptions.chosen_fields", fail)
    result = cm("cat", chronicle)
    assert result.exit_code == 2
    assert result.stderr == "Error: here.toml: a.b: found \\x1b, expected none\n"


@pytest.mark.skipif(sys.platform == "win32", reason="names are Unicode there")
def test_a_name_that_is_not_utf8(cm, tmp_path):
    path = tmp_path / os.fsdecode(b"\xff.cmeta")
    result = cm("info", path)
    assert result.exit_code == 2
    assert result.stderr.endswith(".cmeta: No such file or directory\n")
