"""Scanning: every intact block of a file, wherever it stands, and the gaps between them.

Blocks are walked one behind the other. Where none stands, the next head that could be one is
searched for, and taken only if its CRC is right. The work is linear: what was tried in vain is
counted, and beyond a small multiple of the file the search gives up.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from cmeta.errors import ChecksumError, CorruptError, DecodeError
from cmeta.format.block import Block, read_block
from cmeta.format.grammar import Grammar
from cmeta.format.source import Source

_WINDOWS = (1 << 12, 1 << 20)  # bytes searched at once: at first, and at most
_BATCH_BYTES_PER_CELL = 16  # more than any column takes
VAIN_PER_BYTE = 16  # CRCs computed in vain, in bytes, for each byte of the file
VAIN_LEAST = 1 << 24
VAIN_PER_TRY = 1 << 12  # what a try costs besides its bytes


@dataclass(frozen=True, slots=True)
class Found:
    """An intact block.

    Attributes
    ----------
    name : str
        Its kind, "" for one that may be skipped.
    offset, end : int
    row : tuple of int, (3,)
        Of a BATCH: records_count, first_timestamp, last_timestamp; otherwise zeros.
    """

    name: str
    offset: int
    end: int
    row: tuple[int, int, int] = (0, 0, 0)


@dataclass(frozen=True)
class Gap:
    """Bytes that are no intact block, and why the first of them are none."""

    offset: int
    end: int
    problem: DecodeError


@dataclass
class Scan:
    """What a file holds.

    Attributes
    ----------
    pieces : list of Found or Gap
        In the order of the file, without overlap.
    gave_up_at : int or None
        Where the search was ended because the bytes were made to be slow.
    """

    pieces: list[Found | Gap] = field(default_factory=list)
    gave_up_at: int | None = None

    @property
    def blocks(self) -> list[Found]:
        """The intact blocks."""
        return [piece for piece in self.pieces if isinstance(piece, Found)]

    @property
    def gaps(self) -> list[Gap]:
        """What is between them."""
        return [piece for piece in self.pieces if isinstance(piece, Gap)]

    def upto(self, end: int) -> Scan:
        """Return what stands before `end`; what goes on behind it is no block."""
        before = Scan(gave_up_at=self.gave_up_at)
        for piece in self.pieces:
            if piece.end <= end:
                before.pieces.append(piece)
            elif piece.offset < end:
                message = f"goes on behind {end}, where the journal begins"
                problem: DecodeError = CorruptError(message, offset=piece.offset, path="block")
                if isinstance(piece, Gap):
                    problem = piece.problem
                before.pieces.append(Gap(piece.offset, end, problem))
        return before


def scan(
    source: Source, grammar: Grammar, end: int, *, newer: bool, progress: Callable[[int], None]
) -> Scan:
    """Find the intact blocks between the header and `end`.

    Parameters
    ----------
    newer : bool
        The file's minor version is newer than ours: unknown blocks may be skipped.
    progress : callable
        Called with the bytes done.
    """
    return _Scanner(source, grammar, end, newer, progress).run()


class _Scanner:
    def __init__(
        self, source: Source, grammar: Grammar, end: int, newer: bool,
        progress: Callable[[int], None],
    ) -> None:  # fmt: skip
        self._source, self._grammar, self._end, self._newer = source, grammar, end, newer
        self._progress = progress
        self._vain = VAIN_LEAST + VAIN_PER_BYTE * source.size
        limits = grammar.format.limits
        self._longest = {
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
        found = Scan()
        offset = min(self._grammar.header.size, self._end)
        has_schema = False
        while offset < self._end:
            piece = self._take(offset)
            if isinstance(piece, DecodeError):
                start, offset, problem = offset, self._search(offset + 1), piece
                if self._vain < 0:
                    found.gave_up_at, offset = offset, self._end
                found.pieces.append(Gap(start, offset, problem))
                continue
            if piece.name == "SCHEMA" and (has_schema or self._begins_another(piece, found)):
                break
            has_schema |= piece.name == "SCHEMA"
            found.pieces.append(piece)
            offset = piece.end
            if piece.name == "INDEX" and isinstance(self._take(offset), DecodeError):
                offset += min(self._grammar.trailer.size, self._end - offset)
            self._progress(offset)
        if offset < self._end:
            problem = DecodeError("another SCHEMA", offset=offset, path="SCHEMA")
            found.pieces.append(Gap(offset, self._end, problem))
        return found

    def _take(self, offset: int) -> Found | DecodeError:
        """Return the block at an offset, or why there is none."""
        try:
            self._require_possible_length(offset)
            block = read_block(self._source, self._grammar, offset, self._end, newer=self._newer)
            return Found(block.name, block.offset, block.end, self._row(block))
        except DecodeError as err:
            if isinstance(err, ChecksumError):
                data = self._source.read(offset, self._head.size)
                self._vain -= self._head.unpack(data)[-1] + VAIN_PER_TRY
            return err.with_traceback(None)  # which would keep the bytes in memory

    def _require_possible_length(self, offset: int) -> None:
        """Refuse a block before it is read if its length can only be damaged."""
        if self._end - offset < self._head.size:
            return
        kind, _, _, len_body = self._head.unpack(self._source.read(offset, self._head.size))
        name = self._grammar.names.get(kind, "")
        most = self._longest.get(name, len_body)
        if len_body > most:
            message = f"a body of {len_body} bytes, expected at most {most}"
            raise CorruptError(message, offset=offset, path=f"{name}.len_body")

    def _begins_another(self, schema: Found, found: Scan) -> bool:
        """Return whether a chronicle was put behind this one: its header precedes its SCHEMA."""
        header = self._grammar.header
        if not found.blocks or schema.offset < header.size:
            return False
        try:
            header.parse(self._source.read(schema.offset - header.size, header.size))
        except DecodeError:
            return False
        return True

    def _row(self, block: Block) -> tuple[int, int, int]:
        if block.name != "BATCH":
            return (0, 0, 0)
        count, first, last = self._grammar.batch_head.parse(
            block.body[: self._grammar.batch_head.size]
        ).values()
        return (count, first, last)

    def _search(self, start: int) -> int:
        """Return the offset of the next intact block, or the end."""
        for offset, data in self._candidates(start):
            if not self._is_plausible(offset, data):
                continue
            if not isinstance(self._take(offset), DecodeError) or self._vain < 0:
                return offset
        return self._end

    def _candidates(self, start: int) -> Iterator[tuple[int, bytes]]:
        """Yield where the first bytes of a head of a known kind stand, and what stands there.

        Windows grow, so that gaps may be many and short.
        """
        size, most = _WINDOWS
        while start < self._end:
            window = self._source.read(start, min(size, self._end - start))
            size = min(2 * size, most)
            at = 0
            # What lies across two windows is looked at in the second.
            is_last = start + len(window) >= self._end
            stop = len(window) if is_last else len(window) - self._len_look + 1
            while (match := self._pattern.search(window, at)) and match.start() < stop:
                yield start + match.start(), window[match.start() : match.start() + self._len_look]
                at = match.start() + 1
            self._progress(start)
            if is_last:
                return
            start += stop

    def _is_plausible(self, offset: int, data: bytes) -> bool:
        """Return whether a head can be one, so that its CRC is worth the time."""
        left = self._end - offset - self._grammar.len_frame
        if left < 0:
            return False
        kind, _, _, len_body = self._head.unpack_from(data)
        fits: bool = len_body <= left
        return fits and self._may_be(self._grammar.names[kind], len_body, data)

    def _may_be(self, name: str, len_body: int, data: bytes) -> bool:
        limits = self._grammar.format.limits
        body = data[self._head.size :]
        if len_body > self._longest.get(name, len_body):
            return False
        if name in ("SCHEMA", "CONFIG"):
            return len_body >= 2 and body[:1] == b"{"
        if name == "NAME":
            return len_body >= 1
        if name == "BATCH":
            if min(len_body, len(body)) < self._batch_head.size:
                return False
            count, first, last = self._batch_head.unpack_from(body)
            fits: bool = 1 <= count <= limits.batch_records_max and first <= last
            return fits
        return True
