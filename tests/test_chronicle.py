"""The tests that the original requirement names."""

import struct

import numpy as np
import pytest

import cmeta
from cmeta import CycleRecord, OrderError

SCHEMA = cmeta.default_schema().with_batch_records(512)
PHASES = ["dream", "train", "validate"]


def cycles(num_records):
    """Return cycles such as a learner would record, with values on the grid of 1e-6."""
    rng = np.random.default_rng(42)
    values = rng.integers(0, 4 * 10**6, (num_records, 5)).astype(np.float32) / np.float32(10**6)
    grid = np.rint(values.astype(np.float64) * 10**6) / 10**6
    seeds = rng.integers(0, 2**64, num_records, dtype=np.uint64)
    return [
        CycleRecord(
            timestamp=1000 + i // 3,
            phase=PHASES[i % 3],
            metrics={"entropy": float(np.float32(v[0])), "lr": 0.1 / (i + 1)},
            tensor_signature=tuple(float(np.float32(x)) for x in v[1:4]),
            loss_value=float(np.float32(v[4])),
            action_code="adjust_lr" if i % 10 == 0 else None,
            seed_state=int(seed),
        )
        for i, (v, seed) in enumerate(zip(grid, seeds, strict=True))
    ]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.cmeta"


def test_chronicle_record_append(path):
    """Records append in chronological order: timestamps are monotonic, and nothing goes back."""
    records = cycles(2_000)
    assert cmeta.write(path, iter(records), SCHEMA) == 2_000
    with cmeta.open(path) as run:
        timestamps = run.read(["timestamp"])["timestamp"].astype(np.int64)
        assert (np.diff(timestamps) >= 0).all()
        assert [r.timestamp for r in run] == [r.timestamp for r in records]
        assert [info.first_timestamp for info in run.batches] == timestamps[::512].tolist()
    for late in (records[-2], CycleRecord(phase="dream", timestamp=0)):
        with pytest.raises(OrderError, match="record 2000: "):
            cmeta.write(path, [*records, late], SCHEMA)
    cmeta.write(path, [*records, records[-1]], SCHEMA)
    with cmeta.open(path) as run:
        assert len(run) == 2_001


def test_chronicle_compression_roundtrip(path):
    """Compressing and decompressing gives the same bits, values and bytes alike."""
    records = cycles(2_000)
    cmeta.write(path, records, SCHEMA)
    first = path.read_bytes()
    with cmeta.open(path) as run:
        assert list(run) == records
        columns = run.read()
    for name, get in {
        "loss_value": lambda r: r.loss_value,
        "tensor_signature": lambda r: r.tensor_signature,
        "metrics.entropy": lambda r: r.metrics.entropy,
        "metrics.lr": lambda r: r.metrics.lr,
        "seed_state": lambda r: r.seed_state,
    }.items():
        expected = np.array([get(r) for r in records], columns[name].dtype)
        assert columns[name].tobytes() == expected.tobytes(), name
    cmeta.write(path, columns)
    assert path.read_bytes() == first
    plain = len(records) * (8 + 1 + 4 + 8 + 3 * 4 + 4 + 1 + 8)
    assert len(first) < 0.9 * plain, "random seeds cannot be compressed, the rest can"


def test_file_integrity(path):
    """The CRC-64 of the payload holds, and no damage to a file goes unnoticed."""
    cmeta.write(path, cycles(100))
    data = path.read_bytes()
    assert cmeta.validate(path).ok
    assert data[:4] == struct.pack("<I", 0x0C0DA55E)
    assert struct.unpack("<HI", data[4:10]) == (0x0100, 100)
    assert struct.unpack("<Q", data[-8:])[0] == crc_64_xz(data[10:-8])
    rng = np.random.default_rng(0)
    for bit in rng.choice(8 * len(data), 40, replace=False).tolist():
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        report = cmeta.validate(bytes(damaged))
        assert not report.ok, f"bit {bit}"
        assert report.findings
    for length in rng.choice(len(data), 10, replace=False).tolist():
        assert not cmeta.validate(data[:length]).ok, f"{length} bytes"


def test_query_range(path):
    """A query gives the right records, in order, both ends included."""
    records = cycles(3_000)
    cmeta.write(path, records, SCHEMA)
    with cmeta.open(path) as run:
        for start, end in [(1000, 1999), (1200, 1533), (1700, 1700), (0, 999), (2000, 9999)]:
            expected = [r for r in records if start <= r.timestamp <= end]
            assert run.query_range(start, end) == expected
        expected = [r for r in records if 1200 <= r.timestamp <= 1533 and r.phase == "validate"]
        assert len(expected) == 334
        assert run.query_range(1200, 1533, phase="validate") == expected


def crc_64_xz(data):
    """Return the CRC by its definition, bit by bit: reflected 0x42F0E1EBA9EA3693."""
    crc = 0xFFFFFFFFFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xC96C5795D7870F42 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFFFFFFFFFF
