"""Exceptions in the background: they become the next call's refusal, and nothing ever waits."""

import threading

import pytest

import cmeta
from cmeta.format.encoder import Encoder
from cmeta.recorder.sealer import Sealer

SCHEMA = cmeta.default_schema().with_batch_records(16)


@pytest.fixture
def broken(path, monkeypatch):
    """A recorder in whose background every batch fails."""

    def fail(self, chunk):
        raise MemoryError

    monkeypatch.setattr(Encoder, "feed", fail)
    return cmeta.Recorder(path, SCHEMA)


def log_until_refused(rec, num=100_000):
    for step in range(num):
        try:
            rec.log("train", step=step)
        except cmeta.RecorderError as err:
            return step, str(err)
    raise AssertionError("never refused")


def resumed_steps(path):
    with cmeta.Recorder(path, mode="resume") as rec:
        rec.log("train", step=999_999)
    assert cmeta.validate(path).ok
    with cmeta.open(path) as run:
        return run.read(["step"])["step"].tolist()


def test_a_failure_is_the_refusal_of_the_next_call(broken, path, monkeypatch):
    num, message = log_until_refused(broken)
    assert "MemoryError" in message and 'mode="resume"' in message
    for call in (broken.flush, broken.seal, lambda: broken.log("train"), broken.close):
        with pytest.raises(cmeta.RecorderError, match="MemoryError"):
            call()
    broken.close()  # it has been
    monkeypatch.undo()
    assert resumed_steps(path) == [*range(num), 999_999]


def test_close_does_not_wait_for_a_batch_that_fails(broken, path, monkeypatch):
    for step in range(10):
        broken.log("train", step=step)
    with pytest.raises(cmeta.RecorderError, match="MemoryError") as caught:
        broken.close()
    assert isinstance(caught.value.__cause__, MemoryError)
    monkeypatch.undo()
    assert resumed_steps(path) == [*range(10), 999_999]


def test_a_group_that_waits_still_reaches_the_journal(path, monkeypatch):
    monkeypatch.setattr(Encoder, "feed", lambda self, chunk: 1 / 0)
    rec = cmeta.Recorder(path, SCHEMA, flush_every=10)
    num, message = log_until_refused(rec)
    assert "ZeroDivisionError: division by zero" in message
    with pytest.raises(cmeta.RecorderError):
        rec.close()
    monkeypatch.undo()
    assert resumed_steps(path) == [*range(num), 999_999]


@pytest.mark.parametrize("call", ["close", "seal", "flush", "log"])
def test_nothing_waits_for_a_dead_thread(path, monkeypatch, call):
    """However the thread ends, even where no error is expected."""
    with monkeypatch.context() as patch:
        patch.setattr(Sealer, "_serve", lambda self, job: 1 / 0)
        rec = cmeta.Recorder(path, SCHEMA)
        rec._session._sealer.wait()
    arguments = ("train",) if call == "log" else ()
    with pytest.raises(cmeta.RecorderError, match="ZeroDivisionError"):
        getattr(rec, call)(*arguments)
    assert resumed_steps(path) == [999_999]


def test_a_thread_that_dies_without_a_word_is_noticed(path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Sealer, "_run", lambda self: None)
        rec = cmeta.Recorder(path, SCHEMA)
    rec.log("train", step=5)
    with pytest.raises(cmeta.RecorderError, match=r'has ended.*mode="resume"'):
        rec.close()
    rec._session._release()
    assert resumed_steps(path) == [5, 999_999]


def test_a_record_of_another_thread_that_comes_too_late_is_refused(path):
    """It has passed the check, and waits for the lock while the recorder is closed."""
    rec = cmeta.Recorder(path, SCHEMA)
    rec.close()
    rec._session.pending.needs_check = False
    with pytest.raises(cmeta.RecorderError, match="closed"):
        rec.log("train")
    assert len(rec) == 0


def test_a_failure_at_the_very_end_is_answered(path, monkeypatch):
    with cmeta.Recorder(path, SCHEMA) as rec:
        rec.log("train", step=5)
        release = rec._session._sealer._at_end

        def fail():
            release()
            raise RuntimeError("at the end")

        rec._session._sealer._at_end = fail
        with pytest.raises(RuntimeError, match="at the end"):
            rec.close()
    assert resumed_steps(path) == [5, 999_999]


def test_without_a_thread_nothing_is_created(path, monkeypatch):
    def fail(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    with pytest.raises(cmeta.RecorderError, match=r"thread .* cannot be started: can't start new"):
        cmeta.Recorder(path)
    assert not list(path.parent.iterdir())
