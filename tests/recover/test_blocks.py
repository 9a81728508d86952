"""Whole blocks that are missing, exchanged, doubled, or another file's."""

import itertools

import numpy as np
import pytest

import cmeta
from cmeta.errors import ExistsError
from cmeta.tools.recover.recover import recover
from tests.hostile.reseal import (
    BATCH,
    CONFIG,
    HEADER,
    INDEX,
    NAME,
    SCHEMA,
    Block,
    bounds_of,
    take_apart,
)
from tests.recover.test_damage import flip


def blocks_of(data):
    """Header, blocks, and trailer, to be put together again by `join`."""
    bounds = bounds_of(data)
    return data[: HEADER.size], [data[s:e] for s, e in bounds], data[bounds[-1][1] :]


def joined(header, blocks, trailer):
    return header + b"".join(blocks) + trailer


def places(data, *kinds):
    return [i for i, (start, _) in enumerate(bounds_of(data)) if data[start] in kinds]


def without_index(data):
    header, blocks, trailer = blocks_of(data)
    return joined(header, [*blocks[:-1], flip(blocks[-1], 40)], trailer)


def test_any_two_blocks_exchanged(salvage, original):
    """The INDEX identifies blocks; those of equal length only by the CRC of the file."""
    data, _ = original
    header, blocks, trailer = blocks_of(data)
    pairs = list(itertools.combinations(range(len(blocks)), 2))
    alike = [(a, b) for a, b in pairs if len(blocks[a]) == len(blocks[b])]
    assert alike
    for a, b in alike + pairs[::13]:
        swapped = list(blocks)
        swapped[a], swapped[b] = blocks[b], blocks[a]
        report, found = salvage(joined(header, swapped, trailer))
        assert report.num_records == 72, (a, b)
        if blocks[a][0] == blocks[b][0] != BATCH and len(blocks[a]) == len(blocks[b]):
            assert report.dropped, (a, b)
        elif len(blocks[a]) == len(blocks[b]):
            assert found == data, (a, b)
        else:  # blocks between have moved: names of equal length are ambiguous
            assert found == data or report.dropped, (a, b)


def test_any_block_removed(salvage, original):
    data, _ = original
    header, blocks, trailer = blocks_of(data)
    for place, block in list(enumerate(blocks))[::2]:
        rest = blocks[:place] + blocks[place + 1 :]
        report, found = salvage(joined(header, rest, trailer))
        size = (8 if place == len(blocks) - 2 else 16) if block[0] == BATCH else 0
        if block[0] == SCHEMA:  # no CRC of it is left: even the default one would be a guess
            assert (report.verdict, found) == ("nothing", None)
            continue
        assert report.num_lost == size, place
        assert (found == data) == (block[0] == INDEX)


def test_any_block_removed_and_no_index(salvage, original):
    """Numbers are only used if later batches confirm them."""
    data, _ = original
    header, blocks, trailer = blocks_of(data)
    for place in range(1, len(blocks) - 1, 2):
        rest = blocks[:place] + blocks[place + 1 : -1]
        report, _ = salvage(joined(header, rest, trailer))
        size = (8 if place == len(blocks) - 2 else 16) if blocks[place][0] == BATCH else 0
        assert report.num_records == 72 - size, place
        assert report.verdict == "with loss"
        assert bool(report.dropped) or blocks[place][0] == BATCH


def test_no_index_and_one_more_block_damaged(salvage, original):
    data, _ = original
    bounds = bounds_of(data)
    damaged = without_index(data)
    report, found = salvage(damaged)
    assert report.verdict == "complete" and found == data  # the header still counts the records
    for start, end in bounds[1:-1:2]:
        report, _ = salvage(flip(damaged, end - 9, 3))
        size = (8 if (start, end) == bounds[-2] else 16) if data[start] == BATCH else 0
        assert (report.num_records, report.num_lost) == (72 - size, size)
        if data[start] == BATCH:  # head and directory prove that nothing else is missing
            assert report.dropped == []
            (lost,) = [x for x in report.lost if x.offset == start]
            assert not lost.exact and lost.num_records is None
            assert "between" in str(lost)
        else:
            assert report.dropped


