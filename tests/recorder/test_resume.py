"""Resuming: after a close, after a death, at an earlier record; and files that are refused."""

import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

import cmeta
from cmeta import EncodeError, ExistsError, RecorderError

from .conftest import NUM_RECORDS, SCHEMA, record


def die(rec):
    """End a recorder as if its process were killed: files as they are, the lock released."""
    rec._session._sealer.stop()
    rec._session.is_closed = True


def copied(source, target):
    """Copy a chronicle with its journal."""
    shutil.copy(source, target)
    if os.path.exists(f"{source}-journal"):
        shutil.copy(f"{source}-journal", f"{target}-journal")


@pytest.mark.parametrize("cut", [0, 1, 15, 16, 17, 32, 63, 64, 99, NUM_RECORDS])
@pytest.mark.parametrize("end", ["close", "die"])
def test_resuming_gives_the_bytes_of_a_run_without_a_pause(path, whole, cut, end):
    rec = cmeta.Recorder(path, SCHEMA)
    record(rec, 0, cut)
    before = rec.records
    rec.close() if end == "close" else die(rec)
    with cmeta.Recorder(path, mode="resume") as rec:
        assert len(rec) == cut
        assert rec.records == before
        assert rec.num_dropped == 0
        record(rec, cut, NUM_RECORDS)
    assert path.read_bytes() == whole


def test_many_sessions(path, whole):
    done = 0
    for step in (1, 2, 30, 1, 16, 17, 33):
        rec = cmeta.Recorder(path, SCHEMA if done == 0 else None, mode="resume")
        record(rec, done, done + step)
        done += step
        rec.close() if done % 2 else die(rec)
    assert done == NUM_RECORDS
    cmeta.Recorder(path, mode="resume").close()
    assert path.read_bytes() == whole


@pytest.mark.parametrize("keep", [0, 1, 16, 20, 39, 41, 64, 80, 99, NUM_RECORDS])
@pytest.mark.parametrize("end", ["close", "die"])
@pytest.mark.parametrize("by", ["state", "timestamp"])
def test_resuming_at_an_earlier_record(path, whole, keep, end, by):
    rec = cmeta.Recorder(path, SCHEMA)
    record(rec, 0, keep)
    state = json.loads(json.dumps(rec.state_dict()))  # as a checkpoint would keep it
    record(rec, keep, NUM_RECORDS)
    rec.close() if end == "close" else die(rec)
    if by == "timestamp" and keep == 0:
        return  # no timestamp is before the first record's
    resume_at = state if by == "state" else keep - 1
    with cmeta.Recorder(path, mode="resume", resume_at=resume_at) as rec:
        assert (len(rec), rec.num_dropped) == (keep, NUM_RECORDS - keep)
        dropped_to = rec.dropped_to
        record(rec, keep, NUM_RECORDS)
    assert path.read_bytes() == whole
    if keep == NUM_RECORDS:
        assert dropped_to is None
        return
    assert dropped_to.name == f"run.dropped-from-{keep}-1.cmeta"
    with cmeta.open(dropped_to) as side, cmeta.open(path) as run:
        assert list(side) == list(run)[keep:]
        assert cmeta.validate(dropped_to).ok


def test_records_of_equal_timestamps_are_kept_together(path):
    with cmeta.Recorder(path) as rec:
        for timestamp in (1, 2, 2, 2, 3):
            rec.log("train", timestamp=timestamp)
    with cmeta.Recorder(path, mode="resume", resume_at=2) as rec:
        assert (len(rec), rec.num_dropped) == (4, 1)
    with cmeta.Recorder(path, mode="resume", resume_at=99) as rec:
        assert (len(rec), rec.num_dropped) == (4, 0)


def test_states_of_other_runs_are_refused(path):
    with cmeta.Recorder(path) as rec:
        for timestamp in (5, 6, 7):
            rec.log("train", timestamp=timestamp)
            if timestamp == 6:
                state = rec.state_dict()
        future = rec.state_dict() | {"num_records": 4, "timestamp": 8}
    before = path.read_bytes()
    for wrong, message in (
        (future, "holds 3 records, .* taken after 4"),
        ({**state, "timestamp": 9}, "record 1 has the timestamp 6, .* has 9"),
        ({**state, "digest": "0" * 16}, "first 2 records have the digest .*another run"),
    ):
        with pytest.raises(RecorderError, match=message):
            cmeta.Recorder(path, mode="resume", resume_at=wrong)
    with pytest.raises(RecorderError, match="does not exist"):
        cmeta.Recorder(path.with_name("none.cmeta"), mode="resume", resume_at=3)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["run.cmeta"]


