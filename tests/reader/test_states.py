"""Files that are not closed, and files that are damaged: read as far as they are intact."""

import struct

import pytest

import cmeta
from cmeta import ChecksumError, CorruptError, DecodeError, TruncatedError

LEN_HEADER, LEN_TRAILER = 10, 8


def ends_of(blocks, kind):
    return [end for name, _, end in blocks if name == kind]


# ---------------------------------------------------------------------------------- open files


def test_an_open_file_is_read_up_to_its_last_full_batch(open_data, records):
    with cmeta.open(open_data) as run:
        assert run.state == "open"
        assert run.problem is None
        assert run.header.is_open
        assert run.header.records_count == 0xFFFFFFFF
        assert len(run) == 96
        assert len(run.batches) == 6
        assert list(run) == records[:96]
        assert run.query_range(90, 160) == records[16:32]
        assert run.read(["seed_state"])["seed_state"].tolist() == [
            record.seed_state for record in records[:96]
        ]
        assert run.configs == ({"lr": 0.1}, {"lr": 0.01})
        assert repr(run).endswith(": open, 96 records>")


def test_an_open_file_without_batches(open_data, blocks):
    begin = open_data[: ends_of(blocks, "SCHEMA")[0]]
    with cmeta.open(begin) as run:
        assert (run.state, run.problem, len(run), list(run)) == ("open", None, 0, [])
        assert run.read().num_records == 0


@pytest.mark.parametrize("missing", [1, 8, 100])
def test_a_torn_tail_is_named_and_left_out(open_data, blocks, records, missing):
    with cmeta.open(open_data[:-missing]) as run:
        assert run.state == "open"
        assert isinstance(run.problem, DecodeError)
        assert run.problem.offset >= ends_of(blocks, "BATCH")[4]
        assert len(run) == 80
        assert list(run) == records[:80]
        assert run.read(["timestamp"]).num_records == 80


def test_a_tail_of_some_bytes(open_data, records):
    with cmeta.open(open_data + b"\x04\x01\0") as run:
        assert (run.state, len(run)) == ("open", 96)
        assert isinstance(run.problem, TruncatedError)
        assert run.problem.offset >= len(open_data)
        assert list(run) == records[:96]


def test_a_block_that_is_damaged_ends_an_open_file(open_data, blocks, records, damage):
    at = ends_of(blocks, "BATCH")[2]
    with cmeta.open(damage(open_data, at - 20)) as run:
        assert (run.state, len(run)) == ("open", 32)
        assert isinstance(run.problem, ChecksumError)
        assert list(run) == records[:32]


def test_a_file_whose_closing_was_interrupted_is_open(data, records):
    """INDEX and trailer stand, but the header still says that the file is open."""
    interrupted = data[:6] + struct.pack("<I", 0xFFFFFFFF) + data[10:]
    with cmeta.open(interrupted) as run:
        assert (run.state, len(run)) == ("open", 100)
        assert list(run) == records


# -------------------------------------------------------------------------------- damaged files


def cut_in_batch(data, blocks):
    return data[: ends_of(blocks, "BATCH")[4] - 30]


def cut_between_blocks(data, blocks):
    return data[: ends_of(blocks, "BATCH")[3]]


DAMAGE = {
    "cut within a batch": (cut_in_batch, 64),
    "cut between blocks": (cut_between_blocks, 64),
    "without the trailer": (lambda data, blocks: data[:-LEN_TRAILER], 100),
    "without the last byte": (lambda data, blocks: data[:-1], 100),
    "with a byte more": (lambda data, blocks: data + b"\0", 100),
    "a wrong count": (lambda data, blocks: data[:6] + b"\x63" + data[7:], 100),
    "a torn index": (lambda data, blocks: data[:-40] + bytes(16) + data[-24:], 100),
}


@pytest.fixture(params=DAMAGE.values(), ids=DAMAGE)
def damaged(request, data, blocks):
    """Return the bytes of a damaged file, and how many records are intact."""
    how, num_intact = request.param
    return how(data, blocks), num_intact


def test_a_damaged_file_says_so(damaged):
    content, num_intact = damaged
    with cmeta.open(content) as run:
        assert run.state == "damaged"
        assert isinstance(run.problem, DecodeError)
        assert 0 <= run.problem.offset <= len(content)
        assert run.problem.path
        assert len(run) == num_intact


def test_its_problem_is_raised_for_what_it_cannot_answer(damaged):
    content, num_intact = damaged
    with cmeta.open(content) as run:
        for ask in (
            run.read,
            lambda: run.read(["loss_value"], start=0),
            lambda: run.read(["loss_value"], end=10**6),
            lambda: run.query_range(None, None),
            lambda: run.query_range(0, run.batches[-1].last_timestamp),
            lambda: run.query_range(10**6, 10**7),
        ):
            with pytest.raises(type(run.problem)) as caught:
                ask()
            assert caught.value.offset == run.problem.offset
            assert caught.value.path == run.problem.path
            assert f"{num_intact} records before it are intact" in caught.value.message
            assert "partial=True" in caught.value.message
            assert caught.value.message.count("partial=True") == 1


