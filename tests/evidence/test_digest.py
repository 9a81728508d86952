"""`digest`: types, shapes, exact bytes, order."""

import hashlib

import numpy as np
import pytest

from cmeta import EncodeError, digest

BASE = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.mark.parametrize(
    "other",
    [
        [BASE.astype(np.float64)], [BASE.reshape(3, 2)], [BASE, BASE], [BASE[:1], BASE[1:]], [],
        [-BASE], [BASE.T], [BASE.view(np.int32)], [{"a": BASE}], [np.zeros(0)],
        [np.nextafter(BASE, 9, dtype=np.float32)],
    ],
)  # fmt: skip
def test_arrays_of_other_digests(other):
    assert digest(*other) != digest(BASE)


def test_arrays_of_the_same_digest():
    assert digest(BASE) == digest(np.asfortranarray(BASE))
    assert digest(BASE) == digest(BASE.astype(">f4"))
    assert digest(BASE) == digest(np.stack([BASE, BASE], axis=2)[:, :, 0])
    assert digest({"b": BASE, "a": 1}) == digest({"a": 1, "b": BASE})
    assert 0 <= digest(BASE) < 2**64


def test_a_mapping_is_not_its_values():
    assert digest({"a": BASE}) != digest({"b": BASE})
    assert digest({"a": {"b": BASE}}) != digest({"a": BASE, "b": BASE})
    assert digest({"ab": 1, "c": 2}) != digest({"a": 1, "bc": 2})


def test_the_value_is_fixed():
    """A file is compared with other machines and versions: the same for ever."""
    by_hand = hashlib.blake2b(b"int16 (2,)\n" + b"\1\0\2\0", digest_size=8).digest()
    assert digest(np.array([1, 2], np.int16)) == int.from_bytes(by_hand, "little")
    assert digest({"w": np.zeros((1, 2), np.float32)}, 1.5) == 0xAB8A926DE8C94245


class Tensor:
    """A stand-in for a torch tensor: on a device, with a gradient, of a type that numpy lacks."""

    def __init__(self, values, dtype):
        self.values, self.dtype, self.moved = values, dtype, []

    def detach(self):
        self.moved.append("detach")
        return self

    def cpu(self):
        self.moved.append("cpu")
        return self

    def numpy(self):
        return self.values

    def __array__(self, dtype=None, copy=None):
        return self.values


def test_tensors():
    tensor = Tensor(BASE, "torch.float32")
    assert digest(tensor) == digest(BASE)
    assert tensor.moved == ["detach", "cpu"]
    assert digest(Tensor(BASE, "torch.bfloat16")) != digest(BASE)


@pytest.mark.parametrize("value", ["text", [None], object(), [b"x"]])
def test_something_that_is_not_an_array_of_numbers(value):
    with pytest.raises(EncodeError, match=r"arrays\[1\]: found"):
        digest(BASE, value)
