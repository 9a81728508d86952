import math

import numpy as np
import pytest
from diagnostics import WINDOW, Trend, millionths


def diagnose(losses, trend=None):
    """Return the diagnostics of the last of these losses."""
    trend = trend or Trend()
    return [trend.observe(loss, 1.0, None)[1] for loss in losses][-1]


@pytest.mark.parametrize(
    ("losses", "state"),
    [
        ([1.0] * 50, "stable"),
        (np.linspace(2, 1, 50).tolist(), "stable"),
        ([1.0, 1.2] * 25, "oscillating"),
        ([1.0] * 50 + [2.5] * 10, "degrading"),
        ([1.0] * 50 + [100.0] * 10, "diverging"),
        ([1.0, math.inf], "diverging"),
        ([1.0, math.nan, 1.0], "diverging"),
    ],
)
def test_state_follows_the_losses(losses, state):
    assert diagnose(losses)["state"] == state


def test_slope_has_the_sign_of_the_change():
    assert diagnose([2.0, 1.0])["loss_slope"] < 0 < diagnose([1.0, 2.0])["loss_slope"]


def test_what_needs_a_past_is_left_out_of_the_first_cycle():
    first = diagnose([1.0])
    assert not {"loss_slope", "entropy_drift", "coherence_decay", "oscillation_index"} & set(first)
    assert "oscillation_index" not in diagnose([1.0] * (WINDOW - 1))
    assert diagnose([1.0, 2.0] * (WINDOW // 2))["oscillation_index"] == 1


def test_risk_is_from_0_to_1_and_certain_when_the_loss_is_not_finite():
    assert diagnose([1.0] * 50)["risk_score"] == 0
    assert 0 < diagnose([1.0] * 50 + [2.0] * 10)["risk_score"] < 1
    assert diagnose([1.0, math.nan])["risk_score"] == 1


def test_coherence_is_the_cosine_of_gradients_and_its_decay_the_fall_below_its_mean():
    trend = Trend()
    one, across = np.float32([1, 0]), np.float32([0, 2])
    assert trend.observe(1.0, 1.0, one)[0] is None
    assert trend.observe(1.0, 1.0, 3 * one)[0] == 1
    coherence, diagnostics = trend.observe(1.0, 1.0, across)
    assert (coherence, diagnostics["coherence_decay"]) == (0, 1)
    assert diagnostics["risk_score"] == pytest.approx(0.5 / 3, abs=1e-6)
    assert trend.observe(1.0, 1.0, -across)[0] == -1


def test_millionths_keep_what_is_not_finite():
    assert millionths(-0.00012345678) == -0.000123
    assert math.isnan(millionths(math.nan))
    assert millionths(-math.inf) == -math.inf
