"""Explains a closed file byte for byte: every element of the grammar with its place and value.

The rows of a file follow one another without a gap. Layouts come from the grammar; `column`
explains the inside of a column.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple

from msgspec.structs import replace

from cmeta.format.block import Block, is_repeated, walk
from cmeta.format.column import PhaseCodes, decode_column
from cmeta.format.grammar import Grammar, Layout
from cmeta.schema.language import LayoutField
from cmeta.schema.rules import PHASE
from cmeta.schema.schema import Schema
from cmeta.schema.types import Field
from cmeta.source import BytesSource
from tools.specgen.column import explain_column
from tools.specgen.layouts import size_of
from tools.specgen.markdown import hex_integer

_TEXT = ("json", "utf8")
_COLUMNS = "columns"  # the last field of a BATCH, whose inside the schema's chains describe


class Row(NamedTuple):
    """An element of a file."""

    offset: int
    data: bytes
    path: str
    value: str


def explain(data: bytes, schema: Schema) -> list[Row]:
    """Return the elements of a valid closed file, in their order."""
    return list(_Explainer(data, schema).rows())


class _Explainer:
    """Explains a file."""

    def __init__(self, data: bytes, schema: Schema) -> None:
        self._data, self._schema = data, schema
        self._format = schema.format
        self._grammar = Grammar(self._format)
        self._counts: dict[str, int] = {}
        self._names: list[str] = []

    def rows(self) -> Iterator[Row]:
        """Yield all rows."""
        size = self._grammar.header.size
        yield from self._layout(self._grammar.header, 0, size, "header")
        for block in walk(BytesSource(self._data), self._grammar, size, newer=False):
            yield from self._block(block)
        end = len(self._data)
        yield from self._layout(self._grammar.trailer, block.end, end, "trailer")

    def _block(self, block: Block) -> Iterator[Row]:
        path = block.name
        if is_repeated(block.name):
            number = self._counts.get(block.name, 0)
            path = f"{path}[{number}]"
            self._counts[block.name] = number + 1
        body_end = block.body_offset + len(block.body)
        yield from self._layout(self._grammar.frame_head, block.offset, block.body_offset, path)
        body = self._grammar.bodies[block.name]
        if block.name == "BATCH":
            yield from self._layout(body.upto(_COLUMNS), block.body_offset, body_end, path)
            yield from self._columns(block, path)
        else:
            yield from self._layout(body, block.body_offset, body_end, path)
        yield from self._layout(self._grammar.frame_tail, body_end, block.end, path)
        if block.name == "NAME":
            self._names.append(block.body.decode())

    def _layout(self, layout: Layout, at: int, end: int, path: str) -> Iterator[Row]:
        """Yield the rows of a layout that begins at `at`; a text goes on to `end`."""
        known = {"num_columns": self._schema.num_columns}
        for field in layout.fields:
            place = f"{path}.{field.name}"
            if field.type in _TEXT:
                piece = self._data[at:end]
                yield Row(at, piece, place, piece.decode())
                at = end
            elif field.count:
                for i in range(known[field.count]):
                    yield from self._item(field, at, f"{place}[{i}]")
                    at += size_of(field, self._format)
            else:
                row, known[field.name] = self._scalar(field, at, place)
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

    def _columns(self, block: Block, path: str) -> Iterator[Row]:
        """Yield the rows of a batch's columns."""
        body = self._grammar.bodies["BATCH"].parse(block.body, num_columns=self._schema.num_columns)
        lengths = [*body["len_columns"].tolist(), *body["undeclared"]["len_column"].tolist()]
        start = block.body_offset + len(block.body) - sum(lengths)
        ends = accumulate(lengths, initial=start)
        labelled = self._labels(body["undeclared"]["name_number"].tolist())
        pieces = {
            label: (field, end, self._data[end : end + length])
            for (label, field), end, length in zip(labelled, ends, lengths, strict=False)
        }
        num_records = int(body["records_count"])
        field, _, piece = pieces[PHASE]
        codec = self._grammar.column(field)
        phases = PhaseCodes(decode_column(codec, piece, num_records, None, 0).values)
        for label, (field, at, piece) in pieces.items():
            if not piece:
                continue
            column = decode_column(self._grammar.column(field), piece, num_records, phases, 0)
            for element in explain_column(piece, column, phases, self._format.codecs):
                yield Row(at, element.data, f"{path}.{label}.{element.path}", element.value)
                at += len(element.data)

    def _labels(self, name_numbers: list[int]) -> Iterator[tuple[str, Field]]:
        """Yield the columns of a batch in their order."""
        for field in self._schema.fields:
            if field.num_components:
                yield from ((f"{field.path}[{i}]", field) for i in range(field.num_components))
            else:
                yield field.path, field
        for number in name_numbers:
            field = self._schema.metric(self._names[number])
            yield field.path, field


def text_of(rows: list[Row], *, width: int = 16) -> str:
    """Return rows as lines of offset, bytes, element and value, `width` bytes a line at most."""
    lines = ["offset  " + "bytes".ljust(3 * width + 1) + "element"]
    longest = max(len(row.path) for row in rows)
    for row in rows:
        long_text = len(row.data) > width and row.data == row.value.encode()
        for i in range(0, len(row.data), width):
            piece = row.data[i : i + width]
            path, value = (row.path, row.value) if i == 0 else ("", "")
            if long_text:
                value = piece.decode(errors="replace")
            line = f"{row.offset + i:6}  {piece.hex(' '):{3 * width + 1}}{path:{longest}}  {value}"
            lines.append(line.rstrip())
    return "\n".join(lines)
