"""Every command takes the words of `log`: val for validate, loss for loss_value."""

import os

import numpy as np
import pytest

import cmeta

# A command with words of `log`, and with the names of the schema.
CALLS = [
    (("cat", "RUN", "--phase", "val"), ("cat", "RUN", "--phase", "validate")),
    (("cat", "RUN", "--phase", "Eval,TRAIN"), ("cat", "RUN", "--phase", "train,validate")),
    (("cat", "RUN", "--fields", "loss"), ("cat", "RUN", "--fields", "loss_value")),
    (("cat", "RUN", "--fields", "loss,loss_value"), ("cat", "RUN", "--fields", "loss_value")),
    (("cat", "RUN", "--json", "--fields", "loss"), ("cat", "RUN", "--json", "--fields", "loss_value")),
    (("head", "RUN", "--phase", "val"), ("head", "RUN", "--phase", "validate")),
    (("head", "RUN", "--fields", "loss"), ("head", "RUN", "--fields", "loss_value")),
    (("tail", "RUN", "--phase", "dev"), ("tail", "RUN", "--phase", "validate")),
    (("tail", "RUN", "--fields", "loss"), ("tail", "RUN", "--fields", "loss_value")),
    (
        ("query", "RUN", "step > 3", "--phase", "val", "--fields", "loss"),
        ("query", "RUN", "step > 3", "--phase", "validate", "--fields", "loss_value"),
    ),
    (("summary", "RUN", "--phase", "val"), ("summary", "RUN", "--phase", "validate")),
    (("summary", "RUN", "--fields", "loss"), ("summary", "RUN", "--fields", "loss_value")),
    (("plot", "RUN"), ("plot", "RUN", "--fields", "loss_value")),
    (("plot", "RUN", "--fields", "loss"), ("plot", "RUN", "--fields", "loss_value")),
    (
        ("plot", "RUN", "--fields", "step", "--x", "loss", "--phase", "val"),
        ("plot", "RUN", "--fields", "step", "--x", "loss_value", "--phase", "validate"),
    ),
    (
        ("convert", "RUN", "-", "--format", "csv", "--phase", "val", "--fields", "loss"),
        ("convert", "RUN", "-", "--format", "csv", "--phase", "validate", "--fields", "loss_value"),
    ),
    (("diff", "RUN", "OTHER", "--fields", "loss"), ("diff", "RUN", "OTHER", "--fields", "loss_value")),
]  # fmt: skip


@pytest.fixture
def runs(tmp_path):
    def write(name, factor, schema=None, **columns):
        path = tmp_path / f"{name}.cmeta"
        step = np.arange(12)
        phases = np.where(step % 3 == 2, "validate", "train")
        given = {"phase": phases, "step": step, "loss_value": factor / (step + 1), **columns}
        cmeta.write(path, given, schema)
        return path

    return write


def plain(line):
    """Return a line without the word, which may occur in a title."""
    return line.replace("loss_value", "loss").split()


@pytest.mark.parametrize(("words", "names"), CALLS, ids=lambda call: " ".join(call))
def test_a_word_means_the_name(cm, runs, words, names):
    files = {"RUN": runs("run", 1.0), "OTHER": runs("other", 2.0)}
    by_words, by_names = (cm(*[files.get(arg, arg) for arg in call]) for call in (words, names))
    assert by_words.exit_code == by_names.exit_code == (1 if words[0] == "diff" else 0)
    assert by_names.stdout
    lines = [[plain(line) for line in r.stdout.splitlines()] for r in (by_words, by_names)]
    assert lines[0] == lines[1]
    assert by_words.stderr == by_names.stderr


@pytest.mark.parametrize("command", ["cat", "head", "tail", "summary", "plot", "convert", "query"])
def test_a_name_of_the_file_takes_precedence(cm, runs, tmp_path, command):
    schema = cmeta.default_schema().with_phases("val").with_metrics(loss={"exact": True})
    phases = np.where(np.arange(12) % 2, "val", "validate")
    own = {"loss_value": [None] * 12, "metrics.loss": np.full(12, 77.0)}
    path = runs("own", 1.0, schema, phase=phases, **own)
    more = {"convert": ["-", "--format", "csv"], "query": ["step >= 0"]}.get(command, [])
    result = cm(command, path, *more, "--phase", "val", "--fields", "loss")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "77" in result.stdout
    assert "validate" not in result.stdout
    assert cm(command, path, *more, "--phase", "dev").stdout  # still a word for validate


@pytest.mark.parametrize(
    "option", [("--phase", "tune"), ("--phase", "warmup"), ("--fields", "los")]
)
def test_a_word_for_a_name_that_the_file_lacks(cm, runs, option):
    result = cm("cat", runs("run", 1.0), *option)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"'{option[1]}' is not in this file" in result.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("runs", ".", "--best", "min:loss"),
        ("runs", ".", "--sort", "loss"),
        ("runs", ".", "--where", "loss > 0"),
        ("runs", ".", "--columns", "loss.min"),
        ("summary", "two.cmeta", "--fields", "loss"),
        ("plot", "two.cmeta", "--fields", "loss"),
        ("cat", "two.cmeta", "--fields", "loss"),
        ("query", "two.cmeta", "loss > 0"),
        ("diff", "two.cmeta", "two.cmeta", "--fields", "loss"),
        ("convert", "two.cmeta", "out.csv", "--fields", "loss"),
    ],
)
def test_a_name_of_two_fields_is_refused_by_every_command(cm, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    with cmeta.Recorder("two.cmeta") as rec:
        rec.log("train", loss=0.5)
        rec.log("val", metrics={"loss": 0.25})
    result = cm(*command)
    assert result.exit_code == 2
    assert "'loss' may be loss_value or metrics.loss" in result.stderr
    assert cm("runs", ".", "--best", "min:val/loss").exit_code == 0
    assert sorted(os.listdir()) == ["two.cmeta"]
