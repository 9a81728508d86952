"""What stdout and stderr are, and how to write to them: colour, progress, notes."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.progress import Progress

STDIN_NAME = "<stdin>"
_UNLIMITED = 1 << 20  # columns
_LABEL_MAX = 40  # characters before a bar
_PROGRESS_AFTER = 0.5  # seconds: what is done sooner needs no bar


def is_terminal(stream: IO[Any]) -> bool:
    """Return whether a person looks at the stream."""
    return stream.isatty()


def has_colour(stream: IO[Any]) -> bool:
    """Return whether colour may be written: a terminal that takes it, and nobody objects."""
    dumb = os.environ.get("TERM") == "dumb"
    return is_terminal(stream) and not dumb and not os.environ.get("NO_COLOR")


def terminal_width() -> int | None:
    """Return the columns of the terminal behind stdout; None if it is a file or a pipe."""
    return shutil.get_terminal_size().columns if is_terminal(sys.stdout) else None


def printable(text: str) -> str:
    r"""Replace what a terminal would obey instead of show.

    Examples
    --------
    >>> printable("loss\x1b[2J\n")
    'loss\\x1b[2J\\n'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def len_shown(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from rich.text import Text

    return Text(text).cell_len


def file_name(path: str | os.PathLike[str]) -> str:
    """Return a path as text that can be shown, also if its bytes are not UTF-8; ``-`` is stdin."""
    if os.fspath(path) == "-":
        return STDIN_NAME
    return printable(click.format_filename(path))


def emit(text: str) -> None:
    """Write text to stdout, as the terminal has it."""
    click.echo(text, nl=False, color=has_colour(sys.stdout))


def emit_data(text: str) -> None:
    r"""Write data to stdout: UTF-8 and ``\n``, whatever the platform."""
    sys.stdout.buffer.write(text.encode())


def note(message: str) -> None:
    """Say something on stderr that is not an error."""
    sys.stdout.flush()  # in the order in which it happened
    click.echo(f"Note: {message}", err=True)


def complain(message: str) -> None:
    """Say on stderr what is wrong, and go on."""
    sys.stdout.flush()
    click.echo(f"Error: {message}", err=True)


def emit_rich(*renderables: RenderableType) -> None:
    """Write what rich renders to stdout; lines are folded for a terminal only."""
    from rich.console import Console

    console = Console(
        file=sys.stdout,
        force_terminal=is_terminal(sys.stdout),
        no_color=not has_colour(sys.stdout),
        width=terminal_width() or _UNLIMITED,
        markup=False,
        highlight=False,
        emoji=False,
    )
    with console.capture() as captured:
        for renderable in renderables:
            console.print(renderable, soft_wrap=isinstance(renderable, str))
    emit("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


@contextmanager
def progress(label: str) -> Iterator[Callable[[int, int], None]]:
    """Give a function to be called with bytes done and bytes in all; a bar shows on a terminal."""
    bar = _Bar(label)
    try:
        yield bar.update if is_terminal(sys.stderr) else lambda done, size: None
    finally:
        bar.close()


class _Bar:
    """A bar that appears when the work takes long, and leaves nothing behind."""

    def __init__(self, label: str) -> None:
        shown = printable(label)
        self._label = shown if len(shown) <= _LABEL_MAX else f"{shown[: _LABEL_MAX - 3]}..."
        self._begin = time.monotonic()
        self._progress: Progress | None = None

    def update(self, done: int, size: int) -> None:
        if self._progress is None:
            if time.monotonic() - self._begin < _PROGRESS_AFTER:
                return
            from rich.console import Console
            from rich.markup import escape
            from rich.progress import Progress

            self._progress = Progress(transient=True, console=Console(stderr=True))
            self._task = self._progress.add_task(escape(self._label), total=size)
            self._progress.start()
        self._progress.update(self._task, completed=done)

    def close(self) -> None:
        if self._progress is not None:
            self._progress.stop()
