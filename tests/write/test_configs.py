"""Configurations: one for all, a list and numbers, a mapping for each record."""

import json
from collections.abc import Sequence

import numpy as np
import pytest

import cmeta
from cmeta import CycleRecord

WITHOUT_CONFIG = """
[enumerations.phase]
values = ["train"]
[record]
batch_records = 16
fields = [
  { name = "timestamp", type = "u64", codec = ["split", "delta", "rice"] },
  { name = "phase", type = "enum", enumeration = "phase", codec = ["delta", "rice"] },
]
"""
A, B = {"lr": 0.1}, {"lr": 0.2, "model": {"layers": [64, 10]}}
PHASES = ["train"] * 4


def per_record(found):
    """Return the configuration of each record, None where absent."""
    numbers, present = found["config"].tolist(), found.present["config"].tolist()
    return [found.configs[n] if there else None for n, there in zip(numbers, present, strict=True)]


GIVEN = {
    "one for all": ({}, A, [A] * 4),
    "a list and numbers": ({"config": np.array([1, 0, 1, 0])}, [A, B], [B, A, B, A]),
    "a list and a list of numbers": ({"config": [1, 0, 1, 0]}, [A, B], [B, A, B, A]),
    "numpy numbers in a list": ({"config": list(np.array([1, 0] * 2))}, [A, B], [B, A, B, A]),
    "numbers, one absent": ({"config": [0, None, 1, 0]}, [A, B], [A, None, B, A]),
    "the first one absent": ({"config": [None, 0, 1, 0]}, [A, B], [None, A, B, A]),
    "masked numbers": (
        {"config": np.ma.array([9, 0, 1, 0], mask=[1, 0, 0, 0])}, [A, B], [None, A, B, A],
    ),
    "a list of which one is used": ({"config": [1, 1, 1, 1]}, [A, B], [B] * 4),
    "a tuple of configurations": ({"config": [1, 0, 1, 0]}, (A, B), [B, A, B, A]),
    "mappings": ({"config": [A, A, B, A]}, None, [A, A, B, A]),
    "mappings, some absent": ({"config": [None, A, B, None]}, None, [None, A, B, None]),
    "two that alternate": ({"config": [A, B, A, B]}, None, [A, B, A, B]),
    "mappings in an array": ({"config": np.array([A, None, B, A], object)}, None, [A, None, B, A]),
    "one for those that have none": ({"config": [None, B, None, None]}, A, [A, B, A, A]),
    "equal ones": ({"config": [A, dict(A), {"lr": np.float64(0.1)}, A]}, None, [A] * 4),
}  # fmt: skip


@pytest.mark.parametrize(("columns", "config", "expected"), GIVEN.values(), ids=GIVEN)
def test_configurations(roundtrip, target, columns, config, expected):
    found = roundtrip({"phase": PHASES} | columns, config=config)
    assert per_record(found) == expected
    with cmeta.open(target) as run:
        assert [record.config for record in run] == expected
        used = [json.dumps(c) for c in expected if c is not None]
        assert [json.dumps(c) for c in run.configs] == list(dict.fromkeys(used))


class Lazy(Sequence):
    """A sequence that makes its configurations as they are asked for, and keeps none."""

    def __len__(self):
        return 4

    def __getitem__(self, i):
        return {"stage": range(4)[i]}


def test_configurations_that_are_made_on_the_way(roundtrip):
    found = roundtrip({"phase": PHASES, "config": Lazy()})
    assert per_record(found) == [{"stage": i} for i in range(4)]


def test_no_record_has_one(roundtrip):
    assert "config" not in roundtrip({"phase": PHASES})
    found = roundtrip({"phase": PHASES, "config": [None] * 4})
    assert "config" not in found
    assert found.configs == ()


def test_records_carry_their_own(roundtrip):
    records = [CycleRecord(phase="train", config=c) for c in (A, None, B, A)]
    assert per_record(roundtrip(records)) == [A, None, B, A]
    assert per_record(roundtrip(records, config=B)) == [A, B, B, A]


def test_numbers_follow_the_first_use_not_the_list(target):
    cmeta.write(target, {"phase": PHASES, "config": [2, 0, 2, 0]}, config=[A, {}, B])
    data = target.read_bytes()
    cmeta.write(target, {"phase": PHASES, "config": [B, A, B, A]})
    assert target.read_bytes() == data
    with cmeta.open(target) as run:
        assert run.configs == (B, A)
        assert run.read()["config"].tolist() == [0, 1, 0, 1]


def test_one_configuration_costs_the_same_in_any_form(target):
    forms = [
        ({"phase": PHASES}, A),
        ({"phase": PHASES, "config": [A] * 4}, None),
        ({"phase": PHASES, "config": [0] * 4}, [A]),
        ([CycleRecord(phase="train", config=A)] * 4, None),
        ([CycleRecord(phase="train")] * 4, A),
        ([{"phase": PHASES[:3]}, {"phase": PHASES[:1], "config": [A]}], A),
    ]
    found = set()
    for columns, config in forms:
        cmeta.write(target, columns, config=config)
        found.add(target.read_bytes())
    assert len(found) == 1


def test_a_list_goes_with_every_chunk(roundtrip):
    chunks = [{"phase": PHASES, "config": [0] * 4}, {"phase": PHASES, "config": [1, 0, 1, 1]}]
    found = roundtrip(chunks, config=[A, B])
    assert per_record(found) == [A] * 4 + [B, A, B, B]