@pytest.mark.parametrize("num_records", [1, 16, 20])
@pytest.mark.parametrize(
    "change", [{"loss": 0.5}, {"metrics": {"a": 2.0}}, {"config": {"lr": 2}}, {"step": 3}]
)
def test_a_run_that_differs_in_one_value_is_another(path, tmp_path, num_records, change):
    states = []
    for place, last in ((path, {}), (tmp_path / "other.cmeta", change)):
        rec = cmeta.Recorder(place, SCHEMA, config={"lr": 1})
        for i in range(num_records):
            given = {"loss": 0.25, "step": i, "metrics": {"a": 1.0}}
            rec.log("train", **(given | last if i == num_records - 1 else given))
        states.append(rec.state_dict())
        record(rec, num_records, NUM_RECORDS)
        rec.close()
    with pytest.raises(RecorderError, match="it was taken in another run"):
        cmeta.Recorder(path, mode="resume", resume_at=states[1])
    with cmeta.Recorder(path, mode="resume", resume_at=states[0]) as rec:
        assert len(rec) == num_records
        assert rec.state_dict() == states[0]


@pytest.mark.parametrize("keep", [0, 5, 16, 17, 64, 70])
def test_a_state_depends_on_the_records_alone(path, keep):
    """Not on groups, on what has been sealed by then, on sessions, or on the values in full."""
    states = []
    for flush_every, stops in ((1, ()), (7, ()), (1, (3, 20, 60))):
        rec = cmeta.Recorder(path, SCHEMA, mode="replace", flush_every=flush_every)
        for i in range(keep):
            record(rec, i, i + 1)
            if i in stops:
                rec.close()
                rec = cmeta.Recorder(path, mode="resume")
        states.append(rec.state_dict())
        rec.seal()
        states.append(rec.state_dict())
        rec.close()
        states.append(rec.state_dict())
    for state in states:
        state["config"] = None  # of a closed file, that of the last record is taken
    assert all(state == states[0] for state in states)


def test_a_state_that_is_none_is_refused_by_what_is_wrong(path):
    state = {"num_records": 1, "timestamp": 0, "digest": "0" * 16, "config": None}
    for wrong, message in (
        ({"num_records": 1, "timestamp": 0}, "has no digest.* resume_at=0 keeps the records up to"),
        ({**state, "num_records": "one"}, "resume_at: num_records: found 'one', expected"),
        ({**state, "timestamp": -1}, "resume_at: timestamp: found -1"),
        ({**state, "digest": 3}, "resume_at: digest: found int"),
        ({k: v for k, v in state.items() if k != "config"}, "the state has no config"),
        ({}, "found dict, expected a timestamp"),
        (-1, "resume_at: a timestamp: found -1, expected an integer from 0"),
        (2**64, "resume_at: a timestamp: found 18446744073709551616"),
        ({"weights": 3}, "found dict with 'weights', expected a timestamp or the result of"),
    ):
        with pytest.raises(EncodeError, match=message):
            cmeta.Recorder(path, mode="resume", resume_at=wrong)


def test_the_modes(path):
    with cmeta.Recorder(path, mode="resume") as rec:  # no file yet
        rec.log("train", loss=1.0)
    with pytest.raises(ExistsError, match='mode="resume" continues it, mode="replace" replaces it'):
        cmeta.Recorder(path)
    with pytest.raises(FileExistsError):
        cmeta.Recorder(path)
    with cmeta.Recorder(path, mode="replace") as rec:
        assert len(rec) == 0
        rec.log("train", loss=2.0)
    with cmeta.open(path) as run:
        assert [r.loss_value for r in run] == [2.0]


@pytest.mark.parametrize("end", ["close", "die"])
def test_replacing_what_an_earlier_session_left(path, whole, end):
    rec = cmeta.Recorder(path)
    record(rec, 0, 50)
    rec.close() if end == "close" else die(rec)
    with pytest.raises(ExistsError):
        cmeta.Recorder(path)
    with cmeta.Recorder(path, SCHEMA, mode="replace") as rec:
        record(rec, 0, NUM_RECORDS)
    assert path.read_bytes() == whole
    assert os.listdir(path.parent) == ["run.cmeta"]


def test_another_schema_or_root_is_an_error(path):
    with cmeta.Recorder(path, SCHEMA, seed=7) as rec:
        rec.log("train")
    with pytest.raises(RecorderError, match="recorded with another schema; schema=None"):
        cmeta.Recorder(path, cmeta.default_schema(), mode="resume")
    with pytest.raises(RecorderError, match="the root 7, not from 8; seed=None uses"):
        cmeta.Recorder(path, mode="resume", seed=8)
    with cmeta.Recorder(path, SCHEMA, mode="resume", seed=7) as rec:
        assert rec.schema == SCHEMA
        assert rec.config == {"cmeta": {"seed_root": 7, "seed_scheme": "weyl"}}


