"""`cmeta replay FILE -- COMMAND`: the training itself runs again."""

import json
import os
import sys

import pytest

import cmeta

SCRIPT = """
import os, random, sys, time
import cmeta

options = dict(arg.split("=") for arg in sys.argv[1:])
print("a training", *sys.argv[1:])
for part in range(int(options.get("parts", 1))):
    with cmeta.Recorder(
        options.get("out", "run.cmeta"), mode="resume" if part else options.get("mode", "new"),
        config={"lr": options.get("lr", "0.1")},
    ) as rec:
        for step in range(part * 10, (part + 1) * 10):
            if step == int(options.get("dies", -1)):
                sys.exit(3)
            if step == int(options.get("vanishes", -1)):
                os._exit(0)
            with rec.cycle("train", step=step) as c:
                wrong = step >= int(options.get("off", 1000))
                c.log(loss=1 + random.random() + wrong, metrics={"time/s": time.time()})
        rec.log("val", loss=0.5)
        if "waits" in options:
            rec.log("val", loss=0.5)
            time.sleep(60)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A script and the run that it has recorded, which no test may change."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(p for p in sys.path if p))
    (tmp_path / "train.py").write_text(SCRIPT)
    monkeypatch.setattr(sys, "argv", ["train.py"])
    exec(compile(SCRIPT, "train.py", "exec"), {})
    before = (tmp_path / "run.cmeta").read_bytes()
    yield tmp_path
    assert (tmp_path / "run.cmeta").read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["run.cmeta", "train.py"]


@pytest.fixture
def again(cm, folder):
    """Replay the run by its script."""

    def call(*args, options=("--ignore", "time/*"), file="run.cmeta"):
        return cm("replay", file, *options, "--", sys.executable, "train.py", *args)

    return call


def test_the_same_training_is_exact(again, capfd):
    result = again()
    assert result.exit_code == 0
    assert result.stdout.startswith("run.cmeta: exact: 11 cycles, ")
    assert "a training" not in result.stdout  # the report alone can be redirected


@pytest.mark.parametrize("change", ["mode=replace", "mode=resume", "out=elsewhere/new.cmeta"])
def test_path_and_mode_of_the_recorder_do_not_matter(again, change):
    result = again(change)
    assert (result.exit_code, "exact: 11 cycles" in result.stdout) == (0, True)


def test_the_first_divergence_ends_the_command_and_is_named(again):
    result = again("off=4")
    assert result.exit_code == 1
    assert "run.cmeta: diverged: 5 cycles" in result.stdout
    assert "first difference: record 4 (timestamp 4, train), loss_value: recorded" in result.stdout


def test_keep_going_counts_and_json_has_all(again):
    options = ("--keep-going", "--json", "--ignore", "time/*")
    result = again("off=4", "lr=0.2", options=options)
    found = json.loads(result.stdout)
    assert (result.exit_code, found["verdict"], found["fields"]) == (
        1, "diverged", {"loss_value": 6},
    )  # fmt: skip
    assert (found["file"], found["first"]["step"]) == ("run.cmeta", 4)
    assert found["config"] == {"lr": ["0.1", "0.2"]}


def test_what_is_not_ignored_is_compared(again):
    result = again(options=())
    assert (result.exit_code, "metrics.time/s" in result.stdout) == (1, True)


def test_a_range_ends_the_command_when_it_has_been_compared(again):
    result = again("waits=1", options=("--ignore", "time/*", "--end", "9"))
    assert (result.exit_code, "exact: 10 cycles" in result.stdout) == (0, True)


def test_a_phase(again):
    result = again("off=4", options=("--phase", "val"))
    assert (result.exit_code, "exact: 1 cycle," in result.stdout) == (0, True)


def test_a_run_in_parts_goes_on_where_it_was_closed(cm, folder, tmp_path_factory):
    file = tmp_path_factory.mktemp("parts") / "parts.cmeta"
    sys.argv[1:] = [f"out={file}", "parts=2"]
    exec(compile(SCRIPT, "train.py", "exec"), {})
    args = (sys.executable, "train.py", *sys.argv[1:])
    result = cm("replay", file, "--ignore", "time/*", "--", *args)
    assert (result.exit_code, "exact: 22 cycles" in result.stdout) == (0, True)


def test_a_command_that_fails_is_said(again):
    result = again("dies=6")
    assert result.exit_code == 2
    assert "Error: the command has ended with exit code 3, before everything" in result.stderr
    assert "5 recorded ones were not logged again" in result.stdout


def test_a_recorder_that_is_never_closed_is_said(again):
    result = again("vanishes=6")
    assert result.exit_code == 5
    assert "was never closed" in result.stderr


def test_a_command_without_a_recorder_and_one_that_cannot_be_started(cm, folder):
    result = cm("replay", "run.cmeta", "--", sys.executable, "-c", "")
    assert (result.exit_code, "no recorder of the command" in result.stdout) == (5, True)
    result = cm("replay", "run.cmeta", "--", "no-such-command")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "no-such-command: cannot be started" in result.stderr


def test_nothing_that_the_command_starts_can_write_to_the_file(cm, folder):
    code = "import os, cmeta; os.environ.clear(); cmeta.Recorder('run.cmeta', mode='replace')"
    result = cm("replay", "run.cmeta", "--", sys.executable, "-c", code)
    assert result.exit_code == 2


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["run.cmeta", "--"], "expected the command of the training"),
        (["run.cmeta"], "Missing argument 'MODULE:CYCLE', or `-- COMMAND`"),
        (["run.cmeta", "train.py:x", "more"], "those of the script go after `--`"),
        (["run.cmeta", "train.py:x", "--keep-going"], "--keep-going requires a command"),
        (["run.cmeta", "train.py:x", "--ignore", "a"], "--ignore requires a command"),
        (["run.cmeta", "--phase", "trian", "--", "true"], "Did you mean train?"),
        (["missing.cmeta", "--", "true"], "missing.cmeta"),
    ],
)
def test_wrong_arguments(cm, folder, args, words):
    result = cm("replay", *args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr


def test_a_damaged_file_is_not_compared(cm, tmp_path):
    path = tmp_path / "run.cmeta"
    cmeta.write(path, {"phase": ["train"] * 9})
    path.write_bytes(path.read_bytes()[:-9])
    result = cm("replay", path, "--", "true")
    assert (result.exit_code, str(path) in result.stderr) == (3, True)
