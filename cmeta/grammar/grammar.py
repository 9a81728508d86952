"""The grammar: header, blocks, columns, index, trailer and journal, built from a schema.

Nothing here knows a width, an order or a number; all of that comes from the schema. construct
frames a batch down to the boundaries of its columns; a column's bytes are decoded whole.
"""

from __future__ import annotations

from functools import cache, cached_property

from construct import Construct

from cmeta.checksum import Checksum
from cmeta.codecs.adapters import compose
from cmeta.grammar.layout import Layout, scalar_bytes
from cmeta.schema import Field, Format, shipped_format


class Grammar:
    """Every layout of a format, and its checksum.

    Attributes
    ----------
    header, trailer : Layout
        The ends of a file.
    frame : Layout
        A whole block; `frame_head` and `frame_tail` are what stands around its body.
    bodies : dict of str to Layout
        The body of each kind of block, by name.
    """

    def __init__(self, format_: Format, *, fast: bool = True) -> None:
        self.format = format_
        self.fast = fast
        self.checksum = Checksum(format_.checksum)
        self.header = self.layout(format_.header.fields)
        self.trailer = self.layout(format_.trailer.fields)
        self.frame = self.layout(format_.blocks.frame.fields)
        self.frame_head = self.frame.upto("body")
        self.frame_tail = self.frame.after("body")
        kinds = format_.blocks.kinds
        self.bodies = {name: self.layout(kind.fields) for name, kind in kinds.items()}
        self.kinds = {name: kind.kind for name, kind in kinds.items()}
        self.names = {code: name for name, code in self.kinds.items()}
        self._columns: dict[Field, Construct] = {}

    def layout(self, fields: tuple) -> Layout:  # type: ignore[type-arg]
        """Return the layout of some fields of the schema."""
        return Layout(fields, self.format, fast=self.fast)

    # ------------------------------------------------------------------------------ sizes

    @cached_property
    def len_frame(self) -> int:
        """Bytes of a block besides its body."""
        return self.frame_head.size + self.frame_tail.size

    @cached_property
    def batch_head(self) -> Layout:
        """The fixed part of a BATCH body, before its directory."""
        return self.bodies["BATCH"].upto("len_columns")

    @cached_property
    def index_entry(self) -> Layout:
        """An entry of the INDEX."""
        return self.layout(self.format.structs["index_entry"].fields)

    @cached_property
    def index_tail(self) -> Layout:
        """What stands behind the entries of the INDEX."""
        return self.bodies["INDEX"].after("entries")

    @cached_property
    def undeclared_entry(self) -> Layout:
        """An entry of a BATCH's directory of undeclared columns."""
        return self.layout(self.format.structs["undeclared_column"].fields)

    # ------------------------------------------------------------------------------ pieces

    def flags_of(self, name: str) -> int:
        """Return the flags of a kind of block."""
        blocks = self.format.blocks
        return blocks.critical_flag if blocks.kinds[name].critical else 0

    def block(self, name: str, body: bytes) -> bytes:
        """Return a whole block around `body`."""
        head = self.frame_head.build(
            {"kind": self.kinds[name], "flags": self.flags_of(name), "len_body": len(body)}
        )
        crc = self.checksum.masked(head, body)
        return head + body + self.frame_tail.build({"masked_crc": crc})

    def column(self, field: Field) -> Construct:
        """Return the construct of one column of a field."""
        if field not in self._columns:
            self._columns[field] = compose(field.chain, field, self.format.codecs)
        return self._columns[field]

    # ------------------------------------------------------------------------------ journal

    @cached_property
    def journal_header(self) -> Layout:
        """The first bytes of a journal."""
        return self.layout(self.format.journal.header.fields)

    @cached_property
    def journal_frame(self) -> Layout:
        """A whole entry of a journal."""
        return self.layout(self.format.journal.frame.fields)

    def pack_scalar(self, type_: str, value: int) -> bytes:
        """Return a value of a scalar type as it stands in a file."""
        return scalar_bytes(type_, value)

    @cached_property
    def journal_bodies(self) -> dict[str, Layout]:
        """The body of each kind of journal entry, by name."""
        kinds = self.format.journal.kinds
        return {name: self.layout(kind.fields) for name, kind in kinds.items()}


def grammar_of(format_: Format) -> Grammar:
    """Return the grammar of a format; that of the shipped one is built once."""
    return _shipped_grammar() if format_ is shipped_format() else Grammar(format_)


@cache
def _shipped_grammar() -> Grammar:
    return Grammar(shipped_format())
