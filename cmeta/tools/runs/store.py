"""The catalogue of runs: an SQLite file in the user's cache folder, which may always be deleted.

An entry is valid as long as the file has the remembered stamp: device, inode, length, times of
change, first bytes and last bytes, which are the header and the checksum of everything between. Two
kinds of file are not remembered: one that is not closed and intact, and one that was changed just
before it was read, since a second change may have left the same time.

Another user's entries are never believed:

- The catalogue is a regular file of this user, under its own name, that nobody else may write; so
  are the files that SQLite keeps beside it. Whatever else has its name is removed, where that is
  possible, and begun anew. It is created with mode 0600, since it holds configurations.
- Its folder belongs to this user alone. In one that others may write, such as a `CMETA_CACHE_DIR`
  of a group, each user has a folder with the number of the user in it.
- Its tables are those that are created here, nothing more, and rows of other types are not seen.

Nothing that goes wrong here is an error: `scan` does without a catalogue that cannot be opened,
read or written, or that is locked, and a damaged one is replaced by an empty one.
"""

from __future__ import annotations

import contextlib
import os
import stat
import struct
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cmeta.format.grammar import grammar_of
from cmeta.schema.load import shipped_format
from cmeta.source import regular_file
from cmeta.storage.disk import create
from cmeta.tools.runs.run_info import LAYOUT

if TYPE_CHECKING:
    import sqlite3

T = TypeVar("T")
Entry = tuple[bytes, bytes]  # stamp, encoded description

FOLDER_VARIABLE = "CMETA_CACHE_DIR"
FILE_NAME = "catalogue.sqlite3"
GRANULARITY = 2_000_000_000  # nanoseconds: the coarsest time of change in use, that of FAT
_TABLE_VERSION = 2
_TABLE = """CREATE TABLE runs (
    path BLOB PRIMARY KEY, producer TEXT NOT NULL, day INTEGER NOT NULL,
    stamp BLOB NOT NULL, crc INTEGER NOT NULL, info BLOB NOT NULL)"""
_SCHEMA = [("index", "sqlite_autoindex_runs_1", None), ("table", "runs", _TABLE)]
# SQLite stores any type in any column.
_TYPED = " AND ".join(
    f"typeof({column}) = '{kind}'"
    for column, kind in (
        ("path", "blob"), ("producer", "text"), ("day", "integer"), ("stamp", "blob"),
        ("crc", "integer"), ("info", "blob"),
    )
)  # fmt: skip
_BESIDE = ("", "-wal", "-shm", "-journal")  # SQLite's files, by what follows the name
_LOCK_TIMEOUT = 1.0  # seconds to wait for another process
_PARAMETERS_MAX = 500  # of a statement; SQLite before 3.32 takes 999
_FORGET_AFTER = 180  # days since an entry was last used
_RENEW_AFTER = 30  # days; so that reading seldom writes
_NUMBERS = struct.Struct("<QqqQQ")
_U64_MASK = 2**64 - 1


def key_of(path: str) -> bytes:
    """Return the key of a file in the catalogue."""
    return os.fsencode(os.path.abspath(path))


def stamp_of(path: str) -> bytes | None:
    """Return the stamp of a regular file; None if it is missing or cannot be read."""
    grammar = grammar_of(shipped_format())
    try:
        descriptor = regular_file(path, os.O_RDONLY)
    except (OSError, ValueError):
        return None
    try:
        status = os.fstat(descriptor)
        len_tail = grammar.trailer.size
        if not stat.S_ISREG(status.st_mode) or status.st_size < len_tail:
            return None
        head = os.read(descriptor, grammar.header.size)
        os.lseek(descriptor, -len_tail, os.SEEK_END)
        times = (status.st_mtime_ns, status.st_ctime_ns)
        place = (status.st_dev & _U64_MASK, status.st_ino & _U64_MASK)
        return _NUMBERS.pack(status.st_size, *times, *place) + head + os.read(descriptor, len_tail)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def is_settled(stamp: bytes, now: int) -> bool:
    """Return whether a change after `now` is sure to alter the time of change.

    Parameters
    ----------
    now : int
        Nanoseconds since 1970, taken before the file was read.
    """
    changed: int = _NUMBERS.unpack_from(stamp)[1]
    return changed < now - GRANULARITY


