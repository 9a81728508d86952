"""Cycles: derived seeds, one record of everything logged, nothing after an exception."""

import gc
import random
import sys
import types
import weakref

import numpy as np
import pytest

import cmeta
from cmeta.records import seeds


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.cmeta"


def test_a_cycle_is_one_record(path):
    with cmeta.Recorder(path, seed=7) as rec:
        with rec.cycle("train", step=3) as c:
            c.log(loss=0.5, metrics={"a": 1.0})
            c.log(metrics={"b": 2.0, "a": 3.0}, coherence=0.25)
            assert len(rec) == 0
        assert len(rec) == 1
    with cmeta.open(path) as run:
        (found,) = run
    assert (found.loss_value, found.coherence, found.step) == (0.5, 0.25, 3)
    assert dict(found.metrics) == {"a": 3.0, "b": 2.0}
    assert found.seed_state == seeds.seed_of(7, 0)


def test_all_generators_are_seeded(path):
    with cmeta.Recorder(path, seed=2**64 - 1) as rec:
        rec.log("dream")
        with rec.cycle("train") as c:
            drawn = (c.rng.random(), random.random(), np.random.random())
    seed = seeds.seed_of(2**64 - 1, 1)
    assert c.seed == seed
    random.seed(seed)
    np.random.seed(seed % 2**32)
    again = (np.random.default_rng(seed).random(), random.random(), np.random.random())
    assert drawn == again


def test_the_global_generators_can_be_left_alone(path):
    random.seed(1)
    np.random.seed(1)
    before = (random.getstate(), np.random.get_state()[1].tolist())
    with cmeta.Recorder(path, seed=7) as rec, rec.cycle("train", seed_globals=False) as c:
        c.rng.random()
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before


def test_torch_is_seeded_if_it_is_imported(path, monkeypatch):
    seen = []
    torch = types.SimpleNamespace(manual_seed=seen.append)
    monkeypatch.setitem(sys.modules, "torch", torch)
    with cmeta.Recorder(path, seed=7) as rec, rec.cycle("train"):
        pass
    assert seen == [7]


def drawn_by_torch(torch):
    """Return what torch's generator for the CPU gives next, of several kinds."""
    return [torch.rand(5).tolist(), torch.randn(5).tolist(), torch.randperm(9).tolist()]


@pytest.mark.parametrize("root", [0, 7, 2**32 - 1, 2**63, 2**64 - 1])
def test_torch_draws_the_numbers_of_manual_seed(path, root):
    torch = pytest.importorskip("torch")
    with cmeta.Recorder(path, seed=root) as rec, rec.cycle("train") as c:
        found = drawn_by_torch(torch)
    torch.manual_seed(c.seed)
    assert found == drawn_by_torch(torch)


def test_torch_notes_no_stack_trace(path, monkeypatch):
    """Which is what makes `torch.manual_seed` slow where there is no other device."""
    torch = pytest.importorskip("torch")
    if torch.cuda.device_count() or torch.xpu.device_count():
        pytest.skip("there are devices, which are seeded when they are first used")
    traces = []
    monkeypatch.setattr("traceback.format_stack", lambda *_: traces.append(1) or [])
    with cmeta.Recorder(path, seed=7) as rec, rec.cycle("train") as c:
        assert torch.initial_seed() == c.seed
    assert not traces


class Devices:
    """A kind of device as torch has it."""

    def __init__(self, count, *, is_used=False):
        self._count, self._is_used, self.seeds, self.num_counted = count, is_used, [], 0

    def is_initialized(self):
        return self._is_used

    def _is_in_bad_fork(self):
        return False

    def device_count(self):
        self.num_counted += 1
        return self._count

    def manual_seed_all(self, seed):
        self.seeds.append(seed)


