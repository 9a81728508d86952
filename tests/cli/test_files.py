"""The arguments of a command: folders, patterns, standard input."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import cmeta
from cmeta.cli.app import cli
from cmeta.cli.files import expand

FROM_STDIN = ["info", "validate", "cat", "head", "tail", "schema show", "schema json"]


@pytest.fixture
def tree(chronicle, tmp_path):
    """A folder of chronicles, listed in search order."""
    root = tmp_path / "runs"
    names = ["a.cmeta", "deep/er/b.cmeta", "[x]*.cmeta", "z \u00fc.cmeta"]
    for name in [*names, "notes.txt"]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(chronicle.read_bytes())
    return root


def names(root, *given):
    return [str(path.relative_to(root)) for path in expand(root / one for one in given)]


def piped(data, *args):
    return CliRunner().invoke(cli, list(map(str, args)), input=data)


def test_a_folder_means_every_chronicle_below_it(tree):
    assert names(tree, ".") == sorted(["[x]*.cmeta", "a.cmeta", "deep/er/b.cmeta", "z ü.cmeta"])


def test_a_pattern_that_the_shell_did_not_expand(tree):
    assert names(tree, "*.cmeta") == ["[x]*.cmeta", "a.cmeta", "z ü.cmeta"]
    assert names(tree, "**/*.cmeta") == ["[x]*.cmeta", "a.cmeta", "deep/er/b.cmeta", "z ü.cmeta"]
    assert names(tree, "d*") == ["deep/er/b.cmeta"]
    assert names(tree, "*") == ["[x]*.cmeta", "a.cmeta", "deep/er/b.cmeta", "z ü.cmeta"]
    assert names(tree, "*.txt") == ["notes.txt"]


def test_an_existing_file_takes_precedence_over_a_pattern(tree):
    assert names(tree, "[x]*.cmeta") == ["[x]*.cmeta"]


def test_arguments_without_a_match_are_kept(tree):
    assert names(tree, "missing.cmeta", "m*.cmeta", "a.cmeta", "a.cmeta") == [
        "missing.cmeta", "m*.cmeta", "a.cmeta",
    ]  # fmt: skip
    (tree / "empty").mkdir()
    assert names(tree, "empty") == ["empty"]
    assert names(tree, "a.cmeta", ".", "deep") == [
        "a.cmeta", "[x]*.cmeta", "deep/er/b.cmeta", "z ü.cmeta",
    ]  # fmt: skip
    assert expand(map(Path, ["-", "a.cmeta", "-"])) == [Path("-"), Path("a.cmeta")]


def test_a_journal_without_its_file_is_an_error(cm, tmp_path):
    (tmp_path / "run.cmeta-journal").write_bytes(b"")
    result = cm("validate", tmp_path)
    assert result.exit_code == 2
    assert "run.cmeta: No such file or directory" in result.stderr


@pytest.mark.parametrize("command", ["validate", "audit", "schema check"])
def test_commands_of_several_files_take_files_folders_and_patterns(cm, tree, command):
    found = cm(*command.split(), "--json", tree, tree / "d*", tree / "a.cmeta")
    files = [json.loads(line)["file"] for line in found.stdout.splitlines()]
    assert sorted(files) == sorted(str(tree / name) for name in names(tree, "."))


@pytest.mark.parametrize("command", ["validate", "query", "schema check"])
def test_a_pattern_without_a_match(cm, tmp_path, command):
    more = ["phase == 'train'"] if command == "query" else []
    result = cm(*command.split(), tmp_path / "*.cmeta", *more)
    assert result.exit_code == 2
    assert result.stderr == f"Error: {tmp_path / '*.cmeta'}: no file matches\n"


@pytest.mark.parametrize("command", FROM_STDIN)
def test_standard_input_prints_the_same_as_the_file(cm, chronicle, command):
    from_file = cm(*command.split(), chronicle)
    from_pipe = piped(chronicle.read_bytes(), *command.split(), "-")
    assert from_pipe.exit_code == from_file.exit_code == 0
    assert from_pipe.stdout == from_file.stdout.replace(str(chronicle), "<stdin>")


def test_query_and_diff_of_standard_input(chronicle):
    data = chronicle.read_bytes()
    assert piped(data, "query", "-", "phase == 'train'", "--count").stdout == "60\n"
    assert piped(data, "diff", "-", chronicle).exit_code == 0
    assert piped(data, "diff", chronicle, "-", "--fields", "loss_value").exit_code == 0


@pytest.mark.parametrize("command", FROM_STDIN)
def test_standard_input_that_is_not_a_chronicle(command):
    for data in (b"", b"not a chronicle at all", b"\0" * 1000):
        result = piped(data, *command.split(), "-")
        assert result.exit_code == 3
        assert "<stdin>" in result.stdout + result.stderr


def test_damage_in_standard_input_is_reported_under_its_name(flipped):
    result = piped(flipped.read_bytes(), "cat", "-", "--json")
    assert result.exit_code == 3
    assert result.stderr.startswith("Error: <stdin>: offset ")


@pytest.mark.parametrize(
    "args", [("audit", "-"), ("replay", "-", "os:getcwd"), ("tail", "-f", "-")]
)
def test_commands_that_need_a_file_on_disk(chronicle, args):
    result = piped(chronicle.read_bytes(), *args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: <stdin>: this command needs a file on disk")


def test_a_terminal_is_refused_as_input(cm, monkeypatch):
    monkeypatch.setattr("cmeta.cli.files.is_terminal", lambda stream: True)
    result = cm("info", "-")
    assert (result.exit_code, result.stderr) == (
        2, "Error: <stdin>: a terminal, expected a .cmeta file in a pipe\n",
    )  # fmt: skip


def test_standard_input_has_no_journal(tmp_path):
    path = tmp_path / "open.cmeta"
    with cmeta.Recorder(path) as rec:
        rec.log("train", loss=0.5)
        rec.flush()
        result = piped(path.read_bytes(), "info", "-", "--json")
    assert json.loads(result.stdout)["state"] == "open"
    assert not json.loads(result.stdout)["has_journal"]


@pytest.mark.parametrize("command", ["info", "validate", "audit", "runs", "cat", "summary"])
def test_an_empty_name_does_not_mean_this_folder(cm, command):
    result = cm(command, "")
    assert result.exit_code == 2
    assert "found an empty name, expected that of a file" in result.stderr