def catalogue_path() -> Path:
    """Return the catalogue's path; ``CMETA_CACHE_DIR`` overrides the user's cache folder."""
    if given := os.environ.get(FOLDER_VARIABLE):
        folder = Path(given)
    else:
        from platformdirs import user_cache_path

        folder = user_cache_path("cmeta", appauthor=False)
    try:
        status = folder.stat()
    except OSError:  # it will be made, for this user alone
        return folder / FILE_NAME
    return (folder if _is_own(status) else folder / f"user-{_user()}") / FILE_NAME


def _user() -> int:
    return os.geteuid() if hasattr(os, "geteuid") else 0


def _is_own(status: os.stat_result, *, or_of_root: bool = False) -> bool:
    """Return whether a file or folder belongs to this user, and nobody else may write it."""
    if not hasattr(os, "geteuid"):  # Windows, where folders of a user are private
        return True
    owners = {_user(), 0} if or_of_root else {_user()}
    return status.st_uid in owners and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


class Catalogue:
    """The entries of all runs that were scanned; a context manager."""

    def __init__(self, path: Path) -> None:
        import cmeta

        self._path = path
        self._producer = f"{cmeta.__version__} {LAYOUT}"
        self._today = int(time.time() // 86_400)
        self._db: sqlite3.Connection | None = None
        self._open()

    def entries(self, keys: Sequence[bytes]) -> dict[bytes, Entry]:
        """Return the entries of files, by key."""
        return self._guarded(lambda db: dict(self._entries(db, keys)), {})

    def store(self, rows: Iterable[tuple[bytes, bytes, bytes]]) -> None:
        """Remember files: key, stamp and encoded description of each."""
        entries = [
            (key, self._producer, self._today, stamp, zlib.crc32(info), info)
            for key, stamp, info in rows
        ]
        if entries:
            self._guarded(lambda db: self._store(db, entries), None)

    def prune(self, folders: Sequence[str], keys: Iterable[bytes]) -> None:
        """Forget files below folders that are not among the keys and no longer exist."""
        known = set(keys)
        self._guarded(lambda db: self._prune(db, folders, known), None)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        db, self._db = self._db, None
        if db is not None:
            with contextlib.suppress(Exception):  # the next opening repeats a failed checkpoint
                db.close()

    def __enter__(self) -> Catalogue:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # -------------------------------------------------------------------------------- statements

    def _entries(
        self, db: sqlite3.Connection, keys: Sequence[bytes]
    ) -> Iterator[tuple[bytes, Entry]]:
        old = []
        for part in _parts(keys):
            rows = db.execute(
                f"SELECT path, day, stamp, crc, info FROM runs WHERE {_TYPED} AND producer = ? "
                f"AND path IN ({_marks(part)})",
                (self._producer, *part),
            )
            for path, day, stamp, crc, info in rows:
                if zlib.crc32(info) == crc:  # SQLite has no checksums of its own
                    yield path, (stamp, info)
                    if day < self._today - _RENEW_AFTER:
                        old.append(path)
        if old:
            with contextlib.suppress(_sqlite().Error), _transaction(db):
                for part in _parts(old):
                    update = f"UPDATE runs SET day = ? WHERE path IN ({_marks(part)})"
                    db.execute(update, (self._today, *part))

    def _store(self, db: sqlite3.Connection, rows: Sequence[tuple[object, ...]]) -> None:
        with _transaction(db):
            db.executemany("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?)", rows)

    def _prune(self, db: sqlite3.Connection, folders: Sequence[str], known: set[bytes]) -> None:
        gone: list[bytes] = []
        db.execute(f"DELETE FROM runs WHERE NOT ({_TYPED})")
        for folder in folders:
            begin = os.fsencode(os.path.join(folder, ""))
            end = begin[:-1] + bytes([begin[-1] + 1])
            rows = db.execute("SELECT path FROM runs WHERE path >= ? AND path < ?", (begin, end))
            gone += (path for (path,) in rows if path not in known and not os.path.lexists(path))
        rows = db.execute(
            "SELECT path FROM runs WHERE producer != ? OR day < ?",
            (self._producer, self._today - _FORGET_AFTER),
        )
        gone += (path for (path,) in rows)
        if gone:
            with _transaction(db):
                for part in _parts(gone):
                    db.execute(f"DELETE FROM runs WHERE path IN ({_marks(part)})", part)

    # ---------------------------------------------------------------------------- opening, errors

    def _open(self) -> None:
        """Open the catalogue; a damaged one is replaced by an empty one."""
        sqlite = _sqlite()
        for _ in range(2):
            try:
                self._db = self._connect()
                self._prepare(self._db)
                return
            except (sqlite.OperationalError, OSError):  # locked, read-only, no space, no folder
                self.close()
                return
            except sqlite.Error:  # not a database, or a malformed one
                self.close()
                self._delete()

    def _guarded(self, work: Callable[[sqlite3.Connection], T], default: T) -> T:
        """Return the result of `work`; the default without a catalogue, or if it fails."""
        sqlite = _sqlite()
        if self._db is None:
            return default
        try:
            return work(self._db)
        except sqlite.OperationalError:
            self.close()
        except sqlite.Error:
            self.close()
            self._delete()
            self._open()
        return default

    def _connect(self) -> sqlite3.Connection:
        self._path.parent.mkdir(0o700, parents=True, exist_ok=True)
        self._require_own_files()
        db: sqlite3.Connection = _sqlite().connect(
            self._path, timeout=_LOCK_TIMEOUT, isolation_level=None
        )
        return db

    def _require_own_files(self) -> None:
        """Create the catalogue if it is missing; raise OSError if anything is not this user's."""
        folder = self._path.parent
        # A link is followed only where nobody else could have made it.
        is_ours = _is_own(folder.absolute().parent.stat(), or_of_root=True)
        status = folder.stat() if is_ours else folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or not _is_own(status):
            raise PermissionError(f"{folder}: others may write there")
        for suffix in _BESIDE:
            path = self._path.with_name(self._path.name + suffix)
            with contextlib.suppress(FileNotFoundError):
                _require_own_file(path)
        with contextlib.suppress(FileExistsError):
            os.close(create(self._path, mode=0o600))
        if self._path.stat().st_mode & 0o077:  # an earlier version left it to the umask
            with contextlib.suppress(OSError):  # which is no reason not to read it
                self._path.chmod(0o600)

    def _prepare(self, db: sqlite3.Connection) -> None:
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA trusted_schema = OFF")
        if self._is_current(db):
            return
        db.execute("PRAGMA journal_mode = WAL")
        with _transaction(db):
            if self._is_current(db):
                return
            if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise _sqlite().DatabaseError("not the tables of this version")
            db.execute(_TABLE)
            db.execute(f"PRAGMA user_version = {_TABLE_VERSION}")

    def _is_current(self, db: sqlite3.Connection) -> bool:
        if db.execute("PRAGMA user_version").fetchone()[0] != _TABLE_VERSION:
            return False
        found = db.execute("SELECT type, name, sql FROM sqlite_master ORDER BY type").fetchall()
        if found != _SCHEMA:
            raise _sqlite().DatabaseError("not the tables of this version")
        return True

    def _delete(self) -> None:
        for suffix in _BESIDE:
            with contextlib.suppress(OSError):
                self._path.with_name(self._path.name + suffix).unlink()


def _require_own_file(path: Path) -> None:
    """Remove what is not this user's regular file of one name; OSError if it cannot be removed."""
    status = os.lstat(path)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1 or not _is_own(status):
        os.unlink(path)


@contextlib.contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        with contextlib.suppress(_sqlite().Error):
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _sqlite() -> Any:
    """Return the module, imported only when a catalogue is used."""
    import sqlite3

    return sqlite3


def _parts(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for begin in range(0, len(items), _PARAMETERS_MAX):
        yield items[begin : begin + _PARAMETERS_MAX]


def _marks(items: Sequence[object]) -> str:
    return ",".join("?" * len(items))
