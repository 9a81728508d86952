"""Paths and names of new files: one meaning for Python and for every command.

- ``~`` is the home folder, and missing folders are made.
- A name may be as long as the file system allows. The temporary names beside it, and those made
  from it, are shortened instead; a chronicle needs room for its journal's suffix.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from cmeta.errors import EncodeError, counted
from cmeta.source import expanded

_NAME_MAX = 255  # bytes; where the file system does not say


def given_path(path: Any, parameter: str = "path") -> str:
    """Return the path of a file as text, ``~`` expanded.

    Raises
    ------
    EncodeError
        It is not a path, or empty.
    """
    try:
        text = expanded(path)
    except TypeError:
        kind = type(path).__name__
        raise EncodeError(f"{parameter}: found {kind}, expected the path of a file") from None
    if not text or "\0" in text:
        raise EncodeError(f"{parameter}: found {text!r}, expected the path of a file")
    return text


def require_name(target: Path, suffix: str, parameter: str = "path") -> None:
    """Require that the file system can keep a file of this name with `suffix` after it.

    Raises
    ------
    EncodeError
        The name is too long.
    """
    most = name_max(target.parent)
    length = len(os.fsencode(target.name)) + len(os.fsencode(suffix))
    if length > most:
        raise EncodeError(
            f"{parameter}: the name {_cut(target.name)} takes {counted(length, 'byte')} with the "
            f"{suffix!r} of the file beside it, but the file system allows {most:,}; choose a "
            "shorter name"
        )


def name_max(folder: Path) -> int:
    """Return the length in bytes that a name in a folder may have; the folder may be missing."""
    for existing in (folder, *folder.parents):
        try:
            return os.pathconf(existing, "PC_NAME_MAX")
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (AttributeError, OSError, ValueError):
            break
    return _NAME_MAX


def shortened(name: str, len_max: int) -> str:
    """Return a name, or the characters of it that fit into a number of bytes.

    Examples
    --------
    >>> shortened("run.cmeta", 255), shortened("Übung", 4)
    ('run.cmeta', 'Übu')
    """
    encoded = os.fsencode(name)
    return name if len(encoded) <= len_max else encoded[:len_max].decode("utf-8", "ignore")


def _cut(name: str) -> str:
    return repr(name if len(name) <= 40 else f"{name[:40]}...")
