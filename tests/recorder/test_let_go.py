"""Recorders that are let go of: closed when they are collected, and taken over by the next one."""

import gc
import os
import resource
import subprocess
import sys
import threading
import warnings
import weakref

import pytest

import cmeta
from cmeta.format.encoder import Encoder
from cmeta.recorder import live_sessions
from cmeta.storage.disk import File

MODES = ["replace", "resume"]


def steps_of(path):
    with cmeta.open(path) as run:
        assert run.state == "closed"
        return run.read(["step"])["step"].tolist()


def begin(path, **options):
    rec = cmeta.Recorder(path, **options)
    rec.log("train", step=1)
    return rec


def wait_for_the_end_of(sessions):
    for session in sessions:
        session.wait()


@pytest.mark.parametrize("flush_every", [1, 10])
def test_a_collected_recorder_is_closed(path, flush_every):
    rec = begin(path, flush_every=flush_every)
    session = rec._session
    del rec
    session.wait()
    assert steps_of(path) == [1]
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert session not in live_sessions._RECORDERS


@pytest.mark.parametrize("mode", MODES)
def test_the_next_recorder_waits_for_one_that_was_collected(path, mode):
    begin(path)
    with cmeta.Recorder(path, mode=mode) as rec:
        rec.log("train", step=2)
    assert steps_of(path) == ([2] if mode == "replace" else [1, 2])


@pytest.mark.parametrize("mode", MODES)
def test_one_in_a_cycle_of_references_is_collected(path, mode):
    rec = begin(path)
    rec.myself = rec
    gc.disable()
    try:
        del rec
        with cmeta.Recorder(path, mode=mode) as rec:
            rec.log("train", step=2)
    finally:
        gc.enable()
    assert steps_of(path) == ([2] if mode == "replace" else [1, 2])


@pytest.mark.parametrize("mode", MODES)
def test_a_call_that_only_a_traceback_keeps_holds_nothing(path, mode):
    def train():
        rec = begin(path)
        rec.log("train", step="no number")

    with pytest.raises(cmeta.EncodeError) as kept:
        train()
    with cmeta.Recorder(path, mode=mode) as rec:
        rec.log("train", step=2)
    assert kept.value and steps_of(path) == ([2] if mode == "replace" else [1, 2])


def test_a_generator_that_waits_holds_its_recorder(path):
    def records():
        rec = begin(path)
        yield rec.path
        rec.log("train", step=2)

    waiting = records()
    next(waiting)
    with pytest.raises(cmeta.LockedError):
        cmeta.Recorder(path, mode="resume")
    next(waiting, None)  # its end lets go of the recorder
    wait_for_the_end_of(list(live_sessions._RECORDERS))
    assert steps_of(path) == [1, 2]


CELL = """
import cmeta
rec = cmeta.Recorder(path, mode=mode)
rec.log("train", step=step)
"""


@pytest.mark.parametrize("mode", MODES)
def test_a_cell_that_runs_again_takes_over(path, mode):
    cell = {"path": path, "mode": mode}
    for step in range(3):
        cell["step"] = step
        exec(compile(CELL, f"<cell {step}>", "exec"), cell)
    cell["rec"].close()
    assert steps_of(path) == ([2] if mode == "replace" else [0, 1, 2])


@pytest.mark.parametrize("keep", ["again = rec", "both = [rec]", "log = rec.log"])
def test_a_cell_does_not_take_over_what_another_name_holds(path, keep):
    cell = {"path": path, "mode": "resume", "step": 1}
    exec(compile(CELL + keep, "<cell>", "exec"), cell)
    with pytest.raises(cmeta.LockedError, match="this process, opened at <cell>:3"):
        exec(compile(CELL, "<cell>", "exec"), cell)
    cell["rec"].log("train", step=2)
    cell["rec"].close()
    assert steps_of(path) == [1, 2]


@pytest.mark.parametrize("mode", MODES)
def test_a_recorder_that_is_held_is_named_by_its_place(path, mode):
    rec = begin(path)
    with pytest.raises(cmeta.LockedError, match=rf"this process, opened at {__file__}:\d+; close"):
        cmeta.Recorder(path, mode=mode)
    rec.log("train", step=2)
    rec.close()
    assert steps_of(path) == [1, 2]


def test_a_new_recorder_takes_nothing_over(path):
    cell = {"path": path, "mode": "new", "step": 1}
    exec(compile(CELL, "<cell>", "exec"), cell)
    with pytest.raises(cmeta.LockedError, match="this process"):
        exec(compile(CELL, "<cell>", "exec"), cell)
    cell["rec"].close()


