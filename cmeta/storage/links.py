"""The file that a name means: where a link to a file leads.

Lock and journal are named after the file itself. So two names for one file are one lock, and what
was recorded under one name is found under the other.

A link of another user is not followed where something is written: in a folder where others may
write, they decide where their links lead. That holds for the name itself, for a recorder, and for
every folder on the way to it, for whatever is written.
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
_STEPS_MAX = 4000  # names on the way, those in links included


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
    if link := foreign_link(path.parent):
        raise RecorderError(f"{path}: {refusal(link)}")
    file = path
    for _ in range(_LINKS_MAX):
        if not file.is_symlink():
            return file
        target = Path(os.path.realpath(file.parent), os.readlink(file))
        if _owner(file) not in _trusted():
            raise RecorderError(f"{path}: {refusal(file)}")
        if link := foreign_link(target.parent):
            raise RecorderError(f"{path}: {refusal(link)}")
        file = Path(os.path.realpath(target.parent), target.name)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))


def foreign_link(folder: Path) -> Path | None:
    """Return a link on the way to a folder that another user may have laid there, if there is one.

    Links on the way of links count too. Where the owner of a folder has made a link in it, and only
    a group may write to it, the link is the owner's way to say where the folder is.
    """
    absolute = folder.absolute()
    way, rest = Path(absolute.anchor), list(absolute.parts[1:])
    for _ in range(_STEPS_MAX):
        if not rest:
            return None
        step = way / rest.pop(0)
        if step.name == "..":
            way = way.parent  # which has no links in it
        elif not os.path.islink(step):
            way = step
        elif _is_foreign(step):
            return step
        else:
            target = Path(os.readlink(step))
            way = Path(target.anchor) if target.is_absolute() else way
            rest = [part for part in target.parts if part != target.anchor] + rest
    return None  # links in a loop: opening the file says so


def refusal(link: Path) -> str:
    """Return why a link is not followed, and the remedy."""
    return (
        f"{link} is a link of another user (number {_owner(link)}) to {os.readlink(link)}, "
        "which is not followed; give the path of the file itself"
    )


def _is_foreign(link: Path) -> bool:
    owner, folder = _owner(link), link.parent.stat()
    if owner in _trusted() or not folder.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return False
    return bool(folder.st_mode & stat.S_IWOTH) or owner != folder.st_uid


def _owner(link: Path) -> int:
    return os.lstat(link).st_uid


def _trusted() -> tuple[int, int]:
    return 0, os.geteuid() if hasattr(os, "geteuid") else 0  # elsewhere every owner is 0
