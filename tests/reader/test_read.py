"""Reading: fields, ranges with both ends included, phases, absent values, threads."""

from functools import partial

import numpy as np
import pytest

import cmeta


def timestamps(selected):
    return selected["timestamp"].tolist()


def test_everything(run, records):
    found = run.read()
    assert list(found) == [
        "timestamp", "phase", "metrics.entropy", "metrics.state", "tensor_signature", "loss_value",
        "seed_state", "config", "epoch", "metrics.accuracy", "metrics.late",
    ]  # fmt: skip
    assert found.num_records == len(found["phase"]) == 100
    assert timestamps(found) == [record.timestamp for record in records]
    assert found["phase"].tolist() == [record.phase for record in records]
    assert found["seed_state"].tolist() == [record.seed_state for record in records]
    assert found["metrics.accuracy"].tolist() == [record.metrics.accuracy for record in records]
    assert found["config"].tolist() == [0] * 60 + [1] * 40
    assert found.configs == ({"lr": 0.1}, {"lr": 0.01})
    assert found.schema == run.schema
    assert repr(found).startswith("<Columns of 100 records: timestamp, phase, metrics.entropy, ")


def test_shapes_and_types(run):
    found = run.read()
    shapes = {name: (values.dtype.kind, values.shape) for name, values in found.items()}
    assert shapes["timestamp"] == ("u", (100,))
    assert shapes["tensor_signature"] == ("f", (100, 3))
    assert found["tensor_signature"].dtype == np.float32
    assert found["metrics.late"].dtype == np.float64
    assert found["metrics.state"].dtype.kind == "U"


def test_absent_values(run, records):
    found = run.read()
    assert found["loss_value"][[0, 7]].tolist() == pytest.approx([np.nan] * 2, nan_ok=True)
    assert found.present["loss_value"].tolist() == [i % 7 != 0 for i in range(100)]
    assert found["metrics.state"][1:4].tolist() == ["", "", "diverging"]
    assert found.present["metrics.state"].tolist() == [i % 3 == 0 for i in range(100)]
    assert np.isnan(found["tensor_signature"][5]).all()
    assert found.present["tensor_signature"].tolist() == [i % 5 != 0 for i in range(100)]
    assert found.present["metrics.late"].tolist() == [i >= 50 for i in range(100)]
    assert found.present["timestamp"].all()
    assert all(mask.dtype == bool and mask.shape == (100,) for mask in found.present.values())


def test_masked(run):
    found = run.read()
    losses = found.masked("loss_value")
    assert losses.count() == 85
    assert losses[0] is np.ma.masked
    signatures = found.masked("tensor_signature")
    assert signatures.shape == (100, 3)
    assert signatures.mask[5].tolist() == [True] * 3
    assert signatures.count() == 240


def test_only_some_fields_in_the_order_of_the_schema(run):
    found = run.read(["metrics.late", "loss_value", "tensor_signature"])
    assert list(found) == ["tensor_signature", "loss_value", "metrics.late"]
    assert found.num_records == 100
    assert "timestamp" not in found
    assert set(found.present) == set(found)
    assert found.configs == ()


def test_a_declared_field_that_never_occurs(run):
    found = run.read(["coherence", "action_code", "step"])
    assert np.isnan(found["coherence"]).all()
    assert found["action_code"].tolist() == [""] * 100
    assert found["step"].tolist() == [0] * 100
    assert not any(mask.any() for mask in found.present.values())
    assert "coherence" not in run.read()


def test_a_field_that_does_not_occur_in_the_range(run):
    assert "metrics.late" not in run.read(end=200)
    found = run.read(["metrics.late"], end=200)
    assert not found.present["metrics.late"].any()
    assert "metrics.late" in run.read(end=260)


def test_codes(run):
    found = run.read(["phase", "metrics.state"], codes=True, end=20)
    assert found["phase"].tolist() == [1, 2, 1, 2]
    assert found["phase"].dtype == np.uint8
    assert found["metrics.state"].tolist() == [0, 0, 0, 3]
    assert found.present["metrics.state"].tolist() == [True, False, False, True]


# Every timestamp t of 10, 20 .. 500 stands twice.
RANGES = {
    "all": (None, None, 10, 500),
    "from a timestamp on": (250, None, 250, 500),
    "up to a timestamp": (None, 80, 10, 80),
    "both ends": (80, 90, 80, 90),
    "a single timestamp": (90, 90, 90, 90),
    "between timestamps": (81, 99, 90, 90),
    "within a batch": (100, 130, 100, 130),
    "a whole batch": (90, 160, 90, 160),
    "across batches": (155, 335, 160, 330),
    "beyond both ends": (0, 10**6, 10, 500),
    "from below 0": (-5, 15, 10, 10),
    "up to beyond 64 bits": (490, 2**70, 490, 500),
    "numpy integers": (np.int64(80), np.uint64(90), 80, 90),
}
EMPTY = {
    "before all": (None, 9),
    "after all": (501, None),
    "between two timestamps": (81, 89),
    "between two timestamps of a batch": (101, 109),
    "below 0": (-10, -1),
    "beyond 64 bits": (2**70, None),
}
BACKWARDS = {"far": (300, 100), "within a batch": (130, 100), "by one": (90, 89)}


