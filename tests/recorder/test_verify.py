"""``mode="verify"``: a training runs again, and what it logs is compared with its record."""

import os
import random

import numpy as np
import pytest

import cmeta
from cmeta import DivergedError, EncodeError, RecorderError

NUM = 40


def train(path, mode, *, num=NUM, off=None, config=None, environment=None, **options):
    """Run a training, which may go wrong at a step, and return its recorder."""
    config = {"lr": 0.1, **(config or {})}
    if environment:
        config["environment"] = environment
    with cmeta.Recorder(path, mode=mode, config=config, **options) as recorder:
        for step in range(num):
            with recorder.cycle("train", step=step * 10) as cycle:
                wrong = 0.25 if step == off else 0
                cycle.log(
                    loss=1 + random.random() + wrong, tensor_signature=(step, 0.1, np.float32(1.1)),
                    metrics={"entropy": 1 + np.random.random(), "noise/a": cycle.rng.random()},
                )  # fmt: skip
        recorder.log("validate", metrics={"val_accuracy": 0.5})
    return recorder


@pytest.fixture
def path(tmp_path):
    """A recorded run, which no test may change."""
    path = tmp_path / "run.cmeta"
    train(path, "new")
    before, listing = path.read_bytes(), sorted(os.listdir(tmp_path))
    yield path
    assert path.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == listing


@pytest.mark.parametrize("options", [{}, {"flush_every": 7}, {"durability": "fsync"}])
def test_a_training_that_does_the_same_is_exact(path, options):
    """No seed was given: the root is that of the recorded run."""
    recorder = train(path, "verify", **options)
    report = recorder.verified
    assert (report.verdict, report.num_cycles, report.num_missing) == ("exact", NUM + 1, 0)
    assert report.not_replayed == ()
    assert report.num_values == NUM * 8 + 3
    assert len(recorder) == NUM + 1
    with cmeta.open(path) as run:
        assert recorder.records == list(run)
        assert recorder.last == run.newest(1)[0]


def test_other_modes_verify_nothing(tmp_path):
    assert train(tmp_path / "other.cmeta", "new").verified is None


@pytest.mark.parametrize("flush_every", [1, 7])
def test_the_first_divergence_is_raised_and_named(path, flush_every):
    with pytest.raises(DivergedError, match=r"record 23 \(timestamp 23, step 230, train\)") as info:
        train(path, "verify", off=23, flush_every=flush_every)
    report = info.value.report
    assert (report.verdict, report.num_cycles, report.num_missing) == ("diverged", 24, 0)
    first = report.first
    assert (first.ordinal, first.step, first.field, first.quanta) == (23, 230, "loss_value", 250000)
    assert first.replayed == pytest.approx(first.recorded + 0.25)


def test_a_divergence_that_is_swallowed_is_raised_again(path):
    recorder = cmeta.Recorder(path, mode="verify")
    for _ in range(2):
        with pytest.raises(DivergedError, match="record 0"):
            recorder.log("train", loss=7.0)
    recorder.close()
    assert recorder.verified.num_cycles == 1


def test_on_error_warn_counts_all_differences(path):
    with pytest.warns(cmeta.CmetaWarning, match="record 5 "):
        report = train(path, "verify", off=5, on_error="warn").verified
    assert (report.verdict, report.num_cycles) == ("diverged", NUM + 1)
    assert report.fields == {"loss_value": 1}


@pytest.mark.parametrize(
    ("num", "words"),
    [(NUM - 3, r"phase: recorded 'train', replayed 'validate'"),
     (NUM + 2, r"phase: recorded 'validate', replayed 'train'")],
)  # fmt: skip
def test_fewer_or_more_records_show_where_they_begin(path, num, words):
    with pytest.raises(DivergedError, match=words):
        train(path, "verify", num=num)


def test_missing_records_are_said_at_the_end(path):
    recorder = cmeta.Recorder(path, mode="verify", config={"lr": 0.1})
    with pytest.raises(DivergedError, match="41 recorded ones were not logged again"):
        recorder.close()
    assert recorder.verified.num_missing == NUM + 1
    with pytest.raises(ZeroDivisionError), cmeta.Recorder(path, mode="verify"):
        _ = 1 / 0  # and hide no other exception


