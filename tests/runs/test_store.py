"""The catalogue on disk: the entries that it forgets; nothing wrong with it is an error."""

import multiprocessing
import os
import sqlite3
from contextlib import closing

import pytest

import cmeta
from cmeta.tools.runs import store
from cmeta.tools.runs.store import Catalogue, catalogue_path, key_of, stamp_of


def rows(cache):
    """Return the paths that are remembered."""
    with closing(sqlite3.connect(cache / store.FILE_NAME)) as db:
        return sorted(os.fsdecode(path) for (path,) in db.execute("SELECT path FROM runs"))


def execute(cache, statement, *values):
    with closing(sqlite3.connect(cache / store.FILE_NAME)) as db, db:
        return db.execute(statement, values).fetchall()


def test_its_path(cache, monkeypatch):
    assert catalogue_path() == cache / store.FILE_NAME
    monkeypatch.delenv("CMETA_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    assert catalogue_path().name == store.FILE_NAME
    assert "cmeta" in str(catalogue_path().parent)


def test_it_is_one_file_in_wal_mode(write, cache):
    cmeta.scan(write())
    assert [path.name for path in cache.iterdir()] == [store.FILE_NAME]
    assert execute(cache, "PRAGMA journal_mode") == [("wal",)]


def test_files_that_are_gone_are_forgotten(write, cache, tmp_path):
    a, b, other = write("runs/a.cmeta"), write("runs/b.cmeta"), write("runs-2/c.cmeta")
    cmeta.scan([tmp_path / "runs", tmp_path / "runs-2"])
    b.unlink(), other.unlink()
    cmeta.scan(a)
    assert len(rows(cache)) == 3  # scanning a file says nothing about its neighbours
    cmeta.scan(tmp_path / "runs")
    assert rows(cache) == [str(other), str(a)]  # "runs-2" is not below "runs"
    cmeta.scan(tmp_path)
    assert rows(cache) == [str(a)]


def test_files_below_a_folder_that_were_not_found_stay(write, cache, tmp_path):
    a, text = write("runs/a.cmeta"), write("runs/b.bin")
    cmeta.scan([a, text])
    cmeta.scan(tmp_path / "runs")  # which does not search for .bin
    assert rows(cache) == [str(a), str(text)]


def test_unused_entries_are_forgotten(write, cache):
    a, b = write("a.cmeta"), write("b.cmeta")
    cmeta.scan([a, b])
    execute(cache, "UPDATE runs SET day = day - 100")
    cmeta.scan(a)  # which renews it
    execute(cache, "UPDATE runs SET day = day - 100")
    cmeta.scan([])
    assert rows(cache) == [str(a)]


def test_entries_of_another_version_of_cmeta_are_replaced(write, was_read, cache, monkeypatch):
    a, b = write("a.cmeta"), write("b.cmeta")
    cmeta.scan([a, b])
    monkeypatch.setattr(cmeta, "__version__", "0.0.0")
    cmeta.scan(a)
    assert len(was_read) == 3 and rows(cache) == [str(a)]


def test_another_version_of_the_table_is_replaced(write, was_read, cache):
    path = write()
    cmeta.scan(path)
    execute(cache, "DROP TABLE runs")
    execute(cache, "CREATE TABLE runs (another TEXT)")
    execute(cache, "PRAGMA user_version = 99")
    for _ in range(2):
        assert cmeta.scan(path)[0].num_records == 2
    assert len(was_read) == 2 and rows(cache) == [str(path)]


@pytest.mark.parametrize(
    "content", [b"no database at all" * 400, b"SQLite format 3\0" + b"\xff" * 9000]
)
def test_a_damaged_catalogue_is_replaced(write, was_read, cache, content):
    cache.mkdir()
    (cache / store.FILE_NAME).write_bytes(content)
    path = write()
    for _ in range(2):
        assert cmeta.scan(path)[0].num_records == 2
    assert len(was_read) == 1 and rows(cache) == [str(path)]


def test_a_catalogue_whose_damage_shows_late_is_replaced(write, was_read, cache, tmp_path):
    for i in range(50):
        write(f"runs/{i}.cmeta")
    cmeta.scan(tmp_path / "runs")
    data = bytearray((cache / store.FILE_NAME).read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)  # after the page with the table's definition
    (cache / store.FILE_NAME).write_bytes(data)
    was_read.clear()
    for _ in range(2):
        assert [run.num_records for run in cmeta.scan(tmp_path / "runs")] == [2] * 50
    assert len(was_read) == 50 and len(rows(cache)) == 50


@pytest.mark.parametrize("info", [b"", b"\x93\x01", None])
def test_a_damaged_entry_is_read_again(write, was_read, cache, info):
    path = write()
    cmeta.scan(path)
    if info is None:  # a flipped bit, with the checksum as it was
        (((_, found)),) = execute(cache, "SELECT path, info FROM runs")
        execute(cache, "UPDATE runs SET info = ?", found[:-1] + bytes([found[-1] ^ 1]))
    else:  # no run, with a checksum that is right
        execute(cache, "UPDATE runs SET info = ?, crc = ?", info, store.zlib.crc32(info))
    for _ in range(2):
        assert cmeta.scan(path)[0].num_records == 2
    assert len(was_read) == 2


def test_scan_does_without_a_catalogue_that_cannot_be_created(write, was_read, cache, monkeypatch):
    path = write()
    cache.write_text("a file, not a folder")
    for _ in range(2):
        assert cmeta.scan(path)[0].num_records == 2
    cache.unlink()
    (cache / store.FILE_NAME).mkdir(parents=True)
    assert cmeta.scan(path)[0].num_records == 2
    assert len(was_read) == 3 and (cache / store.FILE_NAME).is_dir()


def test_a_catalogue_that_cannot_be_written_is_read(write, was_read, cache, monkeypatch):
    a, b = write("a.cmeta"), write("b.cmeta")
    cmeta.scan(a)
    connect = Catalogue._connect

    def read_only(self):
        connect(self).close()
        return sqlite3.connect(f"{self._path.as_uri()}?mode=ro", uri=True, isolation_level=None)

    monkeypatch.setattr(Catalogue, "_connect", read_only)
    for _ in range(2):
        assert [run.num_records for run in cmeta.scan([a, b])] == [2, 2]
    assert was_read == ["a.cmeta", "b.cmeta", "b.cmeta"] and rows(cache) == [str(a)]


def test_a_catalogue_that_another_process_locks_is_not_waited_for(
    write, was_read, cache, monkeypatch
):
    monkeypatch.setattr(store, "_LOCK_TIMEOUT", 0.05)
    a, b = write("a.cmeta"), write("b.cmeta")
    cmeta.scan(a)
    with closing(sqlite3.connect(cache / store.FILE_NAME, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")  # a writer: entries can still be read
        assert len(cmeta.scan([a, b])) == 2
        assert was_read == ["a.cmeta", "b.cmeta"]
        db.execute("ROLLBACK")
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("BEGIN EXCLUSIVE")
        assert len(cmeta.scan([a, b])) == 2
    assert rows(cache) == [str(a)]


def _scan(folder, cache, results):
    os.environ["CMETA_CACHE_DIR"] = cache
    results.put([run.num_records for run in cmeta.scan(folder)])


def test_two_processes_that_begin_it_at_once(write, cache, tmp_path):
    for i in range(30):
        write(f"runs/{i}.cmeta")
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    folder = str(tmp_path / "runs")
    both = [context.Process(target=_scan, args=(folder, str(cache), results)) for _ in range(2)]
    for process in both:
        process.start()
    assert [results.get(timeout=120) for _ in both] == [[2] * 30] * 2
    for process in both:
        process.join()
    assert len(rows(cache)) == 30


def test_a_stamp_is_of_regular_files(write, tmp_path):
    path = write()
    stamp = stamp_of(str(path))
    assert stamp.endswith(path.read_bytes()[-8:]) and path.read_bytes()[:10] in stamp
    (tmp_path / "short").write_bytes(b"1234567")
    for name in ("short", "missing", ".", "nul\0"):
        assert stamp_of(str(tmp_path / name)) is None
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert stamp_of(str(tmp_path / "pipe")) is None


def test_many_files_take_several_statements(cache):
    keys = [key_of(f"{i}.cmeta") for i in range(1201)]
    with Catalogue(catalogue_path()) as catalogue:
        catalogue.store((key, b"stamp", b"info") for key in keys)
        assert len(catalogue.entries(keys)) == 1201
    catalogue.close()
    assert catalogue.entries(keys) == {}
