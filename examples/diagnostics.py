"""Diagnostics of a training: loss, entropy and gradient compared with those of earlier cycles.

Running figures are kept per phase, because the loss of a dream is not a training loss.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
WINDOW = 18  # losses: 17 differences, so 16 pairs of neighbouring signs


def millionths(value: float) -> float:
    """Round to a millionth, the default step in which a declared field is stored.

    The library warns if a stored value differs from the given one by more than 0.1%. A value that
    crosses zero, such as a slope, comes that close to it sooner or later; rounding states that
    millionths are precise enough.

    Examples
    --------
    >>> millionths(-0.00012345678)
    -0.000123
    """
    return round(float(np.float32(value)), 6)


@dataclass
class Trend:
    """Running figures of one phase.

    Attributes
    ----------
    fast, slow : float
        Running means of the loss, over about 10 and about 50 cycles.
    entropy, coherence : float or None
        Running means, over about 20 cycles.
    """

    fast: float = math.nan
    slow: float = math.nan
    entropy: float | None = None
    coherence: float | None = None
    _gradient: Floats | None = None
    _losses: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))

    def observe(
        self, loss: float, entropy: float, gradient: Floats | None
    ) -> tuple[float | None, dict[str, float | str]]:
        """Add a cycle.

        Returns
        -------
        coherence : float or None
            Cosine of this gradient and the previous one; None if either is missing.
        diagnostics : dict
            By the names of the default schema's metrics, once enough cycles have been seen.
        """
        is_first = not self._losses
        before = self.fast
        self.fast = loss if is_first else _blend(self.fast, loss, 0.1)
        self.slow = loss if is_first else _blend(self.slow, loss, 0.02)
        self._losses.append(loss)
        coherence = self._follow(gradient)
        oscillation = self._oscillation()
        diagnostics = {
            "entropy": entropy,
            "loss_slope": None if is_first else self.fast - before,
            "entropy_drift": _minus(entropy, self.entropy),
            "coherence_decay": _minus(self.coherence, coherence),
            "oscillation_index": oscillation,
            "risk_score": self._risk(oscillation, coherence),
        }
        self.entropy = _blend(self.entropy, entropy, 0.05)
        if coherence is not None:
            self.coherence = _blend(self.coherence, coherence, 0.05)
        known = {
            name: millionths(value) for name, value in diagnostics.items() if value is not None
        }
        coherence = None if coherence is None else millionths(coherence)
        return coherence, known | {"state": self._verdict(oscillation)}

    def _follow(self, gradient: Floats | None) -> float | None:
        """Keep a gradient and return its cosine with the previous one."""
        before, self._gradient = self._gradient, gradient
        if before is None or gradient is None:
            return None
        return float(np.vdot(gradient, before) / (norm(gradient) * norm(before)))

    def _rise(self) -> float:
        """Return the relative rise of the recent loss; NaN if a mean is not finite."""
        if not math.isfinite(self.fast) or not math.isfinite(self.slow):
            return math.nan
        return max(0.0, self.fast / max(self.slow, 1e-12) - 1)

    def _oscillation(self) -> float | None:
        """Return how often the loss changes direction, as a share; about 2/3 for pure noise."""
        if len(self._losses) < WINDOW:
            return None
        falls = np.diff(self._losses) < 0
        return float(np.mean(falls[1:] != falls[:-1]))

    def _risk(self, oscillation: float | None, coherence: float | None) -> float:
        """Combine rise, oscillation and incoherence with equal weight."""
        rise = self._rise()
        incoherence = 0.0 if coherence is None else (1 - coherence) / 2
        risk = (min(1.0, rise) + (oscillation or 0.0) + incoherence) / 3
        return 1.0 if math.isnan(rise) or math.isnan(risk) else risk

    def _verdict(self, oscillation: float | None) -> str:
        rise = self._rise()
        if math.isnan(rise) or rise > 2:
            return "diverging"
        if rise > 0.4:
            return "degrading"
        return "oscillating" if (oscillation or 0.0) > 0.9 else "stable"


def norm(values: Floats) -> float:
    """Return the Euclidean norm of an array of any shape."""
    return float(np.sqrt(np.vdot(values, values)))


def _blend(mean: float | None, value: float, weight: float) -> float:
    return value if mean is None else mean + weight * (value - mean)


def _minus(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other
