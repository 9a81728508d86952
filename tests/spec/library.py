"""Columns by the library, for comparing with the plain ones."""

import warnings

import numpy as np

from cmeta.format.column import PhaseCodes, decode_column, encode_column
from cmeta.format.grammar import grammar_of
from cmeta.records.chunk import Column
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
    phases = PhaseCodes(np.array(phases, np.uint8))
    return encode_column(grammar_of(FORMAT).column(field), Column(values, mask), phases)


def parse(field, data, phases):
    """Return the cells of a column, by the library."""
    phases = PhaseCodes(np.array(phases, np.uint8))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        column = decode_column(grammar_of(FORMAT).column(field), data, len(phases.codes), phases, 0)
    pairs = zip(column.values.tolist(), column.mask().tolist(), strict=True)
    return [value if is_present else None for value, is_present in pairs]
