"""`signature`: the exact mean of quanta, whatever the order."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cmeta
from cmeta import EncodeError, signature


def by_hand(values):
    """Return the same in fractions: quanta half to even, their mean half to even."""
    total = sum(round(Fraction(float(v)) * 10**6) if abs(v) >= 2**40 else round(float(v) * 10**6)
                for v in values)  # fmt: skip
    return round(Fraction(total, len(values))) / 10**6


FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=32)


@given(st.lists(st.tuples(FLOATS, FLOATS, FLOATS), min_size=1, max_size=40), st.randoms())
def test_exact_and_in_every_order(rows, draw):
    found = signature(np.array(rows, np.float32))
    draw.shuffle(rows)
    assert signature(np.array(rows, np.float32)) == found
    assert signature(np.array(rows, np.float32)[::-1]) == found


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40))
def test_equals_the_arithmetic_of_fractions(values):
    rows = np.array([values, values, values]).T
    assert signature(rows) == (by_hand(values),) * 3


def test_all_axes_but_the_last():
    rng = np.random.default_rng(0)
    images = rng.random((4, 5, 6, 3), np.float32)
    assert signature(images) == signature(images.reshape(-1, 3))
    assert signature(images) == signature(np.asfortranarray(images))
    assert signature(images) == pytest.approx(images.astype(float).mean(axis=(0, 1, 2)), abs=1e-6)
    assert signature(images[0, 0, 0]) == signature(images[0, 0, :1])


def test_floats_that_a_mean_of_floats_would_get_wrong():
    """Summed as floats, the small one is lost in one order and kept in the other."""
    column = np.array([1e8, 0.25, -1e8], np.float32)
    rows = np.stack([column, column[::-1], np.zeros(3, np.float32)], axis=1)
    assert signature(rows) == (0.083333, 0.083333, 0.0)


def test_integers_and_booleans():
    assert signature(np.array([[1, 2, 3], [2, 2, 4]], np.uint8)) == (1.5, 2.0, 3.5)
    assert signature([[True, False, True]]) == (1.0, 0.0, 1.0)
    large = np.full((3, 3), 2**63 - 1, np.int64)
    assert signature(large) == (float(2**63 - 1),) * 3


def test_values_that_are_not_finite():
    inf, nan = np.inf, np.nan
    found = signature([[inf, inf, nan], [1.0, -inf, 0.0]])
    assert found[0] == inf
    assert np.isnan(found[1:]).all()
    assert signature(np.full((1, 3), 3e38, np.float32))[0] == pytest.approx(3e38, rel=1e-6)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.zeros((2, 4)), r"shape \(2, 4\), expected a last axis of size 3"),
        (1.0, r"shape \(\), expected a last axis"),
        (np.zeros((0, 3)), r"which has no elements"),
        (["a", "b", "c"], "expected numbers"),
        (np.array([1j, 0, 0]), "complex128, expected numbers"),
    ],
)
def test_tensors_that_are_refused(value, words):
    with pytest.raises(EncodeError, match=words):
        signature(value)


def test_it_is_what_a_record_takes(tmp_path):
    path = tmp_path / "run.cmeta"
    found = signature(np.random.default_rng(1).random((100, 3)))
    with cmeta.Recorder(path) as recorder:
        recorder.log("dream", tensor_signature=found)
    with cmeta.open(path) as run:
        (record,) = run
    assert record.tensor_signature == tuple(float(np.float32(v)) for v in found)
