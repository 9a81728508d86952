"""Files and journals made to be slow, to be large, or to lie: an answer or an error, soon."""

import random
import struct
import tracemalloc

import numpy as np
import pytest

import cmeta
from cmeta.errors import CmetaError
from cmeta.format.grammar import grammar_of
from cmeta.schema.load import shipped_format
from cmeta.source import BytesSource
from cmeta.tools.recover.journal import EntryFinder
from cmeta.tools.recover.recover import recover
from cmeta.tools.recover.scan import SearchBudget, scan
from tests.format.journal.conftest import Forger, bit
from tests.hostile.reseal import BATCH, BATCH_HEAD, HEAD, HEADER, NAME, Block, bounds_of, take_apart

GRAMMAR = grammar_of(shipped_format())
SIZE = 500_000


class Counting(BytesSource):
    """Counts how often it is read."""

    num_reads = 0

    def _read(self, offset, length):
        self.num_reads += 1
        return super()._read(offset, length)


@pytest.fixture
def recovered(tmp_path):
    """Recover some bytes: a report, or an error of ours."""

    def run(data, **options):
        path, out = tmp_path / "bad.cmeta", tmp_path / "out"
        path.write_bytes(data)
        try:
            report = recover(path, out, **options)
        except CmetaError:
            report = None
        if out.exists():
            assert cmeta.validate(out).ok
            out.unlink()
        assert {p.name for p in tmp_path.iterdir()} <= {"bad.cmeta", "bad.cmeta-journal"}
        return report

    return run


