"""The numbers of a summary, checked against numpy, pandas and exact fractions."""

import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import cmeta
from cmeta.tools.summary.statistics import (
    Downsampler,
    RunningMoments,
    SeriesStats,
    downsample,
    integer_distances,
)

LARGEST = np.finfo("f8").max
FINITE = st.floats(allow_nan=False, allow_infinity=False)
ANY = hnp.arrays("f8", st.integers(1, 60), elements=st.floats(width=64))
DECIMALS = st.integers(-(10**12), 10**12).map(lambda number: number / 10**6)
CUTS = st.lists(st.integers(0, 60), max_size=4)


def summary_of(values, timestamps, cuts=()):
    """Return the summary of values that come in pieces."""
    stats, edges = SeriesStats(), [0, *sorted(min(cut, len(values)) for cut in cuts), len(values)]
    timestamps = np.asarray(timestamps, "u8")
    times = integer_distances(timestamps, int(timestamps[0]))
    for begin, end in zip(edges, edges[1:], strict=False):
        here = slice(begin, end)
        stats.add(np.asarray(values)[here], timestamps[here], times[here])
    return stats.summary(phase="train", field="x")


def exact(values, timestamps):
    """Return mean, variance and slope as fractions."""
    pairs = [(Fraction(int(t)), Fraction(v)) for t, v in zip(timestamps, values, strict=True)]
    num = len(pairs)
    mean_t, mean = (sum(column) / num for column in zip(*pairs, strict=True))
    squares = sum((v - mean) ** 2 for _, v in pairs)
    squares_t = sum((t - mean_t) ** 2 for t, _ in pairs)
    products = sum((t - mean_t) * (v - mean) for t, v in pairs)
    return mean, squares / num, products / squares_t if squares_t else None


def close(found, expected, scale):
    """Return whether a number is right, as seen from the largest value."""
    smallest = Fraction(5, 10**323)
    return abs(Fraction(found) - expected) <= Fraction(scale) / 10**11 + smallest


def root(number):
    """Return the square root of a fraction from 0 to 1."""
    return Fraction(math.isqrt(int(number * 10**60)), 10**30)


@settings(max_examples=150, deadline=None)
@given(
    values=hnp.arrays("f8", st.integers(1, 40), elements=FINITE), cuts=CUTS,
    first=st.integers(0, 2**63), data=st.data(),
)  # fmt: skip
def test_any_finite_numbers_agree_with_fractions(values, cuts, first, data):
    steps = data.draw(st.lists(st.integers(0, 10**6), min_size=len(values), max_size=len(values)))
    timestamps = [first + sum(steps[: i + 1]) for i in range(len(values))]
    found = summary_of(values, timestamps, cuts)
    mean, variance, slope = exact(values.tolist(), timestamps)
    scale = max(map(abs, values.tolist()))
    assert (found.min, found.max) == (values.min(), values.max())
    assert found.min_at == timestamps[int(values.argmin())]
    assert found.max_at == timestamps[int(values.argmax())]
    assert (found.first, found.last) == (values[0], values[-1])
    assert close(found.mean, mean, scale)
    deviation = root(variance / Fraction(scale) ** 2) * Fraction(scale) if scale else 0
    assert close(found.deviation, deviation, scale)
    assert found.min <= found.mean <= found.max
    if slope is None:
        assert found.slope is None
    elif math.isfinite(found.slope):
        assert close(found.slope * 1.0, slope, slope_scale(values.tolist(), timestamps))
    else:
        assert abs(slope) > LARGEST * 0.999


def slope_scale(values, timestamps):
    """Return how steep the line can be at most, by Cauchy and Schwarz."""
    mean_t = Fraction(sum(timestamps), len(timestamps))
    spread = sum((t - mean_t) ** 2 for t in timestamps)
    return max(map(abs, map(Fraction, values))) * len(values) / max(1, math.isqrt(int(spread)))


