"""What `log` refuses, with field, value, what was expected and a remedy; and what means no value."""

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import cmeta


class Raising:
    """A number that fails to be one."""

    def __float__(self):
        raise ZeroDivisionError("of its own")


class RaisingItem:
    shape = ()

    def item(self):
        raise RuntimeError("on a device that is gone")


class NoArray:
    """A tensor that gives no array."""

    shape = (3,)

    def tolist(self):
        raise NotImplementedError("a meta tensor")

    def __len__(self):
        return 3


TODAY = datetime.date(2026, 1, 2)
NUMBERS = {
    "complex": (1j, "found a complex (1j), expected a number (f32); record its parts"),
    "numpy complex": (np.complex64(1j), "found a complex64"),
    "datetime64": (np.datetime64("2026-01-02", "ns"), "record seconds, such as time.timestamp()"),
    "timedelta64": (np.timedelta64(5, "ns"), "record seconds, such as delta.total_seconds()"),
    "date": (TODAY, "record seconds"),
    "timedelta": (datetime.timedelta(1), "delta.total_seconds()"),
    "pandas date": (pd.Timestamp(TODAY), "record seconds"),
    "text": ("0.5", "found '0.5', expected f32; convert it, such as float(text)"),
    "bytes": (b"0.5", "found a bytes (b'0.5')"),
    "list": ([0.5], "found a list ([0.5]), expected a number (f32); record one number of it"),
    "nested": ([[0.5]], "record one number of it, such as its mean"),
    "array": (np.ones(2), "found shape (2,), expected a value of one element; record one number"),
    "bools": (np.array([True, False]), "found shape (2,), expected a value of one element"),
    "generator": ((x for x in ()), "found a generator"),
    "mapping": ({}, "found a dict ({})"),
    "raising": (Raising(), "gives no value (ZeroDivisionError: of its own), expected a number (f32)"),
    "item": (RaisingItem(), "gives no value (RuntimeError: on a device that is gone)"),
    "date array": (np.array("2026", "M8[Y]"), "found a datetime64"),
    "structure": (np.zeros(1, "i4,i4"), "found a void"),
}  # fmt: skip
VECTORS = {
    "text": ("abc", "found a str ('abc'), expected (3,)"),
    "a number": (0.5, "found a float (0.5), expected (3,)"),
    "a short one": ([1.0, 2.0], "found shape (2,), expected (3,)"),
    "a matrix": (np.ones((3, 3)), "found shape (3, 3), expected (3,)"),
    "ragged": ([1.0, [2.0], 3.0], "found a list ([2.0]), expected a number (f32[3])"),
    "complex": (np.ones(3, complex), "found a complex128"),
    "names": (["a", "b", "c"], "found 'a', expected f32[3]"),
    "dates": (np.array(["2026"] * 3, "M8[ns]"), "found a datetime64"),
    "an Arrow number": (pa.scalar(0.5), "found a float (0.5), expected (3,)"),
    "an Arrow list": (pa.scalar([0.5]), "found shape (1,), expected (3,)"),
    "a generator": ((x for x in (1, 2, 3)), "found a generator"),
    "a mapping": ({1: 2}, "found a dict"),
    "absent in part": ([1.0, None, 2.0], "no value in part"),
    "masked in part": (np.ma.array([1.0, 2, 3], mask=[0, 1, 0]), "no value in part"),
    "no array": (NoArray(), "gives no vector (NotImplementedError: a meta tensor), expected (3,)"),
}


@pytest.fixture
def rec(tmp_path):
    with cmeta.Recorder(tmp_path / "run.cmeta") as recorder:
        yield recorder


@pytest.mark.parametrize(("value", "words"), NUMBERS.values(), ids=NUMBERS)
@pytest.mark.parametrize("name", ["loss", "metrics"])
def test_no_number(rec, name, value, words):
    given = {name: value} if name == "loss" else {"metrics": {"free": value}}
    with pytest.raises(cmeta.EncodeError) as caught:
        rec.log("train", **given)
    message, path = str(caught.value), "loss_value" if name == "loss" else "metrics.free"
    assert message.startswith(f"{path}: ")
    assert words.replace("f32", "f64" if name == "metrics" else "f32") in message
    columns, other = {"phase": ["train"], path: [value]}, rec.path.with_name("written.cmeta")
    with pytest.raises(cmeta.EncodeError, match=f"^{path}: "):
        cmeta.write(other, columns)
    assert len(rec) == 0


@pytest.mark.parametrize(("value", "words"), VECTORS.values(), ids=VECTORS)
def test_no_signature(rec, value, words):
    with pytest.raises(cmeta.EncodeError) as caught:
        rec.log("train", tensor_signature=value)
    assert str(caught.value).startswith("tensor_signature: ")
    assert words in str(caught.value)
    assert len(rec) == 0


@pytest.mark.parametrize("name", ["step", "seed_state", "epoch"])
@pytest.mark.parametrize("value", [0.0, -0.0, 1.5, Decimal(3), float("nan"), 2**64, -1, 1j])
def test_no_integer(rec, name, value):
    with pytest.raises(cmeta.EncodeError, match=f"^{name}: found "):
        rec.log("train", **{name: value})
    assert len(rec) == 0


NOTHINGS = {
    "None": None,
    "masked": np.ma.masked,
    "a masked array": np.ma.array(9.0, mask=True),
    "a masked array of one": np.ma.array([9.0], mask=[True]),
    "pandas.NA": pd.NA,
    "NaT": pd.NaT,
    "datetime64": np.datetime64("NaT"),
    "Arrow": pa.scalar(None, pa.float64()),
    "an array of None": np.array(None),
}
NAMES = ("loss", "coherence", "step", "seed_state", "action_code", "epoch")


@pytest.mark.parametrize("nothing", NOTHINGS.values(), ids=NOTHINGS)
def test_no_value_is_absent(rec, nothing):
    rec.log("train", timestamp=nothing, **dict.fromkeys(NAMES, nothing))
    rec.log("train", metrics={"entropy": nothing, "free": nothing, "state": nothing}, lr=nothing)
    with rec.cycle("train") as c:
        c.log(loss=nothing, metrics={"free": nothing})
    rec.record_cycle(cmeta.CycleRecord(phase="train", loss_value=nothing, metrics={"a": nothing}))
    assert [r.timestamp for r in rec.records] == [0, 1, 2, 3]
    for record in rec.records:
        assert set(record.as_dict()) <= {"timestamp", "phase", "seed_state", "config"}
    with pytest.raises(cmeta.EncodeError, match="phase: found None"):
        rec.log(nothing)


@pytest.mark.parametrize("nothing", [None, np.ma.masked, pd.NA, np.ma.masked_all(3), [None] * 3])
def test_no_signature_is_absent(rec, nothing):
    rec.log("train", tensor_signature=nothing)
    assert rec.last.tensor_signature is None


def test_every_nan_of_decimal_is_one(rec):
    for name in ("NaN", "sNaN"):
        rec.log("train", loss=Decimal(name), metrics={"free": Decimal(name)})
        assert np.isnan([rec.last.loss_value, rec.last.metrics["free"]]).all()


def test_a_result_of_masked_arithmetic_is_absent(rec):
    losses = np.ma.array([1.0, 2.0], mask=[True, True])
    rec.log("train", loss=losses.mean(), metrics={"first": losses[0], "sum": losses.sum()})
    assert rec.last.as_dict() == {"timestamp": 0, "phase": "train"}
