"""The training of the example: the state of a network, and the cycle that advances it.

Rules:

- A cycle is a function of the previous state and of its seed: minibatch, noise and mixture are
  drawn from a new generator in each cycle. So the run can be replayed.
- A cycle returns what was measured, NaN and infinities included, and nothing for what was not.
- If the diagnostics call for an action, it is taken, and the configuration changes with it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from typing import Any

import mlp
import numpy as np
from diagnostics import Trend, millionths, norm
from digits import draw_dream, draw_minibatch, load_data
from mlp import Floats

import cmeta

SCHEDULE = ("train", "train", "dream") * 3 + ("validate",)
LEARNING_RATES = (0.1, 0.05, 0.02, 0.01, 0.005)  # the next one at each plateau, cyclically
DREAM_POOLS = (16, 32, 64, 128)
PATIENCE = 10  # validations without progress before it is a plateau


def phase_of(ordinal: int) -> str:
    """Return the phase of a cycle."""
    return SCHEDULE[ordinal % len(SCHEDULE)]


def schema() -> cmeta.Schema:
    """Return the default schema with one more metric, too small for steps of a millionth."""
    return cmeta.default_schema().with_metrics(
        update_ratio={
            "type": "f64",
            "quanta_per_unit": 10**9,  # finer steps; or "exact": True, for no loss at all
            "doc": "Norm of an update over the norm of the weights.",
        }
    )


@dataclass(frozen=True)
class Settings:
    """Hyper-parameters: what a cycle depends on besides its state and its seed."""

    learning_rate: float = LEARNING_RATES[0]
    momentum: float = 0.9
    weight_decay: float = 1e-4
    batch_size: int = 32  # 0: the whole training set
    dream_pool: int = DREAM_POOLS[1]  # images in a dream; 0: as many as in the training set
    noise: float = 0.15  # standard deviation, on pixels from 0 to 1
    adaptive: bool = True  # whether plateaus change the settings


MODES = {
    "minibatch": Settings(),
    "fullbatch": Settings(0.02, batch_size=0, dream_pool=0, noise=0.0, adaptive=False),
    "diverging": Settings(1.5, adaptive=False),
}


class Training:
    """A network in training: its state, and the cycle that advances it.

    Parameters
    ----------
    seed : int
        Root of all seeds, u64.
    settings : Settings
        The initial ones; actions change them.
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
        """The number of images trained on, in multiples of the training set."""
        return self.num_images // len(load_data()[0].images)

    @property
    def digest(self) -> int:
        """A 64-bit hash of weights and velocity."""
        return cmeta.digest(self.weights, self.velocity)

    def cycle(self, phase: str, rng: np.random.Generator) -> dict[str, Any]:
        """Run one cycle and return what was measured, as arguments of `Recorder.log`.

        Parameters
        ----------
        phase : str
        rng : Generator
            The only source of randomness in the cycle.
        """
        action = None
        # A diverging run is recorded as it is; NumPy's warnings would add nothing.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            if phase == "validate":
                result, gradient, measured = self._validate()
            else:
                result, gradient, measured = self._update(phase, rng)
            trend = self.trends[phase]
            coherence, diagnostics = trend.observe(result.loss, result.entropy, gradient)
            if phase == "validate":
                action = self._act(rng)
            thirds = result.hidden.reshape(len(result.hidden), 3, -1).swapaxes(1, 2)
            return {
                "metrics": diagnostics | measured,
                "tensor_signature": cmeta.signature(thirds),
                "loss_value": millionths(result.loss),
                "coherence": coherence,
                "action_code": action,
                # Eight bytes that do not compress: once per validation is enough.
                "state_digest": self.digest if phase == "validate" else None,
                "step": self.num_updates,
                "epoch": self.epoch,
            }

    def _update(
        self, phase: str, rng: np.random.Generator
    ) -> tuple[mlp.Pass, Floats, dict[str, Any]]:
        """Take a gradient step on real images or on dreamt ones."""
        s = self.settings
        if phase == "dream":
            data = draw_dream(rng, s.dream_pool)
        else:
            data = draw_minibatch(rng, s.batch_size, s.noise)
            self.num_images += len(data.images)
        result = mlp.forward(self.weights, data)
        gradient, energy = mlp.backward(self.weights, data, result)
        slope = gradient + np.float32(s.weight_decay) * self.weights
        self.velocity = np.float32(s.momentum) * self.velocity - np.float32(s.learning_rate) * slope
        ratio = np.divide(norm(self.velocity), norm(self.weights))  # may be NaN or infinite
        self.weights = self.weights + self.velocity
        self.num_updates += 1
        measured = {"grad_energy": millionths(energy), "update_ratio": float(ratio)}
        if s.learning_rate != self._first_settings.learning_rate:
            measured["lr"] = s.learning_rate
        return result, gradient, measured

    def _validate(self) -> tuple[mlp.Pass, None, dict[str, Any]]:
        """Predict the held-out images; from the second epoch on, measure more."""
        _, held_out = load_data()
        result = mlp.forward(self.weights, held_out)
        measured = {"val_accuracy": mlp.accuracy(result.predictions, held_out.labels)}
        if self.epoch:
            error = mlp.calibration_error(result.predictions, held_out.labels)
            measured["calibration_error"] = millionths(error)
            for number, weights in enumerate(mlp.layers(self.weights)[::2]):
                measured[f"layer.{number}.weight_norm"] = norm(weights)
        return result, None, measured

    def _act(self, rng: np.random.Generator) -> str | None:
        """Take the action that the diagnostics call for; return its name."""
        recent_loss = self.trends["validate"].fast
        if not math.isfinite(recent_loss):
            self._begin(mlp.new_weights(rng))
            return "reset_phase_weights"
        self._patience -= 1
        if recent_loss < self._best:
            self._best, self._patience = recent_loss, PATIENCE
        if not self.settings.adaptive or self._patience > 0:
            return None
        self._best, self._patience = recent_loss, PATIENCE
        action, changes = self._plan(recent_loss / self.trends["train"].slow)
        self.settings = replace(self.settings, **changes)
        return action

    def _plan(self, gap: float) -> tuple[str, dict[str, Any]]:
        """Choose an action at a plateau by the ratio of validation loss to training loss."""
        rate = LEARNING_RATES.index(self.settings.learning_rate)
        pool = DREAM_POOLS.index(self.settings.dream_pool)
        if gap > 1.15 and pool + 1 < len(DREAM_POOLS):
            return "expand_dream_pool", {"dream_pool": DREAM_POOLS[pool + 1]}
        if gap < 0.95 and pool:
            return "contract_dream_pool", {"dream_pool": DREAM_POOLS[pool - 1]}
        return "adjust_lr", {"learning_rate": LEARNING_RATES[(rate + 1) % len(LEARNING_RATES)]}


@cache
def as_config(settings: Settings) -> dict[str, Any]:
    """Return the configuration of a cycle."""
    return {"model": "mlp", "data": "digits", "hidden": mlp.NUM_HIDDEN, **asdict(settings)}


def settings_of(config: Mapping[str, Any]) -> Settings:
    """Return the settings of a configuration."""
    return Settings(**{field.name: config[field.name] for field in fields(Settings)})
