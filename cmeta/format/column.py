"""One column, encoded and decoded.

::

    column         = flags, [class stream], integer stream
    class stream   = flags, integer stream
    integer stream = [number of palette entries], runs

`ColumnCodec` reads and writes this layout, and between the runs and the values it applies the
adapters that the schema's chain declares, one after the other: delta, split, palette, quantise.
What they share is a `RunContext`: read from the bytes, or chosen by `planner`.

`decode_column` and `encode_column` are the only callers of a codec.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from construct import Adapter, Construct, Pass

from cmeta.aliases import I64, U8, Array, Mask
from cmeta.errors import CorruptError, TruncatedError
from cmeta.format import planner
from cmeta.format.stages import classes, delta, fixed_point, lossless, palette, runs, split
from cmeta.format.stages.bits import BitFields
from cmeta.format.stages.delta import Delta
from cmeta.format.stages.split import SplitOrder
from cmeta.records.chunk import Column
from cmeta.schema.language import Codecs
from cmeta.schema.load import shipped_format
from cmeta.schema.types import FIELD_TYPES, Field, Stage


@dataclass
class PhaseCodes:
    """The phases of some records, and the order in which the split stage puts their values."""

    codes: U8

    @cached_property
    def order(self) -> SplitOrder:
        """The order of the values by phase."""
        return split.order_of(self.codes)

    def restrict(self, kept: Mask) -> PhaseCodes:
        """Return the phases of some of the records."""
        return PhaseCodes(self.codes[kept])


def decode_column(
    codec: ColumnCodec, data: bytes, num_records: int, phases: PhaseCodes | None, fill: Any
) -> Column:
    """Return the column that takes all of `data`.

    Parameters
    ----------
    codec : ColumnCodec
        The codec of the column's field.
    data : bytes
    num_records : int
    phases : PhaseCodes or None
        The phases of the records; None for the column of phases itself.
    fill : scalar
        The value of an absent cell.

    Raises
    ------
    DecodeError
        Offsets are relative to `data`.
    """
    stream = io.BytesIO(data)
    # Not `parse_stream`, for speed: it makes a container of context in each call.
    cells: Cells = codec._parse(stream, Records(num_records, phases), "")
    if stream.tell() != len(data):
        raise CorruptError(
            f"found {len(data) - stream.tell()} bytes after the last quotient", offset=stream.tell()
        )
    if cells.classes is None:
        return Column(cells.finite, None)
    values, present = classes.decode(cells.classes, cells.finite, fill, codec.facts.classes)
    return Column(values, None if present.all() else present)


def encode_column(codec: ColumnCodec, column: Column, phases: PhaseCodes | None) -> bytes:
    """Return the bytes of a column; undoes `decode_column`."""
    facts = codec.facts.classes
    values = column.values
    codes = classes.encode(values, column.present, facts)
    finite = values if codes is None else values[codes == facts.value]
    stream = io.BytesIO()
    # Not `build_stream`, for speed, as in `decode_column`.
    codec._build(Cells(finite, codes), stream, Records(len(values), phases), "")
    return stream.getvalue()


def as_stored(column: Column, field: Field) -> Column:
    """Return a column with the values that decoding gives back once it has been encoded."""
    values, present = column
    if not field.is_float:
        return column
    finite = np.isfinite(values)
    kept = values.copy()
    kept[np.isnan(values)] = np.nan  # NaN has no payload
    if field.quanta_per_unit:
        bits = shipped_format().codecs.quantise.product_bits
        quanta = fixed_point.encode(values[finite], field.quanta_per_unit, bits)
        kept[finite] = fixed_point.decode(quanta, values.dtype, field.quanta_per_unit, bits)
    return Column(kept, present)


class Cells(NamedTuple):
    """The cells of a column: `classes` is None if all are finite values, which `finite` holds."""

    finite: Array
    classes: U8 | None


class Records(NamedTuple):
    """The records whose values a column or its class stream holds."""

    num_records: int
    phases: PhaseCodes | None

    def restrict(self, kept: Mask) -> Records:
        """Return some of the records."""
        phases = self.phases.restrict(kept) if self.phases else None
        return Records(int(np.count_nonzero(kept)), phases)


# ------------------------------------------------------------------------------------ the layout


class ColumnCodec(Construct):
    """The construct of a column, between bytes and `Cells`.

    Its context is `Records`.

    Parameters
    ----------
    chain : sequence of str
        Stages, outermost first.
    field : Field
        The field of the column.
    facts : Codecs
        Constants of the stages.
    """

    def __init__(self, chain: Sequence[Stage], field: Field, facts: Codecs) -> None:
        super().__init__()
        self.facts = facts
        self._chain = chain
        self._flags = BitFields(facts.column_flags)
        self._len_count = FIELD_TYPES[facts.palette.count].dtype.itemsize
        of_classes = {"palette": "palette" in chain, "split": "split" in chain}
        self._allowed_of_classes = {"has_classes": False, "mode": False, **of_classes}
        self._allowed = {"has_classes": "class" in chain, "mode": field.exact, **of_classes}
        value, absent = facts.classes.value, facts.classes.absent
        special = (
            facts.classes.nan,
            facts.classes.positive_infinity,
            facts.classes.negative_infinity,
        )
        self._legal_classes = {value, absent, *(special if field.is_float else ())}
        self._values = (
            QuantiseAdapter(field, facts) if "quantise" in chain else IntegerAdapter(field)
        )
        self._adapters = [_ADAPTERS[stage](Pass) for stage in chain if stage in _ADAPTERS]

    def _parse(self, stream: io.BytesIO, context: Records, path: str) -> Cells:
        data = stream.getvalue()
        flags, at = self._read_flags(data, stream.tell(), self._allowed)
        codes: U8 | None = None
        if flags["has_classes"]:
            of_classes, at = self._read_flags(data, at, self._allowed_of_classes)
            ints, at = self._read_integers(data, at, of_classes, context)
            codes = self._checked_classes(ints)
            context = context.restrict(codes == self.facts.classes.value)
        ints, at = self._read_integers(data, at, flags, context)
        stream.seek(at)
        return Cells(self._values._decode(Quanta(flags["mode"], ints), context, path), codes)

    def _build(self, obj: Cells, stream: io.BytesIO, context: Records, path: str) -> Cells:
        flags = {"has_classes": int(obj.classes is not None)}
        class_stream = b""
        if obj.classes is not None:
            word, body = self._written_integers(obj.classes.astype(np.int64), {}, context)
            class_stream = word + body
            context = context.restrict(obj.classes == self.facts.classes.value)
        flags["mode"], ints = self._values._encode(obj.finite, context, path)
        word, body = self._written_integers(ints, flags, context)
        stream.write(word + class_stream + body)
        return obj

    def _read_flags(
        self, data: bytes, at: int, allowed: dict[str, bool]
    ) -> tuple[dict[str, int], int]:
        """Return the flags at `at`, and where they end."""
        end = at + self._flags.size
        if end > len(data):
            raise TruncatedError("the column ends before its flags", offset=len(data))
        flags = self._flags.unpack(int.from_bytes(data[at:end], "little"))
        for name, value in flags.items():
            if value and not allowed[name]:
                raise CorruptError(f"flag {name} in a column whose codec has no such stage")
        return flags, end

    def _checked_classes(self, ints: I64) -> U8:
        legal = self._legal_classes
        if ints.min() < 0 or ints.max() > max(legal):
            found = set(np.unique(ints).tolist())
        else:
            found = set(np.flatnonzero(np.bincount(ints)).tolist())
        if not found <= legal:
            known = ", ".join(map(str, sorted(legal)))
            raise CorruptError(f"found class {min(found - legal)}, expected one of: {known}")
        return ints.astype(np.uint8)

    def _read_integers(
        self, data: bytes, at: int, flags: dict[str, int], records: Records
    ) -> tuple[I64, int]:
        """Return the integer stream at `at`, and where it ends."""
        num_entries = 0
        if flags["palette"]:
            num_entries, at = self._read_count(data, at, records.num_records)
        order = records.phases.order if flags["split"] and records.phases else None
        lengths = run_lengths(num_entries, order, records.num_records)
        context = RunContext(num_entries > 0, order)
        pieces: Any
        pieces, at = runs.decode(data, at, lengths, self.facts.rice)
        for adapter in reversed(self._adapters):
            pieces = adapter._decode(pieces, context, "")
        return (pieces[0] if pieces else np.zeros(0, np.int64)), at

    def _read_count(self, data: bytes, at: int, num_values: int) -> tuple[int, int]:
        """Return the number of entries of a palette, and where it ends."""
        end = at + self._len_count
        if end > len(data):
            raise TruncatedError("the column ends before the palette's count", offset=at)
        count = int.from_bytes(data[at:end], "little")
        most = palette.max_entries(num_values, self.facts.palette)
        if not 2 <= count <= most:
            raise CorruptError(
                f"found a palette of {count} entries for {num_values} values, expected 2 to {most}",
                offset=at,
            )
        return count, end

    def _written_integers(
        self, ints: I64, flags: dict[str, int], records: Records
    ) -> tuple[bytes, bytes]:
        """Return the complete flags, and the integer stream, of some integers."""
        order = records.phases.order if "split" in self._chain and records.phases else None
        entries, is_split, choices = planner.choose(ints, order, self._chain, self.facts)
        context = RunContext(
            entries is not None,
            order if is_split else None,
            entries,
            tuple(choice.form for choice in choices),
        )
        pieces: Any = [ints] if len(ints) else []
        for adapter in self._adapters:
            pieces = adapter._encode(pieces, context, "")
        stream = runs.encode(pieces, [choice.sparse for choice in choices], self.facts.rice)
        if entries is not None:
            stream = len(entries).to_bytes(self._len_count, "little") + stream
        word = self._flags.pack({**flags, "palette": int(entries is not None), "split": is_split})
        return word.to_bytes(self._flags.size, "little"), stream


def run_lengths(num_entries: int, order: SplitOrder | None, num_values: int) -> list[int]:
    """Return the lengths of the runs of an integer stream: a palette's entries come first."""
    values = order.lengths if order is not None else (num_values,) if num_values else ()
    return [num_entries, *values] if num_entries else list(values)


