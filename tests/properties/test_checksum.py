"""The checksum is the one that the schema describes, whichever library computes it."""

import fastcrc
from hypothesis import given
from hypothesis import strategies as st

from cmeta.format.checksum import Checksum, build_with_crcmod
from cmeta.schema.language import to_int
from cmeta.schema.load import shipped_format
from tests.properties.runs import more

FACTS = shipped_format().checksum
CHECKSUM = Checksum(FACTS)
ONES = 2**FACTS.width - 1


def by_definition(data):
    """The reflected CRC, bit by bit, with the parameters of the schema."""
    assert FACTS.refin and FACTS.refout
    poly = int(f"{to_int(FACTS.poly):0{FACTS.width}b}"[::-1], 2)
    crc = to_int(FACTS.init)
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (poly if crc & 1 else 0)
    return crc ^ to_int(FACTS.xorout)


def test_the_check_value():
    check = to_int(FACTS.check)
    assert by_definition(b"123456789") == check
    assert CHECKSUM(b"123456789") == check
    assert build_with_crcmod(FACTS)(b"123456789", None) == check
    assert fastcrc.crc64.xz(b"123456789") == check


@more(4)
@given(st.binary(max_size=200))
def test_all_ways_to_compute_it_agree(data):
    found = CHECKSUM(data)
    assert found == by_definition(data) == build_with_crcmod(FACTS)(data, None)
    assert CHECKSUM(memoryview(data)) == CHECKSUM(bytearray(data)) == found


@more(4)
@given(st.lists(st.binary(max_size=60)))
def test_it_may_be_computed_in_parts(parts):
    slow = build_with_crcmod(FACTS)
    crc = plain = None
    for part in parts:
        crc, plain = CHECKSUM(part, crc), slow(part, plain)
    whole = b"".join(parts)
    assert CHECKSUM(b"", crc) == CHECKSUM(whole) == slow(b"", plain)
    assert CHECKSUM.masked(*parts) == CHECKSUM.mask(CHECKSUM(whole))


def unmask(masked):
    """Undo the mask: it exists, so the mask is a bijection."""
    rotated = masked - to_int(FACTS.mask.add) & ONES
    turn = FACTS.mask.rotate
    return (rotated << turn | rotated >> FACTS.width - turn) & ONES


@more(4)
@given(st.integers(0, ONES))
def test_the_mask_is_a_bijection(crc):
    masked = CHECKSUM.mask(crc)
    assert 0 <= masked <= ONES
    assert unmask(masked) == crc
    assert CHECKSUM.mask(unmask(crc)) == crc


@more(4)
@given(st.binary(min_size=1, max_size=80), st.binary(min_size=1, max_size=80))
def test_the_mask_makes_the_checksum_of_a_file_depend_on_its_blocks(one, other):
    """Unmasked, a CRC over data that ends in its own CRC would depend on its length only."""
    size = FACTS.width // 8

    def with_crc(data, crc):
        return data + crc.to_bytes(size, "little")

    residue = {CHECKSUM(with_crc(data, CHECKSUM(data))) for data in (one, other)}
    assert len(residue) == 1
    if one != other:
        assert CHECKSUM(with_crc(one, CHECKSUM.masked(one))) != CHECKSUM(
            with_crc(other, CHECKSUM.masked(other))
        )
