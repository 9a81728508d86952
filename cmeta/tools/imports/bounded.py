"""Reading in bounded pieces: no line and no document is read that is far longer than any record.

A text may be a single line of many gigabytes. What is longer than a record can be is skipped piece
by piece, and reported by the caller.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, AnyStr

from cmeta.errors import EncodeError
from cmeta.records import strict_json
from cmeta.source import regular_file

LINE_MAX = 1 << 24  # characters or bytes, its end included
_DOCUMENT_MAX = 1 << 28  # bytes; a parsed one takes many times as much memory
_LEN_PIECE = 1 << 16
_BOM = b"\xef\xbb\xbf"


def lines(file: IO[AnyStr], most: int = LINE_MAX) -> Iterator[tuple[AnyStr, int]]:
    """Yield each line, and its length; of one that is longer than `most`, the beginning.

    Examples
    --------
    >>> import io
    >>> list(lines(io.BytesIO(b"long line"), most=2))
    [(b'lo', 9)]
    """
    while line := file.readline(most):
        length, last = len(line), line
        while length >= most and last and not _has_end(last):
            last = file.readline(_LEN_PIECE)
            length += len(last)
        yield line, length


def _has_end(line: str | bytes) -> bool:
    return line.endswith(("\n", "\r")) if isinstance(line, str) else line.endswith(b"\n")


def too_long(length: int, most: int = LINE_MAX) -> str:
    """Return what is wrong with a line, as `BadLines` takes it."""
    return f": found a line of {length:,} characters, expected at most {most:,}"


def read_at_most(path: Path, most: int) -> bytes:
    """Return the bytes of a file; of one that has more than `most`, some that are more."""
    parts, length = list[bytes](), 0
    with open(path, "rb", opener=regular_file) as file:
        while length <= most and (part := file.read(_LEN_PIECE)):
            parts.append(part)
            length += len(part)
    return b"".join(parts)


def load_json(path: Path) -> Any:
    """Return the value of a document.

    Raises
    ------
    EncodeError
        It is too large or not JSON; names line and column.
    """
    data = read_at_most(path, _DOCUMENT_MAX)
    if len(data) > _DOCUMENT_MAX:
        raise EncodeError(
            f"{path}: found {path.stat().st_size:,} bytes in one JSON document, expected at most "
            f"{_DOCUMENT_MAX:,}; make it JSON lines, as with jq -c '.[]'"
        )
    try:
        return strict_json.loads(data.removeprefix(_BOM).rstrip())
    except ValueError as err:
        lineno, colno = getattr(err, "lineno", 0), getattr(err, "colno", 0)
        if lineno:
            message = f"not JSON, or cut short: {getattr(err, 'msg', err)}"
            raise EncodeError(f"{path}, line {lineno}, column {colno}: {message}") from err
        raise EncodeError(f"{path}: not JSON: {err}") from err
