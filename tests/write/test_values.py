"""What `write` takes as a column, and what reading then gives."""

import array
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import cmeta

NAN, INF = float("nan"), float("inf")
HIGH = 2**64 - 1


class Item:
    """A scalar of another library: one element, and `item()`."""

    def __init__(self, value):
        self._value = value

    def item(self):
        return self._value


# Field, what is given for three records of it; values and presence that come back.
ALL = [True, True, True]
COLUMNS = {
    "a list": ("loss_value", [0.5, 0.25, 2], [0.5, 0.25, 2.0], ALL),
    "a tuple": ("loss_value", (0.5, 0.25, 2), [0.5, 0.25, 2.0], ALL),
    "float64": ("loss_value", np.array([0.5, 0.25, 2.0]), [0.5, 0.25, 2.0], ALL),
    "float16": ("loss_value", np.array([0.5, 0.25, 2], np.float16), [0.5, 0.25, 2.0], ALL),
    "integers for floats": ("loss_value", np.array([1, 2, 3]), [1.0, 2.0, 3.0], ALL),
    "truths for floats": ("loss_value", [True, False, True], [1.0, 0.0, 1.0], ALL),
    "big-endian": ("loss_value", np.array([0.5, 1, 2], ">f8"), [0.5, 1.0, 2.0], ALL),
    "strided": ("loss_value", np.arange(6.0)[::2], [0.0, 2.0, 4.0], ALL),
    "an array of the standard library": (
        "loss_value", array.array("d", [0.5, 1, 2]), [0.5, 1.0, 2.0], ALL,
    ),
    "numpy scalars": (
        "loss_value", [np.float32(0.5), np.float64(1), np.int8(2)], [0.5, 1.0, 2.0], ALL,
    ),
    "arrays of one element": (
        "loss_value", [np.array(0.5), np.array([1.0]), np.array([[2.0]])], [0.5, 1.0, 2.0], ALL,
    ),
    "things with item()": ("loss_value", [Item(0.5), Item(1), Item(True)], [0.5, 1.0, 1.0], ALL),
    "things with __float__": (
        "loss_value", [Decimal("0.5"), Fraction(1, 4), 2], [0.5, 0.25, 2.0], ALL,
    ),
    "an array of objects": (
        "loss_value", np.array([0.5, None, Item(2.0)], object), [0.5, NAN, 2.0],
        [True, False, True],
    ),
    "None": ("loss_value", [None, 0.5, None], [NAN, 0.5, NAN], [False, True, False]),
    "a masked array": (
        "loss_value", np.ma.array([9.0, 0.5, 9.0], mask=[1, 0, 1]), [NAN, 0.5, NAN],
        [False, True, False],
    ),
    "a masked array without a mask": ("loss_value", np.ma.array([0.5, 1, 2]), [0.5, 1, 2], ALL),
    "what is no number": ("loss_value", [NAN, INF, -INF], [NAN, INF, -INF], ALL),
    "the largest u64": ("seed_state", [0, HIGH, 2**63], [0, HIGH, 2**63], ALL),
    "an array of u64": (
        "seed_state", np.array([0, HIGH, 1], np.uint64), [0, HIGH, 1], ALL,
    ),
    "absent integers": ("seed_state", [None, HIGH, None], [0, HIGH, 0], [False, True, False]),
    "small integers": ("epoch", np.array([1, 2, 3], np.int8), [1, 2, 3], ALL),
    "truths for integers": ("epoch", [True, False, 3], [1, 0, 3], ALL),
    "names": (
        "metrics.state", ["stable", "diverging", "stable"], ["stable", "diverging", "stable"], ALL,
    ),
    "codes": ("metrics.state", [0, 3, 0], ["stable", "diverging", "stable"], ALL),
    "an array of codes": (
        "metrics.state", np.array([0, 3, 0], np.uint8), ["stable", "diverging", "stable"], ALL,
    ),
    "an array of names": (
        "metrics.state", np.array(["stable", "diverging", "stable"]),
        ["stable", "diverging", "stable"], ALL,
    ),
    "names, codes and None": (
        "metrics.state", ["stable", 3, None], ["stable", "diverging", ""], [True, True, False],
    ),
    "codes and None": (
        "metrics.state", [None, 3, 0], ["", "diverging", "stable"], [False, True, True],
    ),
    "masked names": (
        "metrics.state", np.ma.array(["?", "diverging", "stable"], mask=[1, 0, 0]),
        ["", "diverging", "stable"], [False, True, True],
    ),
    "an array of vectors": (
        "tensor_signature", np.arange(9.0).reshape(3, 3),
        [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0], [6.0, 7.0, 8.0]], ALL,
    ),
    "vectors and None": (
        "tensor_signature", [(1, 2, 3), None, np.array([4.0, 5.0, 6.0])],
        [[1, 2, 3], [NAN, NAN, NAN], [4, 5, 6]], [True, False, True],
    ),
    "masked vectors": (
        "tensor_signature", np.ma.array(np.ones((3, 3)), mask=[[1] * 3, [0] * 3, [0] * 3]),
        [[NAN] * 3, [1] * 3, [1] * 3], [False, True, True],
    ),
    "a NaN in a vector": (
        "tensor_signature", [[1, NAN, INF], [1, 2, 3], [1, 2, 3]],
        [[1, NAN, INF], [1, 2, 3], [1, 2, 3]], ALL,
    ),
    "an undeclared metric": ("metrics.x", [0.1, 1 / 3, 1e300], [0.1, 1 / 3, 1e300], ALL),
    "undeclared integers": ("metrics.x", [1, -(2**53), 2**60], [1.0, -(2.0**53), 2.0**60], ALL),
    "a float beyond float32": (
        "metrics.x", [3.4028235677973366e38, -0.0, 5e-324], [3.4028235677973366e38, -0.0, 5e-324],
        ALL,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("path", "given", "values", "present"), COLUMNS.values(), ids=COLUMNS)
