"""The public types of values: records, snapshots, columns."""

import copy
import pickle
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

import cmeta
from cmeta import Columns, CycleRecord, DiagnosticsSnapshot

NAN = float("nan")


# --------------------------------------------------------------------------- DiagnosticsSnapshot


def test_a_snapshot_is_a_mapping_with_attributes():
    snapshot = DiagnosticsSnapshot({"entropy": 1.5}, state="stable", **{"train/loss": 0.25})
    assert dict(snapshot) == {"entropy": 1.5, "state": "stable", "train/loss": 0.25}
    assert snapshot.entropy == snapshot["entropy"] == 1.5
    assert len(snapshot) == 3
    assert "state" in snapshot
    assert snapshot.get("risk_score") is None
    assert repr(DiagnosticsSnapshot(a=1)) == "DiagnosticsSnapshot({'a': 1})"
    assert dict(DiagnosticsSnapshot()) == {}


def test_a_snapshot_keeps_its_own_values():
    values = {"entropy": 1.5}
    snapshot = DiagnosticsSnapshot(values)
    values["entropy"] = 2.5
    assert snapshot.entropy == 1.5
    with pytest.raises(TypeError):
        snapshot["entropy"] = 3.5


def test_a_metric_that_is_not_there():
    with pytest.raises(AttributeError, match="no metric 'loss' in this cycle"):
        _ = DiagnosticsSnapshot().loss
    with pytest.raises(AttributeError, match="_private"):
        _ = DiagnosticsSnapshot()._private
    with pytest.raises(KeyError, match="loss"):
        _ = DiagnosticsSnapshot()["loss"]


def test_equal_snapshots():
    one = DiagnosticsSnapshot(a=NAN, b=[1, NAN], c={"d": NAN})
    two = DiagnosticsSnapshot(c={"d": NAN}, b=[1, NAN], a=NAN)
    assert one == two
    assert hash(one) == hash(two)
    assert one == {"a": NAN, "b": [1, NAN], "c": {"d": NAN}}
    assert one != DiagnosticsSnapshot(a=NAN)
    assert one != 5


# ----------------------------------------------------------------------------------- CycleRecord


def record(**changes):
    return CycleRecord(**({"phase": "train", "timestamp": 3, "loss_value": NAN} | changes))


def test_only_the_phase_is_required():
    plain = CycleRecord(phase="train")
    assert plain.as_dict() == {"phase": "train"}
    assert plain.timestamp is None
    assert plain.metrics == {}
    assert plain.extra == {}
    with pytest.raises(TypeError, match="phase"):
        CycleRecord()
    with pytest.raises(TypeError):
        CycleRecord("train")


def test_its_fields_are_those_of_the_default_schema():
    fields = set(CycleRecord.__dataclass_fields__)
    schema = cmeta.default_schema()
    assert fields == {f.path for f in schema.fields if not f.group} | {"metrics", "extra"}


def test_as_dict_nests_and_leaves_out_what_is_absent():
    full = record(metrics={"a": 1.0}, extra={"host": {"cpu": 2}}, epoch=0)
    assert full.as_dict() == {
        "phase": "train", "timestamp": 3, "loss_value": full.loss_value, "metrics": {"a": 1.0},
        "host": {"cpu": 2}, "epoch": 0,
    }  # fmt: skip


def test_equal_records():
    assert record() == record()
    assert hash(record()) == hash(record())
    assert record(metrics={"a": NAN}) == record(metrics=DiagnosticsSnapshot(a=NAN))
    assert record(tensor_signature=(1, 2, NAN)) == record(tensor_signature=[1, 2, NAN])
    assert record() != record(timestamp=4)
    assert record() != record(metrics={"a": 1})
    assert record() != record().as_dict()
    assert len({record(), record(), record(timestamp=4)}) == 2


def test_a_record_is_frozen():
    with pytest.raises(FrozenInstanceError):
        record().timestamp = 4


def test_further_fields_are_attributes():
    own = record(extra={"host": {"cpu": 2}})
    assert own.host == {"cpu": 2}
    with pytest.raises(AttributeError, match="this record has no field 'load'"):
        _ = own.load


@pytest.mark.parametrize(
    "value", [record(metrics={"a": NAN}, extra={"b": 1}), DiagnosticsSnapshot(a=1, b=NAN)]
)
def test_values_can_be_copied_and_sent(value):
    assert pickle.loads(pickle.dumps(value)) == value
    assert copy.copy(value) == value
    assert copy.deepcopy(value) == value


# --------------------------------------------------------------------------------------- Columns


@pytest.fixture
def columns():
    arrays = {"loss_value": np.array([0.5, NAN]), "v": np.arange(6.0).reshape(2, 3)}
    present = {"loss_value": np.array([True, False]), "v": np.array([False, True])}
    return Columns(arrays, present, cmeta.default_schema(), [{"lr": 0.1}])


def test_columns_are_a_mapping(columns):
    assert list(columns) == ["loss_value", "v"]
    assert len(columns) == 2
    assert "v" in columns
    assert columns.num_records == 2
    assert columns.configs == ({"lr": 0.1},)
    assert columns.schema is cmeta.default_schema()
    assert repr(columns) == "<Columns of 2 records: loss_value, v>"


def test_masked_columns(columns):
    assert columns.masked("loss_value").mask.tolist() == [False, True]
    assert columns.masked("v").mask.tolist() == [[True] * 3, [False] * 3]


def test_a_column_that_is_not_there(columns):
    with pytest.raises(KeyError) as caught:
        columns["step"]
    assert "no field 'step' with a value here; there are: loss_value, v" in str(caught.value)
    assert columns.get("step") is None


def test_no_columns():
    nothing = Columns({}, {}, cmeta.default_schema())
    assert (len(nothing), nothing.num_records, nothing.configs) == (0, 0, ())


def test_what_is_logged_is_an_attribute_by_the_same_name():
    record = CycleRecord(phase="train", loss_value=0.5, metrics={"lr": 0.1})
    assert (record.loss, record.lr, CycleRecord(phase="train").loss) == (0.5, 0.1, None)
    own = CycleRecord(phase="train", loss_value=0.5, metrics={"loss": 2.0}, extra={"load": 3})
    assert (own.loss, own.load) == (0.5, 3)
    assert copy.deepcopy(own) == pickle.loads(pickle.dumps(own)) == own
    with pytest.raises(AttributeError, match="no field 'los'; did you mean loss_value"):
        _ = record.los
