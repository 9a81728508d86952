"""Chunks, batches and records: the bytes do not depend on how the records came."""

import os
import stat
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import cmeta
from cmeta import CycleRecord, EncodeError
from cmeta.format.encoder import Encoder
from cmeta.records.convert import Converter

SCHEMA = cmeta.default_schema().with_batch_records(16)
RNG = np.random.default_rng(7)
NUM = 100
RUN = {
    "timestamp": np.arange(NUM, dtype=np.uint64) // 2,
    "phase": np.array([1, 2] * 50),
    "loss_value": RNG.normal(size=NUM).astype(np.float32),
    "tensor_signature": np.ma.array(
        RNG.normal(size=(NUM, 3)), mask=np.repeat(np.arange(NUM)[:, None] % 7 == 0, 3, axis=1)
    ),
    "metrics.state": [None if i % 3 else "stable" for i in range(NUM)],
    "metrics.late": np.ma.array(RNG.normal(size=NUM), mask=np.arange(NUM) < 40),
    "metrics.early": np.ma.array(RNG.normal(size=NUM), mask=np.arange(NUM) >= 20),
    "config": [{"stage": i // 30} for i in range(NUM)],
}


def cut(start, end):
    return {path: values[start:end] for path, values in RUN.items()}


def cut_at(*places):
    return [cut(a, b) for a, b in zip((0, *places), (*places, NUM), strict=True)]


@pytest.fixture
def whole(target):
    cmeta.write(target, RUN, SCHEMA)
    return target.read_bytes()


@pytest.mark.parametrize(
    "places", [(), (16,), (15, 16, 17), tuple(range(1, NUM)), (0, 0, NUM), (99,)]
)
def test_chunks_do_not_matter(whole, target, places):
    assert cmeta.write(target, iter(cut_at(*places)), SCHEMA) == NUM
    assert target.read_bytes() == whole


def test_columns_that_are_absent_from_a_chunk_are_absent(whole, target):
    chunks = cut_at(40)
    del chunks[0]["metrics.late"], chunks[1]["metrics.early"]
    cmeta.write(target, chunks, SCHEMA)
    assert target.read_bytes() == whole


def test_records_give_the_same_bytes(whole, target):
    with cmeta.open(whole) as run:
        records = list(run)
    assert len(records) == NUM
    cmeta.write(target, records, SCHEMA)
    assert target.read_bytes() == whole
    cmeta.write(target, (record for record in records), SCHEMA)
    assert target.read_bytes() == whole
    cmeta.write(target, [cut(0, 50), *records[50:]], SCHEMA)
    assert target.read_bytes() == whole


def test_chunks_are_taken_one_by_one(target):
    """Whatever is full is written before the next chunk is asked for."""
    sizes = []

    def chunks():
        for _ in range(20):
            (partial,) = target.parent.glob(".run.cmeta.*.tmp")
            sizes.append(partial.stat().st_size)
            yield {"phase": np.ones(4096, int), "metrics.x": RNG.normal(size=4096)}

    cmeta.write(target, chunks(), cmeta.default_schema().with_batch_records(4096))
    assert sizes[-1] > sizes[1] + 17 * 4096 * 6
    assert sorted(sizes) == sizes


@pytest.mark.parametrize("size", [7, 50, 100, 101])
def test_how_many_records_are_taken_at_once_does_not_matter(whole, target, monkeypatch, size):
    monkeypatch.setattr(sys.modules["cmeta.write"], "_RECORDS_AT_ONCE", size)
    with cmeta.open(whole) as run:
        cmeta.write(target, run.records(), SCHEMA)
    assert target.read_bytes() == whole


def test_folders_are_synced_where_that_is_possible(tmp_path, monkeypatch):
    module = sys.modules["cmeta.storage.disk"]
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    module.sync_folder(tmp_path)
    assert synced == [tmp_path.stat().st_ino]
    monkeypatch.setattr(module, "os", SimpleNamespace(name="nt"))
    module.sync_folder(tmp_path)
    assert len(synced) == 1


@pytest.mark.parametrize(
    ("num_records", "counts"),
    [(0, []), (1, [1]), (15, [15]), (16, [16]), (17, [16, 1]), (48, [16, 16, 16])],
)
def test_only_the_last_batch_is_shorter(target, num_records, counts):
    cmeta.write(target, {"phase": ["train"] * num_records}, SCHEMA)
    with cmeta.open(target) as run:
        assert [info.num_records for info in run.batches] == counts
        assert run.header.records_count == num_records == len(run)
    assert cmeta.validate(target).ok


@pytest.mark.parametrize("nothing", [{"phase": []}, [], iter([]), [{"phase": []}] * 3])
def test_a_file_without_records_is_a_file(target, nothing):
    assert cmeta.write(target, nothing) == 0
    assert cmeta.validate(target).ok
    with cmeta.open(target) as run:
        assert (run.state, len(run), list(run)) == ("closed", 0, [])


def test_an_error_in_a_later_chunk_leaves_nothing(refuse):
    refuse([cut(0, 90), {"phase": ["train"], "lost": [1]}], ["field 'lost'"], SCHEMA)


def test_an_error_of_the_iterable_leaves_nothing(refuse):
    def chunks():
        yield cut(0, 50)
        raise RuntimeError("the loader died")

    refuse(chunks(), ["the loader died"], SCHEMA, error=RuntimeError)


def test_no_file_appears_where_there_was_none(target):
    with pytest.raises(EncodeError):
        cmeta.write(target, {"phase": ["tune"]})
    assert list(target.parent.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_an_os_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError):
        cmeta.write(tmp_path / "file" / "run.cmeta", {"phase": ["train"]})


def test_a_path_may_be_text(target):
    assert cmeta.write(str(target), {"phase": ["train"]}) == 1
    assert target.stat().st_size == cmeta.validate(target).len_file


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_new_file_has_ordinary_permissions(target):
    cmeta.write(target, {"phase": ["train"]})
    (ordinary := target.parent / "ordinary").touch()
    assert stat.S_IMODE(target.stat().st_mode) == stat.S_IMODE(ordinary.stat().st_mode)


def test_metrics_are_named_by_first_record_then_by_bytes(target):
    columns = {
        "phase": ["train"] * 3,
        "metrics.z": [None, 1.0, 1.0],
        "metrics.ä": [None, 1.0, 1.0],
        "metrics.B": [None, None, 1.0],
        "metrics.y": [1.0, None, None],
        "metrics.a": [None, 1.0, None],
        "metrics.never": [None, None, None],
    }
    cmeta.write(target, columns)
    with cmeta.open(target) as run:
        assert run.names == ("y", "a", "z", "ä", "B")


def test_too_many_columns(refuse):
    columns = {f"metrics.m{i}": [0.5] for i in range(4096)}
    refuse({"phase": ["train"]} | columns, ["a batch of 4,118 columns, expected at most 4,096"])


def test_too_many_cells(refuse):
    schema = cmeta.default_schema().with_batch_records(65536)
    num_more = 2**24 // 65536 - schema.num_columns
    columns = {f"metrics.m{i}": np.zeros(65536) for i in range(num_more + 1)}
    words = ["a batch of 257 columns and 65,536 records", "at most 16,777,216 cells", "fewer"]
    refuse({"phase": np.ones(65536, int)} | columns, words, schema)


def test_too_many_records():
    encoder = Encoder(SCHEMA)
    encoder.begin()
    chunk = Converter(SCHEMA).convert({"phase": ["train"] * 2}, None, 0)
    encoder.progress.num_records = 2**32 - 2 - 1
    with pytest.raises(EncodeError, match="a file holds at most 4,294,967,294 records"):
        encoder.feed(chunk)


def test_an_encoder_gives_a_batch_as_soon_as_it_is_full(target):
    encoder, converter = Encoder(SCHEMA), Converter(SCHEMA)
    parts = [encoder.begin()]
    for size in (15, 0, 1, 40, 8):
        chunk = converter.convert({"phase": ["train"] * size}, None, encoder.next_timestamp)
        parts.append(encoder.feed(chunk))
    assert [bool(part) for part in parts] == [True, False, False, True, True, True]
    assert (encoder.num_records, encoder.progress.num_records) == (64, 64)
    data = encoder.header(64) + b"".join(parts)[len(encoder.header()) :] + encoder.finish()
    cmeta.write(target, {"phase": ["train"] * 64}, SCHEMA)
    assert target.read_bytes() == data


def test_a_refused_chunk_leaves_the_encoder_as_it_was():
    encoder, converter = Encoder(SCHEMA), Converter(SCHEMA)
    encoder.begin()
    encoder.feed(converter.convert({"phase": ["train"], "timestamp": [5]}, None, 0))
    with pytest.raises(EncodeError):
        encoder.feed(converter.convert({"phase": ["train"] * 2, "timestamp": [9, 8]}, None, 0))
    assert (encoder.num_records, encoder.next_timestamp) == (1, 6)
    encoder.feed(converter.convert({"phase": ["train"], "timestamp": [5]}, None, 0))


def test_records_of_another_schema_name_the_field(refuse):
    refuse([CycleRecord(phase="train", extra={"a.load": 5})], ["field 'a.load' is not"])
    refuse([CycleRecord(phase="train", extra={"metrics": 5})], ["metrics"])
