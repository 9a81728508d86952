"""A small run with everything that damage can make ambiguous, and how to hold a recovery to it."""

import functools
import itertools

import numpy as np
import pytest

import cmeta
from cmeta.tools.recover.recover import recover

NUM_RECORDS, BATCH_RECORDS = 72, 16
CONFIGS = tuple({"lr": lr, "name": "abc"[i % 3]} for i, lr in enumerate((0.5, 0.25, 0.75, 0.1)))


def columns():
    """Metrics that begin in different batches, with names and configurations of one length."""
    place = np.arange(NUM_RECORDS)
    found = {
        "timestamp": 100 + place,
        "phase": np.array(["train", "train", "validate"])[place % 3],
        "loss_value": np.float32(1 / (place + 1)),
        "step": place,
        "config": place // 18,
    }
    for i, name in enumerate(("m0", "m1", "m2", "longer", "m3", "m4")):
        first = (0, 0, 1, 20, 35, 66)[i]
        found[f"metrics.{name}"] = np.ma.MaskedArray(place * 10.0 + i, place < first)
    return found


@pytest.fixture(scope="session")
def original():
    """The bytes of the run, closed, and its records by step."""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.cmeta"
        cmeta.write(path, columns(), cmeta.default_schema().with_batch_records(16), CONFIGS)
        data = path.read_bytes()
    return data, {record.step: record.as_dict() for record in cmeta.open(data)}


@pytest.fixture
def salvage(original, tmp_path):
    """Recover some bytes, and require that no value of the result differs from the original."""
    _, records = original
    numbers = itertools.count()

    @functools.cache
    def valid_records(found):
        assert cmeta.validate(found, canonical=False).ok  # `recover` has checked the rest
        return list(cmeta.open(found))

    def run(data, journal=None, **options):
        number = next(numbers)
        source, out = tmp_path / f"{number}.cmeta", tmp_path / f"{number}.out"
        source.write_bytes(data)
        report = recover(source, out, **options)
        found = None
        assert out.exists() == (report.verdict != "nothing")
        if out.exists():
            found = out.read_bytes()
            hold_to(valid_records(found), records, report)
        assert source.read_bytes() == data
        left = {path.name for path in tmp_path.iterdir()} - {source.name, out.name}
        assert not [name for name in left if name.endswith(".tmp")]
        source.unlink()
        out.unlink(missing_ok=True)
        return report, found

    return run


def hold_to(found, records, report):
    """Require each record to be the one of its identity; a value may only be missing if the report says so."""
    steps = [record.step for record in found]
    assert steps == sorted(set(steps))
    assert len(found) == report.num_records
    for record in found:
        expected, got = records[record.step], record.as_dict()
        for name, value in got.items():
            if name == "metrics":
                assert dict(value).items() <= dict(expected["metrics"]).items()
            else:
                assert value == expected[name], name
        if not report.dropped:
            assert got == expected
    if report.verdict == "complete":
        assert len(found) == len(records)
        assert not report.dropped
        assert not report.lost
