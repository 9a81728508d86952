"""Damage to the journal of an open file: every entry, every truncation, flipped bits."""

import pytest

import cmeta
from cmeta.format.read_journal import read_journal
from cmeta.source import BytesSource
from tests.hostile.reseal import BATCH, bounds_of
from tests.recover.test_damage import flip
from tests.recover.test_journals import (  # noqa: F401
    GRAMMAR,
    NUM,
    SCHEMA,
    entries_of,
    rescue,
    running,
)


@pytest.fixture
def parts(running):  # noqa: F811
    main, journal, _ = running
    return main, journal, entries_of(journal)


def test_every_entry_damaged(rescue, parts):  # noqa: F811
    """Only that row is lost, unless a sealed batch has it; definitions are in the file, too."""
    main, journal, entries = parts
    rows = [entry for entry in entries if entry[2]]
    for start, end, is_row in entries[::3] + entries[-1:]:
        report, _ = rescue(main, flip(journal, (start + end) // 2))
        place = rows.index((start, end, is_row)) if is_row else 0
        num_lost = int(is_row and place >= 16)
        assert report.num_records == NUM - num_lost
        if not num_lost:
            assert report.num_lost == 0
            # Definitions after the rows of the last sealed batch are only here.
            assert bool(report.dropped) == (not is_row and start > rows[15][1])
        elif (start, end, is_row) == rows[-1]:
            assert report.num_lost is None
            assert "some records, between timestamp 58 and the end" in str(report)
        else:
            assert report.num_lost == 1
            (lost,) = report.lost
            assert (lost.offset, lost.len_bytes, lost.num_records) == (start, end - start, 1)
            assert lost.last_timestamp == 32 + place + 1
            assert lost.first_timestamp == 32 + place - 1


def test_flipped_bits_of_an_entry(rescue, parts):  # noqa: F811
    """Whatever part of an entry is hit, its frame or its row, only that row is lost."""
    main, journal, entries = parts
    rows = [entry for entry in entries if entry[2]]
    for row in (rows[20], rows[-1]):
        places = [*range(row[0], row[0] + 12, 3), row[0] + 40, row[1] - 12, row[1] - 1]
        for at in places:
            for bit in (at % 8,):
                report, _ = rescue(main, flip(journal, at, bit))
                assert report.num_records == NUM - 1, (at - row[0], bit)
                assert report.verdict == "with loss", (at - row[0], bit)
                assert report.num_lost == (None if row is rows[-1] else 1)


def test_a_torn_last_entry_is_no_loss(rescue, parts):  # noqa: F811
    """Its call had not returned, so the row was never acknowledged."""
    main, journal, entries = parts
    start, end, _ = entries[-1]
    for length in [*range(start, start + 14, 3), start + 60, end - 1]:
        report, _ = rescue(main, journal[:length], is_torn=True)
        assert (report.num_records, report.num_lost) == (NUM - 1, 0), length - start
        assert bool(report.findings) == (length > start)
        assert report.lost == []


def test_truncations_of_a_journal(rescue, parts):  # noqa: F811
    """A batch proves that there were rows that the journal lacks: it is used."""
    main, journal, entries = parts
    for length in [0, 10, entries[0][0] - 1, *(end for _, end, _ in entries[::7])]:
        report, _ = rescue(main, journal[:length], is_torn=True)
        num_rows = sum(end <= length for _, end, is_row in entries if is_row)
        assert report.num_records == max(48, 32 + num_rows), length
        assert report.num_lost == (0 if num_rows >= 16 else None)
        if entries[0][0] <= length and num_rows < 16:
            assert "later batches, outside of it, are used" in str(report)


def test_batches_that_the_journal_contradicts(rescue, parts, tmp_path):  # noqa: F811
    """Remains of an earlier session after the end do not replace missing rows."""
    main, journal, entries = parts
    length = read_journal(BytesSource(journal), SCHEMA, GRAMMAR).header.base_length
    other = tmp_path / "other.cmeta"
    columns = {"timestamp": range(77, 93), "phase": ["train"] * 16, "step": range(77, 93)}
    cmeta.write(other, columns, SCHEMA)
    data = other.read_bytes()
    stale = next(data[s:e] for s, e in bounds_of(data) if data[s] == BATCH)
    rows = [entry for entry in entries if entry[2]]
    torn = journal[: rows[8][1]]
    report, _ = rescue(main[:length] + stale, torn, is_torn=True)
    assert (report.num_records, report.num_from_journal) == (41, 9)
    report, _ = rescue(main[:length] + b"?" + main[length:], torn, is_torn=True)
    assert (report.num_records, report.num_from_journal) == (41, 9)


def test_a_torn_write_of_zeros(rescue, parts):  # noqa: F811
    """The file has grown, but the data have not arrived: the loss is unknown."""
    main, journal, _ = parts
    report, _ = rescue(main, journal + bytes(500))
    assert (report.num_records, report.num_lost) == (NUM, None)
    assert report.verdict == "with loss"


def test_entries_removed_doubled_and_exchanged(rescue, parts):  # noqa: F811
    main, journal, entries = parts
    rows = [entry for entry in entries if entry[2]]
    (a, a_end, _), (b, b_end, _) = rows[19], rows[23]
    report, _ = rescue(main, journal[:a] + journal[a_end:])
    assert (report.num_records, report.num_lost) == (NUM - 1, 1)
    (lost,) = report.lost
    assert (lost.len_bytes, lost.first_timestamp, lost.last_timestamp) == (0, 50, 52)
    report, _ = rescue(main, journal[:a_end] + journal[a:])
    assert (report.num_records, report.num_lost) == (NUM, 0)
    swapped = journal[:a] + journal[b:b_end] + journal[a_end:b] + journal[a:a_end] + journal[b_end:]
    report, _ = rescue(main, swapped)
    assert (report.num_records, report.num_lost) == (NUM, 0)
    report, _ = rescue(main, journal[:a] + b"\1\0\0\0\1\0\0\0" * 30 + journal[a:])
    assert (report.num_records, report.num_lost) == (NUM, 0)


def test_definitions_that_are_lost_everywhere(rescue, parts):  # noqa: F811
    """Without its name, lost in file and journal, a metric is left out and reported."""
    main, journal, entries = parts
    ((_, end, _),) = [e for e in entries if "é".encode() in journal[e[0] : e[1]]]
    report, _ = rescue(main, flip(journal, end - 9))
    assert (report.verdict, report.num_records) == ("complete", NUM)
    first = main.index("é".encode())
    report, _ = rescue(flip(main, first), flip(journal, end - 9))
    assert (report.verdict, report.num_records) == ("with loss", NUM)
    assert report.dropped == ["20 records without a value whose configuration or name is lost"]


def test_a_damaged_header_of_a_journal(rescue, parts):  # noqa: F811
    main, journal, entries = parts
    for at in range(0, entries[0][0], 11):
        report, _ = rescue(main, flip(journal, at))
        assert (report.num_records, report.num_from_journal, report.num_lost) == (48, 0, None)
        assert "the journal beside it cannot be used" in str(report)
