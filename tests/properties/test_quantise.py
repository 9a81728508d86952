"""Fixed point is monotone, idempotent and as promised, at all magnitudes; lossless is lossless."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmeta.format.stages import fixed_point, lossless
from cmeta.schema.load import shipped_format
from cmeta.schema.types import Field
from cmeta.testing import values
from cmeta.testing.oracle import expected, identical, threshold
from tests.properties.runs import more

FACTS = shipped_format().codecs.quantise
_SIZES = st.integers(0, 60)
LIMITS = shipped_format().limits
BITS = FACTS.product_bits
TYPES = {"f32": np.float32, "f64": np.float64}
QUANTA = {
    "f32": [1, 3, 1000, 1797, 1000000, LIMITS.quanta_per_unit_max_f32],
    "f64": [1, 3, 1000, 1797, 1000000, 10**9, LIMITS.quanta_per_unit_max_f64],
}
EVERY = [(type_, quanta) for type_, several in QUANTA.items() for quanta in several]


def field(type_, quanta=0):
    return Field("x", type_, chain=("class", "quantise", "delta", "rice"), quanta_per_unit=quanta)


@st.composite
def finite(draw, type_, quanta):
    """Draw finite floats of a type, from everywhere."""
    drawn = values.floats(draw, draw(_SIZES), field(type_, quanta))
    with np.errstate(over="ignore"):
        drawn = drawn.astype(TYPES[type_])
    return drawn[np.isfinite(drawn)]


def all_magnitudes(type_):
    """Three floats at each power of two, of both signs, ascending: the whole range of the type."""
    info = np.finfo(TYPES[type_])
    lowest = int(np.log2(float(info.smallest_subnormal)))
    powers = np.ldexp(TYPES[type_](1), np.arange(lowest, info.maxexp))
    around = np.concatenate(
        [powers, np.nextafter(powers, info.max), np.nextafter(powers, 0), [0, info.max]]
    )
    return np.unique(np.concatenate([around, -around]).astype(TYPES[type_]))


def around_threshold(type_, quanta):
    """The 2,000 floats on both sides of T, ascending."""
    t = np.array([threshold(quanta, type_)], TYPES[type_])
    bits = t.view(f"i{t.itemsize}") + np.arange(-1000, 1000)
    return bits.astype(f"i{t.itemsize}").view(TYPES[type_])


def assert_fixed_point(floats, type_, quanta):
    """Everything that fixed point promises, of ascending floats."""
    encoded = fixed_point.encode(floats, quanta, BITS)
    assert (encoded[1:] >= encoded[:-1]).all(), "monotone"
    decoded = fixed_point.decode(encoded, floats.dtype, quanta, BITS)
    assert decoded.dtype == floats.dtype
    assert (fixed_point.encode(decoded, quanta, BITS) == encoded).all(), "idempotent"
    assert fixed_point.decode(encoded, floats.dtype, quanta, BITS).tobytes() == decoded.tobytes()
    for given_, found in zip(floats.tolist(), decoded.tolist(), strict=True):
        assert identical(found, expected(given_, field(type_, quanta)))


@pytest.mark.parametrize(("type_", "quanta"), EVERY)
def test_fixed_point_at_all_magnitudes(type_, quanta):
    assert_fixed_point(all_magnitudes(type_), type_, quanta)


@pytest.mark.parametrize(("type_", "quanta"), EVERY)
def test_fixed_point_around_the_threshold(type_, quanta):
    ascending = around_threshold(type_, quanta)
    assert_fixed_point(ascending, type_, quanta)
    assert_fixed_point(-ascending[::-1], type_, quanta)


@more(8)
@given(st.sampled_from(EVERY), st.data())
def test_fixed_point_of_anything(case, data):
    type_, quanta = case
    assert_fixed_point(np.sort(data.draw(finite(type_, quanta))), type_, quanta)


@more(4)
@given(st.sampled_from(sorted(TYPES)), st.data())
def test_fixed_point_with_any_quantum(type_, data):
    quanta = data.draw(st.integers(1, max(QUANTA[type_])))
    assert_fixed_point(np.sort(data.draw(finite(type_, quanta))), type_, quanta)


@more(8)
@given(st.sampled_from(EVERY), st.data())
def test_every_quantum_is_that_of_a_float(case, data):
    type_, quanta = case
    largest = np.finfo(TYPES[type_]).max
    most = int(fixed_point.encode(np.array([largest]), quanta, BITS)[0])
    near = threshold(quanta, type_) * quanta
    drawn = data.draw(
        st.lists(
            st.integers(-most, most) | st.integers(-near, near)
            | st.integers(near - 3, near + 3) | st.sampled_from([most, -most, 0])
        )
    )  # fmt: skip
    found = np.array(drawn, np.int64)
    decoded = fixed_point.decode(found, np.dtype(TYPES[type_]), quanta, BITS)
    assert np.isfinite(decoded).all()
    assert (fixed_point.encode(decoded, quanta, BITS) == found).all()


@pytest.mark.parametrize(("type_", "quanta"), EVERY)
def test_the_threshold_is_the_one_of_the_definition(type_, quanta):
    t = threshold(quanta, type_)
    assert fixed_point.threshold(quanta, np.dtype(TYPES[type_]), BITS) == t
    assert (Fraction(t) * quanta).denominator == 1
    assert t * quanta <= 2**BITS or t == 1


# ------------------------------------------------------------------------------------- lossless


def digits_by_definition(floats):
    """The number of decimals that the specification demands, or None; in plain Python."""
    single = all(identical(expected(x, field("f32")), x) for x in floats)
    if any(str(x) == "-0.0" for x in floats):
        return None
    largest = max(map(abs, floats), default=0.0)
    for digits in range(FACTS.decimals_max + 1):
        if digits and single and largest * 10.0**digits >= 2**FACTS.float32_digits_bits:
            return None
        if largest * 10.0**digits > 2 ** (FACTS.decimals_bits + 1):
            return None
        scaled = [round(x * 10.0**digits) for x in floats]
        most = max(map(abs, scaled), default=0)
        if most <= 2**FACTS.decimals_bits and all(
            s / 10**digits == x for s, x in zip(scaled, floats, strict=True)
        ):
            return digits
    return None


@more(16)
@given(finite("f64", 1000000))
def test_lossless_is_lossless_and_takes_the_first_mode_that_is(floats):
    mode, ints = lossless.encode(floats, FACTS)
    back = lossless.decode(mode, ints, floats.dtype, FACTS)
    assert back.tobytes() == floats.tobytes()
    digits = digits_by_definition(floats.tolist())
    if digits is not None:
        assert mode == digits
    else:
        single = all(identical(expected(x, field("f32")), x) for x in floats.tolist())
        assert mode == (FACTS.mode_float32 if single else FACTS.mode_float64)


@more(8)
@given(finite("f32", 1000000))
def test_lossless_of_float32_is_lossless(floats):
    mode, ints = lossless.encode(floats, FACTS)
    assert mode <= FACTS.mode_float32
    assert lossless.decode(mode, ints, floats.dtype, FACTS).tobytes() == floats.tobytes()


@more(4)
@given(finite("f64", 1000000))
def test_the_bits_of_floats_are_in_the_order_of_floats(floats):
    """-0.0 stands just below 0.0."""
    ascending = np.sort(floats)
    ints = lossless.to_ordered(ascending)
    grows = ascending[1:] > ascending[:-1]
    assert ((ints[1:] > ints[:-1]) | ~grows).all()
    assert lossless.from_ordered(ints, ascending.dtype).tobytes() == ascending.tobytes()
