"""Which recorded file a recorder of a command is compared with."""

import os

import pytest

import cmeta
from cmeta.recorder import verify_plan
from cmeta.recorder.verify_plan import VerifyPlan

ONE, MANY = ("runs/a.cmeta",), ("runs/r0.cmeta", "runs/r1.cmeta", "runs/val.cmeta")
CASES = {
    "its own": (MANY, "runs/r1.cmeta", 0, "runs/r1.cmeta"),
    "the only one, under another name": (ONE, "out/2026/b.cmeta", 0, "runs/a.cmeta"),
    "a file for each rank": (MANY, "runs/r{rank}.cmeta", 1, "runs/r1.cmeta"),
    "a rank that was not named": (ONE, "runs/{rank}.cmeta", 1, None),
    "rank 0 of them": (ONE, "runs/{rank}.cmeta", 0, "runs/a.cmeta"),
    "a time": (MANY, "runs/v{time}.cmeta", 0, "runs/val.cmeta"),
    "the same name in another folder": (MANY, "copy/val.cmeta", 0, "runs/val.cmeta"),
    "none of them": (MANY, "copy/other.cmeta", 0, None),
}


@pytest.mark.parametrize("case", CASES)
def test_the_file_of_a_recorder(tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(verify_plan, "_CLAIMS", {})
    files, given, rank, expected = CASES[case]
    plan = VerifyPlan(tuple(map(os.path.abspath, files)))
    path = tmp_path / given.replace("{rank}", str(rank)).replace("{time}", "now")
    found = plan.file_for(given, path, rank)
    assert (found and os.path.relpath(found)) == expected


def test_a_variable_that_was_left_over(tmp_path, monkeypatch):
    monkeypatch.setenv("CMETA_VERIFY", str(tmp_path / "gone"))
    with pytest.raises(cmeta.RecorderError, match="unset it"):
        cmeta.Recorder(tmp_path / "run.cmeta")


def test_a_second_recorder_does_not_get_the_only_file(tmp_path, monkeypatch):
    monkeypatch.setattr(verify_plan, "_CLAIMS", {})
    plan = VerifyPlan((str(tmp_path / "a.cmeta"),))
    assert plan.file_for("x.cmeta", tmp_path / "x.cmeta", 0) is not None
    assert plan.file_for("y.cmeta", tmp_path / "y.cmeta", 0) is None
    assert plan.file_for("x.cmeta", tmp_path / "x.cmeta", 0) is not None  # opened again
