"""Explaining a closed file byte for byte: every element of the grammar with its place and value.

The rows of a file follow one another without a gap. Layouts come from the grammar; what stands
inside a column is told by `column`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from msgspec.structs import replace

from cmeta.checks.blocks import Block, walk
from cmeta.grammar import Grammar, Layout
from cmeta.reader import Reader
from cmeta.schema import Schema
from cmeta.schema.document import LayoutField
from cmeta.source import BytesSource
from cmeta.spec.column import explain_column
from cmeta.spec.layouts import size_of
from cmeta.spec.markdown import hex_integer

_TEXT = ("json", "utf8")
_NUMBERED = ("CONFIG", "NAME", "BATCH")


class Row(NamedTuple):
    """An element of a file."""

    offset: int
    data: bytes
    path: str
    value: str


def explain(data: bytes) -> list[Row]:
    """Return the elements of a valid closed file, in their order."""
    with Reader(data) as reader:
        return list(_Explainer(data, reader).rows())


class _Explainer:
    """Explains one file."""

    def __init__(self, data: bytes, reader: Reader) -> None:
        self._data, self._reader = data, reader
        self._schema: Schema = reader.schema
        self._format = self._schema.format
        self._grammar = Grammar(self._format)
        self._counts = dict.fromkeys(_NUMBERED, 0)

    def rows(self) -> Iterator[Row]:
        """Yield all rows."""
        size = self._grammar.header.size
        yield from self._layout(self._grammar.header, 0, size, "header")
        for block in walk(BytesSource(self._data), self._grammar, size, newer=False):
            yield from self._block(block)
        end = len(self._data)
        start = end - self._grammar.trailer.size
        yield from self._layout(self._grammar.trailer, start, end, "trailer")

    def _block(self, block: Block) -> Iterator[Row]:
        path = block.name
        if block.name in self._counts:
            path = f"{path}[{self._counts[block.name]}]"
            self._counts[block.name] += 1
        body_end = block.body_offset + len(block.body)
        yield from self._layout(self._grammar.frame_head, block.offset, block.body_offset, path)
        body = self._grammar.bodies[block.name]
        yield from self._layout(body, block.body_offset, body_end, path)
        yield from self._layout(self._grammar.frame_tail, body_end, block.end, path)

    def _layout(self, layout: Layout, at: int, end: int, path: str) -> Iterator[Row]:
        """Yield the rows of a layout that takes the bytes from `at` to `end`."""
        known = {"num_columns": self._schema.num_columns}
        for field in layout.fields:
            place = f"{path}.{field.name}"
            if field.name == "columns":
                yield from self._columns(at, path)
                at = end
            elif field.type in ("bytes", *_TEXT):
                value = self._data[at:end].decode() if field.type in _TEXT else ""
                yield Row(at, self._data[at:end], place, value)
                at = end
            elif field.count:
                for i in range(known[field.count]):
                    yield from self._item(field, at, f"{place}[{i}]")
                    at += size_of(field, self._format)
            else:
                row, number = self._scalar(field, at, place)
                known[field.name] = number
                yield row
                at += len(row.data)

    def _item(self, field: LayoutField, at: int, path: str) -> Iterator[Row]:
        """Yield the rows of one item of an array."""
        if field.type in self._format.structs:
            inner = Layout(self._format.structs[field.type].fields, self._format)
            yield from self._layout(inner, at, at + inner.size, path)
        else:
            yield self._scalar(replace(field, count=""), at, path)[0]

    def _scalar(self, field: LayoutField, at: int, path: str) -> tuple[Row, int]:
        piece = self._data[at : at + size_of(field, self._format)]
        (number,) = Layout([field], self._format).parse(piece).values()
        named = isinstance(field.const, str) or number >= 1 << 53
        return Row(at, piece, path, hex_integer(number) if named else str(number)), number

    def _columns(self, at: int, path: str) -> Iterator[Row]:
        """Yield the rows of a batch's columns."""
        batch = self._reader.batch(self._counts["BATCH"] - 1)
        for field in batch.fields:
            for i, cells in enumerate(batch.cells(field)):
                label = f"{field.path}[{i}]" if field.num_components else field.path
                codecs = self._format.codecs
                for element in explain_column(self._data[at:], cells, batch.phases, codecs):
                    yield Row(at, element.data, f"{path}.{label}.{element.path}", element.value)
                    at += len(element.data)


def text_of(rows: list[Row], *, width: int = 16) -> str:
    """Return rows as lines of offset, bytes, element and value, `width` bytes a line at most."""
    lines = ["offset  " + "bytes".ljust(3 * width) + " element"]
    for row in rows:
        is_text = row.data.decode(errors="replace") == row.value and len(row.data) > width
        for i in range(0, len(row.data), width):
            piece = row.data[i : i + width]
            what = row.path if i == 0 else ""
            value = row.value if i == 0 else ""
            if is_text:
                value = piece.decode(errors="replace")
            line = f"{row.offset + i:6}  {piece.hex(' '):{3 * width}} {what:38} {value}"
            lines.append(line.rstrip())
    return "\n".join(lines)
