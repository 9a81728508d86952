"""A sound file is never called corrupt because its writer continues or closes it meanwhile.

The writer acts between any two reads of a reader, one after another; and, in a process of its own,
at any moment.
"""

import subprocess
import sys
from pathlib import Path

import pytest

import cmeta
from cmeta.source import FileSource

SCHEMA = cmeta.default_schema().with_batch_records(16)
ROOT = Path(cmeta.__file__).parents[1]


def record(rec, count):
    first = len(rec)
    for i in range(first, first + count):
        rec.log("train", loss=1 / (i + 1), metrics={"a": i / 7}, step=i)
    rec.flush()


class Writer:
    """A file, and a writer that acts when it is told to."""

    def __init__(self, path):
        self.path, self.rec = path, cmeta.Recorder(path, SCHEMA, durability="os")
        record(self.rec, 20)

    def close(self):
        self.rec.close()

    def resume(self):
        self.rec = cmeta.Recorder(self.path, mode="resume", durability="os")
        record(self.rec, 15)

    def rotate(self):
        record(self.rec, 15)
        self.rec._session._sealer.rotate()


# What was done before the reader begins, and what is done between two of its reads.
COURSES = {
    "continued": (["close"], ["resume"]),
    "continued and closed": (["close"], ["resume", "close"]),
    "closed": ([], ["close"]),
    "closed and continued": ([], ["close", "resume"]),
    "rotated": ([], ["rotate"]),
}


def judged_by_validate(path):
    report = cmeta.validate(path)
    assert report.findings == []
    return report.state, report.has_journal


def judged_by_audit(path):
    (report,) = cmeta.audit(path, jobs=1)
    assert [f for f in report.findings if f.severity == "error"] == []
    state, _, journal = report.state.partition(" ")
    return state, journal == "with journal"


def judged_by_scan(path):
    (info,) = cmeta.scan(path, cache=False, jobs=1)
    assert info.problem == "" or info.state == "busy"
    return info.state, info.state == "open"


def judged_by_reading(path):
    try:
        with cmeta.open(path) as run:
            assert run.read(["step"])["step"].tolist() == list(range(len(run)))
            return run.state, run.has_journal
    except cmeta.BusyError:  # a reader stays with the file that it has opened
        return judged_by_reading(path)


def judged_by_recover(path):
    out = path.with_suffix(".rescued")
    out.unlink(missing_ok=True)
    try:
        report = cmeta.recover(path, out)
    except cmeta.BusyError:
        return "busy", False
    assert (report.verdict, report.lost, report.num_lost) == ("complete", [], 0)
    with cmeta.open(out) as run:
        assert run.read(["step"])["step"].tolist() == list(range(report.num_records))
    return "closed", False


JUDGES = [
    judged_by_validate,
    judged_by_audit,
    judged_by_scan,
    judged_by_reading,
    judged_by_recover,
]


@pytest.mark.parametrize("judge", JUDGES, ids=lambda judge: judge.__name__.rpartition("_")[2])
@pytest.mark.parametrize("course", COURSES)
def test_between_any_two_reads(tmp_path, monkeypatch, course, judge):
    before, meanwhile = COURSES[course]
    original = FileSource._read
    waiting, writer = [], None

    def read(source, offset, length):
        nonlocal waiting
        if waiting and (waiting := [waiting[0] - 1] if waiting[0] else []) == []:
            for action in meanwhile:
                getattr(writer, action)()
        return original(source, offset, length)

    monkeypatch.setattr(FileSource, "_read", read)
    number, states = 0, set()
    while not waiting:  # until the reader needs fewer reads than that
        path = tmp_path / f"{number}.cmeta"
        writer = Writer(path)
        for action in before:
            getattr(writer, action)()
        waiting = [number]
        states.add(judge(path))
        writer.rec.close()
        for left in tmp_path.iterdir():
            left.unlink()
        number += 1 + number // 5  # most happens in the first reads
    assert number > 5
    assert states <= {("closed", False), ("open", True)}  # each succeeds after some tries


def test_a_file_that_changes_during_each_try_is_busy(tmp_path, monkeypatch):
    monkeypatch.setattr("cmeta.storage.watch._PAUSES", (0, 0))
    writer = Writer(tmp_path / "run.cmeta")
    writer.close()
    original, is_within = FileSource._read, False

    def read(source, offset, length):
        nonlocal is_within
        data = original(source, offset, length)
        if not is_within and length > 100:  # a block
            is_within = True
            data = bytes(length)
            writer.resume()
            writer.close()
            is_within = False
        return data

    monkeypatch.setattr(FileSource, "_read", read)
    report = cmeta.validate(writer.path)
    assert (report.state, report.findings, report.ok) == ("busy", [], False)
    assert "busy" in str(report)
    (audited,) = cmeta.audit(writer.path, jobs=1)
    assert (audited.verdict, audited.state) == ("busy", "busy")
    (info,) = cmeta.scan(writer.path, cache=False, jobs=1)
    assert info.state == "busy"
    with pytest.raises(cmeta.BusyError, match="its writer changed it"):
        cmeta.open(writer.path)


def test_damage_stays_damage(tmp_path):
    """Records that are only added do not excuse an error."""
    writer = Writer(tmp_path / "run.cmeta")
    writer.rotate()
    data = bytearray(writer.path.read_bytes())
    data[-40] ^= 1
    writer.path.write_bytes(data)
    report = cmeta.validate(writer.path)
    assert [finding.kind for finding in report.findings] == ["ChecksumError"]
    record(writer.rec, 1)
    assert cmeta.validate(writer.path).findings == report.findings
    writer.rec.close()


WRITER = """
import sys, cmeta
path = sys.argv[1]
while True:
    with cmeta.Recorder(path, mode="resume", durability="os") as rec:
        pass
    print("closed", flush=True)
"""


def test_a_writer_that_resumes_and_closes_all_the_time(tmp_path):
    path = tmp_path / "run.cmeta"
    cmeta.write(path, {"timestamp": range(3), "phase": ["train"] * 3, "step": range(3)}, SCHEMA)
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        try:
            process.stdout.readline()
            states = {judge(path) for _ in range(30) for judge in JUDGES}
            assert states - {("busy", False)} <= {("closed", False), ("open", True)}
            assert len(states) > 1
            assert process.poll() is None
        finally:
            process.kill()
