"""`replay`: verdicts, results that a callable may return, and the report."""

import json
import math
import sys

import numpy as np
import pytest

import cmeta
from cmeta import CycleRecord, EncodeError, replay

NUM = 40
ENVIRONMENT = {"python": "3.0.0", "machine": "abacus"}


def value(seed):
    return float(np.random.default_rng(seed).random())


def exact(state):
    """A cycle as it was recorded."""
    drawn = state.rng.random()
    metrics = {"entropy": 1 + drawn, "free": drawn, "odd": float("nan")}
    return {"loss": drawn, "metrics": metrics, "tensor_signature": (drawn, -drawn, 0.5)}


@pytest.fixture
def path(tmp_path):
    """A run of pure cycles."""
    path = tmp_path / "run.cmeta"
    schema = cmeta.default_schema().with_batch_records(16)
    with cmeta.Recorder(path, schema, seed=5) as recorder:
        for i in range(NUM):
            with recorder.cycle("train" if i % 4 else "validate", step=i) as cycle:
                drawn = cycle.rng.random()
                cycle.log(
                    loss=drawn, tensor_signature=(drawn, -drawn, 0.5),
                    metrics={"entropy": 1 + drawn, "free": drawn, "odd": math.nan},
                )  # fmt: skip
    return path


def shifted(**changes):
    """Return a cycle whose loss is off, by ordinal."""

    def cycle(state):
        found = exact(state)
        found["loss"] += changes.get(f"at_{state.ordinal}", changes.get("always", 0))
        return found

    return cycle


def test_exact(path):
    report = replay(path, exact)
    assert (report.verdict, report.ok, report.first, report.worst) == ("exact", True, None, None)
    assert report.counts == {
        "exact": NUM, "within one quantum": 0, "diverged": 0, "inconclusive": 0,
    }  # fmt: skip
    assert (report.num_cycles, report.num_values) == (NUM, 5 * NUM)
    assert report.not_replayed == ("step",)


def test_within_one_quantum(path):
    report = replay(path, shifted(at_7=1e-6))
    assert (report.verdict, report.ok) == ("within one quantum", True)
    assert report.counts["within one quantum"] == 1
    first = report.first
    assert (first.ordinal, first.timestamp, first.phase, first.field) == (
        7, 7, "train", "loss_value",
    )  # fmt: skip
    assert first.quanta == 1
    assert first.replayed == pytest.approx(first.recorded + 1e-6, abs=1e-7)
    assert report.worst == first


def test_less_than_half_a_quantum_is_exact_as_stored(path):
    """Values are compared as a file stores them."""
    with cmeta.open(path) as run:
        losses = run.read(["loss_value"])["loss_value"]
    assert replay(path, lambda s: {"loss": float(losses[s.ordinal])}).verdict == "exact"


def test_the_first_divergence_is_not_the_first_difference(path):
    """Rounding shows earlier; the report names the record where the runs really part."""
    report = replay(path, shifted(at_3=1e-6, at_9=5e-6, at_20=0.25))
    assert report.verdict == "diverged"
    assert (report.first.ordinal, report.first.quanta) == (9, 5)
    assert (report.worst.ordinal, report.worst.quanta) == (20, 250_000)
    assert report.counts == {
        "exact": NUM - 3, "within one quantum": 1, "diverged": 2, "inconclusive": 0,
    }  # fmt: skip
    assert report.fields == {"loss_value": 3}


@pytest.mark.parametrize("change", [{"python": "3.0.1"}, {"python": None}, {"gpu": "another"}])
def test_inconclusive_if_the_environment_differs_too(tmp_path, monkeypatch, change):
    path = tmp_path / "run.cmeta"
    with cmeta.Recorder(path, config={"environment": ENVIRONMENT}) as recorder:
        recorder.log("train", loss=1.0)
    now = {k: v for k, v in (ENVIRONMENT | change).items() if v is not None}
    monkeypatch.setattr(sys.modules["cmeta.tools.replay.replay"], "environment", lambda: now)
    report = replay(path, lambda state: {"loss": 2.0})
    assert (report.verdict, report.ok) == ("inconclusive", False)
    (name, (recorded, present)), = report.environment.items()  # fmt: skip
    assert (recorded, present) == (ENVIRONMENT.get(name), change[name])
    assert replay(path, lambda state: {"loss": 1.0}).verdict == "exact"
    monkeypatch.setattr(
        sys.modules["cmeta.tools.replay.replay"], "environment", lambda: ENVIRONMENT
    )
    assert replay(path, lambda state: {"loss": 2.0}).verdict == "diverged"


def test_a_range(path):
    seen = []
    report = replay(
        path, lambda s: seen.append((s.ordinal, s.record.timestamp)) or exact(s), 13, 30
    )
    assert seen == [(i, i) for i in range(13, 31)]
    assert report.num_cycles == 18
    assert replay(path, exact, 100, 200).verdict == "inconclusive"  # nothing was compared


