"""The encoder: chunks of records to the bytes of a file.

It cuts records into full batches, numbers configurations and names by their first use, and
collects the entries of the INDEX. Its bytes depend on the records alone, not on the chunks in
which they arrive.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from cmeta.errors import EncodeError, OrderError
from cmeta.format.batch import check_size, encode_batch, required
from cmeta.format.block import encode_block
from cmeta.format.grammar import Grammar, grammar_of
from cmeta.records.chunk import Chunk, Column, goes_back, join
from cmeta.schema.rules import PHASE, TIMESTAMP
from cmeta.schema.schema import Schema


@dataclass
class EncoderState:
    """The state of an encoder between two batches.

    Attributes
    ----------
    offset : int
        Length of the file so far.
    crc, running_crc : int
        CRC of the payload so far, and up to the end of the last full batch.
    last_masked_crc : int
        Stored CRC of the last block; 0 before the first.
    num_records : int
        Records in blocks so far.
    entries : list of tuple
        Rows of the INDEX.
    configs : dict of bytes to int
        Numbers of the CONFIG blocks, by body.
    names : dict of str to int
        Numbers of the NAME blocks.
    """

    offset: int = 0
    crc: int | None = None
    running_crc: int = 0
    last_masked_crc: int = 0
    num_records: int = 0
    entries: list[tuple[int, ...]] = dataclasses.field(default_factory=list)
    configs: dict[bytes, int] = dataclasses.field(default_factory=dict)
    names: dict[str, int] = dataclasses.field(default_factory=dict)


class Encoder:
    """Turns chunks into the bytes of a file.

    Parameters
    ----------
    schema : Schema
    """

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.grammar: Grammar = grammar_of(schema.format)
        self.progress = EncoderState()
        self._pending: list[Chunk] = []
        self._num_pending = 0
        self._last = (0, 0)

    @classmethod
    def resume(cls, schema: Schema, progress: EncoderState, last: tuple[int, int]) -> Encoder:
        """Return an encoder that continues after the last full batch of a file.

        Parameters
        ----------
        progress : EncoderState
            At the end of that batch, or of SCHEMA.
        last : tuple of int
            Timestamp and code of the phase of the last record before it.
        """
        encoder = cls(schema)
        encoder.progress, encoder._last = progress, last
        return encoder

    def copy(self) -> Encoder:
        """Return an encoder in the same state; neither changes the other."""
        before = self.progress
        progress = dataclasses.replace(
            before, entries=[*before.entries], configs={**before.configs}, names={**before.names}
        )
        encoder = Encoder.resume(self.schema, progress, self._last)
        encoder._pending, encoder._num_pending = [*self._pending], self._num_pending
        return encoder

    @property
    def num_records(self) -> int:
        """Records given so far."""
        return self.progress.num_records + self._num_pending

    @property
    def pending_names(self) -> set[str]:
        """Names of the undeclared metrics in the batch that has been begun."""
        fields = {field for chunk in self._pending for field in chunk.fields}
        return {field.name for field in fields if not field.declared}

    @property
    def next_timestamp(self) -> int:
        """The timestamp of a record that states none."""
        return self._last[0] + 1 if self.num_records else 0

    def header(self, records_count: int | None = None) -> bytes:
        """Return the header of a closed file with this number of records, or of an open file."""
        facts = self.schema.format.format
        count = facts.open_records_count if records_count is None else records_count
        return self.grammar.header.build(
            {"version": self.schema.format.version, "records_count": count}
        )

    def begin(self) -> bytes:
        """Return the header of an open file and the SCHEMA block."""
        header = self.header()
        self.progress.offset = len(header)
        block = self._block("SCHEMA", self.schema.embedded)
        self.progress.running_crc = self.progress.crc or 0
        return header + block

    def feed(self, chunk: Chunk) -> bytes:
        """Take records, and return the blocks of the batches that they fill.

        Raises
        ------
        OrderError
            A record goes back in (timestamp, phase); no record of the chunk is taken.
        EncodeError
            The file would hold more records than its header can count.
        """
        if chunk.num_records == 0:
            return b""
        self._check_order(chunk)
        most = self.schema.format.limits.records_count_max
        if self.num_records + chunk.num_records > most:
            raise EncodeError(f"a file holds at most {most:,} records; begin another one")
        self._pending.append(chunk)
        self._num_pending += chunk.num_records
        blocks = []
        while self._num_pending >= self.schema.batch_records:
            blocks.append(self._seal(self.schema.batch_records))
            self.progress.running_crc = self.progress.crc or 0
        return b"".join(blocks)

    def finish(self, status: int = 0) -> bytes:
        """Return the last blocks, the INDEX and the trailer.

        Parameters
        ----------
        status : int
            How the run ended, as INDEX states it.
        """
        rest = self._seal(self._num_pending) if self._num_pending else b""
        progress = self.progress
        body = self.grammar.bodies["INDEX"].build(
            {
                "version": self.schema.format.version,
                "status": status,
                "records_count": progress.num_records,
                "num_blocks": len(progress.entries),
                "entries": np.array(progress.entries, self.grammar.index_entry.dtype),
                "running_crc": progress.running_crc,
                "index_offset": progress.offset,
            }
        )
        index = self._block("INDEX", body)
        return rest + index + self.grammar.trailer.build({"checksum": progress.crc})

    def _check_order(self, chunk: Chunk) -> None:
        timestamps = required(chunk, self.schema[TIMESTAMP])
        phases = required(chunk, self.schema[PHASE])
        back = goes_back(timestamps, phases)
        first = (int(timestamps[0]), int(phases[0]))
        if self.num_records and first < self._last:
            raise order_error(self.num_records, self._last, first, self.schema)
        if back.any():
            at = int(np.argmax(back))
            pairs = [(int(timestamps[i]), int(phases[i])) for i in (at, at + 1)]
            raise order_error(self.num_records + at + 1, pairs[0], pairs[1], self.schema)
        self._last = (int(timestamps[-1]), int(phases[-1]))

    def _seal(self, num_records: int) -> bytes:
        """Return the blocks of the next batch: new CONFIGs, new NAMEs, the BATCH."""
        batch = self._take(num_records)
        num_undeclared = sum(not f.declared for f in batch.fields)
        check_size(self.schema.num_columns + num_undeclared, num_records, self.schema)
        config, blocks = self._number_configs(batch)
        for name in self._new_names(batch):
            self.progress.names[name] = len(self.progress.names)
            body = self.grammar.bodies["NAME"].build({"name": name})
            blocks.append(self._block("NAME", body))
        body = encode_batch(batch, config, self.schema, self.grammar, self.progress.names)
        timestamps = required(batch, self.schema[TIMESTAMP])
        row = (num_records, int(timestamps[0]), int(timestamps[-1]))
        blocks.append(self._block("BATCH", body, row))
        self.progress.num_records += num_records
        return b"".join(blocks)

    def _number_configs(self, batch: Chunk) -> tuple[Column | None, list[bytes]]:
        """Number new configurations by their first record; return the column of CONFIG numbers."""
        config = self.schema.config_field
        column = batch.column(config) if config else None
        if column is None:
            return None, []
        known = self.progress.configs
        places, first = np.unique(column.recorded(), return_index=True)
        blocks = []
        numbers = np.zeros(len(batch.configs) + 1, np.uint32)
        for place in places[np.argsort(first)].tolist():
            body = batch.configs[place]
            if body not in known:
                known[body] = len(known)
                blocks.append(self._block("CONFIG", body))
            numbers[place] = known[body]
        # The value of an absent cell has no meaning, but must be a valid place.
        values = numbers[np.minimum(column.values, len(batch.configs))]
        return Column(values, column.present), blocks

    def _new_names(self, batch: Chunk) -> list[str]:
        """Return the names that this batch is the first to use, by (first record, UTF-8 bytes)."""
        new = []
        for field in batch.fields:
            if not field.declared and field.name not in self.progress.names:
                present = batch.columns[field].present
                first = 0 if present is None else int(np.argmax(present))
                new.append((first, field.name.encode()))
        return [name.decode() for _, name in sorted(new)]

    def _take(self, num_records: int) -> Chunk:
        """Remove the first pending records, and return them as one chunk."""
        pieces = []
        missing = num_records
        while missing:
            chunk = self._pending[0]
            if chunk.num_records <= missing:
                pieces.append(self._pending.pop(0))
            else:
                pieces.append(chunk.slice(0, missing))
                self._pending[0] = chunk.slice(missing, chunk.num_records)
            missing -= pieces[-1].num_records
        self._num_pending -= num_records
        return pieces[0] if len(pieces) == 1 else join(pieces)

    def _block(self, name: str, body: bytes, row: tuple[int, int, int] = (0, 0, 0)) -> bytes:
        """Return a block, and add its entry to the INDEX."""
        block, masked_crc = encode_block(name, body, self.grammar)
        progress = self.progress
        progress.last_masked_crc = masked_crc
        if name != "INDEX":
            kind, flags = self.grammar.kinds[name], self.grammar.flags_of(name)
            progress.entries.append((kind, flags, 0, row[0], progress.offset, row[1], row[2]))
        progress.crc = self.grammar.checksum(block, progress.crc)
        progress.offset += len(block)
        return block


def order_error(
    ordinal: int, before: tuple[int, int], record: tuple[int, int], schema: Schema
) -> OrderError:
    """Return the error for a record that goes back; pairs are (timestamp, code of the phase)."""
    return OrderError(
        f"record {ordinal}: {order_message(before, record, schema)}, expected (timestamp, phase) "
        f"never to go back; the order of phases is {', '.join(schema.phases)}"
    )


def order_message(before: tuple[int, int], record: tuple[int, int], schema: Schema) -> str:
    """Return how a record goes back; pairs are (timestamp, code of the phase)."""
    pairs = [f"(timestamp {time}, {schema.phases[code]})" for time, code in (record, before)]
    return " comes after ".join(pairs)