def filled(pattern, head):
    return head + pattern * ((SIZE - len(head)) // len(pattern))


def batch_head(len_body):
    return HEAD.pack(BATCH, 1, 0, len_body) + BATCH_HEAD.pack(16, 0, 15)


PATTERNS = {
    "zeros": bytes(1000),
    "ones": b"\xff" * 1000,
    "magic": HEADER.pack(0x0C0DA55E, 0x0100, 72),
    "heads": HEAD.pack(NAME, 1, 0, 1),
    "starts": HEAD.pack(NAME, 1, 0, 1)[:4],
    "batches": batch_head(SIZE // 2),
    "short batches": batch_head(64),
    "indexes": HEAD.pack(5, 1, 0, 3),
    "text": b'{"loss": 0.25, "phase": "train"}\n',
}  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("begins", [True, False])
def test_megabytes_of_nothing(original, pattern, begins):
    """The work is bounded by the length: the test counts bytes read and reads, not time."""
    data, _ = original
    head = data[: bounds_of(data)[0][1]] if begins else b""
    source = Counting(filled(PATTERNS[pattern], head))
    found = scan(source, GRAMMAR, newer=False, progress=lambda done, size: None)
    assert len(found.blocks) == begins
    assert sum(gap.end - gap.offset for gap in found.gaps) + len(head) >= source.size - HEADER.size
    assert source.len_read <= (SearchBudget.PER_BYTE + 32) * source.size + SearchBudget.AT_LEAST
    assert source.num_reads <= source.size // 2
    many_tries = pattern in ("heads", "batches", "short batches", "indexes")
    assert (found.gave_up_at is not None) == many_tries


def test_random_bytes_and_a_whole_recovery(recovered, original):
    data, _ = original
    noise = random.Random(1).randbytes(SIZE)
    assert recovered(noise).verdict == "nothing"
    report = recovered(data[: bounds_of(data)[-2][0]] + noise)
    assert (report.num_records, report.num_lost) == (64, 8)


def test_many_short_gaps(original):
    """A byte between any two blocks: searching such a gap costs less than a full window."""
    data, _ = original
    blocks = b"?".join([Block(NAME, b"x%d" % i).build() for i in range(10_000)])
    source = Counting(data[: bounds_of(data)[0][1]] + blocks)
    found = scan(source, GRAMMAR, newer=False, progress=lambda done, size: None)
    assert len(found.blocks) == 10_001 and len(found.gaps) == 9_999
    assert source.len_read < 400 * source.size


def test_memory_is_not_kept_by_what_was_damaged(original, tmp_path):
    """A traceback keeps the bytes that were read; the errors of thousands of gaps must not."""
    data, _ = original
    block = Block(NAME, b"y" * 255, crc=1).build()
    whole = Block(NAME, b"z" * 20).build()
    source = BytesSource(data[: bounds_of(data)[0][1]] + (block + whole) * 1000)
    tracemalloc.start()
    try:
        found = scan(source, GRAMMAR, newer=False, progress=lambda done, size: None)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(found.gaps) == 1000
    assert all(gap.problem.__traceback__ is None for gap in found.gaps)
    assert kept < 2000 * 2000


# --------------------------------------------------------------------------------- lying structure


def lying(original, **changes):
    """Yield the original with altered INDEX entries, or altered fields of the INDEX."""
    parts = take_apart(original)
    honest = take_apart(original).build()
    assert honest == original
    return parts.__class__(**{**vars(parts), **changes}).build()


def honest_entries(data):
    start, end = bounds_of(data)[-1]
    body = data[start + 8 : end - 8]
    return [
        struct.unpack_from("<BBHIQQQ", body, 12 + 32 * i) for i in range((len(body) - 28) // 32)
    ]


def test_an_index_that_lies(recovered, original):
    """Intact batches are salvaged all the same, and a contradictory INDEX is not used."""
    data, _ = original
    entries = honest_entries(data)
    for row in range(1, len(entries)):
        for place, value in ((0, 4), (3, 2**32 - 1), (4, 2**63), (4, 0), (5, 2**64 - 1), (6, 0)):
            if (row + place) % 11:
                continue
            changed = [list(entry) for entry in entries]
            changed[row][place] = value
            report = recovered(lying(data, entries=changed))
            assert report is not None and report.num_records >= 56, (row, place)
    for num_entries in (1, 6, len(entries) - 1):
        assert recovered(lying(data, entries=entries[:num_entries])).num_records == 72
    assert recovered(lying(data, entries=[])).num_records == 72
    for name in ("num_blocks", "records_count", "index_offset", "running_crc"):
        for value in (2**32 - 1,):
            assert recovered(lying(data, index={name: value})).num_records == 72, (name, value)


def test_batches_that_lie(recovered, original):
    data, _ = original
    parts = take_apart(data)
    place = parts.place_of(BATCH, 1)
    body = parts.blocks[place].body
    directory = BATCH_HEAD.size
    lies = [
        BATCH_HEAD.pack(2**32 - 1, 116, 131) + body[directory:],
        BATCH_HEAD.pack(0, 116, 131) + body[directory:],
        BATCH_HEAD.pack(16, 131, 116) + body[directory:],
        BATCH_HEAD.pack(16, 0, 2**64 - 1) + body[directory:],
        body[:10],
        body[: directory + 40] + b"\xff" * 200,
        body[:directory] + b"\xff" * (len(body) - directory),
        body[:-1],
    ]  # fmt: skip
    for lie in lies:
        report = recovered(parts.with_body(place, lie).build())
        assert report.num_records == 56, lie[:24]
        assert report.verdict == "with loss" and report.lost
    report = recovered(parts.with_body(place, lies[3]).build()[:-30])
    assert report.num_records == 56


def test_numbers_that_nothing_defines(recovered, original):
    """A number alone defines no name and allocates no room for it."""
    data, _ = original
    parts = take_apart(data)
    place = parts.place_of(BATCH, 1)
    body = bytearray(parts.blocks[place].body)
    schema = cmeta.open(data).schema
    last = BATCH_HEAD.size + 4 * schema.num_columns + 4 + 8 * 3
    assert struct.unpack_from("<I", body, last)[0] == 3
    for number, num_records in ((2**32 - 1, 56), (50, 72)):
        struct.pack_into("<I", body, last, number)
        report = recovered(parts.with_body(place, bytes(body)).build())
        assert report.num_records == num_records
        assert num_records == 56 or "metric 50" in str(report)


def test_names_and_configurations_that_break_a_rule(recovered, original):
    data, _ = original
    parts = take_apart(data)
    for body in (b"", b"\xff", b"entropy", b"x" * 256, b"m0"):
        place = parts.place_of(NAME, 1)
        report = recovered(parts.with_body(place, body).build())
        assert report.num_records == 72 and report.dropped, body
    for body in (b"[]", b"{", b'{"a":1,"a":2}', b"{" * 10_000, b'{"b":1,"a":2}'):
        report = recovered(parts.with_body(1, body).build())
        assert report.num_records == 72 and report.dropped, body[:20]


# ---------------------------------------------------------------------------------------- journals


def test_a_journal_of_false_heads(recovered):
    forger = Forger()
    salted = forger.row(timestamp=1).data
    for len_body in (0, 8, SIZE // 2):
        false = struct.pack("<IBBHI", len_body, 1, 0, 0, 1)
        data = salted + b"?" + false * (SIZE // len(false))
        finder = EntryFinder(BytesSource(data), forger.framer, GRAMMAR)
        found, end = finder.find(GRAMMAR.journal_header.size)
        assert (len(found), end) == (1, len(salted))
        assert finder.budget.is_spent
        assert finder.budget.left > -(SIZE + SearchBudget.PER_TRY)


def test_a_journal_with_every_second_row_damaged(recovered):
    forger, starts = Forger(), []
    for i in range(1500):
        starts.append(len(forger.data))
        forger.row(timestamp=i, metrics=[])
    data = bytearray(forger.data)
    for start in starts[::2]:
        data[start + 20] ^= 1
    schema = cmeta.default_schema().with_batch_records(16)
    report = recovered(bytes(data), schema=schema)
    assert (report.num_records, report.num_lost, len(report.lost)) == (750, 750, 750)
    assert all(lost.num_records == 1 for lost in report.lost)


def test_rows_that_are_intact_and_break_a_rule(recovered):
    """They are lost, and counted: a correct CRC does not make a value correct."""
    schema = cmeta.default_schema().with_batch_records(16)
    bad = [
        {"phase": 255}, {"timestamp": 1}, {"present": 0b1}, {"count": 3},
        {"present": 0b11 | 1 << 8 * Forger().layout.len_present - 1},
    ]  # fmt: skip
    for values in bad:
        forger = Forger()
        for i in range(12):
            forger.row(**{"timestamp": 10 + i, **(values if i == 5 else {})})
        report = recovered(forger.data, schema=schema)
        assert (report.num_records, report.num_lost) == (11, 1), values
        (lost,) = report.lost
        assert (lost.num_records, lost.first_timestamp, lost.last_timestamp) == (1, 14, 16)
        last = Forger().row(timestamp=10).row(**{"timestamp": 11, **values})
        report = recovered(last.data, schema=schema)
        assert report.num_records == 1 and report.verdict == "with loss", values
    forger = Forger()
    for i in range(200):
        forger.row(timestamp=1000 - i)
    report = recovered(forger.data, schema=schema)
    assert (report.num_records, report.num_lost) == (1, 199)


def test_entries_that_break_a_rule(recovered):
    """Invalid definitions define nothing; entries of an unknown kind are skipped."""
    schema = cmeta.default_schema().with_batch_records(16)
    forger = Forger().define("NAME", 0, b"a").define("NAME", 1, b"a").define("NAME", 2, b"\xff")
    forger.define("NAME", 3, b"entropy").define("CONFIG", 0, b"[]").define("CONFIG", 1, b"{}")
    forger.entry("NAME", b"x").entry("CONFIG", b"").entry("ROW", b"?", 7)
    forger.framer.kinds["strange"] = 9
    forger.entry("strange", b"")
    metrics = [(number, 0.5) for number in range(4)]
    forger.row(timestamp=5, metrics=metrics)
    forger.row(timestamp=6, present=0b11 | bit("config"), config=0)
    forger.row(timestamp=7, present=0b11 | bit("config"), config=1)
    report = recovered(forger.data, schema=schema)
    assert report.num_records == 3
    assert report.dropped[0].startswith("2 records without a value")


def test_many_definitions(recovered):
    forger = Forger()
    framed = [
        forger.framer.frame("NAME", 0, struct.pack("<I", i) + b"n%d" % i) for i in range(8_000)
    ]
    forger.data += b"".join(framed)
    forger.row(timestamp=1, metrics=[(7_999, 0.5)])
    report = recovered(forger.data + b"?", schema=cmeta.default_schema().with_batch_records(16))
    assert (report.num_records, report.verdict) == (1, "complete")


def test_ordinals_that_leap(recovered):
    forger = Forger().row(timestamp=1)
    forger.next = 2**32 - 2
    forger.row(timestamp=np.iinfo("i8").max)
    report = recovered(forger.data, schema=cmeta.default_schema().with_batch_records(16))
    assert (report.num_records, report.num_lost) == (2, 2**32 - 3)
