"""The planner, all runs of an arrangement at once, chooses as the plain rule does, run by run."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cmeta.format import planner
from cmeta.format.stages.split import order_of
from cmeta.schema.load import shipped_format
from tests.properties import reference_plan
from tests.properties.ints import i64s, phases_of
from tests.properties.runs import more

CODECS = shipped_format().codecs
STAGES = ("palette", "split", "delta", "rice")


@st.composite
def columns(draw):
    """Draw a column of integers with its phases, or without."""
    values = draw(i64s())
    phases = phases_of(draw, len(values)) if draw(st.sampled_from([True, True, False])) else None
    stages = draw(
        st.sampled_from([STAGES, STAGES, STAGES[1:], STAGES[2:], ("palette", *STAGES[2:])])
    )
    return values, phases, stages


def assert_same_choice(values, phases, stages):
    wanted, _ = reference_plan.choose(
        values.tolist(), None if phases is None else phases.tolist(), stages, CODECS
    )
    found = planner.choose(values, None if phases is None else order_of(phases), stages, CODECS)
    entries = None if found.entries is None else found.entries.tolist()
    assert entries == wanted.entries
    assert found.split == wanted.split
    assert [(run.form, bool(run.sparse)) for run in found.runs] == wanted.runs


@more(30)
@given(columns())
def test_the_planner_follows_the_rule(column):
    assert_same_choice(*column)


@more(10)
@given(st.lists(i64s(max_size=200, min_size=1), min_size=1, max_size=4))
def test_the_price_of_runs_is_the_sum_of_their_prices(runs):
    priced = [reference_plan.choose_run(run.tolist(), CODECS.rice) for run in runs]
    costs, choices = planner.price(np.concatenate(runs), [len(run) for run in runs], CODECS.rice)
    assert costs == [run_cost for _, run_cost in priced]
    assert [(c.form, bool(c.sparse)) for c in choices] == [choice for choice, _ in priced]


EDGE = [0, 1, -1, 2**63 - 1, -(2**63)]


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_the_planner_follows_the_rule_on_every_short_run(size):
    """Where medians, heads and divisors have the fewest values, and everything wraps around."""
    for places in np.ndindex(*[len(EDGE)] * size):
        values = np.array([EDGE[p] for p in places], np.int64)
        assert_same_choice(values, np.arange(size).astype(np.uint8) % 2, STAGES)


@pytest.mark.parametrize("size", [7, 8, 127, 128, 129, 256, 257, 258])
@pytest.mark.parametrize("way", ["constant", "ramp", "square", "alternating", "one spike", "wide"])
def test_the_planner_follows_the_rule_at_the_edges_of_blocks(size, way):
    at = np.arange(size, dtype=np.int64)
    values = {
        "constant": np.full(size, -7),
        "ramp": at * 12345,
        "square": at * at,
        "alternating": (-1) ** at * 2**62,
        "one spike": np.where(at == size // 2, 2**63 - 1, 0),
        "wide": (at.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)).view(np.int64),
    }[way]
    assert_same_choice(values, (at % 3 == 0).astype(np.uint8), STAGES)


@more(10)
@given(i64s(max_size=400), st.integers(1, 60), st.data())
@example(np.arange(64, dtype=np.int64), 8, None)
def test_the_planner_follows_the_rule_with_few_distinct_values(found, num_levels, data):
    """Where palettes and splits compete."""
    levels = found % num_levels
    phases = np.arange(len(levels)).astype(np.uint8) % 3
    if data is not None:
        phases = phases_of(data.draw, len(levels))
    assert_same_choice(levels * 999 + phases * 5, phases, STAGES)
