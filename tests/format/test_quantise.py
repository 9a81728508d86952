"""Quantise: fixed point that goes on in float steps, and the lossless modes."""

import numpy as np
import pytest

from cmeta import CorruptError
from cmeta.format.stages import fixed_point, lossless

BITS = 50
F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
MAX32 = 2.0**128 - 2.0**104
MAX64 = 2.0**1023 * (2 - 2.0**-52)
PER_UNIT = 1_000_000


@pytest.mark.parametrize(
    ("quanta_per_unit", "dtype", "threshold"),
    [
        (PER_UNIT, F32, 2.0**4),  # ulp(16) = 2^-19 is the first above 1e-6
        (1, F32, 2.0**23),
        (10_000_000, F32, 1.0),  # ulp(1) = 1.19e-7, already above 1e-7
        (PER_UNIT, F64, 2.0**30),  # 2 T * 1e6 > 2^50
        (1, F64, 2.0**50),
        (10**12, F64, 2.0**10),
    ],
)
def test_thresholds(quanta_per_unit, dtype, threshold):
    assert fixed_point.threshold(quanta_per_unit, dtype, BITS) == threshold


# 16 is T of a float32 in steps of 1e-6, with bits 0x41800000; from there on every float counts.
FIXED = [
    (0.0, PER_UNIT, F32, 0, 0.0),
    (-0.0, PER_UNIT, F32, 0, 0.0),
    (0.25, PER_UNIT, F32, 250_000, 0.25),
    (-0.25, PER_UNIT, F32, -250_000, -0.25),
    (0.1, PER_UNIT, F32, 100_000, 0.1),
    (4e-7, PER_UNIT, F32, 0, 0.0),
    (6e-7, PER_UNIT, F32, 1, 1e-6),
    (1e-45, PER_UNIT, F32, 0, 0.0),
    (15.999999, PER_UNIT, F32, 15_999_999, 15.999999),
    (16.0, PER_UNIT, F32, 16_000_000, 16.0),
    (16 + 2.0**-19, PER_UNIT, F32, 16_000_001, 16 + 2.0**-19),
    (-16 - 2.0**-19, PER_UNIT, F32, -16_000_001, -16 - 2.0**-19),
    (MAX32, PER_UNIT, F32, 16_000_000 + 0x7F7FFFFF - 0x41800000, MAX32),
    (-MAX32, PER_UNIT, F32, -1_056_187_391, -MAX32),
    (2.0**30, PER_UNIT, F64, 2**30 * PER_UNIT, 2.0**30),
    (2.0**30 + 2.0**-22, PER_UNIT, F64, 2**30 * PER_UNIT + 1, 2.0**30 + 2.0**-22),
    (MAX64, PER_UNIT, F64, 2**30 * PER_UNIT + 0x7FEFFFFFFFFFFFFF - 0x41D0000000000000, MAX64),
    # halves to even
    (0.25, 2, F32, 0, 0.0),
    (0.75, 2, F32, 2, 1.0),
    (1.25, 2, F32, 2, 1.0),
    (-0.75, 2, F32, -2, -1.0),
    (-0.25, 2, F32, 0, 0.0),
]  # fmt: skip


@pytest.mark.parametrize(("value", "per_unit", "dtype", "quanta", "back"), FIXED)
def test_fixed_point(value, per_unit, dtype, quanta, back):
    assert fixed_point.encode(np.array([value], dtype), per_unit, BITS).tolist() == [quanta]
    found = fixed_point.decode(np.array([quanta]), dtype, per_unit, BITS)
    assert found.dtype == dtype
    assert found.tobytes() == np.array([back], dtype).tobytes()


def test_near_and_far_values_in_one_column():
    values = np.array([0.25, 16 + 2.0**-19, -0.0, -MAX32, -15.5], np.float32)
    quanta = fixed_point.encode(values, PER_UNIT, BITS)
    assert quanta.tolist() == [250_000, 16_000_001, 0, -1_056_187_391, -15_500_000]
    back = fixed_point.decode(quanta, F32, PER_UNIT, BITS)
    assert back.tobytes() == (values + np.float32(0)).tobytes()  # -0.0 has become 0.0


def test_no_values():
    assert fixed_point.encode(np.zeros(0, np.float32), PER_UNIT, BITS).tolist() == []
    assert fixed_point.decode(np.zeros(0, np.int64), F32, PER_UNIT, BITS).tolist() == []


