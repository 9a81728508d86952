"""Recording: the file holds exactly the values that were logged, in order."""

import dataclasses
import os

import numpy as np
import pytest

import cmeta
from cmeta import CmetaWarning, CycleRecord, EncodeError, OrderError

from .conftest import NUM_RECORDS, SCHEMA, cycle, record


def test_the_file_is_the_one_that_writing_at_once_gives(path, whole, tmp_path):
    columns = [cycle(i) for i in range(NUM_RECORDS)]
    records = [
        CycleRecord(timestamp=i, loss_value=fields.pop("loss"), **fields)
        for i, fields in enumerate(columns)
    ]
    cmeta.write(path, records, SCHEMA)
    assert path.read_bytes() == whole
    assert cmeta.validate(path).ok


def test_nothing_but_the_file_is_left(path):
    with cmeta.Recorder(path, SCHEMA) as rec:
        record(rec, 0, NUM_RECORDS)
        names = sorted(os.listdir(path.parent))
        assert names == ["run.cmeta", "run.cmeta-journal", "run.cmeta-lock"]
    assert os.listdir(path.parent) == ["run.cmeta"]


@pytest.mark.parametrize("flush_every", [1, 3, 1000])
@pytest.mark.parametrize("durability", ["os", "fsync"])
def test_groups_and_durability_change_no_byte(path, whole, flush_every, durability):
    with cmeta.Recorder(path, SCHEMA, flush_every=flush_every, durability=durability) as rec:
        record(rec, 0, NUM_RECORDS)
        assert len(rec) == NUM_RECORDS
    assert path.read_bytes() == whole


def test_records_are_what_the_file_returns(path):
    with cmeta.Recorder(path, SCHEMA, max_records=20) as rec:
        assert (rec.last, rec.records, len(rec)) == (None, [], 0)
        record(rec, 0, 30)
        seen, last = rec.records, rec.last
        record(rec, 30, NUM_RECORDS)
        newest = rec.records
    with cmeta.open(path) as run:
        found = list(run)
    assert seen == found[10:30]
    assert last == found[29]
    assert newest == found[-20:] == rec.records
    assert found[1].loss_value == 0.5
    assert found[3].loss_value == pytest.approx(0.25)


def test_record_cycle_takes_what_reading_gives(path, whole, tmp_path):
    source = tmp_path / "source.cmeta"
    source.write_bytes(whole)
    with cmeta.open(source) as run, cmeta.Recorder(path, run.schema) as rec:
        for given in run:
            rec.record_cycle(given)
    assert path.read_bytes() == whole


def test_timestamps_are_assigned(path):
    with cmeta.Recorder(path) as rec:
        rec.log("train")
        rec.log("train", timestamp=10)
        rec.log("val")
        rec.log("train", timestamp=np.uint64(2**63))
        rec.log("eval")
    with cmeta.open(path) as run:
        assert [r.timestamp for r in run] == [0, 10, 11, 2**63, 2**63 + 1]
        assert [r.phase for r in run] == ["train", "train", "validate", "train", "validate"]


def test_phases_have_synonyms_in_any_case(path):
    words = ("Val", "validation", "EVAL", "dev", "training", "Train", np.str_("Valid"))
    with cmeta.Recorder(path) as rec:
        for word in words:
            rec.log(word)
            rec.log(word)  # the second time from the cache
        rec.record_cycle(CycleRecord(phase="Validation"))
        with rec.cycle("training"):
            pass
    with cmeta.open(path) as run:
        phases = [record.phase for record in run]
    expected = ["validate"] * 4 + ["train"] * 2 + ["validate"]
    assert phases == [*(phase for phase in expected for _ in (0, 1)), "validate", "train"]


def test_a_name_that_the_schema_has_means_itself(path):
    schema = cmeta.default_schema().with_phases("val")
    with cmeta.Recorder(path, schema) as rec:
        for phase in ("val", "eval", "validate", "testing", "Test"):
            rec.log(phase)
    with cmeta.open(path) as run:
        found = [record.phase for record in run]
    assert found == ["val", "validate", "validate", "test", "test"]


