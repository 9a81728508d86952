"""Explains a column byte for byte: flags, class stream, run headers, and the strings of Rice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from cmeta.format.column import PhaseCodes, run_lengths
from cmeta.format.stages import classes, delta, runs
from cmeta.format.stages.bits import BitFields, unpack_fields, unpack_unary
from cmeta.format.stages.rice import block_sizes
from cmeta.format.stages.runs import RunHeader
from cmeta.format.stages.split import SplitOrder
from cmeta.records.chunk import Column
from cmeta.schema.language import Codecs
from cmeta.schema.types import FIELD_TYPES

_SHOWN = 8


class Element(NamedTuple):
    """Some bytes of a column, by their path within it."""

    data: bytes
    path: str
    value: str


def explain_column(
    data: bytes, column: Column, phases: PhaseCodes, codecs: Codecs
) -> list[Element]:
    """Return the elements of the valid column at the beginning of `data`.

    Parameters
    ----------
    data : bytes
        May continue after the column.
    column : Column
        What it decodes to.
    phases : PhaseCodes
        Of the batch's records.
    codecs : Codecs
        The constants of the stages.
    """
    explainer = _Explainer(data, codecs)
    flags = explainer.flags("flags")
    codes = classes.encode(column.values, column.present, codecs.classes)
    if codes is not None:
        explainer.stream(explainer.flags("classes.flags"), phases, "classes.")
        phases = phases.restrict(codes == codecs.classes.value)
    explainer.stream(flags, phases, "")
    return explainer.elements


class _Explainer:
    """Walks over the bytes of one column."""

    def __init__(self, data: bytes, codecs: Codecs) -> None:
        self._data, self._codecs, self._at = data, codecs, 0
        self.elements: list[Element] = []

    def flags(self, path: str) -> dict[str, int]:
        """Take a byte of flags."""
        fields = BitFields(self._codecs.column_flags)
        word = self._data[self._at : self._at + fields.size]
        flags = fields.unpack(int.from_bytes(word, "little"))
        self._take(len(word), path, _said(flags) or "none")
        return flags

    def stream(self, flags: Mapping[str, int], phases: PhaseCodes, path: str) -> None:
        """Take the integer stream of the values of some records."""
        rice = self._codecs.rice
        num_entries = 0
        if flags["palette"]:
            size = FIELD_TYPES[self._codecs.palette.count].dtype.itemsize
            num_entries = int.from_bytes(self._data[self._at : self._at + size], "little")
            self._take(size, f"{path}palette_count", str(num_entries))
        order: SplitOrder | None = phases.order if flags["split"] else None
        lengths: list[int] = []
        for number, length in enumerate(run_lengths(num_entries, order, len(phases.codes))):
            header, _ = runs.decode_header(self._data, self._at, rice)
            self._header(header, f"{path}run[{number}]", length)
            num_residuals = length - delta.NUM_HEADS[header.form]
            lengths += [num_residuals] if header.num_nonzero is None else [header.num_nonzero] * 2
        self._rice(block_sizes(lengths, rice.block_residuals), path)

    def _header(self, header: RunHeader, path: str, length: int) -> None:
        """Take a run header: its codes, then the numbers that have a width."""
        fields = BitFields(self._codecs.rice.run_header)
        word = int.from_bytes(self._data[self._at : self._at + fields.size], "little")
        codes = fields.unpack(word)
        sparse = "" if header.num_nonzero is None else ", sparse"
        values = "value" if length == 1 else "values"
        self._take(fields.size, path, f"{length} {values}, F{header.form}{sparse}")
        numbers = {
            "base": header.base,
            "divisor": header.divisor,
            "step": header.step,
            "count": header.num_nonzero,
        }
        for name, number in numbers.items():
            width = self._codecs.rice.widths[codes[name]]
            self._take(width, f"{path}.{name}", str(number))

    def _rice(self, sizes: np.ndarray[tuple[int], np.dtype[np.intp]], path: str) -> None:
        """Take k bytes, remainders and quotients."""
        codes = np.frombuffer(self._data, np.uint8, len(sizes), self._at)
        text = ", ".join("all 0" if code == 0 else f"k = {code - 1}" for code in codes.tolist())
        self._take(len(sizes), f"{path}k_bytes", text)
        coded = np.repeat(codes, sizes)
        k = coded[coded > 0].astype(np.uint64) - np.uint64(1)
        len_remainders = (int(k.sum()) + 7) // 8
        rest = np.frombuffer(self._data, np.uint8, offset=self._at)
        remainders = unpack_fields(rest[:len_remainders], k)
        quotients, len_quotients = unpack_unary(rest[len_remainders:], len(k))
        self._take(len_remainders, f"{path}remainders", _listed(remainders.tolist()))
        self._take(len_quotients, f"{path}quotients", _listed(quotients.tolist()))

    def _take(self, length: int, path: str, value: str) -> None:
        if length:
            piece = self._data[self._at : self._at + length]
            self.elements.append(Element(piece, path, value))
            self._at += length


def _said(fields: Mapping[str, int]) -> str:
    """Return the fields of a bit layout that are not 0."""
    return ", ".join(f"{name} = {value}" for name, value in fields.items() if value)


def _listed(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:_SHOWN]))
    return f"{shown}, ..." if len(numbers) > _SHOWN else shown
