"""A run that goes on without `resume_at`: steps that go back are warned of, others are not."""

import warnings

import pytest

import cmeta
from cmeta import CmetaWarning

SCHEMA = cmeta.default_schema().with_batch_records(16)


def log(rec, records):
    for record in records:
        rec.log(**{"phase": "train", **record})


def steps(*numbers, **fields):
    return [{"step": number, **fields} for number in numbers]


def resumed(path, before, after, **options):
    """Return the warnings of the second session."""
    with cmeta.Recorder(path, SCHEMA) as rec:
        log(rec, before)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with cmeta.Recorder(path, mode="resume", **options) as rec:
            log(rec, after)
    return [str(w.message) for w in caught if issubclass(w.category, CmetaWarning)]


PER_EPOCH = [{"epoch": e, "step": s} for e in range(3) for s in range(10)]


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        (steps(*range(10)), steps(*range(5, 10)), "step 5 of train comes after step 9"),
        (steps(*range(99)), steps(*range(5)), "step 0 of train comes after step 98"),
        (PER_EPOCH, steps(4, epoch=1), "step 4 of train comes after step 9 of epoch 2"),
        (PER_EPOCH, steps(4), "step 4 of train comes after step 9 of epoch 2"),
        (
            [*steps(*range(8)), *steps(7, 7, phase="val")],
            [*steps(7, phase="val"), *steps(3)],
            "step 3 of train comes after step 7",
        ),
    ],
)
def test_a_step_that_goes_back_is_warned_of_once(path, before, after, text):
    found = resumed(path, before, after)
    assert len(found) == 1
    assert text in found[0]
    assert "resume_at=checkpoint" in found[0]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (steps(*range(10)), steps(*range(10, 20))),
        (steps(*range(10)), steps(9, 10)),  # a step may repeat
        (steps(*range(10), *range(10)), steps(*range(10))),  # a counter that begins again
        (PER_EPOCH, steps(0, 1, 2, epoch=3)),
        ([*steps(*range(10)), *steps(9, phase="val")], steps(3, phase="dream")),  # no step so far
        ([{"loss": 1.0}] * 3, steps(0, 1)),
        (steps(*range(10)), [{"loss": 1.0}]),
        ([], steps(5, 4)),
    ],
)
def test_ordinary_runs_are_not(path, before, after):
    assert resumed(path, before, after) == []


def test_a_run_that_goes_back_to_its_checkpoint_is_not(path):
    assert resumed(path, steps(*range(10)), steps(*range(5, 10)), resume_at=4) == []


def test_the_record_is_taken_all_the_same(path):
    resumed(path, steps(1, 2), steps(1))
    with cmeta.open(path) as run:
        assert [r.step for r in run] == [1, 2, 1]


def test_the_warning_names_the_line_that_logged(path):
    with cmeta.Recorder(path) as rec:
        rec.log("train", step=3)
    with cmeta.Recorder(path, mode="resume") as rec, pytest.warns(CmetaWarning) as caught:
        rec.log("train", step=2)
    assert caught[0].filename == __file__