def test_devices_are_seeded_if_there_are_any(path, monkeypatch):
    seen, own, custom = [], [], []
    used, unused, missing = Devices(1, is_used=True), Devices(2), Devices(0)
    torch = types.SimpleNamespace(
        default_generator=types.SimpleNamespace(manual_seed=seen.append),
        cuda=used, xpu=unused, mtia=missing,
        backends=types.SimpleNamespace(mps=types.SimpleNamespace(is_available=lambda: True)),
        mps=types.SimpleNamespace(manual_seed=own.append),
        random=types.SimpleNamespace(_seed_custom_device=custom.append),
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setattr(seeds, "_ABSENT", set())
    with cmeta.Recorder(path, seed=7) as rec:
        for _ in range(3):
            with rec.cycle("train"):
                pass
    expected = [seeds.seed_of(7, i) for i in range(3)]
    assert seen == own == custom == used.seeds == unused.seeds == expected
    assert (missing.seeds, missing.num_counted) == ([], 1)


def test_an_exception_commits_nothing_and_gives_the_seed_back(path):
    def fail(rec):
        with rec.cycle("train") as c:
            c.log(loss=0.5)
            c.log(loss=1 / 0)

    with cmeta.Recorder(path, seed=7) as rec:
        with pytest.raises(ZeroDivisionError):
            fail(rec)
        assert len(rec) == 0
        with rec.cycle("train") as c:
            assert c.seed == seeds.seed_of(7, 0)


def test_seeds_of_concurrent_cycles_differ(path):
    with cmeta.Recorder(path, seed=7) as rec:
        with rec.cycle("train") as one, rec.cycle("train") as other:
            pass
        with rec.cycle("train") as third:
            pass
    assert [c.seed for c in (one, other, third)] == [seeds.seed_of(7, i) for i in range(3)]


def test_log_records_a_seed_only_if_it_is_given(path):
    with cmeta.Recorder(path, seed=7) as rec:
        rec.log("train")
        rec.log("train", seed_state=5)
        with rec.cycle("train"):
            pass
    with cmeta.open(path) as run:
        assert [r.seed_state for r in run] == [None, 5, seeds.seed_of(7, 2)]


def test_a_root_is_drawn_when_the_first_cycle_needs_one(path):
    with cmeta.Recorder(path, config={"lr": 0.1}) as rec:
        rec.log("train")
        with rec.cycle("train") as c:
            pass
    with cmeta.open(path) as run:
        first, second = run
    assert first.config == {"lr": 0.1}
    root = seeds.root_in(second.config)
    assert second.config["lr"] == 0.1
    assert c.seed == second.seed_state == seeds.seed_of(root, 1)
    with cmeta.Recorder(path, mode="resume") as rec:
        assert rec.cycle("train").seed == seeds.seed_of(root, 2)


def test_the_derivation():
    step = seeds.seed_of(0, 1)
    assert step % 2 == 1
    assert [seeds.seed_of(5, i) for i in (0, 1, 2)] == [5, 5 + step, (5 + 2 * step) % 2**64]
    for ordinal in (0, 1, 4095, 2**32 - 2):
        assert seeds.ordinal_of(2**64 - 3, seeds.seed_of(2**64 - 3, ordinal)) == ordinal
    low = {seeds.seed_of(123, i) % 2**32 for i in range(100_000)}
    assert len(low) == 100_000


@pytest.mark.parametrize(
    ("config", "root"),
    [
        (None, None),
        ({}, None),
        ({"cmeta": 3}, None),
        ({"cmeta": {"seed_root": 3}}, None),
        ({"cmeta": {"seed_root": 3, "seed_scheme": "other"}}, None),
        ({"cmeta": {"seed_root": "x", "seed_scheme": "weyl"}}, None),
        ({"cmeta": {"seed_root": -1, "seed_scheme": "weyl"}}, None),
        ({"cmeta": {"seed_root": "0xFFFFFFFFFFFFFFFF", "seed_scheme": "weyl"}}, 2**64 - 1),
        (seeds.with_origin({"cmeta": {"note": "kept"}}, seeds.Origin(3)), 3),
    ],
)
def test_the_root_of_a_configuration(config, root):
    assert seeds.root_in(config) == root


def test_a_cycle_takes_values_only_inside_its_block(path):
    with cmeta.Recorder(path, seed=7) as rec:
        with rec.cycle("train") as c:
            c.log(loss=0.5)
        with pytest.raises(cmeta.RecorderError, match="this cycle has ended"):
            c.log(loss=1.0)
        with pytest.raises(cmeta.RecorderError, match=r"has not begun: .*`with rec.cycle"):
            rec.cycle("train").log(loss=2.0)
        with pytest.raises(ZeroDivisionError), rec.cycle("train") as failed:
            _ = 1 / 0
        with pytest.raises(cmeta.RecorderError, match="this cycle has ended"):
            failed.log(loss=3.0)
        assert len(rec) == 1 and rec.last.loss_value == 0.5


def test_a_cycle_is_entered_once(path):
    with cmeta.Recorder(path, seed=7) as rec:
        with rec.cycle("train") as c:
            with pytest.raises(cmeta.RecorderError, match="entered before"):
                c.__enter__()
            c.log(step=1)
        with pytest.raises(cmeta.RecorderError, match="entered before"), c:
            pass
        assert len(rec) == 1


def test_values_of_a_cycle_that_was_never_entered_are_reported(path):
    with cmeta.Recorder(path, seed=7) as rec:
        with pytest.warns(cmeta.CmetaWarning, match="never entered"):
            rec.cycle("train", loss=0.5)
        assert rec.cycle("train").seed  # a look at the seed is no record


def test_a_finished_cycle_does_not_keep_its_recorder(path):
    rec = cmeta.Recorder(path, seed=7)
    with rec.cycle("train") as c:
        pass
    rec.close()
    held = weakref.ref(rec)
    del rec
    gc.collect()
    assert held() is None and c.seed == 7
