"""Configurations as users give them: taken as `json.dumps(default=str)` would, or refused by name."""

import argparse
import datetime
import decimal
import enum
import functools
import json
import types
import uuid
from collections import OrderedDict, UserDict, UserList
from dataclasses import dataclass, field
from pathlib import PurePosixPath, PureWindowsPath

import msgspec
import numpy as np
import pytest

import cmeta
from cmeta.records.config import as_mapping, config_json


@dataclass
class Hyper:
    lr: float = 0.5
    sizes: dict = field(default_factory=lambda: {1: "a"})


class Mode(enum.Enum):
    FAST = "fast"


class Level(enum.IntEnum):
    HIGH = 3


class Odd(enum.Enum):
    """Its value is not JSON, so its name stands for it."""

    ONE = object()


class Plugin(msgspec.Struct):
    name: str


class Dumped:
    """As a model of pydantic, or a configuration of transformers."""

    def model_dump(self):
        return {"a": (1, 2)}


class Keyed:
    """As a configuration of ml_collections."""

    def keys(self):
        return ["a"]

    def __getitem__(self, key):
        return {"a": 1}[key]


class Silent:
    pass


def activation():
    pass


# What is given, and the JSON that it becomes.
TAKEN = {
    "integers for keys": ({0: "cat", np.int64(1): "dog"}, {"0": "cat", "1": "dog"}),
    "literals for keys": ({None: 1, True: 2, np.bool_(False): 3}, {"null": 1, "true": 2, "false": 3}),
    "floats for keys": (
        {0.5: 1, 1e22: 2, float("inf"): 3}, {"0.5": 1, "1e+22": 2, "Infinity": 3},
    ),
    "enumerations for keys": ({Mode.FAST: 1, Level.HIGH: 2}, {"fast": 1, "3": 2}),
    "tuples": ((1, (2,)), [1, [2]]),
    "sets": ([{3, 1, 2}, frozenset("ba"), {1, "a"}], [[1, 2, 3], ["a", "b"], ["a", 1]]),
    "sets of sets": ({frozenset({2}), frozenset({1})}, [[1], [2]]),
    "sequences": ([range(2), UserList([1]), {"a": 1}.keys()], [[0, 1], [1], ["a"]]),
    "mappings": ([OrderedDict(a=1), UserDict(a=1), types.MappingProxyType({1: 2})],
                 [{"a": 1}, {"a": 1}, {"1": 2}]),
    "numpy scalars": (
        [np.float64(0.5), np.int32(3), np.bool_(True), np.uint64(2**64 - 1), np.str_("a")],
        [0.5, 3, True, 2**64 - 1, "a"],
    ),
    "arrays": ([np.array(0.5), np.array([2]), np.eye(2)], [0.5, [2], [[1.0, 0.0], [0.0, 1.0]]]),
    "dates": (
        [datetime.datetime(2026, 1, 2, 3), datetime.date(2026, 1, 2), datetime.timedelta(1)],
        ["2026-01-02 03:00:00", "2026-01-02", "1 day, 0:00:00"],
    ),
    "numpy dates": (
        [np.datetime64("2026-01-02", "ns"), np.array(["2026-01-02"], "M8[D]"), np.timedelta64(3, "s")],
        ["2026-01-02T00:00:00.000000000", ["2026-01-02"], "3 seconds"],
    ),
    "dtypes": ([np.dtype("f4"), np.float32, int], ["float32", "numpy.float32", "builtins.int"]),
    "functions": ([activation, len], [f"{__name__}.activation", "builtins.len"]),
    "numbers": ([decimal.Decimal("0.10"), 1j], ["0.10", "1j"]),
    "identifiers": (uuid.UUID(int=7), "00000000-0000-0000-0000-000000000007"),
    "paths": ([PurePosixPath("a/b"), PureWindowsPath("a", "b")], ["a/b", "a/b"]),
    "enumerations": ([Mode.FAST, Level.HIGH, Odd.ONE], ["fast", 3, "ONE"]),
    "a dataclass": (Hyper(), {"lr": 0.5, "sizes": {"1": "a"}}),
    "namespaces": ([argparse.Namespace(b=1), types.SimpleNamespace(c=Hyper)],
                   [{"b": 1}, {"c": f"{__name__}.Hyper"}]),
    "other objects with members": (
        [Plugin("p"), Dumped(), Keyed()], [{"name": "p"}, {"a": [1, 2]}, {"a": 1}],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("given", "taken"), TAKEN.values(), ids=TAKEN)
def test_values_that_become_json(given, taken, tmp_path):
    assert as_mapping({"x": given}) == {"x": taken}
    assert json.dumps(as_mapping({"x": given})) == json.dumps({"x": taken})
    assert config_json({"x": given}) == config_json({"x": taken})
    with cmeta.Recorder(tmp_path / "run.cmeta", config={"x": given}) as rec:
        rec.log("train")
        assert rec.config == {"x": taken}


@pytest.mark.parametrize("config", [Hyper(), argparse.Namespace(lr=1), Plugin("p"), Dumped()])
def test_whole_configurations(config):
    assert as_mapping(config)


def test_json_texts_are_those_of_json():
    """Where `json.dumps` takes a value, it is the same; floats for keys as well."""
    given = {1: {None: [1, "é"], 2.5: True}, "a": (1, 2)}
    assert as_mapping(given) == json.loads(json.dumps(given, default=str))


class Unreadable(UserDict):
    def __getitem__(self, key):
        raise KeyError("missing mandatory value")


REFUSED = {
    "keys of the same text": (
        {1: 2, "1": 3},
        r"^config\.x: the keys 1 and '1' are both '1' in JSON",
    ),
    "keys of the same kind": ({True: 2, "true": 3}, "keys True and 'true' are both 'true'"),
    "a tuple for a key": ({"a": {(1, 2): 3}}, r"^config\.x\.a: the key \(1, 2\) is a tuple"),
    "an object": (
        [{"a": Silent()}],
        r"^config\.x\[0\]\.a: Silent is not JSON: it has no text but its address",
    ),
    "a partial function": (functools.partial(activation), r"^config\.x: partial is not JSON"),
    "a generator": ((i for i in ()), r"^config\.x: generator is not JSON"),
    "binary data": ([b"a"], r"^config\.x\[0\]: bytes is not JSON: it is binary data"),
    "a view": (memoryview(b"a"), r"^config\.x: memoryview is not JSON"),
    "an array of objects": (
        np.array([b""], object),
        r"^config\.x\[0\]: bytes is not JSON: it is binary data",
    ),
    "a lone surrogate": ({"a": "\ud800"}, r"^config\.x\.a: UTF-8 cannot encode '\\ud800'"),
    "a lone surrogate for a key": ({"\ud800": 1}, r"^config\.x: a key: UTF-8 cannot"),
    "a mapping that raises": (Unreadable(a=1), r"^config\.x: cannot be read: KeyError"),
    "too many levels": (functools.reduce(lambda a, _: [a], range(40), 0), "nested too deeply"),
}


@pytest.fixture
def endless():
    loop = {}
    loop["a"] = [loop]
    return loop


def test_a_configuration_within_itself(endless):
    with pytest.raises(cmeta.EncodeError, match=r"^config\.a\[0\].*: nested too deeply"):
        as_mapping(endless)


@pytest.mark.parametrize("mode", ["new", "replace", "resume"])
@pytest.mark.parametrize(("given", "words"), REFUSED.values(), ids=REFUSED)
def test_a_refused_value_is_named_and_leaves_nothing_behind(tmp_path, given, words, mode):
    path = tmp_path / "run.cmeta"
    with pytest.raises(cmeta.EncodeError, match=words):
        cmeta.Recorder(path, mode=mode, config={"x": given})
    assert not list(tmp_path.iterdir())
    with cmeta.Recorder(path, config={"x": 1}) as rec:  # the corrected retry
        rec.log("train")
        with pytest.raises(cmeta.EncodeError, match=words):
            rec.config = {"x": given}
        assert rec.config == {"x": 1}


NO_CONFIG = """
[record]
batch_records = 16
fields = [
  { name = "timestamp", type = "u64", codec = ["split", "delta", "rice"] },
  { name = "phase", type = "enum", enumeration = "phase", codec = ["delta", "rice"] },
]

[enumerations.phase]
values = ["train"]
"""


def big(seed):
    """A configuration that is too large with the root of the seeds."""
    return {"seed": seed, "config": {"a": "x" * (2**20 - 8 - 30)}}


ARGUMENTS = {
    "a configuration that is none": {"config": 7},
    "one that is too large": {"config": {"a": "x" * 2**20}},
    "one that is too large with its seed": big(7),
    "one for which the schema has no field": {"config": {"a": 1}, "schema": NO_CONFIG},
    "a seed": {"seed": -1},
    "a schema": {"schema": 7},
    "a durability": {"durability": "disk"},
    "flush_every": {"flush_every": 0},
    "max_records": {"max_records": -1},
    "a rank": {"rank": "first"},
    "on_error": {"on_error": "ignore"},
}


@pytest.mark.parametrize("mode", ["new", "replace", "resume"])
@pytest.mark.parametrize("arguments", ARGUMENTS.values(), ids=ARGUMENTS)
def test_no_refused_argument_leaves_or_changes_anything(tmp_path, arguments, mode):
    path = tmp_path / "run.cmeta"
    if arguments.get("schema") == NO_CONFIG:
        schema_file = tmp_path / "schema.toml"
        schema_file.write_text(NO_CONFIG)
        arguments = {**arguments, "schema": cmeta.Schema.load(schema_file)}
        schema_file.unlink()
    with pytest.raises(cmeta.EncodeError):
        cmeta.Recorder(path, mode=mode, **arguments)
    assert not list(tmp_path.iterdir())
    if mode != "new":
        schema = arguments.get("schema")
        cmeta.Recorder(path, schema if isinstance(schema, cmeta.Schema) else None).close()
        before = path.read_bytes()
        with pytest.raises(cmeta.EncodeError):
            cmeta.Recorder(path, mode=mode, **arguments)
        assert path.read_bytes() == before
        assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("arguments", [{"resume_at": 3, "mode": "resume"}, {"config": {"a": 1}}])
def test_a_refusal_leaves_no_folder(tmp_path, arguments):
    schema = None
    if "config" in arguments:
        (tmp_path / "schema.toml").write_text(NO_CONFIG)
        schema = cmeta.Schema.load(tmp_path / "schema.toml")
        (tmp_path / "schema.toml").unlink()
    with pytest.raises(cmeta.CmetaError):
        cmeta.Recorder(tmp_path / "a" / "b" / "run.cmeta", schema, **arguments)
    assert not list(tmp_path.iterdir())
