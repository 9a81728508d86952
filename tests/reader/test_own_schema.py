"""A schema of one's own: other groups, other fields, no group at all."""

import numpy as np
import pytest

import cmeta
from cmeta import CycleRecord, Schema

LEADING = """
[[record.fields]]
name = "timestamp"
type = "u64"
codec = ["split", "delta", "rice"]
[[record.fields]]
name = "phase"
type = "enum"
enumeration = "phase"
codec = ["delta", "rice"]
"""
OWN = f"""
[enumerations.phase]
values = ["warm", "cold"]
[enumerations.weather]
values = ["sun", "rain"]
[record]
batch_records = 16
groups = [{{ name = "host" }}, {{ name = "signals", open = true }}]
{LEADING}
[[record.fields]]
name = "cpu"
group = "host"
type = "f32[2]"
[[record.fields]]
name = "weather"
type = "enum"
enumeration = "weather"
[[record.fields]]
name = "settings"
type = "config"
[[record.fields]]
name = "loss_value"
type = "f64"
exact = true
[[record.fields]]
name = "gain"
group = "signals"
type = "i8"
"""
PLAIN = f"""
[enumerations.phase]
values = ["only"]
[record]
batch_records = 16
{LEADING}
[[record.fields]]
name = "metrics"
type = "f32"
[[record.fields]]
name = "extra"
type = "u8"
"""


@pytest.fixture
def load(tmp_path):
    def load_text(text):
        (tmp_path / "own.toml").write_text(text)
        return Schema.load(tmp_path / "own.toml")

    return load_text


RECORDS = [
    CycleRecord(
        phase="warm",
        timestamp=1,
        loss_value=0.1,
        extra={
            "host": {"cpu": (0.5, 0.25)},
            "weather": "rain",
            "settings": {"a": 1},
            "signals": {"gain": -3, "noise": 0.125},
        },
    ),
    CycleRecord(phase="cold", timestamp=1, extra={"signals": {"noise": 0.25}}),
    CycleRecord(phase="warm", timestamp=2),
]


def test_records_with_fields_of_their_own(load, tmp_path):
    schema, path = load(OWN), tmp_path / "run.cmeta"
    cmeta.write(path, RECORDS, schema)
    assert cmeta.validate(path).ok
    with cmeta.open(path) as run:
        assert run.schema == schema
        found = list(run)
        assert found == RECORDS
        assert run.read(phase="cold")["signals.noise"].tolist() == [0.25]
        assert [f.path for f in run.fields[2:]] == [
            "host.cpu", "weather", "settings", "loss_value", "signals.gain", "signals.noise",
        ]  # fmt: skip
    first = found[0]
    assert first.loss_value == 0.1
    assert first.weather == "rain"
    assert first.host == {"cpu": (0.5, 0.25)}
    assert first.extra["signals"] == {"gain": -3, "noise": 0.125}
    assert first.settings == {"a": 1}
    assert first.metrics == {}
    with pytest.raises(AttributeError, match="this record has no field 'weather'"):
        _ = found[2].weather


def test_columns_give_the_same_bytes(load, tmp_path):
    schema = load(OWN)
    cmeta.write(tmp_path / "a.cmeta", RECORDS, schema)
    columns = {
        "timestamp": [1, 1, 2],
        "phase": ["warm", "cold", "warm"],
        "host.cpu": [(0.5, 0.25), None, None],
        "weather": ["rain", None, None],
        "settings": [{"a": 1}, None, None],
        "loss_value": [0.1, None, None],
        "signals.gain": [-3, None, None],
        "signals.noise": [0.125, 0.25, None],
    }
    cmeta.write(tmp_path / "b.cmeta", columns, schema)
    assert (tmp_path / "a.cmeta").read_bytes() == (tmp_path / "b.cmeta").read_bytes()


def test_a_config_of_another_name_takes_one_for_all(load, tmp_path):
    cmeta.write(tmp_path / "a.cmeta", {"phase": ["warm"] * 2}, load(OWN), config={"a": 1})
    with cmeta.open(tmp_path / "a.cmeta") as run:
        assert [record.settings for record in run] == [{"a": 1}] * 2
        found = run.read()
        assert found["settings"].tolist() == [0, 0]
        cmeta.write(tmp_path / "b.cmeta", found)
    assert (tmp_path / "a.cmeta").read_bytes() == (tmp_path / "b.cmeta").read_bytes()


def test_what_is_no_field_is_a_metric_of_the_open_group_as_in_a_recorder(load, tmp_path):
    schema = load(OWN)
    record = CycleRecord(phase="warm", metrics={"a": 1}, coherence=1.0)
    cmeta.write(tmp_path / "a.cmeta", [record], schema)
    with cmeta.Recorder(tmp_path / "b.cmeta", schema) as rec:
        rec.log("warm", metrics={"a": 1}, coherence=1.0)
    with cmeta.Recorder(tmp_path / "c.cmeta", schema) as rec:
        rec.record_cycle(record)
    a, b, c = ((tmp_path / f"{name}.cmeta").read_bytes() for name in "abc")
    assert a == b == c
    with cmeta.open(tmp_path / "a.cmeta") as run:
        assert next(iter(run)).extra == {"signals": {"a": 1.0, "coherence": 1.0}}


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (CycleRecord(phase="warm", tensor_signature=(1.0, 2.0, 3.0)), ["tensor_signature: found"]),
        (CycleRecord(phase="warm", extra={"host": {"gpu": 1}}), ["'host.gpu' is not in"]),
        (CycleRecord(phase="warm", extra={"host": 5}), ["host", "found a int"]),
        (CycleRecord(phase="warm", extra={"weather": {"a": 1}}), ["weather: found a dict"]),
        (
            CycleRecord(phase="warm", extra={"weather": "fog"}),
            ["weather: found 'fog'", "sun, rain"],
        ),
    ],
)
def test_what_the_schema_does_not_have(load, tmp_path, record, words):
    with pytest.raises(cmeta.EncodeError) as caught:
        cmeta.write(tmp_path / "run.cmeta", [record], load(OWN))
    for word in words:
        assert word in str(caught.value)


def test_a_field_may_have_the_name_of_an_attribute(load, tmp_path):
    path = tmp_path / "run.cmeta"
    columns = {"phase": ["only"] * 2, "metrics": [0.5, None], "extra": [7, 8]}
    cmeta.write(path, columns, load(PLAIN))
    assert cmeta.validate(path).ok
    with cmeta.open(path) as run:
        found = run.read()
        assert np.nan_to_num(found["metrics"]).tolist() == [0.5, 0.0]
        records = list(run)
        assert records[0].extra["extra"] == 7
        assert records[0].as_dict()["metrics"] == 0.5
        cmeta.write(tmp_path / "again.cmeta", records, run.schema)
    assert (tmp_path / "again.cmeta").read_bytes() == path.read_bytes()


def test_a_closed_group_takes_no_other_names(load, tmp_path):
    with pytest.raises(cmeta.EncodeError, match=r"'host\.gpu' is not in the schema"):
        cmeta.write(tmp_path / "run.cmeta", {"phase": ["warm"], "host.gpu": [1]}, load(OWN))


def test_phases_have_their_own_order(load, tmp_path):
    columns = {"timestamp": [5, 5], "phase": ["cold", "warm"]}
    with pytest.raises(cmeta.OrderError, match="the order of phases is warm, cold"):
        cmeta.write(tmp_path / "run.cmeta", columns, load(OWN))
