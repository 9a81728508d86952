"""The INDEX against header and blocks; frames, flags and versions; every checksum is right."""

import pytest

import cmeta
from cmeta import CorruptError, TruncatedError, UnsupportedVersionError
from cmeta.format.grammar import grammar_of
from cmeta.schema.load import shipped_format

GRAMMAR = grammar_of(shipped_format())
SCHEMA, CONFIG, BATCH, INDEX = (GRAMMAR.kinds[n] for n in ("SCHEMA", "CONFIG", "BATCH", "INDEX"))
NUM_ROWS, FIRST_BATCH, LAST_BATCH = 12, 3, 11


def cell(row, name, value):
    """Return a change of one cell of the INDEX; `value` may be a function of what stands there."""

    def change(table):
        table[name][row] = value(int(table[name][row])) if callable(value) else value
        return table

    return change


# A change of the table; path and words of what is wrong with it.
TABLES = {
    "no rows": (lambda t: t[:0], "INDEX.entries", "no entry, expected at least that of SCHEMA"),
    "without the schema": (lambda t: t[1:], "INDEX.entries[0].offset", "expected 10"),
    "a first offset": (cell(0, "offset", 11), "INDEX.entries[0].offset", "11, expected 10"),
    "no schema": (cell(0, "kind", CONFIG), "INDEX.entries[0].kind", "SCHEMA must be the first"),
    "two schemas": (cell(1, "kind", SCHEMA), "INDEX.entries[1].kind", "SCHEMA must be the first"),
    "an index": (cell(1, "kind", INDEX), "INDEX.entries[1].kind", "found an INDEX among the entries"),
    "offsets that go back": (
        cell(3, "offset", 20), "INDEX.entries[2].offset", "too close to the next block at 20",
    ),
    "offsets too near": (
        cell(2, "offset", lambda at: at - 20), "INDEX.entries[1].offset", "too close",
    ),
    "an offset beyond": (cell(LAST_BATCH, "offset", 2**63), f"INDEX.entries[{LAST_BATCH}].offset",
                         "too close"),
    "records in a schema": (
        cell(0, "records_count", 5), "INDEX.entries[0].records_count", "5, expected 0: it is not",
    ),
    "a timestamp of a configuration": (
        cell(1, "first_timestamp", 5), "INDEX.entries[1].first_timestamp", "5, expected 0",
    ),
    "a reserved field": (cell(4, "reserved", 7), "INDEX.entries[4].reserved", "7, expected 0"),
    "a short batch": (
        cell(4, "records_count", 15), "INDEX.entries[4].records_count",
        "15 records, expected 16: only the last batch may be shorter",
    ),
    "a long last batch": (
        cell(LAST_BATCH, "records_count", 17), f"INDEX.entries[{LAST_BATCH}].records_count",
        "17 records, expected 1 to 16",
    ),
    "an empty last batch": (
        cell(LAST_BATCH, "records_count", 0), f"INDEX.entries[{LAST_BATCH}].records_count",
        "0 records, expected 1 to 16",
    ),
    "a batch that ends before it begins": (
        cell(4, "last_timestamp", 89), "INDEX.entries[4].last_timestamp",
        "89, before the first timestamp 90",
    ),
    "a batch that begins too early": (
        cell(4, "first_timestamp", 79), "INDEX.entries[4].first_timestamp",
        "found 79, before the end of the previous batch at 80",
    ),
    "a record less": (
        cell(LAST_BATCH, "records_count", 3), f"INDEX.entries[{LAST_BATCH}].records_count",
        "the batches hold 99 records, the header says 100",
    ),
}  # fmt: skip


def test_what_is_put_together_again_is_the_same(crafted, data):
    assert crafted.build() == data


@pytest.mark.parametrize(("change", "place", "words"), TABLES.values(), ids=TABLES)
def test_an_index_that_is_wrong_by_itself(crafted, records, change, place, words):
    crafted.index["entries"] = change
    content = crafted.build()
    with cmeta.open(content, partial=True) as run:
        assert run.state == "damaged"
        assert (type(run.problem), run.problem.path) == (CorruptError, place)
        assert words in run.problem.message
        assert len(run) == len(records), "the blocks themselves are intact"
    assert cmeta.validate(content, canonical=False).findings[0].path == place


FIELDS = {
    "version": ({"version": 0x0101}, "INDEX.version", "257, but the header says 256"),
    "records_count": ({"records_count": 99}, "INDEX.records_count", "99, but the header says 100"),
    "index_offset beyond": ({"index_offset": 2**40}, "INDEX.index_offset", "outside the payload"),
}


