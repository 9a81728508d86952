"""Pairs of chronicles to compare."""

import numpy as np
import pytest

import cmeta

NUM_RECORDS = 200


@pytest.fixture
def schema():
    """A schema of small batches, in which multiples of 1/1000 are exact."""
    return cmeta.default_schema().with_batch_records(16)


@pytest.fixture
def base():
    """The records of a run: floats that a quantum of 1e-6 stores exactly."""
    place = np.arange(NUM_RECORDS)
    return {
        "timestamp": 100 + place,
        "phase": np.where(place % 10 == 9, "validate", "train"),
        "loss_value": (place % 37) / 8,
        "metrics.entropy": np.ma.MaskedArray((place % 11) / 4, place % 3 == 0),
        "metrics.top5": place / 7,
        "tensor_signature": np.stack([place % 5, place % 3, place % 2], axis=1) / 4,
        "seed_state": place.astype("u8") * np.uint64(0x9E3779B97F4A7C15),
        "config": np.zeros(NUM_RECORDS, int),
    }


CONFIG = {"lr": 0.1, "net": {"width": 8}}


@pytest.fixture
def chronicle(tmp_path, base, schema):
    """Write a chronicle: the base, with some columns changed by a function."""
    numbers = iter(range(1000))

    def write(change=None, schema=schema, configs=(CONFIG,)):
        columns = {name: values.copy() for name, values in base.items()}
        columns = (change(columns) if change else None) or columns
        path = tmp_path / f"run{next(numbers)}.cmeta"
        cmeta.write(path, columns, schema, configs if "config" in columns else ())
        return path

    return write
