"""Placing blocks by the INDEX: which of its entries each intact block is.

The INDEX says where each block stood. When bytes were taken out or put in, all that is behind them
has moved by as much as the INDEX itself. A BATCH says itself who it is, by count and timestamps; a
CONFIG or NAME does not. If all blocks are there, the CRC of the whole decides, in whatever order
they stand now. Otherwise their places are believed, unless one of them is not at its place: then of
blocks that could be exchanged without a trace none is used.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

import numpy as np

from cmeta.errors import DecodeError
from cmeta.format.block import read_block
from cmeta.format.grammar import Grammar
from cmeta.format.index import Table, check_table
from cmeta.format.source import Source
from cmeta.schema.schema import Schema
from cmeta.tools.recover.scan import Found, Scan

_CHUNK = 1 << 16
_INDEXES_MAX = 8  # that are looked at; a file has one
_BITS_OF_A_DAMAGED_TRAILER = 8  # bits that differ; after a swap of blocks about 32 would
Key = tuple[str, int, tuple[int, int, int]]  # kind, length, and of a BATCH its row
_NUMBERED = ("CONFIG", "NAME")


@dataclass(frozen=True)
class Index:
    """An INDEX that is intact and contradicts nothing.

    Attributes
    ----------
    block : Found
    version : int
    table : structured array, (n_blocks,)
    end : int
        Where the INDEX stood when it was written.
    running_crc : int
    """

    block: Found
    version: int
    table: Table
    end: int
    running_crc: int


@dataclass
class Placing:
    """Which block is which.

    Attributes
    ----------
    numbered : list of (Found, int)
        CONFIG and NAME blocks whose number is certain.
    batches : list of (Found or None, row of the table)
        In the order of the INDEX; None: lost.
    copies, strangers : list of Found
        Intact batches that the INDEX has no entry for; copies are like one that it has.
    """

    numbered: list[tuple[Found, int]] = field(default_factory=list)
    batches: list[tuple[Found | None, int]] = field(default_factory=list)
    copies: list[Found] = field(default_factory=list)
    strangers: list[Found] = field(default_factory=list)

    @property
    def fits(self) -> bool:
        """Whether the INDEX is this file's: it has every batch that is there."""
        return not self.strangers


def find_index(
    scan: Scan, source: Source, grammar: Grammar, schema: Schema, *, newer: bool
) -> Index | None:
    """Return the first INDEX that is intact and free of contradictions."""
    for found in [block for block in scan.blocks if block.name == "INDEX"][:_INDEXES_MAX]:
        block = read_block(source, grammar, found.offset, found.end, newer=newer)
        try:
            fields = grammar.bodies["INDEX"].parse(block.body)
        except DecodeError:
            continue
        table, end = fields["entries"], fields["index_offset"]
        if not any(check_table(table, end, None, schema, grammar)):
            return Index(found, fields["version"], table, end, fields["running_crc"])
    return None


def place(index: Index, scan: Scan, source: Source, grammar: Grammar, schema: Schema) -> Placing:
    """Return which block is which."""
    match = _Matcher(index, scan, grammar).match()
    matched, doubtful = match.blocks, _doubtful(index, match, source, grammar, schema)
    placing = Placing()
    counts: Counter[str] = Counter()
    for row, kind in enumerate(index.table["kind"].tolist()):
        name = grammar.names.get(kind, "")
        if name == "BATCH":
            placing.batches.append((matched.get(row), row))
        elif name in _NUMBERED:
            if row in matched and row not in doubtful:
                placing.numbered.append((matched[row], counts[name]))
            counts[name] += 1
    used = {found.offset for found in matched.values()}
    there = {found.row for found in matched.values()}
    for block in scan.blocks:
        if block.name == "BATCH" and block.offset not in used:
            (placing.copies if block.row in there else placing.strangers).append(block)
    return placing


def crc_of(source: Source, grammar: Grammar, start: int, end: int, running: int) -> int:
    """Return the CRC of what `running` is the CRC of, followed by a stretch of the file."""
    while start < end:
        data = source.read(start, min(_CHUNK, end - start))
        running = grammar.checksum(data, running)
        start += len(data)
    return running


@dataclass
class _Match:
    """The block of each entry that has one.

    `shared` are the entries that have something in common with more than one block or entry: all
    but their place. `is_shuffled` says that a CONFIG or NAME is not at its place.
    """

    blocks: dict[int, Found]
    shared: set[int]
    is_shuffled: bool = False


