"""`Chronicle`: the functions of the original requirement, under its names.

They are thin layers over `Recorder` and `Reader`, which new code should use directly.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from cmeta.errors import EncodeError
from cmeta.reader.reader import Reader
from cmeta.recorder.options import DEFAULT_MAX_RECORDS
from cmeta.recorder.recorder import Recorder
from cmeta.records.record import CycleRecord
from cmeta.schema.schema import Schema


class Chronicle:
    """A chronicle: the newest records in memory, all of them in a file.

    Parameters
    ----------
    records : iterable of CycleRecord
        The first records; they are recorded before the next one, or when the chronicle is saved.
    max_records : int
        How many of the newest records to keep in memory; the file keeps all.
    file_path : path
        An existing file is continued.
    schema : Schema, optional
        Default: that of an existing file, or else `cmeta.default_schema()`.

    Examples
    --------
    >>> import tempfile
    >>> chronicle = Chronicle(max_records=2, file_path=tempfile.mktemp(suffix=".cmeta"))
    >>> for loss in (0.5, 0.25, 0.125):
    ...     record_cycle(CycleRecord(phase="train", loss_value=loss), chronicle)
    >>> [record.loss_value for record in chronicle.records], len(chronicle)
    ([0.25, 0.125], 3)
    >>> save_chronicle(chronicle)
    >>> len(query_range(load_chronicle(chronicle.file_path), 0, 1))
    2
    """

    def __init__(
        self, records: Iterable[CycleRecord] = (), max_records: int = DEFAULT_MAX_RECORDS,
        file_path: str | os.PathLike[str] | None = None, *, schema: Schema | None = None,
    ) -> None:  # fmt: skip
        if file_path is None:
            raise EncodeError("file_path: missing; a chronicle needs a file")
        self.max_records, self.file_path = max_records, Path(file_path)
        self._schema = schema
        self._begin = list(records)
        self._recorder: Recorder | None = None

    @property
    def records(self) -> list[CycleRecord]:
        """The newest `max_records` records, as they are stored."""
        if self._begin:
            self.recorder()
        if self._recorder is not None:
            return self._recorder.records
        if not self.file_path.exists():
            return []
        with Reader(self.file_path) as run:
            return run.newest(self.max_records)

    def recorder(self) -> Recorder:
        """Return the recorder of the file, which is opened on the first call."""
        if self._recorder is None:
            self._recorder = Recorder(
                self.file_path, self._schema, mode="resume", max_records=self.max_records
            )
            begin, self._begin = self._begin, []
            for record in begin:
                self._recorder.record_cycle(record)
        return self._recorder

    def close(self) -> None:
        """Close the file; recording another record opens it again."""
        if self._begin:
            self.recorder()
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            recorder.close()

    def __len__(self) -> int:
        """Return the number of records in the file."""
        if self._begin or self._recorder is not None:
            return len(self.recorder())
        if not self.file_path.exists():
            return 0
        with Reader(self.file_path) as run:
            return len(run)

    def __bool__(self) -> bool:
        """Return True: a chronicle without records is one, too."""
        return True

    def __enter__(self) -> Chronicle:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()


def record_cycle(record: CycleRecord, chronicle: Chronicle) -> None:
    """Append a record to a chronicle, in memory and in the file; see `Recorder.record_cycle`."""
    chronicle.recorder().record_cycle(record)


def save_chronicle(chronicle: Chronicle) -> None:
    """Write the chronicle to disk as a closed file; see `Recorder.close`."""
    chronicle.recorder()
    chronicle.close()


def load_chronicle(
    path: str | os.PathLike[str], max_records: int = DEFAULT_MAX_RECORDS
) -> Chronicle:
    """Return the chronicle of a file.

    Raises
    ------
    DecodeError
        The file is damaged.
    OSError
        The file cannot be read.
    """
    with Reader(path) as run:
        if run.problem is not None:
            raise run.problem
    return Chronicle(max_records=max_records, file_path=path)


def query_range(chronicle: Chronicle, start: int | None, end: int | None) -> list[CycleRecord]:
    """Return all records of a chronicle with ``start <= timestamp <= end``, from the file."""
    if chronicle._begin or chronicle._recorder is not None:
        chronicle.recorder().flush()
    with Reader(chronicle.file_path) as run:
        return run.query_range(start, end)


def compress_records(chronicle: Chronicle) -> int:
    """Compress all full batches now, and wait for it.

    This happens in the background anyway. Records that do not fill a batch yet stay in the journal
    until the file is closed.

    Returns
    -------
    int
        Number of records in compressed batches.
    """
    return chronicle.recorder().seal()
