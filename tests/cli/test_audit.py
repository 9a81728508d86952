"""`cmeta audit`: text, JSON, comparisons and exit codes."""

import json
import os

import pytest

import cmeta

CALLABLES = """
def same(state):
    return {"loss": state.rng.random()}

def other(state):
    return {"loss": state.rng.random() + 1}

def failing(state):
    raise RuntimeError("no weights")
"""


@pytest.fixture
def recorded(tmp_path):
    """Record a run that can be replayed."""

    def record(name="good.cmeta", seed=7, **config):
        path = tmp_path / name
        config = config or {"environment": cmeta.environment()}
        with cmeta.Recorder(path, seed=seed, config=config) as rec:
            for _ in range(30):
                with rec.cycle("train") as c:
                    c.log(loss=float(c.rng.random()))
        return path

    return record


@pytest.fixture
def callables(tmp_path, monkeypatch):
    """A module of callables in the current folder."""
    (tmp_path / "audited.py").write_text(CALLABLES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "audited"


def test_audit_of_a_sound_file(cm, recorded):
    path = recorded()
    result = cm("audit", path)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == f"{path}: sound"
    assert lines[2] == "  records  30 (30 train)"
    assert len(lines) == 4  # state, records, sha256


def test_audit_json(cm, recorded):
    paths = [recorded(), recorded("other.cmeta")]
    result = cm("audit", "--json", *paths, paths[0])  # each file once
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(one["file"], one["verdict"]) for one in found] == [(str(p), "sound") for p in paths]
    assert (found[0]["findings"], found[0]["replay"]) == ([], None)
    assert found[0]["phases"] == {"train": 30}


def test_audit_exits_with_the_worst_code(
    cm, recorded, chronicle, flipped, truncated, still_open, not_a_chronicle, tmp_path
):
    good, missing = recorded(), tmp_path / "missing.cmeta"
    assert cm("audit", good, still_open).exit_code == 1
    assert cm("audit", good, chronicle).exit_code == 1  # a loss that is NaN
    assert cm("audit", still_open, missing).exit_code == 2
    for corrupt in (flipped, truncated, not_a_chronicle):
        assert cm("audit", good, missing, corrupt).exit_code == 3
    result = cm("audit", good, missing, "--jobs", 1)
    assert result.stdout.splitlines()[-1] == "2 files: 1 sound, 1 unreadable"
    assert f"{missing}: unreadable\n  error    unreadable  No such file" in result.stdout


def test_audit_of_a_folder(cm, recorded, tmp_path):
    (tmp_path / "runs").mkdir()
    recorded("runs/b.cmeta"), recorded("runs/a.cmeta")
    result = cm("audit", tmp_path / "runs")
    assert result.exit_code == 0
    heads = [line for line in result.stdout.splitlines() if line.startswith(os.fspath(tmp_path))]
    assert heads == [f"{tmp_path}/runs/{name}.cmeta: sound" for name in "ab"]


def test_audit_against_another_run(cm, recorded, flipped, tmp_path):
    path, other = recorded(), recorded("other.cmeta", seed=8)
    assert cm("audit", path, "--against", path).exit_code == 0
    result = cm("audit", path, "--against", other)
    assert result.exit_code == 1
    assert f"differs  from {other}: 30 of 30 records differ" in result.stdout
    assert cm("audit", path, "--against", flipped.with_name("none.cmeta")).exit_code == 2
    flipped.write_bytes(flipped.read_bytes()[:-40])
    result = cm("audit", path, "--against", flipped)
    assert (result.exit_code, result.stdout) == (3, "")
    assert str(flipped) in result.stderr


def test_audit_with_a_replay(cm, recorded, callables):
    path = recorded()
    assert cm("audit", path, "--replay", f"{callables}:same").exit_code == 0
    result = cm("audit", path, "--replay", f"{callables}:other")
    assert result.exit_code == 1
    assert "diverged  30 of 30 cycles differ; first: record 0" in result.stdout
    result = cm("audit", path, "--replay", f"{callables}:failing")
    assert result.exit_code == 2
    assert "replay-failed  RuntimeError: no weights (record 0)" in result.stdout
    elsewhere = recorded("elsewhere.cmeta", environment={"python": "2.7"})
    assert cm("audit", path, elsewhere, "--replay", f"{callables}:other").exit_code == 5
    assert cm("audit", path, "--replay", f"{callables}:none").exit_code == 2
    assert cm("audit", path, "--replay", "none").exit_code == 2


def test_audit_in_processes(process, recorded, callables, tmp_path):
    for name in "abc":
        recorded(f"{name}.cmeta")
    done = process("audit", tmp_path, "--replay", f"{callables}:same", "--jobs", 2, cwd=tmp_path)
    stdout, stderr = done.communicate(timeout=60)
    assert (done.returncode, stderr) == (0, b"")
    assert stdout.endswith(b"\n3 files: 3 sound\n")
    assert stdout.count(b"  replay   exact, 30 cycles\n") == 3


def test_audit_escapes_control_characters_in_names(cm, recorded):
    path = recorded("a\x1b[2J.cmeta")
    result = cm("audit", path)
    assert result.exit_code == 0
    assert "\x1b" not in result.stdout and "a\\x1b[2J.cmeta: sound" in result.stdout


def test_audit_help_states_the_exit_codes(cm):
    text = cm("audit", "--help").stdout
    for verdict in ("sound             0", "corrupt           3", "inconclusive      5"):
        assert verdict in text
