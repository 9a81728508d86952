"""Tables of the layouts: the offset, length, type and value of each field."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from cmeta.format.grammar import Layout
from cmeta.schema.language import Format, LayoutField
from tools.specgen.facts import Facts
from tools.specgen.markdown import code, hex_integer, table

HEADINGS = ("Offset", "Bytes", "Name", "Type", "Unit", "Value", "Description")
REST = "rest"


def layout_table(fields: Sequence[LayoutField], format_: Format) -> str:
    """Return the table of a layout."""
    rows = []
    offset = Extent()
    for field in fields:
        len_field = extent_of(field, format_)
        rows.append(
            [
                offset,
                len_field,
                code(field.name),
                type_name(field),
                field.unit,
                value_of(field, format_),
                field.doc,
            ]
        )
        offset += len_field
    return table(HEADINGS, rows)


def type_name(field: LayoutField) -> str:
    """Return the type as the tables write it, such as `u32[num_columns]`."""
    return code(f"{field.type}[{field.count}]" if field.count else field.type)


def value_of(field: LayoutField, format_: Format) -> str:
    """Return the only legal value of a field, if there is one; a named constant in hex."""
    const = format_.const(field.const)
    if const is None:
        return ""
    return code(hex_integer(const) if isinstance(field.const, str) else const)


class Extent:
    """A number of bytes, or an offset: a constant and terms such as ``4 * num_columns``."""

    def __init__(self, constant: int = 0, terms: tuple[str, ...] = ()) -> None:
        self.constant, self.terms = constant, terms

    def __add__(self, other: Extent) -> Extent:
        return Extent(self.constant + other.constant, (*self.terms, *other.terms))

    def __str__(self) -> str:
        parts = [str(self.constant)] if self.constant or not self.terms else []
        return " + ".join([*parts, *self.terms])


def extent_of(field: LayoutField, format_: Format) -> Extent:
    """Return how many bytes a field takes."""
    if field.type in ("bytes", "utf8", "json"):
        return Extent(0, (field.count or REST,))
    size = size_of(field, format_)
    if not field.count:
        return Extent(size)
    return Extent(0, (field.count if size == 1 else f"{size} * {field.count}",))


def size_of(field: LayoutField, format_: Format) -> int:
    """Return the bytes of one item of a field of fixed size."""
    if field.type in format_.structs:
        return Layout(format_.structs[field.type].fields, format_).size
    return Layout([replace(field, count="", const=None)], format_).size


# ------------------------------------------------------------------------------------- sections


def header(facts: Facts) -> str:
    """Return the table of the file's header."""
    return layout_table(facts.format.header.fields, facts.format)


def trailer(facts: Facts) -> str:
    """Return the table of the file's trailer."""
    return layout_table(facts.format.trailer.fields, facts.format)


def frame(facts: Facts) -> str:
    """Return the table of a block's frame."""
    return layout_table(facts.format.blocks.frame.fields, facts.format)


def block_kinds(facts: Facts) -> str:
    """Return the table of the kinds of blocks."""
    blocks = facts.format.blocks
    rows = [
        [
            kind.kind,
            code(name),
            code(f"0x{blocks.critical_flag if kind.critical else 0:02X}"),
            kind.doc,
        ]
        for name, kind in blocks.kinds.items()
    ]
    return table(["`kind`", "Name", "`flags`", "Description"], rows)


def body(facts: Facts, kind: str) -> str:
    """Return the table of a block's body."""
    return layout_table(facts.format.blocks.kinds[kind].fields, facts.format)


def struct(facts: Facts, name: str) -> str:
    """Return the table of a structure."""
    return layout_table(facts.format.structs[name].fields, facts.format)


def journal_header(facts: Facts) -> str:
    """Return the table of a journal's header."""
    return layout_table(facts.format.journal.header.fields, facts.format)


def journal_frame(facts: Facts) -> str:
    """Return the table of a journal entry's frame."""
    return layout_table(facts.format.journal.frame.fields, facts.format)


def journal_kinds(facts: Facts) -> str:
    """Return the table of the kinds of journal entries."""
    kinds = facts.format.journal.kinds.items()
    return table(["`kind`", "Name", "Description"], [[k.kind, code(n), k.doc] for n, k in kinds])


def journal_body(facts: Facts, kind: str) -> str:
    """Return the table of a journal entry's body."""
    return layout_table(facts.format.journal.kinds[kind].fields, facts.format)
