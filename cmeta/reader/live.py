"""Opening a file that may be written at the same time (SPEC, Reading while a file is written).

The journal is opened before the main file. If the two do not fit together, a writer may have been
at work in between: then both are opened again, and damage is reported only when nothing has changed
between two tries.
"""

from __future__ import annotations

import os
from pathlib import Path

from cmeta.errors import DecodeError
from cmeta.grammar import grammar_of
from cmeta.journal import Standing, journal_path, standing_of
from cmeta.reader.file import OpenFile
from cmeta.schema import shipped_format
from cmeta.source import BytesSource, FileSource

_TRIES = 100  # a writer that changes its files a hundred times in a row between two of our reads
Identity = tuple[int, int, int, int] | None


def open_file(source: str | os.PathLike[str] | bytes | bytearray | memoryview) -> OpenFile:
    """Open a file, with its journal if it is not closed; or bytes, which have none.

    Raises
    ------
    DecodeError
        Header or SCHEMA cannot be read.
    OSError
        The file cannot be opened.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return OpenFile(BytesSource(source))
    path = Path(source)
    before: tuple[Identity, Identity] | None = None
    for _ in range(_TRIES):
        journal, journal_is = _read_journal(journal_path(path))
        main = FileSource(path)
        try:
            found = standing_of(main, journal, grammar_of(shipped_format()))
            now = (_identity(path), _identity(journal_path(path)))
            same_files = now[0] is not None and now[0][:2] == _identity_of(main)[:2]
            same_files = same_files and (journal_is is None) == (now[1] is None)
            if journal_is is not None and now[1] is not None:
                same_files = same_files and journal_is[:2] == now[1][:2]
            if _is_settled(found, same_files) or now == before:
                return _opened(main, found)
            before = now
            main.close()
        except BaseException:
            main.close()
            raise
    return _opened(FileSource(path), None)


def _is_settled(found: Standing, same_files: bool) -> bool:
    """Return whether another try cannot find more."""
    return found.kind == "closed" or (found.kind == "open" and same_files)


def _opened(main: FileSource, found: Standing | None) -> OpenFile:
    if found is not None and found.map is None and isinstance(found.problem, DecodeError):
        main.close()
        raise found.problem
    return OpenFile(main, found)


def _read_journal(path: Path) -> tuple[bytes | None, Identity]:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            return file.read(), _of_status(status)
    except FileNotFoundError:
        return None, None


def _identity(path: Path) -> Identity:
    try:
        return _of_status(path.stat())
    except FileNotFoundError:
        return None


def _identity_of(source: FileSource) -> tuple[int, int, int, int]:
    return _of_status(source.status())


def _of_status(status: os.stat_result) -> tuple[int, int, int, int]:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
