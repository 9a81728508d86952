"""The arguments of a command: files, folders, patterns, and ``-`` for standard input.

- A command of several files takes folders and patterns (`expand`); `cmeta.storage.find` defines
  what they mean.
- ``-`` is a chronicle on standard input. A chronicle is read at any offset, so all of it is read
  first; a command that passes the file on passes `readable`.
- No argument is skipped silently: a missing file, a folder without chronicles and a pattern without
  a match stay in the list, and are errors where they are opened.
"""

from __future__ import annotations

import glob
import stat
import sys
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

import click

from cmeta.cli.console import STDIN_NAME, file_name, is_terminal
from cmeta.cli.errors import Exit, Failure, reading
from cmeta.reader.reader import Reader
from cmeta.storage.find import find_files

STDIN = Path("-")


def expand(paths: Iterable[Path]) -> list[Path]:
    """Return the files that paths mean (`cmeta.storage.find`), in order.

    Parameters
    ----------
    paths : iterable of Path
        Files, folders, patterns, or ``-``.
    """
    files: list[Path] = []
    for is_stdin, group in groupby(paths, lambda path: path == STDIN):
        if is_stdin:
            files.append(STDIN)
        else:
            files += map(Path, find_files(group, keep_empty=True).files)
    return list(dict.fromkeys(files))


def readable(path: Path) -> Path | bytes:
    """Return what the library's functions take: the path, or the bytes of standard input.

    Raises
    ------
    Failure
    """
    if path != STDIN:
        require_file(path)
        return path
    meta = click.get_current_context().meta
    if _META not in meta:  # once, also if a command opens it twice
        meta[_META] = _read_stdin()
    data: bytes = meta[_META]
    return data


def require_file(path: Path) -> None:
    """Refuse what is no file: for a command that cannot do without, standard input as well.

    Raises
    ------
    Failure
    """
    if path == STDIN:
        message = "this command reads a file on disk; save what comes in, and name the file"
        raise Failure(f"{STDIN_NAME}: {message}", Exit.USAGE)
    with reading(path):
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            if not glob.has_magic(str(path)):
                raise
            raise Failure(f"{file_name(path)}: no file matches", Exit.USAGE) from None
    if stat.S_ISDIR(mode):
        raise Failure(f"{file_name(path)}: a folder, expected a .cmeta file", Exit.USAGE)
    if not stat.S_ISREG(mode):
        message = (
            "not a regular file; a chronicle is read at any offset, so save it, or pipe it into `-`"
        )
        raise Failure(f"{file_name(path)}: {message}", Exit.USAGE)


def open_chronicle(path: Path) -> Reader:
    """Return a reader; its `state` says whether the file is closed, open or damaged.

    Raises
    ------
    Failure
    """
    source = readable(path)
    with reading(path):
        return Reader(source) if path != STDIN else _Piped(source)


def what_open_means(has_journal: bool) -> str:
    """Return what to know of a file that is open: what of it is there."""
    if has_journal:
        return (
            "still being written, or its writer died; the records of its journal are included, "
            'and Recorder(..., mode="resume") goes on with it'
        )
    return (
        "never closed, and its journal is missing: records behind the last full batch may be "
        "missing"
    )


class _Piped(Reader):
    """A chronicle from standard input."""

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return STDIN_NAME


_META = f"{__name__}.stdin"


def _read_stdin() -> bytes:
    if sys.stdin is None or is_terminal(sys.stdin):
        raise Failure(f"{STDIN_NAME}: a terminal, expected a .cmeta file in a pipe", Exit.USAGE)
    with reading(STDIN):
        return sys.stdin.buffer.read()
