"""Every way in which a column can contradict the format, or end too early."""

import pytest

from cmeta import CorruptError, DecodeError, TruncatedError

U8, U64, I16, BOOL = ({"type": t} for t in ("u8", "u64", "i16", "bool"))
F32, EXACT32 = {"type": "f32"}, {"type": "f32", "exact": True}
CONSTANT_7 = "0c000e"  # F0, sparse with count 0, base 7

# What, bytes, number of values; words and offset of the error.
FLAGS = {
    "a palette of phases": ("phase", "02", 2, "flag palette in a column whose codec has no", 0),
    "split phases": ("phase", "04", 2, "flag split in a column whose codec has no", 0),
    "absent phases": ("phase", "01", 2, "flag has_classes in a column whose codec has no", 0),
    "absent timestamps": ("timestamp", "01", 2, "flag has_classes in a column", 0),
    "a palette of timestamps": ("timestamp", "02", 2, "flag palette in a column", 0),
    "a mode of integers": (U8, "08", 2, "flag mode in a column", 0),
    "a mode of fixed point": (F32, "80", 2, "flag mode in a column", 0),
    "classes of classes": (F32, "01" "01", 2, "flag has_classes in a column", None),
    "a mode of classes": (F32, "01" "08", 2, "flag mode in a column", None),
}  # fmt: skip

CLASSES = {
    "class 5": (F32, "01" "00" "0c00" "0a", 2, "class 5, expected one of:", None),
    "class -1": (F32, "01" "00" "0c00" "01", 2, "class -1, expected one of:", None),
    "class 256": (F32, "01" "00" "1400" "0002", 2, "class 256, expected one of:", None),
    "a NaN among integers": (U8, "01" "00" "0c00" "02", 2, "class 1, expected one of:", None),
    "an infinity among integers": (U8, "01" "00" "0c00" "04", 2, "class 2, expected one of:", None),
}  # fmt: skip

VALUES = {
    "256 in a u8": (U8, "00" "1400" "0002", 2, "value 256, expected 0 to 255", None),
    "-1 in a u8": (U8, "00" "0c00" "01", 2, "value -1, expected 0 to 255", None),
    "32768 in an i16": (I16, "00" "1c00" "00000100", 2, "value 32768, expected -32768 to", None),
    "2 in a bool": (BOOL, "00" "0c00" "04", 2, "value 2, expected 0 to 1", None),
    "a state beyond": ("metrics.state", "00" "0c00" "08", 2, "value 4, expected 0 to 3", None),
    "a phase beyond": ("phase", "00" "0c00" "0a", 2, "value 5, expected 0 to 4", None),
    "2^32 in a configuration": (
        "config", "00" "2400" "0000000002000000", 2, "value 4294967296, expected 0 to 4294967295",
        None,
    ),
    "not a finite float32": (F32, "00" "2400" "0000000002000000", 2, "quanta beyond", None),
    "mode 18": ("undeclared", "90" + CONSTANT_7, 2, "mode 18 of a lossless float64", None),
    "float64 bits in a float32": (EXACT32, "88" + CONSTANT_7, 2, "mode 17 of a lossless", None),
    "a decimal of 54 bits": ("undeclared", "00" "2400" "0200000000004000", 2, "beyond 2^53", None),
    "the bits of an infinity": ("undeclared", "80" "1c00" "000000ff", 2, "not a finite float32", None),
}  # fmt: skip

PALETTES = {
    "of one entry": (U64, "02" "0100", 8, "a palette of 1 entries for 8 values", 1),
    "of no entries": (U64, "02" "0000", 8, "a palette of 0 entries", 1),
    "of too many": (U64, "02" "0300", 8, "a palette of 3 entries for 8 values, expected 2 to 2", 1),
    "of few values": (U64, "02" "0200", 7, "a palette of 2 entries for 7 values", 1),
    "that descends": (
        # entries 7, 0: F2 sparse, base 7, step -7; ranks all 0
        U64, "02" "0200" "0e02" "0e" "0d" "0400", 8, "does not ascend strictly", None,
    ),
    "of equal entries": (U64, "02" "0200" "0400" "0400", 8, "does not ascend strictly", None),
    "with a rank beyond": (
        # entries 0, 1: F2 sparse, step 1; all ranks 2
        U64, "02" "0200" "0602" "02" "0c00" "04", 8, "a rank outside the palette of 2", None,
    ),
    "with a rank below": (U64, "02" "0200" "0602" "02" "0c00" "01", 8, "a rank outside", None),
}  # fmt: skip

