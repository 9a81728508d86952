"""Shell completion, and suggestions for mistyped commands."""

import shutil
import subprocess

import pytest
from click.shell_completion import ShellComplete

import cmeta
from cmeta.cli.app import COMMANDS, cli


def completed(*args, incomplete=""):
    shell = ShellComplete(cli, {}, "cmeta", "_CMETA_COMPLETE")
    return [item.value for item in shell.get_completions([str(arg) for arg in args], incomplete)]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_calls_the_program(cm, shell):
    result = cm("completion", shell)
    assert result.exit_code == 0
    assert f"_CMETA_COMPLETE={shell}_complete" in result.stdout
    assert "%(" not in result.stdout
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=result.stdout, text=True, check=True)


def test_an_unknown_shell(cm):
    result = cm("completion", "tcsh")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "'bash', 'zsh', 'fish'" in result.stderr


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash here")
def test_bash_completes(process, cm, chronicle, tmp_path):
    environment = {"COMP_WORDS": "cmeta val", "COMP_CWORD": "1", "_CMETA_COMPLETE": "bash_complete"}
    out, err = process(env=environment).communicate(timeout=60)
    assert (out, err) == (b"plain,validate\n", b"")


def test_commands_and_options():
    assert completed() == list(COMMANDS)
    assert completed(incomplete="qu") == ["query"]
    assert "--phase" in completed("cat", "x.cmeta", incomplete="--p")


def test_fields_come_from_the_file(chronicle, tmp_path):
    names = completed("cat", chronicle, "--fields", incomplete="metrics.e")
    assert names == ["metrics.entropy", "metrics.entropy_drift"]
    names = completed("query", chronicle, "x > 1", "--fields", incomplete="step,metrics.e")
    assert names == ["step,metrics.entropy", "step,metrics.entropy_drift"]
    assert completed("cat", tmp_path / "missing.cmeta", "--fields", incomplete="m") == []
    (tmp_path / "bad.cmeta").write_bytes(b"nothing")
    assert completed("head", tmp_path / "bad.cmeta", "--fields", incomplete="m") == []


@pytest.mark.parametrize(
    "name", ["$(touch trace)", "`x`", "a;b", "a b", "a'b", 'a"b', "a|b", "a&b", "a>b", "a\nb", "a*"]
)
def test_a_name_that_a_shell_would_run_is_not_offered(tmp_path, name):
    path = tmp_path / "run.cmeta"
    cmeta.write(path, {"phase": ["train"], f"metrics.{name}": [1.0], "metrics.\u03b1/b-c": [1.0]})
    assert completed("cat", path, "--fields", incomplete="metrics.a") == []
    assert f"metrics.{name}" not in completed("cat", path, "--fields", incomplete="")
    assert completed("cat", path, "--fields", incomplete="metrics.\u03b1") == ["metrics.\u03b1/b-c"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("inof", "info"), ("valdate", "validate"), ("qurey", "query"), ("comvert", "convert")],
)
def test_a_mistyped_command_has_a_suggestion(cm, typed, meant):
    result = cm(typed, "x.cmeta")
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"No such command '{typed}'. Did you mean {meant}" in result.stderr


def test_no_suggestion_for_a_name_unlike_any_command(cm):
    result = cm("xyzzy!")
    assert result.exit_code == 2
    assert result.stderr.endswith("No such command 'xyzzy!'.\n")
