"""A file that is read while somebody writes it: whether an error may only be due to that.

A writer that begins, continues, rotates or closes publishes or removes a journal, each of which has
a random salt, before it changes anything that was there before. So a reader that meets an error
looks whether the file is another one than before: then it is *busy*, and is read again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

from cmeta.errors import BusyError
from cmeta.format.grammar import grammar_of
from cmeta.schema.load import shipped_format
from cmeta.source import FileSource

BUSY = "its writer changed it each time that it was read; try again"
_PAUSES = (0, 0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)  # seconds before each further try
T = TypeVar("T")


class _Look(NamedTuple):
    """A file and its journal at one moment.

    Attributes
    ----------
    file : tuple
        Device, inode and header of the main file.
    journal : bytes or None
        The header of the journal, if it can be read.
    size, changed : int
        Length of the main file, and when it was changed.
    """

    file: tuple[int, int, bytes] | None
    journal: bytes | None
    size: int
    changed: int


class Watch:
    """Whether a writer has begun, continued or closed a file since a moment.

    Records that are only added are no such change.

    Parameters
    ----------
    path, journal : Path
    """

    def __init__(self, path: Path, journal: Path) -> None:
        self._path, self._journal = path, journal
        self._before = self._look()

    @property
    def has_changed(self) -> bool:
        """Whether what was read before and what is read now may not fit together."""
        before, now = self._before, self._look()
        if (before.file, before.journal) != (now.file, now.journal) or now.size < before.size:
            return True
        return before.journal is None and before != now

    def require_unchanged(self, cause: Exception | None = None) -> None:
        """Raise an error if a writer has changed the file.

        Raises
        ------
        BusyError
        """
        if self.has_changed:
            raise BusyError(
                f"{self._path}: its writer changed it while it was read; read it again"
            ) from cause

    def _look(self) -> _Look:
        grammar = grammar_of(shipped_format())
        _, journal = _beginning(self._journal, grammar.journal_header.size)
        status, header = _beginning(self._path, grammar.header.size)
        if status is None:
            return _Look(None, journal, 0, 0)
        file = status.st_dev, status.st_ino, header or b""
        return _Look(file, journal, status.st_size, status.st_mtime_ns)


def _beginning(path: Path, length: int) -> tuple[os.stat_result | None, bytes | None]:
    """Return the status of a file and its first bytes, if it can be opened."""
    try:
        source = FileSource(path)
    except OSError:
        return None, None
    try:
        return source.status(), source.read_upto(0, length)
    finally:
        source.close()


def unless_busy(work: Callable[[], T]) -> T:
    """Return the result of `work`, which is tried again while the file is busy.

    Raises
    ------
    BusyError
        Its writer changed the file during each try.
    """
    for pause in _PAUSES:
        try:
            return work()
        except BusyError:
            time.sleep(pause)
    return work()
