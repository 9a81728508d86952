"""The hierarchy of errors: each names its cause, the place, and what was found and expected.

- `SchemaError`: a schema is not legal.
- `EncodeError`: a value cannot be recorded.
- `RecorderError`: a recorder cannot begin or continue.
- `RecoveryError`: recovered records cannot be written.
- `BusyError`: a file is being changed by its writer.
- `QueryError`: a condition cannot be understood.
- `MissingExtraError`: an optional library is not installed.
- `DecodeError`: a file is invalid. Has `offset` (bytes from the start of the file) and `path`
  (of the element: ``BATCH[3].metrics.entropy``).

No other exception is raised because of a file's bytes (SPEC, P4). As text, an error or a warning
has no control characters, whatever the names in it are; its attributes are exact.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

from cmeta.safe_text import printable


class CmetaError(Exception):
    """Base of all errors of cmeta."""

    def __str__(self) -> str:
        return printable(super().__str__())


class SchemaError(CmetaError):
    """A schema breaks a rule.

    Attributes
    ----------
    source : str
        The file, or another name of the schema's origin.
    key : str
        Key path of the wrong value, such as ``record.fields[3].type``.
    """

    def __init__(self, message: str, *, source: str = "schema", key: str = "") -> None:
        self.message, self.source, self.key = message, source, key
        super().__init__(message)

    def __str__(self) -> str:
        where = f"{self.source}: {self.key}" if self.key else self.source
        return printable(f"{where}: {self.message}")


class EncodeError(CmetaError):
    """A value, a column or a configuration cannot be recorded."""


class OrderError(EncodeError):
    """A record would go back in (timestamp, phase)."""


class RecorderError(CmetaError):
    """A recorder cannot begin or continue; every acknowledged record is safe."""


class ExistsError(RecorderError, FileExistsError):
    """The file exists, and the mode is neither to resume nor to overwrite it."""


class LockedError(RecorderError):
    """Another process is writing the file; names its host and process id."""


class BusyError(CmetaError):
    """A file was changed by its writer while it was read; it is not damaged. Read it again."""


class DivergedError(RecorderError):
    """A run that is verified differs from its record.

    Attributes
    ----------
    report : ReplayReport
        The differences up to here.
    """

    def __init__(self, message: str, report: Any = None) -> None:
        super().__init__(message)
        self.report = report


class RecoveryError(CmetaError):
    """The records recovered from a damaged file cannot be written."""


class QueryError(CmetaError):
    """A condition cannot be understood, or does not fit the file or the runs.

    Attributes
    ----------
    message : str
        What was found and what was expected.
    text : str
        The condition.
    column : int
        The place of the problem in it, in characters from 0.
    """

    def __init__(self, message: str, *, text: str, column: int) -> None:
        super().__init__(message)
        self.message, self.text, self.column = message, text, column

    def __str__(self) -> str:
        shown = len(printable(self.text[: self.column]))
        return f"{printable(self.message)}\n  {printable(self.text)}\n  {' ' * shown}^"


class MissingExtraError(CmetaError, ImportError):
    """An optional library is not installed; names the extra that installs it."""


class DecodeError(CmetaError):
    """A file cannot be read.

    Attributes
    ----------
    message : str
        What was found and what was expected.
    offset : int
        Offset in bytes from the start of the file.
    path : str
        Path of the element, outermost first.
    file : str
        The file, where `open` has refused it; else "".
    """

    file = ""

    def __init__(self, message: str, *, offset: int = 0, path: str = "") -> None:
        super().__init__(message)
        self.message, self.offset, self.path = message, offset, path

    def __str__(self) -> str:
        where = f"{self.file}: offset {self.offset}" if self.file else f"offset {self.offset}"
        path = f", {self.path}" if self.path else ""
        return printable(f"{where}{path}: {self.message}")

    def prefixed(self, base: int, path: str) -> DecodeError:
        """Return the error, its offset and path prefixed with those of an enclosing element."""
        self.offset += base
        glue = "." if path and self.path and not self.path.startswith("[") else ""
        self.path = f"{path}{glue}{self.path}"
        return self


class error_context:  # noqa: N801  (used as a verb, as contextlib.suppress is)
    """Prefixes decode errors with the offset and path of the enclosing element.

    A class, because a generator would be slower: it surrounds every column and run header.
    """

    __slots__ = ("_base", "_path")

    def __init__(self, base: int, path: str = "") -> None:
        self._base, self._path = base, path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, DecodeError):
            error.prefixed(self._base, self._path)


class TruncatedError(DecodeError):
    """Bytes are missing."""


class UnsupportedVersionError(DecodeError):
    """The file needs a newer reader."""


class LimitError(DecodeError):
    """A limit of the format, or the caller's `max_bytes`, would be exceeded."""


class CorruptError(DecodeError):
    """The bytes contradict the format."""


class ChecksumError(CorruptError):
    """A stored checksum does not match the bytes."""


class CanonicalError(CorruptError):
    """The bytes are readable, but not those that a writer must choose."""


class CmetaWarning(UserWarning):
    """Base of all warnings of cmeta."""

    def __str__(self) -> str:
        return printable(super().__str__())


class PrecisionWarning(CmetaWarning):
    """A declared field stores values as 0 or as inf, or most of them with an error above 0.1%."""


def warn(message: str, category: type[CmetaWarning] = CmetaWarning) -> None:
    """Issue a warning that points at the first line outside this package."""
    depth, frame = 1, sys._getframe(0)
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("cmeta."):
        depth, frame = depth + 1, frame.f_back
    warnings.warn(message, category, stacklevel=depth)


def held_file(value: object) -> TypeError:
    """Return the error of pickling or copying something that holds an open file."""
    name = type(value).__name__
    return TypeError(
        f"a {name} cannot be pickled or copied, because it holds an open file; pass the path "
        "instead, and open it there"
    )


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return a count with its noun; `plural` is the plural that is not formed with an s.

    Examples
    --------
    >>> counted(1, "value"), counted(2000, "value"), counted(2, "batch", "batches")
    ('1 value', '2,000 values', '2 batches')
    """
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"
