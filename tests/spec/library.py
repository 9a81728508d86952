"""Columns by the library, for comparing with the plain ones."""

import io
import warnings

import numpy as np

import cmeta
from cmeta.format.column import Cells, Phases, State
from cmeta.format.grammar import grammar_of
from cmeta.format.stages import classes
from cmeta.schema.load import shipped_format
from cmeta.schema.types import Field

FORMAT = shipped_format()
CODECS = FORMAT.codecs
QUANTA = CODECS.quantise.quanta_per_unit


def field_of(kind):
    exact, _, kind = kind.rpartition(" ")
    is_float = kind in ("f32", "f64")
    chain = CODECS.defaults.float if is_float else CODECS.defaults.integer
    field = Field("x", kind, chain=chain, quanta_per_unit=QUANTA if is_float and not exact else 0)
    return field, {"type": kind} | ({"exact": True} if exact else {})


def build(field, values, phases, present=None):
    """Return the bytes of a column, by the library."""
    values = np.asarray(values, field.dtype.newbyteorder("="))
    mask = None if present is None or all(present) else np.array(present, bool)
    codes = classes.encode(values, mask, CODECS.classes)
    finite = values if codes is None else values[codes == CODECS.classes.value]
    state = State(len(values), Phases(np.array(phases, np.uint8)))
    return grammar_of(FORMAT).column(field).build(Cells(finite, codes), state=state)


def parse(field, data, phases):
    """Return the cells of a column, by the library, and how many bytes they took."""
    stream = io.BytesIO(data)
    state = State(len(phases), Phases(np.array(phases, np.uint8)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cells = grammar_of(FORMAT).column(field).parse_stream(stream, state=state)
    if stream.tell() != len(data):
        raise cmeta.CorruptError("bytes behind the last quotient")
    if cells.classes is None:
        return cells.finite.tolist(), stream.tell()
    values, present = classes.decode(cells.classes, cells.finite, 0, CODECS.classes)
    pairs = zip(values.tolist(), present.tolist(), strict=True)
    return [value if there else None for value, there in pairs], stream.tell()