@pytest.mark.parametrize(("changes", "place", "words"), FIELDS.values(), ids=FIELDS)
def test_an_index_that_contradicts_header_or_place(crafted, records, changes, place, words):
    crafted.index |= changes
    with cmeta.open(crafted.build(), partial=True) as run:
        assert run.state == "damaged"
        assert run.problem.path == place
        assert words in run.problem.message
        assert list(run) == records


def test_an_index_offset_that_leads_to_another_block(crafted):
    crafted.index["index_offset"] = 10
    with cmeta.open(crafted.build(), partial=True) as run:
        assert run.state == "damaged"
        assert "a SCHEMA up to" in run.problem.message
        assert "expected an INDEX" in run.problem.message


def test_an_index_that_lies_about_a_block(crafted):
    """The table is consistent by itself, but names a batch where a configuration stands."""

    def swap(table):
        for name in ("kind", "records_count", "first_timestamp", "last_timestamp"):
            table[name][[2, 3]] = table[name][[3, 2]]
        return table

    crafted.index["entries"] = swap
    content = crafted.build()
    with cmeta.open(content) as run:
        assert run.state == "closed"
        with pytest.raises(CorruptError, match="but the table of blocks says a BATCH up to"):
            list(run)
    kinds = [finding.kind for finding in cmeta.validate(content).findings]
    assert "CorruptError" in kinds


def test_an_index_that_leads_into_a_block(crafted, blocks):
    """The table is consistent by itself, but what it says begins elsewhere."""
    crafted.index["entries"] = cell(5, "offset", lambda at: at + 5)
    content = crafted.build()
    end = blocks[4][2]
    with cmeta.open(content) as run:
        assert run.query_range(10, 80)
        with pytest.raises(
            CorruptError, match=f"up to {end}, but the table of blocks says a BATCH up to"
        ):
            run.query_range(90, 90)
    report = cmeta.validate(content)
    assert f"ends at {end}, but the table of blocks says {end + 5}" in str(report)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [("records_count", 3, None), ("first_timestamp", 485, "490, but the table of blocks says 485"),
     ("last_timestamp", 495, "500, but the table of blocks says 495")],
)  # fmt: skip
def test_an_index_that_lies_about_a_batch(crafted, name, value, words):
    crafted.index["entries"] = cell(LAST_BATCH, name, value)
    if words is None:  # then the header has to lie as well
        crafted.header["records_count"] = 99
        words = "4, but the table of blocks says 3"
    with cmeta.open(crafted.build()) as run:
        assert run.state == "closed"
        with pytest.raises(CorruptError) as caught:
            run.read()
    assert words in caught.value.message
    assert caught.value.path == f"BATCH[6].{name}"


def test_a_running_crc_is_checked_by_validating(crafted):
    crafted.index["running_crc"] = 7
    report = cmeta.validate(crafted.build())
    found = [(finding.kind, finding.path) for finding in report.findings]
    assert found == [("ChecksumError", "INDEX.running_crc")]


def test_the_trailer_is_checked_by_validating(data, damage):
    report = cmeta.validate(damage(data, len(data) - 1))
    (finding,) = report.findings
    assert (finding.kind, finding.path, finding.offset) == (
        "ChecksumError", "trailer.checksum", len(data) - 8,
    )  # fmt: skip


# --------------------------------------------------------------------------- frames and versions


def frame(kind, flags, body=b"?", reserved=0):
    """Return a block of any kind with its CRC right."""
    head = bytes([kind, flags]) + reserved.to_bytes(2, "little") + len(body).to_bytes(4, "little")
    crc = GRAMMAR.checksum.masked(head, body)
    return head + body + crc.to_bytes(8, "little")


FRAMES = {
    "an unknown kind": (frame(99, 0), "block of kind 99", "unknown block kind"),
    "an unknown critical kind": (frame(99, 1), "block of kind 99", "unknown block kind"),
    "kind 0": (frame(0, 0), "block of kind 0", "unknown block kind"),
    "a configuration that is not critical": (frame(CONFIG, 0, b"{}"), "CONFIG", "flags 0x0"),
    "an unknown flag": (frame(CONFIG, 3, b"{}"), "CONFIG", "flags 0x3, expected 0x1"),
    "a reserved field": (frame(CONFIG, 1, b"{}", 7), "block.reserved", "7"),
}


