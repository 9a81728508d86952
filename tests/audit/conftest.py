"""Runs to audit."""

import os
from pathlib import Path

import numpy as np
import pytest

import cmeta

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
NUM_RECORDS = 100
ROOT = 7
STATED = {"cmeta": {"seed_root": ROOT, "seed_scheme": "weyl"}, "environment": {"python": "3"}}


@pytest.fixture
def recorded(tmp_path):
    """Record a run whose losses are drawn from its seeds."""

    def record(name="run.cmeta", seed=ROOT, num_records=NUM_RECORDS, close=True, **options):
        path = tmp_path / name
        options = {"config": {"environment": cmeta.environment()}, **options}
        rec = cmeta.Recorder(path, seed=seed, **options)
        for _ in range(num_records):
            with rec.cycle("train") as c:
                c.log(loss=float(c.rng.random()))
        if close:
            rec.close()
        return path if close else (path, rec)

    return record


@pytest.fixture
def written(tmp_path):
    """Write a chronicle of columns that audit well, some of them replaced."""
    schema = cmeta.default_schema().with_batch_records(16)

    def write(name="run.cmeta", configs=(STATED,), num_records=NUM_RECORDS, **replaced):
        place = np.arange(num_records)
        columns = {
            "phase": np.where(place % 10 == 9, "validate", "train"),
            "timestamp": place,
            "loss_value": place / 8,
            "seed_state": np.array([cmeta.seed_of(ROOT, i) for i in range(num_records)], "u8"),
            "config": np.zeros(num_records, int),
        } | replaced
        if not configs:
            del columns["config"]
        path = tmp_path / name
        cmeta.write(path, columns, schema, configs)
        return path

    return write


@pytest.fixture
def flip():
    """Flip a bit in the middle of a batch."""

    def change(path, batch=0):
        with cmeta.open(path) as run:
            info = run.batches[batch]
        data = bytearray(path.read_bytes())
        data[info.offset + info.len_block // 2] ^= 4
        path.write_bytes(data)
        return path

    return change


@pytest.fixture
def killed(recorded, tmp_path):
    """An open file whose writer died, with its lock and its journal."""

    def make(name="killed.cmeta"):
        if (pid := os.fork()) == 0:
            try:
                recorded(name, num_records=10, close=False)
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(pid, 0)[1] == 0
        return tmp_path / name

    return make


@pytest.fixture
def callables(monkeypatch):
    """Callables for replays, in a module that other processes can import."""
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.setenv("PYTHONPATH", f"{REPOSITORY}{os.pathsep}{HERE}")
    import callables

    return callables