def test_test_and_predict_are_phases_of_the_default_schema(path):
    with cmeta.Recorder(path) as rec:
        for phase in ("test", "Testing", "predict", "Prediction", "inference"):
            rec.log(phase)
    with cmeta.open(path) as run:
        assert [record.phase for record in run] == ["test"] * 2 + ["predict"] * 3
        assert len(run.read(phase="Inference")["phase"]) == 3


@pytest.mark.parametrize(("phase", "meant"), [("trian", "train"), ("Tset", "test")])
def test_a_misspelled_phase(path, phase, meant):
    with cmeta.Recorder(path) as rec:
        with pytest.raises(EncodeError, match=f"did you mean {meant}"):
            rec.log(phase)
        with pytest.raises(EncodeError, match=f"did you mean {meant}"), rec.cycle(phase):
            pass


@pytest.mark.parametrize("phase", ["tune", "Tuning", "warmup"])
def test_a_phase_that_the_schema_lacks_says_how_to_append_it(path, phase):
    with cmeta.Recorder(path) as rec, pytest.raises(EncodeError, match=r"schema\.with_phases"):
        rec.log(phase)


def test_no_timestamp_is_left_after_the_last(path):
    with cmeta.Recorder(path) as rec:
        rec.log("train", timestamp=2**64 - 1)
        rec.log("validate", timestamp=2**64 - 1)
        with pytest.raises(EncodeError, match="timestamp: none is left to assign"):
            rec.log("train")
        assert len(rec) == 2


@pytest.mark.parametrize("flush_every", [1, 4])
def test_what_goes_back_is_refused_and_changes_nothing(path, flush_every):
    with cmeta.Recorder(path, flush_every=flush_every) as rec:
        rec.log("validate", timestamp=5, metrics={"a": 1.0})
        expected = r"record 1: \(timestamp 5, train\) comes after \(timestamp 5, validate\)"
        with pytest.raises(OrderError, match=expected):
            rec.log("train", timestamp=5, metrics={"b": 1.0})
        with pytest.raises(OrderError, match=r"\(timestamp 4, validate\)"):
            rec.log("validate", timestamp=4)
        rec.log("validate", timestamp=5)
        assert len(rec) == 2
    with cmeta.open(path) as run:
        assert run.names == ("a",)
        assert len(run) == 2


