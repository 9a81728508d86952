"""The recorded training of the example, run again: the weights come out bit for bit."""

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

import cmeta

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))

import digits_mlp
import training

SEED, NUM_CYCLES, CHECKPOINT = 11, 600, 250


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Record a training; keep its weights after every cycle, and a checkpoint."""
    path = tmp_path_factory.mktemp("replay") / "run.cmeta"
    weights, kept = [], {}
    settings = training.MODES["minibatch"]
    trained = training.Training(SEED, settings)
    with cmeta.Recorder(path, training.schema(), seed=SEED) as recorder:
        for ordinal in range(NUM_CYCLES):
            if ordinal == CHECKPOINT:
                kept["checkpoint"] = pickle.dumps(trained)
            recorder.config = training.as_config(trained.settings)
            phase = training.phase_of(ordinal)
            with recorder.cycle(phase, seed_globals=False) as cycle:
                cycle.log(**trained.cycle(phase, cycle.rng))
            weights.append(trained.weights.tobytes())
    return path, weights, kept["checkpoint"]


class Watched(digits_mlp.Replay):
    """Keeps the weights that it comes to."""

    weights: list

    def __call__(self, state):
        found = super().__call__(state)
        Watched.weights.append(self.training.weights.tobytes())
        return found


def test_deterministic_replay(original):
    """Every field of every cycle is exact, and so is every weight after every cycle."""
    path, weights, _ = original
    Watched.weights = []
    report = cmeta.replay(path, Watched)
    assert report.verdict == "exact", str(report)
    assert report.num_cycles == report.counts["exact"] == NUM_CYCLES
    assert not report.not_replayed
    assert Watched.weights == weights


def test_deterministic_replay_from_a_checkpoint(original):
    """The rest of a run, from the state in its middle."""
    path, weights, checkpoint = original
    Watched.weights = []
    report = cmeta.replay(path, Watched, start=CHECKPOINT, checkpoint=pickle.loads(checkpoint))
    assert (report.verdict, report.num_cycles) == ("exact", NUM_CYCLES - CHECKPOINT)
    assert Watched.weights == weights[CHECKPOINT:]


def test_without_the_checkpoint_the_middle_cannot_be_replayed(original):
    with pytest.raises(ValueError, match="requires a checkpoint") as caught:
        cmeta.replay(original[0], digits_mlp.Replay, start=CHECKPOINT)
    assert caught.value.__notes__ == [f"while record {CHECKPOINT} was replayed"]


def test_another_hyper_parameter_diverges_where_it_first_shows(original):
    """Momentum has no velocity to act on in the first cycle."""
    report = cmeta.replay(original[0], digits_mlp.LessMomentum)
    assert report.verdict == "diverged"
    assert (report.first.ordinal, report.first.phase) == (1, "train")
    assert report.counts["exact"] == 1


def test_another_seed_diverges_at_once(original):
    class Other(digits_mlp.Replay):
        def __call__(self, state):
            rng = np.random.default_rng(state.seed + 1)
            return self.training.cycle(state.record.phase, rng)

    report = cmeta.replay(original[0], Other, end=20)
    assert (report.first.ordinal, report.verdict) == (0, "diverged")