def test_ordinals_of_a_range_where_timestamps_repeat(tmp_path):
    path = tmp_path / "run.cmeta"
    with cmeta.Recorder(path, cmeta.default_schema().with_batch_records(16)) as recorder:
        for i in range(50):
            recorder.log("train", timestamp=i // 20, step=i)
    seen = []
    replay(path, lambda s: seen.append((s.ordinal, s.record.step)), 1, 1)
    assert seen == [(i, i) for i in range(20, 40)]


def test_a_class_is_built_once_with_the_first_state(path):
    built = []

    class Counting:
        def __init__(self, state):
            built.append(state.ordinal)
            self.num = 0

        def __call__(self, state):
            self.num += 1
            return exact(state) | {"step": self.num - 1}

    assert replay(path, Counting).verdict == "exact"
    assert built == [0]
    with pytest.raises(EncodeError, match=r"Counting.__init__ has no parameter of this name"):
        replay(path, Counting, checkpoint=1)
    with pytest.raises(EncodeError, match="checkpoint requires a class"):
        replay(path, exact, checkpoint=1)


def test_a_record_may_come_back(path):
    def cycle(state):
        return CycleRecord(phase=state.record.phase, loss_value=value(state.seed))

    report = replay(path, cycle)
    assert report.verdict == "exact"
    assert report.num_values == 2 * NUM


RETURNS = {
    "nothing": (None, 0, "inconclusive"),
    "an empty mapping": ({}, 0, "inconclusive"),
    "a dotted name": ({"metrics.odd": math.nan}, NUM, "exact"),
    "a nested mapping": ({"metrics": {"odd": math.nan}}, NUM, "exact"),
    "absent where there was something": ({"loss": None}, NUM, "diverged"),
    "something where there was nothing": ({"coherence": 0.5}, NUM, "diverged"),
    "a new metric": ({"metrics": {"unheard_of": 1.0}}, NUM, "diverged"),
    "an infinity for a number": ({"loss": math.inf}, NUM, "diverged"),
    "an array": ({"metrics.odd": np.float32("nan")}, NUM, "exact"),
}


@pytest.mark.parametrize(("found", "num", "verdict"), RETURNS.values(), ids=RETURNS)
def test_results_that_a_callable_may_return(path, found, num, verdict):
    report = replay(path, lambda state: found)
    assert (report.num_values, report.verdict) == (num, verdict)


def test_names_and_phases_are_those_that_log_takes(path):
    words = {"train": "Training", "validate": "val"}
    report = replay(path, lambda s: {"loss": s.rng.random(), "phase": words[s.record.phase]})
    assert (report.verdict, report.num_values) == ("exact", 2 * NUM)
    with pytest.raises(EncodeError, match="phase"):
        replay(path, lambda s: {"phase": "tune"})  # which the schema does not have


REFUSED = {
    "a number": (1.0, "cycle: returned a float, expected a mapping or a CycleRecord"),
    "an unknown field": ({"los": 1.0}, "los"),
    "text for a number": ({"loss": "high"}, "loss_value"),
}


@pytest.mark.parametrize(("found", "words"), REFUSED.values(), ids=REFUSED)
def test_results_that_are_refused(path, found, words):
    with pytest.raises(EncodeError, match=words):
        replay(path, lambda state: found)


def test_an_error_of_the_callable_gets_a_note(path):
    def cycle(state):
        if state.ordinal == 3:
            raise ZeroDivisionError("oh")

    with pytest.raises(ZeroDivisionError, match="oh") as caught:
        replay(path, cycle)
    assert caught.value.__notes__ == ["while record 3 was replayed"]


def test_something_that_is_not_callable(path):
    with pytest.raises(EncodeError, match="cycle: found a str, expected a callable"):
        replay(path, "cycle")


def test_progress(path):
    calls = []
    replay(path, exact, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(i + 1, NUM) for i in range(NUM)]


def test_a_report_as_text_and_json(path):
    report = replay(path, shifted(at_9=5e-6))
    lines = str(report).splitlines()
    assert lines[0] == f"{path}: diverged: 40 cycles, 200 values compared"
    assert lines[1] == "  39 exact, 1 diverged"
    assert lines[2].startswith("  first difference: record 9 (timestamp 9, train), loss_value: ")
    assert lines[2].endswith(", 5 quanta apart")
    again = json.loads(json.dumps(report.as_json()))
    assert (again["verdict"], again["first"]["ordinal"]) == ("diverged", 9)
    assert again["counts"] == report.counts


def test_a_distance_in_floats_is_an_order_of_magnitude(tmp_path):
    cmeta.write(tmp_path / "run.cmeta", {"phase": ["train"], "metrics.acc": [0.1]})
    report = replay(tmp_path / "run.cmeta", lambda s: {"metrics": {"acc": 0.2}})
    assert "recorded 0.1, replayed 0.2, 4.5e+15 quanta apart" in str(report)


def test_the_run_of_a_live_recorder_can_be_replayed(tmp_path):
    with cmeta.Recorder(tmp_path / "run.cmeta", seed=1) as recorder:
        with recorder.cycle("train") as cycle:
            cycle.log(loss=cycle.rng.random())
        assert replay(recorder.path, lambda s: {"loss": s.rng.random()}).verdict == "exact"
