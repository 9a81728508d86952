"""The rule of choice, priced by hand: header bits, 8 bits a block, unary and binary bits."""

import numpy as np
import pytest

from cmeta.format import planner
from cmeta.format.planner import RunChoice
from cmeta.format.stages.split import order_of

CHAIN = ("class", "palette", "split", "delta", "rice")
DENSE, SPARSE = False, True

# n residuals of sum S cost n(k + 1) + max(0, (S >> k) - ((n - (n >> k)) >> 1)), k from S div n.
RUNS = {
    # F0: header 16; S = 1, k = 0: 4 + 1, and 8 for k. Sparse F0 would be 42.
    "a one among zeros": ([0, 1, 0, 0], 16 + 8 + 5, (0, DENSE)),
    # F0: header 32 (base 10, divisor 3); S = 7: 4 + 7, 8. F1 costs the same, and comes later.
    "a tie takes the first form": ([10, 13, 16, 22], 32 + 8 + 11, (0, DENSE)),
    # F1: header 32 (median 50, divisor 25); S = 1: 3 + 1, 8. F0 has S = 2.
    "around the median": ([50, 25, 50], 32 + 8 + 4, (1, DENSE)),
    # F2: header 24 (step 1), nothing left: sparse with count 0
    "steps of one": ([0, 1, 2], 24, (2, SPARSE)),
    # F0: header 16 and 24 for zigzag(250000) in four bytes: 16 + 32
    "a constant": ([250_000] * 300, 16 + 32, (0, SPARSE)),
    "a single value": ([0], 16, (0, SPARSE)),
    # F0: header 24 (divisor 5), count 8; gap 20: k = 4, 5 + 1, 8; residual 1 less 1: 0, 8
    "one of forty": ([0] * 20 + [5] + [0] * 19, 24 + 8 + 14 + 8, (0, SPARSE)),
    # F2: header 24 (step 3), count 8; gap 1: 2, 8; 2^61 - 13 counts as 2^56 - 1: k = 55, 57, 8
    "a residual beyond 2^56": ([0, 3, 2**60], 24 + 8 + 10 + 65, (2, SPARSE)),
    # F0: 6 of 8 are not zero, which is as many as may be: header 16, count 8; gaps 1 0 1 0 0 0:
    # 6 + 2, 8; values of sum 9 * 2^39 + 18: k = 39, 240 + 9 - 3, 8. Dense F0 would be 349.
    "three of four": (
        [0, 2**40 - 1, 2**39 + 7, 0, 2**40 - 5, 2**39 + 11, 2**40 - 17, 2**39 + 29],
        16 + 8 + 16 + 254, (0, SPARSE),
    ),
    # 2 values cannot be F3; F2: header 16 + 8 (base -1) + 8 (step 1)
    "two values": ([-1, 0], 32, (2, SPARSE)),
}  # fmt: skip


def total_price(values, lengths, rice):
    costs, runs = planner.price(values, lengths, rice)
    return sum(costs), runs


@pytest.mark.parametrize(("values", "cost", "choice"), RUNS.values(), ids=RUNS)
def test_prices(facts, values, cost, choice):
    found = total_price(np.array(values), (len(values),), facts.rice)
    assert found == (cost, (RunChoice(*choice),))


def test_runs_are_priced_as_if_they_stood_alone(facts):
    together = [run for run, _, _ in RUNS.values()]
    cost, choices = total_price(
        np.array([v for run in together for v in run]), [len(r) for r in together], facts.rice
    )
    assert cost == sum(cost for _, cost, _ in RUNS.values())
    assert choices == tuple(RunChoice(*choice) for _, _, choice in RUNS.values())


def test_parabolas_take_second_differences(facts):
    values = np.array([i * i for i in range(1, 301)])
    # F3: base 1, step 3: 16 + 8 + 8; second differences are all 2: zigzag 4, k = 2; 298 residuals
    # and two heads of 0: blocks of 128, 128, 44 of which the first has a sum of 126 * 4
    full, first = 128 * 3 + (128 - 48), 128 * 2 + (252 - 32)
    last = 44 * 3 + (44 - ((44 - 11) >> 1))
    assert total_price(values, (300,), facts.rice) == (
        32 + 24 + first + full + last,
        (RunChoice(3, DENSE),),
    )


@pytest.mark.parametrize(
    ("value", "width"),
    [(0, 0), (1, 8), (255, 8), (256, 16), (65535, 16), (65536, 32), (2**32 - 1, 32),
     (2**32, 64), (2**64 - 1, 64)],
)  # fmt: skip
def test_widths(facts, value, width):
    assert planner.width_bits(np.array([value], np.uint64), facts.rice).tolist() == [width]


def test_nothing_to_arrange(facts):
    assert planner.choose(np.zeros(0, np.int64), None, CHAIN, facts) == (None, False, ())


SPLIT = np.array([1000, 7] * 4)
BY_PHASE = order_of(np.uint8([0, 1] * 4))
PALETTE = np.array([0, 1_000_003, 2_500_000] * 4)


def test_splitting_pays(facts):
    """Plain costs 60 bits; two constants 32 + 24."""
    found = planner.choose(SPLIT, BY_PHASE, CHAIN, facts)
    assert (found.entries, found.split) == (None, True)
    assert found.runs == (RunChoice(0, SPARSE), RunChoice(0, SPARSE))


def test_a_palette_pays(facts):
    """Plain costs 246 bits or more; entries 89, their number 16, ranks 48."""
    found = planner.choose(PALETTE, None, CHAIN, facts)
    assert found.entries.tolist() == [0, 1_000_003, 2_500_000]
    assert found.runs == (RunChoice(0, DENSE), RunChoice(0, DENSE))
    assert not found.split


def test_both_pay(facts):
    """Phase 0 goes through three entries, phase 1 stays at a fourth: a constant run of ranks."""
    values = np.stack([PALETTE, np.full(12, 10**9)], axis=1).ravel()
    found = planner.choose(values, order_of(np.uint8([0, 1] * 12)), CHAIN, facts)
    assert found.entries.tolist() == [0, 1_000_003, 2_500_000, 10**9]
    assert found.split
    assert found.runs[1:] == (RunChoice(0, DENSE), RunChoice(0, SPARSE))


@pytest.mark.parametrize(
    ("values", "order", "without"),
    [(SPLIT, BY_PHASE, "split"), (PALETTE, None, "palette"), (SPLIT, None, ""),
     (SPLIT, order_of(np.zeros(8, np.uint8)), "")],
)  # fmt: skip
def test_a_stage_that_is_not_there_is_not_chosen(facts, values, order, without):
    chain = tuple(stage for stage in CHAIN if stage != without)
    found = planner.choose(values, order, chain, facts)
    assert (found.entries, found.split) == (None, False)
    assert len(found.runs) == 1
