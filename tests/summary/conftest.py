"""Runs to summarise."""

import numpy as np
import pytest

import cmeta

BATCH_RECORDS = 16


@pytest.fixture
def schema():
    """Small batches, and fields of every type, without rounding."""
    return (
        cmeta.default_schema()
        .with_batch_records(BATCH_RECORDS)
        .with_options("loss_value", exact=True)
        .with_metrics(
            wide={"type": "f64", "exact": True},
            whole={"type": "i64"},
            flag={"type": "bool"},
            vector={"type": "f64[3]", "exact": True},
        )
    )


@pytest.fixture
def write(tmp_path, schema):
    """Write columns to a file; phases are "train" unless stated."""
    numbers = iter(range(1000))

    def written(columns, schema=schema):
        num_records = max(map(len, columns.values()), default=0)
        path = tmp_path / f"run{next(numbers)}.cmeta"
        cmeta.write(path, {"phase": ["train"] * num_records, **columns}, schema)
        return path

    return written


@pytest.fixture
def of_wide(write):
    """Return the summary of one series of float64s."""

    def summary(values, **columns):
        path = write({"metrics.wide": np.asarray(values, "f8"), **columns})
        return cmeta.summarise(path)["train", "metrics.wide"]

    return summary
