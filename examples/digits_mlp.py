"""Train a small network on real images, and record every cycle of it.

A multilayer perceptron learns scikit-learn's bundled digits. Each cycle trains on a minibatch,
dreams (trains on images mixed from the data) or validates, and becomes one record.

    python examples/digits_mlp.py --cycles 5000 --seed 7 --out run.cmeta

Rules:

- A cycle is a function of the state before it and of its seed: minibatch, noise and mixture are
  drawn from a generator that is made anew for each cycle.
- A record holds what was measured, NaN and infinities included, and nothing for what was not.
- Where the diagnostics call for an action it is taken, and the configuration changes with it.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_limits

import cmeta

sys.path.insert(0, str(Path(__file__).resolve().parent))  # however this file is imported
import mlp
from diagnostics import Trend, millionths, norm
from mlp import Data, Floats

T = TypeVar("T")

NUM_HELD_OUT = 360
SCHEDULE = ("train", "train", "dream") * 3 + ("validate",)
LEARNING_RATES = (0.1, 0.05, 0.02, 0.01, 0.005)  # by plateau: the next, cyclically
DREAM_POOLS = (16, 32, 64, 128)
PATIENCE = 10  # validations without progress that make a plateau
SEED_STEP = 0x9E3779B97F4A7C15  # odd, so that no seed comes again within 2^64 cycles


# ---------------------------------------------------------------------------------- data and seeds


@cache
def load_data() -> tuple[Data, Data]:
    """Return the images to train on and the held-out ones, the same in every run."""
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    images = (digits.data[order] / digits.data.max()).astype(np.float32)
    labels = np.eye(mlp.NUM_CLASSES, dtype=np.float32)[digits.target[order]]
    held_out, kept = slice(NUM_HELD_OUT), slice(NUM_HELD_OUT, None)
    return Data(images[kept], labels[kept]), Data(images[held_out], labels[held_out])


def seed_of(root: int, ordinal: int) -> int:
    """Return the seed of a cycle, a u64: a Weyl sequence, which costs a chronicle nothing."""
    return (root + ordinal * SEED_STEP) % 2**64


def phase_of(ordinal: int) -> str:
    """Return the phase of a cycle."""
    return SCHEDULE[ordinal % len(SCHEDULE)]


def draw_minibatch(rng: np.random.Generator, size: int, noise: float) -> Data:
    """Return training images with noise on their pixels; for size 0 all of them, as they are."""
    data, _ = load_data()
    if size == 0:
        return data
    chosen = rng.integers(len(data.images), size=size)
    spread = rng.standard_normal((size, mlp.NUM_PIXELS), np.float32) * np.float32(noise)
    return Data(data.images[chosen] + spread, data.labels[chosen])


def draw_dream(rng: np.random.Generator, size: int) -> Data:
    """Return images that do not exist: two mixed, and their labels alike.

    For size 0 every training image is mixed half and half with its neighbour.
    """
    data, _ = load_data()
    if size == 0:
        return Data(*((part + np.roll(part, 1, axis=0)) / 2 for part in data))
    one, other = rng.integers(len(data.images), size=(2, size))
    share = rng.beta(0.4, 0.4, (size, 1)).astype(np.float32)
    return Data(*(share * part[one] + (1 - share) * part[other] for part in data))


def schema() -> cmeta.Schema:
    """Return the default schema with one more metric, too small for steps of a millionth."""
    return cmeta.default_schema().with_metrics(
        update_ratio={
            "type": "f64",
            "quanta_per_unit": 10**9,  # the finer step; or "exact": True, for no loss at all
            "doc": "Norm of an update over the norm of the weights.",
        }
    )


# -------------------------------------------------------------------------------------- the cycles


@dataclass(frozen=True)
class Settings:
    """Hyper-parameters: what a cycle depends on, beside its state and its seed."""

    learning_rate: float = LEARNING_RATES[0]
    momentum: float = 0.9
    weight_decay: float = 1e-4
    batch_size: int = 32  # 0: the whole training set
    dream_pool: int = DREAM_POOLS[1]  # images in a dream; 0: as many as there are to train on
    noise: float = 0.15  # standard deviation, on pixels from 0 to 1
    adaptive: bool = True  # whether plateaus change the settings


MODES = {
    "minibatch": Settings(),
    "fullbatch": Settings(0.02, batch_size=0, dream_pool=0, noise=0.0, adaptive=False),
    "diverging": Settings(1.5, adaptive=False),
}


class Training:
    """A network in training: its state, and the cycle that takes it to the next one.

    Parameters
    ----------
    seed : int
        Root of all seeds, u64.
    settings : Settings
        At the start; actions change them.
    """

    def __init__(self, seed: int, settings: Settings) -> None:
        self.settings = self._first_settings = settings
        self.num_updates = self.num_images = 0  # images of the training set, drawn so far
        self._begin(mlp.new_weights(np.random.default_rng([seed, 1])))

    def _begin(self, weights: Floats) -> None:
        self.weights = weights
        self.velocity: Floats = np.zeros_like(weights)
        self.trends = {phase: Trend() for phase in SCHEDULE}
        self._best = math.inf  # lowest running validation loss
        self._patience = PATIENCE

    @property
    def epoch(self) -> int:
        """How often as many images as there are have been trained on."""
        return self.num_images // len(load_data()[0].images)

    @property
    def digest(self) -> int:
        """64 bits of a hash of weights and velocity."""
        state = np.stack([self.weights, self.velocity]).astype("<f4")
        return int.from_bytes(hashlib.blake2b(state.tobytes(), digest_size=8).digest(), "little")

    def cycle(self, ordinal: int, seed: int) -> cmeta.CycleRecord:
        """Run one cycle.

        Parameters
        ----------
        ordinal : int
            Number of the cycle, from 0; decides its phase.
        seed : int
            u64; all that is random in the cycle comes from it.
        """
        phase, settings, action = phase_of(ordinal), self.settings, None
        rng = np.random.default_rng(seed)
        # A run that diverges is recorded as it is; numpy's warnings would add nothing.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            if phase == "validate":
                found, gradient, measured = self._validate()
            else:
                found, gradient, measured = self._update(phase, rng)
            trend = self.trends[phase]
            coherence, diagnostics = trend.observe(found.loss, found.entropy, gradient)
            if phase == "validate":
                action = self._act(rng)
            thirds = found.hidden.mean(axis=0).reshape(3, -1).mean(axis=1).tolist()
            return cmeta.CycleRecord(
                timestamp=ordinal,
                phase=phase,
                metrics=diagnostics | measured,
                tensor_signature=tuple(map(millionths, thirds)),
                loss_value=millionths(found.loss),
                coherence=coherence,
                action_code=action,
                seed_state=seed,
                config=_as_config(settings),
                # Eight bytes that nothing compresses: once for each validation is enough.
                state_digest=self.digest if phase == "validate" else None,
                step=self.num_updates,
                epoch=self.epoch,
            )

    def _update(
        self, phase: str, rng: np.random.Generator
    ) -> tuple[mlp.Pass, Floats, dict[str, Any]]:
        """Take a step down the gradient, on real images or on dreamt ones."""
        s = self.settings
        if phase == "dream":
            data = draw_dream(rng, s.dream_pool)
        else:
            data = draw_minibatch(rng, s.batch_size, s.noise)
            self.num_images += len(data.images)
        found = mlp.forward(self.weights, data)
        gradient, energy = mlp.backward(self.weights, data, found)
        slope = gradient + np.float32(s.weight_decay) * self.weights
        self.velocity = np.float32(s.momentum) * self.velocity - np.float32(s.learning_rate) * slope
        ratio = np.divide(norm(self.velocity), norm(self.weights))  # NaN or infinite if it must
        self.weights = self.weights + self.velocity
        self.num_updates += 1
        measured = {"grad_energy": millionths(energy), "update_ratio": float(ratio)}
        if s.learning_rate != self._first_settings.learning_rate:
            measured["lr"] = s.learning_rate
        return found, gradient, measured

    def _validate(self) -> tuple[mlp.Pass, None, dict[str, Any]]:
        """Predict the held-out images. From the second epoch on, look closer."""
        _, held_out = load_data()
        found = mlp.forward(self.weights, held_out)
        measured = {"val_accuracy": mlp.accuracy(found.predictions, held_out.labels)}
        if self.epoch:
            error = mlp.calibration_error(found.predictions, held_out.labels)
            measured["calibration_error"] = millionths(error)
            for number, weights in enumerate(mlp.layers(self.weights)[::2]):
                measured[f"layer.{number}.weight_norm"] = norm(weights)
        return found, None, measured

    def _act(self, rng: np.random.Generator) -> str | None:
        """Do what the diagnostics call for; return the action's name."""
        of_late = self.trends["validate"].fast
        if not math.isfinite(of_late):
            self._begin(mlp.new_weights(rng))
            return "reset_phase_weights"
        self._patience -= 1
        if of_late < self._best:
            self._best, self._patience = of_late, PATIENCE
        if not self.settings.adaptive or self._patience > 0:
            return None
        self._best, self._patience = of_late, PATIENCE
        action, changes = self._plan(of_late / self.trends["train"].slow)
        self.settings = replace(self.settings, **changes)
        return action

    def _plan(self, gap: float) -> tuple[str, dict[str, Any]]:
        """Choose what to do about a plateau, by the ratio of validation and training loss."""
        rate = LEARNING_RATES.index(self.settings.learning_rate)
        pool = DREAM_POOLS.index(self.settings.dream_pool)
        if gap > 1.15 and pool + 1 < len(DREAM_POOLS):
            return "expand_dream_pool", {"dream_pool": DREAM_POOLS[pool + 1]}
        if gap < 0.95 and pool:
            return "contract_dream_pool", {"dream_pool": DREAM_POOLS[pool - 1]}
        return "adjust_lr", {"learning_rate": LEARNING_RATES[(rate + 1) % len(LEARNING_RATES)]}


