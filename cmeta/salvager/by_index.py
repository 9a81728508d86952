"""Placing blocks by the INDEX: which of its entries each intact block is.

The INDEX says where each block stood. When bytes were taken out or put in, all that is behind them
has moved by as much as the INDEX itself. A BATCH says itself who it is, by count and timestamps; a
CONFIG or NAME does not, so one that could be either of two is neither.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

import numpy as np

from cmeta.checks.blocks import read_block
from cmeta.checks.structure import Table, check_table
from cmeta.errors import DecodeError
from cmeta.grammar import Grammar
from cmeta.salvager.scan import Found, Scan
from cmeta.schema import Schema
from cmeta.source import Source

_CHUNK = 1 << 20
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
    """

    numbered: list[tuple[Found, int]] = field(default_factory=list)
    batches: list[tuple[Found | None, int]] = field(default_factory=list)


def find_index(
    scan: Scan, source: Source, grammar: Grammar, schema: Schema | None, *, newer: bool
) -> Index | None:
    """Return the first INDEX that is intact and, by a schema, free of contradictions."""
    for found in scan.blocks:
        if found.name != "INDEX":
            continue
        block = read_block(source, grammar, found.offset, found.end, newer=newer)
        try:
            fields = grammar.bodies["INDEX"].parse(block.body)
        except DecodeError:
            continue
        table, end = fields["entries"], fields["index_offset"]
        if schema is None or not any(check_table(table, end, None, schema, grammar)):
            return Index(found, fields["version"], table, end, fields["running_crc"])
    return None


def place(index: Index, scan: Scan, source: Source, grammar: Grammar, schema: Schema) -> Placing:
    """Return which block is which."""
    matched = _Matcher(index, scan, grammar).match()
    doubtful = _doubtful(index, scan, matched, source, grammar, schema)
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
    return placing


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

    def match(self) -> dict[int, Found]:
        """Return the block of each entry that has one."""
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
        self._match_by_content(matched)
        return matched

    def _match_by_content(self, matched: dict[int, Found]) -> None:
        """Match what stands elsewhere: by what only one block and only one entry has.

        Of batches that are alike in all of it the order decides: each says itself what it holds.
        """
        used = {found.offset for found in matched.values()}
        blocks: dict[Key, list[Found]] = defaultdict(list)
        for found in self._blocks.values():
            if found.offset not in used:
                blocks[_key(found)].append(found)
        rows: dict[Key, list[int]] = defaultdict(list)
        for row, key in enumerate(self._keys):
            if row not in matched:
                rows[key].append(row)
        for key, candidates in rows.items():
            found_here = blocks.get(key, [])
            if key[0] == "BATCH" or len(candidates) == len(found_here) == 1:
                matched.update(zip(candidates, found_here, strict=False))


def _key(found: Found) -> Key:
    return found.name, found.end - found.offset, found.row


def _doubtful(
    index: Index,
    scan: Scan,
    matched: dict[int, Found],
    source: Source,
    grammar: Grammar,
    schema: Schema,
) -> set[int]:
    """Return the entries of CONFIG and NAME blocks that may have been exchanged for one another.

    Blocks of one length can be exchanged without a trace in the INDEX; only the CRC of the whole
    payload tells. It is asked when nothing else has been damaged, so that it could be right.
    """
    in_place = index.block.offset == index.end and len(matched) == len(index.table)
    in_place = in_place and all(
        found.offset == index.table["offset"][row] for row, found in matched.items()
    )
    if not in_place or scan.gaps:
        return set()
    start = _first_doubtful_byte(index, source, grammar, schema)
    groups: dict[Key, list[int]] = defaultdict(list)
    for row, found in matched.items():
        if found.name in _NUMBERED and found.offset >= start:
            groups[_key(found)].append(row)
    return {row for rows in groups.values() if len(rows) > 1 for row in rows}


def _first_doubtful_byte(index: Index, source: Source, grammar: Grammar, schema: Schema) -> int:
    """Return from where on no CRC confirms the order of blocks; the file's size if all of it is."""
    is_batch = index.table["kind"] == grammar.kinds["BATCH"]
    full = np.flatnonzero(is_batch & (index.table["records_count"] == schema.batch_records))
    crc, at = None, grammar.header.size
    running_at = _end_of(index, int(full[-1])) if len(full) else _end_of(index, 0)
    start = grammar.header.size
    for stop in (running_at, index.block.end):
        while at < stop:
            data = source.read(at, min(_CHUNK, stop - at))
            crc = grammar.checksum(data, crc)
            at += len(data)
        if stop == running_at and crc == index.running_crc:
            start = stop
    if source.size - index.block.end < grammar.trailer.size:
        return source.size if start == running_at else start  # its absence explains itself
    tail = source.read(index.block.end, grammar.trailer.size)
    stored = grammar.trailer.parse(tail)["checksum"]
    differing = (stored ^ (crc or 0)).bit_count()
    confirmed = differing == 0 or (
        start == running_at and differing <= _BITS_OF_A_DAMAGED_TRAILER
    )  # fmt: skip
    return source.size if confirmed else start


def _end_of(index: Index, row: int) -> int:
    table = index.table
    return int(table["offset"][row + 1]) if row + 1 < len(table) else index.end
