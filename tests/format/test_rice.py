"""Rice: k bytes, remainders, quotients; hand-computed, and every way in which they can be wrong."""

import numpy as np
import pytest

from cmeta import CorruptError, TruncatedError
from cmeta.format.stages import rice

# Sequences, residuals of a block, bytes.
STREAMS = {
    "nothing": ([], 128, ""),
    "empty sequences": ([[], []], 128, ""),
    "all zero": ([[0, 0, 0]], 128, "00"),
    # mean 6: k = 2; remainders 1, 2, 3 of two bits; quotients 1, 1, 1
    "5 6 7": ([[5, 6, 7]], 128, "03" "39" "2a"),
    # mean 0, but not all zero: k = 0
    "a single one": ([[1, 0, 0]], 128, "01" "0e"),
    # three sequences share each string: k = 2, all zero, k = 0
    "three sequences": ([[5, 6, 7], [0, 0], [1]], 128, "030001" "39" "aa"),
    # blocks of two: mean 1, k = 0; mean 8, k = 3
    "two blocks": ([[1, 1, 8]], 2, "0104" "00" "2a"),
    # a block of zeros between others takes its byte only
    "a block of zeros": ([[1, 1, 0, 0, 1]], 2, "010001" "2a"),
    # 64 bits: k = 63, the remainder is 63 ones, the quotient 1
    "the largest": ([[2**64 - 1]], 128, "40" "ffffffffffffff7f" "02"),
    # 2^64 in all: mean 2^63, k = 63; remainders 63 ones, 1
    "a sum beyond 64 bits": (
        [[2**64 - 1, 1]], 128, "40" "ffffffffffffffff" "0000000000000000" "06",
    ),
}  # fmt: skip


def u64(values):
    return np.array(values, np.uint64)


def u8(text):
    return np.frombuffer(bytes.fromhex(text), np.uint8)


@pytest.mark.parametrize(("sequences", "block", "data"), STREAMS.values(), ids=STREAMS)
def test_streams(sequences, block, data):
    assert rice.encode([u64(s) for s in sequences], block).hex() == data
    found, len_used = rice.decode(u8(data), [len(s) for s in sequences], block)
    assert [s.tolist() for s in found] == sequences
    assert len_used == len(data) // 2


@pytest.mark.parametrize(("sequences", "block", "data"), STREAMS.values(), ids=STREAMS)
def test_a_stream_ends_by_itself(sequences, block, data):
    found, len_used = rice.decode(u8(data + "ff00"), [len(s) for s in sequences], block)
    assert [s.tolist() for s in found] == sequences
    assert len_used == len(data) // 2


@pytest.mark.parametrize(("sequences", "block", "data"), STREAMS.values(), ids=STREAMS)
def test_every_byte_of_a_stream_is_needed(sequences, block, data):
    for length in range(len(data) // 2):
        with pytest.raises(TruncatedError):
            rice.decode(u8(data[: 2 * length]), [len(s) for s in sequences], block)


@pytest.mark.parametrize(
    ("lengths", "block", "sizes"),
    [
        ([], 128, []),
        ([0], 128, []),
        ([128], 128, [128]),
        ([129], 128, [128, 1]),
        ([300, 0, 5], 128, [128, 128, 44, 5]),
    ],
)
def test_a_sequence_begins_a_new_block(lengths, block, sizes):
    assert rice.block_sizes(lengths, block).tolist() == sizes


# k = max(0, bitlength(S div n) - 1), and the byte is k + 1; 0 for all zero.
PARAMETERS = [
    ([0, 0], 0),
    ([1, 0], 1),
    ([1, 1], 1),
    ([2, 1], 1),
    ([2, 2], 2),
    ([4, 3], 2),
    ([4, 4], 3),
    ([2**56 - 1, 2**56 - 1], 56),
    ([2**56, 2**56 - 1], 56),
    ([2**56, 2**56], 57),
    ([2**63, 2**63], 64),
    ([2**64 - 1, 1], 64),
    ([2**64 - 1, 0], 63),
    ([2**64 - 1, 0, 0, 0], 62),
    ([2**64 - 1] * 128, 64),
]


@pytest.mark.parametrize(("residuals", "k_byte"), PARAMETERS)
def test_parameters(residuals, k_byte):
    sizes = np.array([len(residuals)])
    assert rice.parameters(u64(residuals), sizes).tolist() == [k_byte]


def test_an_exact_sum_does_not_disturb_its_neighbours():
    residuals = u64([2**64 - 1, 2**64 - 1, 0, 0, 5])
    assert rice.parameters(residuals, np.array([2, 2, 1])).tolist() == [64, 0, 3]


def test_any_k_may_be_read():
    """A reader takes a k that a writer must not choose: here 63 beside a quotient of five bits."""
    found, _ = rice.decode(u8("4001" + "00" * 8 + "82"), [1, 1], 128)
    assert [s.tolist() for s in found] == [[2**63], [5]]


TRUNCATED = {
    "no k byte": ("", [3], "0 k bytes, expected 1", 0),
    "one of two k bytes": ("03", [3, 3], "1 k bytes, expected 2", 1),
    "remainders": ("09ffff", [3], "remainders end at 4, the data at 3", 3),
    "no quotients": ("0339", [3], "0 quotients, expected 3", 2),
    "a quotient": ("03390a", [3], "2 quotients, expected 3", 3),
}


@pytest.mark.parametrize(("data", "lengths", "words", "offset"), TRUNCATED.values(), ids=TRUNCATED)
def test_missing_bytes(data, lengths, words, offset):
    with pytest.raises(TruncatedError) as caught:
        rice.decode(u8(data), lengths, 128)
    assert words in caught.value.message
    assert caught.value.offset == offset


CORRUPT = {
    "a k byte of 65": ("41", [1], "k byte 65, at most 64", 0),
    "a later k byte of 255": ("01ff", [1, 1], "k byte 255, at most 64", 1),
    "padding of the remainders": ("03792a", [3], "padding bits are not 0", 1),
    "a bit behind the quotients": ("0339aa", [3], "a set bit after the last quotient", 2),
    "a residual of 65 bits": ("40" + "00" * 8 + "04", [1], "a residual beyond 64 bits", 9),
}


@pytest.mark.parametrize(("data", "lengths", "words", "offset"), CORRUPT.values(), ids=CORRUPT)
def test_corrupt_bytes(data, lengths, words, offset):
    with pytest.raises(CorruptError) as caught:
        rice.decode(u8(data), lengths, 128)
    assert words in caught.value.message
    assert caught.value.offset == offset
