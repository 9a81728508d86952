"""A finding: one thing that is wrong with a file, which reading raises and validating collects."""

from __future__ import annotations

from dataclasses import dataclass

from cmeta.errors import DecodeError


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes
    ----------
    offset : int
        Bytes from the start of the file.
    path : str
        The element, such as ``BATCH[3].metrics.entropy``.
    kind : str
        Name of the error's class, such as ``ChecksumError``.
    message : str
        What was found and what was expected.
    """

    offset: int
    path: str
    kind: str
    message: str

    @classmethod
    def of(cls, error: DecodeError) -> Finding:
        """Return the finding that an error stands for."""
        return cls(error.offset, error.path, type(error).__name__, error.message)

    def __str__(self) -> str:
        return f"offset {self.offset}, {self.path}: {self.kind}: {self.message}"
