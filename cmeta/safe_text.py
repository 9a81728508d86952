r"""Text that somebody else wrote, on its way to a terminal or into a spreadsheet.

Names, labels, units, paths and values come from files. A terminal would execute the control
characters in them, and a spreadsheet a cell that begins as a formula does.

- `printable` is for whatever a person reads: messages, tables, reports, ``repr``, warnings. Every
  character that is not printable becomes its escape: control characters, line breaks, characters
  that reverse the direction of writing, lone surrogates. Applied twice, it changes nothing more.
- `spreadsheet_text` is for cells and names of CSV. `from_spreadsheet_text` takes it back exactly.

JSON needs neither: it has escapes of its own.
"""

from __future__ import annotations

import re

_MARK = "'"  # before a text, it tells spreadsheets that the cell is text
_FORMULA = re.compile(r"'*\s*[=+\-@\uFF1D\uFF0B\uFF0D\uFF20]|'*[\t\r\n]")
_MARKED = re.compile(rf"'(?={_FORMULA.pattern})")


def printable(text: str) -> str:
    r"""Return a text with escapes in place of characters that are not printable.

    Examples
    --------
    >>> printable("loss\x1b[2J\n")
    'loss\\x1b[2J\\n'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def printable_lines(text: str) -> str:
    r"""Return the same for a text of several lines, whose ``\n`` are kept.

    Examples
    --------
    >>> printable_lines("one\ntwo\r\x1b[A")
    'one\ntwo\\r\\x1b[A'
    """
    return "\n".join(map(printable, text.split("\n")))


def spreadsheet_text(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula: with an apostrophe before it.

    Examples
    --------
    >>> spreadsheet_text("=1+1"), spreadsheet_text("'=1+1"), spreadsheet_text("train")
    ("'=1+1", "''=1+1", 'train')
    """
    return f"{_MARK}{text}" if _FORMULA.match(text) else text


def from_spreadsheet_text(text: str) -> str:
    """Return the text that `spreadsheet_text` was given.

    Examples
    --------
    >>> from_spreadsheet_text("'=1+1"), from_spreadsheet_text("'train")
    ('=1+1', "'train")
    """
    return text[1:] if _MARKED.match(text) else text