# ---------------------------------------------------------------------------------- the adapters


class RunContext(NamedTuple):
    """How the values of an integer stream are laid out in runs; the context of its adapters.

    Attributes
    ----------
    has_palette : bool
        Whether the values are ranks, and the first run has the entries.
    order : SplitOrder or None
        The order of values that are split by phase.
    entries : int64 array or None
        The palette; only for encoding.
    forms : tuple of int
        The delta form of each run; only for encoding.
    """

    has_palette: bool
    order: SplitOrder | None
    entries: I64 | None = None
    forms: tuple[int, ...] = ()


class PaletteAdapter(Adapter):
    """A run of values to runs of entries and ranks, and back."""

    def _encode(self, obj: list[I64], context: RunContext, path: str) -> list[I64]:
        if context.entries is None:
            return obj
        (values,) = obj
        return [context.entries, palette.encode(values, context.entries)]

    def _decode(self, obj: list[I64], context: RunContext, path: str) -> list[I64]:
        if not context.has_palette:
            return obj
        entries, ranks = obj
        return [palette.decode(ranks, entries)]


class SplitAdapter(Adapter):
    """The run of values to a run for each phase, and back; entries of a palette stay first."""

    def _encode(self, obj: list[I64], context: RunContext, path: str) -> list[I64]:
        if context.order is None:
            return obj
        *entries, values = obj
        return [*entries, *split.encode(values, context.order)]

    def _decode(self, obj: list[I64], context: RunContext, path: str) -> list[I64]:
        if context.order is None:
            return obj
        num_entries = len(obj) - len(context.order.lengths)
        return [*obj[:num_entries], split.decode(obj[num_entries:], context.order)]


