"""The grammar: layouts of the schema as bytes, their bounds, and where their errors stand."""

import numpy as np
import pytest
from construct import RangeError
from msgspec.structs import replace

from cmeta import CorruptError, TruncatedError, default_schema
from cmeta.format.block import encode_block
from cmeta.format.grammar import Grammar, Layout, grammar_of
from cmeta.schema.language import LayoutField
from cmeta.schema.load import shipped_format

FORMAT = shipped_format()
GRAMMAR = grammar_of(FORMAT)
BOTH = pytest.mark.parametrize("fast", [True, False], ids=["numpy", "construct"])


def layout(*fields, fast=True):
    """Return a layout of (name, type, count) fields."""
    made = [LayoutField(name=n, type=t, count=c) for n, t, c in fields]
    return Layout(made, FORMAT, fast=fast)


# --------------------------------------------------------------------------------- what is built


def test_the_shipped_grammar_is_built_once():
    assert grammar_of(FORMAT) is GRAMMAR
    assert grammar_of(replace(FORMAT)) is not GRAMMAR


def test_header_and_trailer():
    header = GRAMMAR.header.build({"version": 0x0100, "records_count": 300})
    assert header.hex() == "5ea50d0c00012c010000"
    assert GRAMMAR.header.parse(header) == {
        "signature": 0x0C0DA55E, "version": 0x0100, "records_count": 300,
    }  # fmt: skip
    trailer = GRAMMAR.trailer.build({"checksum": 0x0102030405060708})
    assert trailer.hex() == "0807060504030201"


def test_a_block():
    block = encode_block("CONFIG", b"{}", GRAMMAR)[0]
    assert block.hex().startswith("0201000002000000" + b"{}".hex())
    assert len(block) == GRAMMAR.len_frame + 2 == 18
    crc = GRAMMAR.checksum.masked(block[:-8])
    assert block[-8:] == crc.to_bytes(8, "little")


@pytest.mark.parametrize(
    ("found", "size"),
    [
        (GRAMMAR.header, 10), (GRAMMAR.trailer, 8), (GRAMMAR.frame_head, 8),
        (GRAMMAR.frame_tail, 8), (GRAMMAR.batch_head, 20), (GRAMMAR.index_entry, 32),
        (GRAMMAR.undeclared_entry, 8), (GRAMMAR.index_tail, 16), (GRAMMAR.journal_header, 64),
        (GRAMMAR.journal_frame.upto("body"), 12), (GRAMMAR.journal_frame.after("body"), 8),
    ],
)  # fmt: skip
def test_sizes(found, size):
    assert found.size == size


def test_kinds_and_flags():
    assert GRAMMAR.kinds == {"SCHEMA": 1, "CONFIG": 2, "NAME": 3, "BATCH": 4, "INDEX": 5}
    assert GRAMMAR.names == {code: name for name, code in GRAMMAR.kinds.items()}
    assert {GRAMMAR.flags_of(name) for name in GRAMMAR.kinds} == {1}
    uncritical = replace(FORMAT.blocks.kinds["NAME"], critical=False)
    blocks = replace(FORMAT.blocks, kinds=FORMAT.blocks.kinds | {"NAME": uncritical})
    assert Grammar(replace(FORMAT, blocks=blocks)).flags_of("NAME") == 0


def test_the_journal_is_described_too():
    assert set(GRAMMAR.journal_bodies) == {"ROW", "CONFIG", "NAME", "CONFIG_IN_FORCE"}
    row = {
        "present": np.uint8([3]),
        "values": b"\1\2",
        "num_undeclared": 1,
        "undeclared": [(0, 0.5)],
    }
    data = GRAMMAR.journal_bodies["ROW"].build(row, len_present=1, len_row=2)
    assert data.hex() == "0301020100000000000000000000000000e03f"
    found = GRAMMAR.journal_bodies["ROW"].parse(data, len_present=1, len_row=2)
    assert found["undeclared"]["value"].tolist() == [0.5]


def test_the_column_of_a_field_is_composed_once():
    field = default_schema()["loss_value"]
    assert GRAMMAR.column(field) is GRAMMAR.column(field)


# ---------------------------------------------------------------------------------------- layouts


@BOTH
def test_tables_are_read_in_one_piece_or_item_by_item(fast):
    found = layout(("n", "u16", ""), ("ids", "u32", "n"), ("rest", "bytes", ""), fast=fast)
    data = bytes.fromhex("020007000000ffffffffabcd")
    fields = found.parse(data)
    assert (fields["n"], list(fields["ids"]), fields["rest"]) == (2, [7, 2**32 - 1], b"\xab\xcd")
    assert found.build({"n": 2, "ids": [7, 2**32 - 1], "rest": b"\xab\xcd"}) == data


