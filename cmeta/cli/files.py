"""Opening what a command is given."""

from __future__ import annotations

import stat
from pathlib import Path

from cmeta.cli.console import file_name
from cmeta.cli.errors import Exit, Failure, reading
from cmeta.reader import Reader


def require_file(path: Path) -> None:
    """Refuse what cannot be read at any offset.

    Raises
    ------
    Failure
    """
    with reading(path):
        mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise Failure(f"{file_name(path)}: a folder, expected a .cmeta file", Exit.USAGE)
    if not stat.S_ISREG(mode):
        message = "not a regular file; a chronicle is read at any offset, so save it first"
        raise Failure(f"{file_name(path)}: {message}", Exit.USAGE)


def open_chronicle(path: Path) -> Reader:
    """Return a reader; its `state` says whether the file is closed, open or damaged.

    Raises
    ------
    Failure
    """
    require_file(path)
    with reading(path):
        return Reader(path)


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
