"""Every competitor reads back what was written, or is listed as losing it."""

import zlib

import numpy as np
import pytest

from bench import workloads
from bench.competitors import ENTRIES, load
from bench.competitors.base import between, joined, masked

NUM = 200
LOGGERS = {"TensorBoard", "W&B offline", "MLflow on SQLite"}  # seconds each to start
NAMES = [entry.name for entry in ENTRIES if entry.name not in LOGGERS]


def competitor(name, folder):
    """Return a competitor, or skip where its package is not installed."""
    try:
        return load(name)(folder)
    except ImportError as err:
        pytest.skip(f"needs a package: {err}")


def telemetry():
    """Return a table of hard cases: NaN, infinities, u64, absent cells, constants."""
    table = {name: values.copy() for name, values in workloads.table("constant", NUM, 0).items()}
    table["seed_state"][:3] = 2**64 - 1, 2**63, 0
    table["loss_value"][:5] = np.nan, np.inf, -np.inf, 3.0e38, 0.5
    table["coherence"] = masked(table["coherence"], np.arange(NUM) % 7 == 0)
    return table


def same(found, given):
    return [name for name in given if not workloads.is_same(found, given, name)]


LOST = {
    "SQLite": ["loss_value"],  # a NaN is bound as NULL
    "JSON lines": ["loss_value"],
    "JSON lines, gzip": ["loss_value"],
}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_comes_back_bit_for_bit(name, tmp_path):
    made, given = competitor(name, tmp_path / "own"), telemetry()
    made.write(given)
    assert same(made.read_all(), given) == LOST.get(name, [])
    assert made.open() == NUM
    assert made.length() == sum(f.stat().st_size for f in (tmp_path / "own").iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_a_part_is_a_part_of_the_whole(name, tmp_path):
    made = competitor(name, tmp_path)
    made.write(telemetry())
    whole = made.read_all()
    for column in ("loss_value", "coherence", "seed_state", "phase"):
        assert workloads.is_same({column: made.read_column(column)}, whole, column)
    expected = between(whole, 90, 119)
    assert len(expected["timestamp"]) == 30
    assert same(made.read_range(90, 119), expected) == []


@pytest.mark.parametrize("name", NAMES)
def test_appended_records_follow_the_others(name, tmp_path):
    made, given = competitor(name, tmp_path), workloads.table("constant", NUM, 0)
    made.write(given)
    more = workloads.further(given, 10, NUM)
    made.append(more)
    assert made.open() == NUM + 10
    assert same(made.read_all(), joined(given, more)) == []


@pytest.mark.parametrize("name", NAMES)
def test_writing_again_replaces(name, tmp_path):
    made = competitor(name, tmp_path)
    made.write(telemetry())
    given = workloads.table("constant", 20, 0)
    made.write(given)
    assert made.open() == 20
    assert same(made.read_all(), given) == []


VERIFIERS = [n for n in NAMES if n.startswith(("cmeta", "Parquet", "MCAP", "JSON lines, gzip"))]


@pytest.mark.parametrize("name", VERIFIERS)
def test_a_verifier_sees_a_flipped_bit_of_the_data(name, tmp_path):
    made = competitor(name, tmp_path)
    made.write(workloads.table("constant", NUM, 0))
    made.verify()
    path = next(path for path in tmp_path.iterdir() if path.is_file())
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)
    with pytest.raises((AssertionError, OSError, EOFError, ValueError, zlib.error)):
        made.verify()


CHUNKED = [n for n in NAMES if n.startswith(("cmeta", "Parquet", "DuckDB"))]


@pytest.mark.parametrize("name", CHUNKED)
def test_pieces_make_the_whole(name, tmp_path):
    made, given = competitor(name, tmp_path), workloads.table("constant", NUM, 0)
    made.write_chunks(between(given, a, a + 79) for a in range(0, NUM, 80))
    assert same(made.read_all(), given) == []


@pytest.mark.parametrize("name", [e.name for e in ENTRIES])
def test_a_competitor_says_what_it_needs_and_what_it_lacks(name):
    try:
        made = load(name)
    except ImportError as err:
        pytest.skip(f"needs a package: {err}")
    assert made.sync
    for operation in ("append", "verify"):
        if getattr(made, operation) is None:
            assert made.notes[operation]


def test_an_unknown_competitor_is_named_with_those_that_exist():
    with pytest.raises(KeyError, match=r"no competitor 'HDF5', expected one of: cmeta, Parquet"):
        load("HDF5")


def test_a_column_that_differs_in_a_bit_a_type_or_a_gap_is_not_the_same():
    given = {"x": np.array([0.5, np.nan], np.float32)}
    assert workloads.is_same(given, given, "x")
    assert not workloads.is_same({"x": np.array([0.5, 0.25], np.float32)}, given, "x")
    assert not workloads.is_same({"x": given["x"].astype(np.float64)}, given, "x")
    assert not workloads.is_same({"x": masked(given["x"], np.array([True, False]))}, given, "x")
    assert not workloads.is_same({"x": given["x"][:1]}, given, "x")
    assert not workloads.is_same({}, given, "x")
    nowhere = {"x": np.ma.masked_all(2, np.float32)}
    assert workloads.is_same({}, nowhere, "x")


def test_longer_telemetry_goes_on(monkeypatch):
    short = workloads.table("constant", 30, 0)
    monkeypatch.setattr(workloads, "_trained", lambda workload, num_cycles: short)
    found = workloads.table("noisy", 70, 30)
    assert found["timestamp"].tolist() == list(range(70))
    assert len(set(found["seed_state"].tolist())) == 70
    for name in ("loss_value", "metrics.risk_score"):
        given, long = short[name], found[name]
        assert workloads.is_same({name: long[:30]}, {name: given}, name)
        masks = np.ma.getmaskarray(given)
        assert np.ma.getmaskarray(long).tolist() == [*masks, *masks, *masks[:10]]
        scale = long[30:60].compressed() if masks.any() else long[30:60]
        assert np.allclose(scale, np.asarray(given)[~masks] * 1.0137, rtol=1e-5)
        assert np.array_equal(np.asarray(long), workloads._rounded(np.asarray(long)))
    assert found["phase"][30:60].tolist() == short["phase"].tolist()
    monkeypatch.setattr(workloads, "CHUNK", 25)
    parts = list(workloads.chunks("noisy", 70, 30))
    assert [len(part["timestamp"]) for part in parts] == [25, 25, 20]
    assert (
        np.concatenate([part["seed_state"] for part in parts]).tolist()
        == found["seed_state"].tolist()
    )


def test_the_made_telemetry_mostly_stays_and_begins_late():
    table = workloads.table("constant", 5000, 0)
    assert list(table) == list(workloads.FIELDS)
    loss = table["loss_value"]
    assert 0 < (np.diff(loss) != 0).sum() < 50
    assert np.ma.getmaskarray(table["metrics.risk_score"]).sum() == 3500
    assert (~np.ma.getmaskarray(table["metrics.val_accuracy"])).sum() == 50
