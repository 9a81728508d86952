"""The user's own functions and classes, named on the command line."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from cmeta.cli.console import print_to_stderr
from cmeta.cli.errors import Exit
from cmeta.errors import CmetaError

_SUGGESTIONS_MAX = 8


def load_callable(text: str) -> Any:
    """Return a callable given as ``module:name`` or ``path/to/file.py:name``.

    The current folder is searched first, and for a file its own folder, as `python` does.

    Raises
    ------
    click.BadParameter
        There is none of that name.
    click.exceptions.Exit
        The module raises an exception.
    """
    source, _, name = text.rpartition(":")
    if not source or not name:
        raise click.BadParameter(f"{text!r}: expected MODULE:NAME or FILE.py:NAME.")
    with user_code():
        module = _load_file(Path(source)) if source.endswith(".py") else _load_module(source)
    target: Any = module
    for part in name.split("."):
        if not hasattr(target, part):
            raise click.BadParameter(f"{source} has no {name!r}{_suggestions(module)}.")
        target = getattr(target, part)
    if not callable(target):
        kind = type(target).__name__
        raise click.BadParameter(f"{text} is a {kind}, expected a function or a class.")
    return target


@contextmanager
def arguments_of(text: str, args: Sequence[str] = ()) -> Iterator[None]:
    """Let the user's code see its own arguments in `sys.argv`, not those of cmeta."""
    before = sys.argv
    sys.argv = [text.rpartition(":")[0], *args]
    try:
        yield
    finally:
        sys.argv = before


@contextmanager
def user_code() -> Iterator[None]:
    """Print the traceback of an exception in the user's code, and exit as for bad input."""
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, CmetaError):
        raise
    except Exception as err:
        print_to_stderr(traceback.format_exc())
        raise click.exceptions.Exit(Exit.USAGE) from err


def _load_module(name: str) -> ModuleType:
    _search(os.getcwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as err:
        if err.name is None or not f"{name}.".startswith(f"{err.name}."):
            raise  # the module exists, but imports a missing one
        folder = os.getcwd()
        raise click.BadParameter(
            f"no module named {err.name!r}, from the folder {folder}."
        ) from err


def _load_file(path: Path) -> ModuleType:
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


def _suggestions(module: ModuleType) -> str:
    """Return the names of some callables that the module defines itself."""
    names = [
        name for name, value in vars(module).items()
        if callable(value) and getattr(value, "__module__", "") == module.__name__
        and not name.startswith("_")
    ]  # fmt: skip
    return f"; it defines {', '.join(sorted(names)[:_SUGGESTIONS_MAX])}" if names else ""
