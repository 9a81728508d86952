"""`cmeta replay`: verdicts, exit codes and failing callables."""

import json
import sys

import pytest

import cmeta

CODE = """
import sys
import numpy as np
from dataclasses import dataclass

NUMBER = 3
ARGUMENTS = list(sys.argv)

def same(state):
    return {"loss": state.rng.random()}

def off(state):
    return {"loss": state.rng.random() + (state.ordinal == 5)}

def nearly(state):
    return {"loss": state.record.loss_value + (1e-6 if state.ordinal == 5 else 0)}

def prints_arguments(state):
    print(ARGUMENTS, sys.argv)
    return same(state)

def wrong(state):
    return {"los": 1.0}

def fails(state):
    return open("/nowhere/at/all")

class Stateful:
    def __init__(self, state):
        self.num = 0

    def __call__(self, state):
        self.num += 1
        return {"step": self.num - 1}
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run, and a module beside it, in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "again_code.py").write_text(CODE)
    (tmp_path / "broken_code.py").write_text("import not_installed_anywhere\n")
    with cmeta.Recorder("run.cmeta", seed=3) as recorder:
        for i in range(20):
            with recorder.cycle("train", step=i) as cycle:
                cycle.log(loss=cycle.rng.random())
    return "run.cmeta"


VERDICTS = {
    "again_code:same": ("exact", 0),
    "again_code.py:same": ("exact", 0),
    "again_code:Stateful": ("exact", 0),
    "again_code:nearly": ("within one quantum", 0),
    "again_code:off": ("diverged", 1),
    "builtins:id": (None, 2),
}


@pytest.mark.parametrize(("cycle", "expected"), VERDICTS.items())
def test_verdicts(cm, run, cycle, expected):
    verdict, code = expected
    result = cm("replay", run, cycle)
    assert result.exit_code == code
    if verdict is not None:
        assert result.stdout.startswith(f"run.cmeta: {verdict}: 20 cycles, 20 values compared")


def test_the_first_divergence(cm, run):
    result = cm("replay", run, "again_code:off")
    assert (
        "first difference: record 5 (timestamp 5, train), loss_value: recorded 0." in result.stdout
    )
    assert result.stdout.rstrip().endswith("not replayed: step")
    assert "    loss_value         1\n" in result.stdout
    found = json.loads(cm("replay", run, "again_code:off", "--json").stdout)
    assert (found["verdict"], found["first"]["ordinal"], found["counts"]["exact"]) == (
        "diverged", 5, 19,
    )  # fmt: skip


def test_inconclusive(cm, run):
    """No value was compared."""
    result = cm("replay", run, "again_code:off", "--start", 100)
    assert result.exit_code == 5
    assert "nothing was compared" in result.stdout


def test_a_range(cm, run):
    assert cm("replay", run, "again_code:off", "--end", 4).exit_code == 0
    assert cm("replay", run, "again_code:off", "--start", "0x6").exit_code == 0


REFUSED = {
    "no_colon": "'no_colon': expected MODULE:NAME or FILE.py:NAME",
    "again_code:": "expected MODULE:NAME",
    "again_code:nix": "again_code has no 'nix'; it defines Stateful, fails, nearly",
    "again_code:NUMBER": "is a int, expected a function or a class",
    "no_such_module:cycle": "no module named 'no_such_module', from the folder",
    "no/such/file.py:cycle": "no/such/file.py: no such file",
    "again_code:wrong": "while record 0 was replayed",
    "broken_code:cycle": "not_installed_anywhere",
    "again_code:fails": "/nowhere/at/all",
}


@pytest.mark.parametrize(("cycle", "words"), REFUSED.items())
def test_an_error_in_a_callable_is_reported(cm, run, cycle, words):
    result = cm("replay", run, cycle)
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stdout == ""


def test_the_location_of_an_error_in_a_callable_is_shown(cm, run):
    message = cm("replay", run, "again_code:fails").stderr
    assert "in fails" in message and "FileNotFoundError" in message and "while record 0" in message


def test_files(cm, run, tmp_path):
    assert cm("replay", "nowhere.cmeta", "again_code:same").exit_code == 2
    (tmp_path / "bad.cmeta").write_bytes((tmp_path / run).read_bytes()[:-30])
    result = cm("replay", "bad.cmeta", "again_code:same")
    assert (result.exit_code, "bad.cmeta" in result.stderr) == (3, True)


def test_the_readme_command_on_a_run_with_a_validation(cm, run):
    with cmeta.Recorder(run, mode="resume") as recorder:
        recorder.log("val", loss=0.5, metrics={"val_accuracy": 0.5})
    result = cm("replay", run, "again_code:same")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "skipped: 1 record without a seed" in result.stdout
    result = cm("replay", run, "again_code:same", "--phase", "train")
    assert (result.exit_code, "skipped" in result.stdout) == (0, False)
    assert cm("replay", run, "again_code:same", "--phase", "val").exit_code == 5
    assert "Did you mean train?" in cm("replay", run, "again_code:same", "--phase", "trian").stderr


@pytest.mark.parametrize("source", ["again_code.py", "again_code"])
def test_a_script_sees_its_own_arguments(cm, run, source):
    before = list(sys.argv)
    sys.modules.pop("again_code", None)
    cycle = f"{source}:prints_arguments"
    result = cm("replay", run, cycle, "--end", 0, "--", "--lr", "0.1", "--", "x")
    found = [source, "--lr", "0.1", "--", "x"]
    assert result.stdout.startswith(f"{found} {found}\n")
    assert cm("replay", run, cycle, "--end", 0).stdout.splitlines()[0].endswith(f"['{source}']")
    result = cm("audit", run, "--replay", cycle, "--jobs", 1)
    assert result.stdout.splitlines()[0].endswith(f"['{source}']")
    assert sys.argv == before
