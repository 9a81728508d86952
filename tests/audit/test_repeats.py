"""Repeated seeds, checked against a plain count; in one pass and in many."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmeta.tools.audit.checks import repeats_of


def plain(values):
    seen, found = {}, []
    for ordinal, seed in enumerate(values):
        if seed in seen:
            found.append((ordinal, seen[seed], seed))
        seen.setdefault(seed, ordinal)
    return found


def chunks(values, size):
    seeds, ordinals = np.array(values, np.uint64), np.arange(len(values))
    return lambda: (
        (ordinals[i : i + size], seeds[i : i + size]) for i in range(0, len(values), size)
    )


@given(
    st.lists(st.one_of(st.integers(0, 20), st.integers(0, 2**64 - 1)), max_size=200),
    st.integers(1, 40),
    st.integers(4, 300),
)
def test_repeats_are_those_of_a_plain_count(values, size, per_pass):
    found = repeats_of(chunks(values, size), len(values), per_pass)
    expected = plain(values)
    assert found.num_repeated == len(expected)
    assert found.examples == expected[:3]


@pytest.mark.parametrize("per_pass", [16, 1000])
def test_one_seed_throughout(per_pass):
    found = repeats_of(chunks([42] * 500, 16), 500, per_pass)
    assert (found.num_repeated, found.examples) == (499, [(1, 0, 42), (2, 0, 42), (3, 0, 42)])


def test_a_pass_takes_only_its_share():
    """The number of seeds held at once stays close to the size of a pass."""
    values = np.random.default_rng(0).integers(0, 2**64, 20_000, np.uint64)
    seeds = chunks(values, 100)
    num_passes = []

    def counting():
        num_passes.append(1)
        return seeds()

    assert repeats_of(counting, len(values), 1000).num_repeated == 0
    assert len(num_passes) == 20
