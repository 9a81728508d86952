"""Which files a path means: one meaning for Python and for every command.

- A file is itself, even if it is missing.
- A folder is every ``.cmeta`` file below it, sorted. Links to folders are not followed, so that a
  loop ends and ``latest -> run-17`` does not list a run twice. A journal without its file means
  that file, so that the loss is reported.
- A pattern (``runs/**/*.cmeta``) is what it matches: the ``.cmeta`` files and, for folders, the
  files below them; other files only if it matches no ``.cmeta`` file.
- The records that a resume has moved aside (`is_moved_aside`) are no run: neither a folder nor a
  pattern means them, unless the pattern says so.
- Each file is given once; a link to a file that is given anyway is left out.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cmeta.aliases import PathLike
from cmeta.schema.load import shipped_format
from cmeta.source import expanded

SUFFIX = ".cmeta"
DROPPED = "dropped-from"  # then the number of the first record, and one that makes the name unique
_MOVED_ASIDE = re.compile(rf"\.{DROPPED}-\d+-\d+{re.escape(SUFFIX)}\Z")
Paths = PathLike | Iterable[PathLike]
_HERE = os.path.join(os.curdir, "")


@dataclass(frozen=True)
class FileList:
    """The files that some paths mean.

    Attributes
    ----------
    files : tuple of str
        In the order of the paths; those of one folder or pattern sorted.
    folders : tuple of str
        Absolute paths of the folders that were searched.
    """

    files: tuple[str, ...]
    folders: tuple[str, ...]


def find_files(paths: Paths, *, keep_empty: bool = False) -> FileList:
    """Return the files that paths mean.

    Parameters
    ----------
    paths : path, or iterable of paths
        Files, folders and patterns.
    keep_empty : bool
        Keep a folder without a file, and a pattern without a match, as if it were a file, so that
        opening it reports the error. Default: it means no file.
    """
    named = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    files: dict[str, str] = {}  # as given, by the path without "./" and doubled slashes
    folders = []
    for path in map(expanded, named):
        if os.path.isdir(path):
            members = sorted(_below(str(Path(path))))
            folders.append(os.path.abspath(path))
        elif is_pattern(path):
            members = sorted(_matching(path))
        else:
            members = [path]
        for member in members or ([path] if keep_empty else []):
            files.setdefault(str(Path(member)), member)
    return FileList(tuple(_without_links(list(files.values()))), tuple(folders))


def is_pattern(path: str) -> bool:
    """Return whether a path is a pattern: it has a wildcard, and no file has that very name."""
    return glob.has_magic(path) and not os.path.lexists(path)


def is_moved_aside(path: str) -> bool:
    """Return whether a file has the name under which a resume moves records aside.

    Examples
    --------
    >>> is_moved_aside("a.dropped-from-100-1.cmeta"), is_moved_aside("dropped-from-1.cmeta")
    (True, False)
    """
    return _MOVED_ASIDE.search(path) is not None


def _below(folder: str) -> Iterator[str]:
    journal = shipped_format().journal.suffix
    folders = [folder]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    path = entry.path.removeprefix(_HERE)
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    elif path.endswith(SUFFIX + journal):
                        yield path.removesuffix(journal)
                    elif is_moved_aside(path):
                        continue
                    elif path.endswith(SUFFIX) and not _is_link_to_folder(entry):
                        yield path
        except OSError:
            continue  # a folder that may not be read has no files that could be


def _is_link_to_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_symlink() and os.path.isdir(entry.path)


def _matching(pattern: str) -> Iterator[str]:
    anchor = Path(pattern).anchor
    relative = os.path.relpath(pattern, anchor) if anchor else pattern
    matches = list(Path(anchor).glob(relative))
    files = [str(path) for path in matches if not path.is_dir()]
    if DROPPED not in pattern:
        files = [path for path in files if not is_moved_aside(path)]
    for folder in matches:
        if folder.is_dir() and not folder.is_symlink():
            yield from _below(str(folder))
    yield from [path for path in files if path.endswith(SUFFIX)] or files


def _without_links(files: list[str]) -> Iterator[str]:
    """Yield the files without the links to one that is given under its own name."""
    links = set(filter(os.path.islink, files))
    targets = {os.path.realpath(path) for path in files if path not in links} if links else set()
    for path in files:
        if path not in links:
            yield path
        elif (target := os.path.realpath(path)) not in targets:
            targets.add(target)
            yield path
