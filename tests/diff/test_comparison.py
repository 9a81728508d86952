"""The distances of two columns, checked against a plain definition."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cmeta
from cmeta.compare.quanta import FAR, distance
from cmeta.format.stages import fixed_point
from cmeta.records.chunk import Column
from cmeta.schema.load import shipped_format
from cmeta.schema.types import Field
from cmeta.tools.diff.comparison import FieldComparison, config_differences
from cmeta.tools.diff.diff import diff

NO_CONFIGS = (np.zeros(1, np.int64), np.zeros(1, np.int64))
CODECS = {"chain": ("class", "quantise", "split", "delta", "rice")}
FIELDS = [
    Field("x", "f32", quanta_per_unit=1_000_000, **CODECS),
    Field("x", "f64", quanta_per_unit=1000, **CODECS),
    Field("x", "f64", **CODECS),
    Field("x", "f32", **CODECS),
]
SPECIAL = [0.0, -0.0, 1.0, 16.0, 15.999999, 1e30, -1e30, 1e-7, np.nan, np.inf, -np.inf, 3e38]


def plain_distance(field, a, b):
    """Return the distance of two floats by its definition, in Python's integers."""
    kinds = ["finite" if math.isfinite(value) else str(value) for value in (a, b)]
    if kinds[0] != kinds[1]:
        return FAR
    if kinds[0] != "finite":
        return 0
    if field.quanta_per_unit:
        bits = shipped_format().codecs.quantise.product_bits
        first, second = (
            int(fixed_point.encode(np.array([v], field.dtype), field.quanta_per_unit, bits)[0])
            for v in (a, b)
        )
    else:
        first, second = (place_among_floats(np.array([v], field.dtype)) for v in (a, b))
    return abs(first - second)


def place_among_floats(values):
    """Return a float's place among all floats of its type; minus zero is one below zero."""
    bits = int(values.view(f"u{values.dtype.itemsize}")[0])
    sign = 1 << (values.dtype.itemsize * 8 - 1)
    return bits if bits < sign else -(bits - sign) - 1


@pytest.mark.parametrize("field", FIELDS, ids=str)
@given(
    st.lists(st.tuples(*[st.one_of(st.sampled_from(SPECIAL), st.floats(width=32))] * 2), min_size=1)
)
def test_distances_of_floats(field, pairs):
    with np.errstate(over="ignore"):
        a, b = (np.array(side, field.dtype) for side in zip(*pairs, strict=True))
    expected = [plain_distance(field, float(x), float(y)) for x, y in zip(a, b, strict=True)]
    assert [distance(field, float(x), float(y)) for x, y in zip(a, b, strict=True)] == expected
    found = FieldComparison(field, field, NO_CONFIGS).compare(
        Column(a, None), Column(b, None), len(a)
    )
    if found is None:
        assert not any(expected)
        return
    assert found.differ.tolist() == [d > 0 for d in expected]
    assert found.quanta.tolist() == [0 if d == FAR else d for d in expected]


def test_integers_of_other_types_are_compared_exactly():
    a, b = Field("x", "u64"), Field("x", "i64")
    big = np.array([2**63 + 1, 5, 2**53 + 1], np.uint64)
    other = np.array([-(2**63) + 1, 5, 2**53], np.int64)
    found = FieldComparison(a, b, NO_CONFIGS).compare(Column(big, None), Column(other, None), 3)
    assert found.differ.tolist() == [True, False, True]
    assert found.quanta is None


def test_enumerations_are_compared_by_label():
    a = Field("x", "enum", labels=("low", "high"))
    b = Field("x", "enum", labels=("off", "low", "high"))
    ours, theirs = np.array([0, 1, 0], np.uint8), np.array([1, 2, 0], np.uint8)
    found = FieldComparison(a, b, NO_CONFIGS).compare(Column(ours, None), Column(theirs, None), 3)
    assert found.differ.tolist() == [False, False, True]
    same_codes = FieldComparison(a, b, NO_CONFIGS).compare(
        Column(ours, None), Column(ours, None), 3
    )
    assert same_codes.differ.tolist() == [True, True, True]


def test_fields_that_do_not_compare_differ_where_either_is_present():
    a, b = Field("x", "f32", num_components=3), Field("x", "f32")
    present = np.array([True, False])
    found = FieldComparison(a, b, NO_CONFIGS).compare(
        Column(np.zeros((2, 3), np.float32), present), Column(np.zeros(2, np.float32), present), 2
    )
    assert found.differ.tolist() == [True, False]


def test_the_value_of_an_absent_cell_does_not_count():
    field = FIELDS[0]
    mask = np.array([True, False])
    a, b = np.float32([1, 7]), np.float32([1, 8])
    assert (
        FieldComparison(field, field, NO_CONFIGS).compare(Column(a, mask), Column(b, mask), 2)
        is None
    )


def test_an_absent_value_is_not_the_zero_in_its_place():
    cells = [Column(np.zeros(2, np.float32), mask) for mask in (np.array([True, False]), None)]
    found = FieldComparison(FIELDS[0], FIELDS[0], NO_CONFIGS).compare(*cells, 2)
    assert found.differ.tolist() == [False, True]


def test_of_two_quanta_the_coarser_one_counts():
    fields = [Field("x", "f64", quanta_per_unit=quanta, **CODECS) for quanta in (1000, 1_000_000)]
    a, b = np.array([0.123, 0.5]), np.array([0.123456, 0.502])
    for pair in (fields, fields[::-1]):
        found = FieldComparison(*pair, NO_CONFIGS).compare(Column(a, None), Column(b, None), 2)
        assert (found.differ.tolist(), found.quanta.tolist()) == ([False, True], [0, 2])


def test_keys_of_configurations():
    a = {"lr": 0.1, "net": {"width": 8, "act": "relu"}, "seeds": [1, 2], "none": None, "empty": {}}
    b = {"lr": 0.1, "net": {"width": 8.0, "act": "tanh"}, "seeds": [1, 3], "empty": 1}
    assert list(config_differences(a, a)) == []
    assert list(config_differences(a, b)) == [
        ("net.act", "relu", "tanh"), ("seeds", [1, 2], [1, 3]), ("none", None, None), ("empty", {}, 1),
    ]  # fmt: skip


def test_a_declared_and_an_undeclared_metric(tmp_path):
    schema = cmeta.default_schema().with_metrics("top1").with_batch_records(16)
    paths = [tmp_path / "a.cmeta", tmp_path / "b.cmeta"]
    rows = {"phase": ["train"] * 40, "metrics.top1": np.arange(40) / 8}
    cmeta.write(paths[0], rows, schema)
    cmeta.write(paths[1], rows, cmeta.default_schema().with_batch_records(16))
    found = diff(*paths)
    assert found.same  # declared as float32 in one, undeclared in the other
    assert {s.where for s in found.schema} == {"metrics.top1.type", "metrics.top1.quanta_per_unit"}
