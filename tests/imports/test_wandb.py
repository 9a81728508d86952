"""A run of Weights & Biases that wandb itself recorded offline: see tests/fixtures/make.py."""

import os
import sys
import zlib

import numpy as np
import pytest

import cmeta
from cmeta import extras
from cmeta.errors import CmetaError, EncodeError, MissingExtraError
from cmeta.tools.imports import wandb
from cmeta.tools.imports.formats import ImportOptions, detect
from cmeta.tools.imports.import_run import import_run
from cmeta.tools.imports.wandb import read_records
from tests.fixtures.load import load
from tests.fixtures.make import LONG
from tests.imports.masked import masked


def read(source, **options):
    return masked(wandb.read(source, ImportOptions(**options)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return the folder of a run that wandb has recorded."""
    return load("wandb", tmp_path_factory.mktemp("wandb"))


@pytest.fixture
def log(folder, tmp_path):
    (file,) = folder.rglob("run-*.wandb")
    copy = tmp_path / file.name
    copy.write_bytes(file.read_bytes())
    return copy


def by_record(imported, path):
    columns = imported.columns
    labels = [imported.schema.phases[code] for code in columns["phase"]]
    values = np.ma.masked_array(columns[path]).tolist()
    every = zip(labels, columns["timestamp"].tolist(), values, strict=True)
    return [row for row in every if row[2] is not None]


def test_rows_come_back_as_records(folder, tmp_path):
    report = import_run(folder, tmp_path / "run.cmeta")
    assert report.format == "wandb"
    assert cmeta.validate(tmp_path / "run.cmeta").ok
    with cmeta.open(tmp_path / "run.cmeta") as run:
        found = run.query_range(0, 100)
        assert run.status == "finished"  # exit code 0
    assert [(r.phase, r.step) for r in found] == [
        ("train", 0), ("validate", 0), ("train", 1), ("validate", 2), ("train", 10), ("train", 11),
    ]  # fmt: skip
    assert [r.loss_value for r in found[:2]] == [0.5, 0.75]
    assert np.isnan(found[2].loss_value)
    assert found[3].loss_value == float("inf")
    assert [r.epoch for r in found] == [0, None, 1, None, None, None]
    assert found[0].metrics["lr"] == 0.1
    assert found[2].metrics["nested.a.b"] == 2.5
    assert found[3].metrics["other"] == 3  # goes with the one phase that its row names
    assert found[4].metrics["x"] == 1.5


def test_wall_times_and_run_times_come_back(folder):
    found = read(folder)
    times = found.columns["metrics.wall_time"]
    assert (times > 1.7e9).all()
    assert (np.diff(times) >= 0).all()
    start = found.configs[0]["imported"]["start_time"]
    run_times = np.ma.masked_array(found.columns["metrics._runtime"])
    apart = times - start - run_times.filled(np.nan)
    assert np.nanmax(np.abs(apart)) < 60
    assert run_times.count() == 5  # once for each row


def test_the_configuration_in_force_is_that_of_the_record(folder, tmp_path):
    import_run(folder, tmp_path / "run.cmeta")
    with cmeta.open(tmp_path / "run.cmeta") as run:
        found = run.query_range(0, 100)
    for record in found:
        assert record.config["lr"] == 0.1
        assert record.config["net"] == {"depth": 3}
        assert record.config.get("late") == (None if record.step < 10 else "entry")
    about = found[0].config["imported"]
    expected = {"source": "wandb", "run_id": "abc123", "project": "größe", "tags": ["t"],
                "display_name": "first", "notes": "a note"}  # fmt: skip
    assert expected.items() <= about.items()
    assert about["summary"] == {"best": 0.25}
    assert about["loss_value"] == {"train": "train/loss", "validate": "val/loss"}


def test_values_other_than_numbers_are_reported_by_key(folder):
    found = read(folder)
    lost, notes = " | ".join(found.lost), " | ".join(found.notes)
    for part in ("no text: 1 of text", "no lists: 1 of list", "no null: 1 of none",
                 "no histogram: 1 of h"):  # fmt: skip
        assert part in notes
    assert "rounded to float64: 1 of big" in lost
    assert "true and false are kept as 1 and 0: 1 of flag" in notes
    assert not [path for path in found.columns if "h." in path]
    assert by_record(found, "metrics.flag") == [("train", 1, 1.0)]


def test_a_file_is_read_up_to_a_torn_tail_which_is_reported(log):
    data = log.read_bytes()
    whole = list(read_records(log, pytest.fail))
    assert max(map(len, whole)) > LONG
    for length in sorted({*range(7, len(data), 499), *range(len(data) - 40, len(data))}):
        log.write_bytes(data[:length])
        messages = []
        found = list(read_records(log, messages.append))
        assert found == whole[: len(found)]
        if messages:
            assert f"ends within a record at byte {_end(found):,} of {length:,}" in messages[0]
        else:
            assert _end(found) == length or len(found) == len(whole)
    log.write_bytes(data[: len(data) // 2])
    assert read(log).damage[0].startswith(f"{log.name}: the file ends within a record")


def _end(records):
    """Return the offset at which the last of the records ends."""
    offset = 7
    for data in records:
        left = len(data)
        while True:
            room = 32768 - offset % 32768
            if room < 7:
                offset += room
                room = 32768
            taken = min(left, room - 7)
            offset += 7 + taken
            left -= taken
            if not left:
                break
    room = 32768 - offset % 32768
    return offset + (room if room < 7 else 0)


def test_a_changed_byte_is_detected_and_costs_one_record_or_the_rest_of_a_block(log):
    data = log.read_bytes()
    whole = list(read_records(log, pytest.fail))
    for place in [*range(7, 400), *range(400, len(data), 997)]:
        log.write_bytes(data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :])
        messages = []
        found = list(read_records(log, messages.append))
        assert len(messages) == 1
        num_before = next((i for i, r in enumerate(whole) if found[i : i + 1] != [r]), 0)
        num_after = len(found) - num_before
        assert len(found) < len(whole)
        assert found[num_before:] == whole[len(whole) - num_after :]


def test_one_damaged_record_does_not_drop_those_after_it(log):
    log.write_bytes(log.read_bytes()[:7] + b"".join(chunk(1, bytes([i]) * 9) for i in range(5)))
    data = bytearray(log.read_bytes())
    data[7 + 16 + 10] ^= 1
    data[7 + 3 * 16 + 10] ^= 1
    log.write_bytes(data)
    messages = []
    assert [part[0] for part in read_records(log, messages.append)] == [0, 2, 4]
    assert messages == [
        f"{log.name}: the checksum of a record does not match at byte 23 of 87, and at 1 "
        "more; the 3 intact records were read"
    ]


def chunk(kind, data):
    crc = zlib.crc32(data, zlib.crc32(bytes([kind])))
    return crc.to_bytes(4, "little") + len(data).to_bytes(2, "little") + bytes([kind]) + data


@pytest.mark.parametrize("kinds", [(2, 2), (2, 1), (3,), (4,), (2, 5), (0,)])
def test_parts_out_of_order_are_detected(log, kinds):
    parts = b"".join(chunk(kind, b"ab") for kind in kinds)
    log.write_bytes(log.read_bytes()[:7] + parts)
    messages = []
    assert list(read_records(log, messages.append)) == [b"ab"] * kinds.count(1)
    assert f"out of order at byte 7 of {7 + len(parts)}" in messages[0]


@pytest.mark.parametrize("len_padding", range(1, 7))
def test_the_end_of_a_block_without_room_for_a_chunk_is_padding(log, len_padding):
    first, second = bytes(32768 - 7 - 7 - len_padding), b"next"
    whole = log.read_bytes()[:7] + chunk(1, first) + bytes(len_padding) + chunk(1, second)
    log.write_bytes(whole)
    assert list(read_records(log, pytest.fail)) == [first, second]


def test_detection_and_the_choice_of_a_run(folder, log, tmp_path):
    assert detect(folder) == detect(log) == "wandb"
    (file,) = folder.rglob("run-*.wandb")
    for name in ("offline-run-20260101_000000-one", "offline-run-20260101_000000-two"):
        (tmp_path / "all" / name).mkdir(parents=True)
        os.link(file, tmp_path / "all" / name / f"run-{name[-3:]}.wandb")
    with pytest.raises(EncodeError, match=r"found 2 runs.*-one, offline-run.*-two"):
        read(tmp_path / "all")
    assert len(read(tmp_path / "all", run="two").columns["phase"]) == 6
    assert len(read(tmp_path / "all", run="offline-run-20260101_000000-one").columns["phase"]) == 6
    with pytest.raises(EncodeError, match="found 0 runs 'three'"):
        read(tmp_path / "all", run="three")
    (tmp_path / "none").mkdir()
    with pytest.raises(EncodeError, match="found no run"):
        read(tmp_path / "none")
    log.write_bytes(b"something else")
    assert not wandb.looks_like(log)
    with pytest.raises(EncodeError, match="not a W&B log: bad file header"):
        read(log)


def test_the_default_phase_is_that_of_rows_without_one(folder):
    found = read(folder, phase="dream")
    assert by_record(found, "metrics.x") == [("dream", 10, 1.5), ("dream", 11, 2.5)]
    assert by_record(found, "epoch") == [("dream", 0, 0), ("train", 1, 1)]


def test_without_wandb_the_extra_is_named(log, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "wandb"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(MissingExtraError, match="needs wandb: pip install wandb"):
        read(log)


def test_a_version_that_cannot_be_used_is_reported(log, monkeypatch):
    def require(module, extra):
        raise ImportError("only works with protobuf 5")

    monkeypatch.setattr(extras, "require", require)
    with pytest.raises(CmetaError, match="wandb: the version installed cannot be used: only works"):
        read(log)
