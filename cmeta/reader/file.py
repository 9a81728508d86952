"""An open file: its map, and its blocks read one by one and held against the map."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from cmeta.checks.batch import Batch, Surroundings
from cmeta.checks.blocks import Block, numbered, read_block
from cmeta.checks.metadata import parse_config, parse_name
from cmeta.checks.structure import State, map_file
from cmeta.errors import CorruptError
from cmeta.grammar import grammar_of
from cmeta.journal import Standing
from cmeta.reader.info import AnyBatch, BatchInfo, Stats
from cmeta.reader.recent import Recent
from cmeta.schema import Field, Schema, shipped_format, undeclared
from cmeta.source import Source


class OpenFile:
    """What selecting and gathering work on; `Reader` is the face of it.

    Raises
    ------
    DecodeError
        Header or SCHEMA cannot be read.
    """

    def __init__(self, source: Source, standing: Standing | None = None) -> None:
        self.source = source
        self._grammar = grammar_of(shipped_format())
        self.map = standing.map if standing and standing.map else map_file(source, self._grammar)
        self.problem = standing.problem if standing else self.map.problem
        self.state: State = self.map.state
        if standing and standing.kind == "damaged":
            self.state = "damaged"  # also an open file whose journal is not its own
        self._rows = np.flatnonzero(self.map.table["kind"] == self._grammar.kinds["BATCH"])
        self.stats = Stats()
        self._recent = Recent(standing.journal if standing else None)
        self.has_journal = self._recent.journal is not None
        self.num_sealed = int(self.map.table["records_count"][self._rows].sum(dtype=np.int64))
        self.num_records = self.num_sealed + self._recent.num_records

    @property
    def schema(self) -> Schema:
        """The embedded schema."""
        return self.map.schema

    @cached_property
    def batches(self) -> tuple[BatchInfo, ...]:
        """The batches, from the INDEX; those of the journal's rows behind them."""
        ends = self.map.ends[self._rows].tolist()
        rows = self.map.table[self._rows].tolist()
        sealed = tuple(
            BatchInfo(i, offset, end - offset, count, first, last)
            for i, ((_, _, _, count, offset, first, last), end) in enumerate(
                zip(rows, ends, strict=True)
            )
        )
        return sealed + self._recent.infos(len(sealed), self.map.end)

    @cached_property
    def configs(self) -> tuple[Mapping[str, Any], ...]:
        """The configurations, by number."""
        sealed = tuple(parse_config(block, self.schema) for block in self._blocks("CONFIG"))
        return self._recent.configs_after(sealed)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the undeclared metrics, by number."""
        names: dict[str, None] = {}
        for block in self._blocks("NAME"):
            name = parse_name(block, self.schema)
            if name in names:
                message = f"{name!r} for a second time"
                raise CorruptError(message, offset=block.body_offset, path="NAME")
            names[name] = None
        return self._recent.names_after(tuple(names))

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """All fields: the declared ones, then the undeclared metrics; reads the NAME blocks."""
        group, codecs = self.schema.open_group or "", self.schema.format.codecs
        return (*self.schema.fields, *(undeclared(name, group, codecs) for name in self.names))

    def batch(self, ordinal: int) -> AnyBatch:
        """Read one batch and check its CRC and directory; or take it from the journal."""
        if ordinal >= len(self._rows):
            self.stats.num_batches += 1
            return self._recent.batch(ordinal - len(self._rows), ordinal)
        row = int(self._rows[ordinal])
        table = self.map.table
        block = self._block(row)
        before = table["kind"][:row]
        num_names = int(np.count_nonzero(before == self._grammar.kinds["NAME"]))
        known = "names" in vars(self)  # otherwise nobody has asked for an undeclared metric
        names = self.names[:num_names] if known else ("",) * num_names
        num_configs = int(np.count_nonzero(before == self._grammar.kinds["CONFIG"]))
        around = Surroundings(ordinal, table[row], names, num_configs)
        self.stats.num_batches += 1
        return Batch(block, self.schema, self._grammar, around)

    def _blocks(self, name: str) -> Iterator[Block]:
        kind = self._grammar.kinds[name]
        for row in np.flatnonzero(self.map.table["kind"] == kind).tolist():
            yield self._block(row)

    def _block(self, row: int) -> Block:
        """Read a block of the table and hold it against its row."""
        listed = self._grammar.names.get(int(self.map.table["kind"][row]), "block")
        with numbered(listed, lambda: self.map.number_of(row)):
            return self._listed_block(row, listed)

    def _listed_block(self, row: int, listed: str) -> Block:
        expected, end = self.map.table[row], int(self.map.ends[row])
        offset = int(expected["offset"])
        newer = self.map.header.is_newer
        block = read_block(self.source, self._grammar, offset, end, newer=newer)
        if block.kind != expected["kind"] or block.flags != expected["flags"] or block.end != end:
            raise CorruptError(
                f"a {block.name} up to {block.end}, but the INDEX says a {listed} up to {end}",
                offset=offset,
                path=block.name or "block",
            )
        return block
