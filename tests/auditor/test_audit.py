"""`audit`: what it finds of a file, what it makes of it, and how it goes through many."""

import hashlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cmeta
from cmeta.auditor import audit
from cmeta.auditor.examine import examine
from cmeta.auditor.report import MOST_OF_A_CODE, AuditReport

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


@pytest.fixture
def callables(monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{HERE}")
    import callables

    return callables


def codes(report, severity=None):
    return [f.code for f in report.findings if severity in (None, f.severity)]


def messages(report, code):
    return [(f.message, f.where) for f in report.findings if f.code == code]


def one(path, *args, **options):
    (report,) = audit(path, *args, **options)
    return report


def test_a_sound_run(recorded):
    path = recorded()
    report = one(path)
    assert (report.verdict, report.ok, report.state, report.findings) == (
        "sound",
        True,
        "closed",
        [],
    )
    assert report.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (report.num_records, report.phases, report.has_environment) == (
        100,
        {"train": 100},
        True,
    )
    assert report.len_file == path.stat().st_size
    assert (report.replay, report.against) == (None, None)


def test_records_by_phase(written):
    assert one(written()).phases == {"train": 90, "validate": 10}


def test_all_that_validate_finds(written, flip):
    path = flip(written(), 2)
    report = one(path)
    expected = sorted(cmeta.validate(path).findings, key=lambda finding: finding.offset)
    assert len(expected) >= 2
    assert [message for message, _ in messages(report, "corrupt")] == [
        f"{finding.kind}: {finding.message}" for finding in expected
    ]
    assert messages(report, "corrupt")[0][1] == f"offset {expected[0].offset:,}, {expected[0].path}"
    assert (report.verdict, report.state) == ("corrupt", "closed")
    assert report.phases == {"train": 29, "validate": 3}  # of what comes before
    assert report.sha256 is not None


def test_what_is_no_chronicle(tmp_path):
    path = tmp_path / "notes.cmeta"
    path.write_bytes(b"These are not the records that you are looking for.")
    report = one(path)
    assert (report.verdict, report.state, report.num_records) == ("corrupt", "unreadable", 0)


def test_a_truncated_file(written):
    path = written()
    path.write_bytes(path.read_bytes()[:-30])
    report = one(path)
    assert (report.verdict, report.state) == ("corrupt", "damaged")
    assert report.num_records == 100  # all batches are whole


def test_what_is_missing_is_a_finding(tmp_path):
    report = one(tmp_path / "none.cmeta")
    assert (report.verdict, report.state, report.sha256) == ("unreadable", "missing", None)
    assert messages(report, "unreadable") == [("No such file or directory", "")]


def test_a_folder_without_chronicles_and_what_is_no_file(tmp_path):
    report = one(tmp_path)
    assert (report.verdict, report.name) == ("unreadable", str(tmp_path))
    assert "a folder without a chronicle" in report.findings[0].message
    os.mkfifo(tmp_path / "pipe.cmeta")
    assert "no regular file" in one(tmp_path / "pipe.cmeta").findings[0].message


def test_folders_are_searched(recorded, tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for name in ("b.cmeta", "a.cmeta", "deep/er/c.cmeta", "notes.txt"):
        recorded(name, num_records=2)
    orphan = tmp_path / "deep" / "d.cmeta-journal"
    orphan.write_bytes(b"")
    reports = audit([tmp_path / "b.cmeta", tmp_path], jobs=1)
    assert [Path(report.name).name for report in reports] == [
        "b.cmeta", "a.cmeta", "b.cmeta", "d.cmeta", "c.cmeta",
    ]  # fmt: skip
    assert [report.verdict for report in reports] == ["sound"] * 3 + ["unreadable", "sound"]
    assert "its journal is there: `cmeta recover`" in reports[3].findings[0].message


# -------------------------------------------------------------------------------------- timestamps


def test_gaps_are_counted_and_the_first_are_named(written):
    stamps = np.arange(100)
    stamps[40:] += 7
    stamps[64:] += 1  # where a batch begins
    report = one(written(timestamp=stamps))
    assert report.verdict == "questionable"
    assert messages(report, "gaps") == [("2 gaps in timestamps, 8 missing; the step is 1", "")]
    assert messages(report, "gap") == [
        ("47 comes after 39: 7 missing", "record 40"), ("72 comes after 70: 1 missing", "record 64"),
    ]  # fmt: skip


def test_a_regular_step_of_ten_has_no_gap(written):
    assert one(written(timestamp=np.arange(100) * 10)).findings == []
    several = {"timestamp": np.arange(100) // 4, "phase": ["train"] * 100}
    assert one(written(**several)).findings == []
    stamps = np.arange(100) * 10
    stamps[50:] += 25
    report = one(written(timestamp=stamps))
    assert messages(report, "gap") == [("525 comes after 490: 3 missing", "record 50")]


def test_of_many_gaps_some_are_named(written):
    stamps = np.cumsum(np.where(np.arange(100) % 4 == 3, 3, 1))
    report = one(written(timestamp=stamps))
    assert len(messages(report, "gap")) == 5
    assert [message for message, _ in messages(report, "gaps")] == [
        "25 gaps in timestamps, 50 missing; the step is 1", "and 20 gaps more",
    ]  # fmt: skip


def test_the_time_of_a_clock_has_no_gaps(written):
    stamps = np.cumsum(np.random.default_rng(0).integers(10**6, 10**9, 100))
    report = one(written(timestamp=stamps))
    assert (report.verdict, codes(report)) == ("sound", ["irregular"])


def test_timestamps_of_64_bits(written):
    stamps = np.arange(100).astype("u8") + np.uint64(2**64 - 300)
    stamps[50:] += np.uint64(100)
    assert messages(one(written(timestamp=stamps)), "gap")[0][1] == "record 50"


# ------------------------------------------------------------------------------------------- seeds


def test_seeds_that_contradict_the_root(written):
    seeds = np.array([cmeta.seed_of(7, i) for i in range(100)], "u8")
    seeds[[20, 77]] = 42, 2**63
    report = one(written(seed_state=seeds))
    assert report.verdict == "seeds contradict"
    assert codes(report) == ["seed-contradicts"] * 3
    assert [where for _, where in messages(report, "seed-contradicts")] == [
        "",
        "record 20",
        "record 77",
    ]
    other = one(written(configs=({"cmeta": {"seed_root": 8, "seed_scheme": "weyl"}},)))
    assert "100 seeds are not derived" in messages(other, "seed-contradicts")[0][0]
    assert len(messages(other, "seed-contradicts")) == MOST_OF_A_CODE + 1


def abandon(rec):
    """Begin a cycle, record another one within, and fail."""
    with rec.cycle("train"):
        with rec.cycle("train") as c:
            c.log(loss=0.5)
        raise KeyError


def test_seeds_of_abandoned_cycles_are_no_contradiction(recorded):
    path, rec = recorded(close=False, num_records=3)
    for _ in range(3):
        with pytest.raises(KeyError):
            abandon(rec)
    rec.close()
    with cmeta.open(path) as run:
        seeds = run.read()["seed_state"].tolist()
    assert seeds[3] == cmeta.seed_of(7, 4)  # and not that of its own ordinal
    assert codes(one(path)) == []


def test_repeated_seeds(written):
    seeds = np.array([cmeta.seed_of(7, i) for i in range(100)], "u8")
    seeds[[30, 80]] = seeds[[29, 4]]
    report = one(written(seed_state=seeds))
    assert report.verdict == "questionable"
    found = messages(report, "seed-repeated")
    assert found[0][0].startswith("2 records have the seed of an earlier one")
    assert [where for _, where in found[1:]] == ["record 30", "record 80"]
    assert found[2][0] == f"{cmeta.seed_of(7, 4):#018x}, the seed of record 4"


def test_a_seed_repeated_where_a_batch_begins(written):
    seeds = np.array([cmeta.seed_of(7, i) for i in range(100)], "u8")
    seeds[48] = seeds[47]
    found = messages(one(written(seed_state=seeds)), "seed-repeated")
    assert [where for _, where in found] == ["", "record 48"]


def test_seeds_without_a_root(written):
    for configs in ((), ({"lr": 0.1, "environment": {}},)):
        report = one(written(configs=configs))
        assert report.verdict == "sound"
        found = messages(report, "seed-without-root")
        assert found == [("100 records have seeds, but no root to hold them against", "")]
    same = one(written(configs=(), seed_state=np.full(100, 42)))
    assert messages(same, "seed-repeated")[0][0].startswith("99 records have")


def test_seeds_of_few_records(written):
    seeds = np.ma.MaskedArray(
        [cmeta.seed_of(7, i) for i in range(100)], np.arange(100) < 97, np.uint64
    )
    assert one(written(seed_state=seeds)).findings == []
    seeds[98] = 5
    assert messages(one(written(seed_state=seeds)), "seed-contradicts")[1][1] == "record 98"


# --------------------------------------------------------------------- losses, configuration


def test_losses_that_are_no_numbers(written):
    loss = np.arange(100.0)
    loss[40:43], loss[60] = np.nan, -np.inf
    report = one(written(loss_value=loss))
    assert report.verdict == "questionable"
    assert messages(report, "loss-not-finite") == [
        ("loss_value is NaN in 3 and infinite in 1 of 100 records", "from record 40 on")
    ]
    absent = np.ma.MaskedArray(np.arange(100.0), np.arange(100) % 2 == 0)
    assert one(written(loss_value=absent)).findings == []


def test_a_configuration_without_environment(written):
    root = {"cmeta": {"seed_root": 7, "seed_scheme": "weyl"}}
    report = one(written(configs=(root,)))
    assert (report.verdict, codes(report), report.has_environment) == (
        "sound",
        ["no-environment"],
        False,
    )
    assert "no-configuration" in codes(one(written(configs=())))


# ---------------------------------------------------------------------------------- beside the file


def test_an_open_file_with_its_journal_whose_writer_died(killed):
    path = killed()
    report = one(path)
    assert (report.verdict, report.state, report.num_records) == ("open", "open with journal", 10)
    assert report.phases == {"train": 10}
    assert codes(report) == ["open", "leftover-lock"]
    assert messages(report, "leftover-lock")[0][1] == "killed.cmeta-lock"
    Path(f"{path}-journal").unlink()
    assert one(path).state == "open without journal"


def test_an_open_file_that_is_being_written(recorded):
    path, rec = recorded(close=False)
    report = one(path)
    assert codes(report) == ["open", "locked"]
    assert f"host {socket.gethostname()}, pid {os.getpid()}" in messages(report, "locked")[0][0]
    rec.log("train", loss=0.5)  # which the audit has not kept from going on
    rec.close()
    assert one(path).findings == []


def test_leftovers(recorded, tmp_path):
    path = recorded()
    for name in (
        ".run.cmeta.0123456789ab.tmp-recorder", ".run.cmeta-journal.0123456789ab.tmp-recorder",
        ".run.cmeta.0123456789ab.tmp", "run.cmeta-journal", "run.dropped-from-12-1.cmeta",
        ".other.cmeta.0123456789ab.tmp", "run2.cmeta-journal", "srun.dropped-from-1-1.cmeta",
    ):  # fmt: skip
        (tmp_path / name).write_bytes(b"")
    before = sorted(os.listdir(tmp_path))
    report = one(path)
    assert (
        sorted(codes(report))
        == ["dropped-records", "leftover-journal"] + ["leftover-temporary"] * 3
    )
    assert {finding.severity for finding in report.findings} == {"info"}
    assert report.verdict == "sound"
    assert sorted(os.listdir(tmp_path)) == before  # an audit touches nothing


def test_what_a_resumption_has_set_aside(recorded, tmp_path):
    path = recorded()
    cmeta.Recorder(path, mode="resume", resume_at=59).close()
    report = one(path)
    assert (report.num_records, codes(report)) == (60, ["dropped-records"])
    assert messages(report, "dropped-records")[0][0].startswith("records from 60 on")
    assert one(tmp_path / messages(report, "dropped-records")[0][1]).num_records == 40


# ------------------------------------------------------------------------------- replay and against


def test_replay_and_its_verdicts(recorded, callables, monkeypatch):
    path = recorded()
    report = one(path, replay=callables.exact)
    assert (report.verdict, report.replay.verdict, report.findings) == ("sound", "exact", [])
    report = one(path, replay=callables.other_at_50)
    assert (report.verdict, codes(report, "error")) == ("diverged", ["diverged"])
    assert "1 of 100 cycles come out differently; first record 50" in report.findings[0].message
    report = one(path, replay=callables.raising)
    assert report.verdict == "replay failed"
    assert messages(report, "replay-failed") == [("ValueError: no such weights", "record 3")]
    report = one(path, replay=lambda state: None)
    assert (report.verdict, codes(report, "warning")) == ("inconclusive", ["inconclusive"])
    monkeypatch.setattr("cmeta.replayer.engine.environment", lambda: {"python": "2.7"})
    report = one(path, replay=callables.other_at_50)
    assert (report.verdict, report.replay.verdict) == ("inconclusive", "inconclusive")


def test_another_run_to_compare_with(recorded, written):
    path, same = recorded(), recorded("same.cmeta")
    report = one(path, against=same)
    assert (report.verdict, report.against.verdict) == ("sound", "identical")
    report = one(path, against=recorded("other.cmeta", seed=8))
    assert (report.verdict, report.against.same) == ("differs", False)
    assert "100 of 100 records differ" in messages(report, "differs")[0][0]


def test_what_is_corrupt_is_not_compared(written, flip, callables):
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


def test_a_callable_that_cannot_travel_is_run_here(recorded):
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
        "import cmeta.auditor\nprint('begins')\n"
        f"found = cmeta.auditor.audit({str(tmp_path)!r}, jobs=2)\n"
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


def test_no_process_is_begun_for_one_file(recorded):
    code = (
        "import sys; from cmeta.auditor import audit; "
        "assert audit(sys.argv[1])[0].ok; print('multiprocessing' in sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, recorded()], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert found.stdout == "False\n"


# ---------------------------------------------------------------------------------------- the report


def test_many_findings_of_a_code_are_counted():
    report = AuditReport("x")
    report.add("info", "small", "a small one")
    for i in range(MOST_OF_A_CODE + 5):
        report.add("error", "corrupt", f"finding {i}")
    report.close()
    assert len(report.findings) == MOST_OF_A_CODE + 2
    assert report.findings[MOST_OF_A_CODE].message == "and 5 more"
    assert report.findings[-1].severity == "info"


def test_the_gravest_finding_is_the_verdict():
    report = AuditReport("x")
    for code, severity, verdict in [
        ("leftover-lock", "info", "sound"), ("gap", "warning", "questionable"),
        ("open", "warning", "open"), ("inconclusive", "warning", "inconclusive"),
        ("differs", "error", "differs"), ("gap", "warning", "differs"),
        ("corrupt", "error", "corrupt"), ("inconclusive", "warning", "corrupt"),
    ]:  # fmt: skip
        report.add(severity, code, "")
        assert report.verdict == verdict


def test_text_and_json(written):
    loss = np.arange(100.0)
    loss[3] = np.nan
    path = written(loss_value=loss)
    report = examine(path)
    lines = str(report).splitlines()
    assert lines[:3] == [
        f"{path}: questionable", f"  state    closed, {path.stat().st_size:,} bytes",
        "  records  100 (90 train, 10 validate)",
    ]  # fmt: skip
    assert lines[-1].startswith("  warning  loss-not-finite  loss_value is NaN in 1 of 100 records")
    found = json.loads(json.dumps(report.as_json()))
    assert found["findings"][0]["code"] == "loss-not-finite"
    assert (found["file"], found["verdict"]) == (str(path), "questionable")
