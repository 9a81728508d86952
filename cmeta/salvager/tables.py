"""Tables: what the numbers of configurations and names stand for, as far as that is certain.

A number that is not in its table is never guessed: what refers to it is left out.
"""

from __future__ import annotations

from cmeta.checks.blocks import read_block
from cmeta.checks.metadata import parse_config, parse_name
from cmeta.errors import DecodeError
from cmeta.grammar import Grammar
from cmeta.salvager.scan import Found
from cmeta.schema import Schema
from cmeta.source import Source


class Tables:
    """Configurations and names by number.

    Attributes
    ----------
    names : list of str
        By NAME number; "" where it is not known.
    configs : dict of int to bytes
        Bodies, by CONFIG number.
    """

    def __init__(self, source: Source, grammar: Grammar, schema: Schema, *, newer: bool) -> None:
        self.source, self.grammar, self.schema, self.newer = source, grammar, schema, newer
        self.names: list[str] = []
        self.configs: dict[int, bytes] = {}
        self._numbers: dict[str, int] = {}

    def define(self, block: Found, number: int) -> None:
        """Take a CONFIG or NAME block; one that breaks a rule defines nothing."""
        read = read_block(
            self.source, self.grammar, block.offset, block.end, newer=self.newer
        )  # fmt: skip
        try:
            if block.name == "CONFIG":
                parse_config(read, self.schema)
                self.configs[number] = read.body
                return
            name = parse_name(read, self.schema)
        except DecodeError:
            return
        if name not in self._numbers:
            self.make_room(number)
            self.names[number] = name
            self._numbers[name] = number

    def make_room(self, number: int) -> None:
        """Let a NAME number be looked up, known or not."""
        self.names += [""] * (number + 1 - len(self.names))

    def forget(self, name: str, numbers: range) -> None:
        """Take back definitions of CONFIG or NAME that turned out to be doubtful."""
        for number in numbers:
            if name == "CONFIG":
                self.configs.pop(number, None)
            elif number < len(self.names):
                self._numbers.pop(self.names[number], None)
                self.names[number] = ""
