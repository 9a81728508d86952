"""Replay of runs in which some records have no seed, and of selected phases."""

import pytest

import cmeta


@pytest.fixture
def path(tmp_path):
    """Thirty steps with seeds, and three validations without."""
    path = tmp_path / "run.cmeta"
    with cmeta.Recorder(path, seed=5) as recorder:
        for step in range(30):
            with recorder.cycle("train", step=step) as cycle:
                cycle.log(loss=cycle.rng.random())
            if step % 10 == 9:
                recorder.log("validate", step=step, metrics={"val_accuracy": step / 100})
    return path


def drawn(state):
    return {"loss": state.rng.random()}


def test_a_record_without_the_seed_that_is_asked_for_is_skipped(path):
    report = cmeta.replay(path, drawn)
    assert (report.verdict, report.num_cycles, report.num_skipped) == ("exact", 30, 3)
    assert "skipped: 3 records without a seed" in str(report)
    assert report.as_json()["num_skipped"] == 3
    assert report.not_replayed == ("step",)  # not the fields of those that were skipped


def test_a_record_without_a_seed_counts_if_the_callable_needs_none(path):
    def cycle(state):
        if state.record.phase == "validate":
            return {"metrics": {"val_accuracy": state.record.step / 100}}
        return drawn(state)

    report = cmeta.replay(path, cycle)
    assert (report.verdict, report.num_cycles, report.num_skipped) == ("exact", 33, 0)


def test_a_class_may_begin_after_a_record_that_is_skipped(tmp_path):
    with cmeta.Recorder(tmp_path / "run.cmeta", seed=5) as recorder:
        recorder.log("validate", loss=1.0)
        with recorder.cycle("train") as cycle:
            cycle.log(loss=cycle.rng.random())

    class Training:
        def __init__(self, state):
            self.first = state.rng.random()

        def __call__(self, state):
            return {"loss": self.first}

    report = cmeta.replay(tmp_path / "run.cmeta", Training)
    assert (report.verdict, report.num_cycles, report.num_skipped) == ("exact", 1, 1)


def test_no_record_with_a_seed_is_said(tmp_path):
    path = tmp_path / "run.cmeta"
    cmeta.write(path, {"phase": ["train"] * 3, "loss": [1.0, 2.0, 3.0]})
    report = cmeta.replay(path, drawn)
    assert (report.verdict, report.num_skipped) == ("inconclusive", 3)
    assert "nothing was compared: none of 3 records has a seed" in str(report)


def test_an_empty_range_is_said(path):
    assert "nothing was compared: no record is selected" in str(cmeta.replay(path, drawn, 100))


def test_the_phases_may_be_chosen(path):
    seen = []
    cmeta.replay(path, lambda state: seen.append((state.ordinal, state.record.phase)), phase="val")
    assert seen == [(10, "validate"), (21, "validate"), (32, "validate")]
    report = cmeta.replay(path, drawn, 5, 25, phase=["train"])
    assert (report.verdict, report.num_cycles, report.num_skipped) == ("exact", 19, 0)
    with pytest.raises(ValueError, match="trian"):
        cmeta.replay(path, drawn, phase="trian")
