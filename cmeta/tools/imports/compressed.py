"""Compressed files: gzip, bzip2, xz and Zstandard, by their signature and not by their name.

A file is decompressed to a temporary one, in pieces, because importers read a source more than
once. If the compressed data is cut off, what comes before is imported. If it is corrupt, the file
is refused: most checksums come at the end, so that any value before them may be wrong.
"""

from __future__ import annotations

import bz2
import lzma
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from cmeta.errors import EncodeError
from cmeta.extras import require
from cmeta.storage.disk import new_stream

SUFFIXES = (".gz", ".bz2", ".xz", ".zst")
_LEN_PIECE = 1 << 12  # of input: Zstandard makes up to 2^15 times as much of it
_GZIP = 16 + zlib.MAX_WBITS
_SIGNATURES = {
    b"\x1f\x8b\x08": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd",
}  # fmt: skip
_BZIP2_BLOCKS = (b"1AY&SY", b"\x17rE8P\x90")  # of data, or the end of an empty stream


class _CorruptError(Exception):
    """Compressed data is corrupt."""


@contextmanager
def decompressed(source: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield the path of a file's content, and what is damaged: itself if it is not compressed.

    Raises
    ------
    EncodeError
        The compressed data is corrupt.
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
        with source.open("rb") as file, new_stream(path) as out:
            try:
                for piece in _pieces(file, _decoder_of(kind), kind, damage):
                    out.write(piece)
            except _CorruptError as err:
                raise EncodeError(f"{source}: the {kind} data is corrupt: {err}") from err
        yield path, damage


def _kind_of(source: Path) -> str | None:
    if not source.is_file():
        return None
    with source.open("rb") as file:
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
        return lzma.LZMADecompressor
    if sys.version_info >= (3, 14):
        decoder: Callable[[], Any] = require("compression.zstd", "zstd").ZstdDecompressor
        return decoder
    zstandard = require("zstandard", "zstd")
    return lambda: zstandard.ZstdDecompressor().decompressobj()


def _pieces(
    file: BinaryIO, new: Callable[[], Any], kind: str, damage: list[str]
) -> Iterator[bytes]:
    """Yield the content of one or more streams."""
    decoder, is_within = new(), False
    while data := file.read(_LEN_PIECE):
        while data:
            offset = file.tell() - len(data)
            try:
                yield decoder.decompress(data)
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
