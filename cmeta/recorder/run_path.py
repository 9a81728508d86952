"""The path of a run's file: what a user gives, with its placeholders filled in.

- ``{rank}`` is the rank of the process: every process records into a file of its own.
- ``{time}`` is the local time, such as ``20261129-142501``; ``{name}`` is the name of the script.
- A folder means ``{name}-{time}.cmeta`` in it.

A path with a time in it means a new file every time. So it is a path for a new run only, and a
number is put after the time if another run has begun in the same second.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmeta.errors import EncodeError
from cmeta.schema.load import shipped_format
from cmeta.source import linked
from cmeta.storage.find import SUFFIX
from cmeta.storage.links import resolved_to_write
from cmeta.storage.lock import SUFFIX as LOCK
from cmeta.storage.new_path import given_path, require_name

NAME, RANK, TIME = "{name}", "{rank}", "{time}"
_PLACEHOLDERS = (NAME, RANK, TIME)
_PLACEHOLDER = re.compile(r"\{\w*(?:[:!][^{}]*)?\}")  # what `str.format` would fill in, too
_OF_A_FILE = ("resume", "verify")  # modes for a file that exists
_FORMAT_OF_TIME = "%Y%m%d-%H%M%S"
_INTERACTIVE = "run"  # the name of a script where there is none
_SAME_SECOND_MAX = 1000


@dataclass(frozen=True)
class RunPath:
    """The path of a run's file.

    Attributes
    ----------
    text : str
        As it was given, with its placeholders.
    has_rank : bool
        Whether every rank has a file of its own.
    is_new : bool
        Whether it means a new file every time.
    """

    text: str
    has_rank: bool
    is_new: bool

    @classmethod
    def of(cls, path: Any, mode: str) -> RunPath:
        """Return the path that a user has given.

        Raises
        ------
        EncodeError
            It is not a path, has an unknown placeholder, or means a new file where the mode needs
            one that exists.
        """
        given = given_path(path)
        for found in _PLACEHOLDER.findall(given):
            if found not in _PLACEHOLDERS:
                expected = ", ".join(_PLACEHOLDERS)
                raise EncodeError(f"path: no placeholder {found}; there are: {expected}")
        text = given
        if given.endswith(("/", os.sep)) or os.path.isdir(given):
            if mode in _OF_A_FILE:
                raise EncodeError(
                    f'path: {given!r} is a folder; mode="{mode}" requires the path of a file'
                )
            text = os.path.join(text, f"{NAME}-{TIME}{SUFFIX}")
        elif mode in _OF_A_FILE and TIME in text:
            raise EncodeError(
                f'path: {TIME} means a new file every time; mode="{mode}" requires the path of a '
                "file"
            )
        return cls(text, RANK in text, TIME in text)

    def files(self, rank: int, *, to_write: bool = False) -> Iterator[Path]:
        """Yield the path of a rank's file; where it means a new file, others if that one exists.

        Raises
        ------
        EncodeError
            The file system cannot keep a file of this name and its journal.
        RecorderError
            With `to_write`: it is a link of another user.
        """
        text = self.text.replace(RANK, str(rank)).replace(NAME, _script_name())
        now = time.strftime(_FORMAT_OF_TIME)
        for number in range(1, _SAME_SECOND_MAX if self.is_new else 2):
            name = text.replace(TIME, now if number == 1 else f"{now}-{number}")
            name = os.path.abspath(name)
            path = resolved_to_write(Path(name)) if to_write else Path(linked(name))
            journal = shipped_format().journal.suffix
            require_name(path, journal)
            _require_own_name(path, {journal: "journal", LOCK: "lock"})
            yield path


def _require_own_name(path: Path, beside: Mapping[str, str]) -> None:
    """Refuse the name of a file that belongs to another chronicle."""
    for suffix, what in beside.items():
        if path.name.endswith(suffix):
            owner = path.name.removesuffix(suffix)
            raise EncodeError(
                f"path: {path.name!r} is the name of the {what} of {owner!r}; choose another name"
            )


def shown(path: Path) -> Path:
    """Return a path as seen from the working folder, if it is below that: for messages."""
    try:
        here = Path.cwd()
    except FileNotFoundError:  # it was removed
        return path
    return path.relative_to(here) if path.is_relative_to(here) else path


def _script_name() -> str:
    """Return the name of the script that runs, without its ending."""
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    if not file:
        return _INTERACTIVE
    path = Path(file)
    return path.parent.name if path.stem == "__main__" else path.stem
