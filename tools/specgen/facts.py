"""The content of a schema file: its document, resolved, and the comments after its constants.

The comments are used too: only they state the purpose of a constant.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import tomli

from cmeta.schema.language import FORMAT_KEYS, Document, Format
from cmeta.schema.load import convert, shipped_format, shipped_path
from cmeta.schema.schema import Schema

_TABLE = re.compile(r"^\[\[?([\w.]+)\]\]?")
_COMMENTED = re.compile(r'^(\w+) *= *(?:"[^"]*"|[^"#])*# *(.+)$')


@dataclass(frozen=True)
class Facts:
    """The content of a schema file.

    Attributes
    ----------
    schema : Schema
        With documentation; `schema.format` is the part that the version fixes.
    comments : mapping of str to str
        By key path, such as ``format.limits.cells_max``.
    """

    schema: Schema
    comments: Mapping[str, str]

    @property
    def format(self) -> Format:
        """The part that the version fixes."""
        return self.schema.format


def load_facts(path: Path | None = None) -> Facts:
    """Read a schema file, by default the one that ships.

    Unlike `Schema.load` this takes a format part that differs from the shipped one: it describes
    a format, also one that is being designed.

    Raises
    ------
    SchemaError
        It is not a legal schema.
    """
    source = path or shipped_path()
    text = source.read_text("utf-8")
    toml = tomli.loads(text)
    document = convert(toml, Document, str(source))
    format_ = shipped_format()
    if set(FORMAT_KEYS) <= toml.keys():
        format_ = convert({key: toml[key] for key in FORMAT_KEYS}, Format, str(source))
    return Facts(Schema(document, format_, str(source)), comments_of(text))


def comments_of(toml: str) -> dict[str, str]:
    r"""Return the comments after a value, by key path.

    Examples
    --------
    >>> comments_of('[a.b]\nc = "#" # what it is for')
    {'a.b.c': 'what it is for'}
    """
    comments: dict[str, str] = {}
    table = ""
    for line in toml.splitlines():
        if found := _TABLE.match(line):
            table = found[1]
        elif found := _COMMENTED.match(line):
            comments[f"{table}.{found[1]}"] = found[2]
    return comments
