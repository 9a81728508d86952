"""`audit` of one file: its findings and its verdict."""

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
from cmeta.tools.audit.audit import audit, audit_file
from cmeta.tools.audit.audit_report import FINDINGS_MAX, AuditReport
from tests.audit.ask import codes, messages, one


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


def test_all_findings_of_validate(written, flip):
    path = flip(written(), 2)
    report = one(path)
    expected = sorted(cmeta.validate(path).findings, key=lambda finding: finding.offset)
    assert len(expected) >= 2
    assert [message for message, _ in messages(report, "corrupt")] == [
        f"{finding.kind}: {finding.message}" for finding in expected
    ]
    assert messages(report, "corrupt")[0][1] == f"offset {expected[0].offset:,}, {expected[0].path}"
    assert (report.verdict, report.state) == ("corrupt", "closed")
    assert report.phases == {"train": 29, "validate": 3}  # of the batches before it
    assert report.sha256 is not None


def test_a_file_that_is_not_a_chronicle(tmp_path):
    path = tmp_path / "notes.cmeta"
    path.write_bytes(b"These are not the records that you are looking for.")
    report = one(path)
    assert (report.verdict, report.state, report.num_records) == ("corrupt", "unreadable", 0)


def test_a_truncated_file(written):
    path = written()
    path.write_bytes(path.read_bytes()[:-30])
    report = one(path)
    assert (report.verdict, report.state) == ("corrupt", "damaged")
    assert report.num_records == 100  # all batches are intact


def test_a_missing_file_is_a_finding(tmp_path):
    report = one(tmp_path / "none.cmeta")
    assert (report.verdict, report.state, report.sha256) == ("unreadable", "missing", None)
    assert messages(report, "unreadable") == [("No such file or directory", "")]


def test_a_folder_without_chronicles_and_a_pipe(tmp_path):
    report = one(tmp_path)
    assert (report.verdict, report.name) == ("unreadable", str(tmp_path))
    assert "a folder without a chronicle" in report.findings[0].message
    os.mkfifo(tmp_path / "pipe.cmeta")
    assert "not a regular file" in one(tmp_path / "pipe.cmeta").findings[0].message


def test_a_file_that_has_nothing_to_read_yet_is_not_waited_for(tmp_path):
    """As /proc/kmsg, which says that it is a regular file."""
    os.mkfifo(tmp_path / "pipe")
    code = (
        "import importlib, os, sys; module = importlib.import_module('cmeta.tools.audit.audit')\n"
        "module.regular_file = lambda path, flags: os.open(path, os.O_RDWR | os.O_NONBLOCK)\n"
        "print(module._sha256(sys.argv[1]))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "pipe")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout.strip() == hashlib.sha256().hexdigest()


def test_folders_are_searched(recorded, tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for name in ("b.cmeta", "a.cmeta", "deep/er/c.cmeta", "notes.txt"):
        recorded(name, num_records=2)
    orphan = tmp_path / "deep" / "d.cmeta-journal"
    orphan.write_bytes(b"")
    reports = audit([tmp_path / "b.cmeta", tmp_path], jobs=1)
    assert [Path(report.name).name for report in reports] == [
        "b.cmeta", "a.cmeta", "d.cmeta", "c.cmeta",
    ]  # fmt: skip
    assert [report.verdict for report in reports] == ["sound"] * 2 + ["unreadable", "sound"]
    assert "its journal exists: `cmeta recover`" in reports[2].findings[0].message


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
        "25 gaps in timestamps, 50 missing; the step is 1", "and 20 more gaps",
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
    assert len(messages(other, "seed-contradicts")) == FINDINGS_MAX + 1


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
        assert found == [("100 records have seeds, but no root to check against", "")]
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


def test_losses_that_are_not_finite(written):
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


# ---------------------------------------------------------------------------------- leftovers


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


def test_records_that_a_resumption_has_set_aside(recorded, tmp_path):
    path = recorded()
    cmeta.Recorder(path, mode="resume", resume_at=59).close()
    report = one(path)
    assert (report.num_records, codes(report)) == (60, ["dropped-records"])
    assert messages(report, "dropped-records")[0][0].startswith("records from 60 on")
    assert one(tmp_path / messages(report, "dropped-records")[0][1]).num_records == 40


# ---------------------------------------------------------------------------------------- the report


def test_many_findings_of_a_code_are_counted():
    report = AuditReport("x")
    report.add("info", "small", "a small one")
    for i in range(FINDINGS_MAX + 5):
        report.add("error", "corrupt", f"finding {i}")
    report.close()
    assert len(report.findings) == FINDINGS_MAX + 2
    assert report.findings[FINDINGS_MAX].message == "and 5 more"
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
    report = audit_file(path)
    lines = str(report).splitlines()
    assert lines[:3] == [
        f"{path}: questionable", f"  state    closed, {path.stat().st_size:,} bytes",
        "  records  100 (90 train, 10 validate)",
    ]  # fmt: skip
    assert lines[-1].startswith("  warning  loss-not-finite  loss_value is NaN in 1 of 100 records")
    found = json.loads(json.dumps(report.as_json()))
    assert found["findings"][0]["code"] == "loss-not-finite"
    assert (found["file"], found["verdict"]) == (str(path), "questionable")
