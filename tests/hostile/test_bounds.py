"""A small file may claim much: what it claims is refused, or memory stays that of one column."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

import cmeta
from cmeta.schema.language import Group, RecordField
from cmeta.schema.load import shipped_format
from cmeta.testing.values import to_bytes
from tests.hostile import test_lies_of_files as lies
from tests.hostile.columns import body_of, column_of, constant, run, zigzag
from tests.hostile.outcome import findings, outcome
from tests.hostile.reseal import BATCH, Block, take_apart
from tests.hostile.samples import schema_of

MIB = 2**20
LIMITS = shipped_format().limits
MOST = LIMITS.batch_records_max


def peak_of(function, *args, **options):
    """Return what a call gives, and the bytes that it held at most."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        found = function(*args, **options)
        return found, tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@pytest.mark.usefixtures("no_hang")
@pytest.mark.parametrize("lie", lies.EVERY, ids=lambda lie: lie.what)
def test_a_lie_costs_a_small_multiple_of_its_bytes(lie):
    for look in (outcome, cmeta.validate):
        _, peak = peak_of(look, lie.data)
        assert peak < MIB + 16 * len(lie.data)


def bomb(num_batches, num_columns=1, type_="f64", records=MOST):
    """Batches of one and the same record, over and over: a few bytes a column."""
    fields = [RecordField(name=f"x{i}", type=type_) for i in range(num_columns)]
    schema = schema_of(*fields, batch_records=records)
    few = to_bytes({"timestamp": [5], "phase": [0], **{f.name: [1] for f in fields}}, schema)
    file = take_apart(few)
    value = column_of(constant(zigzag(1000000, 4) if type_ == "f64" else zigzag(1, 1)))
    columns = [column_of(constant(zigzag(5, 1))), column_of(constant()), *[value] * num_columns]
    batch = Block(BATCH, body_of(columns, head=(records, 5, 5)))
    blocks = (file.blocks[0], *[batch] * num_batches)
    return replace(file, blocks=blocks, records_count=None, batch_records=records).build()


def test_an_answer_beyond_max_bytes_is_refused_before_it_is_made():
    data = bomb(4000, num_columns=20)
    assert len(data) < 2 * MIB
    reader, peak = peak_of(cmeta.open, data)
    assert len(reader) == 4000 * MOST
    assert peak < MIB + 4 * len(data)
    for options in ({}, {"max_bytes": MIB}, {"codes": True}, {"threads": 4}, {"phase": "a"},
                    {"fields": ["x0", "x1"], "max_bytes": 1000 * MOST}):  # fmt: skip
        with pytest.raises(cmeta.LimitError) as caught:
            peak_of(reader.read, **options)
        assert caught.value.path == "read"
    assert reader.stats.num_batches == 0
    assert tracemalloc.is_tracing() is False


def test_a_query_beyond_max_bytes_is_refused_before_it_is_made():
    reader = cmeta.open(bomb(4000, num_columns=20))
    with pytest.raises(cmeta.LimitError):
        reader.query_range(0, 10, max_bytes=MIB)
    assert reader.stats.num_batches == 0


def test_what_is_asked_for_is_given_up_to_max_bytes():
    reader = cmeta.open(bomb(3))
    size = 3 * MOST * (8 + 1)
    with pytest.raises(cmeta.LimitError):
        reader.read(["x0"], max_bytes=size - 1)
    found, peak = peak_of(reader.read, ["x0"], max_bytes=size)
    assert found["x0"].tolist() == [1.0] * 3 * MOST
    assert peak < size + 12 * MOST * 8


def test_validating_holds_one_column_at_a_time():
    data = bomb(2, num_columns=60)
    assert len(data) < 8192
    report, peak = peak_of(cmeta.validate, data, canonical=False)
    assert report.ok
    assert peak < 24 * MOST * 8
    report, peak = peak_of(cmeta.validate, data)
    assert report.ok
    assert peak < 48 * MOST * 8  # the four forms of a column, and what they are priced with


def test_iterating_holds_less_than_all_objects_of_a_batch():
    data = bomb(2, num_columns=20)
    record, peak = peak_of(lambda: next(iter(cmeta.open(data))))
    assert record.extra["x19"] == 1.0
    assert peak < 22 * MOST * 12 + 12 * MOST * 8  # the arrays, and objects of some of their rows


