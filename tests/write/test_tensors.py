"""Tensors of other libraries: on any device, with gradient, in types that numpy does not have.

The stand-in refuses what torch refuses, so that the writer has to ask in the right way.
"""

import numpy as np
import pytest

import cmeta


class Tensor:
    """What of a torch tensor matters here."""

    def __init__(self, values, *, device="cpu", requires_grad=False, dtype="float32"):
        self._values = np.asarray(values)
        self.device, self.requires_grad, self.dtype = device, requires_grad, dtype

    def _with(self, **changes):
        state = {"device": self.device, "requires_grad": self.requires_grad, "dtype": self.dtype}
        return Tensor(self._values, **(state | changes))

    @property
    def shape(self):
        return self._values.shape

    def size(self):
        return self.shape

    def detach(self):
        return self._with(requires_grad=False)

    def cpu(self):
        return self._with(device="cpu")

    def float(self):
        return self._with(dtype="float32")

    def item(self):
        if self._values.size != 1:
            raise RuntimeError(f"a Tensor with {self._values.size} elements cannot be converted")
        return self._values.item()

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __len__(self):
        if not self.shape:
            raise TypeError("len() of a 0-d tensor")
        return len(self._values)

    def __iter__(self):
        return (Tensor(v, device=self.device, dtype=self.dtype) for v in self._values)

    def __array__(self, dtype=None, copy=None):
        if self.device != "cpu":
            raise TypeError(f"can't convert {self.device} device type tensor to numpy")
        if self.requires_grad:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")
        if self.dtype == "bfloat16":
            raise TypeError("Got unsupported ScalarType BFloat16")
        return np.array(self._values, dtype)


KINDS = {
    "plain": {},
    "on a device": {"device": "cuda:0"},
    "with gradient": {"requires_grad": True},
    "bfloat16": {"dtype": "bfloat16"},
    "all of it": {"device": "cuda:0", "requires_grad": True, "dtype": "bfloat16"},
}
of_any_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


@of_any_kind
def test_a_column(roundtrip, kind):
    found = roundtrip({"phase": ["train"] * 2, "loss_value": Tensor([0.5, 0.25], **kind)})
    assert found["loss_value"].tolist() == [0.5, 0.25]


@of_any_kind
def test_a_column_of_vectors(roundtrip, kind):
    signatures = np.arange(6.0).reshape(2, 3)
    found = roundtrip({"phase": ["train"] * 2, "tensor_signature": Tensor(signatures, **kind)})
    assert found["tensor_signature"].tolist() == signatures.tolist()


@of_any_kind
def test_a_list_of_scalars(roundtrip, kind):
    losses = [Tensor(0.5, **kind), None, Tensor([0.25], **kind)]
    found = roundtrip({"phase": ["train"] * 3, "loss_value": losses})
    assert found.present["loss_value"].tolist() == [True, False, True]
    assert found["loss_value"][[0, 2]].tolist() == [0.5, 0.25]


@of_any_kind
def test_a_record(roundtrip, kind):
    record = cmeta.CycleRecord(
        phase="train",
        timestamp=Tensor(7, **kind),
        loss_value=Tensor(0.5, **kind),
        tensor_signature=Tensor([1.0, 2.0, 3.0], **kind),
        metrics={"x": Tensor(0.25, **kind), "state": Tensor(1, **kind)},
        seed_state=Tensor(2**63 - 1, **kind),
    )
    found = roundtrip([record])
    assert found["timestamp"].tolist() == [7]
    assert found["loss_value"].tolist() == [0.5]
    assert found["tensor_signature"].tolist() == [[1.0, 2.0, 3.0]]
    assert found["metrics.x"].tolist() == [0.25]
    assert found["metrics.state"].tolist() == ["oscillating"]
    assert found["seed_state"].tolist() == [2**63 - 1]


@of_any_kind
def test_a_record_after_one_with_a_tensor_for_a_timestamp(roundtrip, kind):
    first = cmeta.CycleRecord(phase="train", timestamp=Tensor(7, **kind))
    found = roundtrip([first, cmeta.CycleRecord(phase="train")])
    assert found["timestamp"].tolist() == [7, 8]


def test_a_vector_of_scalars(roundtrip):
    signature = [Tensor(1.0, device="cuda:0"), 2.0, np.float32(3)]
    found = roundtrip({"phase": ["train"], "tensor_signature": [signature]})
    assert found["tensor_signature"].tolist() == [[1.0, 2.0, 3.0]]


@of_any_kind
@pytest.mark.parametrize(
    ("path", "given", "words"),
    [
        ("loss_value", [[0.5, 0.25]], ["loss_value: found shape (2,)", "one element"]),
        ("loss_value", [[[0.5, 0.25]]], ["loss_value: found shape (1, 2)", "one element"]),
        ("tensor_signature", [[0.5, 0.25]], ["tensor_signature: found shape (2,)", "(3,)"]),
        ("tensor_signature", [0.5], ["tensor_signature: found shape ()", "(3,)"]),
    ],
)
def test_a_tensor_of_another_shape_in_a_list(refuse, kind, path, given, words):
    refuse({"phase": ["train"], path: [Tensor(value, **kind) for value in given]}, words)


@of_any_kind
def test_a_column_of_another_shape(refuse, kind):
    words = ["loss_value: found shape (2, 3)", "expected (n,)"]
    refuse({"phase": ["train"] * 2, "loss_value": Tensor(np.ones((2, 3)), **kind)}, words)
    words = ["loss_value: found shape ()", "expected (n,)"]
    refuse({"phase": ["train"] * 2, "loss_value": Tensor(0.5, **kind)}, words)