@settings(max_examples=200, deadline=None)
@given(values=ANY, cuts=CUTS)
def test_nan_and_infinities_are_counted_and_enter_nothing(values, cuts):
    timestamps = np.arange(len(values))
    found = summary_of(values, timestamps, cuts)
    finite = values[np.isfinite(values)]
    assert found.num_values == len(values)
    assert found.num_nan == np.isnan(values).sum()
    assert found.num_infinite == np.isinf(values).sum()
    assert found.num_finite == len(finite)
    np.testing.assert_equal([found.first, found.last], values[[0, -1]])
    if not len(finite):
        assert {found.min, found.max, found.mean, found.deviation, found.slope} == {None}
    else:
        assert (found.min, found.max) == (finite.min(), finite.max())
        assert found.min <= found.mean <= found.max
        assert math.isfinite(found.deviation)


@settings(max_examples=100, deadline=None)
@given(values=hnp.arrays("f8", st.integers(2, 60), elements=DECIMALS), cuts=CUTS)
def test_numbers_agree_with_numpy_and_pandas(values, cuts):
    found = summary_of(values, np.arange(len(values)), cuts)
    series = pd.Series(values)
    tolerance = {"rtol": 1e-9, "atol": 1e-9 * max(1e-300, np.abs(values).max())}
    np.testing.assert_allclose(found.mean, series.mean(), **tolerance)
    np.testing.assert_allclose(found.deviation, series.std(ddof=0), **tolerance)
    slope = np.polynomial.Polynomial.fit(np.arange(len(values)), values, 1).convert().coef
    np.testing.assert_allclose(found.slope, slope[1] if len(slope) > 1 else 0, **tolerance)


@pytest.mark.parametrize(
    ("values", "mean", "deviation"),
    [
        ([LARGEST] * 40, LARGEST, 0.0),
        ([LARGEST, -LARGEST] * 20, 0.0, LARGEST),
        ([1e308] * 39 + [1.0], 9.75e307, 1.5612494995995995e307),
        ([5e-324] * 40, 5e-324, 0.0),
        ([1e-320, -1e-320] * 20, 0.0, 1e-320),
        ([0.1] * 40, 0.1, 0.0),
        ([0.0] * 40, 0.0, 0.0),
        ([1e16 + 2 * i for i in range(40)], 1e16 + 39, 23.08679276123039),
    ],
)
def test_extreme_numbers(of_wide, values, mean, deviation):
    found = of_wide(values)
    assert found.mean == pytest.approx(mean, rel=1e-14, abs=0)
    assert found.deviation == pytest.approx(deviation, rel=1e-12, abs=0)


def test_a_slope_that_no_float_holds(of_wide):
    assert of_wide([-LARGEST, LARGEST]).slope == math.inf
    assert of_wide([LARGEST, -LARGEST]).slope == -math.inf
    assert of_wide([1.0, 3.0, 5.0]).slope == 2.0
    assert of_wide([1.0, 3.0], timestamp=[7, 7]).slope is None
    assert of_wide([1.0]).slope is None
    far = [2**64 - 5, 2**64 - 3, 2**64 - 1]
    assert of_wide([1.0, 2.0, 3.0], timestamp=np.array(far, "u8")).slope == 0.5


def test_integers_are_exact_beyond_2_to_53(write):
    top = 2**64 - 1
    path = write(
        {"step": np.array([top - 2, top, top - 4], "u8"), "metrics.whole": [-(2**63), 2**63 - 1, 5]}
    )
    found = cmeta.summarise(path)
    step = found["train", "step"]
    assert (step.min, step.max, step.first, step.last) == (top - 4, top, top - 2, top - 4)
    assert isinstance(step.min, int)
    assert step.deviation == pytest.approx(math.sqrt(8 / 3))
    whole = found["train", "metrics.whole"]
    assert (whole.min, whole.max) == (-(2**63), 2**63 - 1)
    assert whole.mean == pytest.approx(4 / 3, abs=1000)
    assert whole.deviation == pytest.approx(2**63 * math.sqrt(2 / 3))


