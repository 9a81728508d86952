"""Which files: those below folders, those that a pattern matches, and those that are named.

Links to folders are not followed, so that no loop has no end and ``latest -> run-17`` gives no run
twice; a link to a file that is found anyway is left out as well.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cmeta.schema.load import shipped_format

SUFFIX = ".cmeta"
_HERE = os.path.join(os.curdir, "")
Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


@dataclass(frozen=True)
class Found:
    """What paths mean.

    Attributes
    ----------
    files : tuple of str
        Each once, those of a folder or a pattern sorted.
    folders : tuple of str
        Absolute; everything below them was looked for.
    """

    files: tuple[str, ...]
    folders: tuple[str, ...]


def find(paths: Paths) -> Found:
    """Return the files that paths mean; one that is named need not exist.

    Parameters
    ----------
    paths : path, or sequence of paths
        Folders, below which every ``.cmeta`` file is found; patterns such as
        ``runs/**/*.cmeta``; files. Of what a pattern matches, only ``.cmeta`` files and folders
        are meant if there are any.
    """
    given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    files: dict[str, None] = {}
    folders = []
    for path in map(os.fsdecode, given):
        if os.path.isdir(path):
            files.update(dict.fromkeys(sorted(_below(path))))
            folders.append(os.path.abspath(path))
        elif is_pattern(path):
            files.update(dict.fromkeys(sorted(_matching(path))))
        else:
            files[path] = None
    return Found(tuple(_distinct(list(files))), tuple(folders))


def is_pattern(path: str) -> bool:
    """Return whether a path is a pattern: it has a wildcard, and no file has that very name."""
    return glob.has_magic(path) and not os.path.lexists(path)


def _below(folder: str) -> Iterator[str]:
    journal = shipped_format().journal.suffix
    left = [folder]
    while left:
        at = left.pop()
        try:
            with os.scandir(at) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        left.append(entry.path)
                    elif entry.name.endswith(SUFFIX):
                        if not (entry.is_symlink() and os.path.isdir(entry.path)):
                            yield entry.path.removeprefix(_HERE)
                    elif entry.name.endswith(SUFFIX + journal):  # its file may be gone: say so
                        yield entry.path.removeprefix(_HERE).removesuffix(journal)
        except OSError:
            continue  # a folder that may not be read has no runs that could be


def _matching(pattern: str) -> Iterator[str]:
    anchor = Path(pattern).anchor
    relative = os.path.relpath(pattern, anchor) if anchor else pattern
    found = list(Path(anchor).glob(relative))
    files = [path for path in found if not path.is_dir()]
    runs = [path for path in files if path.name.endswith(SUFFIX)]
    for folder in found:
        if folder.is_dir() and not folder.is_symlink():
            yield from _below(str(folder))
    yield from map(str, runs or files)


def _distinct(files: list[str]) -> Iterator[str]:
    """Yield the files without the links to one that is there under its own name."""
    links = set(filter(os.path.islink, files))
    own = {os.path.realpath(path) for path in files if path not in links} if links else set()
    for path in files:
        if path not in links:
            yield path
        elif (target := os.path.realpath(path)) not in own:
            own.add(target)
            yield path
