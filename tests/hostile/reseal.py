"""A second notion of how a file is framed, which shares nothing with the library: it takes files
apart, and puts them together again with every checksum, and whatever else follows, made right.

So a mutation reaches the checks behind the checksums.
"""

import json
import struct
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import fastcrc

HEADER = struct.Struct("<IHI")  # signature, version, records_count
HEAD = struct.Struct("<BBHI")  # kind, flags, reserved, len_body
CRC = struct.Struct("<Q")
BATCH_HEAD = struct.Struct("<IQQ")  # records_count, first_timestamp, last_timestamp
INDEX_HEAD = struct.Struct("<HHII")  # version, status, records_count, num_blocks
ENTRY = struct.Struct("<BBHIQQQ")  # kind, flags, reserved, records_count, offset, first, last
INDEX_TAIL = struct.Struct("<QQ")  # running_crc, index_offset

SCHEMA, CONFIG, NAME, BATCH, INDEX = range(1, 6)
CRITICAL = 1


def crc_of(data):
    return fastcrc.crc64.xz(data)


def masked(crc):
    return ((crc >> 17 | crc << 47) + 0x9E3779B97F4A7C15) % 2**64


class Block(NamedTuple):
    """A block; `len_body` and `crc` are what it claims, None for the truth."""

    kind: int
    body: bytes
    flags: int = CRITICAL
    reserved: int = 0
    len_body: int | None = None
    crc: int | None = None

    def build(self):
        claimed = len(self.body) if self.len_body is None else self.len_body
        data = HEAD.pack(self.kind, self.flags, self.reserved, claimed) + self.body
        return data + CRC.pack(masked(crc_of(data)) if self.crc is None else self.crc)

    def facts(self):
        """What the INDEX says of it: records_count, first_timestamp, last_timestamp."""
        if self.kind != BATCH or len(self.body) < BATCH_HEAD.size:
            return 0, 0, 0
        return BATCH_HEAD.unpack_from(self.body)


@dataclass(frozen=True)
class File:
    """A file in parts; what is None is made to agree with the blocks.

    `blocks` are those before the INDEX. `entries`, a list of tuples, and `index`, fields by name,
    say what the INDEX claims. `checksum` is what the trailer claims.
    """

    blocks: tuple
    signature: int = 0x0C0DA55E
    version: int = 0x0100
    records_count: int | None = None
    batch_records: int = 16
    entries: list | None = None
    index: dict = field(default_factory=dict)
    tail: bytes = b""
    checksum: int | None = None

    def build(self):
        facts = [block.facts() for block in self.blocks]
        total = sum(count for count, _, _ in facts) % 2**32
        count = total if self.records_count is None else self.records_count
        head = HEADER.pack(self.signature, self.version, count)
        payload, entries, running = b"", [], 0
        for block, (records, first, last) in zip(self.blocks, facts, strict=True):
            offset = len(head) + len(payload)
            entries.append((block.kind, block.flags, block.reserved, records, offset, first, last))
            payload += block.build()
            if block.kind == SCHEMA or (block.kind == BATCH and records == self.batch_records):
                running = crc_of(payload)
        index = {
            "version": self.version, "status": 0, "records_count": count,
            "num_blocks": len(entries if self.entries is None else self.entries),
            "running_crc": running, "index_offset": len(head) + len(payload),
        } | self.index  # fmt: skip
        entries = entries if self.entries is None else self.entries
        body = INDEX_HEAD.pack(*[index[n] for n in ("version", "status", "records_count",
                                                    "num_blocks")])  # fmt: skip
        body += b"".join(ENTRY.pack(*entry) for entry in entries)
        body += INDEX_TAIL.pack(index["running_crc"], index["index_offset"])
        payload += Block(INDEX, body).build() + self.tail
        checksum = crc_of(payload) if self.checksum is None else self.checksum
        return head + payload + CRC.pack(checksum)

    def with_blocks(self, blocks):
        return replace(self, blocks=tuple(blocks))

    def with_body(self, place, body):
        """Change the body of one block."""
        blocks = list(self.blocks)
        blocks[place] = blocks[place]._replace(body=body)
        return self.with_blocks(blocks)

    def place_of(self, kind, ordinal=0):
        return [i for i, block in enumerate(self.blocks) if block.kind == kind][ordinal]


def bounds_of(data):
    """Where the blocks of a valid file begin and end, the INDEX among them."""
    bounds, at = [], HEADER.size
    while at < len(data) - CRC.size:
        end = at + HEAD.size + HEAD.unpack_from(data, at)[3] + CRC.size
        bounds.append((at, end))
        at = end
    return bounds


def take_apart(data):
    """Return a valid file in parts."""
    signature, version, count = HEADER.unpack_from(data)
    blocks = [block_at(data, start, end) for start, end in bounds_of(data)]
    batch_records = json.loads(blocks[0].body)["record"]["batch_records"]
    return File(tuple(blocks[:-1]), signature, version, count, batch_records)


def block_at(data, start, end):
    """Return the bytes of a block in parts; they may claim another length."""
    kind, flags, reserved, len_body = HEAD.unpack_from(data, start)
    body = data[start + HEAD.size : end - CRC.size]
    claimed = None if len_body == len(body) else len_body
    return Block(kind, body, flags, reserved, claimed)


def reseal(data, original, at):
    """Make everything right that follows from a mutation of `original` at an offset.

    The blocks stand where they stood. What the INDEX repeats of the header or a block follows
    them; an INDEX that was hit itself stays as it is, but for its checksum and the trailer's.
    """
    *before, (start, end) = bounds_of(original)
    blocks = tuple(block_at(data, *place) for place in before)
    batch_records = take_apart(original).batch_records
    sealed = File(blocks, *HEADER.unpack_from(data), batch_records=batch_records).build()
    if at < start:
        return sealed
    payload = sealed[HEADER.size : start] + block_at(data, start, end).build()
    return sealed[: HEADER.size] + payload + CRC.pack(crc_of(payload))
