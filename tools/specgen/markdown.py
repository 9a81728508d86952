"""Markdown: tables without empty columns, inline code, integers in decimal and hex."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table; a column that is empty in all rows is left out.

    Examples
    --------
    >>> print(table(["Name", "Unit", "Value"], [["a", "", 1], ["b", "", 2]]))
    | Name | Value |
    |---|---|
    | a | 1 |
    | b | 2 |
    """
    cells = [[str(cell).replace("|", "\\|") for cell in row] for row in rows]
    kept = [i for i in range(len(headings)) if any(row[i] for row in cells)]
    lines = [[headings[i] for i in kept], *([row[i] for i in kept] for row in cells)]
    text = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([text[0], "|" + "---|" * len(kept), *text[1:]])


def code(text: object) -> str:
    """Return inline code, or the empty string for one."""
    return f"`{text}`" if str(text) else ""


def hex_integer(value: int) -> str:
    """Return an integer in upper-case hex digits, an even number of them.

    Examples
    --------
    >>> hex_integer(0xC0DA55E)
    '0x0C0DA55E'
    """
    digits = f"{value:X}"
    return "0x" + digits.zfill(len(digits) + len(digits) % 2)


def integer(value: int) -> str:
    """Return an integer in decimal with separators, or in hex beyond 2^53.

    Examples
    --------
    >>> integer(65536), integer(2**64 - 1)
    ('65,536', '0xFFFFFFFFFFFFFFFF')
    """
    return hex_integer(value) if value >= 1 << 53 else f"{value:,}"
