"""Volatile fields are stored and read as any other, and left out of comparisons."""

import json
import sys

import pytest
from click.testing import CliRunner

import cmeta
from cmeta.cli.app import cli

SCHEMA = cmeta.default_schema().with_metrics(load={"volatile": True})


@pytest.fixture
def runs(tmp_path):
    paths = [tmp_path / f"{name}.cmeta" for name in "ab"]
    for path, loads in zip(paths, ([0.5, 0.25], [0.75, 0.25]), strict=True):
        columns = {"phase": ["train"] * 2, "loss": [1.0, 0.5], "metrics.load": loads}
        cmeta.write(path, columns, schema=SCHEMA)
    return paths


def test_it_is_stored_and_read_as_any_other(runs):
    with cmeta.open(runs[1]) as run:
        assert run.schema == SCHEMA
        assert run.schema["metrics.load"].volatile
        assert b'"volatile":true' in run.schema.embedded
        assert run.read(["load"])["load"].tolist() == [0.75, 0.25]
    assert cmeta.validate(runs[1]).ok
    assert b"volatile" not in cmeta.default_schema().embedded


def test_diff_leaves_it_out_unless_it_is_asked_for(runs):
    assert cmeta.diff(*runs).verdict == "equal"
    for asked in ({"volatile": True}, {"fields": ["load"]}):
        report = cmeta.diff(*runs, **asked)
        assert (report.verdict, list(report.fields)) == ("differs", ["metrics.load"])


def test_the_command(runs):
    def run(*options):
        return CliRunner().invoke(cli, ["diff", "--json", *options, *map(str, runs)])

    assert (run().exit_code, json.loads(run().stdout)["verdict"]) == (0, "equal")
    assert run("--volatile").exit_code == run("--fields", "load").exit_code == 1


def test_replay_leaves_it_out(runs):
    report = cmeta.replay(runs[0], lambda s: {"loss": s.record.loss_value, "metrics.load": 9.0})
    assert report.verdict == "exact"
    assert "metrics.load" not in report.not_replayed
    assert "metrics.load" not in report.fields


@pytest.mark.parametrize("path", ["timestamp", "phase", "config"])
def test_what_a_record_is_known_by_is_never_volatile(path):
    with pytest.raises(cmeta.SchemaError, match="volatile: found true, expected false"):
        cmeta.default_schema().with_options(path, volatile=True)


@pytest.mark.parametrize(("volatile", "verdict"), [(False, "exact"), (True, "diverged")])
def test_replay_compares_it_if_asked(runs, volatile, verdict):
    report = cmeta.replay(
        runs[0],
        lambda s: {"loss": s.record.loss_value, "metrics.load": s.record.metrics.load + 1},
        volatile=volatile,
    )
    assert (report.verdict, "metrics.load" in report.fields) == (verdict, volatile)
    report = cmeta.replay(runs[0], lambda s: {"loss": s.record.loss_value}, volatile=volatile)
    assert ("metrics.load" in report.not_replayed) == volatile


@pytest.mark.parametrize(("options", "code"), [([], 0), (["--volatile"], 1)])
def test_the_replay_command_compares_it_if_asked(runs, tmp_path, options, code):
    (tmp_path / "cycle.py").write_text(
        "def cycle(state):\n"
        "    return {'loss': state.record.loss_value, 'metrics.load': 9.0}\n"
    )  # fmt: skip
    (tmp_path / "train.py").write_text(
        "import cmeta\n"
        "with cmeta.Recorder('new.cmeta') as rec:\n"
        "    rec.log('train', loss=1.0, load=9.0)\n"
        "    rec.log('train', loss=0.5, load=9.0)\n"
    )
    for what in ([f"{tmp_path / 'cycle.py'}:cycle"], ["--", sys.executable, tmp_path / "train.py"]):
        arguments = ["replay", *options, runs[0], *what]
        result = CliRunner().invoke(cli, [*map(str, arguments)])
        assert result.exit_code == code, result.output
        assert ("metrics.load" in result.output) == bool(options)