def test_a_sweep_that_closes_nothing(tmp_path):
    """More runs than there are descriptors for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 30
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(used + 60, hard), hard))
    try:
        for run in range(60):
            rec = cmeta.Recorder(tmp_path / f"{run}.cmeta", config={"run": run})
            rec.log("train", step=run)
        assert threading.active_count() < 30
        rec.close()
        wait_for_the_end_of(list(live_sessions._RECORDERS))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    for run in range(60):
        assert steps_of(tmp_path / f"{run}.cmeta") == [run]


def test_a_recorder_that_its_own_thread_collects(path, monkeypatch):
    """The finaliser runs wherever collection happens to: it may not wait for that thread."""
    rec = begin(path, schema=cmeta.default_schema().with_batch_records(16))
    rec.myself, session, held = rec, rec._session, weakref.ref(rec)
    feed = Encoder.feed

    def collect(encoder, chunk):
        gc.collect()
        return feed(encoder, chunk)

    gc.disable()
    try:
        with monkeypatch.context() as patch:
            patch.setattr(Encoder, "feed", collect)
            for step in range(2, 17):
                rec.log("train", step=step)
            del rec
            session.wait()
    finally:
        gc.enable()
    assert held() is None and steps_of(path) == list(range(1, 17))


def test_a_failed_close_of_a_collected_recorder_is_reported(path, monkeypatch):
    rec = begin(path)
    session = rec._session

    collected = threading.Event()

    def fail(self, data, offset):
        collected.wait(10)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(File, "write", fail)
        del rec
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            collected.set()
            session.wait()
    assert "nobody holds could not be closed: [Errno 28] No space" in str(caught[0].message)
    with cmeta.Recorder(path, mode="resume") as rec:
        assert len(rec) == 1


def test_the_end_of_the_process_waits_for_those_that_are_closing(tmp_path):
    script = """
import cmeta, sys
for run in range(5):
    rec = cmeta.Recorder(f"{sys.argv[1]}/{run}.cmeta")
    rec.log("train", step=run)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    for run in range(5):
        assert steps_of(tmp_path / f"{run}.cmeta") == [run]


def test_one_failing_close_does_not_keep_the_others_open(tmp_path, monkeypatch):
    recorders = [begin(tmp_path / f"{n}.cmeta") for n in range(3)]
    monkeypatch.setattr(recorders[0], "close", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        live_sessions.close_all()
    assert [rec._session.is_closed for rec in recorders] == [False, True, True]
    monkeypatch.undo()
    recorders[0].close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_closes_nothing_when_it_collects(path):
    rec = begin(path)
    child = os.fork()
    if not child:
        del rec
        gc.collect()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    rec.log("train", step=2)
    rec.close()
    assert steps_of(path) == [1, 2]


# -------------------------------------------------------------------------- interactive sessions


@pytest.mark.parametrize("mode", MODES)
def test_a_notebook_takes_over_from_a_recorder_that_its_history_holds(path, mode, monkeypatch):
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    shown = [begin(path)]
    with cmeta.Recorder(path, mode=mode) as rec:
        rec.log("train", step=2)
        with pytest.raises(cmeta.RecorderError, match=rf"opened again at {__file__}:\d+"):
            shown[0].log("train", step=3)
    assert steps_of(path) == ([2] if mode == "replace" else [1, 2])


def test_a_notebook_does_not_take_over_from_another_thread(path, monkeypatch):
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    opened = []
    thread = threading.Thread(target=lambda: opened.append(begin(path)))
    thread.start()
    thread.join()
    with pytest.raises(cmeta.LockedError, match="this process, opened at"):
        cmeta.Recorder(path, mode="resume")
    opened[0].close()


def test_a_collected_recorder_says_what_a_closed_one_does(path):
    rec = cmeta.Recorder(path, on_error="warn", flush_every=5)
    with pytest.warns(cmeta.CmetaWarning, match="a record was not taken"):
        rec.log("train", loss="much")
    rec.log("train", loss=1e-9)
    session = rec._session
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del rec
        session.wait()
    texts = " ".join(str(warning.message) for warning in caught)
    assert "1 record not taken, because 1 of bad values" in texts
    assert "loss_value: 1 value is stored as 0" in texts


def test_a_closed_recorder_says_it_once(path):
    rec = cmeta.Recorder(path, on_error="warn")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rec.log("train", loss="much")
        rec.close()
        del rec
        gc.collect()
    assert len(caught) == 2
