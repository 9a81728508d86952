"""`Recorder(wall_time=True)` and CMETA_WALL_TIME: when each record was taken, in a volatile field."""

import itertools
import json
import os
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

import cmeta
from cmeta import EncodeError, RecorderError, SchemaError
from cmeta.cli.app import cli

NOW = 1_795_917_600_000  # ms: in November 2026
OWN = cmeta.default_schema().with_metrics("accuracy")


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """A clock that goes on by a second at every look."""
    seconds = itertools.count()
    monkeypatch.delenv("CMETA_WALL_TIME", raising=False)
    monkeypatch.setattr(
        "cmeta.recorder.wall_time.clock", lambda: NOW * 10**6 + next(seconds) * 10**9 + 999_999
    )


def record(path, num=3, **options):
    with cmeta.Recorder(path, **options) as rec:
        for i in range(num):
            rec.log("train", loss=0.5**i)
    return path


def times(path):
    with cmeta.open(path) as run:
        return [t - NOW for t in run.read(["wall_time"])["wall_time"].tolist()]


def fields(path):
    with cmeta.open(path) as run:
        return list(run.schema.fields)


@pytest.mark.parametrize("schema", [None, OWN])
def test_each_record_has_the_time_when_it_was_taken(path, schema):
    record(path, wall_time=True, schema=schema)
    assert times(path) == [0, 1000, 2000]
    own = schema or cmeta.default_schema()
    with cmeta.open(path) as run:
        assert run.schema == own.with_wall_time()
        assert [f.path for f in run.schema.fields[:-1]] == [f.path for f in own.fields]
        field = run.schema.fields[-1]
        assert (field.path, field.type, field.unit) == ("wall_time", "u64", "ms")
        assert field.volatile
        assert next(iter(run)).wall_time == NOW
    assert cmeta.validate(path).ok
    assert cmeta.audit(path)[0].verdict == "sound"


def test_the_real_clock_is_that_of_the_system(path, monkeypatch):
    monkeypatch.undo()
    before = time.time()
    record(path, num=1, wall_time=True)
    with cmeta.open(path) as run:
        found = int(run.read(["wall_time"])["wall_time"][0])
    assert before - 1 < found / 1000 < time.time() + 1


def test_a_file_without_it_is_as_before(path, tmp_path):
    record(path)
    assert "wall_time" not in cmeta.default_schema()
    with cmeta.open(path) as run:
        assert run.schema == cmeta.default_schema()
    plain = record(tmp_path / "plain.cmeta", wall_time=False)
    assert plain.read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("value", "wall_time", "has_it"),
    [
        ("1", None, True), ("0", None, False), ("", None, False), ("1", False, False),
        ("0", True, True),
    ],
)  # fmt: skip
def test_the_environment_asks_unless_the_program_says_otherwise(
    path, monkeypatch, value, wall_time, has_it
):
    monkeypatch.setenv("CMETA_WALL_TIME", value)
    record(path, wall_time=wall_time)
    assert ("wall_time" in [f.path for f in fields(path)]) == has_it


@pytest.mark.parametrize("mode", ["new", "resume", "replace"])
def test_another_word_in_the_environment_is_refused(path, monkeypatch, mode):
    monkeypatch.setenv("CMETA_WALL_TIME", "yes")
    with pytest.raises(EncodeError, match="CMETA_WALL_TIME: found 'yes', expected 0 or 1"):
        cmeta.Recorder(path, mode=mode)
    assert not path.exists()
    with pytest.raises(EncodeError, match="wall_time: found 'yes', expected one of: None, True"):
        cmeta.Recorder(path, wall_time="yes")


def test_a_value_of_the_user_wins(path):
    with cmeta.Recorder(path, wall_time=True) as rec:
        rec.log("train", wall_time=NOW + 5)
        rec.log("train", wall_time=None)
        rec.log("train", wall_time=0)
        rec.record_cycle(cmeta.CycleRecord(phase="train"))
        rec.record_cycle(cmeta.CycleRecord(phase="train", extra={"wall_time": NOW + 7}))
        with rec.cycle("train") as c:
            c.log(loss=0.5)
        with rec.cycle("train", wall_time=NOW + 9) as c:
            c.log(loss=0.5)
        assert rec.last.wall_time == NOW + 9
    assert times(path) == [5, 0, -NOW, 1000, 7, 2000, 9]


def test_a_record_that_is_refused_changes_nothing(path):
    with cmeta.Recorder(path, wall_time=True) as rec:
        rec.log("train", timestamp=5)
        with pytest.raises(cmeta.OrderError):
            rec.log("train", timestamp=4)
        with pytest.raises(EncodeError, match="wall_time"):
            rec.log("train", wall_time=-1)
    assert len(times(path)) == 1


