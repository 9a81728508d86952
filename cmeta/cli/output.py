"""What a command writes: a new file, complete or not there at all, or standard output (``-``)."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from cmeta.cli.console import file_name, is_terminal
from cmeta.cli.errors import Exit, Failure
from cmeta.storage.atomic import atomic_file

STDOUT = Path("-")


def require_free(out: Path, *, replace: bool) -> None:
    """Refuse a name that is taken, unless it may be replaced.

    Raises
    ------
    Failure
    """
    if out != STDOUT and not replace and os.path.lexists(out):
        raise Failure(f"{file_name(out)}: exists; --replace writes over it", Exit.USAGE)


def require_no_terminal(out: Path) -> None:
    """Refuse to write what is no text to a terminal.

    Raises
    ------
    Failure
    """
    if out == STDOUT and is_terminal(sys.stdout):
        raise Failure("-: a terminal, and this is no text; pipe it, or name a file", Exit.USAGE)


@contextmanager
def written(out: Path) -> Iterator[BinaryIO]:
    """Give a file that appears under its name when all is well, or standard output."""
    if out == STDOUT:
        yield sys.stdout.buffer
        return
    with atomic_file(out) as file:
        yield file


@contextmanager
def written_by_name(out: Path) -> Iterator[Path]:
    """Give a name for a library to write to; what it has written goes to standard output if asked.

    The file is made in a temporary folder then, because a chronicle's header is written last.
    """
    if out != STDOUT:
        yield out
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out"
        yield path
        with path.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
