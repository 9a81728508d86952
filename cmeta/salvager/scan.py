"""Scanning: every intact block of a file, wherever it stands, and the gaps between them.

Blocks are walked one behind the other. Where none stands, the next head that could be one is
searched for, and taken only if its CRC is right. The work is linear: the bytes whose CRC was
computed in vain are counted, and beyond a small multiple of the file the search gives up.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from cmeta.checks.blocks import Block, read_block
from cmeta.errors import ChecksumError, DecodeError
from cmeta.grammar import Grammar
from cmeta.source import Source

_WINDOW = 1 << 20  # bytes searched at once
_VAIN_PER_BYTE = 16  # CRCs computed in vain, in bytes, for each byte of the file
_VAIN_LEAST = 1 << 24


@dataclass(frozen=True)
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
        self._vain = _VAIN_LEAST + _VAIN_PER_BYTE * source.size
        self._head = struct.Struct("<" + grammar.frame_head.codes)
        self._batch_head = struct.Struct("<" + grammar.batch_head.codes)
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
            if piece.name == "SCHEMA" and has_schema:
                break  # another chronicle was put behind this one
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
            block = read_block(self._source, self._grammar, offset, self._end, newer=self._newer)
            return Found(block.name, block.offset, block.end, self._row(block))
        except DecodeError as err:
            if isinstance(err, ChecksumError):
                data = self._source.read(offset, self._head.size)
                self._vain -= self._head.unpack(data)[-1]
            return err

    def _row(self, block: Block) -> tuple[int, int, int]:
        if block.name != "BATCH":
            return (0, 0, 0)
        count, first, last = self._grammar.batch_head.parse(
            block.body[: self._grammar.batch_head.size]
        ).values()
        return (count, first, last)

    def _search(self, start: int) -> int:
        """Return the offset of the next intact block, or the end."""
        for offset in self._candidates(start):
            if not self._is_plausible(offset):
                continue
            if not isinstance(self._take(offset), DecodeError) or self._vain < 0:
                return offset
        return self._end

    def _candidates(self, start: int) -> Iterator[int]:
        """Yield where the first bytes of a head of a known kind stand."""
        while start < self._end:
            window = self._source.read(start, min(_WINDOW, self._end - start))
            at = 0
            while match := self._pattern.search(window, at):
                yield start + match.start()
                at = match.start() + 1
            self._progress(start)
            if start + len(window) >= self._end:
                return
            start += len(window) - (self._head.size - 1)  # a head may lie across two windows

    def _is_plausible(self, offset: int) -> bool:
        """Return whether a head can be one, so that its CRC is worth the time."""
        left = self._end - offset - self._grammar.len_frame
        if left < 0:
            return False
        look = self._head.size + min(self._batch_head.size, left)
        data = self._source.read(offset, look)
        kind, _, _, len_body = self._head.unpack_from(data)
        fits: bool = len_body <= left
        return fits and self._may_be(self._grammar.names[kind], len_body, data)

    def _may_be(self, name: str, len_body: int, data: bytes) -> bool:
        limits = self._grammar.format.limits
        body = data[self._head.size :]
        if name in ("SCHEMA", "CONFIG"):
            return 2 <= len_body <= limits.json_bytes_max and body[:1] == b"{"
        if name == "NAME":
            return 1 <= len_body <= limits.name_bytes_max
        if name == "BATCH":
            if len_body < self._batch_head.size:
                return False
            count, first, last = self._batch_head.unpack_from(body)
            fits: bool = 1 <= count <= limits.batch_records_max and first <= last
            return fits
        return True
