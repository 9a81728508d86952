"""Files that are complete or absent: written under a temporary name, then renamed.

Every file that cmeta creates takes this way: data under a temporary name beside the target, fsync,
rename (or link), fsync of the folder. A crash at any point leaves the target as it was, or whole.
The new file has the permissions of the one that it replaces from the beginning. Errors name the
target, not the temporary file.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from cmeta.storage.disk import Disk, File, make_folders, permissions_at
from cmeta.storage.links import foreign_link, refusal
from cmeta.storage.new_path import name_max, shortened

TEMPORARY = ".tmp"
RECORDER_TEMPORARY = ".tmp-recorder"  # the holder of the lock may remove those that it finds
_LEN_RANDOM, _LEN_DIGEST = 12, 16  # characters
_LEN_BESIDE = 16  # bytes: room for the journal and the lock of a file that is given such a name


@contextmanager
def temporary_file(
    target: Path,
    disk: Disk | None = None,
    suffix: str = TEMPORARY,
    like: os.stat_result | None = None,
) -> Iterator[File]:
    """Create a file beside `target`; it is removed when the block ends, unless renamed by then.

    Parameters
    ----------
    target : Path
    disk : Disk, optional
    suffix : str
        Of its name.
    like : os.stat_result, optional
        Of the file whose permissions it takes; default: `target`, if there is one.
    """
    disk = disk or Disk()
    if link := foreign_link(target.parent):
        raise PermissionError(errno.EPERM, refusal(link), str(target))
    name = target.with_name(f"{_stem(target)}{os.urandom(_LEN_RANDOM // 2).hex()}{suffix}")
    try:
        make_folders(target.parent)
        file = disk.create(name, like or permissions_at(target))
    except OSError as err:  # of what the user named, not of a temporary name
        if err.errno is None:
            raise
        named = target if target.parent.exists() else target.parent
        raise OSError(err.errno, err.strerror, str(named)) from err
    try:
        yield file
    finally:
        if file.path == name:
            file.close()
            disk.unlink(name)


def temporary_pattern(target: Path) -> re.Pattern[str]:
    """Return what the names of the temporary files of a target match."""
    suffixes = f"{re.escape(TEMPORARY)}|{re.escape(RECORDER_TEMPORARY)}"
    return re.compile(rf"{re.escape(_stem(target))}[0-9a-f]{{{_LEN_RANDOM}}}(?P<suffix>{suffixes})")


def _stem(target: Path) -> str:
    """Return the beginning of the temporary names of a target, and of no other file."""
    len_end = len("..") + _LEN_RANDOM + max(len(TEMPORARY), len(RECORDER_TEMPORARY))
    most = name_max(target.parent) - len_end
    if len(os.fsencode(target.name)) <= most:
        return f".{target.name}."
    digest = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:_LEN_DIGEST]
    return f".{shortened(target.name, most - len(digest) - 1)}~{digest}."


@contextmanager
def atomic_file(target: Path) -> Iterator[BinaryIO]:
    """Open a stream for a file that replaces `target` when the block has ended without an error.

    Raises
    ------
    OSError
        `target` is something else than a file, or cannot be written; names it.
    """
    require_replaceable(target)
    disk = Disk()
    with temporary_file(target, disk) as file:
        with file.stream() as stream:
            yield stream
        file.sync()
        file.close()
        disk.rename(file, target)
    disk.sync_folder(target.parent)


def require_replaceable(target: Path) -> None:
    """Require that a path is free, or that of a regular file or a link.

    Raises
    ------
    OSError
        It is something else, such as a folder or a device.
    """
    try:
        mode = target.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):  # the folder is made, or refused, later
        return
    if stat.S_ISDIR(mode):
        reason = "this is a folder, expected the name of a file to write"
        raise IsADirectoryError(errno.EISDIR, reason, str(target))
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        reason = "not a regular file, which alone can be replaced"
        raise FileExistsError(errno.EEXIST, reason, str(target))


def publish_new(file: File, target: Path) -> None:
    """Give a finished temporary file its name; unlike a rename, this never replaces a file.

    Raises
    ------
    FileExistsError
        The name has been taken meanwhile.
    OSError
        The new name cannot be made durable; it has been removed again.
    """
    disk = Disk()
    disk.publish(file, target)
    try:
        disk.sync_folder(target.parent)
    except OSError:
        target.unlink()
        raise


def unused_name(path: Path, label: str) -> Path:
    """Return a name beside `path` that no file has yet, such as ``run.LABEL-1.cmeta``."""
    number = 1
    while True:
        end = f".{label}-{number}{path.suffix}"
        stem = shortened(path.stem, name_max(path.parent) - len(os.fsencode(end)) - _LEN_BESIDE)
        candidate = path.with_name(stem + end)
        if not candidate.exists():
            return candidate
        number += 1
