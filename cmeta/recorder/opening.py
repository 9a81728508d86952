"""Opening a chronicle for writing: where a session begins (SPEC, Beginning and continuing).

The store then publishes what has been found here as a journal of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cmeta.errors import RecorderError
from cmeta.grammar import Grammar
from cmeta.journal import Standing, journal_path, read_beside, standing_of
from cmeta.journal.rows import Tables
from cmeta.schema import Schema
from cmeta.source import FileSource
from cmeta.writer.encoder import Encoder

_CHUNK = 1 << 20


@dataclass
class Beginning:
    """Where a session begins.

    Attributes
    ----------
    schema : Schema
    encoder : Encoder
        At the end of the last full batch that stays.
    last_masked_crc : int
        Stored CRC of the block that ends there.
    bodies : list of bytes
        Rows behind it.
    tables : Tables
        Every configuration and name of the records that stay.
    last : tuple of int
        Timestamp and code of the phase of the last record.
    config : mapping or None
        The last record's configuration.
    num_dropped : int
        Records that `resume_at` has dropped.
    dropped_to : Path or None
        The chronicle into which they went.
    """

    schema: Schema
    encoder: Encoder
    last_masked_crc: int
    bodies: list[bytes] = field(default_factory=list)
    tables: Tables = field(default_factory=Tables)
    last: tuple[int, int] = (0, 0)
    config: Any = None
    num_dropped: int = 0
    dropped_to: Path | None = None


def look(path: Path, grammar: Grammar) -> tuple[FileSource | None, Standing]:
    """Return the main file, if there is one, and its state; the caller holds the lock."""
    try:
        main = FileSource(path)
    except FileNotFoundError:
        main = None
    return main, standing_of(main, read_beside(path), grammar)


def require_resumable(path: Path, standing: Standing) -> None:
    """Refuse a file that cannot be continued without losing something.

    Raises
    ------
    RecorderError
        Says what is wrong and what helps.
    """
    remedy = f'`cmeta recover {path} OUT` saves what is intact; mode="replace" begins anew'
    if standing.kind == "open without journal":
        raise RecorderError(
            f"{path}: was never closed, and its journal {journal_path(path).name} is missing: "
            f"records behind the last full batch may be lost. {remedy}"
        )
    if standing.kind == "journal without main file":
        raise RecorderError(
            f"{path}: is missing, but its journal {journal_path(path).name} holds records. {remedy}"
        )
    if standing.kind == "damaged":
        raise RecorderError(f"{path}: is damaged: {standing.problem}. {remedy}")


def begin_anew(schema: Schema) -> tuple[Beginning, bytes]:
    """Return the beginning of a new chronicle, and the bytes that its main file begins with."""
    encoder = Encoder(schema)
    data = encoder.begin()
    size = encoder.grammar.frame_tail.size
    stored = encoder.grammar.frame_tail.parse(data[-size:])["masked_crc"]
    return Beginning(schema, encoder, stored), data