def test_new_ones_in_later_batches(roundtrip):
    schema = cmeta.default_schema().with_batch_records(16)
    configs = [{"stage": i // 10} for i in range(50)]
    found = roundtrip({"phase": ["train"] * 50, "config": configs}, schema)
    assert per_record(found) == configs
    assert found.configs == tuple({"stage": i} for i in range(5))


# What a configuration holds, and what comes back.
VALUES = {
    "all of JSON": (
        {"a": None, "b": [True, False], "c": "ä\n", "d": {"e": {}}, "f": -1, "g": 1.5, "": []},
        {"a": None, "b": [True, False], "c": "ä\n", "d": {"e": {}}, "f": -1, "g": 1.5, "": []},
    ),
    "numpy scalars": (
        {"a": np.float32(0.5), "b": np.int64(3), "c": np.bool_(True), "d": np.array([2])},
        {"a": 0.5, "b": 3, "c": True, "d": [2]},
    ),
    "tuples": ({"betas": (0.9, 0.999)}, {"betas": [0.9, 0.999]}),
    "no finite numbers": (
        {"a": float("nan"), "b": float("inf"), "c": -float("inf")},
        {"a": "NaN", "b": "Infinity", "c": "-Infinity"},
    ),
    "integers beyond 2^53": (
        {"a": 2**53 - 1, "b": 2**53, "c": 2**64 - 1, "d": -(2**63)},
        {
            "a": 2**53 - 1, "b": "0x20000000000000", "c": "0xFFFFFFFFFFFFFFFF",
            "d": "-0x8000000000000000",
        },
    ),
    "whole floats": ({"a": 1.0, "b": 1e15, "c": -0.0}, {"a": 1, "b": 10**15, "c": 0}),
    "large floats": (
        {"a": 1e21, "b": 1.5e300, "c": 5e-324}, {"a": 1e21, "b": 1.5e300, "c": 5e-324},
    ),
    "whole floats beyond 2^53": ({"a": 1e16, "b": -(2.0**60)}, {"a": 1e16, "b": -(2.0**60)}),
    "32 levels": (
        json.loads('{"a":' * 32 + "1" + "}" * 32), json.loads('{"a":' * 32 + "1" + "}" * 32),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("config", "expected"), VALUES.values(), ids=VALUES)
def test_values(roundtrip, config, expected):
    assert roundtrip({"phase": PHASES}, config=config).configs == (expected,)


REFUSED = {
    "numbers without a list": (
        {"config": np.zeros(4, int)}, None, ["config: numbers need config=[...]", "the list"],
    ),
    "a list of numbers without a list": ({"config": [0] * 4}, None, ["config: numbers need"]),
    "numpy numbers without a list": ({"config": [np.int64(0)] * 4}, None, ["config: numbers need"]),
    "a number beyond the list": (
        {"config": [0, 2, 0, 0]}, [A, B], ["config: found number 2", "expected below 2"],
    ),
    "a negative number": ({"config": [0, -1, 0, 0]}, [A], ["config: found -1"]),
    "a huge number": ({"config": [0, 2**70, 0, 0]}, [A], ["config: found", str(2**70)]),
    "numbers and mappings": ({"config": [0, A, 0, 0]}, [A], ["config: found"]),
    "a list without a column": ({}, [A, B], ["config"]),
    "a mapping for a column": ({"config": A}, None, ["config: found a dict", "config="]),
    "a number for a column": ({"config": 5}, None, ["config: found a int", "expected"]),
    "strings": ({"config": ["a"] * 4}, None, ["config: found a str, expected a mapping"]),
    "lists": ({"config": [[]] * 4}, None, ["config: found a list, expected a mapping"]),
    "a string": ({}, "abc", ["config", "found a str", "expected a mapping"]),
    "a number": ({}, 5, ["config", "found a int", "expected a mapping"]),
    "a list of strings": ({"config": [0] * 4}, [A, "b"], ["config[1]: found a str", "a mapping"]),
    "too few": ({"config": [A]}, None, ["config: 1 records, but phase has 4"]),
    "an object": (
        {}, {"a": {"b": object()}}, ["config.a.b: object is not JSON", "expected a mapping"],
    ),
    "bytes": ({}, {"a": [b"x"]}, ["config.a[0]: bytes is not JSON"]),
    "a tuple for a key": ({}, {"a": {(1, 2): 2}}, ["config.a: the key (1, 2) is a tuple", "a string"]),
    "33 levels": ({}, json.loads('{"a":' * 33 + "1" + "}" * 33), ["nested too deeply"]),
    "more than 1 MiB": (
        {}, {"a": "x" * 2**20}, ["config: 1048584 bytes of JSON, at most 1048576"],
    ),
    "no UTF-8": ({}, {"a": "\ud800"}, ["config", "UTF-8"]),
}  # fmt: skip


@pytest.mark.parametrize(("columns", "config", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(refuse, columns, config, words):
    refuse({"phase": PHASES} | columns, words, config=config)


def test_a_list_that_contains_itself(refuse):
    config = {"a": []}
    config["a"].append(config)
    refuse({"phase": PHASES}, ["nested too deeply"], config=config)


def test_1_mib_is_not_too_much(roundtrip):
    config = {"a": "x" * (2**20 - 8)}
    assert roundtrip({"phase": PHASES}, config=config).configs == (config,)


def test_a_schema_without_a_configuration(refuse, tmp_path):
    path = tmp_path.parent / f"{tmp_path.name}.toml"
    path.write_text(WITHOUT_CONFIG)
    schema = cmeta.Schema.load(path)
    words = ["config: the schema has no field of type config"]
    refuse({"phase": ["train"]}, words, schema, config=A)
    words = ["field 'config' is not in the schema; expected one of: timestamp, phase"]
    refuse({"phase": ["train"], "config": [A]}, words, schema)
