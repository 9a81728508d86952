"""Writing to stdout and stderr: text, data, notes, errors and progress."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import click

from cmeta.aliases import Progress
from cmeta.safe_text import printable, printable_lines

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

STDIN_NAME = "<stdin>"
_COLOUR = re.compile(r"(\x1b\[[0-9;]*m)")  # as click writes it
_LABEL_MAX = 40  # characters before a progress bar
_PROGRESS_AFTER = 0.5  # seconds; shorter work needs no bar


def is_terminal(stream: IO[Any]) -> bool:
    """Return whether the stream is a terminal."""
    return stream.isatty()


def has_colour(stream: IO[Any]) -> bool:
    """Return whether colour may be written: on a capable terminal, unless ``NO_COLOR`` is set."""
    dumb = os.environ.get("TERM") == "dumb"
    return is_terminal(stream) and not dumb and not os.environ.get("NO_COLOR")


def terminal_width() -> int | None:
    """Return the width of the terminal on stdout in columns; None if stdout is a file or a pipe."""
    return shutil.get_terminal_size().columns if is_terminal(sys.stdout) else None


def display_width(text: str) -> int:
    """Return the number of terminal columns that a text occupies."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def file_name(path: str | os.PathLike[str]) -> str:
    """Return a path as printable text, even if its bytes are not UTF-8; ``-`` is stdin."""
    if os.fspath(path) == "-":
        return STDIN_NAME
    return printable(click.format_filename(path))


def print_text(text: str) -> None:
    """Write text for people to stdout; colour is removed unless the terminal takes it."""
    click.echo(_harmless(text), nl=False, color=has_colour(sys.stdout))


def print_lines(lines: Iterable[str]) -> None:
    """Write lines of text to stdout, in one call."""
    print_text("".join(f"{line}\n" for line in lines))


def print_data(text: str) -> None:
    r"""Write data to stdout as UTF-8 with ``\n``, on every platform."""
    sys.stdout.buffer.write(text.encode())


def print_note(message: str) -> None:
    """Write a note, which is not an error, to stderr."""
    sys.stdout.flush()  # keep the two streams in order
    click.echo(_harmless(f"Note: {message}"), err=True)


def print_error(message: str) -> None:
    """Write an error to stderr; the command goes on."""
    sys.stdout.flush()
    click.echo(_harmless(f"Error: {message}"), err=True)


def print_to_stderr(text: str) -> None:
    """Write text that is neither a note nor an error to stderr."""
    sys.stdout.flush()
    click.echo(_harmless(text), nl=False, err=True)


def _harmless(text: str) -> str:
    """Return a text without control characters but line breaks and colours.

    Whoever makes a text makes its parts printable; this is for what was forgotten.
    """
    lines = text.split("\n")
    if all(map(str.isprintable, lines)):
        return text
    parts = _COLOUR.split(text)  # texts and colours in turn
    parts[::2] = map(printable_lines, parts[::2])
    return "".join(parts)


@contextmanager
def progress(label: str) -> Iterator[Progress]:
    """Yield a callback that takes the work done and the work in all; shows a bar on a terminal."""
    bar = _Bar(label)
    try:
        yield bar.update if is_terminal(sys.stderr) else lambda done, size: None
    finally:
        bar.close()


class _Bar:
    """A progress bar that appears only if the work takes long, and is removed at the end."""

    def __init__(self, label: str) -> None:
        text = printable(label)
        self._label = text if len(text) <= _LABEL_MAX else f"{text[: _LABEL_MAX - 3]}..."
        self._start = time.monotonic()
        self._progress: RichProgress | None = None

    def update(self, done: int, size: int) -> None:
        if self._progress is None:
            if time.monotonic() - self._start < _PROGRESS_AFTER:
                return
            from rich.console import Console
            from rich.markup import escape
            from rich.progress import Progress as RichProgress

            self._progress = RichProgress(transient=True, console=Console(stderr=True))
            self._task = self._progress.add_task(escape(self._label), total=size)
            self._progress.start()
        self._progress.update(self._task, completed=done)

    def close(self) -> None:
        if self._progress is not None:
            self._progress.stop()
