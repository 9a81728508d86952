"""Layouts of the schema as construct descriptions, and as numpy dtypes and structs.

construct parses and builds every layout. A counted table of fixed-size structures is read in one
piece through the dtype of the same layout, and a layout of fixed fields through its struct
(`Layout(fast=False)` reads both with construct; a property proves both equal). Where the struct
fails, construct explains why. A count is checked against the bytes that remain before anything is
allocated. Only this module turns a `ConstructError` into a `DecodeError`.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from typing import Any

import construct
import numpy as np
from construct import Array, Construct, Container, GreedyBytes, Struct, Subconstruct

from cmeta.errors import CorruptError, DecodeError, TruncatedError
from cmeta.format.checksum import Checksum
from cmeta.format.column import ColumnCodec
from cmeta.schema.language import Format, LayoutField
from cmeta.schema.load import shipped_format
from cmeta.schema.types import FIELD_TYPES, Field

_SCALARS = {row.name: row for row in FIELD_TYPES.values() if row.kind in ("integer", "float")}
_GREEDY = ("bytes", "json", "utf8")


class Layout:
    """A layout of the schema, ready to parse and build.

    Parameters
    ----------
    fields : sequence of LayoutField
        From the schema.
    format_ : Format
        For the structures and constants that they refer to.
    fast : bool
        Read counted tables through their dtype, and fixed fields through a struct.
    """

    def __init__(
        self, fields: Sequence[LayoutField], format_: Format, *, fast: bool = True
    ) -> None:
        self.fields = tuple(fields)
        self._format = format_
        self._fast = fast
        self.construct = Struct(*(f.name / Located(f.name, self._element(f)) for f in fields))

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """The same layout as a packed little-endian dtype, if all its fields are fixed."""
        return np.dtype([(f.name, _SCALARS[f.type].dtype) for f in self.fields])

    @cached_property
    def codes(self) -> str:
        """The same layout in the letters of `struct`, for records packed one by one."""
        return "".join(_SCALARS[f.type].code for f in self.fields)

    @cached_property
    def _fixed(self) -> struct.Struct | None:
        """The struct of a layout whose fields are all scalars."""
        is_fixed = all(f.type in _SCALARS and not f.count for f in self.fields)
        return struct.Struct("<" + self.codes) if self._fast and is_fixed else None

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(f.name for f in self.fields)

    @cached_property
    def _constants(self) -> tuple[tuple[int, int], ...]:
        """Positions and values of the fields with one legal value."""
        values = [self._format.const(f.const) for f in self.fields]
        return tuple((i, value) for i, value in enumerate(values) if value is not None)

    @cached_property
    def size(self) -> int:
        """Length in bytes of a fixed layout."""
        return self.dtype.itemsize

    def parse(self, data: bytes | memoryview, **parameters: int) -> dict[str, Any]:
        """Return the fields of a layout that takes all of `data`.

        Raises
        ------
        DecodeError
            Offsets are relative to `data`.
        """
        if self._fixed is not None and len(data) == self._fixed.size:
            values = self._fixed.unpack(data)
            if all(values[place] == constant for place, constant in self._constants):
                return dict(zip(self._names, values, strict=True))
        # Closed at once: construct's contexts refer to each other and to the stream, whose buffer
        # would otherwise live until the garbage collector runs.
        with io.BytesIO(data) as stream:
            fields = self.construct.parse_stream(stream, **parameters)
            end = stream.tell()
        if end != len(data):
            raise CorruptError(f"{len(data) - end} bytes too many", offset=end)
        fields.pop("_io", None)
        return dict(fields)

    def build(self, values: Mapping[str, Any], **parameters: int) -> bytes:
        """Return the bytes of a layout; constants need not be given."""
        return bytes(self.construct.build(dict(values), **parameters))

    def upto(self, name: str) -> Layout:
        """Return the fields before `name` as a layout."""
        return Layout(self.fields[: self._place(name)], self._format, fast=self._fast)

    def after(self, name: str) -> Layout:
        """Return the fields after `name` as a layout."""
        return Layout(self.fields[self._place(name) + 1 :], self._format, fast=self._fast)

    def _place(self, name: str) -> int:
        return [f.name for f in self.fields].index(name)

    def _element(self, field: LayoutField) -> Construct:
        if field.type in _GREEDY:
            element = Counted(field.count, 1, None) if field.count else GreedyBytes
            return Utf8(element) if field.type == "utf8" else element
        const = self._format.const(field.const)
        if field.type in _SCALARS:
            element = _scalar(field.type)
            if const is not None:
                return Constant(const, element)
            if not field.count:
                return element
            return self._table(field.count, element, _SCALARS[field.type].dtype)
        inner = Layout(self._format.structs[field.type].fields, self._format, fast=self._fast)
        return self._table(field.count, inner.construct, inner.dtype)

    def _table(self, count: str, element: Construct, dtype: np.dtype[Any]) -> Construct:
        if self._fast:
            return Counted(count, dtype.itemsize, dtype)
        return Counted(count, dtype.itemsize, None, element)


def _scalar(type_: str) -> Construct:
    return construct.FormatField("<", _SCALARS[type_].code)


class Located(Subconstruct):
    """A named element: its errors are a `DecodeError` with its offset and path."""

    def __init__(self, name: str, subcon: Construct) -> None:
        super().__init__(subcon)
        self._element_name = name

    def _parse(self, stream: io.BytesIO, context: Container, path: str) -> Any:
        at = stream.tell()
        try:
            return self.subcon._parsereport(stream, context, path)
        except DecodeError as err:
            raise err.prefixed(0, self._element_name) from None
        except construct.StreamError:
            left = len(stream.getbuffer()) - at
            message = f"{left} bytes left, expected {self.subcon.sizeof()}"
            raise TruncatedError(message, offset=at, path=self._element_name) from None
        except construct.ConstructError as err:
            raise CorruptError(str(err), offset=at, path=self._element_name) from err


class Constant(construct.Const):
    """A field with one legal value."""

    def _parse(self, stream: io.BytesIO, context: Container, path: str) -> int:
        at = stream.tell()
        value: int = self.subcon._parsereport(stream, context, path)
        if value != self.value:
            raise CorruptError(f"found {value:#x}, expected {self.value:#x}", offset=at)
        return value


class Utf8(Subconstruct):
    """A string; bytes that are not UTF-8 are corrupt."""

    def _parse(self, stream: io.BytesIO, context: Container, path: str) -> str:
        at = stream.tell()
        data: bytes = self.subcon._parsereport(stream, context, path)
        try:
            return data.decode()
        except UnicodeDecodeError as err:
            raise CorruptError(f"not UTF-8: {err.reason}", offset=at + err.start) from err

    def _build(self, obj: str, stream: io.BytesIO, context: Container, path: str) -> str:
        self.subcon._build(obj.encode(), stream, context, path)
        return obj


class Counted(Construct):
    """A counted string or table; its count is checked against the bytes that remain.

    Parameters
    ----------
    count : str
        An earlier field of the layout, or a parameter.
    len_item : int
        Bytes of an item.
    dtype : dtype or None
        Of an item, for a table that is read in one piece.
    item : Construct or None
        Of an item, for a table that is read item by item; with neither, a byte string.
    """

    def __init__(
        self, count: str, len_item: int, dtype: np.dtype[Any] | None, item: Construct | None = None
    ) -> None:
        super().__init__()
        self._count, self._len_item, self._dtype, self._item = count, len_item, dtype, item

    def _parse(self, stream: io.BytesIO, context: Container, path: str) -> Any:
        scope = context if self._count in context else context["_params"]
        count = int(scope[self._count])
        left = len(stream.getbuffer()) - stream.tell()
        if count * self._len_item > left:
            raise TruncatedError(
                f"found {count} items of {self._len_item} bytes, but only {left} bytes are left",
                offset=stream.tell(),
            )
        if self._item is not None:
            return Array(count, self._item)._parsereport(stream, context, path)
        data = stream.read(count * self._len_item)
        return data if self._dtype is None else np.frombuffer(data, self._dtype)

    def _build(self, obj: Any, stream: io.BytesIO, context: Container, path: str) -> Any:
        scope = context if self._count in context else context["_params"]
        count = int(scope[self._count])
        if self._item is not None:
            return Array(count, self._item)._build(obj, stream, context, path)
        data = obj if self._dtype is None else np.asarray(obj, self._dtype).tobytes()
        if len(data) != count * self._len_item:
            raise construct.RangeError(f"{self._count} = {count}, but {len(data)} bytes given")
        stream.write(data)
        return obj


class Grammar:
    """Every layout of a format, and its checksum.

    Attributes
    ----------
    header, trailer : Layout
        The beginning and the end of a file.
    frame : Layout
        A block; `frame_head` and `frame_tail` are the parts before and after its body.
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
        self._columns: dict[Field, ColumnCodec] = {}

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
        """The fixed part of an INDEX body, after its entries."""
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

    def column(self, field: Field) -> ColumnCodec:
        """Return the construct of one column of a field."""
        if field not in self._columns:
            self._columns[field] = ColumnCodec(field.chain, field, self.format.codecs)
        return self._columns[field]

    # ------------------------------------------------------------------------------ journal

    @cached_property
    def journal_header(self) -> Layout:
        """The first bytes of a journal."""
        return self.layout(self.format.journal.header.fields)

    @cached_property
    def journal_frame(self) -> Layout:
        """An entry of a journal."""
        return self.layout(self.format.journal.frame.fields)

    def pack_scalar(self, type_: str, value: int) -> bytes:
        """Return the bytes of a value of a scalar type."""
        return bytes(_scalar(type_).build(value))

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
