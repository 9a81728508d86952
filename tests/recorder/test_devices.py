"""Tensors on another device: copied at the call, fetched once for each group."""

import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

import cmeta


class Device:
    type = "cuda"

    def __str__(self):
        return "cuda:0"


class Tensor:
    """A tensor as torch has it on a GPU: reading a value waits for the device."""

    waits = 0

    def __init__(self, value, dtype="torch.float32"):
        self.values = np.array(value, np.float32)
        self.device = Device()
        self.dtype, self.requires_grad = dtype, True

    @property
    def shape(self):
        return self.values.shape

    def size(self):
        return self.shape

    def detach(self):
        found = Tensor(0)
        found.values, found.requires_grad = self.values, False
        return found

    def clone(self):
        found = Tensor(0)
        found.values, found.requires_grad = self.values.copy(), self.requires_grad
        return found

    def reshape(self, shape):
        return self

    def cpu(self):
        Tensor.waits += 1
        return self

    def numpy(self):
        assert not self.requires_grad
        return self.values

    def __len__(self):
        return len(self.values)

    def __array__(self, dtype=None, copy=None):
        return self.numpy()

    def tolist(self):
        return self.values.tolist()

    def __float__(self):
        Tensor.waits += 1
        return float(self.values)


@pytest.fixture
def torch(monkeypatch):
    def stack(tensors):
        found = Tensor(0)
        found.values = np.stack([t.values for t in tensors])
        return found

    found = SimpleNamespace(stack=stack, manual_seed=lambda seed: None)
    monkeypatch.setitem(sys.modules, "torch", found)
    Tensor.waits = 0
    return found


def run(path, flush_every, value=Tensor):
    with cmeta.Recorder(path, flush_every=flush_every) as recorder:
        loss = value(0.0)
        for i in range(12):
            if isinstance(loss, Tensor):
                loss.values[...] = i + 0.5  # in place, as an optimiser does
            else:
                loss = i + 0.5
            recorder.log("train", loss=loss, metrics={"entropy": loss, "free": loss})
    return path.read_bytes()


@pytest.mark.parametrize(("flush_every", "num_waits"), [(1, 36), (4, 3), (12, 1), (100, 1)])
def test_one_wait_for_each_group(tmp_path, torch, flush_every, num_waits):
    expected = run(tmp_path / "plain.cmeta", 1, float)
    assert run(tmp_path / "run.cmeta", flush_every) == expected
    assert Tensor.waits == num_waits


def test_without_torch_each_is_asked(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    expected = run(tmp_path / "plain.cmeta", 1, float)
    assert run(tmp_path / "run.cmeta", 4) == expected


def test_a_vector_is_taken_at_once(tmp_path, torch):
    path = tmp_path / "run.cmeta"
    with cmeta.Recorder(path, flush_every=2) as recorder:
        recorder.log("dream", tensor_signature=Tensor([0.25, 0.5, 1]))
    with cmeta.open(path) as found:
        assert next(iter(found)).tensor_signature == (0.25, 0.5, 1.0)


def test_what_is_waiting_can_be_asked_for(tmp_path, torch):
    with cmeta.Recorder(tmp_path / "run.cmeta", flush_every=10) as recorder:
        recorder.log("train", loss=Tensor(0.5))
        assert recorder.last.loss_value == 0.5
        recorder.log("train", loss=Tensor(np.inf))
        assert [r.loss_value for r in recorder.records] == [0.5, np.inf]


@pytest.mark.parametrize("where", ["loss", "metrics"])
def test_several_elements_are_refused_at_the_call(tmp_path, torch, where):
    """Not when the group is written, far from the call at fault."""
    tensor = Tensor([1.0, 2.0])
    given = {"loss": tensor} if where == "loss" else {"metrics": {"free": tensor}}
    with cmeta.Recorder(tmp_path / "run.cmeta", flush_every=4) as recorder:
        with pytest.raises(
            cmeta.EncodeError, match=r"(loss_value|metrics.free): found shape \(2,\)"
        ):
            recorder.log("train", **given)
        assert len(recorder) == 0


class Broken(Tensor):
    """A tensor of which every copy fails, as after an error in a kernel."""

    def detach(self):
        return self

    def clone(self):
        return self

    def tolist(self):
        raise RuntimeError("CUDA error: device-side assert triggered")

    __float__ = numpy = cpu = tolist

    @property
    def values(self):
        raise RuntimeError("CUDA error: device-side assert triggered")

    @values.setter
    def values(self, value):
        pass

    shape = ()


def steps_in(path):
    with cmeta.open(path) as found:
        assert found.state == "closed"
        return found.read(["step"])["step"].tolist()


@pytest.mark.parametrize("bad", [{"loss": Broken(1)}, {"metrics": {"free": Broken(1)}}])
def test_a_tensor_that_cannot_be_fetched_does_not_stay(tmp_path, torch, bad):
    recorder = cmeta.Recorder(tmp_path / "run.cmeta", flush_every=4)
    recorder.log("train", step=0, **bad)
    words = r"(loss_value|metrics\.free): the tensor cannot be fetched .*RuntimeError: CUDA"
    with pytest.raises(cmeta.EncodeError, match=words):
        recorder.flush()
    recorder.flush()
    recorder.log("train", step=1)
    recorder.close()
    assert steps_in(tmp_path / "run.cmeta") == [1]


@pytest.mark.parametrize("end", ["log", "flush", "close"])
def test_the_bad_record_of_a_group_is_refused_alone(tmp_path, torch, end):
    path = tmp_path / "run.cmeta"
    recorder = cmeta.Recorder(path, flush_every=4)
    recorder.log("train", step=0, loss=Tensor(0.5))
    recorder.log("val", step=1, loss=Broken(1))
    recorder.log("val", step=2, loss=Tensor(0.25))
    words = r"timestamp 1, validate, was logged before and is left out"
    with pytest.raises(cmeta.EncodeError, match=words):
        recorder.log("val", step=3) if end == "log" else getattr(recorder, end)()
    if end != "close":
        recorder.log("train", step=4)
    recorder.close()
    expected = {"log": [0, 2, 3, 4], "flush": [0, 2, 4], "close": [0, 2]}[end]
    assert steps_in(path) == expected
    assert cmeta.validate(path).ok


def test_it_is_counted_where_errors_are_warnings(tmp_path, torch):
    path = tmp_path / "run.cmeta"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with cmeta.Recorder(path, flush_every=3, on_error="warn") as recorder:
            for step in range(7):
                loss = Broken(1) if step in (1, 6) else Tensor(1)
                recorder.log("train", step=step, loss=loss)
    assert recorder.num_refused == 2
    assert "2 records not taken, because 2 of bad values" in str(caught[-1].message)
    assert steps_in(path) == [0, 2, 3, 4, 5]
