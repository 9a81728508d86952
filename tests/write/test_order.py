"""Order: (timestamp, phase) never goes back; and the timestamps of records that state none."""

import numpy as np
import pytest

import cmeta
from cmeta import CycleRecord, OrderError

HIGH = 2**64 - 1


def chunk(timestamps, phases=None):
    return {"timestamp": timestamps, "phase": phases or ["train"] * len(timestamps)}


BACK = {
    "a smaller timestamp": (
        [chunk([3, 5, 4])],
        ["record 2: (timestamp 4, train) comes after (timestamp 5, train)"],
    ),
    "an earlier phase at the same timestamp": (
        [chunk([3, 3], ["validate", "train"])],
        ["record 1: (timestamp 3, train) comes after (timestamp 3, validate)",
         "the order of phases is dream, train, validate"],
    ),
    "the first of several": (
        [chunk([5, 4, 3, 2])], ["record 1: (timestamp 4, train) comes after (timestamp 5, train)"],
    ),
    "across chunks": (
        [chunk([3, 5]), chunk([4])],
        ["record 2: (timestamp 4, train) comes after (timestamp 5, train)"],
    ),
    "across chunks, by phase": (
        [chunk([3], ["validate"]), chunk([3], ["dream"])],
        ["record 1: (timestamp 3, dream) comes after (timestamp 3, validate)"],
    ),
    "within a later chunk": (
        [chunk([3, 5]), chunk([6, 5])],
        ["record 3: (timestamp 5, train) comes after (timestamp 6, train)"],
    ),
    "after full batches": (
        [chunk(list(range(40))), chunk([41, 39])],
        ["record 41: (timestamp 39, train) comes after (timestamp 41, train)"],
    ),
    "from the last timestamp to the first": (
        [chunk([HIGH, 0])],
        [f"record 1: (timestamp 0, train) comes after (timestamp {HIGH}, train)"],
    ),
    "records": (
        [CycleRecord(phase="train", timestamp=2), CycleRecord(phase="train", timestamp=1)],
        ["record 1: (timestamp 1, train) comes after (timestamp 2, train)"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("columns", "words"), BACK.values(), ids=BACK)
def test_going_back_names_both_records(refuse, columns, words):
    schema = cmeta.default_schema().with_batch_records(16)
    refuse(columns, [*words, "expected (timestamp, phase)"], schema, error=OrderError)


FORTH = {
    "equal pairs": chunk([3, 3, 3]),
    "later phases at one timestamp": chunk([3, 3, 3], ["dream", "train", "validate"]),
    "an earlier phase at a later timestamp": chunk([3, 4], ["validate", "dream"]),
    "the extremes": chunk([0, HIGH, HIGH]),
    "far apart": chunk([0, 2**63, HIGH]),
}


@pytest.mark.parametrize("columns", FORTH.values(), ids=FORTH)
def test_not_going_back(roundtrip, columns):
    found = roundtrip(columns)
    assert found["timestamp"].tolist() == columns["timestamp"]
    assert found["phase"].tolist() == columns["phase"]


ASSIGNED = {
    "from 0": ([{"phase": ["train"] * 3}], [0, 1, 2]),
    "on in the next chunk": ([{"phase": ["train"] * 2}, {"phase": ["train"] * 2}], [0, 1, 2, 3]),
    "on after a stated one": ([chunk([7, 9]), {"phase": ["train"] * 2}], [7, 9, 10, 11]),
    "after an empty chunk": ([{"phase": []}, {"phase": ["train"]}], [0]),
    "records": ([CycleRecord(phase="train")] * 3, [0, 1, 2]),
    "records among stated ones": (
        [CycleRecord(phase="train", timestamp=t) for t in (None, 5, None, None, 9, None)],
        [0, 5, 6, 7, 9, 10],
    ),
    "after 0": ([CycleRecord(phase="train", timestamp=0), CycleRecord(phase="train")], [0, 1]),
    "records after a chunk": ([chunk([4]), CycleRecord(phase="train")], [4, 5]),
}


@pytest.mark.parametrize(("columns", "timestamps"), ASSIGNED.values(), ids=ASSIGNED)
def test_assigned_timestamps(roundtrip, columns, timestamps):
    assert roundtrip(columns)["timestamp"].tolist() == timestamps


def test_assigned_ones_let_any_phase_follow(roundtrip):
    phases = ["validate", "dream", "train"]
    assert roundtrip({"phase": phases})["phase"].tolist() == phases


@pytest.mark.parametrize(
    "columns",
    [
        [chunk([HIGH]), {"phase": ["train"]}],
        [chunk([HIGH - 1]), {"phase": ["train"] * 2}],
        [CycleRecord(phase="train", timestamp=HIGH), CycleRecord(phase="train")],
    ],
)
def test_no_timestamp_is_left_to_assign(refuse, columns):
    refuse(columns, ["timestamp", "18446744073709551615"])


class Item:
    """A scalar of another library: one element, and `item()`."""

    def __init__(self, value):
        self._value = value

    def item(self):
        return self._value


def test_a_stated_timestamp_may_be_a_scalar_of_any_library(roundtrip):
    records = [CycleRecord(phase="train", timestamp=t) for t in (np.uint64(3), None, Item(7), None)]
    assert roundtrip(records)["timestamp"].tolist() == [3, 4, 7, 8]


@pytest.mark.parametrize("timestamp", ["soon", 1.5, np.zeros(2), object()])
def test_a_stated_timestamp_that_is_no_integer(refuse, timestamp):
    records = [CycleRecord(phase="train", timestamp=timestamp), CycleRecord(phase="train")]
    refuse(records, ["timestamp: found"])
    refuse(records[:1], ["timestamp: found"])
