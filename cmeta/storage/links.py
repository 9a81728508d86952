"""The file that a name means: where a link to a file leads.

Lock and journal are named after the file itself. So two names for one file are one lock, and what
was recorded under one name is found under the other.

A recorder follows a link only if this user or root has made it: in a folder where others may write,
they decide where their links lead.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from cmeta.aliases import PathLike
from cmeta.errors import RecorderError
from cmeta.source import expanded, linked

_LINKS_MAX = 40  # one after the other, as in Linux


def resolved(path: PathLike) -> Path:
    """Return the file that a name means, for reading; the path itself if it is no link."""
    return Path(linked(expanded(path)))


def resolved_to_write(path: Path) -> Path:
    """Return the file that a name means, for writing.

    Raises
    ------
    RecorderError
        The name, or a folder on the way in a folder of everybody, is a link of another user.
    OSError
        The links form a loop.
    """
    for folder in path.absolute().parents:
        if folder.is_symlink() and _is_of_everybody(folder.parent):
            _require_trusted(folder, path)
    file = path
    for _ in range(_LINKS_MAX):
        if not file.is_symlink():
            return file
        _require_trusted(file, path)
        target = Path(os.path.realpath(file.parent), os.readlink(file))
        file = Path(os.path.realpath(target.parent), target.name)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))


def _is_of_everybody(folder: Path) -> bool:
    return bool(folder.stat().st_mode & stat.S_IWOTH)


def _require_trusted(link: Path, path: Path) -> None:
    owner = os.lstat(link).st_uid
    if hasattr(os, "geteuid") and owner not in (0, os.geteuid()):
        raise RecorderError(
            f"{path}: {link} is a link of another user (number {owner}) to {os.readlink(link)}, "
            "which is not followed; give the path of the file itself"
        )
