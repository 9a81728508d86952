"""What a path means: a file, or every chronicle below a folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from cmeta.schema.load import shipped_format

SUFFIX = ".cmeta"
Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


def targets_of(paths: Paths) -> list[Path]:
    """Return the files to look at, in order; folders are opened, what is missing stays.

    A journal without its file stands for the file that it belongs to. A folder without any
    chronicle stays as it is.
    """
    given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    found: list[Path] = []
    for path in map(Path, given):
        found += (list(_below(path)) or [path]) if os.path.isdir(path) else [path]
    return found


def _below(folder: Path) -> Iterator[Path]:
    suffix = shipped_format().journal.suffix
    found = {path for path in folder.rglob(f"*{SUFFIX}") if path.is_file()}
    found |= {
        path.with_name(path.name.removesuffix(suffix))
        for path in folder.rglob(f"*{SUFFIX}{suffix}")
        if path.is_file()
    }
    yield from sorted(found)
