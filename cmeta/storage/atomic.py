"""A file that is complete or absent: written under a temporary name, then renamed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO

TEMPORARY = ".tmp-recorder"


def temporary_name(target: Path) -> Path:
    """Return a name that nothing has, for a file that will be renamed to `target`."""
    return target.with_name(f".{target.name}.{os.urandom(6).hex()}{TEMPORARY}")


def unused_name(path: Path, what: str) -> Path:
    """Return a name beside `path` that nothing has."""
    number = 1
    while True:
        candidate = path.with_name(f"{path.stem}.{what}-{number}{path.suffix}")
        if not candidate.exists():
            return candidate
        number += 1


class AtomicFile:
    """A temporary file beside the target, renamed over it when all of it is on disk."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._temporary = target.with_name(f".{target.name}.{os.urandom(6).hex()}.tmp")

    def __enter__(self) -> BinaryIO:
        self._file = open(self._temporary, "xb")
        return self._file

    def __exit__(self, kind: Any, *_: Any) -> None:
        try:
            if kind is None:
                self._file.flush()
                os.fsync(self._file.fileno())
            self._file.close()
            if kind is None:
                os.replace(self._temporary, self._target)
                sync_folder(self._target.parent)
        finally:
            self._temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make a rename durable, where folders can be synced."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
