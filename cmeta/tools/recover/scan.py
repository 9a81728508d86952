"""Scanning a file: every intact block, wherever it is, and the gaps between blocks.

Blocks are walked one after the other. After a damaged one, the next bytes that could be the head of
a block are searched for, and accepted only if the block's CRC is right. The work is linear: false
matches are paid from a budget, a small multiple of the file, and without budget the search ends.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from cmeta.aliases import Progress
from cmeta.errors import ChecksumError, CorruptError, DecodeError, counted
from cmeta.format.block import Block, read_block
from cmeta.format.grammar import Grammar
from cmeta.source import Source

_WINDOWS = (1 << 12, 1 << 20)  # bytes searched at once: at first, and at most
_BATCH_BYTES_PER_CELL = 16  # more than any column takes


class SearchBudget:
    """Bytes that may still be spent on false matches, a small multiple of the file's length.

    Parameters
    ----------
    len_file : int
        Without the holes in it.
    """

    PER_BYTE = 16
    AT_LEAST = 1 << 24
    PER_TRY = 1 << 12  # the cost of a try besides its bytes

    def __init__(self, len_file: int) -> None:
        self.left = self.AT_LEAST + self.PER_BYTE * len_file

    @property
    def is_spent(self) -> bool:
        """Whether the search must end."""
        return self.left < 0

    def spend(self, len_checked: int) -> None:
        """Pay for a false match."""
        self.left -= len_checked + self.PER_TRY


@dataclass(frozen=True, slots=True)
class IntactBlock:
    """The place of an intact block.

    Attributes
    ----------
    name : str
        Its kind, "" for one that may be skipped.
    offset, end : int
    row : tuple of int, (3,)
        For a BATCH: records_count, first_timestamp, last_timestamp; otherwise zeros.
    """

    name: str
    offset: int
    end: int
    row: tuple[int, int, int] = (0, 0, 0)

    @property
    def length(self) -> int:
        """Length in bytes."""
        return self.end - self.offset


@dataclass(frozen=True)
class Gap:
    """Bytes without an intact block, and the problem at their beginning."""

    offset: int
    end: int
    problem: DecodeError


@dataclass
class Scan:
    """The intact blocks of a file, and the gaps.

    Attributes
    ----------
    source : Source
    grammar : Grammar
    newer : bool
        The file's minor version is newer than ours.
    pieces : list of IntactBlock or Gap
        In the order of the file, without overlap.
    gave_up_at : int or None
        Where the search ended because its budget was spent.
    """

    source: Source
    grammar: Grammar
    newer: bool
    pieces: list[IntactBlock | Gap] = field(default_factory=list)
    gave_up_at: int | None = None

    @property
    def blocks(self) -> list[IntactBlock]:
        """The intact blocks."""
        return [piece for piece in self.pieces if isinstance(piece, IntactBlock)]

    @property
    def gaps(self) -> list[Gap]:
        """The gaps between them."""
        return [piece for piece in self.pieces if isinstance(piece, Gap)]

    def blocks_of(self, name: str) -> list[IntactBlock]:
        """Return the intact blocks of one kind."""
        return [block for block in self.blocks if block.name == name]

    def read(self, block: IntactBlock) -> Block:
        """Read an intact block again."""
        return read_block(self.source, self.grammar, block.offset, block.end, newer=self.newer)

    def up_to(self, end: int) -> Scan:
        """Return the pieces before `end`; one that crosses it becomes a gap."""
        before = Scan(self.source, self.grammar, self.newer, gave_up_at=self.gave_up_at)
        for piece in self.pieces:
            if piece.end <= end:
                before.pieces.append(piece)
            elif piece.offset < end:
                message = f"continues after {end}, where the journal begins"
                problem: DecodeError = CorruptError(message, offset=piece.offset, path="block")
                if isinstance(piece, Gap):
                    problem = piece.problem
                before.pieces.append(Gap(piece.offset, end, problem))
        return before


def scan(source: Source, grammar: Grammar, *, newer: bool, progress: Progress) -> Scan:
    """Find the intact blocks of a file.

    Parameters
    ----------
    newer : bool
        The file's minor version is newer than ours: unknown blocks may be skipped.
    progress : callable
        Called with bytes done and bytes in all.
    """
    return _Scanner(source, grammar, newer, progress).run()


class _Scanner:
    def __init__(self, source: Source, grammar: Grammar, newer: bool, progress: Progress) -> None:
        self._source, self._grammar, self._newer = source, grammar, newer
        self._end, self._progress = source.size, progress
        self._budget = SearchBudget(source.len_on_disk)
        limits = grammar.format.limits
        self._len_max = {
            "SCHEMA": limits.json_bytes_max, "CONFIG": limits.json_bytes_max,
            "NAME": limits.name_bytes_max, "BATCH": _BATCH_BYTES_PER_CELL * limits.cells_max,
        }  # fmt: skip
        self._head = struct.Struct("<" + grammar.frame_head.codes)
        self._batch_head = struct.Struct("<" + grammar.batch_head.codes)
        self._len_look = self._head.size + self._batch_head.size
        heads = [(grammar.kinds[name], grammar.flags_of(name)) for name in grammar.bodies]
        starts = [self._head.pack(kind, flags, 0, 0)[:4] for kind, flags in heads]
        self._pattern = re.compile(b"|".join(map(re.escape, starts)))

    def run(self) -> Scan:
        """Walk, and search where walking fails."""
        result = Scan(self._source, self._grammar, self._newer)
        offset = min(self._grammar.header.size, self._end)
        has_schema = False
        while offset < self._end:
            block = self._block_at(offset)
            if isinstance(block, DecodeError):
                start, offset, problem = offset, self._search(offset + 1), block
                if self._budget.is_spent:
                    result.gave_up_at, offset = offset, self._end
                result.pieces.append(Gap(start, offset, problem))
                continue
            if block.name == "SCHEMA" and (has_schema or self._begins_another(block, result)):
                break
            has_schema |= block.name == "SCHEMA"
            result.pieces.append(block)
            offset = block.end
            if block.name == "INDEX" and isinstance(self._block_at(offset), DecodeError):
                offset += min(self._grammar.trailer.size, self._end - offset)
            self._progress(offset, self._end)
        if offset < self._end:
            problem = DecodeError(
                "found a second SCHEMA, expected one", offset=offset, path="SCHEMA"
            )
            result.pieces.append(Gap(offset, self._end, problem))
        return result

    def _block_at(self, offset: int) -> IntactBlock | DecodeError:
        """Return the block at an offset, or its error."""
        try:
            self._require_possible_length(offset)
            block = read_block(self._source, self._grammar, offset, self._end, newer=self._newer)
            return IntactBlock(block.name, block.offset, block.end, self._row(block))
        except DecodeError as err:
            if isinstance(err, ChecksumError):
                head = self._source.read(offset, self._head.size)
                self._budget.spend(self._head.unpack(head)[-1])
            return err.with_traceback(None)  # which would keep the bytes in memory

    def _require_possible_length(self, offset: int) -> None:
        """Refuse a block before it is read if its length can only be damaged."""
        if self._end - offset < self._head.size:
            return
        kind, _, _, len_body = self._head.unpack(self._source.read(offset, self._head.size))
        name = self._grammar.names.get(kind, "")
        len_max = self._len_max.get(name, len_body)
        if len_body > len_max:
            message = f"a body of {counted(len_body, 'byte')}, expected at most {len_max:,}"
            raise CorruptError(message, offset=offset, path=f"{name}.len_body")

    def _begins_another(self, schema: IntactBlock, result: Scan) -> bool:
        """Return whether another chronicle was appended: a header precedes its SCHEMA."""
        header = self._grammar.header
        if not result.blocks or schema.offset < header.size:
            return False
        try:
            header.parse(self._source.read(schema.offset - header.size, header.size))
        except DecodeError:
            return False
        return True

    def _row(self, block: Block) -> tuple[int, int, int]:
        if block.name != "BATCH":
            return (0, 0, 0)
        head = self._grammar.batch_head
        count, first, last = head.parse(block.body[: head.size]).values()
        return (count, first, last)

    def _search(self, start: int) -> int:
        """Return the offset of the next intact block, or the end."""
        for offset, data in self._candidates(start):
            if not self._is_plausible(offset, data):
                continue
            if not isinstance(self._block_at(offset), DecodeError) or self._budget.is_spent:
                return offset
        return self._end

    def _candidates(self, start: int) -> Iterator[tuple[int, bytes]]:
        """Yield the offsets at which a head of a known kind may begin, and the bytes there.

        Windows grow, so that gaps may be many and short.
        """
        size, size_max = _WINDOWS
        while start < self._end:
            start = max(start, self._source.next_data(start) - self._len_look)
            window = self._source.read(start, min(size, self._end - start))
            size = min(2 * size, size_max)
            at = 0
            # A head across two windows is found in the second.
            is_last = start + len(window) >= self._end
            stop = len(window) if is_last else len(window) - self._len_look + 1
            while (match := self._pattern.search(window, at)) and match.start() < stop:
                yield start + match.start(), window[match.start() : match.start() + self._len_look]
                at = match.start() + 1
            self._progress(start, self._end)
            if is_last:
                return
            start += stop

    def _is_plausible(self, offset: int, data: bytes) -> bool:
        """Return whether bytes can be the head of a block, so that its CRC is worth computing."""
        left = self._end - offset - self._grammar.len_frame
        if left < 0:
            return False
        kind, _, _, len_body = self._head.unpack_from(data)
        name, body = self._grammar.names[kind], data[self._head.size :]
        if len_body > min(left, self._len_max.get(name, len_body)):
            return False
        if name in ("SCHEMA", "CONFIG"):
            return bool(len_body >= 2 and body[:1] == b"{")
        if name == "NAME":
            return bool(len_body >= 1)
        if name == "BATCH":
            if min(len_body, len(body)) < self._batch_head.size:
                return False
            count, first, last = self._batch_head.unpack_from(body)
            count_max = self._grammar.format.limits.batch_records_max
            return bool(1 <= count <= count_max and first <= last)
        return True
