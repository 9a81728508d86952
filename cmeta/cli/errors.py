"""Exceptions as messages and exit codes."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path

import click

from cmeta.cli.console import file_name, print_error
from cmeta.errors import (
    BusyError,
    CmetaError,
    DecodeError,
    TruncatedError,
    UnsupportedVersionError,
    counted,
)
from cmeta.safe_text import printable_lines
from cmeta.storage.watch import BUSY
from cmeta.validate import Finding

_PROBLEMS_MAX = 10  # printed for one file


class Exit(IntEnum):
    """The exit codes."""

    SUCCESS = 0
    DIFFERS = 1  # also: not valid because it was never closed
    USAGE = 2  # also: input or output failed
    CORRUPT = 3
    RECOVERED = 4  # with loss
    INCONCLUSIVE = 5  # it differs, and so does the environment
    INTERRUPTED = 130  # as a shell reports a process ended by SIGINT
    BROKEN_PIPE = 141  # and one ended by SIGPIPE


class Failure(click.ClickException):
    """The end of a command, with a message for stderr and an exit code."""

    def __init__(self, message: str, code: Exit) -> None:
        super().__init__(message)
        self.code = code

    @property
    def exit_code(self) -> int:  # type: ignore[override]  # click reads it from the instance
        """The exit code."""
        return self.code


@contextmanager
def as_exit_codes() -> Iterator[None]:
    """Turn every exception that may leave a command into its message and exit code."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()  # here, where a broken pipe is still caught
    except BrokenPipeError:
        # The reader has gone. What is buffered must not fail again when Python exits.
        _discard_stdout()
        raise click.exceptions.Exit(Exit.BROKEN_PIPE) from None
    except KeyboardInterrupt:
        raise click.exceptions.Exit(Exit.INTERRUPTED) from None
    except OSError as err:
        if err.filename is None:  # stdout: a full disk
            _discard_stdout()
        raise _os_failure(err, err.filename) from err
    except click.ClickException as err:  # what click says of an argument repeats it
        err.message = printable_lines(err.message)  # type: ignore[misc]  # click has it Final
        raise
    except CmetaError as err:
        code = Exit.CORRUPT if isinstance(err, DecodeError) else Exit.USAGE
        raise Failure(message_of(err), code) from err


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Name the file in the message of any error while it is read.

    Only reading belongs in this context: a failure to write to stdout is not this file's.
    """
    try:
        yield
    except OSError as err:
        raise _os_failure(err, path) from err
    except DecodeError as err:
        raise Failure(f"{file_name(path)}: {describe(Finding.of(err))}", Exit.CORRUPT) from err
    except BusyError as err:
        raise Failure(f"{file_name(path)}: busy: {BUSY}", Exit.USAGE) from err
    except MemoryError as err:
        raise Failure(f"{file_name(path)}: not enough memory to read it", Exit.USAGE) from err


def message_of(error: CmetaError) -> str:
    """Return an error as text; a query's spans lines, one of which points at the position."""
    return str(error)


def describe(finding: Finding) -> str:
    """Return a finding as a sentence: its position, what was found, and what that means."""
    text = str(finding)
    if finding.path == "header.signature":
        is_cut = finding.kind == TruncatedError.__name__
        hint = (
            "this is not a .cmeta file, or it was cut off" if is_cut else "or it is damaged there"
        )
        return f"{text} ({hint})"
    if finding.kind == UnsupportedVersionError.__name__:
        return f"{text} (a newer cmeta may read it)"
    return text


def lost_records(num_records: int, first_timestamp: int | None, last_timestamp: int | None) -> str:
    """Return which records of a damaged batch are left out."""
    return (
        f"its {counted(num_records, 'record')}, timestamps {first_timestamp} to {last_timestamp}, "
        f"{'is' if num_records == 1 else 'are'} left out"
    )


def print_problems(path: Path, problems: Sequence[str]) -> Exit:
    """Print what could not be read of a file, and return the exit code for it."""
    for problem in problems[:_PROBLEMS_MAX]:
        print_error(f"{file_name(path)}: {problem}")
    if len(problems) > _PROBLEMS_MAX:
        print_error(f"{file_name(path)}: and {len(problems) - _PROBLEMS_MAX} more")
    return Exit.CORRUPT if problems else Exit.SUCCESS


def _os_failure(error: OSError, path: object) -> Failure:
    reason = error.strerror or str(error)
    if error.errno == errno.EISDIR and reason == os.strerror(errno.EISDIR):
        reason = "this is a folder, expected a .cmeta file"
    prefix = f"{file_name(os.fspath(path))}: " if isinstance(path, str | os.PathLike) else ""
    return Failure(f"{prefix}{reason}", Exit.USAGE)


def _discard_stdout() -> None:
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):
        return  # not a file: nothing is flushed at exit
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, descriptor)
    os.close(null)