@cache
def _as_config(settings: Settings) -> dict[str, Any]:
    return {"model": "mlp", "data": "digits", "hidden": mlp.NUM_HIDDEN, **asdict(settings)}


def train(num_cycles: int, seed: int = 0, mode: str = "minibatch") -> Iterator[cmeta.CycleRecord]:
    """Train, and yield a record for each cycle.

    Parameters
    ----------
    num_cycles : int
    seed : int
        Root of all seeds, u64: the same seed gives the same records on the same machine.
    mode : str
        "minibatch": noisy descent. "fullbatch": smooth descent on all images at once.
        "diverging": a learning rate that is far too large; whenever the loss is no longer finite,
        the weights are forgotten.
    """
    training = Training(seed, MODES[mode])
    with threadpool_limits(1):  # the order of a sum must not depend on the number of cores
        for ordinal in range(num_cycles):
            yield training.cycle(ordinal, seed_of(seed, ordinal))


def with_progress(items: Iterable[T], total: int) -> Iterator[T]:
    """Yield what is given, with a line of progress where somebody is looking."""
    if not sys.stderr.isatty():
        yield from items
        return
    every = max(1, total // 100)
    for done, item in enumerate(items, 1):
        yield item
        if done % every == 0:
            print(f"\r{done:,} of {total:,} cycles", end="", file=sys.stderr, flush=True)
    print("\r\033[K", end="", file=sys.stderr, flush=True)


def main() -> None:
    """Train by the wishes of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cycles", type=int, default=5000, metavar="N")
    parser.add_argument("--seed", type=int, default=7, metavar="N", help="root of all seeds")
    parser.add_argument("--mode", choices=MODES, default="minibatch")
    parser.add_argument("--out", type=Path, default=Path("run.cmeta"), metavar="FILE")
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    records = train(options.cycles, options.seed, options.mode)
    count = cmeta.write(options.out, with_progress(records, options.cycles), schema())
    len_file = options.out.stat().st_size
    print(f"{options.out}: {count:,} cycles in {len_file:,} bytes")


if __name__ == "__main__":
    main()