def test_a_name_behind_one_that_is_lost(tmp_path):
    """A BATCH that could mean either of the two means neither."""
    path, out = tmp_path / "run.cmeta", tmp_path / "out"
    schema = cmeta.default_schema().with_batch_records(16)
    header, blocks, _ = blocks_of(write(path, {"metrics.second": np.arange(40)}, schema))
    lost = Block(NAME, b"first", crc=0).build()
    path.write_bytes(joined(header, [blocks[0], lost, *blocks[1:-1]], b""))
    report = recover(path, out)
    assert (report.num_records, report.verdict) == (40, "with loss")
    assert report.dropped == ["40 records without metric 0, whose name is lost or not certain"]
    assert all("metrics" not in record.as_dict() for record in cmeta.open(out.read_bytes()))


def test_a_name_that_is_missing_before_a_damaged_batch(salvage, original):
    """That batch cannot confirm the numbers before it; the next one shows that they are wrong."""
    data, _ = original
    header, blocks, _ = blocks_of(data)
    first = places(data, BATCH)[0]
    blocks[first] = flip(blocks[first], len(blocks[first]) - 9)
    for place in places(data, NAME)[:3]:
        rest = blocks[:place] + blocks[place + 1 : -1]
        report, _ = salvage(joined(header, rest, b""))
        assert report.num_records == 56
        assert sum("metric" in dropped for dropped in report.dropped) >= 3


def test_two_removals_that_look_like_one(salvage, original):
    """What has moved and could be either of two is neither, where no CRC confirms it."""
    data, _ = original
    header, blocks, trailer = blocks_of(data)
    rest = [block for place, block in enumerate(blocks) if place not in (1, 4)]
    report, _ = salvage(joined(header, rest, trailer))
    assert (report.num_records, report.num_lost) == (72, 0)
    assert sum("metric" in dropped for dropped in report.dropped) >= 3


def test_one_of_two_names_that_has_moved(tmp_path):
    """The other one is lost, so either could be the one that is left."""
    path, out = tmp_path / "run.cmeta", tmp_path / "out"
    schema = cmeta.default_schema().with_batch_records(16)
    names = {"metrics.aa": np.arange(40), "metrics.bb": -np.arange(40)}
    header, blocks, trailer = blocks_of(write(path, names, schema))
    damaged = [blocks[0], flip(blocks[1], 9), b"???", *blocks[2:-1], b"?????", blocks[-1]]
    path.write_bytes(joined(header, damaged, trailer))
    report = recover(path, out)
    assert (report.num_records, len(report.dropped)) == (40, 2)
    assert all("metrics" not in record.as_dict() for record in cmeta.open(out.read_bytes()))


def test_no_index_and_no_count(salvage, original):
    """The number of records is unknown, so the result is never called complete."""
    data, _ = original
    opened = HEADER.pack(*HEADER.unpack_from(data)[:2], 0xFFFFFFFF)
    last = bounds_of(data)[-1]
    report, found = salvage(opened + data[HEADER.size : last[0]])
    assert (report.verdict, report.num_records, report.num_lost) == ("with loss", 72, None)
    assert found == data
    assert "an unknown number of records lost" in str(report)