def test_surplus_records_are_a_divergence_of_a_closed_file(path):
    recorder = cmeta.Recorder(path, mode="verify", ignore=["*"])
    for step in range(NUM):
        recorder.log("train", step=step)
    recorder.log("validate")
    with pytest.raises(DivergedError, match="1 record was logged after the last recorded one"):
        recorder.log("validate")
    recorder.close()


def test_a_run_that_was_never_closed_may_go_on(tmp_path):
    path = tmp_path / "run.cmeta"
    with cmeta.Recorder(path) as original:
        original.log("train", loss=1.0)
        with cmeta.Recorder(path, mode="verify") as recorder:
            for loss in (1.0, 2.0, 3.0):
                recorder.log("train", loss=loss)
        report = recorder.verified
        assert (report.verdict, report.num_cycles, report.num_surplus) == ("exact", 1, 0)
        assert "never closed: 2 records that were logged after its last one" in str(report)


def test_absent_and_additional_values_differ(path):
    recorder = cmeta.Recorder(path, mode="verify", on_error="warn", ignore=["seed_state"])
    recorder.log("train", step=0, metrics={"extra": 1.0})
    with pytest.warns(cmeta.CmetaWarning):
        recorder.close()
    assert recorder.verified.fields == {
        "loss_value": 1, "tensor_signature": 1, "metrics.entropy": 1, "metrics.noise/a": 1,
        "metrics.extra": 1,
    }  # fmt: skip


def test_values_are_compared_as_the_file_returns_them(tmp_path):
    path = tmp_path / "run.cmeta"
    with cmeta.Recorder(path) as recorder:
        recorder.log("train", loss=0.1234561, metrics={"free": 0.1})
    for loss, verdict in ((0.12345649, "exact"), (0.1234569, "within one quantum")):
        with cmeta.Recorder(path, mode="verify") as recorder:
            recorder.log("train", loss=loss, metrics={"free": 0.1})
        assert recorder.verified.verdict == verdict
    recorder = cmeta.Recorder(path, mode="verify")
    with pytest.raises(DivergedError, match=r"metrics\.free"):
        recorder.log("train", loss=0.123456, metrics={"free": 0.1 + 1e-9})
    recorder.close()


@pytest.mark.parametrize("ignore", ["loss", "loss_value", "los*"])
def test_fields_may_be_left_out(path, ignore):
    for given in ([ignore], ignore):
        assert train(path, "verify", off=3, ignore=given).verified.verdict == "exact"
    report = train(path, "verify", off=3, ignore=[ignore]).verified
    assert (report.verdict, report.not_replayed) == ("exact", ("loss_value",))


def test_ignore_names_fields(path):
    with pytest.raises(EncodeError, match="ignore: found 3, expected names"):
        train(path, "verify", ignore=3)


def test_a_divergence_at_the_end_says_so_everywhere(path):
    with pytest.raises(cmeta.DivergedError, match="nothing was compared"):
        train(path, "verify", ignore=["*"])
    try:
        raise MemoryError
    except MemoryError:  # the training tries again, and ends early
        recorder = cmeta.Recorder(path, mode="verify", config={"lr": 0.1})
        with pytest.warns(cmeta.CmetaWarning, match="41 recorded ones were not logged again"):
            recorder.close()


def test_a_pattern_of_metrics_needs_no_group(path):
    report = train(path, "verify", ignore=["noise/*", "entropy"]).verified
    assert report.not_replayed == ("metrics.entropy", "metrics.noise/a")


def test_another_seed_diverges_at_the_seed(path):
    with pytest.raises(DivergedError, match=r"record 0 .*seed_state: recorded \d+, replayed 8"):
        train(path, "verify", seed=8)


def test_a_configuration_that_differs_is_said_and_no_divergence(path):
    report = train(path, "verify", config={"lr": 0.2, "date": "today"}).verified
    assert report.verdict == "exact"
    assert report.config == {"lr": (0.1, 0.2), "date": (None, "today")}
    assert "configuration, lr: recorded 0.1, now 0.2" in str(report)


def test_inconclusive_if_the_environment_differs_too(tmp_path):
    path = tmp_path / "run.cmeta"
    train(path, "new", environment={"torch": "1"})
    with pytest.raises(DivergedError) as info:
        train(path, "verify", off=3, environment={"torch": "2"})
    assert info.value.report.verdict == "inconclusive"
    assert info.value.report.environment == {"torch": ("1", "2")}
    assert train(path, "verify", environment={"torch": "2"}).verified.verdict == "exact"