def test_on_error_warn_counts_and_says_so_at_the_end(path):
    rec = cmeta.Recorder(path, on_error="warn")
    rec.log("train", timestamp=3)
    with pytest.warns(CmetaWarning, match="a record was not taken: record 1"):
        rec.log("train", timestamp=1)
    for timestamp in (2, 4):
        rec.log("train", timestamp=timestamp)
    assert rec.num_refused == 2
    with pytest.warns(CmetaWarning, match="2 records not taken, because 2 of going back"):
        rec.close()
    with cmeta.open(path) as run:
        assert [r.timestamp for r in run] == [3, 4]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"phase": "tune"}, "phase: found 'tune', expected one of: dream, train, validate"),
        ({"phase": None}, "phase: found None"),
        ({"phase": "train", "accuracy": "high"}, "field 'accuracy' is not in the schema"),
        ({"phase": "train", "loss": "high"}, "loss_value: found 'high', expected f32"),
        ({"phase": "train", "loss": [1.0, 2.0]}, "loss_value: found"),
        ({"phase": "train", "step": -1}, "step: found -1, expected u64"),
        ({"phase": "train", "step": 1.5}, "step: found float64 1.5, expected integers"),
        ({"phase": "train", "epoch": 2**32}, "epoch: found 4294967296, expected u32"),
        ({"phase": "train", "action_code": "stop"}, "action_code: found 'stop'"),
        ({"phase": "train", "action_code": 9}, "action_code: found code 9"),
        (
            {"phase": "train", "tensor_signature": (1.0, 2.0)},
            r"tensor_signature: found shape \(2,\)",
        ),
        ({"phase": "train", "metrics": [0.5]}, "metrics: found list, expected a mapping"),
        ({"phase": "train", "metrics": {"a": 2**60 + 1}}, "an integer beyond 2\\^53"),
        ({"phase": "train", "metrics": {"": 1.0}}, "a name of 0 bytes, expected 1 to 255"),
        ({"phase": "train", "metrics": {"x" * 256: 1.0}}, "a name of 256 bytes, expected 1 to 255"),
        ({"phase": "train", "metrics": {"\ud800": 1.0}}, "expected a name that UTF-8 can encode"),
        ({"phase": "train", "metrics": {7: 1.0}}, "metric 7: a int, expected a string"),
        ({"phase": "train", "timestamp": -3}, "timestamp: found -3, expected u64"),
        ({"phase": "train", "timestamp": "now"}, "timestamp: found 'now', expected u64"),
        ({"phase": "train", "config": 3}, "config: found a int"),
    ],
)
def test_what_does_not_fit_is_named_and_leaves_no_trace(path, given, message):
    with cmeta.Recorder(path) as rec:
        rec.log("train", loss=0.5)
        with pytest.raises(EncodeError, match=message):
            rec.log(**given)
        rec.log("train", loss=0.25)
    with cmeta.open(path) as run:
        assert [r.loss_value for r in run] == [0.5, 0.25]
        assert run.names == ()
        assert cmeta.validate(path).ok


def test_values_of_every_kind(path):
    class Tensor:
        """A tensor as torch has it: on a device, with a gradient."""

        shape = ()

        def __init__(self, value):
            self._value = value

        def item(self):
            return self._value

    given = [0.5, np.float32(0.5), np.array(0.5), np.array([0.5]), Tensor(0.5), np.float16(0.5)]
    with cmeta.Recorder(path) as rec:
        for value in given:
            rec.log("train", loss=value, metrics={"entropy": value, "x": value})
        rec.log(
            np.str_("train"), loss=1, metrics={"x": True}, epoch=np.int64(3), state_digest=2**64 - 1
        )
        rec.log(1, action_code=np.uint8(2), tensor_signature=np.array([1, 2, 3]), seed_state=0)
        rec.log(
            "train", **{"metrics.entropy": 0.25, "metrics.x": 0.125, "metrics.state": "diverging"}
        )
    with cmeta.open(path) as run:
        *same, one, two, three = run
    assert {(r.loss_value, r.metrics.entropy, r.metrics.x) for r in same} == {(0.5, 0.5, 0.5)}
    assert (one.loss_value, one.metrics.x, one.epoch, one.state_digest) == (1.0, 1.0, 3, 2**64 - 1)
    assert two.action_code == "expand_dream_pool"
    assert two.tensor_signature == (1.0, 2.0, 3.0)
    assert (three.metrics.entropy, three.metrics.x, three.metrics.state) == (
        0.25,
        0.125,
        "diverging",
    )


def test_an_array_may_change_after_the_call(path):
    vector, metrics = np.array([1.0, 2.0, 3.0], np.float32), {"x": 1.0}
    with cmeta.Recorder(path, flush_every=10) as rec:
        rec.log("train", tensor_signature=vector, metrics=metrics)
        vector[:], metrics["x"] = 0, 0.0
    with cmeta.open(path) as run:
        (found,) = run
    assert found.tensor_signature == (1.0, 2.0, 3.0)
    assert found.metrics.x == 1.0


