"""Loading what a user names on the command line: a function or a class of their own."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from cmeta.cli.errors import Exit
from cmeta.errors import CmetaError


def load_callable(text: str) -> Any:
    """Return a callable, given as ``module:name`` or ``path/to/file.py:name``.

    The current folder is searched first, and for a file its own folder, as `python` does.

    Raises
    ------
    click.BadParameter
        There is none of that name.
    click.exceptions.Exit
        The module raises something.
    """
    place, _, name = text.rpartition(":")
    if not place or not name:
        raise click.BadParameter(f"{text!r}: expected MODULE:NAME or FILE.py:NAME.")
    with foreign_code():
        module = _from_file(Path(place)) if place.endswith(".py") else _by_name(place)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise click.BadParameter(f"{place} has no {name!r}{_those_of(module)}.")
        found = getattr(found, part)
    if not callable(found):
        kind = type(found).__name__
        raise click.BadParameter(f"{text} is a {kind}, expected a function or a class.")
    return found


@contextmanager
def foreign_code() -> Iterator[None]:
    """Show where the user's own code went wrong, and end with the exit code of bad input."""
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, CmetaError):
        raise
    except Exception as err:
        traceback.print_exc()
        raise click.exceptions.Exit(Exit.USAGE) from err


def _by_name(name: str) -> ModuleType:
    _search(os.getcwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as err:
        if err.name is None or not f"{name}.".startswith(f"{err.name}."):
            raise  # it is there, but needs another one
        where = os.getcwd()
        raise click.BadParameter(f"no module named {err.name!r}, from the folder {where}.") from err


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise click.BadParameter(f"{path}: no such file.")
    _search(os.path.abspath(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise click.BadParameter(f"{path}: not a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def _search(folder: str) -> None:
    if folder not in sys.path:
        sys.path.insert(0, folder)


def _those_of(module: ModuleType) -> str:
    """Name a few callables that the module defines itself."""
    own = [
        name for name, value in vars(module).items()
        if callable(value) and getattr(value, "__module__", "") == module.__name__
        and not name.startswith("_")
    ]  # fmt: skip
    return f"; it defines {', '.join(sorted(own)[:8])}" if own else ""