def test_columns(roundtrip, path, given, values, present):
    found = roundtrip({"phase": ["train"] * 3, path: given})
    np.testing.assert_array_equal(found[path], np.array(values, found[path].dtype))
    assert found.present[path].tolist() == present


def test_types_that_come_back(roundtrip):
    schema = cmeta.default_schema().with_metrics(
        **{name: {"type": name} for name in ("u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64")},
        **{name: {"type": name} for name in ("f32", "f64", "bool")},
    )
    names = ["u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64", "f32", "f64", "bool"]
    found = roundtrip({"phase": [0, 0]} | {f"metrics.{n}": [0, 1] for n in names}, schema)
    dtypes = {name: found[f"metrics.{name}"].dtype.str.lstrip("<|") for name in names}
    assert dtypes == {
        "u8": "u1", "u16": "u2", "u32": "u4", "u64": "u8", "i8": "i1", "i16": "i2", "i32": "i4",
        "i64": "i8", "f32": "f4", "f64": "f8", "bool": "b1",
    }  # fmt: skip


@pytest.mark.parametrize("type_", ["u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64"])
def test_the_extremes_of_integers(roundtrip, type_):
    limits = np.iinfo(f"{type_[0]}{int(type_[1:]) // 8}")
    schema = cmeta.default_schema().with_metrics(x={"type": type_})
    found = roundtrip({"phase": [0] * 3, "metrics.x": [limits.min, limits.max, 0]}, schema)
    assert found["metrics.x"].tolist() == [limits.min, limits.max, 0]


@pytest.mark.parametrize(
    "phases",
    [["dream", "train", "validate"], [0, 1, 2], np.array([0, 1, 2]), np.array(["dream", "train",
     "validate"]), ["dream", 1, np.int64(2)], np.array(["dream", "train", "validate"], object)],
)  # fmt: skip
def test_phases_by_name_or_code(roundtrip, phases):
    found = roundtrip({"phase": phases})
    assert found["phase"].tolist() == ["dream", "train", "validate"]
    assert found["timestamp"].tolist() == [0, 1, 2]


def test_present_beside_the_columns(roundtrip):
    columns = {
        "phase": ["train"] * 2,
        "step": [-1, 5],
        "loss_value": [1e-9, 0.5],
        "metrics.state": ["", "stable"],
        "tensor_signature": np.array([[np.inf] * 3, [1, 2, 3]]),
        "metrics.x": np.array([7.5, 0.5]),
    }
    second = np.array([False, True])
    found = roundtrip(columns, present={path: second for path in columns if path != "phase"})
    for path in columns:
        assert found.present[path].tolist() == ([True, True] if path == "phase" else [False, True])
    assert found["step"].tolist() == [0, 5]
    assert found["metrics.state"].tolist() == ["", "stable"]


def test_present_adds_to_what_a_column_says_itself(roundtrip):
    columns = {"phase": ["train"] * 3, "step": [None, 1, 2]}
    found = roundtrip(columns, present={"step": [True, True, False]})
    assert found.present["step"].tolist() == [False, True, False]


def test_a_float_too_large_for_its_type_becomes_an_infinity(roundtrip):
    just_below, just_above = 3.4028235677973362e38, 3.4028235677973366e38
    schema = cmeta.default_schema()
    columns = {"phase": ["train"] * 2, "loss_value": [just_below, -just_above]}
    with pytest.warns(cmeta.PrecisionWarning):
        found = roundtrip(columns, schema)
    assert found["loss_value"].tolist() == [2.0**128 - 2.0**104, -INF]


def test_the_order_of_keywords_does_not_matter(target):
    columns = {"phase": ["train"], "loss_value": [0.5], "metrics.b": [1.0], "metrics.a": [2.0]}
    cmeta.write(target, columns)
    data = target.read_bytes()
    cmeta.write(target, dict(reversed(columns.items())))
    assert target.read_bytes() == data