@pytest.mark.parametrize("again", [None, True, False])
@pytest.mark.parametrize("schema", [None, OWN, OWN.with_wall_time()])
def test_a_resumed_file_goes_on_with_it(path, schema, again):
    record(path, wall_time=True, schema=schema)
    record(path, wall_time=again, schema=schema, mode="resume")
    assert times(path) == [0, 1000, 2000, 3000, 4000, 5000]


def test_a_resumed_file_without_it_goes_on_without(path, monkeypatch):
    data = record(path, schema=OWN).read_bytes()
    with pytest.raises(RecorderError, match=r"without wall times.* leave wall_time out, or begin"):
        record(path, mode="resume", wall_time=True)
    assert path.read_bytes() == data
    with pytest.raises(RecorderError, match="without wall times"):  # all ranks alike
        record(path, mode="resume", wall_time=True, rank=1)
    monkeypatch.setenv("CMETA_WALL_TIME", "1")
    record(path, mode="resume", schema=OWN)
    with cmeta.open(path) as run:
        assert (len(run), run.schema) == (6, OWN)
    record(path, mode="replace", wall_time=True)
    assert len(times(path)) == 3


def test_a_mode_of_resume_begins_a_file_with_it(path):
    record(path, mode="resume", wall_time=True)
    assert times(path) == [0, 1000, 2000]


@pytest.mark.parametrize(
    "options",
    [{"type": "f64"}, {"type": "u64", "unit": "ms"}, {"type": "u64", "volatile": True}],
)
def test_another_field_of_the_name_is_refused(path, monkeypatch, options):
    schema = cmeta.default_schema().with_wall_time()
    schema = schema.with_options("wall_time", **{"unit": "", "volatile": False} | options)
    with pytest.raises(SchemaError, match=r"wall_time: found another field or group .* rename it"):
        cmeta.Recorder(path, schema, wall_time=True)
    assert not path.exists()
    monkeypatch.setenv("CMETA_WALL_TIME", "1")  # a wish only
    with cmeta.Recorder(path, schema) as rec:
        rec.log("train")
        rec.log("train", wall_time=3)
    with cmeta.open(path) as run:
        assert [record.as_dict().get("wall_time") for record in run] == [None, 3]


def test_a_rank_that_does_not_record_takes_the_same_steps(path):
    with pytest.warns(cmeta.CmetaWarning, match="does not record"):
        idle = cmeta.Recorder(path, rank=1, wall_time=True)
    idle.log("train", loss=0.5)
    assert idle.last.wall_time == NOW
    with pytest.raises(EncodeError, match="wall_time"):
        idle.log("train", wall_time="soon")
    idle.close()
    assert not path.exists()


@pytest.mark.parametrize("wall_time", [None, True])
@pytest.mark.parametrize("recorded", [None, True])
def test_verifying_does_not_compare_it(path, recorded, wall_time):
    data = record(path, wall_time=recorded).read_bytes()
    with cmeta.Recorder(path, mode="verify", wall_time=wall_time, schema=None) as rec:
        for i in range(3):
            rec.log("train", loss=0.5**i)
    assert rec.verified.verdict == "exact"
    assert path.read_bytes() == data


def test_a_state_is_of_its_run(path):
    with cmeta.Recorder(path, wall_time=True) as rec:
        rec.log("train")
        state = rec.state_dict()
        rec.log("train")
    with cmeta.Recorder(path, mode="resume", resume_at=state) as rec:
        rec.log("train")
    assert times(path) == [0, 2000]


def test_comparisons_leave_it_out(path, tmp_path):
    record(path, wall_time=True)
    other = record(tmp_path / "other.cmeta", wall_time=True)
    assert cmeta.diff(path, other).verdict == "equal"
    assert cmeta.diff(path, other, volatile=True).verdict == "differs"
    assert cmeta.replay(path, lambda s: {"loss": s.record.loss_value}).not_replayed == ()


def test_a_process_with_the_variable(path):
    code = f"import cmeta\nwith cmeta.Recorder({str(path)!r}) as rec: rec.log('train')"
    environment = os.environ | {"CMETA_WALL_TIME": "1"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert times(path)[0] != 0


def test_commands_show_it(path):
    record(path, wall_time=True)

    def run(*arguments):
        result = CliRunner().invoke(cli, [*arguments, str(path)])
        assert result.exit_code == 0, result.output
        return result.stdout

    assert "wall_time" in run("info")
    field = next(f for f in json.loads(run("schema", "show", "--json"))["fields"]
                 if f["name"] == "wall_time")  # fmt: skip
    assert field["volatile"]
    assert "volatile" in run("schema", "show")
    assert str(NOW) in run("cat", "--fields", "wall_time")
