"""Placement: which entry of the INDEX each intact block belongs to.

The INDEX has the offset of each block. After bytes were removed or inserted, all blocks after them
have moved by as much as the INDEX itself. A BATCH identifies itself, by count and timestamps; a
CONFIG or NAME does not. If all blocks are intact, the CRC of the file decides, whatever their
order. Otherwise their offsets are trusted, unless one block is elsewhere: then no block is used
that another one could have replaced without a trace.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

import numpy as np

from cmeta.errors import DecodeError
from cmeta.format.index import Table, check_table
from cmeta.schema.schema import Schema
from cmeta.tools.recover.scan import IntactBlock, Scan

_INDEXES_MAX = 8  # that are tried; a file has one
_TRAILER_BITS_MAX = 8  # that differ in a damaged CRC; after a swap of blocks about 32 do
_Key = tuple[str, int, tuple[int, int, int]]  # kind and length of a block, and row of a BATCH
_NUMBERED = ("CONFIG", "NAME")


@dataclass(frozen=True)
class Index:
    """An INDEX that is intact and free of contradictions.

    Attributes
    ----------
    block : IntactBlock
    version : int
    table : structured array, (n_blocks,)
    end : int
        The offset at which the INDEX was written.
    running_crc : int
    status : int
        How the run ended.
    """

    block: IntactBlock
    version: int
    table: Table
    end: int
    running_crc: int
    status: int


@dataclass
class Placement:
    """The blocks of an INDEX, as far as they were found.

    Attributes
    ----------
    numbered : list of (IntactBlock, int)
        CONFIG and NAME blocks whose number is certain.
    batches : list of (IntactBlock or None, int)
        Each BATCH with its row in the table, in the order of the INDEX; None: lost.
    copies, strangers : list of IntactBlock
        Intact batches without an entry; a copy is like a batch that has one.
    """

    numbered: list[tuple[IntactBlock, int]] = field(default_factory=list)
    batches: list[tuple[IntactBlock | None, int]] = field(default_factory=list)
    copies: list[IntactBlock] = field(default_factory=list)
    strangers: list[IntactBlock] = field(default_factory=list)

    @property
    def fits(self) -> bool:
        """Whether the INDEX is this file's: it has an entry for every intact batch."""
        return not self.strangers


def find_index(scan: Scan, schema: Schema) -> Index | None:
    """Return the first INDEX that is intact and free of contradictions."""
    for block in scan.blocks_of("INDEX")[:_INDEXES_MAX]:
        try:
            fields = scan.grammar.bodies["INDEX"].parse(scan.read(block).body)
        except DecodeError:
            continue
        table, end = fields["entries"], fields["index_offset"]
        if not any(check_table(table, end, None, schema, scan.grammar)):
            crc, status = fields["running_crc"], fields["status"]
            return Index(block, fields["version"], table, end, crc, status)
    return None


def place_blocks(index: Index, scan: Scan, schema: Schema) -> Placement:
    """Return the block of each entry."""
    match = _Matcher(index, scan).match()
    doubtful = _doubtful(index, match, scan, schema)
    placement = Placement()
    counts: Counter[str] = Counter()
    for row, kind in enumerate(index.table["kind"].tolist()):
        name = scan.grammar.names.get(kind, "")
        if name == "BATCH":
            placement.batches.append((match.blocks.get(row), row))
        elif name in _NUMBERED:
            if row in match.blocks and row not in doubtful:
                placement.numbered.append((match.blocks[row], counts[name]))
            counts[name] += 1
    used = {block.offset for block in match.blocks.values()}
    rows = {block.row for block in match.blocks.values()}
    for block in scan.blocks_of("BATCH"):
        if block.offset not in used:
            (placement.copies if block.row in rows else placement.strangers).append(block)
    return placement


@dataclass
class _Match:
    """The block of each entry that has one.

    `shared` are the entries whose key is that of another entry, or of several blocks.
    `is_shuffled`: a CONFIG or NAME is not at its place.
    """

    blocks: dict[int, IntactBlock]
    shared: set[int]
    is_shuffled: bool = False


