"""`Reader`: an open chronicle. Opening reads header, trailer, INDEX and SCHEMA; everything else is
read, checked and decoded when it is asked for, and only what is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

from cmeta.errors import DecodeError
from cmeta.format.block import Header
from cmeta.format.index import State
from cmeta.reader.arrow import arrow_batches, to_arrow, to_pandas, to_polars
from cmeta.reader.query import query
from cmeta.reader.read_columns import DEFAULT_MAX_BYTES, bound_records, read_columns
from cmeta.reader.records import records_of
from cmeta.reader.selection import Selection
from cmeta.records.columns import Columns
from cmeta.records.record import CycleRecord
from cmeta.schema.schema import Schema
from cmeta.schema.types import Field
from cmeta.storage.open import AnyBatch, BatchInfo, Stats, open_file

Asked = tuple[Selection, list[Field] | None, tuple[Mapping[str, Any], ...]]


class Reader:
    """An open chronicle; a context manager.

    Parameters
    ----------
    source : path or bytes
        A file, or its bytes.
    partial : bool
        Of a damaged file, give what is intact instead of raising. See `read`.

    Attributes
    ----------
    header : Header
    schema : Schema
    state : str
        "closed"; "open": still being written, or its writer died; what its journal holds is read
        too, as of the moment of opening; "damaged".
    problem : DecodeError or None
        Why the file is damaged, or what stands behind the intact part of an open one.

    Raises
    ------
    DecodeError
        Header or SCHEMA cannot be read.
    OSError
        The file cannot be opened.

    Examples
    --------
    >>> import tempfile, cmeta
    >>> path = tempfile.mktemp(suffix=".cmeta")
    >>> cmeta.write(path, {"phase": ["train", "validate"], "loss_value": [0.5, None]})
    2
    >>> with cmeta.open(path) as run:
    ...     run.state, len(run), run.read(["loss_value"])["loss_value"].tolist()
    ('closed', 2, [0.5, nan])
    """

    def __init__(
        self, source: str | os.PathLike[str] | bytes | bytearray | memoryview, *,
        partial: bool = False,
    ) -> None:  # fmt: skip
        self._partial = partial
        self._file = open_file(source)

    # ------------------------------------------------------------------------------ what it is

    @property
    def name(self) -> str:
        """Path of the file."""
        return self._file.source.name

    @property
    def len_file(self) -> int:
        """Length of the file in bytes."""
        return self._file.source.size

    @property
    def len_read(self) -> int:
        """Bytes read so far."""
        return self._file.source.len_read

    @property
    def stats(self) -> Stats:
        """Batches read and columns decoded so far."""
        return self._file.stats

    @property
    def header(self) -> Header:
        """The header."""
        return self._file.map.header

    @property
    def schema(self) -> Schema:
        """The embedded schema."""
        return self._file.schema

    @property
    def state(self) -> State:
        """Whether the file is closed, open or damaged."""
        return self._file.state

    @property
    def has_journal(self) -> bool:
        """Whether the file is open, and its journal gives the records since the last batch."""
        return self._file.has_journal

    @property
    def problem(self) -> DecodeError | None:
        """Why the file is damaged."""
        return self._file.problem

    @property
    def batches(self) -> tuple[BatchInfo, ...]:
        """The batches, from the INDEX."""
        return self._file.batches

    def __len__(self) -> int:
        """Return the number of records that can be read."""
        return self._file.num_records

    @property
    def configs(self) -> tuple[Mapping[str, Any], ...]:
        """The configurations, by number, as the JSON that the file holds."""
        return self._file.configs

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the undeclared metrics, by number."""
        return self._file.names

    @property
    def fields(self) -> tuple[Field, ...]:
        """All fields: the declared ones, then the undeclared metrics."""
        return self._file.fields

    # -------------------------------------------------------------------------------- reading

    def read(
        self,
        fields: Sequence[str] | None = None,
        start: int | None = None,
        end: int | None = None,
        phase: str | Sequence[str] | None = None,
        *,
        codes: bool = False,
        threads: int = 1,
        max_bytes: int = DEFAULT_MAX_BYTES,
    ) -> Columns:
        """Return records as arrays.

        Parameters
        ----------
        fields : sequence of str, optional
            Dotted names. Default: every field that occurs in the range.
        start, end : int, optional
            First and last timestamp, both included.
        phase : str or sequence of str, optional
            Only records of these phases.
        codes : bool
            Enumerations as codes (uint8) instead of names.
        threads : int
            How many threads decode batches.
        max_bytes : int
            Refuse an answer beyond this; its size is computed before it is made.

        Returns
        -------
        Columns
            Arrays of ``(n_records,)`` or ``(n_records, k)`` by dotted name, and `present`.

        Raises
        ------
        DecodeError
            Something in the range is corrupt. A damaged file answers a range that its intact part
            answers completely, and raises its `problem` for any other, unless ``partial=True``.
        LimitError
            The answer would take more than `max_bytes`.
        KeyError
            A field that the file does not have.
        """
        selection, wanted, configs = self._question(fields, start, end, phase)
        return read_columns(
            self._file, selection, wanted, codes=codes, threads=threads, max_bytes=max_bytes,
            configs=configs,
        )  # fmt: skip

    query = query
    to_arrow = to_arrow
    to_pandas = to_pandas
    to_polars = to_polars
    arrow_batches = arrow_batches

    def query_range(
        self,
        start: int | None,
        end: int | None,
        phase: str | Sequence[str] | None = None,
        *,
        max_bytes: int = DEFAULT_MAX_BYTES,
    ) -> list[CycleRecord]:
        """Return the records with ``start <= timestamp <= end``.

        Parameters
        ----------
        start, end : int or None
            First and last timestamp, both included; None: without bound.
        phase : str or sequence of str, optional
            Only records of these phases.
        max_bytes : int
            Refuse an answer that may take more; it is estimated before it is made.

        Raises
        ------
        DecodeError, LimitError
            As `read`.
        """
        _ = self.names
        selection = self._select(start, end, phase)
        num_records = sum(info.num_records for info in selection.infos(self._file))
        bound_records(num_records, self.fields, max_bytes)
        return [
            record
            for batch, rows in selection.batches(self._file)
            for record in records_of(batch, rows, self.configs)
        ]

    def records(
        self,
        start: int | None = None,
        end: int | None = None,
        phase: str | Sequence[str] | None = None,
    ) -> Iterator[CycleRecord]:
        """Yield records one by one, one batch in memory at a time.

        Of a damaged file the intact ones come first; then its `problem` is raised, unless
        ``partial=True``.
        """
        _ = self.names
        selection = Selection.of(self.schema, start, end, phase)
        for batch, rows in selection.batches(self._file):
            yield from records_of(batch, rows, self.configs)
        self._require_complete(selection)

    def newest(self, count: int) -> list[CycleRecord]:
        """Return the last `count` records, or all if there are fewer; reads only their batches.

        Raises
        ------
        DecodeError
            As `read`.
        """
        _ = self.names
        start, size = max(0, len(self) - count), self.schema.batch_records
        found: list[CycleRecord] = []
        for info in self.batches[start // size :] if count > 0 else ():
            rows = slice(max(0, start - info.ordinal * size), info.num_records)
            found += records_of(self._file.batch(info.ordinal), rows, self.configs)
        return found

    def __iter__(self) -> Iterator[CycleRecord]:
        return self.records()

    def batch(self, ordinal: int) -> AnyBatch:
        """Read one batch and check its CRC and directory; its columns decode when asked.

        For tools; most callers want `read`.
        """
        return self._file.batch(ordinal)

    # ------------------------------------------------------------------------------- internals

    def _question(
        self, fields: Sequence[str] | None, start: int | None, end: int | None,
        phase: str | Sequence[str] | None,
    ) -> Asked:  # fmt: skip
        """Resolve what a caller asks for; reads the names and configurations that it needs."""
        selection = self._select(start, end, phase)
        wanted = None if fields is None else [self._field(path) for path in fields]
        if wanted is None or any(not field.declared for field in wanted):
            _ = self.names
        has_config = wanted is None or any(field.type == "config" for field in wanted)
        return selection, wanted, self.configs if has_config else ()

    def _select(
        self, start: int | None, end: int | None, phase: str | Sequence[str] | None
    ) -> Selection:
        selection = Selection.of(self.schema, start, end, phase)
        self._require_complete(selection)
        return selection

    def _require_complete(self, selection: Selection) -> None:
        """Raise the file's problem if what is intact does not answer the whole question."""
        if self.state != "damaged" or self._partial or self.problem is None:
            return
        last = self.batches[-1].last_timestamp if self.batches else None
        if last is not None and selection.end is not None and selection.end < last:
            return
        hint = f"{len(self)} records before it are intact; open(..., partial=True) reads those"
        problem = self.problem
        message = f"{problem.message} ({hint})"
        raise type(problem)(message, offset=problem.offset, path=problem.path)

    def _field(self, path: str) -> Field:
        for field in self.schema.fields if path in self.schema else self.fields:
            if field.path == path:
                return field
        known = ", ".join(f.path for f in self.fields)
        raise KeyError(f"no field {path!r} in {self.name}; there are: {known}")

    def close(self) -> None:
        """Close the file."""
        self._file.source.close()

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    def __repr__(self) -> str:
        return f"<Reader of {self.name}: {self.state}, {len(self)} records>"


def open_reader(
    path: str | os.PathLike[str] | bytes | bytearray | memoryview, *, partial: bool = False
) -> Reader:
    """Open a chronicle for reading; see `Reader`."""
    return Reader(path, partial=partial)