def test_lost_ranges_lie_between_salvaged_records(salvage, original):
    data, _ = original
    damaged = without_index(data)
    batches = [bounds_of(data)[i] for i in places(data, BATCH)]
    for start, end in (batches[1], batches[2]):
        damaged = flip(damaged, (start + end) // 2)
    report, _ = salvage(damaged)
    in_batches = [lost for lost in report.lost if lost.offset in (batches[1][0], batches[2][0])]
    assert [(x.first_timestamp, x.last_timestamp) for x in in_batches] == [(115, 148)] * 2


def test_a_batch_twice(salvage, original):
    data, _ = original
    header, blocks, trailer = blocks_of(data)
    place = places(data, BATCH)[1]
    report, found = salvage(
        joined(header, [*blocks[:place], blocks[place], *blocks[place:]], trailer)
    )
    assert found == data
    assert "not in the INDEX: left out" in str(report)
    rest = [*blocks[:place], blocks[place], *blocks[place:-1]]
    report, found = salvage(joined(header, rest, trailer))
    assert found == data
    assert "INDEX" not in [finding.path for finding in report.findings]


def test_batches_out_of_order_without_an_index(salvage, original):
    data, _ = original
    header, blocks, trailer = blocks_of(data)
    a, b = places(data, BATCH)[2:4]
    swapped = list(blocks)
    swapped[a], swapped[b] = blocks[b], blocks[a]
    report, _ = salvage(joined(header, swapped[:-1], trailer))
    assert (report.num_records, report.num_lost) == (56, 16)
    (lost,) = [lost for lost in report.lost if "goes back" in lost.reason]
    assert (lost.num_records, lost.first_timestamp, lost.exact) == (16, 132, True)


def write(path, columns=None, schema=None, **options):
    place = np.arange(40)
    found = {"timestamp": 5000 + place, "phase": ["train"] * 40, "step": 1000 + place}
    cmeta.write(path, {**found, **(columns or {})}, schema, **options)
    return path.read_bytes()


def test_the_end_of_another_file(salvage, original, tmp_path):
    """An INDEX without any of the batches is another file's: it places nothing."""
    data, _ = original
    schema = cmeta.default_schema().with_batch_records(16)
    other = write(tmp_path / "other", schema=schema)
    end = bounds_of(data)[-1][0]
    report, found = salvage(data[:end] + other[bounds_of(other)[-1][0] :])
    assert found == data and report.verdict == "complete"
    assert "INDEX: CorruptError: it lacks batches that the file has" in str(report)


def test_another_file_after_this_one(salvage, original, tmp_path):
    data, _ = original
    schema = cmeta.default_schema().with_batch_records(16)
    other = write(tmp_path / "other", {"metrics.strange": np.arange(40)}, schema)
    report, found = salvage(data + other)
    assert found == data and report.len_lost > len(other) - 30
    for at in (100, bounds_of(data)[-1][0] + 40):  # its SCHEMA or its INDEX is damaged
        report, found = salvage(flip(data, at) + other)
        assert found == data, at


# ---------------------------------------------------------------------------------------- SCHEMA


def test_a_schema_that_is_lost(tmp_path):
    """A schema other than the default must be given; the CRC of the lost one confirms it."""
    path, out = tmp_path / "run.cmeta", tmp_path / "out"
    schema = cmeta.default_schema().with_metrics("mine").with_batch_records(16)
    data = write(path, {"metrics.mine": np.arange(40)}, schema)
    path.write_bytes(flip(data, 300))
    report = recover(path, out)
    assert (report.verdict, report.out, report.len_lost) == ("nothing", "", len(data))
    assert "no intact SCHEMA" in str(report) and "nothing could be salvaged" in str(report)
    report = recover(path, out, schema=schema)
    assert report.verdict == "complete" and out.read_bytes() == data
    out.unlink()
    end = bounds_of(data)[0][1]
    path.write_bytes(flip(data, end - 1))  # nothing confirms it now
    report = recover(path, out, schema=schema)
    assert report.verdict == "with loss" and out.read_bytes() == data
    assert "nothing confirms that the given schema is the file's" in str(report)
    out.unlink()
    path.write_bytes(flip(data, 300))
    report = recover(path, out, schema=cmeta.default_schema().with_metrics("x", "y"))
    assert report.verdict == "nothing" and "nothing confirms" in str(report)
    assert {p.name for p in tmp_path.iterdir()} == {"run.cmeta"}


@pytest.mark.parametrize("batch_records", [16, 4096, 65536])
def test_the_default_schema_is_found_again(tmp_path, batch_records):
    path, out = tmp_path / "run.cmeta", tmp_path / "out"
    data = write(path, schema=cmeta.default_schema().with_batch_records(batch_records))
    path.write_bytes(flip(data, 300))
    if batch_records > 4096:  # no full batch gives the size
        assert recover(path, out).verdict == "nothing"
    else:
        assert recover(path, out).verdict == "complete"
        assert out.read_bytes() == data


def test_an_intact_schema_is_not_replaced_by_a_given_one(salvage, original):
    _, found = salvage(original[0], schema=cmeta.default_schema().with_metrics("other"))
    assert found == original[0]


def test_a_file_of_another_major_version(salvage, original):
    """A header alone may be damaged; where the INDEX agrees nothing is read."""
    data, _ = original
    other = take_apart(data)
    report, found = salvage(other.__class__(other.blocks, version=0x0200).build())
    assert (report.verdict, found) == ("nothing", None)
    assert "UnsupportedVersionError" in str(report)
    report, found = salvage(HEADER.pack(0x0C0DA55E, 0x0300, 72) + data[HEADER.size :])
    assert found == data
    assert "UnsupportedVersionError" in str(report)


def test_nothing_is_ever_written_over(original, tmp_path):
    path = tmp_path / "run.cmeta"
    path.write_bytes(original[0])
    with pytest.raises(ExistsError, match="never writes over"):
        recover(path, path)
    assert path.read_bytes() == original[0]


def test_kinds_that_the_original_has(original):
    kinds = {original[0][start] for start, _ in bounds_of(original[0])}
    assert kinds == {SCHEMA, CONFIG, NAME, BATCH, INDEX}