class _Matcher:
    def __init__(self, index: Index, scan: Scan) -> None:
        table, grammar = index.table, scan.grammar
        ends = np.append(table["offset"][1:], np.uint64(index.end))
        lengths = (ends - table["offset"]).tolist()
        names = [grammar.names.get(kind, "") for kind in table["kind"].tolist()]
        columns = ("records_count", "first_timestamp", "last_timestamp")
        rows = zip(*(table[column].tolist() for column in columns), strict=True)
        self._keys: list[_Key] = list(zip(names, lengths, rows, strict=True))
        self._offsets: list[int] = table["offset"].tolist()
        self._shift = index.block.offset - index.end
        self._blocks = {block.offset: block for block in scan.blocks}

    def match(self) -> _Match:
        """Match by place, then by content."""
        claims: dict[int, list[int]] = defaultdict(list)
        for row, offset in enumerate(self._offsets):
            for at in {offset, offset + self._shift}:
                block = self._blocks.get(at)
                if block is not None and _key(block) == self._keys[row]:
                    claims[at].append(row)
        places: dict[int, list[int]] = defaultdict(list)
        for at, rows in claims.items():
            for row in rows:
                places[row].append(at)
        matched = {
            row: self._blocks[offsets[0]]
            for row, offsets in places.items()
            if len(offsets) == 1 and len(claims[offsets[0]]) == 1
        }
        entries, blocks = Counter(self._keys), Counter(map(_key, self._blocks.values()))
        shared = {i for i, key in enumerate(self._keys) if max(entries[key], blocks[key]) > 1}
        match = _Match(matched, shared)
        self._match_by_content(match)
        return match

    def _match_by_content(self, match: _Match) -> None:
        """Match blocks elsewhere by kind, length and row; equal ones in the order of the file."""
        used = {block.offset for block in match.blocks.values()}
        blocks: dict[_Key, list[IntactBlock]] = defaultdict(list)
        for block in self._blocks.values():
            if block.offset not in used:
                blocks[_key(block)].append(block)
        moved = {
            block.name for row, block in match.blocks.items() if block.offset != self._offsets[row]
        }
        match.is_shuffled = not moved.union(name for name, _, _ in blocks).isdisjoint(_NUMBERED)
        rows: dict[_Key, list[int]] = defaultdict(list)
        for row, key in enumerate(self._keys):
            if row not in match.blocks:
                rows[key].append(row)
        for key, candidates in rows.items():
            match.blocks.update(zip(candidates, blocks.get(key, []), strict=False))


def _key(block: IntactBlock) -> _Key:
    """Return the identity of a block and its entry: kind, length and row."""
    return block.name, block.length, block.row


def _doubtful(index: Index, match: _Match, scan: Scan, schema: Schema) -> set[int]:
    """Return the entries of CONFIG and NAME blocks whose block may belong to another entry."""
    first = len(index.table)
    if len(match.blocks) == first:
        first = _first_unconfirmed(index, match, scan, schema)
    elif match.is_shuffled:
        first = 0
    return {row for row in match.shared if row >= first}


def _first_unconfirmed(index: Index, match: _Match, scan: Scan, schema: Schema) -> int:
    """Return the first entry that no CRC confirms; the number of entries if all are confirmed."""
    grammar, num_entries = scan.grammar, len(index.table)
    is_batch = index.table["kind"] == grammar.kinds["BATCH"]
    full = np.flatnonzero(is_batch & (index.table["records_count"] == schema.batch_records))
    last = int(full[-1]) if len(full) else 0  # up to here the running CRC goes
    source, checksum = scan.source, grammar.checksum
    crc, start = checksum(b""), 0
    for row in range(num_entries):
        block = match.blocks[row]
        crc = checksum.over(source, block.offset, block.end, crc)
        if row == last and crc == index.running_crc:
            start = last + 1
    crc = checksum.over(source, index.block.offset, index.block.end, crc)
    is_prefix_right = start == last + 1
    if source.size - index.block.end < grammar.trailer.size:
        return num_entries if is_prefix_right else 0  # cut off, which explains the rest
    trailer = grammar.trailer.parse(source.read(index.block.end, grammar.trailer.size))
    num_bits = (trailer["checksum"] ^ crc).bit_count()
    is_trailer_damaged = is_prefix_right and num_bits <= _TRAILER_BITS_MAX
    return num_entries if num_bits == 0 or is_trailer_damaged else start
