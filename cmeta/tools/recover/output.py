"""The recovered file: written under a temporary name, verified, then given a name that was free."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from cmeta.errors import EncodeError, ExistsError, RecoveryError
from cmeta.format.encoder import Encoder
from cmeta.records.chunk import Chunk
from cmeta.schema.schema import Schema
from cmeta.storage.atomic import publish_new
from cmeta.storage.disk import File
from cmeta.validate import validate


class Output:
    """A file under a temporary name beside the target.

    Parameters
    ----------
    file : File
    stream : binary file
        Writes to `file`.
    schema : Schema
    """

    def __init__(self, file: File, stream: BinaryIO, schema: Schema) -> None:
        self._file, self._stream = file, stream
        self._encoder = Encoder(schema)
        self._stream.write(self._encoder.begin())

    @property
    def num_records(self) -> int:
        """Records written so far."""
        return self._encoder.num_records

    def add(self, chunk: Chunk) -> None:
        """Write records, which do not go back.

        Raises
        ------
        RecoveryError
        """
        try:
            self._stream.write(self._encoder.feed(chunk))
        except EncodeError as err:
            raise RecoveryError(f"cannot be written again: {err}") from err

    def finish(self) -> None:
        """Close the chronicle, and wait until it is on disk.

        Raises
        ------
        RecoveryError
        """
        try:
            self._stream.write(self._encoder.finish())
        except EncodeError as err:
            raise RecoveryError(f"cannot be written again: {err}") from err
        self._stream.seek(0)
        self._stream.write(self._encoder.header(self._encoder.num_records))
        self._stream.flush()
        self._file.sync()


def require_free(target: Path) -> None:
    """Refuse a name that is taken, or in a folder that is not there.

    Raises
    ------
    ExistsError, FileNotFoundError
    """
    if os.path.lexists(target):
        raise ExistsError(f"{target} exists; a recovery never writes over a file")
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no such folder", str(target.parent))


def verify(path: Path, num_records: int, progress: Callable[[int, int], None]) -> None:
    """Hold what was written against every rule of the format.

    Raises
    ------
    RecoveryError
    """
    report = validate(path, progress=progress)
    if not report.ok or report.num_records != num_records:
        raise RecoveryError(
            f"what was salvaged is not a valid chronicle; please report this: {report}"
        )


def publish(file: File, target: Path) -> None:
    """Give the recovered file its name, unless that has been taken meanwhile.

    Raises
    ------
    ExistsError
    OSError
        It cannot be made durable; then it does not have the name.
    """
    try:
        publish_new(file, target)
    except FileExistsError:
        require_free(target)
        raise