@BOTH
def test_structures_and_parameters(fast):
    found = layout(("entries", "undeclared_column", "count"), fast=fast)
    data = bytes.fromhex("01000000050000000200000006000000")
    entries = found.parse(data, count=2)["entries"]
    assert [(e["name_number"], e["len_column"]) for e in entries] == [(1, 5), (2, 6)]
    assert found.build({"entries": entries}, count=2) == data


def test_counted_strings():
    found = layout(("n", "u8", ""), ("name", "utf8", "n"), ("body", "bytes", "n"))
    data = b"\x02\xc3\xa4ab"
    assert found.parse(data) == {"n": 2, "name": "ä", "body": b"ab"}
    assert found.build({"n": 2, "name": "ä", "body": b"ab"}) == data


def test_a_part_of_a_layout():
    assert [f.name for f in GRAMMAR.frame.upto("body").fields] == [
        "kind", "flags", "reserved", "len_body",
    ]  # fmt: skip
    assert [f.name for f in GRAMMAR.frame.after("body").fields] == ["masked_crc"]


# ----------------------------------------------------------------------------------------- errors

TABLE = (("n", "u32", ""), ("ids", "u64", "n"))
ERRORS = {
    "a field is missing": (
        [("a", "u16", ""), ("b", "u32", "")], b"\1\0\2", TruncatedError, 2, "b",
        "1 bytes left, expected 4",
    ),
    "all is missing": ([("a", "u16", "")], b"", TruncatedError, 0, "a", "0 bytes left, expected 2"),
    "bytes too many": ([("a", "u16", "")], b"\1\0\2", CorruptError, 2, "", "1 bytes too many"),
    "a count beyond the bytes": (
        TABLE, b"\2\0\0\0" + bytes(15), TruncatedError, 4, "ids", "2 items of 8 bytes, but only 15",
    ),
    "a count of 4 billion": (
        TABLE, b"\xff" * 4 + bytes(15), TruncatedError, 4, "ids", "4294967295 items of 8 bytes",
    ),
    "a string beyond the bytes": (
        [("n", "u8", ""), ("s", "utf8", "n")], b"\5abc", TruncatedError, 1, "s",
        "5 items of 1 bytes, but only 3 bytes are left",
    ),
    "no UTF-8": ([("s", "utf8", "")], b"ab\xff", CorruptError, 2, "s", "not UTF-8: invalid start"),
}  # fmt: skip


@BOTH
@pytest.mark.parametrize(
    ("fields", "data", "kind", "offset", "place", "words"), ERRORS.values(), ids=ERRORS
)
def test_errors_are_ours_and_say_where(fast, fields, data, kind, offset, place, words):
    with pytest.raises(kind) as caught:
        layout(*fields, fast=fast).parse(data)
    assert (caught.value.offset, caught.value.path) == (offset, place)
    assert words in caught.value.message


@BOTH
def test_a_count_that_is_not_that_of_the_items_is_not_built(fast):
    with pytest.raises(RangeError):
        layout(*TABLE, fast=fast).build({"n": 3, "ids": [1, 2]})
    with pytest.raises(RangeError):
        layout(("n", "u8", ""), ("s", "bytes", "n"), fast=fast).build({"n": 3, "s": b"ab"})


def test_a_string_that_is_no_utf8_says_which_byte():
    with pytest.raises(CorruptError) as caught:
        layout(("a", "u32", ""), ("s", "utf8", "")).parse(b"\0\0\0\0ab\xff")
    assert (caught.value.offset, caught.value.path) == (6, "s")


@pytest.mark.parametrize(
    ("data", "offset", "place", "words"),
    [
        (b"\x5f\xa5\x0d\x0c" + bytes(6), 0, "signature", "found 0xc0da55f, expected 0xc0da55e"),
        (b"\1\1\1\0\0\0\0\0", 2, "reserved", "found 0x1, expected 0x0"),
    ],
)
def test_constants_are_checked(data, offset, place, words):
    found = GRAMMAR.header if place == "signature" else GRAMMAR.frame_head
    with pytest.raises(CorruptError) as caught:
        found.parse(data)
    assert (caught.value.offset, caught.value.path) == (offset, place)
    assert words in caught.value.message
