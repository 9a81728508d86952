"""Runs for the properties: what was given, what must come back, and what came back, in one form.

A run in that form is a mapping of dotted names to lists of Python values, None where absent.
"""

from typing import NamedTuple

from hypothesis import settings
from hypothesis import strategies as st

from cmeta import Schema
from cmeta.testing.oracle import expected, identical
from cmeta.testing.runs import columns
from cmeta.testing.schemas import schemas
from cmeta.testing.values import plain_values


class Run(NamedTuple):
    schema: Schema
    columns: dict


@st.composite
def runs(draw, **options):
    schema = draw(schemas())
    return Run(schema, draw(columns(schema, **options)))


def more(factor):
    """Settings for a test whose examples are cheaper, or dearer, than a whole file."""
    return settings(max_examples=max(1, int(settings().max_examples * factor)))


def promised(run):
    """What the schema promises to give back of a run."""
    found = {}
    for path, column in run.columns.items():
        field = run.schema.field(path)
        values = [expected(value, field) for value in plain_values(column)]
        if path == "phase" or any(value is not None for value in values):
            found[path] = values
    found.setdefault("timestamp", list(range(len(found["phase"]))))
    return found


def from_arrays(read):
    """What `Reader.read` gave, as a run."""
    found = {}
    for path, array in read.items():
        values = array.tolist()
        if path == "config" or (read.schema.config_field and path == read.schema.config_field.path):
            values = [read.configs[number] if read.configs else None for number in values]
        values = [tuple(v) if array.ndim == 2 else v for v in values]
        there = read.present[path].tolist()
        found[path] = [v if here else None for v, here in zip(values, there, strict=True)]
    return found


def from_records(records, schema):
    """What iterating gave, as a run."""
    rows = [flat(record, schema) for record in records]
    paths = {path: None for row in rows for path in row}
    return {path: [row.get(path) for row in rows] for path in paths}


def flat(record, schema):
    """The values of a record by dotted name."""
    found = {}
    for name, value in record.as_dict().items():
        if name in schema.groups:
            found |= {f"{name}.{inner}": v for inner, v in value.items()}
        else:
            found[name] = value
    return found


def assert_same(found, wanted):
    """Two runs are equal, bit by bit."""
    assert found.keys() == wanted.keys()
    for path, values in wanted.items():
        for row, (f, w) in enumerate(zip(found[path], values, strict=True)):
            assert identical(f, w), f"{path}, record {row}: found {f!r}, expected {w!r}"
