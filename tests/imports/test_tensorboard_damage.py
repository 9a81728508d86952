"""Damaged TensorBoard files: intact records are read, and the damage is reported."""

import struct
import sys

import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

from cmeta.errors import MissingExtraError
from cmeta.tools.imports import tensorboard
from cmeta.tools.imports.formats import ImportOptions
from cmeta.tools.imports.tensorboard import masked_crc, read_records
from tests.fixtures.make import NUM_SCALARS
from tests.imports.masked import masked


def framed(data):
    """Return a record, its checksums by TensorBoard's own function."""
    head = struct.pack("<Q", len(data))
    crcs = (struct.pack("<I", masked_crc32c(part)) for part in (head, data))
    return head + next(crcs) + data + next(crcs)


@pytest.fixture
def log(written):
    (file,) = written("tensorboard/five_scalars").iterdir()
    return file


def read(file):
    return masked(tensorboard.read(file, ImportOptions()))


def ends(data):
    """Return the offsets at which the records of a file end."""
    found = [0]
    while found[-1] < len(data):
        found.append(found[-1] + 16 + struct.unpack_from("<Q", data, found[-1])[0])
    return found


def test_the_checksum_is_tensorboards():
    for data in (b"", bytes(8), b"123456789", bytes(range(256))):
        assert masked_crc(data) == masked_crc32c(data)


def test_a_file_is_read_up_to_a_torn_tail_which_is_reported(log):
    data = log.read_bytes()
    offsets = ends(data)
    for length in range(13, len(data)):
        log.write_bytes(data[:length])
        found = read(log)
        num_whole = sum(offset <= length for offset in offsets) - 1
        assert len(found.columns["phase"]) == max(num_whole - 1, 0)  # the first is the version
        torn = [
            message
            for message in found.damage
            if f"ends within a record at byte {offsets[num_whole]:,}" in message
        ]
        assert bool(torn) == (length not in offsets)


def test_every_changed_byte_is_found_and_costs_one_record(log):
    data = log.read_bytes()
    whole = list(read_records(log, pytest.fail))
    offsets = ends(data)
    for place in range(len(data)):
        log.write_bytes(data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :])
        messages = []
        records = list(read_records(log, messages.append))
        number = sum(offset <= place for offset in offsets) - 1
        assert records == whole[:number] + whole[number + 1 :]
        assert len(messages) == 1
        assert f"at byte {offsets[number]:,} of {len(data):,}" in messages[0]


def test_damage_of_every_kind_is_counted(log):
    data = log.read_bytes()
    whole = list(read_records(log, pytest.fail))
    begin, end = ends(data)[1:3]
    log.write_bytes(data[:-1] + b"?" + b"noise" * 300_000 + data[begin:end] * 2 + data[begin:-5])
    messages = []
    records = list(read_records(log, messages.append))
    assert records == [*whole[:-1], whole[1], whole[1], *whole[1:-1]]
    start = f"{len(data):,} of {log.stat().st_size:,}"
    assert [message.partition(": ")[2] for message in messages] == [
        f"the checksum of 1 record does not match, the first at byte {ends(data)[-2]:,} of "
        f"{log.stat().st_size:,}: left out",
        f"the length of 1 record is damaged, the first at byte {start}, reading went on at byte "
        f"{len(data) + 1_500_000:,}; 1,500,000 bytes left out",
        f"the file ends within a record at byte {log.stat().st_size - (len(data) - ends(data)[-2]) + 5:,} "
        f"of {log.stat().st_size:,}; {len(records)} records before it were read",
    ]


def test_a_damaged_length_at_the_end(log):
    data = log.read_bytes()
    last = ends(data)[-2]
    log.write_bytes(data[:last] + b"?" + data[last + 1 :])
    found = read(log)
    assert len(found.columns["phase"]) == NUM_SCALARS - 1
    assert f"the first at byte {last:,} of {len(data):,}, no record follows" in found.damage[0]


def test_a_length_beyond_the_file_allocates_nothing(log):
    head = struct.pack("<Q", 2**62)
    log.write_bytes(log.read_bytes() + head + struct.pack("<I", masked_crc32c(head)) + b"abc")
    found = read(log)
    assert len(found.columns["phase"]) == NUM_SCALARS
    assert "ends within a record" in found.damage[0]


def test_a_tensor_that_claims_a_large_shape_is_no_scalar(log):
    event = Event(step=9, wall_time=1.0)
    value = event.summary.value.add(tag="huge")
    value.metadata.plugin_data.plugin_name = "scalars"
    value.tensor.dtype = 1
    value.tensor.float_val.append(1.0)
    value.tensor.tensor_shape.dim.add(size=2**40)
    log.write_bytes(log.read_bytes() + framed(event.SerializeToString()))
    found = read(log)
    assert "metrics.huge" not in found.columns
    assert any("1 of huge" in message for message in found.notes)


def test_only_the_first_value_of_a_tag_names_its_plugin(log):
    data = log.read_bytes()
    for step in range(2):  # as TensorFlow's writer does
        event = Event(step=step, wall_time=1.0)
        value = event.summary.value.add(tag="y")
        if not step:
            value.metadata.plugin_data.plugin_name = "scalars"
        value.tensor.dtype = 1
        value.tensor.float_val.append(step + 0.5)
        data += framed(event.SerializeToString())
    log.write_bytes(data)
    assert read(log).columns["metrics.y"].tolist() == [0.5, 1.5, None, None, None]


def test_integers_that_a_float_cannot_hold_are_reported(log):
    event = Event(step=9, wall_time=1.0)
    value = event.summary.value.add(tag="big")
    value.metadata.plugin_data.plugin_name = "scalars"
    value.tensor.dtype = 9
    value.tensor.int64_val.append(2**60 + 1)
    log.write_bytes(log.read_bytes() + framed(event.SerializeToString()))
    found = read(log)
    assert found.columns["metrics.big"].compressed().tolist() == [float(2**60)]
    assert any("beyond 2^53 are rounded to float64: 1 of big" in message for message in found.lost)


def test_a_record_that_is_no_event_is_passed_over(log):
    data = log.read_bytes()
    first = ends(data)[1]
    log.write_bytes(data[:first] + framed(b"\xff\xff\xff") + data[first:])
    found = read(log)
    assert len(found.columns["phase"]) == NUM_SCALARS
    assert "record 1 is not a valid event" in found.damage[0]


def test_an_empty_file_and_one_without_scalars_are_runs_without_records(log):
    data = log.read_bytes()
    for kept in (b"", data[: ends(data)[1]]):
        log.write_bytes(kept)
        assert tensorboard.looks_like(log)
        found = read(log)
        assert len(found.columns["phase"]) == 0
        assert not found.lost and not found.damage


def test_without_tensorboard_the_extra_is_named(log, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "tensorboard"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingExtraError, match="needs tensorboard: pip install tensorboard"):
        read(log)
