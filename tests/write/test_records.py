"""Records as plain mappings: the names and the bytes of `Recorder.log`."""

import argparse
from dataclasses import dataclass

import numpy as np
import pytest

import cmeta
from cmeta import CycleRecord, EncodeError


@dataclass
class Settings:
    """A configuration."""

    lr: float


SETTINGS = Settings(0.1)
RECORDS = [
    {"phase": "train", "step": 1, "loss": 0.5, "acc": 0.25, "config": SETTINGS},
    {"phase": "val", "metrics": {"entropy": 1.5, "val/acc": np.float32(0.1)}, "config": SETTINGS},
    {"phase": 1, "loss_value": np.array(0.25), "tensor_signature": [1, 2, 3], "acc": None},
    {"phase": "training", "timestamp": 9, "metrics.zeta": 1, "loss": float("nan"), "epoch": 0},
    {"phase": "eval", "config": argparse.Namespace(lr=0.2), "entropy": 2.5, "action_code": "wait"},
]


def recorded(path, records):
    """Return the bytes of a recorder's file."""
    with cmeta.Recorder(path) as rec:
        for record in records:
            rec.log(**record)
    return path.read_bytes()


@pytest.fixture
def records():
    """Return the records, with an action that the schema has."""
    action = cmeta.default_schema()["action_code"].labels[-1]
    return [row | ({"action_code": action} if "action_code" in row else {}) for row in RECORDS]


def test_records_are_written_as_the_recorder_does(tmp_path, records):
    expected = recorded(tmp_path / "rec.cmeta", records)
    target = tmp_path / "run.cmeta"
    for given in (records, iter(records), tuple(records)):
        assert cmeta.write(target, given) == len(records)
        assert target.read_bytes() == expected


@pytest.mark.parametrize("record", RECORDS[:4])
def test_a_single_record(tmp_path, record):
    expected = recorded(tmp_path / "rec.cmeta", [record])
    for given in (record, [record]):
        assert cmeta.write(tmp_path / "run.cmeta", given) == 1
        assert (tmp_path / "run.cmeta").read_bytes() == expected


def test_a_single_cycle_record(roundtrip):
    assert roundtrip(CycleRecord(phase="val", step=3))["step"].tolist() == [3]


def test_records_among_chunks(roundtrip):
    given = [
        {"phase": "train", "step": 0},
        {"phase": ["train", "val"], "step": [1, 2]},
        CycleRecord(phase="train", step=3),
        {"phase": "train", "step": 4, "lr": 0.5},
        {"phase": "val", "step": [5, 6]},
        {"phase": "val", "step": 7},
    ]
    found = roundtrip(given)
    assert found["step"].tolist() == list(range(8))
    assert found["timestamp"].tolist() == list(range(8))
    assert found["lr"][4] == 0.5
    assert found["phase"].tolist() == [
        "train", "train", "validate", "train", "train", "validate", "validate", "validate"
    ]  # fmt: skip


def test_a_single_value_beside_columns_is_that_of_every_record(roundtrip):
    vectors = np.arange(6.0).reshape(2, 3)
    found = roundtrip(
        {"phase": "val", "epoch": 3, "loss": [0.5, 0.25], "tensor_signature": vectors,
         "metrics": {"acc": np.array([1.0, 2.0])}, "config": {"lr": 0.1}}
    )  # fmt: skip
    assert found["phase"].tolist() == ["validate"] * 2
    assert found["epoch"].tolist() == [3, 3]
    assert found["acc"].tolist() == [1, 2]
    assert found["tensor_signature"].tolist() == vectors.tolist()
    assert found.configs == ({"lr": 0.1},)
    same = roundtrip({"phase": "val", "tensor_signature": [1, 2, 3], "loss": [0.5, 0.25]})
    assert same["tensor_signature"].tolist() == [[1, 2, 3]] * 2


def test_a_chunk_without_records(roundtrip):
    assert roundtrip([{"phase": "train", "loss": []}, {"phase": "val"}]).num_records == 1


def test_a_metric_in_extra_needs_no_group(tmp_path, roundtrip):
    record = CycleRecord(phase="val", extra={"lr": 0.5, "metrics.beta": 2.0})
    found = roundtrip([record])
    assert (found["metrics.lr"].tolist(), found["metrics.beta"].tolist()) == ([0.5], [2])
    with cmeta.Recorder(tmp_path / "rec.cmeta") as rec:
        rec.record_cycle(record)
    assert (tmp_path / "rec.cmeta").read_bytes() == (tmp_path / "run.cmeta").read_bytes()


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"phase": "val", "losss": 0.5}, "field 'losss' is not in the schema.*did you mean loss"),
        ({"phase": "val", "loss": 0.5, "loss_value": 1}, "loss_value: given under two names"),
        ({"phase": "val", "acc": 1, "metrics": {"acc": 1}}, r"metrics\.acc: given under two names"),
        ({"phase": "val", "acc": "good"}, r"metrics\.acc: found 'good'"),
        ({"phase": "tune"}, "phase: found 'tune'"),
        ({"phase": "val", "metrics": 5}, "metrics: found a int, expected a mapping"),
        ({"phase": "val", "metrics": {1: 5}}, "metrics: found the key 1, a int"),
        ({"phase": None, "acc": 1}, "phase"),
        ({"acc": 1}, "found a int, expected an array"),
        ({"phase": "val", "step": [1, 2], "epoch": [1]}, "epoch: 1 records, but phase has 2"),
    ],
)
def test_what_is_no_record(refuse, record, words):
    with pytest.raises(EncodeError, match=words):
        cmeta.write("unused.cmeta", [record])
    refuse([{"phase": "train"}, record], [])
