"""Steps that go back, or come twice in a phase; and ordinary runs, in which nothing is wrong."""

import pytest

import cmeta

SCHEMA = cmeta.default_schema().with_batch_records(16)


def findings(path, records):
    """Return severity and code of what is found in the steps."""
    with cmeta.Recorder(path, SCHEMA, config={"environment": {}}) as rec:
        for record in records:
            rec.log(**{"phase": "train", **record})
    report = cmeta.audit(path)[0]
    return report, [f for f in report.findings if f.code.startswith("steps")]


def steps(*numbers, **fields):
    return [{"step": number, **fields} for number in numbers]


@pytest.mark.parametrize(
    ("records", "num_again", "text"),
    [
        (steps(*range(10), *range(5, 10)), 5, "step 5 of train comes after step 9"),
        (steps(*range(50), *range(41, 90)), 9, "step 41 of train comes after step 49"),
        (
            [{"epoch": e, "step": s} for e in (0, 1, 2, 1, 2, 3) for s in range(8)], 16,
            "step 0 of epoch 1 of train comes after step 7 of epoch 2",
        ),
        (steps(*range(40), 3, 40, 41, phase="val"), 1, "step 3 of validate comes after step 39"),
    ],
)  # fmt: skip
def test_steps_that_come_twice(tmp_path, records, num_again, text):
    report, found = findings(tmp_path / "run.cmeta", records)
    assert (report.verdict, report.state) == ("questionable", "closed")
    assert [f.severity for f in found] == ["warning"] * len(found)
    assert f"and {num_again} record" in found[0].message
    assert text in found[1].message
    assert cmeta.validate(tmp_path / "run.cmeta").ok


@pytest.mark.parametrize(
    "records",
    [
        steps(*range(100)),
        steps(*[i // 3 for i in range(60)]),  # several records of a step
        [{"epoch": e, "step": s} for e in range(5) for s in range(10)],
        [{"phase": p, "step": s} for s in range(0, 50, 10) for p in ("train", "val", "val")],
        [*steps(*range(9)), {"epoch": 1, "loss": 1.0}, *steps(9, 10, epoch=2), *steps(11, 12)],
        [{"loss": 1.0}] * 20,
    ],
)
def test_ordinary_runs_are_sound(tmp_path, records):
    report, found = findings(tmp_path / "run.cmeta", records)
    assert (report.verdict, found) == ("sound", [])


@pytest.mark.parametrize(
    ("records", "code"),
    [
        (steps(*[*range(20)] * 4), "steps-restart"),
        ([{"step": s // 2 if s % 2 else 50 + s} for s in range(60)], "steps-irregular"),
    ],
)
def test_other_counters_are_good_to_know(tmp_path, records, code):
    report, found = findings(tmp_path / "run.cmeta", records)
    assert (report.verdict, [(f.severity, f.code) for f in found]) == ("sound", [("info", code)])