class DeltaAdapter(Adapter):
    """Runs to (form, base, divisor, step, residuals), and back."""

    def _encode(self, obj: list[I64], context: RunContext, path: str) -> list[Delta]:
        return [delta.encode(run, form) for run, form in zip(obj, context.forms, strict=True)]

    def _decode(self, obj: list[Delta], context: RunContext, path: str) -> list[I64]:
        return [delta.decode(run) for run in obj]


# The stages between values and runs; class and rice belong to the layout.
_ADAPTERS: dict[Stage, type[Adapter]] = {
    "palette": PaletteAdapter,
    "split": SplitAdapter,
    "delta": DeltaAdapter,
}


class Quanta(NamedTuple):
    """Values as integers: `mode` tells how a lossless float became one, otherwise it is 0."""

    mode: int
    ints: I64


class QuantiseAdapter(Adapter):
    """Floats to quanta and back, fixed point or lossless as the field declares."""

    def __init__(self, field: Field, facts: Codecs) -> None:
        super().__init__(Pass)
        self._dtype = field.dtype.newbyteorder("=")
        self._quanta_per_unit = field.quanta_per_unit
        self._facts = facts.quantise

    def _encode(self, obj: Array, context: Records, path: str) -> Quanta:
        if self._quanta_per_unit:
            bits = self._facts.product_bits
            return Quanta(0, fixed_point.encode(obj, self._quanta_per_unit, bits))
        return Quanta(*lossless.encode(obj, self._facts))

    def _decode(self, obj: Quanta, context: Records, path: str) -> Array:
        if self._quanta_per_unit:
            bits = self._facts.product_bits
            return fixed_point.decode(obj.ints, self._dtype, self._quanta_per_unit, bits)
        return lossless.decode(obj.mode, obj.ints, self._dtype, self._facts)


class IntegerAdapter(Adapter):
    """Integers of any type to int64 and back; 64 bits are reinterpreted, others bounded."""

    def __init__(self, field: Field) -> None:
        super().__init__(Pass)
        self._dtype = field.dtype.newbyteorder("=")
        self._low, self._high = field.limits

    def _encode(self, obj: Array, context: Records, path: str) -> Quanta:
        ints = obj.view(np.int64) if self._dtype.itemsize == 8 else obj.astype(np.int64)
        return Quanta(0, ints)

    def _decode(self, obj: Quanta, context: Records, path: str) -> Array:
        ints = obj.ints
        if self._dtype.itemsize == 8:
            return ints.view(self._dtype)
        if ints.size and (ints.min() < self._low or ints.max() > self._high):
            value = ints[(ints < self._low) | (ints > self._high)][0]
            raise CorruptError(f"found value {value}, expected {self._low} to {self._high}")
        return ints.astype(self._dtype)
