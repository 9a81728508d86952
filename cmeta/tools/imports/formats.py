"""The formats that can be imported, and which of them a file is of.

Each is a module of `cmeta.tools.imports` with ``looks_like(path) -> bool`` and
``read(path, options) -> Imported``, imported when it is needed. They are asked in turn, those that
know their files by a signature first.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from cmeta.errors import EncodeError
from cmeta.tools.imports.model import Imported, ImportOptions

FORMATS = ("parquet", "trainer_state", "wandb", "tensorboard", "jsonl", "csv")
_LEN_SHOWN = 16  # bytes of an unknown file in an error


class Source(Protocol):
    """A module that reads a format."""

    def looks_like(self, path: Path) -> bool:
        """Return whether a file or folder seems to be of this format."""
        ...

    def read(self, source: Path, options: ImportOptions) -> Imported:
        """Return what a file holds."""
        ...


def source_of(format_: str) -> Source:
    """Return the module of a format.

    Raises
    ------
    EncodeError
        There is no such format.
    """
    if format_ not in FORMATS:
        raise EncodeError(f"found format {format_!r}, expected one of: {', '.join(FORMATS)}")
    return cast(Source, import_module(f"cmeta.tools.imports.{format_}"))


def detect(path: Path) -> str:
    """Return the format of a file or folder.

    Raises
    ------
    EncodeError
        None fits; says what was found.
    """
    for format_ in FORMATS:
        if source_of(format_).looks_like(path):
            return format_
    known = ", ".join(FORMATS)
    raise EncodeError(
        f"{path}: {_found(path)}, expected a file of one of: {known}; state which with "
        "format=... (--format)"
    )


def _found(path: Path) -> str:
    if path.is_dir():
        return "found a folder without event files or an offline run"
    with path.open("rb") as file:
        head = file.read(_LEN_SHOWN)
    return f"found a file that begins with {head!r}" if head else "found an empty file"
