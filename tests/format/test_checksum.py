"""The checksum: both implementations, its mask, and parameters that are no CRC."""

import pytest
from msgspec.structs import replace

from cmeta import SchemaError
from cmeta.format.checksum import Checksum, build_with_crcmod
from cmeta.schema.load import shipped_format

FACTS = shipped_format().checksum
CRC = Checksum(FACTS)


def by_definition(data):
    """Return the CRC bit by bit: reflected 0x42F0E1EBA9EA3693, all ones in and out."""
    crc = 0xFFFFFFFFFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xC96C5795D7870F42 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFFFFFFFFFF


DATA = [b"", b"\0", b"a", b"123456789", bytes(range(256)) * 5, b"\xff" * 100]


@pytest.mark.parametrize("data", DATA)
def test_it_is_what_its_parameters_say(data):
    assert CRC(data) == by_definition(data)
    assert build_with_crcmod(FACTS)(data, None) == by_definition(data)


def test_the_check_value():
    assert CRC(b"123456789") == 0x995DC9BBDF1939FA


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_it_goes_on(data, kind):
    for crc in (CRC, build_with_crcmod(FACTS)):
        running = crc(kind(data[:3]), None)
        assert crc(kind(data[3:]), running) == by_definition(data)


# rotr(crc, 17) + 0x9E3779B97F4A7C15, modulo 2^64
MASKS = [
    (0, 0x9E3779B97F4A7C15),
    (1, 0x9E3779B97F4A7C15 + (1 << 47)),
    (1 << 17, 0x9E3779B97F4A7C16),
    (0xFFFFFFFFFFFFFFFF, 0x9E3779B97F4A7C14),
]


@pytest.mark.parametrize(("crc", "masked"), MASKS)
def test_the_mask(crc, masked):
    assert CRC.mask(crc) == masked


def test_the_masked_crc_of_parts():
    assert CRC.masked(b"123", b"", b"456789") == CRC.mask(0x995DC9BBDF1939FA)
    assert CRC.masked() == CRC.masked(b"") == CRC.mask(0)


def test_a_crc_over_data_and_its_masked_crc_depends_on_the_data():
    """Over data that ends in its plain CRC it would not, and swapped blocks would pass."""
    plain, masked = set(), set()
    for data in (b"one", b"two", b"six"):
        plain.add(CRC(data + CRC(data).to_bytes(8, "little")))
        masked.add(CRC(data + CRC.masked(data).to_bytes(8, "little")))
    assert (len(plain), len(masked)) == (1, 3)


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        # CRC-32/ISO-HDLC, CRC-64/ECMA-182 and CRC-16/XMODEM, from the catalogue of CRCs
        (
            {"name": "CRC-32", "width": 32, "poly": 0x04C11DB7, "init": 0xFFFFFFFF,
             "xorout": 0xFFFFFFFF}, 0xCBF43926,
        ),
        (
            {"name": "CRC-64/ECMA-182", "init": 0, "refin": False, "refout": False, "xorout": 0},
            "0x6C40DF5F0B497347",
        ),
        (
            {"name": "CRC-16/XMODEM", "width": 16, "poly": 0x1021, "init": 0, "refin": False,
             "refout": False, "xorout": 0}, 0x31C3,
        ),
    ],
)  # fmt: skip
def test_any_crc_is_built_from_its_parameters(changes, check):
    crc = Checksum(replace(FACTS, **changes, check=check))
    assert crc(b"123456789") == (check if isinstance(check, int) else int(check, 16))
    assert crc(b"6789", crc(b"12345")) == crc(b"123456789")


def test_a_check_value_that_the_parameters_do_not_give():
    with pytest.raises(
        SchemaError, match="the parameters give 0x995dc9bbdf1939fa, expected 7"
    ) as caught:
        Checksum(replace(FACTS, check=7))
    assert caught.value.key == "checksum.check"


def test_what_crcmod_cannot_build():
    with pytest.raises(SchemaError, match="expected equal values") as caught:
        Checksum(replace(FACTS, name="mixed", refin=False))
    assert caught.value.key == "checksum.refin"
