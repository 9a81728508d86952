"""`replay_cycle`: the state from which a cycle began."""

import random
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import cmeta
from cmeta import CycleRecord, EncodeError, replay_cycle


def test_a_state_has_what_the_cycle_had(tmp_path):
    path = tmp_path / "run.cmeta"
    with cmeta.Recorder(path, seed=2**63 + 5, config={"lr": 0.5}) as recorder:
        for _ in range(3):
            with recorder.cycle("train") as cycle:
                drawn = (cycle.rng.random(), random.random(), np.random.random())
                cycle.log(metrics=dict(zip("abc", drawn, strict=True)))
    with cmeta.open(path) as run:
        record = list(run)[2]
    state = replay_cycle(record)
    assert state.record is record
    assert (state.config["lr"], state.root, state.ordinal) == (0.5, 2**63 + 5, None)
    assert state.seed == cmeta.seed_of(2**63 + 5, 2)
    state.seed_everything()
    drawn = (state.rng.random(), random.random(), np.random.random())
    assert dict(zip("abc", drawn, strict=True)) == record.metrics


def test_the_generator_goes_on_and_a_new_state_begins_again():
    record = CycleRecord(phase="train", seed_state=7)
    state = replay_cycle(record)
    first = state.rng.random(3).tolist()
    assert state.rng.random(3).tolist() != first
    assert replay_cycle(record).rng.random(3).tolist() == first


def test_a_record_without_a_seed_or_configuration():
    state = replay_cycle(CycleRecord(phase="train"))
    assert (state.config, state.root) == ({}, None)
    for ask in (lambda: state.rng, lambda: state.seed, state.seed_everything):
        with pytest.raises(EncodeError, match="seed_state: the record has no seed"):
            ask()
    with pytest.raises(EncodeError, match="seed_state: record 4 has no seed"):
        _ = cmeta.ReplayState(CycleRecord(phase="train"), 4).seed


def test_generators_of_libraries_get_the_whole_seed(monkeypatch):
    """The calls are checked, so that neither library needs to be installed."""
    state = replay_cycle(CycleRecord(phase="train", seed_state=2**40 + 3))
    seeds = []
    torch = SimpleNamespace(
        Generator=lambda device: SimpleNamespace(device=device, manual_seed=seeds.append)
    )
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert state.torch_generator("cuda").device == "cuda"
    assert seeds == [2**40 + 3]
    jax = SimpleNamespace(random=SimpleNamespace(wrap_key_data=lambda data: data))
    monkeypatch.setitem(sys.modules, "jax", jax)
    key = state.jax_key()
    assert (key.tolist(), key.dtype) == ([2**8, 3], np.uint32)


@pytest.mark.parametrize(("name", "method"), [("torch", "torch_generator"), ("jax", "jax_key")])
def test_a_library_that_is_missing_is_named(monkeypatch, name, method):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=f"{name} is not installed"):
        getattr(replay_cycle(CycleRecord(phase="train", seed_state=1)), method)()
