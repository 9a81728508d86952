"""Bit strings, least significant bit first: zigzag, fields of varying width, unary numbers."""

import numpy as np
import pytest

from cmeta import CorruptError, TruncatedError
from cmeta.format.stages import bits


def u64(*values):
    return np.array(values, np.uint64)


def u8(text):
    return np.frombuffer(bytes.fromhex(text), np.uint8)


ZIGZAG = [
    (0, 0), (-1, 1), (1, 2), (-2, 3), (2, 4),
    (2**63 - 1, 2**64 - 2), (-(2**63), 2**64 - 1),
]  # fmt: skip


@pytest.mark.parametrize(("signed", "unsigned"), ZIGZAG)
def test_zigzag(signed, unsigned):
    assert bits.zigzag(np.array([signed])).tolist() == [unsigned]
    assert bits.unzigzag(u64(unsigned)).tolist() == [signed]


@pytest.mark.parametrize(
    ("value", "length"),
    [(0, 0), (1, 1), (2, 2), (3, 2), (4, 3), (255, 8), (256, 9), (2**63, 64), (2**64 - 1, 64)],
)
def test_bit_length(value, length):
    assert bits.bit_length(u64(value)).tolist() == [length]


def test_low_mask():
    assert bits.low_mask(u64(0, 1, 8, 63)).tolist() == [0, 1, 255, 2**63 - 1]


# Values, widths, bytes: each value stands above the one before it, the first at bit 0.
FIELDS = {
    "none": ([], [], ""),
    "no bits": ([0, 0], [0, 0], ""),
    "1 | 2 << 1 | 3 << 4 = 0x35": ([1, 2, 3], [1, 3, 4], "35"),
    "padding": ([1], [1], "01"),
    "5 | 255 << 3 = 0x7FD": ([5, 255], [3, 8], "fd07"),
    "nothing between": ([1, 0, 1], [1, 0, 1], "03"),
    "63 bits": ([2**63 - 1], [63], "ffffffffffffff7f"),
    "across a word": ([2**60, 0xFF], [61, 8], "00000000000000f01f"),
    "two words and a bit": ([0, 0, 1], [63, 63, 1], "00" * 15 + "40"),
}  # fmt: skip


@pytest.mark.parametrize(("values", "widths", "data"), FIELDS.values(), ids=FIELDS)
def test_fields(values, widths, data):
    assert bits.pack_fields(u64(*values), u64(*widths)).hex() == data
    assert bits.unpack_fields(u8(data), u64(*widths)).tolist() == values


@pytest.mark.parametrize(
    ("data", "widths", "offset"), [("02", [1], 0), ("fd0f", [3, 8], 1), ("ff", [7], 0)]
)
def test_padding_of_fields_is_zero(data, widths, offset):
    with pytest.raises(CorruptError, match="padding bits are not 0") as caught:
        bits.unpack_fields(u8(data), u64(*widths))
    assert caught.value.offset == offset


# Each value is so many zeros and a one.
UNARY = {
    "none": ([], ""),
    "1": ([0], "01"),
    "1 001 01": ([0, 2, 1], "29"),
    "01 01 01": ([1, 1, 1], "2a"),
    "eight ones": ([0] * 8, "ff"),
    "nine ones": ([0] * 9, "ff01"),
    "eight zeros first": ([8], "0001"),
    "twenty zeros between": ([0, 20], "010020"),
}


@pytest.mark.parametrize(("values", "data"), UNARY.values(), ids=UNARY)
def test_unary(values, data):
    assert bits.pack_unary(u64(*values)).hex() == data
    found, len_used = bits.unpack_unary(u8(data), len(values))
    assert (found.tolist(), len_used) == (values, len(data) // 2)


def test_unary_stops_at_its_last_byte():
    found, len_used = bits.unpack_unary(u8("29" + "ffff"), 3)
    assert (found.tolist(), len_used) == ([0, 2, 1], 1)
    assert bits.unpack_unary(u8("ff"), 0)[1] == 0


def test_zero_bytes_behind_the_last_value_are_not_taken():
    assert bits.unpack_unary(u8("290000"), 3)[1] == 1


@pytest.mark.parametrize(("data", "found"), [("", 0), ("00", 0), ("29", 3), ("000000", 0)])
def test_missing_unary_values(data, found):
    with pytest.raises(TruncatedError, match=f"{found} quotients, expected 4") as caught:
        bits.unpack_unary(u8(data), 4)
    assert caught.value.offset == len(data) // 2


@pytest.mark.parametrize(
    ("data", "num_values", "offset"), [("29", 2, 0), ("ff03", 9, 1), ("0101ff", 3, 2)]
)
def test_a_set_bit_behind_the_last_value(data, num_values, offset):
    with pytest.raises(CorruptError, match="a set bit after the last quotient") as caught:
        bits.unpack_unary(u8(data), num_values)
    assert caught.value.offset == offset
