"""The catalogue on disk: the entries that it forgets; nothing wrong with it is an error."""

import multiprocessing
import os
import sqlite3
from contextlib import closing

import pytest
from msgspec import structs

import cmeta
from cmeta.tools.runs import store
from cmeta.tools.runs.run_info import decode as store_decode
from cmeta.tools.runs.run_info import encode as store_encode
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


posix = pytest.mark.skipif(os.name != "posix", reason="owners and modes")
as_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files to others"
)
OTHER = 12345  # a user who is not this one


def lie(cache, path):
    """Make the catalogue claim a loss that no file has."""
    info = execute(cache, "SELECT info FROM runs")[0][0]
    run = store_decode(info)
    run = structs.replace(run, num_records=999)
    info = store_encode(run)
    execute(cache, "UPDATE runs SET info = ?, crc = ?", info, store.zlib.crc32(info))
    assert cmeta.scan(path)[0].num_records == 999  # of this user's own catalogue, it is believed


@pytest.mark.parametrize("column", ["path", "day", "stamp", "crc", "info", "producer"])
@pytest.mark.parametrize("value", ["a text", 1.5, b"bytes", 2**62, "\udcff"])
def test_a_row_of_a_wrong_type_is_replaced(write, was_read, cache, column, value):
    path = write()
    cmeta.scan(path)
    raw = os.fsencode(value) if isinstance(value, str) else value
    cast = "CAST(? AS TEXT)" if isinstance(value, str) else "?"
    execute(cache, f"UPDATE runs SET {column} = {cast}", raw)
    for _ in range(3):
        assert cmeta.scan(path)[0].num_records == 2
    assert len(was_read) <= 2 and str(path) in rows(cache)
    kinds = execute(cache, "SELECT DISTINCT typeof(path), typeof(day), typeof(info) FROM runs")
    assert kinds == [("blob", "integer", "blob")]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER t AFTER INSERT ON runs BEGIN DELETE FROM runs; END",
        "CREATE TABLE another (x)",
        "CREATE VIEW v AS SELECT * FROM runs",
        "ALTER TABLE runs ADD COLUMN more",
    ],
)
def test_tables_that_cmeta_did_not_make_are_replaced(write, was_read, cache, statement):
    path = write()
    cmeta.scan(path)
    execute(cache, statement)
    for _ in range(2):
        assert cmeta.scan(path)[0].num_records == 2
    assert len(was_read) == 2
    assert execute(cache, "SELECT name FROM sqlite_master WHERE type != 'index'") == [("runs",)]


@posix
def test_the_catalogue_is_private(write, cache):
    before = os.umask(0)
    try:
        cmeta.scan(write())
        with closing(sqlite3.connect(cache / store.FILE_NAME)) as db:
            db.execute("SELECT * FROM runs").fetchall()
            modes = {path.name: path.stat().st_mode & 0o777 for path in cache.iterdir()}
        assert set(modes.values()) == {0o600}
        assert cache.stat().st_mode & 0o777 == 0o700
        (cache / store.FILE_NAME).chmod(0o644)  # as an earlier version made it
        cmeta.scan(write("b.cmeta"))
        assert (cache / store.FILE_NAME).stat().st_mode & 0o777 == 0o600
        assert len(rows(cache)) == 2
    finally:
        os.umask(before)


@posix
def test_a_catalogue_that_others_may_write_is_begun_anew(write, was_read, cache):
    path = write()
    cmeta.scan(path)
    lie(cache, path)
    (cache / store.FILE_NAME).chmod(0o666)
    assert cmeta.scan(path)[0].num_records == 2
    assert (cache / store.FILE_NAME).stat().st_mode & 0o777 == 0o600


@as_root
@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal"])
def test_files_of_another_user_are_not_believed(write, was_read, cache, suffix):
    path = write()
    cmeta.scan(path)
    lie(cache, path)
    planted = cache / (store.FILE_NAME + suffix)
    if suffix:
        planted.write_bytes(b"planted")
    os.chown(planted, OTHER, OTHER)
    expected = 999 if suffix else 2
    assert cmeta.scan(path)[0].num_records == expected
    assert not planted.exists() or planted.stat().st_uid == 0


@posix
def test_a_catalogue_that_is_a_link_is_begun_anew_and_its_target_left_alone(
    write, was_read, cache, tmp_path
):
    path = write()
    cmeta.scan(path)
    lie(cache, path)
    target = tmp_path / "target"
    os.rename(cache / store.FILE_NAME, target)
    content = target.read_bytes()
    for make in (os.symlink, os.link):
        (cache / store.FILE_NAME).unlink(missing_ok=True)
        make(target, cache / store.FILE_NAME)
        assert cmeta.scan(path)[0].num_records == 2
        assert not (cache / store.FILE_NAME).is_symlink()
        assert target.read_bytes() == content
    (cache / store.FILE_NAME).unlink()
    (cache / store.FILE_NAME).symlink_to(tmp_path / "nowhere")
    assert cmeta.scan(path)[0].num_records == 2
    assert not (tmp_path / "nowhere").exists()


@posix
def test_a_folder_that_others_may_write_holds_a_folder_for_each_user(write, was_read, cache):
    cache.mkdir()
    cache.chmod(0o1777)
    path = write()
    for _ in range(2):
        assert cmeta.scan(path)[0].num_records == 2
    assert len(was_read) == 1
    own = cache / f"user-{os.geteuid()}"
    assert [p.name for p in cache.iterdir()] == [own.name] and own.stat().st_mode & 0o777 == 0o700
    assert rows(own) == [str(path)]


@as_root
@pytest.mark.parametrize("kind", ["folder", "link"])
def test_a_users_folder_that_another_has_made_is_not_used(write, was_read, cache, tmp_path, kind):
    cache.mkdir()
    path = write()
    cmeta.scan(path)
    lie(cache, path)
    planted = tmp_path / "planted"
    os.rename(cache, planted)
    cache.mkdir()
    cache.chmod(0o1777)
    if kind == "link":
        (cache / "user-0").symlink_to(planted)
    else:
        os.rename(planted, cache / "user-0")
        for each in (cache / "user-0", *(cache / "user-0").iterdir()):
            os.chown(each, OTHER, OTHER)
    assert cmeta.scan(path)[0].num_records == 2


@posix
def test_an_entry_is_of_the_file_that_it_describes(write, was_read, cache, tmp_path):
    path = write(loss=(0.5, 0.25))
    other = write("runs/b.cmeta", loss=(0.75, 0.125))
    cmeta.scan(path)
    before, data = path.stat(), path.read_bytes()
    # Rewritten in place: length, inode, header, last bytes and time of change are as before.
    middle = len(data) // 2
    path.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_ino == before.st_ino
    assert cmeta.scan(path)[0].state == "damaged"
    execute(cache, "UPDATE runs SET path = ?", key_of(str(other)))  # the row of another file
    was_read.clear()
    assert cmeta.scan(other)[0]["loss"].last == 0.125 and was_read == ["b.cmeta"]