@pytest.mark.parametrize("quanta", [1_056_187_392, -1_056_187_392, 2**63 - 1, -(2**63)])
def test_quanta_beyond_the_largest_float(quanta):
    with pytest.raises(CorruptError, match=r"quanta beyond 1056187391, .*largest finite float32"):
        fixed_point.decode(np.array([0, quanta]), F32, PER_UNIT, BITS)


# The first mode that gives every value back: decimals of 0 to 15 digits, float32, float64 bits.
TENTH32 = float(np.float32(0.1))
LOSSLESS = {
    "no values": ([], F64, 0, []),
    "integers": ([3.0, -7.0, 0.0], F64, 0, [3, -7, 0]),
    "two digits": ([0.5, 0.25], F64, 2, [50, 25]),
    "a decimal that no float32 holds": ([0.1], F64, 1, [1]),
    "fifteen digits": ([0.123456789012345], F64, 15, [123_456_789_012_345]),
    "sixteen digits": ([0.1234567890123456], F64, 17, [0x3FBF9ADD3746F659]),
    "2^53": ([2.0**53], F64, 0, [2**53]),
    "2^54, a float32": ([2.0**54], F64, 16, [0x5A800000]),
    "2^53 + 2, no float32": ([2.0**53 + 2], F64, 17, [0x4340000000000001]),
    "negative zero": ([-0.0, 1.0], F64, 16, [-1, 0x3F800000]),
    "negative zero beside no float32": ([-0.0, 0.1], F64, 17, [-1, 0x3FB999999999999A]),
    "float32 of 24 bits": ([1677721.5], F64, 1, [16_777_215]),
    "from 2^24 on a float32 is none": ([1677722.5], F64, 16, [0x49CCCCD4]),
    "but without digits it is": ([16777216.0], F64, 0, [2**24]),
    "and what is no float32 is": ([16777216.1], F64, 1, [167_772_161]),
    "a float32 tenth, widened": ([TENTH32], F64, 16, [0x3DCCCCCD]),
    "a float32 tenth": ([TENTH32], F32, 1, [1]),
    "a float32 third": ([1 / 3], F32, 16, [0x3EAAAAAB]),
    "the largest float32": ([MAX32, -MAX32], F32, 16, [0x7F7FFFFF, -0x7F800000]),
    "the largest float64": ([MAX64], F64, 17, [0x7FEFFFFFFFFFFFFF]),
    "the smallest float64": ([5e-324], F64, 17, [1]),
    "the smallest float32": ([2.0**-149], F64, 16, [1]),
    "the seventeenth value needs a digit more": ([0.5] * 16 + [0.25], F64, 2, [50] * 16 + [25]),
}  # fmt: skip


@pytest.mark.parametrize(("values", "dtype", "mode", "ints"), LOSSLESS.values(), ids=LOSSLESS)
def test_lossless(facts, values, dtype, mode, ints):
    given = np.array(values, dtype)
    found, found_ints = lossless.encode(given, facts.quantise)
    assert (found, found_ints.tolist()) == (mode, ints)
    assert found_ints.dtype == np.int64
    back = lossless.decode(mode, found_ints, dtype, facts.quantise)
    assert back.dtype == dtype
    assert back.tobytes() == given.tobytes()


@pytest.mark.parametrize(
    ("mode", "value", "dtype", "words"),
    [
        (0, 2**53 + 1, F64, "a decimal beyond 2^53"),
        (15, -(2**53) - 1, F64, "a decimal beyond 2^53"),
        (16, 0x7F800000, F64, "not a finite float32"),
        (16, -0x7F800001, F32, "not a finite float32"),
        (16, 2**40, F32, "not a finite float32"),
        (17, 0x7FF0000000000000, F64, "not a finite float64"),
        (17, -0x7FF0000000000001, F64, "not a finite float64"),
        (17, 0, F32, "mode 17 of a lossless float32"),
        (18, 0, F64, "mode 18 of a lossless float64"),
        (31, 0, F64, "mode 31 of a lossless float64"),
    ],
)
def test_corrupt_integers_and_modes(facts, mode, value, dtype, words):
    with pytest.raises(CorruptError) as caught:
        lossless.decode(mode, np.array([0, value]), dtype, facts.quantise)
    assert words in caught.value.message


def test_decimals_at_their_bound_are_read(facts):
    back = lossless.decode(0, np.array([2**53, -(2**53)]), F64, facts.quantise)
    assert back.tolist() == [2.0**53, -(2.0**53)]
