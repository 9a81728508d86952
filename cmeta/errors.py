"""The one hierarchy of errors: who is to blame, what, where, and what was expected.

- `SchemaError`: a schema is not one.
- `EncodeError`: you gave something that cannot be recorded.
- `RecorderError`: a recorder cannot begin or go on.
- `RecoveryError`: what was salvaged cannot be written again.
- `QueryError`: a condition that selects records is not one.
- `MissingExtraError`: a library is not installed that only some functions need.
- `DecodeError`: the file is at fault. Carries `offset` (bytes from the start of the file) and
  `path` (of the element: ``BATCH[3].metrics.entropy``).

Nothing else leaves the library because of a file's bytes (SPEC, P4).
"""

from __future__ import annotations


class CmetaError(Exception):
    """Whatever cmeta raises."""


class SchemaError(CmetaError):
    """A schema breaks a rule.

    Attributes
    ----------
    source : str
        The file, or another name of where the schema came from.
    key : str
        Key path of the culprit, such as ``record.fields[3].type``.
    """

    def __init__(self, message: str, *, source: str = "schema", key: str = "") -> None:
        self.message, self.source, self.key = message, source, key
        super().__init__(message)

    def __str__(self) -> str:
        where = f"{self.source}: {self.key}" if self.key else self.source
        return f"{where}: {self.message}"


class EncodeError(CmetaError):
    """A value, a column or a configuration cannot be recorded."""


class OrderError(EncodeError):
    """A record would go back in (timestamp, phase)."""


class RecorderError(CmetaError):
    """A recorder cannot go on, or cannot begin; what it has acknowledged is safe."""


class ExistsError(RecorderError, FileExistsError):
    """There is a chronicle already, and nobody said whether to continue or to replace it."""


class LockedError(RecorderError):
    """Another writer has the file; names its host and process id."""


class RecoveryError(CmetaError):
    """What was salvaged of a damaged file cannot be written again."""


class QueryError(CmetaError):
    """A condition that selects records cannot be understood, or does not fit what it is asked of.

    Attributes
    ----------
    message : str
        What was found and what was expected.
    text : str
        The condition.
    column : int
        Where in it, counted in characters from 0.
    """

    def __init__(self, message: str, *, text: str, column: int) -> None:
        super().__init__(message)
        self.message, self.text, self.column = message, text, column

    def __str__(self) -> str:
        return f"{self.message}\n  {self.text}\n  {' ' * self.column}^"


class MissingExtraError(CmetaError, ImportError):
    """A library that only some functions need is not installed; names the extra that has it."""


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
    """

    def __init__(self, message: str, *, offset: int = 0, path: str = "") -> None:
        super().__init__(message)
        self.message, self.offset, self.path = message, offset, path

    def __str__(self) -> str:
        where = f"offset {self.offset}"
        return f"{where}, {self.path}: {self.message}" if self.path else f"{where}: {self.message}"

    def prefixed(self, base: int, path: str) -> DecodeError:
        """Place the error inside an element that begins at `base`, and return it."""
        self.offset += base
        glue = "." if path and self.path and not self.path.startswith("[") else ""
        self.path = f"{path}{glue}{self.path}"
        return self


class error_context:  # noqa: N801  (used as a verb, as contextlib.suppress is)
    """Places the decode errors of a part inside what it is a part of (`DecodeError.prefixed`).

    A class and not a generator: it stands around every column and every run header.
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
    """The bytes can be read, but are not the ones that a writer must choose."""


class CmetaWarning(UserWarning):
    """Whatever cmeta warns of."""


class PrecisionWarning(CmetaWarning):
    """A declared field lost more than 0.1% of a value, or all of it."""


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return a count with its noun; `plural` is the plural that is not formed with an s.

    Examples
    --------
    >>> counted(1, "value"), counted(2000, "value"), counted(2, "batch", "batches")
    ('1 value', '2,000 values', '2 batches')
    """
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"
