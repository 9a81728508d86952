"""W&B logs as other versions write them, built from W&B's own messages."""

import zlib

import numpy as np
import pytest
from wandb.proto.wandb_internal_pb2 import Record

import cmeta
from cmeta.tools.imports import wandb
from cmeta.tools.imports.formats import ImportOptions
from tests.imports.masked import masked

HEADER = b":W&B\xe1\xbe\x00"


def row(step=None, **items):
    record = Record()
    record.history.SetInParent()
    for key, value_json in items.items():
        record.history.item.add(key=key, value_json=value_json)
    if step is not None:
        record.history.step.num = step
    return record


def config(remove=(), **items):
    record = Record()
    record.config.SetInParent()
    for key, value_json in items.items():
        record.config.update.add(key=key, value_json=value_json)
    for key in remove:
        record.config.remove.add(key=key)
    return record


@pytest.fixture
def read(tmp_path):
    def read(*records):
        path = tmp_path / "run-x.wandb"
        data = HEADER
        for record in records:
            body = record if isinstance(record, bytes) else record.SerializeToString()
            crc = zlib.crc32(body, zlib.crc32(b"\x01"))
            data += crc.to_bytes(4, "little") + len(body).to_bytes(2, "little") + b"\x01" + body
        path.write_bytes(data)
        return masked(wandb.read(path, ImportOptions()))

    return read


def test_the_step_is_a_key_or_beside_the_keys_or_the_next(read):
    found = read(row(x="1", _step="5"), row(7, x="2"), row(x="3"), row(9, x="4", _step="8"))
    assert found.columns["step"].tolist() == [5, 7, 8, 8]
    assert found.columns["metrics.x"].tolist() == [1, 2, 3, 4]


def test_a_row_without_a_time_has_no_wall_time(read):
    found = read(row(0, x="1"), row(1, x="2", _timestamp="1700000000.25"))
    assert found.columns["metrics.wall_time"].tolist() == [None, 1700000000.25]


def test_non_finite_numbers_come_as_words_or_as_text(read):
    found = read(row(0, x="NaN", y='"-Infinity"'), row(1, x='"NaN"', y="Infinity"))
    assert np.isnan(found.columns["metrics.x"]).all()
    assert found.columns["metrics.y"].tolist() == [-np.inf, np.inf]


def test_media_objects_are_left_out_entirely(read):
    image = '{"_type": "image-file", "width": 3, "size": 9}'
    found = read(row(0, x="1", img=image, part='{"a": 2, "img": {"_type": "audio-file", "b": 3}}'))
    assert set(found.columns) >= {"metrics.x", "metrics.part.a"}
    assert not [path for path in found.columns if "img" in path]
    assert "a record holds numbers only, no image-file: 1 of img" in found.notes
    assert "a record holds numbers only, no audio-file: 1 of part.img" in found.notes


def test_a_configuration_that_comes_back_is_the_same(read, tmp_path):
    found = read(
        config(a="1", _wandb='{"x": 1}'), row(0, x="1"), config(b='{"c": [2]}'), row(1, x="2"),
        config(remove=["b"]), row(2, x="3"),
    )  # fmt: skip
    about = {"imported": {"source": "wandb"}}
    stated = [found.configs[place] for place in found.columns["config"].tolist()]
    assert stated == [{"a": 1} | about, {"a": 1, "b": {"c": [2]}} | about, {"a": 1} | about]


def test_unreadable_items_are_reported(read):
    found = read(
        row(0, x="1", y="{", z='{"a":' * 10_000), b"\xff\xff", config(a="{"), row(1, x="2"),
    )  # fmt: skip
    assert found.columns["metrics.x"].tolist() == [1, 2]
    assert any("record 1 is not a valid message" in message for message in found.damage)
    assert "invalid JSON cannot be read: 3 of y, z, config a" in found.lost


def test_a_step_that_was_logged_twice_is_two_records(read):
    found = read(row(0, x="1"), row(1, x="2", y="5"), row(1, x="3"), row(2, x="4"), row(0, y="9"))
    assert found.columns["timestamp"].tolist() == [0, 1, 1, 2]
    assert found.columns["metrics.x"].tolist() == [1, 2, 3, 4]
    assert found.columns["metrics.y"].tolist() == [9, 5, None, None]


def test_a_log_without_rows_is_a_run_without_records(read):
    found = read(config(a="1"))
    assert len(found.columns["phase"]) == 0
    assert found.configs == [{"a": 1, "imported": {"source": "wandb"}}]


def test_steps_and_times_of_other_types(read):
    found = read(
        row(7, x="1", _step="3.0"), row(8, x="2", _step="true"), row(9, x="3", _step="9.5"),
        row(10, x="4", _timestamp="1" + "0" * 400), row(11, x="5", _timestamp="true"),
        row(12, x="6", _timestamp="1e999"), row(12, y="6", _timestamp="1e999"),
    )  # fmt: skip
    assert found.columns["timestamp"].tolist() == [3, 8, 9, 10, 11, 12]
    assert found.columns["metrics.x"].tolist() == [1, 2, 3, 4, 5, 6]
    assert found.columns["metrics.wall_time"].tolist() == [None] * 3 + [np.inf, None, None]
    assert found.lost == (
        "numbers beyond the range of float64 are kept as infinity: 1 of _timestamp",
        "JSON with a name twice, or a number that no float64 holds, cannot be read: "
        "2 of _timestamp",
    )


def test_half_a_character_does_not_stop_an_import(read, tmp_path):
    found = read(config(a='"\\ud800"', b='{"\\udfff": ["x", "\\ud800"]}'), row(0, x="1"))
    assert {key: found.configs[0][key] for key in "ab"} == {"a": "?", "b": {"?": ["x", "?"]}}
    assert found.lost == (
        "texts that are not UTF-8 have ? in their place: 3 of config.a, config.b, config.b.?",
    )
    report = cmeta.import_run(tmp_path / "run-x.wandb", tmp_path / "out.cmeta")
    assert report.num_records == 1