def test_a_range_that_the_intact_part_answers_is_answered(damaged, records):
    content, num_intact = damaged
    last = records[num_intact - 1].timestamp
    expected = [record for record in records if 90 <= record.timestamp < last]
    with cmeta.open(content) as run:
        assert run.query_range(90, last - 1) == expected
        assert run.read(["timestamp"], 90, last - 1).num_records == len(expected)


def test_partial_gives_what_is_intact(damaged, records):
    content, num_intact = damaged
    with cmeta.open(content, partial=True) as run:
        assert run.state == "damaged"
        assert list(run) == records[:num_intact]
        assert run.read(["timestamp"]).num_records == num_intact
        assert run.query_range(10**6, None) == []


def test_iterating_gives_the_intact_records_first(damaged, records):
    content, num_intact = damaged
    with cmeta.open(content) as run:
        iterator = iter(run)
        assert [next(iterator) for _ in range(num_intact)] == records[:num_intact]
        with pytest.raises(DecodeError, match="partial=True"):
            next(iterator)


def test_a_damaged_file_without_batches(data, blocks):
    with cmeta.open(data[: ends_of(blocks, "SCHEMA")[0]]) as run:
        assert (run.state, len(run)) == ("damaged", 0)
        with pytest.raises(DecodeError, match="0 records before it"):
            run.query_range(0, 5)
    with cmeta.open(data[: ends_of(blocks, "SCHEMA")[0]], partial=True) as run:
        assert list(run) == []


@pytest.mark.parametrize(
    ("change", "offset", "place", "words"),
    [
        (lambda data: data[:-1], -8, "trailer", "7 bytes left, expected 8"),
        (lambda data: data[:-8], -8, "trailer", "0 bytes left, expected 8"),
        (lambda data: data + b"\0\0", 0, "trailer", "2 bytes after the trailer"),
    ],
)
def test_what_stands_behind_the_index_is_named(data, change, offset, place, words):
    with cmeta.open(change(data)) as run:
        assert (run.state, len(run)) == ("damaged", 100)
        assert (run.problem.offset, run.problem.path) == (len(data) + offset, place)
        assert words in run.problem.message


# ---------------------------------------------------------- closed, but a block of it is damaged


def test_only_who_reads_a_damaged_batch_is_told(data, blocks, damage, records):
    at, end = [(at, end) for name, at, end in blocks if name == "BATCH"][2]
    content = damage(data, end - 12)
    with cmeta.open(content) as run:
        assert run.state == "closed"
        assert run.query_range(10, 160) == records[:32]
        assert run.query_range(250, 500) == records[48:]
        for ask in (run.read, lambda: run.query_range(170, 170), lambda: list(run)):
            with pytest.raises(ChecksumError) as caught:
                ask()
            assert (caught.value.offset, caught.value.path) == (at, "BATCH[2].masked_crc")


def test_blocks_that_changed_places(data, blocks):
    """Two batches of the same length pass their own CRC, but not the INDEX."""
    batches = [(at, end) for name, at, end in blocks if name == "BATCH"]
    first, second = data[slice(*batches[1])], data[slice(*batches[2])]
    swapped = data[: batches[1][0]] + second + first + data[batches[2][1] :]
    with cmeta.open(swapped) as run:
        assert run.state == "closed"
        with pytest.raises(CorruptError) as caught:
            list(run)
        assert caught.value.offset >= batches[1][0]


@pytest.mark.parametrize("kind", ["CONFIG", "NAME"])
def test_a_damaged_configuration_or_name(data, blocks, damage, kind):
    at, end = next((at, end) for name, at, end in blocks if name == kind)
    with cmeta.open(damage(data, end - 9)) as run:
        assert run.read(["loss_value"]).num_records == 100
        with pytest.raises(ChecksumError) as caught:
            run.read()
        assert (caught.value.offset, caught.value.path) == (at, f"{kind}[0].masked_crc")


def test_a_damaged_schema_cannot_be_opened(data, blocks, damage):
    with pytest.raises(ChecksumError) as caught:
        cmeta.open(damage(data, 100))
    assert (caught.value.offset, caught.value.path) == (LEN_HEADER, "SCHEMA.masked_crc")


def test_a_file_that_shrinks_while_it_is_read(path, data, tmp_path):
    copy = tmp_path / "run.cmeta"
    copy.write_bytes(data)
    with cmeta.open(copy) as run:
        copy.write_bytes(data[:2000])
        with pytest.raises(cmeta.BusyError, match="its writer changed it") as caught:
            run.read()
    cause = caught.value.__cause__
    assert isinstance(cause, TruncatedError)
    assert "the file shrank" in str(cause)
    assert cause.offset >= 1000
