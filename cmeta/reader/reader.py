"""`Reader`: an open chronicle. Opening reads header, trailer, INDEX and SCHEMA; everything else is
read, checked and decoded when it is asked for, and only what is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from types import TracebackType
from typing import Any

import numpy as np

from cmeta.checks.batch import Batch, Surroundings
from cmeta.checks.blocks import Block, Header, read_block
from cmeta.checks.metadata import parse_config, parse_name
from cmeta.checks.structure import FileMap, State, map_file
from cmeta.columns import Columns
from cmeta.errors import CorruptError, DecodeError
from cmeta.grammar import grammar_of
from cmeta.model import CycleRecord
from cmeta.reader.gather import gather
from cmeta.reader.info import BatchInfo, Stats
from cmeta.reader.records import records_of
from cmeta.reader.selection import Selection
from cmeta.schema import Field, Schema, shipped_format, undeclared
from cmeta.source import open_source

DEFAULT_MAX_BYTES = 4 << 30


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
        "closed"; "open": still being written, or its writer died, so that records after the last
        full batch are missing here; "damaged".
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
        self._grammar = grammar_of(shipped_format())
        self._partial = partial
        self._source = open_source(source)
        try:
            self._map: FileMap = map_file(self._source, self._grammar)
        except BaseException:
            self._source.close()
            raise
        table = self._map.table
        self._rows = np.flatnonzero(table["kind"] == self._grammar.kinds["BATCH"])
        self.stats = Stats()

    # ------------------------------------------------------------------------------ what it is

    @property
    def name(self) -> str:
        """Path of the file."""
        return self._source.name

    @property
    def len_file(self) -> int:
        """Length of the file in bytes."""
        return self._source.size

    @property
    def len_read(self) -> int:
        """Bytes read so far."""
        return self._source.len_read

    @property
    def header(self) -> Header:
        """The header."""
        return self._map.header

    @property
    def schema(self) -> Schema:
        """The embedded schema."""
        return self._map.schema

    @property
    def state(self) -> State:
        """Whether the file is closed, open or damaged."""
        return self._map.state

    @property
    def problem(self) -> DecodeError | None:
        """Why the file is damaged."""
        return self._map.problem

    @cached_property
    def batches(self) -> tuple[BatchInfo, ...]:
        """The batches, from the INDEX."""
        ends = self._map.ends[self._rows].tolist()
        rows = self._map.table[self._rows].tolist()
        return tuple(
            BatchInfo(i, offset, end - offset, count, first, last)
            for i, ((_, _, _, count, offset, first, last), end) in enumerate(
                zip(rows, ends, strict=True)
            )
        )

    def __len__(self) -> int:
        """Return the number of records that can be read."""
        return int(self._map.table["records_count"][self._rows].sum(dtype=np.int64))

    @cached_property
    def configs(self) -> tuple[Mapping[str, Any], ...]:
        """The configurations, by number, as the JSON that the file holds."""
        return tuple(parse_config(block, self.schema) for block in self._blocks("CONFIG"))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the undeclared metrics, by number."""
        return tuple(parse_name(block, self.schema) for block in self._blocks("NAME"))

    @property
    def fields(self) -> tuple[Field, ...]:
        """All fields: the declared ones, then the undeclared metrics."""
        group, codecs = self.schema.open_group or "", self.schema.format.codecs
        return (*self.schema.fields, *(undeclared(name, group, codecs) for name in self.names))

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
        selection = self._select(start, end, phase)
        wanted = None if fields is None else [self._field(path) for path in fields]
        if wanted is None or any(not field.declared for field in wanted):
            _ = self.names
        has_config = wanted is None or any(field.type == "config" for field in wanted)
        return gather(
            self, selection, wanted, codes=codes, threads=threads, max_bytes=max_bytes,
            configs=self.configs if has_config else (),
        )  # fmt: skip

    def query_range(
        self, start: int | None, end: int | None, phase: str | Sequence[str] | None = None
    ) -> list[CycleRecord]:
        """Return the records with ``start <= timestamp <= end``.

        Raises
        ------
        DecodeError
            As `read`.
        """
        _ = self.names
        selection = self._select(start, end, phase)
        return [
            record
            for batch, rows in selection.batches(self)
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
        for batch, rows in selection.batches(self):
            yield from records_of(batch, rows, self.configs)
        self._require_complete(selection)

    def __iter__(self) -> Iterator[CycleRecord]:
        return self.records()

    def batch(self, ordinal: int) -> Batch:
        """Read one batch and check its CRC and directory; its columns decode when asked.

        For tools; most callers want `read`.
        """
        row = int(self._rows[ordinal])
        table = self._map.table
        block = self._block(row)
        before = table["kind"][:row]
        num_names = int(np.count_nonzero(before == self._grammar.kinds["NAME"]))
        names = self.names[:num_names] if "names" in self.__dict__ else ("",) * num_names
        num_configs = int(np.count_nonzero(before == self._grammar.kinds["CONFIG"]))
        around = Surroundings(ordinal, table[row], names, num_configs)
        self.stats.num_batches += 1
        return Batch(block, self.schema, self._grammar, around)

    # ------------------------------------------------------------------------------- internals

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

    def _block(self, row: int) -> Block:
        """Read a block of the table and hold it against its row."""
        offset = int(self._map.table["offset"][row])
        end = int(self._map.ends[row])
        newer = self.header.is_newer
        block = read_block(self._source, self._grammar, offset, end, newer=newer)
        expected = self._map.table[row]
        if block.kind != expected["kind"] or block.flags != expected["flags"] or block.end != end:
            raise CorruptError(
                f"a {block.name} up to {block.end}, but the INDEX says a "
                f"{self._grammar.names.get(int(expected['kind']), 'block')} up to {end}",
                offset=offset,
                path=block.name or "block",
            )
        return block

    def _blocks(self, name: str) -> Iterator[Block]:
        kind = self._grammar.kinds[name]
        for row in np.flatnonzero(self._map.table["kind"] == kind).tolist():
            yield self._block(row)

    def _field(self, path: str) -> Field:
        for field in self.schema.fields if path in self.schema else self.fields:
            if field.path == path:
                return field
        known = ", ".join(f.path for f in self.fields)
        raise KeyError(f"no field {path!r} in {self.name}; there are: {known}")

    def close(self) -> None:
        """Close the file."""
        self._source.close()

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
