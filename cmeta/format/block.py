"""Header and blocks of a file, encoded and decoded: frame, CRC, and the bodies of definitions.

Nothing of a block is used before its CRC has been checked.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cmeta.errors import (
    ChecksumError,
    CorruptError,
    DecodeError,
    TruncatedError,
    UnsupportedVersionError,
    error_context,
)
from cmeta.format.grammar import Grammar
from cmeta.schema import canonical_json
from cmeta.schema.schema import Schema
from cmeta.source import Source


@dataclass(frozen=True)
class Header:
    """The header of a file."""

    version: int
    records_count: int
    is_open: bool
    is_newer: bool


@dataclass(frozen=True)
class Block:
    """A block with a valid CRC.

    Attributes
    ----------
    name : str
        Name of its kind, or "" for an unknown kind that may be skipped.
    kind, flags : int
    offset, end : int
        Its place in the file.
    body_offset : int
        Offset of its body in the file.
    body : bytes
    """

    name: str
    kind: int
    flags: int
    offset: int
    end: int
    body_offset: int
    body: bytes


def read_header(source: Source, grammar: Grammar) -> Header:
    """Read and check the header.

    Raises
    ------
    TruncatedError, CorruptError, UnsupportedVersionError
    """
    data = source.read(0, min(grammar.header.size, source.size))
    with error_context(0, "header"):
        try:
            fields = grammar.header.parse(data)
        except CorruptError as err:
            if err.path == "signature":
                len_signature = grammar.header.upto("version").size
                err.message = f"not a .cmeta file: begins with {data[:len_signature]!r}"
            raise
    facts = grammar.format.format
    version = fields["version"]
    if version >> 8 != facts.major:
        raise UnsupportedVersionError(
            f"version {version >> 8}.{version & 0xFF}, expected {facts.major}.x",
            offset=grammar.header.upto("version").size,
            path="header.version",
        )
    count = fields["records_count"]
    is_newer = version & 0xFF > facts.minor
    return Header(version, count, count == facts.open_records_count, is_newer)


def encode_block(name: str, body: bytes, grammar: Grammar) -> tuple[bytes, int]:
    """Return a block around `body`, and its stored CRC."""
    head = grammar.frame_head.build(
        {"kind": grammar.kinds[name], "flags": grammar.flags_of(name), "len_body": len(body)}
    )
    crc = grammar.checksum.masked(head, body)
    return head + body + grammar.frame_tail.build({"masked_crc": crc}), crc


def read_block(source: Source, grammar: Grammar, offset: int, end: int, *, newer: bool) -> Block:
    """Read one block and check its frame and CRC.

    Parameters
    ----------
    offset : int
        Offset of the block in the file.
    end : int
        Offset at which it must end, at the latest.
    newer : bool
        The file's minor version is newer than ours: unknown blocks may be skipped.

    Raises
    ------
    TruncatedError, CorruptError, ChecksumError, UnsupportedVersionError
    """
    with error_context(offset, "block"):
        head = grammar.frame_head.parse(_upto(source, offset, grammar.frame_head.size, end))
    name = grammar.names.get(head["kind"], "")
    path = name or f"block of kind {head['kind']}"
    len_block = grammar.len_frame + head["len_body"]
    if len_block > end - offset:
        left = max(0, end - offset - grammar.len_frame)
        message = f"found a body of {head['len_body']} bytes, but only {left} are left for it"
        kind = TruncatedError if end >= source.size else CorruptError
        raise kind(message, offset=offset, path=f"{path}.len_body")
    data = source.read(offset, len_block)
    tail_at = len_block - grammar.frame_tail.size
    stored = grammar.frame_tail.parse(data[tail_at:])["masked_crc"]
    masked_crc = grammar.checksum.masked(memoryview(data)[:tail_at])
    if stored != masked_crc:
        message = f"the bytes give {masked_crc:#018x}, stored is {stored:#018x}"
        raise ChecksumError(message, offset=offset, path=f"{path}.masked_crc")
    _check_kind(name, head, grammar, offset, path, newer)
    start = grammar.frame_head.size
    return Block(
        name, head["kind"], head["flags"], offset, offset + len_block, offset + start,
        data[start:tail_at],
    )  # fmt: skip


@contextmanager
def numbered(name: str, number: Callable[[], int]) -> Iterator[None]:
    """Number the block in the path of a decode error: ``BATCH[3].masked_crc``."""
    try:
        yield
    except DecodeError as err:
        if is_repeated(name) and (err.path == name or err.path.startswith(f"{name}.")):
            err.path = f"{name}[{number()}]{err.path[len(name) :]}"
        raise


def _upto(source: Source, offset: int, length: int, end: int) -> bytes:
    """Return `length` bytes, or fewer if `end` comes first."""
    length = max(0, min(length, end - offset, source.size - offset))
    return source.read(offset, length) if length else b""


def _check_kind(
    name: str, head: dict[str, int], grammar: Grammar, offset: int, path: str, newer: bool
) -> None:
    critical = head["flags"] & grammar.format.blocks.critical_flag
    if name:
        if head["flags"] != grammar.flags_of(name) and not newer:
            expected = grammar.flags_of(name)
            raise CorruptError(
                f"found flags {head['flags']:#x}, expected {expected:#x}", offset=offset, path=path
            )
    elif not newer:
        raise CorruptError("unknown block kind", offset=offset, path=path)
    elif critical:
        raise UnsupportedVersionError("unknown critical block kind", offset=offset, path=path)


def walk(source: Source, grammar: Grammar, offset: int, *, newer: bool) -> Iterator[Block]:
    """Yield consecutive blocks, up to the INDEX or the end of the source.

    Raises
    ------
    DecodeError
        The bytes at the offset of the next block are not a block.
    """
    while offset < source.size:
        block = read_block(source, grammar, offset, source.size, newer=newer)
        yield block
        if block.name == "INDEX":
            return
        offset = block.end


# ------------------------------------------------------------------------------------ the bodies


def is_repeated(name: str) -> bool:
    """Return whether a file may have several blocks of a kind, and numbers them."""
    return name in DEFINITIONS or name == "BATCH"


def parse_config(block: Block, schema: Schema) -> Mapping[str, Any]:
    """Return the configuration of a CONFIG block.

    Raises
    ------
    DecodeError
    """
    with error_context(block.body_offset, "CONFIG"):
        config = canonical_json.loads(block.body, schema.format.limits)
    if not isinstance(config, dict):
        message = f"found a configuration of type {type(config).__name__}, expected an object"
        raise CorruptError(message, offset=block.body_offset, path="CONFIG")
    return config


def parse_name(block: Block, schema: Schema, known: Container[str] = ()) -> str:
    """Return the name of a NAME block, which must not be one of the `known` ones before it.

    Raises
    ------
    DecodeError
    """
    most = schema.format.limits.name_bytes_max
    if not 1 <= len(block.body) <= most:
        message = f"found a name of {len(block.body)} bytes, expected 1 to {most}"
        raise CorruptError(message, offset=block.body_offset, path="NAME")
    try:
        name = block.body.decode()
    except UnicodeDecodeError as err:
        message = f"not UTF-8: {err.reason}"
        raise CorruptError(message, offset=block.body_offset + err.start, path="NAME") from err
    if f"{schema.open_group}.{name}" in schema:
        message = f"{name!r} is a declared metric"
        raise CorruptError(message, offset=block.body_offset, path="NAME")
    if name in known:
        message = f"found the name {name!r} twice"
        raise CorruptError(message, offset=block.body_offset, path="NAME")
    return name


# The kinds of blocks that batches refer to by number, with the parser of each body.
DEFINITIONS: dict[str, Callable[[Block, Schema], Any]] = {
    "CONFIG": parse_config,
    "NAME": parse_name,
}
