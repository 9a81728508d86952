"""`audit` of many files at once, with a replay and a comparison of each."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cmeta.tools.audit.audit import audit
from tests.audit.ask import codes, messages, one

ROOT = Path(__file__).resolve().parents[2]


def test_replay_and_its_verdicts(recorded, callables, monkeypatch):
    path = recorded()
    report = one(path, replay=callables.exact)
    assert (report.verdict, report.replay.verdict, report.findings) == ("sound", "exact", [])
    report = one(path, replay=callables.other_at_50)
    assert (report.verdict, codes(report, "error")) == ("diverged", ["diverged"])
    assert "1 of 100 cycles differs; first: record 50" in report.findings[0].message
    report = one(path, replay=callables.raising)
    assert report.verdict == "replay failed"
    assert messages(report, "replay-failed") == [("ValueError: no such weights", "record 3")]
    report = one(path, replay=lambda state: None)
    assert (report.verdict, codes(report, "warning")) == ("inconclusive", ["inconclusive"])
    monkeypatch.setattr(
        sys.modules["cmeta.tools.replay.replay"], "environment", lambda: {"python": "2.7"}
    )
    report = one(path, replay=callables.other_at_50)
    assert (report.verdict, report.replay.verdict) == ("inconclusive", "inconclusive")


def test_another_run_to_compare_with(recorded, written):
    path, same = recorded(), recorded("same.cmeta")
    report = one(path, against=same)
    assert (report.verdict, report.against.verdict) == ("sound", "identical")
    report = one(path, against=recorded("other.cmeta", seed=8))
    assert (report.verdict, report.against.same) == ("differs", False)
    assert "100 of 100 records differ" in messages(report, "differs")[0][0]


def test_a_corrupt_file_is_not_compared(written, flip, callables):
    good, bad = written("good.cmeta"), flip(written("bad.cmeta"))
    report = one(bad, replay=callables.exact, against=good)
    assert codes(report, "info") == ["not-compared"] * 2
    assert (report.replay, report.against, report.verdict) == (None, None, "corrupt")
    report = one(good, against=bad)
    assert (report.verdict, codes(report)) == ("comparison failed", ["comparison-failed"])
    assert "No such file" in one(good, against=good.with_name("none")).findings[0].message


# ------------------------------------------------------------------------------------- many of them


def test_many_files_in_many_processes(recorded, flip, callables, tmp_path, monkeypatch):
    pids = tmp_path / "pids"
    monkeypatch.setenv("AUDIT_PIDS", str(pids))
    # Without an environment: a new process has loaded fewer libraries than this one.
    options = {"config": {"lr": 0.1}}
    paths = [recorded(f"{i}.cmeta", num_records=20 + i, **options) for i in range(5)]
    flip(paths[3])
    seen = []
    options = {"replay": callables.Counting, "jobs": 2}
    reports = audit([*paths, tmp_path / "none"], **options, progress=lambda *p: seen.append(p))
    assert [report.num_records for report in reports] == [20, 21, 22, 23, 24, 0]
    assert [report.verdict for report in reports] == ["sound"] * 3 + [
        "corrupt",
        "sound",
        "unreadable",
    ]
    used = {int(line) for line in pids.read_text().splitlines()}
    assert os.getpid() not in used and len(pids.read_text().splitlines()) == 4
    total = sum(path.stat().st_size for path in paths)
    assert seen == sorted(seen) and seen[-1] == (total, total)
    alone = audit([*paths, tmp_path / "none"], replay=callables.Counting, jobs=1)
    assert [report.as_json() for report in alone] == [report.as_json() for report in reports]
    assert str(os.getpid()) in pids.read_text()


def test_a_callable_that_cannot_be_imported_is_run_here(recorded):
    seen = []

    def here(state):
        seen.append(os.getpid())
        return {"loss": state.rng.random()}

    reports = audit([recorded("a.cmeta"), recorded("b.cmeta")], replay=here, jobs=2)
    assert [report.verdict for report in reports] == ["sound", "sound"]
    assert seen == [os.getpid()] * 200


def test_a_script_without_a_guard_is_not_run_again(recorded, tmp_path):
    """As another process would do that imports it to begin."""
    recorded("a.cmeta"), recorded("b.cmeta")
    script = tmp_path / "script.py"
    script.write_text(
        "import cmeta.tools.audit\nprint('begins')\n"
        f"found = cmeta.tools.audit.audit({str(tmp_path)!r}, jobs=2)\n"
        "print([report.verdict for report in found])\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    found = subprocess.run(
        [sys.executable, script], env=environment, capture_output=True, text=True, timeout=60
    )
    assert (found.stdout, found.stderr) == ("begins\n['sound', 'sound']\n", "")


def test_jobs_must_be_a_number_of_processes(tmp_path):
    with pytest.raises(ValueError, match="jobs: found 0"):
        audit(tmp_path, jobs=0)


def test_one_file_needs_no_process(recorded):
    code = (
        "import sys; from cmeta.tools.audit import audit; "
        "assert audit(sys.argv[1])[0].ok; print('multiprocessing' in sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, recorded()], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert found.stdout == "False\n"


def test_a_process_that_is_killed_is_the_finding_of_one_file(
    recorded, callables, tmp_path, monkeypatch
):
    marker = tmp_path / "kill"
    marker.touch()
    monkeypatch.setenv("AUDIT_KILL", str(marker))
    files = [recorded(f"{i}.cmeta") for i in range(5)]
    reports = audit(files, replay=callables.killed_once, jobs=2)
    assert sorted(report.verdict for report in reports) == ["sound"] * 4 + ["unreadable"]
    (bad,) = (report for report in reports if not report.ok)
    assert "died" in bad.findings[0].message
