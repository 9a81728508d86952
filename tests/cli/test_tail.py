"""`cmeta tail`: the last records, and new ones as they arrive."""

import json
import time

import cmeta

SCHEMA = cmeta.default_schema().with_batch_records(16)


def steps(text):
    return [json.loads(line)["step"] for line in text.splitlines()]


def test_the_last_records(cm, chronicle):
    assert [
        json.loads(line)["timestamp"]
        for line in cm("tail", "--json", chronicle).stdout.splitlines()
    ] == list(range(1090, 1100))
    result = cm("tail", "-n", "3", "--fields", "timestamp", chronicle)
    assert result.stdout.split() == ["timestamp", "---------", "1097", "1098", "1099"]
    assert cm("tail", "-n", "0", "--json", chronicle).stdout == ""
    assert len(cm("tail", "-n", "1000", "--json", chronicle).stdout.splitlines()) == 100
    phases = cm("tail", "-n", "10", "--phase", "dream", "--json", chronicle).stdout.splitlines()
    assert [json.loads(line)["timestamp"] for line in phases] == [1094, 1099]


def test_following_a_closed_file_ends_at_once(cm, chronicle):
    assert len(cm("tail", "-f", "--json", chronicle).stdout.splitlines()) == 10


def test_an_open_file_has_a_note(cm, tmp_path):
    with cmeta.Recorder(tmp_path / "run.cmeta", SCHEMA) as rec:
        for i in range(40):
            rec.log("train", step=i)
        result = cm("tail", "--json", "-n", "20", rec.path)
    assert steps(result.stdout) == list(range(20, 40))
    assert "is open: still being written" in result.stderr


def test_following_a_run_to_its_end(process, tmp_path):
    with cmeta.Recorder(tmp_path / "run.cmeta", SCHEMA) as rec:
        for i in range(5):
            rec.log("train", step=i)
        follower = process("tail", "-f", "-n", "2", "--json", rec.path)
        assert steps(follower.stdout.readline() + follower.stdout.readline()) == [3, 4]
        for i in range(5, 100):
            rec.log("train", step=i)
            time.sleep(0.002)
    rest, errors = follower.communicate(timeout=30)
    assert (follower.returncode, errors) == (0, b"")
    assert steps(rest) == list(range(5, 100))


def test_a_missing_file(cm, tmp_path):
    result = cm("tail", "-f", tmp_path / "none.cmeta")
    assert result.exit_code == 2
    assert "none.cmeta" in result.stderr