def test_as_many_cells_as_the_format_allows_and_one_batch_more():
    """65,536 records of 256 columns are 2^24 cells; a column more is refused, however small."""
    assert LIMITS.cells_max == MOST * 256
    most = bomb(1, num_columns=254, type_="u8")
    reader = cmeta.open(most)
    assert reader.read(["x253"])["x253"].tolist() == [1] * MOST
    with pytest.raises(cmeta.SchemaError):
        schema_of(*[RecordField(name=f"x{i}", type="u8") for i in range(255)], batch_records=MOST)


def test_undeclared_metrics_count_as_cells_too():
    """A schema with one column to spare, and a batch with two undeclared metrics."""
    fields = [RecordField(name=f"x{i}", type="u8") for i in range(253)]
    schema = schema_of(*fields, groups=(Group(name="m", open=True),),
                       batch_records=MOST)  # fmt: skip
    file = take_apart(to_bytes({"phase": [0], "m.a": [1.0], "m.bb": [1.0]}, schema))
    value = column_of(constant())
    batch = body_of([value, value, *[b""] * 253, value, value], head=(MOST, 0, 0),
                    lengths=[3, 3, *[0] * 253], undeclared=[(0, 3), (1, 3)])  # fmt: skip
    place = file.place_of(BATCH)
    data = replace(file.with_body(place, batch), records_count=None).build()
    found, peak = peak_of(outcome, data)
    assert isinstance(found, cmeta.LimitError)
    assert found.path == "BATCH[0].num_undeclared"
    assert peak < MIB + 16 * len(data)
    assert findings(data).findings[0].kind == "LimitError"


@pytest.mark.parametrize(
    "stream",
    [
        column_of(run(), b"\x01", bytes(MIB)),  # quotients that never end
        column_of(run(), b"\x01", b"\xff" * MIB),  # too many of them
        column_of(run(), b"\x40", bytes(MIB)),
        column_of(run(sparse=1, count=b"\x0c"), b"\x01\x01", bytes(MIB)),
        bytes(MIB),
        b"\xff" * MIB,
    ],
)
def test_a_large_column_of_few_records_costs_a_small_multiple_of_its_bytes(stream):
    file = take_apart(
        to_bytes(
            {"phase": [0] * 16, "x": np.arange(16)}, schema_of(RecordField(name="x", type="u8"))
        )
    )
    place = file.place_of(BATCH)
    columns = [column_of(run(form=2, sparse=1, step=zigzag(1, 1))), column_of(constant()), stream]
    data = file.with_body(place, body_of(columns)).build()
    found, peak = peak_of(outcome, data)
    assert isinstance(found, cmeta.DecodeError)
    assert found.path == "BATCH[0].x"
    assert peak < 24 * len(data)


@pytest.mark.parametrize("kind", ["residuals", "sparse", "palette"])
def test_a_column_of_65536_records_costs_some_columns(kind):
    """However much its header claims: a count is held against the records before it is used."""
    streams = {
        "residuals": column_of(run(), b"\x01" * (MOST // 128), b"\xff" * (MOST // 8)),
        "sparse": column_of(run(sparse=1, count=b"\xff" * 8), bytes(64)),
        "palette": column_of(b"\xff\xff", constant(), constant(), flags=2),
    }
    data = bomb(1)
    file = replace(take_apart(data), batch_records=MOST)
    columns = [column_of(constant(zigzag(5, 1))), column_of(constant()), streams[kind]]
    file = file.with_body(1, body_of(columns, head=(MOST, 5, 5)))
    report, peak = peak_of(cmeta.validate, file.build(), canonical=False)
    assert report.ok == (kind == "residuals")
    assert peak < 100 * MOST  # a dozen columns of u64


def test_opening_does_not_read_the_batches():
    data = bomb(4000)
    reader = cmeta.open(data)
    read = reader.len_read
    assert read < len(data)
    assert reader.stats.num_batches == 0
    assert len(reader.read(["timestamp"], start=6)["timestamp"]) == 0
    assert reader.stats.num_batches == 0
