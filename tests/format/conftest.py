"""Whole columns from values and back, as the grammar composes them from a field's chain."""

import io

import numpy as np
import pytest

from cmeta import default_schema
from cmeta.format.column import PhaseCodes, Records, encode_column
from cmeta.format.grammar import grammar_of
from cmeta.records.chunk import Column
from cmeta.schema.load import shipped_format

GRAMMAR = grammar_of(shipped_format())


def field_of(what):
    """Return a field: a declared one by its path, an undeclared one, or one with these options."""
    if what == "undeclared":
        return shipped_format().codecs.undeclared("x", "metrics")
    if isinstance(what, str):
        return default_schema()[what]
    return default_schema().with_metrics(x=what)["metrics.x"]


@pytest.fixture
def facts():
    """Return the constants of the stages, from the shipped schema."""
    return shipped_format().codecs


@pytest.fixture
def build():
    """Return the bytes of a column as hex."""

    def build_column(what, values, *, phases=None, present=None):
        field = field_of(what)
        values = np.asarray(values, field.dtype.newbyteorder("="))
        codes = np.zeros(len(values), np.uint8) if phases is None else np.uint8(phases)
        mask = None if present is None else np.asarray(present, bool)
        return encode_column(GRAMMAR.column(field), Column(values, mask), PhaseCodes(codes)).hex()

    return build_column


@pytest.fixture
def parse():
    """Return values and classes (or None) of a column given as hex, and how many bytes it took."""

    def parse_column(what, data, num_values, *, phases=None):
        codes = np.zeros(num_values, np.uint8) if phases is None else np.uint8(phases)
        stream = io.BytesIO(bytes.fromhex(data))
        records = Records(num_values, PhaseCodes(codes))
        cells = GRAMMAR.column(field_of(what))._parse(stream, records, "")
        classes = None if cells.classes is None else cells.classes.tolist()
        return cells.finite.tolist(), classes, stream.tell()

    return parse_column