RUNS = {
    "F2 of one value": (U64, "00" "0200", 1, "form F2 for a run of 1", 1),
    "F3 of two values": (U64, "00" "0300", 2, "form F3 for a run of 2", 1),
    "a second run": (U64, "02" "0200" "0400" "0080", 8, "a reserved bit", 5),
    "too many in a sparse run": (U64, "00" "0410" "04", 5, "4 of 5 residuals in a sparse run", 1),
    "too many of few": (U64, "00" "0710" "01", 3, "1 of 1 residuals in a sparse run", 1),
    "a gap beyond the run": (
        # gap 5: k = 2, remainder 1, quotient 1; value 0
        U64, "00" "0410" "01" "0300" "01" "02", 5, "a gap of 5 among 5 residuals", None,
    ),
    "gaps beyond the run": (
        # gaps 2, 2: k = 1, remainders 0, 0, quotients 1, 1; values 0, 0
        U64, "00" "0410" "02" "0200" "00" "0a", 5, "residual 5 of 5", None,
    ),
    "a k byte": (U64, "00" "0000" "41", 2, "k byte 65, at most 64", 3),
    "a bit behind the last": (U64, "00" "0000" "01" "07", 2, "a set bit after the last", 4),
    "padding": (U64, "00" "0000" "02" "04" "03", 2, "padding bits are not 0", 4),
}  # fmt: skip

CASES = {
    f"{table}: {name}": case
    for table, cases in {
        "flags": FLAGS, "classes": CLASSES, "values": VALUES, "palettes": PALETTES, "runs": RUNS,
    }.items()
    for name, case in cases.items()
}  # fmt: skip


@pytest.mark.parametrize(
    ("what", "data", "num_values", "words", "offset"), CASES.values(), ids=CASES
)
def test_corrupt_columns(parse, what, data, num_values, words, offset):
    with pytest.raises(CorruptError) as caught:
        parse(what, data, num_values)
    assert words in caught.value.message
    if offset is not None:
        assert caught.value.offset == offset
    assert 0 <= caught.value.offset <= len(data) // 2


WHOLE = {
    "dense": (U64, "00" "4800" "14" "02" "01" "2504", 4),
    "sparse": (U64, "00" "4410" "04" "01" "0500" "04" "02", 40),
    "a NaN": (F32, "01" "00" "0000" "01" "1d" "1c00" "80841e00", 4),
    "a palette": (U64, "02" "0300" "0000" "0000" "15" "01" "00003024f4a02506" "b32ccb12", 12),
    "decimals": ("undeclared", "10" "4900" "64" "18" "01" "0d", 3),
}  # fmt: skip


@pytest.mark.parametrize(("what", "data", "num_values"), WHOLE.values(), ids=WHOLE)
def test_every_byte_is_needed(parse, what, data, num_values):
    for length in range(len(data) // 2):
        with pytest.raises(TruncatedError) as caught:
            parse(what, data[: 2 * length], num_values)
        assert caught.value.offset <= length


@pytest.mark.parametrize(("what", "data", "num_values"), WHOLE.values(), ids=WHOLE)
def test_a_column_ends_by_itself(parse, what, data, num_values):
    values, _, len_used = parse(what, data + "00ff", num_values)
    assert len_used == len(data) // 2
    assert values == parse(what, data, num_values)[0]


def attempt(parse, *args):
    """Return what parsing gives, or the decode error; anything else is a failure."""
    try:
        return parse(*args)
    except DecodeError as error:
        return error


@pytest.mark.parametrize(("what", "data", "num_values"), WHOLE.values(), ids=WHOLE)
def test_no_flipped_bit_escapes_as_another_error(parse, what, data, num_values):
    raw = bytes.fromhex(data)
    for bit in range(8 * len(raw)):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        found = attempt(parse, what, flipped.hex(), num_values)
        if isinstance(found, DecodeError):
            assert 0 <= found.offset <= len(raw)
        else:
            assert len(found[0] if found[1] is None else found[1]) == num_values
