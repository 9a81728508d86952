"""Compressed files: gzip, bzip2, xz and Zstandard, by their signature and not by their name.

A file is decompressed to a temporary one, in pieces, because importers read a source more than
once. It may become `_RATIO` times as large, far more than any log does: a file that is made to fill
the disk is refused. If the compressed data is cut off, what comes before is imported. If it is
corrupt, the file is refused: most checksums come at the end, so that any value before them may be
wrong.
"""

from __future__ import annotations

import bz2
import lzma
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from cmeta.errors import EncodeError
from cmeta.extras import require
from cmeta.source import regular_file
from cmeta.storage.disk import new_stream

SUFFIXES = (".gz", ".bz2", ".xz", ".zst")
_LEN_PIECE = 1 << 8  # of input: Zstandard makes up to 2^15 times as much of it
_LEN_OUT = 1 << 20  # at once, of the others
_RATIO, _LEN_FREE = 64, 1 << 28  # any file may become as large as the second
_MEMORY = 1 << 28  # of xz: its own largest preset needs a quarter of that
_GZIP = 16 + zlib.MAX_WBITS
_SIGNATURES = {
    b"\x1f\x8b\x08": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd",
}  # fmt: skip
_BZIP2_BLOCKS = (b"1AY&SY", b"\x17rE8P\x90")  # of data, or the end of an empty stream


class _CorruptError(Exception):
    """Compressed data is corrupt."""


@contextmanager
def decompressed(source: Path, most: int | None = None) -> Iterator[tuple[Path, list[str]]]:
    """Yield the path of a file's content, and what is damaged: itself if it is not compressed.

    Parameters
    ----------
    source : Path
    most : int, optional
        The content ends after so many bytes; for a look at how it begins.

    Raises
    ------
    EncodeError
        The compressed data is corrupt, or becomes too large.
    MissingExtraError
        Zstandard needs a library that is not installed.
    """
    kind = _kind_of(source)
    if kind is None:
        yield source, []
        return
    damage: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        name = source.stem if source.suffix.lower() in SUFFIXES else source.name
        path = Path(folder) / name
        with open(source, "rb", opener=regular_file) as file, new_stream(path) as out:
            try:
                len_max = _len_max(source, folder)
                for piece in _pieces(file, _decoder_of(kind), kind, damage):
                    out.write(piece if most is None else piece[: most - out.tell()])
                    if most is not None and out.tell() >= most:
                        break
                    if out.tell() > len_max:
                        raise EncodeError(_too_large(source, kind, len_max))
            except _CorruptError as err:
                raise EncodeError(f"{source}: the {kind} data is corrupt: {err}") from err
        yield path, damage


def _len_max(source: Path, folder: str) -> int:
    """Return how large the content may become: not more than half of the room there is."""
    len_max = max(_LEN_FREE, _RATIO * source.stat().st_size)
    return min(len_max, shutil.disk_usage(folder).free // 2)


def _too_large(source: Path, kind: str, len_max: int) -> str:
    return (
        f"{source}: found {source.stat().st_size:,} bytes of {kind} that become more than "
        f"{len_max:,}, which no log does, or for which {tempfile.gettempdir()} has no room; "
        "decompress the file where there is room, and import the result"
    )


def _kind_of(source: Path) -> str | None:
    if not source.is_file():
        return None
    with open(source, "rb", opener=regular_file) as file:
        head = file.read(10)
    kinds = (kind for signature, kind in _SIGNATURES.items() if head.startswith(signature))
    kind = next(kinds, None)
    return None if kind == "bzip2" and head[4:] not in _BZIP2_BLOCKS else kind


def _decoder_of(kind: str) -> Callable[[], Any]:
    if kind == "gzip":
        return lambda: zlib.decompressobj(_GZIP)
    if kind == "bzip2":
        return bz2.BZ2Decompressor
    if kind == "xz":
        return lambda: lzma.LZMADecompressor(memlimit=_MEMORY)
    if sys.version_info >= (3, 14):
        decoder: Callable[[], Any] = require("compression.zstd", "zstd").ZstdDecompressor
        return decoder
    zstandard = require("zstandard", "zstd")
    return lambda: zstandard.ZstdDecompressor().decompressobj()


def _output(decoder: Any, data: bytes, kind: str) -> Iterator[bytes]:
    """Yield what some compressed bytes make, in pieces."""
    if kind == "gzip":
        yield decoder.decompress(data, _LEN_OUT)
        while decoder.unconsumed_tail:
            yield decoder.decompress(decoder.unconsumed_tail, _LEN_OUT)
        return
    if not hasattr(decoder, "needs_input"):  # the library zstandard takes no limit
        yield decoder.decompress(data)
        return
    yield decoder.decompress(data, _LEN_OUT)
    while not decoder.needs_input and not decoder.eof:
        yield decoder.decompress(b"", _LEN_OUT)


def _pieces(
    file: BinaryIO, new: Callable[[], Any], kind: str, damage: list[str]
) -> Iterator[bytes]:
    """Yield the content of one or more streams."""
    decoder, is_within = new(), False
    while data := file.read(_LEN_PIECE):
        while data:
            offset = file.tell() - len(data)
            try:
                yield from _output(decoder, data, kind)
            except Exception as err:  # each library has an error of its own
                if isinstance(err, MemoryError):
                    raise
                raise _CorruptError(f"offset {offset:,}: {err}") from err
            is_within = not decoder.eof
            if is_within:
                break
            data, decoder = decoder.unused_data.lstrip(b"\x00"), new()
    if is_within:
        damage.append(f"the {kind} data is cut off at offset {file.tell():,}")