@pytest.mark.parametrize(("block", "place", "words"), FRAMES.values(), ids=FRAMES)
def test_frames_of_this_version(open_data, records, block, place, words):
    with cmeta.open(open_data + block) as run:
        assert (run.state, len(run)) == ("open", 96)
        assert run.problem.path == place
        assert words in run.problem.message
        assert run.problem.offset >= len(open_data)
        assert list(run) == records[:96]


@pytest.mark.parametrize("missing", [1, 8, 9, 12, 17])
def test_a_frame_that_is_cut_off(open_data, missing):
    block = frame(CONFIG, 1, b"{}")
    with cmeta.open(open_data + block[:-missing]) as run:
        assert isinstance(run.problem, TruncatedError)
        assert len(open_data) <= run.problem.offset <= len(open_data) + len(block)


def test_a_length_beyond_the_file_allocates_nothing(open_data):
    head = bytes([BATCH, 1, 0, 0]) + b"\xff" * 4
    with cmeta.open(open_data + head + bytes(100)) as run:
        assert isinstance(run.problem, TruncatedError)
        assert "a body of 4294967295 bytes, but only 92 are left for it" in run.problem.message


def test_a_newer_minor_version_is_read(crafted, records):
    crafted.header["version"] = 0x0101
    with cmeta.open(crafted.build()) as run:
        assert run.header.is_newer
        assert run.state == "closed"
        assert list(run) == records


def test_an_open_file_of_a_newer_minor_version(open_data, records):
    content = open_data[:4] + b"\x01" + open_data[5:] + frame(99, 0)
    with cmeta.open(content) as run:
        assert run.header.is_newer
        assert (run.state, run.problem) == ("open", None)
        assert list(run) == records[:96]
    with cmeta.open(content[: -len(frame(99, 0))] + frame(99, 1)) as run:
        assert isinstance(run.problem, UnsupportedVersionError)
        assert list(run) == records[:96]


def test_a_closed_file_of_a_newer_minor_version(crafted, records):
    """A block that we do not know is skipped, unless it is critical."""
    crafted.header["version"] = 0x0101
    crafted.blocks.insert(3, ["raw", frame(99, 0, b"from the future")])
    with cmeta.open(crafted.build()) as run:
        assert (run.state, list(run)) == ("closed", records)
        assert run.read().num_records == 100
    crafted.blocks[3][1] = frame(99, 1, b"from the future")
    with cmeta.open(crafted.build()) as run:
        assert isinstance(run.problem, UnsupportedVersionError)
        with pytest.raises(UnsupportedVersionError):
            run.read()


def test_a_closed_file_of_this_version_has_no_other_kinds(crafted):
    crafted.blocks.insert(3, ["raw", frame(99, 0, b"from the past")])
    with cmeta.open(crafted.build()) as run:
        assert isinstance(run.problem, CorruptError)
        assert "99" in str(run.problem)
        with pytest.raises(CorruptError):
            run.read()


@pytest.mark.parametrize("version", [0x0200, 0x0001, 0xFFFF, 0x0000])
def test_another_major_version_is_not(crafted, version):
    crafted.header["version"] = version
    with pytest.raises(UnsupportedVersionError, match=r"expected 1\.x") as caught:
        cmeta.open(crafted.build())
    assert f"version {version >> 8}.{version & 0xFF}" in caught.value.message


def test_a_first_block_that_is_no_schema(crafted):
    crafted.blocks.pop(0)
    with pytest.raises(CorruptError, match="expected the SCHEMA") as caught:
        cmeta.open(crafted.build())
    assert (caught.value.offset, caught.value.path) == (10, "SCHEMA")


def test_a_schema_that_is_none(crafted):
    crafted.blocks[0][1] = crafted.blocks[0][1].replace(b'"u64"', b'"u65"', 1)
    with pytest.raises(CorruptError, match="'u65'") as caught:
        cmeta.open(crafted.build())
    assert caught.value.path == "SCHEMA.record.fields[0].type"


def test_an_embedded_schema_with_a_batch_of_2_to_the_32(crafted):
    schema = crafted.blocks[0][1]
    crafted.blocks[0][1] = schema.replace(b'"batch_records":16', b'"batch_records":4294967296')
    with pytest.raises(
        cmeta.LimitError, match="found 4,294,967,296 records a batch, expected at most 65,536"
    ) as caught:
        cmeta.open(crafted.build())
    assert caught.value.path == "SCHEMA.record.batch_records"
