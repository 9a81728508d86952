"""What the stages of a column share while it is parsed or built, and what they give back."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from construct import Adapter, Construct, Subconstruct

from cmeta.aliases import I64, U8, U64
from cmeta.errors import CorruptError, TruncatedError, error_context
from cmeta.format import planner
from cmeta.format.planner import Arrangement
from cmeta.format.stages import delta, fixed_point, lossless, palette, rice, run_header, sparse
from cmeta.format.stages import split as split_stage
from cmeta.format.stages.bits import BitFields
from cmeta.format.stages.split import SplitOrder
from cmeta.schema.language import Codecs, Stage
from cmeta.schema.types import Field


class Cells(NamedTuple):
    """The cells of a column: `classes` is None if all are finite values, which `finite` holds."""

    finite: npt.NDArray[Any]
    classes: U8 | None


@dataclass
class Phases:
    """The phases of a batch's records, and the orders that splitting by them gives."""

    codes: U8

    @cached_property
    def order(self) -> SplitOrder:
        """The order of all records."""
        return split_stage.order_of(self.codes)

    def restrict(self, kept: npt.NDArray[np.bool_]) -> Phases:
        """Return the phases of some of the records."""
        return Phases(self.codes[kept])


@dataclass
class State:
    """What the stages of one column share while it is parsed or built."""

    num_values: int
    phases: Phases | None = None
    flags: dict[str, int] = field(default_factory=dict)
    num_entries: int = 0
    arrangement: Arrangement | None = None

    @property
    def split(self) -> SplitOrder | None:
        """The order by phase, where phases are known."""
        return self.phases.order if self.phases else None

    def run_lengths(self) -> list[int]:
        """Return the lengths of the runs that the flags announce."""
        lengths = [self.num_entries] if self.flags["palette"] else []
        if self.flags["split"] and self.split:
            return lengths + list(self.split.lengths)
        return [*lengths, self.num_values] if self.num_values else lengths


class RiceRuns(Construct):
    """Run headers, then k bytes, remainders and quotients of all runs."""

    def __init__(self, codecs: Codecs) -> None:
        super().__init__()
        self._facts = codecs.rice

    def _parse(self, stream: io.BytesIO, context: Any, path: str) -> list[delta.Delta]:
        facts = self._facts
        start = stream.tell()
        data = stream.read()
        at = 0
        headers: list[run_header.RunHeader] = []
        lengths: list[int] = []
        for run_length in context["state"].run_lengths():
            begin = at
            with error_context(start):
                header, at = run_header.parse(data, at, facts)
            num_residuals = run_length - delta.NUM_HEADS[header.form]
            if num_residuals < 1:
                raise CorruptError(
                    f"form F{header.form} for a run of {run_length}", offset=start + begin
                )
            headers.append(header)
            if header.num_nonzero is None:
                lengths.append(num_residuals)
                continue
            if facts.sparse_residuals * header.num_nonzero > facts.sparse_nonzero * num_residuals:
                raise CorruptError(
                    f"{header.num_nonzero} of {num_residuals} residuals in a sparse run",
                    offset=start + begin,
                )
            lengths += [header.num_nonzero, header.num_nonzero]
        rest = np.frombuffer(data, np.uint8, offset=at)
        with error_context(start + at):
            sequences, used = rice.decode(rest, lengths, facts.block_residuals)
        stream.seek(start + at + used)
        return _join(headers, context["state"].run_lengths(), sequences)

    def _build(self, obj: list[delta.Delta], stream: io.BytesIO, context: Any, path: str) -> Any:
        sequences: list[U64] = []
        for run, choice in zip(obj, context["state"].arrangement.runs, strict=True):
            num_nonzero = None
            if choice.sparse:
                gaps, values = sparse.encode(run.residuals)
                sequences += [gaps, values]
                num_nonzero = len(values)
            else:
                sequences.append(run.residuals)
            header = run_header.RunHeader(run.form, run.base, run.divisor, run.step, num_nonzero)
            stream.write(run_header.build(header, self._facts))
        stream.write(rice.encode(sequences, self._facts.block_residuals))
        return obj


def _join(
    headers: list[run_header.RunHeader], run_lengths: list[int], sequences: list[U64]
) -> list[delta.Delta]:
    """Give each run its residuals."""
    runs = []
    rest = iter(sequences)
    for header, length in zip(headers, run_lengths, strict=True):
        residuals = next(rest)
        if header.num_nonzero is not None:
            num_residuals = length - delta.NUM_HEADS[header.form]
            residuals = sparse.decode(residuals, next(rest), num_residuals)
        runs.append(delta.Delta(header.form, header.base, header.divisor, header.step, residuals))
    return runs


