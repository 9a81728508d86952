"""The size of an answer is computed before it is made."""

import numpy as np
import pytest

import cmeta
from cmeta import LimitError

# Bytes a record: the values, and one for its presence; names are UCS-4.
SIZES = [
    (["loss_value"], {}, 4 + 1),
    (["tensor_signature"], {}, 12 + 1),
    (["metrics.late"], {}, 8 + 1),
    (["loss_value", "seed_state"], {}, 4 + 1 + 8 + 1),
    (["phase"], {"codes": True}, 1 + 1),
    (["phase"], {}, 1 + 1 + 4 * len("validate")),
]


@pytest.mark.parametrize(("fields", "options", "per_record"), SIZES)
def test_an_answer_may_take_as_much_as_was_said(run, fields, options, per_record):
    assert run.read(fields, **options, max_bytes=100 * per_record).num_records == 100
    with pytest.raises(LimitError) as caught:
        run.read(fields, **options, max_bytes=100 * per_record - 1)
    for word in (
        f"{100 * per_record:,} bytes (100 records of {per_record})",
        f"max_bytes = {100 * per_record - 1:,}",
        "read a range, fewer fields, or raise max_bytes",
    ):
        assert word in caught.value.message


def test_nothing_is_read_for_an_answer_that_is_refused(run):
    with pytest.raises(LimitError):
        run.read(["loss_value"], max_bytes=10)
    assert run.stats.num_batches == 0


def test_a_range_is_sized_by_its_batches(run):
    assert run.read(["loss_value"], 90, 160, max_bytes=16 * 5).num_records == 16
    with pytest.raises(LimitError, match="32 records"):
        run.read(["loss_value"], 80, 90, max_bytes=16 * 5)


def test_a_list_of_records_is_sized_too(run, records):
    with pytest.raises(LimitError) as caught:
        run.query_range(80, 90, max_bytes=16 * 1000)
    for word in ("32 records of", "max_bytes = 16,000", "iterate, read a range, or raise"):
        assert word in caught.value.message
    assert run.stats.num_batches == 0
    per_record = int(caught.value.message.split("records of ")[1].split(")")[0])
    assert run.query_range(80, 90, max_bytes=32 * per_record) == records[14:18]
    with pytest.raises(LimitError):
        run.query_range(80, 90, max_bytes=32 * per_record - 1)


def test_a_small_file_may_stand_for_much(tmp_path):
    """A million constants take a few kilobytes; their answer is refused before it is made."""
    path = tmp_path / "run.cmeta"
    chunk = {"phase": np.zeros(65536, int), "timestamp": np.zeros(65536, int)}
    schema = cmeta.default_schema().with_batch_records(65536)
    cmeta.write(path, [chunk] * 16, schema)
    assert path.stat().st_size < 6000
    with cmeta.open(path) as run:
        assert len(run) == 2**20
        with pytest.raises(LimitError):
            run.read(max_bytes=2**20)
        assert run.read(["timestamp"], max_bytes=2**20 * 9).num_records == 2**20
