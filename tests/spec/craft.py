"""Files made piece by piece, every CRC right: what a forger would write, or a careless writer."""

from dataclasses import dataclass, field

import numpy as np

from cmeta.format.block import walk
from cmeta.format.grammar import grammar_of
from cmeta.schema.load import shipped_format
from cmeta.schema.schema import Schema
from cmeta.source import BytesSource

GRAMMAR = grammar_of(shipped_format())
OPEN = shipped_format().format.open_records_count


@dataclass
class Piece:
    """A block to be written; `entry` replaces what INDEX says of it."""

    name: str
    body: bytes
    kind: int = 0
    flags: int = 1
    reserved: int = 0
    len_more: int = 0
    crc_more: int = 0
    entry: dict = field(default_factory=dict)


@dataclass
class Draft:
    """A file to be written.

    `index`, `header` and `trailer` replace fields; `columns` are those of the last BATCH by place,
    `undeclared` its directory of undeclared columns.
    """

    schema: Schema
    pieces: list
    index: dict = field(default_factory=dict)
    header: dict = field(default_factory=dict)
    checksum_more: int = 0
    behind: bytes = b""

    @classmethod
    def of(cls, data, schema):
        """Take a valid file apart."""
        blocks = walk(BytesSource(data), GRAMMAR, GRAMMAR.header.size, newer=False)
        return cls(schema, [Piece(b.name, b.body) for b in blocks if b.name != "INDEX"])

    def piece(self, name):
        return next(p for p in self.pieces if p.name == name)

    def batch(self):
        """Return the fields of the BATCH, its columns taken apart."""
        body = GRAMMAR.bodies["BATCH"].parse(
            self.piece("BATCH").body, num_columns=self.schema.num_columns
        )
        lengths = [*body["len_columns"].tolist(), *body["undeclared"]["len_column"].tolist()]
        ends = np.cumsum(lengths).tolist()
        pieces = [body["columns"][e - n : e] for e, n in zip(ends, lengths, strict=True)]
        numbers = body["undeclared"]["name_number"].tolist()
        return body | {"columns": pieces, "numbers": numbers}

    def set_batch(self, batch):
        """Put fields of a BATCH together again."""
        lengths = [len(piece) for piece in batch["columns"]]
        num = self.schema.num_columns
        entries = list(zip(batch["numbers"], lengths[num:], strict=True))
        self.piece("BATCH").body = GRAMMAR.bodies["BATCH"].build(
            batch
            | {
                "len_columns": lengths[:num],
                "num_undeclared": len(entries),
                "undeclared": np.array(entries, GRAMMAR.undeclared_entry.dtype),
                "columns": b"".join(batch["columns"]),
            },
            num_columns=num,
        )

    def data(self):
        """Return the bytes of the file."""
        facts = shipped_format()
        payload, running, records, entries = b"", None, 0, []
        for piece in self.pieces:
            entry = {"kind": piece.kind or GRAMMAR.kinds[piece.name], "flags": piece.flags}
            entry |= {"reserved": 0, "records_count": 0, "first_timestamp": 0, "last_timestamp": 0}
            entry["offset"] = GRAMMAR.header.size + len(payload)
            if piece.name == "BATCH":
                size = GRAMMAR.batch_head.size
                entry |= GRAMMAR.batch_head.parse(piece.body[:size])
                records += entry["records_count"]
            entry |= piece.entry
            payload += block(piece)
            entries.append(tuple(entry[n] for n in GRAMMAR.index_entry.dtype.names))
            full = piece.name == "BATCH" and entry["records_count"] == self.schema.batch_records
            if running is None or full:
                running = GRAMMAR.checksum(payload)
        header = {"version": facts.version, "records_count": records} | self.header
        fields = {
            "version": header["version"],
            "records_count": header["records_count"],
            "num_blocks": len(entries),
            "status": 0,
            "entries": np.array(entries, GRAMMAR.index_entry.dtype),
            "running_crc": running,
            "index_offset": GRAMMAR.header.size + len(payload),
        }
        payload += block(Piece("INDEX", GRAMMAR.bodies["INDEX"].build(fields | self.index)))
        checksum = (GRAMMAR.checksum(payload) + self.checksum_more) % 2**64
        trailer = GRAMMAR.trailer.build({"checksum": checksum})
        return GRAMMAR.header.build(header) + payload + trailer + self.behind


def block(piece):
    head = GRAMMAR.frame_head.build(
        {
            "kind": piece.kind or GRAMMAR.kinds[piece.name],
            "flags": piece.flags,
            "len_body": len(piece.body) + piece.len_more,
        }
    )
    if piece.reserved:
        head = head[:2] + piece.reserved.to_bytes(2, "little") + head[4:]
    crc = (GRAMMAR.checksum.masked(head, piece.body) + piece.crc_more) % 2**64
    return head + piece.body + GRAMMAR.frame_tail.build({"masked_crc": crc})