@pytest.mark.parametrize(("start", "end", "first", "last"), RANGES.values(), ids=RANGES)
def test_ranges_include_both_ends(run, records, start, end, first, last):
    expected = [r for r in records if first <= r.timestamp <= last]
    found = run.read(["timestamp", "seed_state"], start, end)
    assert timestamps(found) == [record.timestamp for record in expected]
    assert found["seed_state"].tolist() == [record.seed_state for record in expected]
    assert run.query_range(start, end) == expected
    assert list(run.records(start, end)) == expected
    assert run.read(start=start, end=end).num_records == len(expected)


@pytest.mark.parametrize(("start", "end"), EMPTY.values(), ids=EMPTY)
def test_empty_ranges(run, start, end):
    assert run.query_range(start, end) == []
    assert list(run.records(start, end)) == []
    found = run.read(["loss_value", "tensor_signature", "phase"], start, end)
    assert [found[name].shape for name in found] == [(0,), (0, 3), (0,)]
    assert run.read(start=start, end=end).num_records == 0


@pytest.mark.parametrize(("start", "end"), BACKWARDS.values(), ids=BACKWARDS)
def test_a_range_that_ends_before_it_begins_is_refused(run, start, end):
    for ask in (run.read, run.query_range, run.records, partial(run.query, "loss_value < 1", None)):
        with pytest.raises(ValueError, match=f"start {start} is after end {end}"):
            list(ask(start=start, end=end))


@pytest.mark.parametrize(
    ("phase", "chosen"),
    [
        ("train", {"train"}),
        ("validate", {"validate"}),
        (["validate"], {"validate"}),
        (("validate", "train"), {"validate", "train"}),
        (["train", "train"], {"train"}),
        ("dream", set()),
        ("test", set()),
        ([], set()),
    ],
)
def test_phases(run, records, phase, chosen):
    expected = [r for r in records if r.phase in chosen]
    found = run.read(phase=phase)
    assert found["phase"].tolist() == [record.phase for record in expected]
    assert run.read(["seed_state"], phase=phase)["seed_state"].tolist() == [
        record.seed_state for record in expected
    ]
    assert run.query_range(None, None, phase) == expected
    within = [r for r in expected if 85 <= r.timestamp <= 400]
    assert run.query_range(85, 400, phase) == within
    assert timestamps(run.read(None, 85, 400, phase)) == [r.timestamp for r in within]


@pytest.mark.parametrize("threads", [2, 5])
def test_threads_change_nothing(run, assert_same, threads):
    assert_same(run.read(threads=threads), run.read())
    some = {"fields": ["loss_value", "metrics.late"], "start": 95, "end": 410, "phase": "train"}
    assert_same(run.read(**some, threads=threads), run.read(**some))


def test_an_answer_is_the_caller_s_own(run):
    found = run.read(["loss_value"])
    found["loss_value"][:] = 7
    assert not (run.read(["loss_value"])["loss_value"] == 7).any()


def test_unknown_fields(run, path):
    with pytest.raises(KeyError) as caught:
        run.read(["losss"])
    for word in (
        "'losss'",
        "did you mean loss_value or metrics.loss_slope",
        str(path),
        "timestamp, phase, metrics.entropy",
        "metrics.late",
    ):
        assert word in caught.value.args[0]
    with pytest.raises(KeyError, match=r"metrics\.accuracies"):
        run.read(["loss_value", "metrics.accuracies"])


def test_a_column_that_was_not_read(run):
    found = run.read(["loss_value"])
    with pytest.raises(KeyError, match="no field 'phase' with a value here; there are: loss_value"):
        found["phase"]


@pytest.mark.parametrize("phase", ["deploy", ["train", "deploy"], [1]])
def test_unknown_phases(run, phase):
    for ask in (run.read, run.records):
        with pytest.raises(ValueError, match="there are: dream, train, validate, test"):
            list(ask(phase=phase))
    with pytest.raises(ValueError, match="no phase"):
        run.query_range(0, 10, phase)


def test_a_run_without_records(tmp_path):
    path = tmp_path / "run.cmeta"
    cmeta.write(path, [])
    with cmeta.open(path) as run:
        assert list(run.read()) == ["timestamp", "phase"]
        assert run.read().num_records == 0
        assert run.query_range(None, None) == []
        assert run.batches == ()