class _Matcher:
    def __init__(self, index: Index, scan: Scan, grammar: Grammar) -> None:
        table = index.table
        ends = np.append(table["offset"][1:], np.uint64(index.end))
        lengths = (ends - table["offset"]).tolist()
        names = [grammar.names.get(kind, "") for kind in table["kind"].tolist()]
        facts = zip(
            *(table[n].tolist() for n in ("records_count", "first_timestamp", "last_timestamp")),
            strict=True,
        )
        # What a block must have in common with its entry, but for its place.
        self._keys: list[Key] = list(zip(names, lengths, facts, strict=True))
        self._offsets: list[int] = table["offset"].tolist()
        self._shift = index.block.offset - index.end
        self._blocks = {found.offset: found for found in scan.blocks}

    def match(self) -> _Match:
        """Match by place, then by content."""
        claims: dict[int, list[int]] = defaultdict(list)
        for row, offset in enumerate(self._offsets):
            for place_ in {offset, offset + self._shift}:
                found = self._blocks.get(place_)
                if found is not None and _key(found) == self._keys[row]:
                    claims[place_].append(row)
        places: dict[int, list[int]] = defaultdict(list)
        for place_, rows in claims.items():
            for row in rows:
                places[row].append(place_)
        matched = {
            row: self._blocks[found[0]]
            for row, found in places.items()
            if len(found) == 1 and len(claims[found[0]]) == 1
        }
        entries, blocks = Counter(self._keys), Counter(map(_key, self._blocks.values()))
        shared = {i for i, key in enumerate(self._keys) if max(entries[key], blocks[key]) > 1}
        match = _Match(matched, shared)
        self._match_by_content(match)
        return match

    def _match_by_content(self, match: _Match) -> None:
        """Match what stands elsewhere by kind, length and, of a BATCH, what it says itself.

        Of blocks that are alike in all of it the order decides.
        """
        used = {found.offset for found in match.blocks.values()}
        blocks: dict[Key, list[Found]] = defaultdict(list)
        for found in self._blocks.values():
            if found.offset not in used:
                blocks[_key(found)].append(found)
        moved = {
            found.name for row, found in match.blocks.items() if found.offset != self._offsets[row]
        }
        match.is_shuffled = not moved.union(name for name, _, _ in blocks).isdisjoint(_NUMBERED)
        rows: dict[Key, list[int]] = defaultdict(list)
        for row, key in enumerate(self._keys):
            if row not in match.blocks:
                rows[key].append(row)
        for key, candidates in rows.items():
            found_here = blocks.get(key, [])
            match.blocks.update(zip(candidates, found_here, strict=False))


def _key(found: Found) -> Key:
    return found.name, found.end - found.offset, found.row


def _doubtful(
    index: Index, match: _Match, source: Source, grammar: Grammar, schema: Schema
) -> set[int]:
    """Return the entries of CONFIG and NAME blocks that may be another one's."""
    first = len(index.table)
    if len(match.blocks) == first:
        first = _first_unconfirmed(index, match, source, grammar, schema)
    elif match.is_shuffled:
        first = 0
    return {row for row in match.shared if row >= first}


def _first_unconfirmed(
    index: Index, match: _Match, source: Source, grammar: Grammar, schema: Schema
) -> int:
    """Return from which entry on no CRC confirms the blocks; their number if all are confirmed."""
    is_batch = index.table["kind"] == grammar.kinds["BATCH"]
    full = np.flatnonzero(is_batch & (index.table["records_count"] == schema.batch_records))
    last = int(full[-1]) if len(full) else 0
    crc, start = grammar.checksum(b""), 0
    for row in range(len(index.table)):
        found = match.blocks[row]
        crc = crc_of(source, grammar, found.offset, found.end, crc)
        if row == last and crc == index.running_crc:
            start = last + 1
    crc = crc_of(source, grammar, index.block.offset, index.block.end, crc)
    is_prefix_right = start == last + 1
    if source.size - index.block.end < grammar.trailer.size:
        return len(index.table) if is_prefix_right else 0  # its absence explains itself
    tail = source.read(index.block.end, grammar.trailer.size)
    differing = (grammar.trailer.parse(tail)["checksum"] ^ crc).bit_count()
    is_damaged = is_prefix_right and differing <= _BITS_OF_A_DAMAGED_TRAILER
    return len(index.table) if differing == 0 or is_damaged else start