def test_a_resumed_training_is_compared_from_its_checkpoint_on(tmp_path):
    path = tmp_path / "run.cmeta"
    with cmeta.Recorder(path, seed=1) as recorder:
        for step in range(20):
            recorder.log("train", timestamp=step * 7, step=step, loss=step / 8)
            if step == 9:
                state = recorder.state_dict()
    for at in (state, 9 * 7 + 3):
        with cmeta.Recorder(path, mode="verify", resume_at=at, max_records=12) as recorder:
            assert (len(recorder), recorder.last.step) == (10, 9)
            for step in range(10, 20):
                recorder.log("train", timestamp=step * 7, step=step, loss=step / 8)
            assert [record.step for record in recorder.records] == list(range(8, 20))
        assert (recorder.verified.verdict, recorder.verified.num_cycles) == ("exact", 10)


def test_a_file_that_cannot_be_verified(tmp_path):
    path = tmp_path / "run.cmeta"
    with pytest.raises(RecorderError, match="does not exist; there is no run to verify"):
        cmeta.Recorder(path, mode="verify")
    assert not path.exists()
    cmeta.write(path, {"phase": ["train"] * 100})
    schema = cmeta.default_schema().with_batch_records(16)
    with pytest.raises(RecorderError, match="another schema"):
        cmeta.Recorder(path, schema, mode="verify")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(RecorderError, match="cannot be verified"):
        cmeta.Recorder(path, mode="verify")
    with pytest.raises(EncodeError, match='ignore requires mode="verify"'):
        cmeta.Recorder(path, mode="replace", ignore=["loss"])
    assert os.listdir(tmp_path) == ["run.cmeta"]


def test_a_verifying_recorder_is_used_up_once_closed(path):
    recorder = train(path, "verify")
    assert "closed" in repr(recorder)
    with pytest.raises(RecorderError, match="closed"):
        recorder.log("train")
    recorder.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_is_not_compared(path):
    recorder = cmeta.Recorder(path, mode="verify", config={"lr": 0.1})
    if (child := os.fork()) == 0:
        try:
            recorder.log("train")
        except RecorderError:
            recorder.close()
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    with pytest.raises(DivergedError, match="41 recorded"):
        recorder.close()


def test_a_state_of_another_run_is_refused(tmp_path):
    states = {}
    for name in ("run", "other"):
        with cmeta.Recorder(tmp_path / f"{name}.cmeta") as recorder:
            for step in range(3):
                recorder.log("train", loss=step + (name == "other"))
            states[name] = recorder.state_dict()
    path = tmp_path / "run.cmeta"
    with pytest.raises(RecorderError, match="it was taken in another run"):
        cmeta.Recorder(path, mode="verify", resume_at=states["other"])
    late = states["run"] | {"num_records": 9}
    with pytest.raises(RecorderError, match=r"holds 3 records, but .* after 9"):
        cmeta.Recorder(path, mode="verify", resume_at=late)
    cmeta.Recorder(path, mode="verify", resume_at=states["run"]).close()
    of_a_replay = states["run"] | {"digest": None}  # nothing was recorded, so it has none
    cmeta.Recorder(path, mode="verify", resume_at=of_a_replay).close()


def test_path_and_names_are_those_of_every_mode(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "run.cmeta"
    with cmeta.Recorder("run.cmeta") as recorder:
        recorder.log("train", loss=0.5)
        assert (recorder.path, repr(recorder)) == (
            path,
            "<Recorder run.cmeta: recording, 1 record>",
        )
    recorder = cmeta.Recorder("run.cmeta", mode="verify")
    with pytest.raises(DivergedError, match=r"\Arun\.cmeta: record 0"):
        recorder.log("train", loss=1.5)
    assert (recorder.path, recorder.verified.name) == (path, "run.cmeta")
    assert repr(recorder) == "<Recorder run.cmeta: verifying, 1 record>"
    recorder.close()
    with pytest.warns(cmeta.CmetaWarning, match="not record"):
        idle = cmeta.Recorder("run.cmeta", mode="resume", rank=1)
    assert idle.path == path
    assert repr(idle).startswith("<Recorder run.cmeta: not recording")
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir("sub")
    with cmeta.Recorder(path, mode="verify", on_error="warn") as recorder:
        assert repr(recorder).startswith(f"<Recorder {path}: verifying")
        recorder.log("train", loss=0.5)
