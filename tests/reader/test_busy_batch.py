"""A batch that a writer has replaced since the file was opened."""

import pytest

import cmeta
from cmeta.errors import BusyError


def test_the_last_batch_of_a_file_that_was_resumed_is_busy_and_not_corrupt(tmp_path):
    path = tmp_path / "run.cmeta"
    schema = cmeta.default_schema().with_batch_records(64)
    with cmeta.Recorder(path, schema) as rec:
        for _ in range(10):
            rec.log("train", loss=1.0)
    with cmeta.open(path) as run:
        run.field("loss")
        with cmeta.Recorder(path, schema, mode="resume") as rec:
            for _ in range(1):
                rec.log("train", loss=1.0)
        with pytest.raises(BusyError):
            list(run)
