"""Dissecting a file: the length of each column, and the integers that it codes.

The integers are the output of the stages class and quantise, which any integer codec in cmeta's
place would compress. Batches are kept apart, because reading parts of a file requires them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

import cmeta
from cmeta.format.block import read_block
from cmeta.format.grammar import Grammar, grammar_of
from cmeta.format.stages import classes, fixed_point, lossless
from cmeta.schema.types import Field
from cmeta.source import open_source

Array = npt.NDArray[Any]


class Piece(NamedTuple):
    """One batch of a column.

    Attributes
    ----------
    classes : uint8 array, (num_records,)
        The class of each cell.
    finite : array, (n,)
        Cells with finite values, as read.
    integers : int64 array, (n,)
        The integers of the finite cells.
    mode : int
        How a lossless float became an integer; 0 for any other field.
    """

    classes: npt.NDArray[np.uint8]
    finite: Array
    integers: npt.NDArray[np.int64]
    mode: int


@dataclass
class ColumnParts:
    """A column of a file.

    Attributes
    ----------
    name : str
    declared : Field
    len_column : int
        Bytes of the column in all batches, without its directory entries.
    pieces : list of Piece
        One per batch, in order.
    """

    name: str
    declared: Field
    len_column: int = 0
    pieces: list[Piece] = field(default_factory=list)

    @property
    def varies(self) -> bool:
        """Whether any two cells differ."""
        classes = np.concatenate([p.classes for p in self.pieces])
        integers = np.concatenate([p.integers for p in self.pieces])
        return bool((classes != classes[0]).any() or (integers != integers[:1]).any())


@dataclass
class Dissection:
    """A closed file, taken apart.

    Attributes
    ----------
    num_records, len_file : int
    columns : list of ColumnParts
        Columns with a value.
    framing : dict of str to int
        Bytes of everything else, by part.
    """

    num_records: int
    len_file: int
    columns: list[ColumnParts]
    framing: dict[str, int]

    @property
    def len_columns(self) -> int:
        """Bytes of all columns."""
        return sum(column.len_column for column in self.columns)


def dissect(path: Path) -> Dissection:
    """Take a closed file apart.

    Raises
    ------
    DecodeError
    """
    with cmeta.open(path) as run:
        grammar = grammar_of(run.schema.format)
        directories = list(_directories(path, run, grammar))
        columns = run.read(codes=True)
        found = []
        for declared in run.fields:
            if declared.path in columns:
                lengths = np.sum([d[declared] for d in directories if declared in d], axis=0)
                found += _parts(declared, lengths.tolist(), columns, run, grammar)
        framing = _framing(run, grammar, sum(part.len_column for part in found))
        return Dissection(len(run), run.len_file, found, framing)


def _parts(
    declared: Field,
    lengths: list[int],
    columns: cmeta.Columns,
    run: cmeta.Reader,
    grammar: Grammar,
) -> list[ColumnParts]:
    """Return the columns of a field, one for each component, cut into their batches."""
    facts = grammar.format.codecs.classes
    cuts = np.cumsum([info.num_records for info in run.batches])[:-1]
    masks = np.split(columns.present[declared.path], cuts)
    values = columns[declared.path]
    components = values.T if declared.num_components else [values]
    parts = []
    for number, (component, length) in enumerate(zip(components, lengths, strict=True)):
        label = f"{declared.path}[{number}]" if declared.num_components else declared.path
        part = ColumnParts(label, declared, length)
        for cells, present in zip(np.split(component, cuts), masks, strict=True):
            codes = classes.encode(cells, present, facts)
            if codes is None:
                codes = np.full(len(cells), facts.value, np.uint8)
            finite = np.ascontiguousarray(cells[codes == facts.value])
            mode, integers = integers_of(declared, finite, grammar)
            part.pieces.append(Piece(codes, finite, integers, mode))
        parts.append(part)
    return parts


def integers_of(
    declared: Field, finite: Array, grammar: Grammar
) -> tuple[int, npt.NDArray[np.int64]]:
    """Return the mode, and the integers that quantise hands to the next stage."""
    facts = grammar.format.codecs.quantise
    if declared.quanta_per_unit:
        return 0, fixed_point.encode(finite, declared.quanta_per_unit, facts.product_bits)
    if declared.is_float:
        return lossless.encode(finite, facts)
    return 0, finite.view(np.int64) if finite.dtype.itemsize == 8 else finite.astype(np.int64)


def _directories(
    path: Path, run: cmeta.Reader, grammar: Grammar
) -> Iterator[dict[Field, npt.NDArray[np.int64]]]:
    """Yield the lengths of the columns of each batch, by field."""
    source = open_source(path)
    try:
        for info in run.batches:
            end = info.offset + info.len_block
            block = read_block(source, grammar, info.offset, end, newer=False)
            body = grammar.bodies["BATCH"].parse(block.body, num_columns=run.schema.num_columns)
            declared = np.array(body["len_columns"], np.int64)
            at = 0
            found = {}
            for known in run.schema.fields:
                found[known] = declared[at : at + known.num_columns]
                at += known.num_columns
            others = run.fields[len(run.schema.fields) :]
            for number, length in body["undeclared"].tolist():
                found[others[number]] = np.array([length], np.int64)
            yield found
    finally:
        source.close()


def _framing(run: cmeta.Reader, grammar: Grammar, len_columns: int) -> dict[str, int]:
    """Return the bytes of everything but the columns."""
    len_batches = sum(info.len_block for info in run.batches)
    heads = len(run.batches) * (grammar.len_frame + grammar.batch_head.size)
    len_schema = len(run.schema.embedded) + grammar.len_frame
    ends = grammar.header.size + grammar.trailer.size
    num_blocks = len(run.batches) + len(run.configs) + len(run.names) + 1
    len_index = grammar.len_frame + grammar.bodies["INDEX"].upto("entries").size
    len_index += grammar.index_tail.size + num_blocks * grammar.index_entry.size
    configs_names = run.len_file - len_batches - len_schema - len_index - ends
    return {
        "SCHEMA": len_schema,
        "CONFIG and NAME": configs_names,
        "frames and heads of batches": heads,
        "directories": len_batches - heads - len_columns,
        "INDEX, header, trailer": len_index + ends,
    }
