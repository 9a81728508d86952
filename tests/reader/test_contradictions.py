"""Files in which every checksum is right, but something else is not: BATCH, CONFIG and NAME."""

import numpy as np
import pytest

import cmeta
from cmeta import CorruptError, DecodeError, LimitError, TruncatedError

PHASE, STATE, SIGNATURE, LOSS, CONFIG, ACCURACY = 1, 10, 11, 14, 18, 22  # places of columns
ENTRY = np.dtype([("name_number", "<u4"), ("len_column", "<u4")])


def batch(**changes):
    """Return an edit that changes fields of the first BATCH."""

    def edit(crafted):
        fields = crafted.batch()
        found = {name: change(fields) if callable(change) else change
                 for name, change in changes.items()}  # fmt: skip
        crafted.put_batch(fields | found)

    return edit


def column(place, text, ordinal=0):
    """Return an edit that replaces a column of a BATCH, given as hex."""
    return lambda crafted: crafted.put_column(place, bytes.fromhex(text), ordinal)


def entries(*pairs):
    return np.array(list(pairs), ENTRY)


def first_block(name, body):
    """Return an edit that gives the first block of a kind another body."""

    def edit(crafted):
        next(block for block in crafted.blocks if block[0] == name)[1] = body

    return edit


def with_lengths(change):
    def lengths(fields):
        found = fields["len_columns"].copy()
        found[0] = (int(found[0]) + change) % 2**32
        return found

    return lengths


CONSTANT = "000c0006"  # 3 throughout
ABSENT = "01000c0008"  # absent throughout
B = "BATCH[0]"

BATCHES = {
    "lengths beyond the columns": (
        batch(len_columns=with_lengths(1)), CorruptError, f"{B}.len_columns", "expected",
    ),
    "lengths short of the columns": (
        batch(len_columns=with_lengths(-1)), CorruptError, f"{B}.len_columns", "bytes of columns, expected",
    ),
    "a length of 4 GiB": (
        batch(len_columns=with_lengths(2**32 - 100)), CorruptError, f"{B}.len_columns",
        "bytes of columns, expected",
    ),
    "a name of which nobody knows": (
        batch(undeclared=lambda f: entries((5, f["undeclared"]["len_column"][0]))),
        CorruptError, f"{B}.undeclared", "found name 5, but only 1 NAME blocks",
    ),
    "an undeclared column of no bytes": (
        batch(undeclared=entries((0, 0)), columns=lambda f: f["columns"][:-1]),
        CorruptError, f"{B}.undeclared", "length 0",
    ),
    "no timestamps": (column(0, ""), CorruptError, f"{B}.timestamp", "found no column, expected one"),
    "no phases": (column(PHASE, ""), CorruptError, f"{B}.phase", "found no column, expected one"),
    "other first timestamps": (
        batch(first_timestamp=11), CorruptError, f"{B}.timestamp", "10 to 80, expected",
    ),
    "other last timestamps": (
        batch(last_timestamp=79), CorruptError, f"{B}.timestamp", "10 to 80, expected",
    ),
    "a vector that lacks a component": (
        column(SIGNATURE + 1, ""), CorruptError, f"{B}.tensor_signature", "only some components are absent",
    ),
    "a vector whose components differ": (
        column(SIGNATURE + 1, ABSENT), CorruptError, f"{B}.tensor_signature", "only some components are absent",
    ),
    "a configuration that comes later": (
        column(CONFIG, "00" "0c00" "02"), CorruptError, f"{B}.config",
        "found configuration 1, but only 1 CONFIG blocks",
    ),
    "a state without a name": (
        column(STATE, "00" "0c00" "08"), CorruptError, f"{B}.metrics.state",
        "value 4, expected 0 to 3",
    ),
    "bytes behind a column": (
        column(LOSS, "00" "0c00" "06" "00"), CorruptError, f"{B}.loss_value",
        "1 bytes after the last quotient",
    ),
    "a column that is cut off": (
        column(LOSS, "00" "0c00"), TruncatedError, f"{B}.loss_value", "a run header is cut off",
    ),
    "a component that is cut off": (
        column(SIGNATURE + 2, "00"), TruncatedError, f"{B}.tensor_signature[2]", "is cut off",
    ),
    "an undeclared column that is cut off": (
        column(ACCURACY, "00"), TruncatedError, f"{B}.metrics.accuracy", "is cut off",
    ),
    "timestamps that go back": (
        # F0, base 10, divisor 10, K = 0, 1 ... 7, 7, 6, 6 ...: first and last are as stated
        lambda crafted: crafted.put_column(0, timestamps_that_go_back()), CorruptError,
        f"{B}.timestamp", "record 2 goes back in (timestamp, phase)",
    ),
    "no body": (first_block("BATCH", b""), DecodeError, "", ""),
    "a body of a head": (first_block("BATCH", bytes(20)), DecodeError, "", ""),
    "an open configuration": (
        first_block("CONFIG", b"[1]"), CorruptError, "CONFIG", "of type list, expected an object",
    ),
    "a configuration with spaces": (
        first_block("CONFIG", b'{"lr": 0.1}'), CorruptError, "CONFIG", "not canonical JSON",
    ),
    "a configuration of 33 levels": (
        first_block("CONFIG", b'{"a":' * 33 + b"1" + b"}" * 33), LimitError, "CONFIG",
        "nested beyond 32 levels",
    ),
    "a configuration that is no JSON": (
        first_block("CONFIG", b"{"), CorruptError, "CONFIG", "not JSON",
    ),
    "an empty name": (first_block("NAME", b""), CorruptError, "NAME", "0 bytes, expected 1 to 255"),
    "a long name": (first_block("NAME", b"a" * 256), CorruptError, "NAME", "256 bytes, expected 1"),
    "a name that is no UTF-8": (first_block("NAME", b"a\xff"), CorruptError, "NAME", "not UTF-8"),
    "the name of a declared metric": (
        first_block("NAME", b"entropy"), CorruptError, "NAME", "'entropy' is a declared metric",
    ),
    "a name twice": (
        first_block("NAME", b"late"), CorruptError, "NAME", "found the name 'late' twice",
    ),
}  # fmt: skip


