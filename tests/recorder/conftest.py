"""A run to record, and the bytes that it must become."""

import pytest

import cmeta

SCHEMA = cmeta.default_schema().with_batch_records(16)
NUM_RECORDS = 100
CONFIGS = ({"lr": 0.1}, {"lr": 0.01})


def cycle(i):
    """Return what a run logs in its cycle `i`: late and rare metrics, two configurations."""
    metrics = {"entropy": 1.5 / (i + 1), "train/x": i * 0.1}
    if i % 7 == 3:
        metrics |= {"late/b": float(i), "late/a": float("nan")}
    return {
        "phase": "validate" if i % 10 == 9 else "train",
        "loss": 1 / (i + 1) if i % 13 else float("inf"),
        "coherence": 0.5 if i % 3 else None,
        "metrics": metrics,
        "tensor_signature": (0.125, -0.25, i / 8),
        "step": i // 2,
        "action_code": "adjust_lr" if i % 5 == 0 else None,
        "seed_state": 2**64 - 1 - i,
        "config": CONFIGS[i >= 40],
    }


def record(rec, start, end):
    """Log cycles."""
    for i in range(start, end):
        fields = cycle(i)
        rec.log(fields.pop("phase"), **fields)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.cmeta"


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """A run that was never interrupted, as bytes."""
    target = tmp_path_factory.mktemp("whole") / "run.cmeta"
    with cmeta.Recorder(target, SCHEMA) as rec:
        record(rec, 0, NUM_RECORDS)
    return target.read_bytes()
