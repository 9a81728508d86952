"""The files of a command: chronicles to read, and new files to write; ``-`` is a standard stream.

- A command that takes several files also takes folders and patterns (`expand`);
  `cmeta.storage.find` defines what they mean.
- ``-`` is a chronicle on standard input, which is read into memory first because a reader seeks.
  A command that passes a file on to the library uses `readable`.
- No argument is skipped silently: a missing file, a folder without chronicles and a pattern
  without a match remain in the list, and opening them is an error.
- An output file is complete or absent, or it is standard output.
"""

from __future__ import annotations

import glob
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import BinaryIO

import click

from cmeta.cli.console import STDIN_NAME, file_name, is_terminal, print_note
from cmeta.cli.errors import Exit, Failure, reading
from cmeta.errors import counted
from cmeta.reader.reader import Reader
from cmeta.source import regular_file
from cmeta.storage.atomic import atomic_file
from cmeta.storage.find import find_files
from cmeta.storage.open import is_input

STDIN = STDOUT = Path("-")
_STDIN_KEY = f"{__name__}.stdin"  # in the context of click


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
    if _STDIN_KEY not in meta:  # once, even if a command opens it twice
        meta[_STDIN_KEY] = _read_stdin()
    data: bytes = meta[_STDIN_KEY]
    return data


def require_file(path: Path) -> None:
    """Raise unless the path is a file; standard input is not one.

    Raises
    ------
    Failure
    """
    if path == STDIN:
        message = "this command needs a file on disk; save the input and name the file"
        raise Failure(f"{STDIN_NAME}: {message}", Exit.USAGE)
    with reading(path):
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            if not glob.has_magic(str(path)):
                raise
            raise pattern_error(path) from None
    if stat.S_ISDIR(mode):
        raise Failure(f"{file_name(path)}: {_of_folder(path)}", Exit.USAGE)
    if not stat.S_ISREG(mode):
        message = "not a regular file, and reading needs to seek; save it, or pipe it into `-`"
        raise Failure(f"{file_name(path)}: {message}", Exit.USAGE)


def pattern_error(path: Path) -> Failure:
    """Return the error for a pattern where one file is expected."""
    num_files = len(find_files(path).files)
    if not num_files:
        return Failure(f"{file_name(path)}: no file matches", Exit.USAGE)
    matches = f"a pattern, which matches {counted(num_files, 'file')}"
    message = f"{matches}; this command takes one file by its name"
    return Failure(f"{file_name(path)}: {message}", Exit.USAGE)


def _of_folder(path: Path) -> str:
    """Return the message about a folder where a file is expected."""
    files = find_files(path).files
    if not files:
        return "a folder without a .cmeta file"
    more = f" and {len(files) - 1:,} more" if len(files) > 1 else ""
    return f"a folder, expected a .cmeta file, such as {file_name(files[0])}{more}"


def note_if_empty(path: Path, reader: Reader) -> None:
    """Print why no record of a file was printed."""
    name = file_name(path)
    if not len(reader):
        print_note(f"{name} has no records")
        return
    first, last = reader.batches[0].first_timestamp, reader.batches[-1].last_timestamp
    print_note(f"no matching records; {name} has timestamps {first} to {last}")


def open_chronicle(path: Path) -> Reader:
    """Return a reader; its `state` says whether the file is closed, open or damaged.

    Raises
    ------
    Failure
    """
    source = readable(path)
    with reading(path):
        return Reader(source) if path != STDIN else _StdinReader(source)


def open_state(has_journal: bool) -> str:
    """Return what the state "open" implies for the records of a file."""
    if has_journal:
        return (
            "still being written, or its writer died; the records in its journal are included, "
            'and Recorder(..., mode="resume") continues the run'
        )
    return (
        "never closed, and its journal is missing: records after the last full batch may be missing"
    )


def note_if_open(path: Path, reader: Reader) -> None:
    """Print a note if a file was never closed."""
    if reader.state == "open":
        print_note(f"{file_name(path)} is open: {open_state(reader.has_journal)}")


class _StdinReader(Reader):
    """A chronicle from standard input."""

    @property
    def name(self) -> str:
        """The name in messages."""
        return STDIN_NAME


def _read_stdin() -> bytes:
    if sys.stdin is None or is_terminal(sys.stdin):
        raise Failure(f"{STDIN_NAME}: a terminal, expected a .cmeta file in a pipe", Exit.USAGE)
    with reading(STDIN):
        return sys.stdin.buffer.read()


def require_free(out: Path, source: Path, *, replace: bool) -> None:
    """Raise if the output file exists, unless it may be replaced; always if it cannot be written.

    Raises
    ------
    Failure
    """
    if out != STDOUT and is_input(out, source):
        message = "is the file to read or its journal, and no command changes what it reads"
        raise Failure(f"{file_name(out)}: {message}; choose another name", Exit.USAGE)
    if out != STDOUT and out.is_dir():
        raise Failure(f"{file_name(out)}: a folder, expected the name of a file", Exit.USAGE)
    if out != STDOUT and not replace and os.path.lexists(out):
        raise Failure(f"{file_name(out)}: exists; --replace overwrites it", Exit.USAGE)


def require_no_terminal(out: Path) -> None:
    """Raise if binary data would be written to a terminal.

    Raises
    ------
    Failure
    """
    if out == STDOUT and is_terminal(sys.stdout):
        message = "refusing to write binary data to a terminal; redirect stdout or name a file"
        raise Failure(message, Exit.USAGE)


@contextmanager
def output_file(out: Path) -> Iterator[BinaryIO]:
    """Yield a file that gets its name once it is complete, or standard output."""
    if out == STDOUT:
        yield sys.stdout.buffer
        return
    with atomic_file(out) as file:
        yield file


@contextmanager
def output_path(out: Path) -> Iterator[Path]:
    """Yield a path for a library to write to; for ``-``, copy the file to standard output.

    That file is made in a temporary folder, because a chronicle's header is written last.
    """
    if out != STDOUT:
        yield out
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out"
        yield path
        with open(path, "rb", opener=regular_file) as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