def test_the_configuration_in_force(path):
    @dataclasses.dataclass
    class Hyper:
        lr: float = 0.1

    with cmeta.Recorder(path, config={"lr": 0.5}) as rec:
        rec.log("train")
        rec.config = Hyper()
        rec.log("train")
        rec.log("train", config={"only": "here"})
        rec.log("train")
        rec.config = None
        rec.log("train")
        with pytest.raises(EncodeError, match="config"):
            rec.config = {"x": object()}
        assert rec.config is None
    with cmeta.open(path) as run:
        assert [r.config for r in run] == [
            {"lr": 0.5},
            {"lr": 0.1},
            {"only": "here"},
            {"lr": 0.1},
            None,
        ]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mode": "append"}, "mode: found 'append', expected one of: 'new', 'resume', 'replace'"),
        ({"durability": "none"}, "durability: found 'none'"),
        ({"on_error": "ignore"}, "on_error: found 'ignore'"),
        ({"flush_every": 0}, "flush_every: found 0, expected an integer of at least 1"),
        ({"max_records": -1}, "max_records: found -1"),
        ({"seed": -1}, "seed: found -1, expected 0 to"),
        ({"seed": "x"}, "seed: found str, expected an integer"),
        ({"rank": "first"}, "rank: found 'first'"),
        ({"resume_at": 3}, 'resume_at requires mode="resume"'),
        ({"mode": "resume", "resume_at": "end"}, "resume_at: found str"),
        ({"schema": "default"}, "schema: found str, expected cmeta.Schema"),
        ({"config": 7}, "config: found a int"),
    ],
)
def test_parameters_are_checked_before_anything_is_written(path, given, message):
    with pytest.raises(EncodeError, match=message):
        cmeta.Recorder(path, **given)
    left = [name for name in os.listdir(path.parent) if not given.get("config")]
    assert left == []


def test_a_closed_recorder_says_so(path):
    rec = cmeta.Recorder(path)
    rec.log("train")
    rec.close()
    rec.close()
    with pytest.raises(cmeta.RecorderError, match="the recorder is closed"):
        rec.log("train")
    assert (len(rec), rec.last.phase) == (1, "train")
    assert "closed" in repr(rec)


def test_an_exception_in_the_run_still_closes_the_file(path):
    def run():
        with cmeta.Recorder(path) as rec:
            rec.log("train")
            rec.log("train", loss=1 / 0)

    with pytest.raises(ZeroDivisionError):
        run()
    with cmeta.open(path) as run:
        assert (run.state, len(run)) == ("closed", 1)


def test_an_empty_run(path):
    cmeta.Recorder(path).close()
    with cmeta.open(path) as run:
        assert (run.state, len(run)) == ("closed", 0)
    assert cmeta.validate(path).ok


def test_a_schema_without_a_configuration(tmp_path, path):
    text = """
[enumerations.phase]
values = ["a", "b"]
[record]
batch_records = 16
fields = [
  { name = "timestamp", type = "u64", codec = ["split", "delta", "rice"] },
  { name = "phase", type = "enum", enumeration = "phase", codec = ["delta", "rice"] },
  { name = "wide", type = "f64[2]" }, { name = "flag", type = "bool" }, { name = "low", type = "i8" },
]
"""
    (tmp_path / "s.toml").write_text(text)
    schema = cmeta.Schema.load(tmp_path / "s.toml")
    with cmeta.Recorder(path, schema, seed=3) as rec:
        for i in range(40):
            rec.log("ab"[i % 2], wide=(i, -1e300), flag=i % 3 == 0, low=-i)
        with pytest.raises(EncodeError, match=r"field 'x' is not in the schema"):
            rec.log("a", metrics={"x": 1.0})
        with pytest.raises(EncodeError, match="flag: found a value other than 0 and 1"):
            rec.log("a", flag=2)
    with cmeta.open(path) as run:
        found = run.read()
    assert found["low"].tolist() == [-i for i in range(40)]
    assert found["flag"].tolist() == [i % 3 == 0 for i in range(40)]
    assert found["wide"].tolist() == [[i, -1e300] for i in range(40)]
    with pytest.raises(EncodeError, match="config: the schema has no field of type config"):
        cmeta.Recorder(path, schema, mode="replace", config={"lr": 1})
