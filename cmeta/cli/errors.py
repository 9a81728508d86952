"""Exceptions as messages and exit codes: the one place that knows both."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path

import click

from cmeta.cli.console import file_name, printable
from cmeta.errors import CmetaError, DecodeError, QueryError, UnsupportedVersionError
from cmeta.validate import Finding


class Exit(IntEnum):
    """What a command's exit code says."""

    FINE = 0
    DIFFERS = 1  # also: not valid because it has not been closed
    USAGE = 2  # also: input or output failed
    CORRUPT = 3
    RECOVERED = 4  # with loss
    INCONCLUSIVE = 5  # it differs, and so does the environment
    INTERRUPTED = 130  # as a shell reports a process that SIGINT ended
    BROKEN_PIPE = 141  # and one that SIGPIPE ended


class Failure(click.ClickException):
    """The end of a command: a message for stderr, and an exit code."""

    def __init__(self, message: str, code: Exit) -> None:
        super().__init__(message)
        self.code = code

    @property
    def exit_code(self) -> int:  # type: ignore[override]  # click reads it from the instance
        """The exit code."""
        return self.code


@contextmanager
def translated() -> Iterator[None]:
    """Turn whatever may leave a command into its message and exit code."""
    try:
        yield
        sys.stdout.flush()  # here, where a broken pipe is still caught
    except BrokenPipeError:
        # The reader has had enough. What is buffered must not fail again when Python exits.
        _discard_stdout()
        raise click.exceptions.Exit(Exit.BROKEN_PIPE) from None
    except KeyboardInterrupt:
        raise click.exceptions.Exit(Exit.INTERRUPTED) from None
    except OSError as err:
        if err.filename is None:  # stdout: a full disk
            _discard_stdout()
        raise _of_os_error(err, err.filename) from err
    except CmetaError as err:
        code = Exit.CORRUPT if isinstance(err, DecodeError) else Exit.USAGE
        raise Failure(message_of(err), code) from err


def message_of(error: CmetaError) -> str:
    """Return an error as text; that of a condition has lines, one of which points at the place."""
    if isinstance(error, QueryError):
        return "\n".join(map(printable, str(error).splitlines()))
    return printable(str(error))


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Name the file in the message of whatever goes wrong while it is read.

    Only reading belongs in here: a failure to write to stdout is not this file's.
    """
    try:
        yield
    except OSError as err:
        raise _of_os_error(err, path) from err
    except DecodeError as err:
        raise Failure(f"{file_name(path)}: {describe(Finding.of(err))}", Exit.CORRUPT) from err


def describe(finding: Finding) -> str:
    """Return what is wrong as a sentence: where, what was found, and what it means."""
    text = printable(str(finding))
    if finding.path == "header.signature":
        return f"{text} (this is not a .cmeta file, or its first bytes are damaged)"
    if finding.kind == UnsupportedVersionError.__name__:
        return f"{text} (a newer cmeta may read it)"
    return text


def _of_os_error(error: OSError, path: object) -> Failure:
    reason = error.strerror or str(error)
    if error.errno == errno.EISDIR:
        reason = "this is a folder, expected a .cmeta file"
    where = f"{file_name(os.fspath(path))}: " if isinstance(path, str | os.PathLike) else ""
    return Failure(f"{where}{reason}", Exit.USAGE)


def _discard_stdout() -> None:
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):
        return  # not a file: nothing is flushed at exit
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, descriptor)
    os.close(null)
