"""Run headers: two bytes of codes, then base, divisor - 1, step, count in minimal widths."""

import pytest

from cmeta import CorruptError, TruncatedError
from cmeta.format.stages import runs
from cmeta.format.stages.runs import RunHeader

# form, base, divisor, step, sparse count (None: dense); bytes. The word is, from bit 0 on:
# form 2 bits, sparse 1, then the width codes of base, divisor - 1, step, count, 3 bits each.
HEADERS = {
    "nothing": ((0, 0, 1, 0, None), "0000"),
    "all zero": ((0, 0, 1, 0, 0), "0400"),
    "zigzag(1000) = 2000": ((0, 1000, 1, 0, 0), "1400" "d007"),
    "zigzag(-1) = 1": ((1, -1, 1, 0, None), "0900" "01"),
    "divisor - 1 = 1, zigzag(1) = 2": ((2, 0, 2, 1, None), "4202" "01" "02"),
    "255 is the most of a byte": ((0, -128, 1, 0, None), "0800" "ff"),
    "256 takes two": ((0, 128, 1, 0, None), "1000" "0001"),
    "65535 is the most of two": ((0, -32768, 1, 0, None), "1000" "ffff"),
    "65536 takes four": ((0, 32768, 1, 0, None), "1800" "00000100"),
    "three bytes take four": ((0, 250_000, 1, 0, 0), "1c00" "20a10700"),
    "2^32 - 1 is the most of four": ((0, -(2**31), 1, 0, None), "1800" "ffffffff"),
    "2^32 takes eight": ((0, 2**31, 1, 0, None), "2000" "0000000001000000"),
    "a count": ((0, 0, 1, 0, 5), "0410" "05"),
    "the widest": (
        (3, 2**63 - 1, 2**64 - 1, -(2**63), 300),
        "2729" "feffffffffffffff" "feffffffffffffff" "ffffffffffffffff" "2c01",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("header", "data"), HEADERS.values(), ids=HEADERS)
def test_headers(facts, header, data):
    assert runs.encode_header(RunHeader(*header), facts.rice).hex() == data
    found, end = runs.decode_header(bytes.fromhex("ff" + data + "ff"), 1, facts.rice)
    assert found == header
    assert end == 1 + len(data) // 2


@pytest.mark.parametrize(("header", "data"), HEADERS.values(), ids=HEADERS)
def test_every_byte_is_needed(facts, header, data):
    for length in range(len(data) // 2):
        with pytest.raises(TruncatedError, match="a run header is cut off") as caught:
            runs.decode_header(bytes.fromhex(data[: 2 * length]), 0, facts.rice)
        assert caught.value.offset == length


CORRUPT = {
    "the reserved bit": ("0080", "a reserved bit", 0),
    "width code 5 of the base": ("2800", "width code 5 of base", 0),
    "width code 7 of the base": ("3800", "width code 7 of base", 0),
    "width code 5 of the divisor": ("4001", "width code 5 of divisor", 0),
    "width code 6 of the step": ("020c", "width code 6 of step", 0),
    "width code 5 of the count": ("0450", "width code 5 of count", 0),
    "0 in a byte": ("080000", "base 0 in 1 bytes, fewer hold it", 2),
    "255 in two bytes": ("1000ff00", "base 255 in 2 bytes, fewer hold it", 2),
    "65535 in four bytes": ("1800ffff0000", "base 65535 in 4 bytes, fewer hold it", 2),
    "2^32 - 1 in eight": ("2000ffffffff00000000", "base 4294967295 in 8 bytes, fewer", 2),
    "a divisor of 1 in a byte": ("400000", "divisor 0 in 1 bytes, fewer hold it", 2),
    "a step of 0 in a byte": ("020200", "step 0 in 1 bytes, fewer hold it", 2),
    "a count of 0 in a byte": ("041000", "count 0 in 1 bytes, fewer hold it", 2),
    "a step in F0": ("000202", "a step in form F0, which has none", 0),
    "a step in F1": ("010202", "a step in form F1, which has none", 0),
    "a count of a dense run": ("001001", "a count in a run that is not sparse", 0),
    "a divisor of 2^64": ("0001" + "ff" * 8, "a divisor beyond 64 bits", 0),
}


@pytest.mark.parametrize(("data", "words", "offset"), CORRUPT.values(), ids=CORRUPT)
def test_corrupt_headers(facts, data, words, offset):
    with pytest.raises(CorruptError) as caught:
        runs.decode_header(bytes.fromhex("ffff" + data), 2, facts.rice)
    assert words in caught.value.message
    assert caught.value.offset == 2 + offset
