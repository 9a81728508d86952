"""Damaged bytes: every block, every truncation, flipped bits, bytes put in and taken out."""

import functools

import numpy as np
import pytest

import cmeta
from cmeta.format.grammar import grammar_of
from cmeta.schema.load import shipped_format
from cmeta.source import BytesSource
from cmeta.tools.recover.scan import scan
from tests.hostile.reseal import BATCH, CONFIG, INDEX, NAME, SCHEMA, bounds_of

GRAMMAR = grammar_of(shipped_format())
HEADER = GRAMMAR.header.size


def flip(data, at, bit=0):
    changed = bytearray(data)
    changed[at] ^= 1 << bit
    return bytes(changed)


def found_in(data):
    """Return offset and end of each block that scanning finds."""
    found = scan(BytesSource(data), GRAMMAR, newer=False, progress=lambda done, size: None)
    assert all(piece.offset < piece.end for piece in found.pieces)
    ends = [end for piece in found.pieces for end in (piece.offset, piece.end)]
    assert ends == sorted(ends)
    return [(block.offset, block.end) for block in found.blocks]


def test_what_is_intact_is_recovered_byte_for_byte(salvage, original):
    report, found = salvage(original[0])
    assert found == original[0]
    assert (report.verdict, report.ok, report.num_lost) == ("complete", True, 0)
    assert (report.lost, report.dropped, report.findings, report.len_lost) == ([], [], [], 0)
    assert report.num_batches == 5 and report.num_from_journal == 0