def test_a_flag_is_a_share(write):
    found = cmeta.summarise(write({"metrics.flag": [True, False, False, True]}))
    flag = found["train", "metrics.flag"]
    assert (flag.min, flag.max, flag.mean, flag.last) == (0, 1, 0.5, 1)


def test_a_float32_is_its_shortest_decimal(tmp_path):
    path = tmp_path / "run.cmeta"
    cmeta.write(path, {"phase": ["train"] * 3, "loss_value": np.float32([0.1] * 3)})
    found = cmeta.summarise(path)["train", "loss_value"]
    assert (found.min, found.max, found.last, found.mean) == (0.1, 0.1, 0.1, 0.1)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(num_values=st.integers(0, 3000), cuts=st.lists(st.integers(0, 3000), max_size=5))
def test_a_stream_is_reduced_to_means_of_equal_parts(num_values, cuts):
    values = np.sin(np.arange(num_values)) * 1e3
    values[5::7] = np.nan
    parts = Downsampler()
    for piece in np.split(values, sorted(min(cut, num_values) for cut in cuts)):
        parts.add(piece)
    size = parts.size
    assert num_values <= Downsampler.PARTS_MAX * size
    assert size == 1 or num_values > Downsampler.PARTS_MAX * size / 2
    pieces = [values[i : i + size] for i in range(0, num_values, size)]
    expected = [p[np.isfinite(p)].mean() if np.isfinite(p).any() else np.nan for p in pieces]
    np.testing.assert_allclose(parts.means, expected, rtol=1e-9, atol=1e-9)


def test_means_of_the_largest_floats():
    parts = Downsampler()
    for _ in range(40):
        parts.add(np.full(50, LARGEST))
    assert (parts.means == LARGEST).all()


def test_the_mean_of_equal_values_is_their_value():
    for value in (0.1, -1 / 3, 1e-320, LARGEST, 0.0):
        parts = Downsampler()
        for size in (1, 50, 200, 7):
            parts.add(np.full(size, value))
        assert (parts.means == value).all()
        assert (downsample([value] * 1000, 7) == value).all()


@settings(max_examples=100, deadline=None)
@given(values=ANY, num_bins=st.integers(1, 70))
def test_a_series_is_reduced_to_means_of_equal_parts(values, num_bins):
    width = min(num_bins, len(values))
    place = np.arange(len(values)) * width // len(values)
    found = downsample(values, num_bins)
    assert len(found) == width
    for i, mean in enumerate(found):
        part = [Fraction(v) for v in values[place == i] if np.isfinite(v)]
        if not part:
            assert np.isnan(mean)
        else:
            assert close(mean, sum(part) / len(part), max(map(abs, part)))


def test_few_values_are_their_own_means():
    np.testing.assert_equal(downsample([1, 2, 3], 3), [1, 2, 3])
    np.testing.assert_equal(downsample([], 3), [])
    np.testing.assert_equal(downsample([math.inf, math.nan, 1], 3), [math.nan, math.nan, 1])


def test_many_values_are_means_of_parts():
    np.testing.assert_equal(downsample([1, 3, 5, 7, math.nan, math.nan], 3), [2, 6, math.nan])
    np.testing.assert_equal(downsample([1, math.nan, math.inf, 7], 2), [1, 7])
    assert len(downsample(np.arange(1001), 16)) == 16
    np.testing.assert_allclose(downsample(np.full(100, LARGEST), 7), LARGEST)


def test_moments_of_nothing():
    one = RunningMoments.of(np.array([1.0]), np.array([2.0]))
    nothing = RunningMoments.of(np.zeros(0), np.zeros(0))
    assert nothing.count == 0
    assert one.merge(nothing) == nothing.merge(one) == one


def test_values_that_are_not_finite_keep_their_place(of_wide):
    values = [math.nan, 5.0, math.inf, 1.0, -1.0, math.nan]
    found = of_wide(values, timestamp=[10, 11, 12, 13, 14, 15])
    assert (found.first_at, found.max_at, found.min_at, found.last_at) == (10, 11, 14, 15)
    assert found.slope == pytest.approx(np.polyfit([11, 13, 14], [5, 1, -1], 1)[0])