def compose(chain: Sequence[Stage], declared: Field | None, codecs: Codecs) -> Construct:
    """Return the construct of a column from the schema's chain.

    Parameters
    ----------
    chain : sequence of str
        Stages, outermost first.
    declared : Field or None
        Whose values; None for a class stream, which is a column of small integers.
    codecs : Codecs
        Constants of the stages.

    Returns
    -------
    Construct
        Between bytes and `Cells`; needs ``state=State(...)`` in its context.
    """
    con: Construct = RiceRuns(codecs)
    con = DeltaAdapter(con)
    con = SplitAdapter(con)
    con = PaletteStage(con, codecs)
    con = ChoiceStage(con, chain, codecs)
    if declared and declared.is_float:
        con = QuantiseAdapter(con, declared, codecs)
    elif declared:
        con = IntegerAdapter(con, declared)
    if declared:
        con = ClassStage(con, chain, declared, codecs)
    return ColumnFrame(con, chain, declared, codecs)


class ColumnFrame(Subconstruct):
    """The flags byte, which is known only when what follows it has been built."""

    def __init__(
        self, subcon: Construct, chain: Sequence[Stage], declared: Field | None, codecs: Codecs
    ) -> None:
        super().__init__(subcon)
        self._fields = BitFields(codecs.column_flags)
        self._allowed = {"palette": "palette" in chain, "split": "split" in chain}
        self._allowed["has_classes"] = bool(declared) and "class" in chain
        self._allowed["mode"] = bool(declared and declared.exact)

    def _parse(self, stream: io.BytesIO, context: Any, path: str) -> Any:
        word = stream.read(self._fields.size)
        if len(word) < self._fields.size:
            raise TruncatedError("a column without flags", offset=stream.tell())
        state: State = context["state"]
        state.flags = self._fields.unpack(int.from_bytes(word, "little"))
        for name, value in state.flags.items():
            if value and not self._allowed[name]:
                raise CorruptError(f"flag {name} in a column whose codec has no such stage")
        return self.subcon._parsereport(stream, context, path)

    def _build(self, obj: Any, stream: io.BytesIO, context: Any, path: str) -> Any:
        body = io.BytesIO()
        self.subcon._build(obj, body, context, path)
        word = self._fields.pack(context["state"].flags)
        stream.write(word.to_bytes(self._fields.size, "little") + body.getvalue())
        return obj


class ClassStage(Subconstruct):
    """Takes out cells that are not finite values; their classes are a column before the values."""

    def __init__(
        self, subcon: Construct, chain: Sequence[Stage], declared: Field, codecs: Codecs
    ) -> None:
        super().__init__(subcon)
        inner = [s for s in chain if s not in ("class", "quantise")]
        self._classes = compose(inner, None, codecs)
        self._facts = codecs.classes
        is_float, facts = declared.is_float, codecs.classes
        special = (facts.nan, facts.positive_infinity, facts.negative_infinity)
        self._legal = {facts.value, facts.absent} | (set(special) if is_float else set())

    def _parse(self, stream: io.BytesIO, context: Any, path: str) -> Cells:
        state: State = context["state"]
        if not state.flags["has_classes"]:
            return Cells(self.subcon._parsereport(stream, context, path), None)
        outer = State(state.num_values, state.phases)
        ints: I64 = self._classes._parsereport(stream, {**context, "state": outer}, path)
        self._check(ints)
        codes = ints.astype(np.uint8)
        kept = codes == self._facts.value
        state.num_values = int(np.count_nonzero(kept))
        state.phases = state.phases.restrict(kept) if state.phases else None
        return Cells(self.subcon._parsereport(stream, context, path), codes)

    def _check(self, ints: I64) -> None:
        if ints.min() < 0 or ints.max() > max(self._legal):
            found = set(np.unique(ints).tolist())
        else:
            found = set(np.flatnonzero(np.bincount(ints)).tolist())
        if not found <= self._legal:
            raise CorruptError(f"class {min(found - self._legal)}, expected one of {self._legal}")

    def _build(self, obj: Cells, stream: io.BytesIO, context: Any, path: str) -> Cells:
        state: State = context["state"]
        state.flags["has_classes"] = int(obj.classes is not None)
        if obj.classes is not None:
            outer = State(state.num_values, state.phases)
            inner = {**context, "state": outer}
            self._classes._build(obj.classes.astype(np.int64), stream, inner, path)
            kept = obj.classes == self._facts.value
            state.num_values = len(obj.finite)
            state.phases = state.phases.restrict(kept) if state.phases else None
        self.subcon._build(obj.finite, stream, context, path)
        return obj


class QuantiseAdapter(Adapter):
    """Floats to quanta and back, fixed point or lossless as the field declares."""

    def __init__(self, subcon: Construct, declared: Field, codecs: Codecs) -> None:
        super().__init__(subcon)
        self._dtype = declared.dtype.newbyteorder("=")
        self._quanta = declared.quanta_per_unit
        self._facts = codecs.quantise

    def _decode(self, obj: I64, context: Any, path: str) -> npt.NDArray[Any]:
        if self._quanta:
            bits = self._facts.product_bits
            return fixed_point.decode(obj, self._dtype, self._quanta, bits)
        mode = context["state"].flags["mode"]
        return lossless.decode(mode, obj, self._dtype, self._facts)

    def _encode(self, obj: npt.NDArray[Any], context: Any, path: str) -> I64:
        if self._quanta:
            return fixed_point.encode(obj, self._quanta, self._facts.product_bits)
        context["state"].flags["mode"], ints = lossless.encode(obj, self._facts)
        return ints