def timestamps_that_go_back():
    """Return a column of 10, 20, 10, 80 throughout: quotients of k = 0."""
    quotients = [0, 1, 0, *[7] * 13]
    ones = np.cumsum(np.array(quotients) + 1) - 1
    bits = np.zeros(int(ones[-1]) + 1, np.uint8)
    bits[ones] = 1
    tail = np.packbits(bits, bitorder="little").tobytes()
    return bytes.fromhex("004800140901") + tail


@pytest.mark.parametrize(("edit", "kind", "place", "words"), BATCHES.values(), ids=BATCHES)
def test_reading_raises_and_validating_reports(crafted, edit, kind, place, words):
    edit(crafted)
    content = crafted.build()
    with pytest.raises(kind) as caught, cmeta.open(content) as run:
        run.read()
    assert words in caught.value.message
    assert caught.value.path.startswith(place)
    assert 10 <= caught.value.offset < len(content)
    report = cmeta.validate(content)
    assert not report.ok
    same = [f for f in report.findings if f.kind == type(caught.value).__name__]
    assert [f for f in same if (f.offset, f.path) == (caught.value.offset, caught.value.path)]


def test_names_that_do_not_ascend(crafted):
    """Batch 3 is the first with two undeclared metrics."""
    fields = crafted.batch(3)
    assert fields["undeclared"]["name_number"].tolist() == [0, 1]
    fields["undeclared"] = fields["undeclared"].copy()
    fields["undeclared"]["name_number"] = [1, 1]
    crafted.put_batch(fields, 3)
    with cmeta.open(crafted.build()) as run:
        assert run.query_range(10, 240)
        with pytest.raises(CorruptError, match="name numbers do not ascend strictly") as caught:
            run.query_range(250, 250)
    assert caught.value.path == "BATCH[3].undeclared"


def test_more_columns_than_a_batch_may_have(crafted):
    num = 4096 - crafted.num_columns + 1
    fields = crafted.batch()
    fields["undeclared"] = entries(*((i, 1) for i in range(num)))
    fields |= {"num_undeclared": num, "columns": [*fields["columns"][:-1], bytes(num)]}
    crafted.put_batch(fields)
    with cmeta.open(crafted.build()) as run, pytest.raises(LimitError) as caught:
        run.read()
    assert "4,097 columns of 16 records, expected at most 4,096 columns" in caught.value.message
    assert caught.value.path == "BATCH[0].num_undeclared"


def test_a_count_of_undeclared_columns_beyond_the_block(crafted):
    fields = crafted.batch()
    body = crafted.blocks[3][1]
    at = 4 + 8 + 8 + 4 * crafted.num_columns
    assert int.from_bytes(body[at : at + 4], "little") == fields["num_undeclared"] == 1
    crafted.blocks[3][1] = body[:at] + b"\xff" * 4 + body[at + 4 :]
    with cmeta.open(crafted.build()) as run, pytest.raises(TruncatedError) as caught:
        run.read()
    assert "4294967295 items of 8 bytes, but only" in caught.value.message
    assert caught.value.path == "BATCH[0].undeclared"


def test_only_the_column_that_is_wanted_is_decoded(crafted):
    crafted.put_column(LOSS, b"\x00")
    with cmeta.open(crafted.build()) as run:
        assert run.read(["metrics.entropy", "epoch"]).num_records == 100
        with pytest.raises(TruncatedError):
            run.read(["loss_value"])


def test_undeclared_metrics_where_no_group_is_open(crafted):
    schema = cmeta.default_schema().with_batch_records(16)
    closed = schema.embedded.replace(b',"open":true', b"")
    assert closed != schema.embedded
    crafted.blocks[0][1] = closed
    with cmeta.open(crafted.build()) as run:
        assert run.schema.open_group is None
        with pytest.raises(
            CorruptError, match="undeclared metrics, but no group is open"
        ) as caught:
            run.read()
    assert caught.value.path == "BATCH[0].num_undeclared"