def test_another_configuration_holds_from_the_next_record(path):
    with cmeta.Recorder(path, config={"lr": 0.1}, seed=2**63) as rec:
        rec.log("train")
    with cmeta.Recorder(path, mode="resume") as rec:
        rec.log("train")
    with cmeta.Recorder(path, mode="resume", config={"lr": 0.2}) as rec:
        rec.log("train")
        assert rec.cycle("train").seed == cmeta.records.seeds.seed_of(2**63, 3)
    with cmeta.open(path) as run:
        assert [r.config["lr"] for r in run] == [0.1, 0.1, 0.2]
        assert {cmeta.records.seeds.root_in(r.config) for r in run} == {2**63}


def test_a_second_writer_is_told_who_has_it(path):
    with cmeta.Recorder(path) as rec:
        rec.log("train")
        script = "import cmeta, sys; cmeta.Recorder(sys.argv[1], mode='resume')"
        other = subprocess.run(
            [sys.executable, "-c", script, path], capture_output=True, text=True, check=False
        )
        error = rf"LockedError: .* by host .*, pid {os.getpid()}; only one writer"
        assert re.search(error, other.stderr)
    with cmeta.Recorder(path, mode="resume") as rec:
        assert len(rec) == 1


def test_a_file_whose_journal_is_gone_is_not_continued(path):
    rec = cmeta.Recorder(path, SCHEMA)
    record(rec, 0, 50)
    die(rec)
    journal = path.with_name("run.cmeta-journal")
    data = journal.read_bytes()
    journal.unlink()
    with pytest.raises(RecorderError, match=r"its journal run.cmeta-journal is missing"):
        cmeta.Recorder(path, mode="resume")
    with cmeta.open(path) as run:
        assert (run.state, run.has_journal) == ("open", False)
    path.rename(path.with_name("moved.cmeta"))
    journal.write_bytes(data)
    for mode in ("new", "resume"):
        with pytest.raises(RecorderError, match="cmeta recover"):
            cmeta.Recorder(path, mode=mode)
    assert journal.read_bytes() == data


def test_a_journal_of_another_run_is_named_and_kept(path, tmp_path):
    other = tmp_path / "other.cmeta"
    for place, first in ((path, 0), (other, 3)):
        rec = cmeta.Recorder(place, SCHEMA)
        record(rec, first, 90)
        die(rec)
    journal = path.with_name("run.cmeta-journal")
    shutil.copy(f"{other}-journal", journal)
    data = journal.read_bytes()
    with pytest.raises(RecorderError, match="journal does not belong to the file"):
        cmeta.Recorder(path, mode="resume")
    with cmeta.open(path, partial=True) as run:
        assert run.state == "damaged"
        assert "journal" in str(run.problem)
    assert journal.read_bytes() == data


def test_a_damaged_file_is_not_continued(path, whole):
    data = bytearray(whole)
    data[len(data) // 2] ^= 1
    path.write_bytes(data[:-5])
    with pytest.raises(RecorderError, match=r"is damaged: .*cmeta recover"):
        cmeta.Recorder(path, mode="resume")
    assert path.read_bytes() == bytes(data[:-5])


def test_leftovers_of_dead_recorders_are_removed(path):
    leftover = path.with_name(".run.cmeta-journal.0123456789ab.tmp-recorder")
    other = path.with_name(".run2.cmeta.0123456789ab.tmp-recorder")
    leftover.write_bytes(b"x")
    other.write_bytes(b"x")
    with cmeta.Recorder(path) as rec:
        rec.log("train")
    assert sorted(os.listdir(path.parent)) == [other.name, "run.cmeta"]


def test_numbers_of_a_state_may_be_those_of_numpy(path):
    with cmeta.Recorder(path) as rec:
        record(rec, 0, 3)
        state = rec.state_dict()
        record(rec, 3, 5)
    for key in ("num_records", "timestamp"):
        state[key] = np.int64(state[key])
    for resume_at in (state, np.uint64(1)):
        with cmeta.Recorder(path, mode="resume", resume_at=resume_at) as rec:
            assert len(rec) == (3 if resume_at is state else 2)


def test_resume_at_needs_a_state():
    with pytest.raises(EncodeError, match="resume_at: found dict"):
        cmeta.Recorder("x.cmeta", mode="resume", resume_at={"step": 3})
