"""`Reader`: an open chronicle.

Opening reads header, trailer, INDEX and SCHEMA; everything else is read, checked and decoded when
it is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Never

import numpy as np

from cmeta.aliases import Buffer, PathLike
from cmeta.errors import DecodeError, held_file
from cmeta.extras import require
from cmeta.format.block import Header
from cmeta.format.index import State
from cmeta.reader.read_columns import (
    DEFAULT_MAX_BYTES,
    non_empty,
    read_columns,
    require_size_of_records,
)
from cmeta.reader.selection import PhaseFilter, Selection, chunks, take
from cmeta.records.columns import Columns
from cmeta.records.record import CycleRecord, records_of
from cmeta.safe_text import printable
from cmeta.schema.schema import Schema
from cmeta.schema.types import Field
from cmeta.storage.open import AnyBatch, BatchInfo, Stats, open_file
from cmeta.vocabulary import as_names

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from cmeta.query.parse import Expression

FieldNames = str | Sequence[str] | None


class Reader:
    """An open chronicle; a context manager.

    Parameters
    ----------
    source : path or bytes
        A file, or its bytes.
    partial : bool
        Read the intact part of a damaged file instead of raising; see `read`.

    Attributes
    ----------
    header : Header
    schema : Schema
    state : str
        "closed"; "open": still being written, or its writer died; the records of its journal are
        read too, as of the moment of opening; "damaged".
    problem : DecodeError or None
        Why the file is damaged, or what follows the intact part of an open one.

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

    def __init__(self, source: PathLike | Buffer, *, partial: bool = False) -> None:
        self._partial = partial
        try:
            self._file = open_file(source)
        except DecodeError as err:
            err.file = os.fspath(source) if isinstance(source, str | os.PathLike) else ""
            raise

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
    def status(self) -> str | None:
        """How the run ended, by `Recorder.finish`: finished, failed, interrupted or pruned."""
        return self._file.status

    @property
    def state(self) -> State:
        """Whether the file is closed, open or damaged."""
        return self._file.state

    @property
    def has_journal(self) -> bool:
        """Whether the file is open, and its journal gives the records since the last batch."""
        return self._file.journal is not None

    @property
    def problem(self) -> DecodeError | None:
        """Why the file is damaged, or what follows the intact part of an open one."""
        return self._file.problem

    @property
    def batches(self) -> tuple[BatchInfo, ...]:
        """The batches, from the INDEX."""
        return self._file.batches

    def __len__(self) -> int:
        """Return the number of records that can be read."""
        return self._file.num_records

    def __bool__(self) -> bool:
        """Return True: a reader of a file without records is one, too."""
        return True

    def __reduce__(self) -> Never:
        raise held_file(self)

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

    def field(self, name: str) -> Field:
        """Return the field that a name means, as `read` takes it.

        Raises
        ------
        KeyError
            The file has no such field, or several in different groups; names similar ones.
        """
        try:
            return self._file.field(name)
        except KeyError as err:
            raise type(err)(f"{self.name}: {err.args[0]}") from None

    # -------------------------------------------------------------------------------- reading

    def read(
        self,
        fields: FieldNames = None,
        start: int | None = None,
        end: int | None = None,
        phase: PhaseFilter = None,
        *,
        codes: bool = False,
        threads: int = 1,
        max_bytes: int = DEFAULT_MAX_BYTES,
    ) -> Columns:
        """Return records as arrays.

        Parameters
        ----------
        fields : str or sequence of str, optional
            Names as in ``log``: dotted (``metrics.entropy``); without the group, where only one
            field has the name; ``loss`` for ``loss_value``. A name that may mean several fields
            with values is refused. The result answers to the same names. Default: every field that
            occurs.
        start, end : int, optional
            First and last timestamp, both included.
        phase : str or sequence of str, optional
            Only records of these phases; ``val`` is validate.
        codes : bool
            Enumerations as codes (uint8) instead of names.
        threads : int
            How many threads decode batches.
        max_bytes : int
            The size of the result is computed first; above this, it is refused.

        Returns
        -------
        Columns
            Arrays of ``(n_records,)`` or ``(n_records, k)`` by dotted name, and `present`.

        Raises
        ------
        DecodeError
            Something in the range is corrupt. A range that the intact part of a damaged file
            answers completely is answered; any other raises its `problem`, unless
            ``partial=True``.
        LimitError
            The result would take more than `max_bytes`.
        KeyError
            A field that the file does not have; names similar ones.
        ValueError
            A phase that the file does not have; names similar ones. Or `start` is after `end`.
        """
        selection = self._select(start, end, phase)
        wanted, configs = self._wanted(fields)
        return read_columns(
            self._file, selection, selection.infos(self._file), wanted, codes=codes,
            threads=threads, max_bytes=max_bytes, configs=configs,
        )  # fmt: skip

    def query(
        self,
        expression: str | Expression,
        fields: FieldNames = None,
        start: int | None = None,
        end: int | None = None,
        phase: PhaseFilter = None,
        *,
        codes: bool = False,
        threads: int = 1,
        max_bytes: int = DEFAULT_MAX_BYTES,
    ) -> Columns:
        """Return the records for which a condition is true, as `read` does.

        Batches are read twice, so that the result is no larger than it must be: first for the
        fields of the condition alone; then those with a match, for the fields of the result.

        Parameters
        ----------
        expression : str or Expression
            Such as ``loss < 0.1 and phase == 'val'``. See *Notes*.
        fields, start, end, phase, codes, threads, max_bytes
            As `read`.

        Raises
        ------
        QueryError
            Not a condition, or the file does not have a name in it; points at the place.
        DecodeError, LimitError, KeyError, ValueError
            As `read`.

        Notes
        -----
        - Names: as for `read`; ``metrics['train/lr']`` where a name has blanks or signs;
          ``tensor_signature[0]``; ``config.lr``, a key of the record's configuration.
        - Comparisons: ``< <= > >= == !=``, ``0 < x < 1``, ``in ('a', 'b')``, ``is None``; they are
          joined by ``and``, ``or``, ``not``.
        - Arithmetic: ``+ - * / % **``; functions: ``abs isnan isinf isfinite present``.
        - An absent value is unknown: neither ``x < 1`` nor ``not x < 1`` selects it. NaN is not
          less than anything: ``not x < 1`` selects it.
        - Integers are exact; in a comparison with a float32 field, a decimal is the float32 that
          is printed like it.

        Examples
        --------
        >>> import tempfile, cmeta
        >>> path = tempfile.mktemp(suffix=".cmeta")
        >>> cmeta.write(path, {"phase": ["train"] * 3, "loss_value": [0.5, 0.05, None]})
        3
        >>> with cmeta.open(path) as run:
        ...     run.query("loss < 0.1", ["timestamp"])["timestamp"].tolist()
        [1]
        """
        from cmeta.query.parse import parse  # most readers do without
        from cmeta.reader.condition import Condition

        parsed = parse(expression) if isinstance(expression, str) else expression
        selection = self._select(start, end, phase)
        wanted, configs = self._wanted(fields)
        selection = Condition.of(parsed, self._file).narrow(selection)
        return read_columns(
            self._file, selection, non_empty(self._file, selection), wanted, codes=codes,
            threads=threads, max_bytes=max_bytes, configs=configs,
        )  # fmt: skip

    def query_range(
        self,
        start: int | None,
        end: int | None,
        phase: PhaseFilter = None,
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
            The size of the result is estimated first; above this, it is refused.

        Raises
        ------
        DecodeError, LimitError
            As `read`.
        """
        selection = self._select(start, end, phase)
        num_records = sum(info.num_records for info in selection.infos(self._file))
        require_size_of_records(num_records, self.fields, max_bytes)
        return list(self._records(selection))

    def records(
        self,
        start: int | None = None,
        end: int | None = None,
        phase: PhaseFilter = None,
    ) -> Iterator[CycleRecord]:
        """Yield records one by one, one batch in memory at a time.

        The intact records of a damaged file come first; then its `problem` is raised, unless
        ``partial=True``.
        """
        selection = Selection.of(self.schema, start, end, phase)
        yield from self._records(selection)
        self._require_complete(selection)

    def newest(self, count: int) -> list[CycleRecord]:
        """Return the last `count` records, or all if there are fewer; reads only their batches.

        Raises
        ------
        DecodeError
            As `read`.
        """
        first = max(0, len(self) - count)
        return list(self._records(Selection(first=first))) if count > 0 else []

    def __iter__(self) -> Iterator[CycleRecord]:
        return self.records()

    def batch(self, ordinal: int) -> AnyBatch:
        """Read one batch and check its CRC and directory; its columns decode when asked.

        For tools; most callers want `read`.
        """
        return self._file.batch(ordinal)

    # --------------------------------------------------------------------- for other libraries

    def to_arrow(
        self,
        fields: FieldNames = None,
        start: int | None = None,
        end: int | None = None,
        phase: PhaseFilter = None,
        *,
        threads: int = 1,
        max_bytes: int = DEFAULT_MAX_BYTES,
    ) -> pa.Table:
        """Return records as a table of Arrow; parameters and errors as `read`.

        Returns
        -------
        pyarrow.Table
            Exactly the types of the fields, null where absent; see `Columns.to_arrow`.

        Raises
        ------
        MissingExtraError
            pyarrow is not installed.

        Examples
        --------
        >>> import tempfile, cmeta
        >>> path = tempfile.mktemp(suffix=".cmeta")
        >>> cmeta.write(path, {"phase": ["train", "validate"], "loss_value": [float("nan"), None]})
        2
        >>> with cmeta.open(path) as run:
        ...     run.to_arrow(["loss_value"]).to_pylist()
        [{'loss_value': nan}, {'loss_value': None}]
        """
        require("pyarrow", "arrow")  # before anything is read
        options: dict[str, Any] = {"codes": True, "threads": threads, "max_bytes": max_bytes}
        return self.read(fields, start, end, phase, **options).to_arrow()

    def to_pandas(
        self,
        fields: FieldNames = None,
        start: int | None = None,
        end: int | None = None,
        phase: PhaseFilter = None,
        *,
        threads: int = 1,
        max_bytes: int = DEFAULT_MAX_BYTES,
    ) -> pd.DataFrame:
        """Return records as a data frame of pandas; parameters and errors as `read`.

        Returns
        -------
        pandas.DataFrame
            NA where absent, NaN where NaN was recorded; see `Columns.to_pandas`.

        Raises
        ------
        MissingExtraError
            pandas or pyarrow is not installed.
        """
        require("pandas", "pandas")
        options: dict[str, Any] = {"codes": True, "threads": threads, "max_bytes": max_bytes}
        return self.read(fields, start, end, phase, **options).to_pandas()

    def to_polars(
        self,
        fields: FieldNames = None,
        start: int | None = None,
        end: int | None = None,
        phase: PhaseFilter = None,
        *,
        threads: int = 1,
        max_bytes: int = DEFAULT_MAX_BYTES,
    ) -> pl.DataFrame:
        """Return records as a data frame of polars; parameters and errors as `read`.

        Returns
        -------
        polars.DataFrame
            Null where absent; see `Columns.to_polars`.

        Raises
        ------
        MissingExtraError
            polars or pyarrow is not installed.
        """
        require("polars", "polars")
        options: dict[str, Any] = {"codes": True, "threads": threads, "max_bytes": max_bytes}
        return self.read(fields, start, end, phase, **options).to_polars()

    def arrow_batches(
        self,
        fields: FieldNames = None,
        start: int | None = None,
        end: int | None = None,
        phase: PhaseFilter = None,
        *,
        max_bytes: int = DEFAULT_MAX_BYTES,
    ) -> pa.RecordBatchReader:
        """Return records as a stream of Arrow batches, one batch of the file in memory at a time.

        Parameters
        ----------
        fields, start, end, phase
            As `read`. Without `fields`, every batch of the range is read once more beforehand, to
            learn which fields occur; little of it is decoded.
        max_bytes : int
            The size of each batch is computed first; above this, it is refused.

        Returns
        -------
        pyarrow.RecordBatchReader
            An iterator of RecordBatch whose ``schema``, that of `to_arrow`, is known before the
            first one; DuckDB, polars and the writers of pyarrow take it. Batches without a selected
            record are left out. Close the reader of the file after it.

        Raises
        ------
        DecodeError, KeyError, ValueError
            As `read`; for a corrupt batch, at the latest when it is reached.
        MissingExtraError
            pyarrow is not installed.

        Examples
        --------
        >>> import tempfile, cmeta
        >>> path = tempfile.mktemp(suffix=".cmeta")
        >>> cmeta.write(path, {"phase": ["train"] * 10_000, "step": range(10_000)})
        10000
        >>> with cmeta.open(path) as run:
        ...     [batch.num_rows for batch in run.arrow_batches(["step"])]
        [4096, 4096, 1808]
        """
        require("pyarrow", "arrow")
        from cmeta.reader.arrow import arrow_stream  # which imports it

        selection = self._select(start, end, phase)
        wanted, configs = self._wanted(fields)
        return arrow_stream(self._file, selection, wanted, max_bytes=max_bytes, configs=configs)

    # ------------------------------------------------------------------------------- internals

    def _select(self, start: int | None, end: int | None, phase: PhaseFilter) -> Selection:
        """Return a selection that can be answered completely."""
        selection = Selection.of(self.schema, start, end, phase)
        self._require_complete(selection)
        return selection

    def _wanted(
        self, fields: FieldNames
    ) -> tuple[list[Field] | None, tuple[Mapping[str, Any], ...]]:
        """Return the fields of these names, and the configurations if a field needs them."""
        wanted = None if fields is None else [self.field(name) for name in as_names(fields)]
        has_config = wanted is None or any(field.type == "config" for field in wanted)
        return wanted, self._file.configs if has_config else ()

    def _records(self, selection: Selection) -> Iterator[CycleRecord]:
        for chunk in chunks(self._file, selection):
            yield from records_of(chunk, self.configs)

    def _require_complete(self, selection: Selection) -> None:
        """Raise the file's problem unless its intact part holds everything that is selected."""
        if self.state != "damaged" or self._partial or self.problem is None:
            return
        last = self.batches[-1].last_timestamp if self.batches else None
        if last is not None and selection.end is not None and selection.end < last:
            return
        hint = f"{len(self)} records before it are intact; open(..., partial=True) reads those"
        problem = self.problem
        message = f"{problem.message} ({hint})"
        raise type(problem)(message, offset=problem.offset, path=problem.path)

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
        return printable(f"<Reader of {self.name}: {self.state}, {len(self)} records>")


def open_reader(path: PathLike | Buffer, *, partial: bool = False) -> Reader:
    """Open a chronicle for reading; see `Reader`."""
    return Reader(path, partial=partial)


def numbered_records(run: Reader, selection: Selection) -> Iterator[tuple[int, CycleRecord]]:
    """Yield the selected records with their ordinals; errors as `Reader.records`."""
    for info in selection.infos(run):
        batch = run.batch(info.ordinal)
        rows = selection.rows(batch, info)
        ordinals = np.arange(batch.num_records)[rows] + info.first_record
        yield from zip(ordinals.tolist(), records_of(take(batch, rows), run.configs), strict=True)
    run._require_complete(selection)
