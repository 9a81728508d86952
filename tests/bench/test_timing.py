"""Turns: a warm-up, rounds in proportion to speed, and a failure that stops no other."""

import pytest

from bench import timing
from bench.timing import Failure, Timing, turns


class Clock:
    """A clock that only workers advance."""

    def __init__(self):
        self.now = 0.0
        self.calls = []

    def worker(self, name, *seconds):
        costs = iter(seconds)
        last = seconds[-1]

        def run():
            self.calls.append(name)
            self.now += next(costs, last)

        return run


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock.now)
    return clock


def test_the_median_without_the_warm_run(clock):
    found = turns({"a": clock.worker("a", 0.5, 1, 9, 2)}, budget=1.6)
    assert found == {"a": Timing(2, pytest.approx((5.5 - 1.5) / 2), 3)}


def test_rounds_follow_the_time_of_each(clock):
    runs = {
        "slow": clock.worker("slow", 5),
        "mid": clock.worker("mid", 0.25),
        "quick": clock.worker("quick", 0.001),
    }
    found = turns(runs, budget=2, most=20)
    assert {name: one.rounds for name, one in found.items()} == {"slow": 1, "mid": 8, "quick": 20}
    assert [clock.calls.count(name) for name in runs] == [2, 9, 21]


def test_no_round_begins_with_the_same_one(clock):
    turns({name: clock.worker(name, 1) for name in "abc"}, budget=3)
    assert "".join(clock.calls) == "abc" + "abc" + "bca" + "cab"


def test_one_that_fails_is_out_and_the_others_go_on(clock):
    def never():
        raise RuntimeError("no disk\nand more")

    left = iter([0, 0, ValueError("later")])

    def later():
        failure = next(left)
        if failure:
            raise failure

    found = turns({"never": never, "later": later, "fine": clock.worker("fine", 1)}, budget=3)
    assert found["never"] == Failure("RuntimeError: no disk")
    assert found["later"] == Failure("ValueError: later")
    assert found["fine"].seconds == 1
    assert list(found) == ["never", "later", "fine"]


def test_no_competitors():
    assert turns({}, budget=1) == {}
