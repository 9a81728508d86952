"""The recovered file: written under a temporary name, verified, then given a name that was free."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from cmeta.errors import EncodeError, ExistsError, RecoveryError
from cmeta.format.encoder import Encoder
from cmeta.records.chunk import Chunk
from cmeta.schema.schema import Schema
from cmeta.storage.atomic import sync_folder
from cmeta.validate import validate


class Output:
    """A file under a temporary name beside the target.

    Parameters
    ----------
    file : binary file
    schema : Schema
    """

    def __init__(self, file: BinaryIO, schema: Schema) -> None:
        self._file = file
        self._encoder = Encoder(schema)
        self._file.write(self._encoder.begin())

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
            self._file.write(self._encoder.feed(chunk))
        except EncodeError as err:
            raise RecoveryError(f"cannot be written again: {err}") from err

    def finish(self) -> None:
        """Close the chronicle, and wait until it is on disk.

        Raises
        ------
        RecoveryError
        """
        try:
            self._file.write(self._encoder.finish())
        except EncodeError as err:
            raise RecoveryError(f"cannot be written again: {err}") from err
        self._file.seek(0)
        self._file.write(self._encoder.header(self._encoder.num_records))
        self._file.flush()
        os.fsync(self._file.fileno())


@contextmanager
def temporary(target: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """Give a new file beside the target, gone at the end whatever happens."""
    path = target.with_name(f".{target.name}.{os.urandom(6).hex()}.tmp")
    try:
        with path.open("xb") as file:
            yield path, file
    finally:
        path.unlink(missing_ok=True)


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


def publish(path: Path, target: Path) -> None:
    """Give a file its name, unless that has been taken meanwhile.

    Raises
    ------
    ExistsError
    OSError
        It cannot be made durable; then it does not have the name.
    """
    try:
        os.link(path, target)  # unlike a rename, it never replaces
    except FileExistsError:
        require_free(target)
        raise
    except OSError:  # a file system without links
        require_free(target)
        os.rename(path, target)
    try:
        sync_folder(target.parent)
    except OSError:
        target.unlink()
        raise
