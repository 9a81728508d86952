"""What holds a file is always true, and is neither pickled nor copied."""

import copy
import pickle

import pytest

import cmeta


@pytest.fixture
def recorder(path):
    with cmeta.Recorder(path) as rec:
        yield rec


@pytest.fixture
def reader(path):
    cmeta.Recorder(path).close()
    with cmeta.open(path) as run:
        yield run


@pytest.fixture
def cycle(recorder):
    return recorder.cycle("train")


@pytest.mark.parametrize("handle", ["recorder", "reader"])
def test_a_handle_without_records_is_true(handle, request):
    value = request.getfixturevalue(handle)
    assert value and not len(value)


def test_a_chronicle_without_records_is_true(path):
    assert cmeta.Chronicle(file_path=path)


@pytest.mark.parametrize("copying", [pickle.dumps, copy.copy, copy.deepcopy])
@pytest.mark.parametrize("handle", ["recorder", "reader", "cycle"])
def test_a_handle_is_not_copied(handle, copying, request):
    value = request.getfixturevalue(handle)
    name = type(value).__name__
    with pytest.raises(TypeError, match=f"a {name} cannot be pickled .* pass the path instead"):
        copying(value)
