"""The open file: header, schema, batches, names, configurations; records one by one."""

import numpy as np
import pytest

import cmeta
from cmeta import CycleRecord, DecodeError


def test_what_it_is(run, path, data, blocks):
    assert run.state == "closed"
    assert run.problem is None
    assert run.name == str(path)
    assert run.len_file == len(data)
    assert len(run) == 100
    assert run.header.version == 0x0100
    assert run.header.records_count == 100
    assert not run.header.is_open
    assert not run.header.is_newer
    assert repr(run) == f"<Reader of {path}: closed, 100 records>"


def test_its_schema_is_the_embedded_one(run):
    schema = cmeta.default_schema().with_batch_records(16).with_phases("test")
    assert run.schema == schema
    assert run.schema.phases == ("dream", "train", "validate", "test", "predict")


def test_batches(run, blocks):
    expected = [(at, end - at) for name, at, end in blocks if name == "BATCH"]
    assert [(info.offset, info.len_block) for info in run.batches] == expected
    assert [info.ordinal for info in run.batches] == list(range(7))
    assert [info.num_records for info in run.batches] == [16] * 6 + [4]
    firsts = [info.first_timestamp for info in run.batches]
    lasts = [info.last_timestamp for info in run.batches]
    assert firsts == [10, 90, 170, 250, 330, 410, 490]
    assert lasts == [80, 160, 240, 320, 400, 480, 500]


def test_names_fields_and_configurations(run):
    assert run.names == ("accuracy", "late")
    assert [f.path for f in run.fields[-2:]] == ["metrics.accuracy", "metrics.late"]
    assert [f.declared for f in run.fields[-3:]] == [True, False, False]
    assert run.configs == ({"lr": 0.1}, {"lr": 0.01})


def test_blocks_stand_just_before_the_batch_that_needs_them(blocks):
    names = [name for name, _, _ in blocks]
    assert names == [
        "SCHEMA", "CONFIG", "NAME", "BATCH", "BATCH", "BATCH", "CONFIG", "NAME", "BATCH", "BATCH",
        "BATCH", "BATCH", "INDEX",
    ]  # fmt: skip


def test_records_come_back_one_by_one(run, records):
    assert list(run) == records
    assert list(run) == records
    assert list(run.records()) == records


def test_values_are_plain_python(run, records):
    found = list(run)[51]
    assert found == records[51]
    assert type(found.timestamp) is int
    assert type(found.phase) is str
    assert type(found.seed_state) is int
    assert type(found.loss_value) is float
    assert type(found.tensor_signature) is tuple
    assert type(found.tensor_signature[0]) is float
    assert type(found.metrics.late) is float
    assert type(found.metrics["state"]) is str
    assert found.config == {"lr": 0.1}


def test_what_is_absent_is_none(run):
    first = next(iter(run))
    assert first.loss_value is None
    assert first.tensor_signature is None
    assert first.coherence is None
    assert "late" not in first.metrics
    with pytest.raises(AttributeError, match="no metric 'late' in this cycle"):
        _ = first.metrics.late


@pytest.mark.parametrize("form", [bytes, bytearray, memoryview])
def test_bytes_can_be_opened(data, records, form):
    with cmeta.open(form(data)) as run:
        assert run.name == f"<{len(data)} bytes>"
        assert list(run) == records


def test_bytes_are_read_from_a_copy(data, records):
    mutable = bytearray(data)
    with cmeta.open(mutable) as run:
        mutable[:] = bytes(len(mutable))
        assert list(run) == records


def test_a_path_may_be_text(path):
    with cmeta.open(str(path)) as run:
        assert len(run) == 100


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        cmeta.open(tmp_path / "nowhere.cmeta")
    with pytest.raises(IsADirectoryError):
        cmeta.open(tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "offset 0, header.signature: 0 bytes left, expected 4"),
        (b"\x5e\xa5", "offset 0, header.signature: 2 bytes left, expected 4"),
        (b"\x5e\xa5\x0d\x0c\x00", "offset 4, header.version: 1 bytes left, expected 2"),
        (b"not a chronicle", "offset 0, header.signature: "),
        (b"\x5e\xa5\x0d\x0c\x00\x02\0\0\0\0", "header.version"),
        (b"\x5e\xa5\x0d\x0c\x00\x01\0\0\0\0", "offset 10, block.kind: 0 bytes left, expected 1"),
    ],
)
def test_what_is_no_chronicle_says_so(tmp_path, content, words):
    path = tmp_path / "run.cmeta"
    path.write_bytes(content)
    with pytest.raises(DecodeError) as caught:
        cmeta.open(path)
    assert words in str(caught.value)
    path.unlink()  # the file has been closed


def test_a_newer_major_version_is_not_read(data):
    newer = data[:5] + b"\x02" + data[6:]
    with pytest.raises(cmeta.UnsupportedVersionError, match="2") as caught:
        cmeta.open(newer)
    assert (caught.value.offset, caught.value.path) == (4, "header.version")


def test_one_batch_for_tools(run):
    batch = run.batch(3)
    assert (batch.num_records, batch.first_timestamp, batch.last_timestamp) == (16, 250, 320)
    values, present = batch.column(run.schema["epoch"], 0)
    assert values.tolist() == [i // 10 for i in range(48, 64)]
    assert present is None
    assert batch.column(run.schema["coherence"], 0) is None
    assert run.schema["coherence"] not in batch.fields


def test_a_long_vector_and_every_type(tmp_path):
    schema = cmeta.default_schema().with_metrics(
        v={"type": "i16[200]"}, b={"type": "bool[2]"}, d={"type": "f64[1]", "exact": True}
    )
    vectors = np.arange(600).reshape(3, 200) - 300
    columns = {
        "phase": [0] * 3,
        "metrics.v": vectors,
        "metrics.b": [[True, False], None, [False, False]],
        "metrics.d": [[0.1], [float("nan")], None],
    }
    cmeta.write(tmp_path / "run.cmeta", columns, schema)
    with cmeta.open(tmp_path / "run.cmeta") as run:
        found = list(run)
    assert [record.metrics["v"] for record in found] == [tuple(row) for row in vectors.tolist()]
    assert [record.metrics.get("b") for record in found] == [(True, False), None, (False, False)]
    assert found[0].metrics.d == (0.1,)
    assert found[1] == CycleRecord(phase="dream", timestamp=1, metrics=dict(found[1].metrics))
    assert "d" not in found[2].metrics