class IntegerAdapter(Adapter):
    """Integers of any type to int64 and back; 64 bits are reinterpreted, others bounded."""

    def __init__(self, subcon: Construct, declared: Field) -> None:
        super().__init__(subcon)
        self._dtype = declared.dtype.newbyteorder("=")
        self._low, self._high = 0, len(declared.labels) - 1
        if declared.type == "bool":
            self._high = 1
        elif declared.type != "enum":
            limits: Any = np.iinfo(self._dtype.name)
            self._low, self._high = limits.min, limits.max

    def _decode(self, obj: I64, context: Any, path: str) -> npt.NDArray[Any]:
        if self._dtype.itemsize == 8:
            return obj.view(self._dtype)
        if obj.size and (obj.min() < self._low or obj.max() > self._high):
            found = obj[(obj < self._low) | (obj > self._high)][0]
            raise CorruptError(f"value {found}, expected {self._low} to {self._high}")
        return obj.astype(self._dtype)

    def _encode(self, obj: npt.NDArray[Any], context: Any, path: str) -> I64:
        return obj.view(np.int64) if self._dtype.itemsize == 8 else obj.astype(np.int64)


class ChoiceStage(Subconstruct):
    """Building: chooses the arrangement that the stages within then carry out."""

    def __init__(self, subcon: Construct, chain: Sequence[Stage], codecs: Codecs) -> None:
        super().__init__(subcon)
        self._chain, self._codecs = chain, codecs

    def _parse(self, stream: io.BytesIO, context: Any, path: str) -> I64:
        ints: I64 = self.subcon._parsereport(stream, context, path)
        return ints

    def _build(self, obj: I64, stream: io.BytesIO, context: Any, path: str) -> I64:
        state: State = context["state"]
        split = state.split if "split" in self._chain else None
        state.arrangement = planner.choose(obj, split, self._chain, self._codecs)
        state.flags["palette"] = int(state.arrangement.entries is not None)
        state.flags["split"] = int(state.arrangement.split)
        self.subcon._build(obj, stream, context, path)
        return obj


class PaletteStage(Subconstruct):
    """Values to (entries, ranks) and back, if the flag says so; before them their number."""

    def __init__(self, subcon: Construct, codecs: Codecs) -> None:
        super().__init__(subcon)
        self._facts = codecs.palette
        self._len_count = planner.COUNT_BITS[self._facts.count] // 8

    def _parse(self, stream: io.BytesIO, context: Any, path: str) -> I64:
        state: State = context["state"]
        if state.flags["palette"]:
            at = stream.tell()
            count = stream.read(self._len_count)
            if len(count) < self._len_count:
                raise TruncatedError("a palette without a count", offset=at)
            state.num_entries = int.from_bytes(count, "little")
            most = palette.max_entries(state.num_values, self._facts)
            if not 2 <= state.num_entries <= most:
                raise CorruptError(
                    f"a palette of {state.num_entries} entries for {state.num_values} values, "
                    f"expected 2 to {most}",
                    offset=at,
                )
        entries, values = self.subcon._parsereport(stream, context, path)
        return values if entries is None else palette.decode(values, entries)

    def _build(self, obj: I64, stream: io.BytesIO, context: Any, path: str) -> I64:
        entries = context["state"].arrangement.entries
        ranks = obj
        if entries is not None:
            stream.write(len(entries).to_bytes(self._len_count, "little"))
            ranks = palette.encode(obj, entries)
        self.subcon._build((entries, ranks), stream, context, path)
        return obj


class SplitAdapter(Adapter):
    """Values to runs and back; a palette's entries are the first run."""

    def _decode(self, obj: list[I64], context: Any, path: str) -> tuple[I64 | None, I64]:
        state: State = context["state"]
        entries, runs = (obj[0], obj[1:]) if state.flags["palette"] else (None, obj)
        if state.flags["split"] and state.split:
            return entries, split_stage.decode(runs, state.split)
        return entries, runs[0] if runs else np.zeros(0, np.int64)

    def _encode(self, obj: tuple[I64 | None, I64], context: Any, path: str) -> list[I64]:
        state: State = context["state"]
        entries, values = obj
        if state.flags["split"] and state.split:
            runs = split_stage.encode(values, state.split)
        else:
            runs = [values] if len(values) else []
        return runs if entries is None else [entries, *runs]


class DeltaAdapter(Adapter):
    """Runs to (form, base, divisor, step, residuals) and back."""

    def _decode(self, obj: list[delta.Delta], context: Any, path: str) -> list[I64]:
        return [delta.decode(d) for d in obj]

    def _encode(self, obj: list[I64], context: Any, path: str) -> list[delta.Delta]:
        choices = context["state"].arrangement.runs
        return [delta.encode(run, c.form) for run, c in zip(obj, choices, strict=True)]