def test_every_single_block_damaged(salvage, original):
    data, _ = original
    bounds = bounds_of(data)
    for start, end in bounds:
        report, found = salvage(flip(data, (start + end) // 2))
        assert report.len_lost in (
            end - start,
            len(data) - start,
        )  # without INDEX a trailer is unknown bytes
        assert [f.offset for f in report.findings] == [start]
        if data[start] in (SCHEMA, INDEX):  # they hold no record
            assert report.verdict == "complete" and found == data
            continue
        assert report.verdict == "with loss"
        if data[start] == BATCH:
            (lost,) = report.lost
            size = 8 if (start, end) == bounds[-2] else 16
            assert (lost.offset, lost.len_bytes, lost.num_records) == (start, end - start, size)
            assert lost.exact and lost.last_timestamp - lost.first_timestamp == size - 1
            assert (report.num_lost, report.num_records) == (size, 72 - size)
            assert report.dropped == []
        else:
            assert (report.num_lost, report.num_records) == (0, 72)
            assert len(report.dropped) == 1
            assert ("configuration" in report.dropped[0]) == (data[start] == CONFIG)


def test_a_lost_batch_states_its_timestamps(salvage, original):
    data, _ = original
    start, end = [b for b in bounds_of(data) if data[b[0]] == BATCH][2]
    report, _ = salvage(flip(data, end - 20))
    (lost,) = report.lost
    assert (lost.first_timestamp, lost.last_timestamp) == (132, 147)
    assert str(lost).startswith(
        f"offset {start}: {end - start} bytes, 16 records, timestamps 132 to"
    )


def test_scanning_finds_every_block_but_the_one_that_was_hit(original):
    """A bit of every second byte, so that every field of every block is hit."""
    data, _ = original
    bounds = bounds_of(data)
    for at in range(HEADER, len(data), 2):
        expected = [(start, end) for start, end in bounds if not start <= at < end]
        assert found_in(flip(data, at, at // 2 % 8)) == expected, at


def test_scanning_finds_every_whole_block_of_every_beginning(original):
    data, _ = original
    bounds = bounds_of(data)
    for length in range(len(data)):
        expected = [(start, end) for start, end in bounds if end <= length]
        assert found_in(data[:length]) == expected, length


def test_a_block_wherever_the_search_looks_for_it(original):
    """Also across the windows that are searched at once."""
    data, _ = original
    schema, _, name = bounds_of(data)[:3]
    head, block = data[: schema[1]], data[name[0] : name[1]]
    for length in (*range(4050, 4130), *range(12_280, 12_300)):
        start = len(head) + length
        assert found_in(head + b"?" * length + block)[1:] == [(start, start + len(block))], length


def test_flipped_bits(salvage, original):
    """Every field of heads, and a sample of the rest; the fixture holds every value."""
    data, _ = original
    bounds = bounds_of(data)
    batches = [b for b in bounds if data[b[0]] == BATCH]
    places = {(at, (at * 3) % 8) for at in range(HEADER, len(data), 601)}
    places |= {(start + at, bit) for start, _ in (bounds[4], batches[1]) for at, bit in
               ((0, 0), (0, 1), (1, 0), (2, 3), (4, 0), (4, 7), (6, 2), (7, 7))}  # fmt: skip
    for at, bit in sorted(places):
        report, found = salvage(flip(data, at, bit))
        hit = [b for b in bounds if b[0] <= at < b[1]]
        size = dict.fromkeys(batches, 16) | {batches[-1]: 8}
        lost = sum(size.get(b, 0) for b in hit)
        assert report.num_records == 72 - lost, (at, bit)
        assert (found == data) == (not lost and not report.dropped)


def test_flipped_bits_of_the_header_lose_nothing(salvage, original):
    data, _ = original
    for at in range(HEADER):
        for bit in (at % 8,) if at < 4 else (at % 3, 7):
            report, found = salvage(flip(data, at, bit))
            assert report.verdict == "complete" and found == data, (at, bit)
            assert report.findings[0].path.startswith("header"), (at, bit)


def test_truncations(salvage, original):
    """All intact batches are recovered; a number of lost records is only given if it is known."""
    data, _ = original
    bounds = bounds_of(data)
    lengths = {
        end + shift for i, (_, end) in enumerate(bounds) for shift in ((-1, 9), (0,))[i % 2]
    } | set(range(0, 40, 13))
    for length in sorted(lengths):
        report, found = salvage(data[:length])
        whole = [b for b in bounds if data[b[0]] == BATCH and b[1] <= length]
        expected = sum(8 if b == bounds[-2] else 16 for b in whole)
        assert report.num_records == expected, length
        assert (found is None) == (expected == 0)
        assert report.dropped == []
        if expected == 72:
            assert found == data
        elif expected:
            assert (report.verdict, report.num_lost) == ("with loss", 72 - expected)
            assert report.lost or length in {end for _, end in bounds}


def test_bytes_put_in_and_taken_out(salvage, original):
    """The INDEX identifies blocks that have moved."""
    data, _ = original
    bounds = bounds_of(data)
    for start, end in bounds[1::3]:
        report, found = salvage(data[:start] + b"\x04\x01\0\0" * 5 + data[start:])
        assert report.verdict == "complete" and found == data
        size = {BATCH: 8 if (start, end) == bounds[-2] else 16}.get(data[start], 0)
        report, _ = salvage(data[: start + 9] + data[start + 10 :])
        assert report.num_lost == size


def test_a_block_overwritten_by_zeros_and_a_run_of_damage(salvage, original):
    data, _ = original
    batches = [b for b in bounds_of(data) if data[b[0]] == BATCH]
    start, end = batches[1][0] + 30, batches[2][1] - 30
    report, _ = salvage(data[:start] + bytes(end - start) + data[end:])
    assert report.num_lost == 32 and len(report.lost) == 2
    assert report.num_records == 40


@functools.cache
def strange():
    """Values that a careless copy would change, and their file."""
    loss = np.array([np.nan, np.inf, -np.inf, 1e-3, 3.4e38, -7] * 8, np.float32)
    columns = {
        "timestamp": np.arange(48, dtype="u8") + np.uint64(2**64 - 48),
        "phase": ["train"] * 48,
        "loss_value": np.ma.MaskedArray(loss, np.arange(48) % 5 == 4),
        "seed_state": np.arange(48, dtype="u8") * np.uint64(0x9E3779B97F4A7C15),
        'metrics.é/"x",y': np.array([5e-324, 1e308, np.nan] * 16),
        "tensor_signature": np.random.default_rng(0).standard_normal((48, 3)),
    }
    config = {"rate": 0.1, "naïve": [1, 2**63, float("inf")]}
    return columns, config


def test_strange_values_come_back_bit_for_bit(tmp_path):
    path, out = tmp_path / "run.cmeta", tmp_path / "out.cmeta"
    columns, config = strange()
    cmeta.write(path, columns, cmeta.default_schema().with_batch_records(16), config)
    data = path.read_bytes()
    path.write_bytes(data[:-30])
    assert cmeta.recover(path, out).verdict == "complete"
    assert out.read_bytes() == data
    _, end = [b for b in bounds_of(data) if data[b[0]] == BATCH][1]
    path.write_bytes(flip(data, end - 9))
    out.unlink()
    report = cmeta.recover(path, out)
    (lost,) = report.lost
    assert (lost.first_timestamp, lost.last_timestamp) == (2**64 - 32, 2**64 - 17)
    with cmeta.open(data) as before, cmeta.open(out) as after:
        rows = np.r_[0:16, 32:48]
        for name, values in before.read().items():
            np.testing.assert_array_equal(after.read()[name], values[rows])


@pytest.mark.parametrize("num_records", [0, 1])
def test_the_smallest_files(tmp_path, num_records):
    path, out = tmp_path / "run.cmeta", tmp_path / "out.cmeta"
    cmeta.write(path, {"phase": ["train"] * num_records})
    data = path.read_bytes()
    path.write_bytes(flip(data, len(data) - 3))  # the trailer
    report = cmeta.recover(path, out)
    assert report.verdict == "complete" and out.read_bytes() == data
    out.unlink()
    path.write_bytes(data[: bounds_of(data)[0][1]])  # SCHEMA alone
    report = cmeta.recover(path, out)
    assert (report.verdict, out.exists()) == (
        ("nothing", False) if num_records else ("complete", True)
    )


def test_names_of_blocks_are_those_of_the_format():
    assert [GRAMMAR.kinds[n] for n in ("SCHEMA", "CONFIG", "NAME", "BATCH", "INDEX")] == [
        SCHEMA, CONFIG, NAME, BATCH, INDEX,
    ]  # fmt: skip
