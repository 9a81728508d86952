"""Side files of any length: journals and locks are read in pieces, and only as far as needed.

A hole of 200 GB costs nothing: neither memory nor time.
"""

import os
import shutil
import struct
import tracemalloc

import pytest

import cmeta
from cmeta.storage.open import journal_path

SCHEMA = cmeta.default_schema().with_batch_records(16)
LENGTH = 200 * 2**30
MEMORY_MAX = 64 * 2**20  # bytes; some of it is for what is imported
NUM_RECORDS = 21


@pytest.fixture(scope="module")
def dead(tmp_path_factory):
    """An open chronicle whose writer died."""
    path = tmp_path_factory.mktemp("dead") / "run.cmeta"
    rec = cmeta.Recorder(path, SCHEMA)
    for i in range(NUM_RECORDS):
        rec.log("train", loss=1 / (i + 1), step=i)
    rec._session._sealer.stop()
    rec._session.is_closed = True
    return path


@pytest.fixture
def opened(dead, tmp_path):
    for path in (dead, journal_path(dead)):
        shutil.copy(path, tmp_path)
    return tmp_path / dead.name


def extend(path, data=b""):
    with path.open("ab") as file:
        file.write(data)
    os.truncate(path, LENGTH)


def whole_journal(path):
    extend(journal_path(path))


def an_entry_of_4_gb(path):
    extend(journal_path(path), struct.pack("<IBBHI", 2**32 - 1, 2, 0, 0, NUM_RECORDS))


def header_only(path):
    data = journal_path(path).read_bytes()[:64]
    journal_path(path).write_bytes(data)
    extend(journal_path(path))


def nothing(path):
    journal_path(path).write_bytes(b"")
    extend(journal_path(path))


def lock(path):
    lock = path.with_name(path.name + "-lock")
    lock.write_bytes(b"host x, pid 1\n")
    extend(lock)


# The number of records that can be read, and that are recovered.
FILES = {
    whole_journal: (21, 21),
    an_entry_of_4_gb: (21, 21),
    header_only: (0, 16),
    nothing: (16, 16),
    lock: (21, 21),
}


@pytest.fixture
def bounded():
    tracemalloc.start()
    yield
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MEMORY_MAX


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize("make", FILES, ids=lambda make: make.__name__)
def test_every_reader(opened, tmp_path, make):
    make(opened)
    count, num_recovered = FILES[make]
    (audited,) = cmeta.audit(opened, jobs=1)
    assert audited.state == ("damaged" if make is nothing else "open with journal")
    assert cmeta.validate(opened).num_records == count
    assert cmeta.scan(opened, cache=False)[0].num_records == count
    with cmeta.open(opened, partial=True) as run:
        assert len(run) == count
    report = cmeta.recover(opened, tmp_path / "new.cmeta")
    assert report.num_records == num_recovered
    if make is not lock and make is not nothing:
        with cmeta.Recorder(opened, mode="resume") as rec:
            assert len(rec) == count


@pytest.mark.usefixtures("bounded")
def test_a_journal_by_itself(opened, tmp_path):
    whole_journal(opened)
    report = cmeta.recover(journal_path(opened), tmp_path / "new.cmeta", schema=SCHEMA)
    assert report.num_records == NUM_RECORDS


@pytest.mark.usefixtures("bounded")
def test_a_folder_goes_on(opened, tmp_path):
    nothing(opened)
    cmeta.write(tmp_path / "good.cmeta", {"phase": ["train"] * 3})
    good, bad = cmeta.audit(tmp_path, jobs=1)
    assert (good.verdict, bad.verdict) == ("sound", "corrupt")
    good, bad = cmeta.scan(tmp_path, cache=False, jobs=1)
    assert (good.state, bad.state) == ("closed", "damaged")


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("whatever")])
def test_whatever_happens_to_one_file_is_its_own_finding(tmp_path, monkeypatch, error):
    """The others follow."""
    for name in "abc":
        cmeta.write(tmp_path / f"{name}.cmeta", {"phase": ["train"] * 3})

    def failing(source, *args, original=cmeta.source.FileSource._read):
        if source.name.endswith("b.cmeta"):
            raise error
        return original(source, *args)

    monkeypatch.setattr(cmeta.source.FileSource, "_read", failing)
    verdicts = [report.verdict for report in cmeta.audit(tmp_path, jobs=1)]
    assert verdicts == ["sound", "unreadable", "sound"]
    states = [info.state for info in cmeta.scan(tmp_path, cache=False, jobs=1)]
    assert states == ["closed", "unreadable", "closed"]
