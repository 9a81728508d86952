"""Decoding a salvaged batch whole, before anything of it is used: a column that cannot be decoded
loses the batch, a number that nobody can look up loses the values that refer to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from cmeta.checks.batch import Batch, Surroundings
from cmeta.checks.blocks import Block, read_block
from cmeta.chunk import Array, Chunk, Column, Mask
from cmeta.errors import CorruptError, shifted
from cmeta.salvager.scan import Found
from cmeta.salvager.tables import Tables
from cmeta.schema import Field

_ANY_NUMBER = 1 << 32  # of configurations: each is looked up afterwards


@dataclass(frozen=True)
class Salvaged:
    """A batch as a chunk.

    Attributes
    ----------
    chunk : Chunk
    unknown_names : tuple of int
        NAME numbers of columns that were left out.
    num_unknown_configs : int
        Records whose configuration was left out.
    """

    chunk: Chunk
    unknown_names: tuple[int, ...] = ()
    num_unknown_configs: int = 0


@dataclass(frozen=True)
class BatchReader:
    """Reads batches with the tables as they stand.

    Attributes
    ----------
    tables : Tables
    """

    tables: Tables

    def read(self, found: Found) -> Block:
        """Read the block of a batch."""
        tables = self.tables
        return read_block(
            tables.source, tables.grammar, found.offset, found.end, newer=tables.newer
        )  # fmt: skip

    def name_numbers(self, block: Block) -> list[int]:
        """Return the NAME numbers of a batch, ascending.

        Raises
        ------
        DecodeError
        """
        layout = self.tables.grammar.bodies["BATCH"]
        with shifted(block.body_offset, "BATCH"):
            body = layout.parse(block.body, num_columns=self.tables.schema.num_columns)
        numbers: list[int] = body["undeclared"]["name_number"].tolist()
        # As many NAMEs as the file has room for: nothing is made from a number alone.
        if numbers and max(numbers) > self.tables.source.size // self.tables.grammar.len_frame:
            raise CorruptError(f"name {max(numbers)}", offset=block.offset, path="BATCH")
        return numbers

    def open(self, block: Block, found: Found, ordinal: int, numbers: list[int]) -> Batch:
        """Return a batch whose undeclared columns have the names that are known.

        Raises
        ------
        DecodeError
        """
        tables = self.tables
        tables.make_room(max(numbers, default=-1))
        row = dict(
            zip(("records_count", "first_timestamp", "last_timestamp"), found.row, strict=True)
        )
        names = cast("tuple[str, ...]", tables.names)
        around = Surroundings(ordinal, row, names, _ANY_NUMBER)
        return Batch(block, tables.schema, tables.grammar, around)

    def config_numbers(self, batch: Batch) -> list[int]:
        """Return the CONFIG numbers that a batch uses, ascending.

        Raises
        ------
        DecodeError
        """
        config = self.tables.schema.config_field
        column = batch.column(config, 0) if config else None
        if column is None:
            return []
        values, present = column
        used: list[int] = np.unique(values if present is None else values[present]).tolist()
        return used

    def salvage(self, batch: Batch, numbers: list[int]) -> Salvaged:
        """Return what is certain of a batch.

        Raises
        ------
        DecodeError
            A column cannot be decoded.
        """
        _ = batch.timestamps  # checks their order
        columns: dict[Field, Column] = {}
        configs: tuple[bytes, ...] = ()
        num_unknown = 0
        for declared in batch.fields:
            found = batch.column(declared, 0)
            if found is None:
                continue
            values, present = found
            if declared.type == "config":
                values, present, configs, num_unknown = self._look_up(values, present)
            if present is None or present.any():
                columns[declared] = Column(values, present)
        unknown = tuple(number for number in numbers if not self.tables.names[number])
        chunk = Chunk(batch.num_records, columns, configs)
        return Salvaged(chunk, unknown, num_unknown)

    def _look_up(
        self, values: Array, present: Mask | None
    ) -> tuple[Array, Mask | None, tuple[bytes, ...], int]:
        """Turn CONFIG numbers into places in a list; what is not known becomes absent."""
        known = self.tables.configs
        there = np.ones(len(values), bool) if present is None else present
        used = np.unique(values[there])
        good = np.array([number for number in used.tolist() if number in known], values.dtype)
        keep = there & np.isin(values, good)
        places = np.zeros(len(values), np.uint32)
        places[keep] = np.searchsorted(good, values[keep])
        num_unknown = int(np.count_nonzero(there) - np.count_nonzero(keep))
        bodies = tuple(known[number] for number in good.tolist())
        return places, None if keep.all() else keep, bodies, num_unknown
