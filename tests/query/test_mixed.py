"""Columns made of Python objects."""

import numpy as np
import pytest

from cmeta.query.parse import parse
from cmeta.query.values import column_of


@pytest.mark.parametrize(
    ("objects", "dtype"),
    [
        ([1, 2], "i8"), ([2**64 - 1, 0], "u8"), ([0.5, float("nan")], "f8"), (["a", "ü"], "U1"),
        ([True, False], "?"), ([1, 0.5], "O"), ([1, "a"], "O"), ([True, 1], "O"), ([2**70], "O"),
        ([-1, 2**64 - 1], "O"), ([], "f8"), ([None], "f8"),
    ],
)  # fmt: skip
def test_the_dtype_holds_every_value(objects, dtype):
    values, present = column_of(objects)
    assert values.dtype == dtype
    if present is None:
        assert np.array_equal(np.array(objects, dtype), values, equal_nan=values.dtype.kind == "f")


def test_what_is_no_value_is_absent():
    values, present = column_of([1, None, [2], {"a": 1}, 3])
    assert present.tolist() == [True, False, False, False, True]
    assert values[present].tolist() == [1, 3]


def test_integers_beyond_64_bits_are_exact():
    column = column_of([2**70, 2**70 + 1, 1])
    found = parse("x > 1e21").evaluate(lambda name: column)
    assert found.tolist() == [True, True, False]
    assert parse("x / 2 > 1").evaluate(lambda name: column).tolist() == [True, True, False]
    huge = column_of([10**400, -(10**400), "a"])
    assert parse("x + 0 > 1").evaluate(lambda name: huge).tolist() == [True, False, False]
