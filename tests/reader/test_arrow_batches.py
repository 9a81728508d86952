"""Arrow batches: one schema, known beforehand; one batch of the file at a time; and what goes wrong."""

import tracemalloc

import numpy as np
import pyarrow as pa
import pytest

import cmeta
from tests.reader.arrow_values import assert_same_table, assert_table

# --------------------------------------------------------------------------------- a stream

QUESTIONS = {
    "everything": {},
    "a range": {"start": 85, "end": 400},
    "a range within a batch": {"start": 100, "end": 130},
    "before a late metric": {"end": 200},
    "just before it, within its first batch": {"end": 250},
    "a phase": {"phase": "validate"},
    "phases that do not occur": {"phase": ["dream", "test"]},
    "an empty range": {"start": 101, "end": 109},
    "fields in another order": {"fields": ["metrics.late", "phase", "loss_value", "phase"]},
    "declared fields": {"fields": ["epoch", "tensor_signature"], "phase": "train", "start": 155},
    "no fields": {"fields": []},
}


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_a_stream_has_the_schema_and_the_values_of_the_table(run, question):
    table, stream = run.to_arrow(**question), run.arrow_batches(**question)
    assert stream.schema.equals(table.schema, check_metadata=True)
    batches = list(stream)
    assert all(batch.schema.equals(table.schema, check_metadata=True) for batch in batches)
    assert all(batch.num_rows for batch in batches)
    assert_same_table(pa.Table.from_batches(batches, table.schema), table)


def test_a_late_metric_is_null_before(run):
    first, *_, last = run.arrow_batches()
    assert first["metrics.late"].null_count == first.num_rows == 16
    assert last["metrics.late"].null_count == 0


def test_one_batch_at_a_time_is_decoded(run):
    stream = run.arrow_batches(["loss_value"])
    assert run.stats.num_batches == 0
    next(stream)
    assert run.stats.num_batches == 1
    next(stream)
    assert run.stats.num_batches == 2


def test_a_stream_does_not_hold_what_it_has_given(tmp_path):
    num = 40 * 1024
    schema = cmeta.default_schema().with_batch_records(1024)
    values = {
        "phase": np.ones(num, int),
        "tensor_signature": np.tile(np.eye(3) / 7, (num // 3 + 1, 1))[:num],
    }
    values |= {f"metrics.{i}": np.arange(num) for i in range(6)}
    cmeta.write(tmp_path / "run.cmeta", values, schema)
    with cmeta.open(tmp_path / "run.cmeta") as run:
        len_table = run.to_arrow().nbytes
        tracemalloc.start()
        rows = sum(batch.num_rows for batch in run.arrow_batches())
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert rows == num
    assert peak < len_table / 3


def test_nothing_but_the_range_is_looked_at(run):
    list(run.arrow_batches(start=90, end=160))
    assert run.stats.num_batches == 2  # once for the fields, once for the values


# ------------------------------------------------------------------------- what goes wrong


def test_what_cannot_be_answered_is_refused_as_by_read(run):
    for method in (run.to_arrow, run.arrow_batches, run.to_pandas, run.to_polars):
        with pytest.raises(KeyError, match="no field 'nope'"):
            method(["nope"])
        with pytest.raises(ValueError, match="no phase 'nope'"):
            method(phase="nope")
    for method in (run.to_arrow, run.to_pandas, run.to_polars):
        with pytest.raises(cmeta.LimitError, match="more than max_bytes"):
            method(max_bytes=1000)


def test_a_batch_that_is_too_large_is_refused(run):
    per_batch = 16 * (4 + 1)
    assert len(list(run.arrow_batches(["loss_value"], max_bytes=per_batch))) == 7
    with pytest.raises(cmeta.LimitError, match="more than max_bytes"):
        list(run.arrow_batches(["loss_value"], max_bytes=per_batch - 1))


def test_a_damaged_file_answers_what_is_intact(data, blocks, damage, records):
    ends = [end for kind, _, end in blocks if kind == "BATCH"]
    torn = data[: ends[3]]
    with cmeta.open(torn) as run:
        for method in (run.to_arrow, run.arrow_batches):
            with pytest.raises(cmeta.TruncatedError, match="64 records before it are intact"):
                method(["epoch"])
        assert_table(run.to_arrow(end=100), run, records[:20])
        assert_table(pa.Table.from_batches(run.arrow_batches(end=100)), run, records[:20])
    with cmeta.open(torn, partial=True) as run:
        assert run.to_arrow().num_rows == 64
        assert sum(batch.num_rows for batch in run.arrow_batches()) == 64


def test_a_corrupt_batch_ends_a_stream_with_its_own_error(data, blocks, damage):
    third = [end for kind, _, end in blocks if kind == "BATCH"][2]
    with cmeta.open(damage(data, third - 20)) as run:
        stream = run.arrow_batches(["epoch"])
        assert [next(stream).num_rows, next(stream).num_rows] == [16, 16]
        with pytest.raises(cmeta.ChecksumError) as caught:
            next(stream)
        assert caught.value.path.startswith("BATCH")
        assert caught.value.offset > 0
        with pytest.raises(cmeta.ChecksumError):
            run.arrow_batches()
        with pytest.raises(cmeta.ChecksumError):
            run.to_arrow()


def test_an_open_file_gives_its_journal_s_records_too(tmp_path, records):
    schema = cmeta.default_schema().with_batch_records(16).with_phases("test")
    with cmeta.Recorder(tmp_path / "run.cmeta", schema=schema) as rec:
        for record in records[:40]:
            rec.log(record.phase, step=7, loss=record.loss_value, timestamp=record.timestamp)
        rec.flush()
        with cmeta.open(tmp_path / "run.cmeta") as run:
            assert run.state == "open"
            assert_table(run.to_arrow(), run, list(run))
            stream = pa.Table.from_batches(run.arrow_batches())
            assert stream.num_rows == 40
            assert_same_table(stream, run.to_arrow())
