"""Small valid files to spoil, and what is true of them."""

from functools import cache

import numpy as np
from msgspec.structs import replace

import cmeta
from cmeta.schema.language import Enumeration, Group, Record, RecordField
from cmeta.schema.load import shipped_format
from cmeta.schema.schema import Schema
from cmeta.testing.values import to_bytes

LEADING = (
    RecordField(name="timestamp", type="u64", codec=("split", "delta", "rice")),
    RecordField(name="phase", type="enum", enumeration="phase", codec=("delta", "rice")),
)


def schema_of(*fields, groups=(), phases=("a", "b"), batch_records=16):
    """A schema of these fields, as small as can be."""
    record = Record(batch_records=batch_records, fields=(*LEADING, *fields), groups=groups)
    document = replace(
        cmeta.default_schema().document,
        enumerations={"phase": Enumeration(values=phases)},
        record=record,
    )
    return Schema(document, shipped_format())


@cache
def smallest():
    """One record, nothing but a timestamp and a phase."""
    return to_bytes({"timestamp": [7], "phase": ["a"]}, schema_of())


@cache
def small():
    """A full batch and a short one, with a CONFIG and a NAME before each, in few bytes."""
    schema = schema_of(
        RecordField(name="c", type="config"),
        RecordField(name="x", type="f32"),
        groups=(Group(name="m", open=True),),
    )
    n = np.arange(20)
    columns = {
        "timestamp": n // 2 + 5,
        "phase": n % 2,
        "c": [{"lr": 0.5}] * 18 + [{"lr": 0.25}] * 2,  # no two blocks of one kind and length
        "x": np.ma.array(np.where(n % 7 == 3, np.nan, 1 / (n + 1)), mask=n % 5 == 4),
        "m.y": np.ma.array(n % 3 / 4, mask=n < 10),
        "m.zz": np.ma.array(n * 0.1, mask=n < 17),
    }
    return to_bytes(columns, schema)


@cache
def rich():
    """Every type, a vector, an enumeration, palettes, splits, sparse runs, all five classes."""
    schema = schema_of(
        RecordField(name="v", type="f32[2]", group="m"),
        RecordField(name="e", type="f64", exact=True),
        RecordField(name="state", type="enum", enumeration="phase"),
        RecordField(name="seed", type="u64"),
        RecordField(name="i", type="i16"),
        RecordField(name="flag", type="bool"),
        RecordField(name="c", type="config"),
        groups=(Group(name="m", open=True),),
        phases=("a", "b", "c"),
        batch_records=32,
    )
    n = np.arange(80)
    special = np.array([1.5, np.nan, np.inf, -np.inf, -0.0, 1e-310, 0.25, 3.0])
    columns = {
        "timestamp": np.sort(n * n % 97),
        "phase": np.zeros(80, int),
        "m.v": np.stack([np.sin(n), n % 5 * 0.1], axis=1),
        "e": special[n * n % 8],
        "state": np.ma.array(n % 4 // 2, mask=n % 9 == 0),
        "seed": (n + 3).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15),
        "i": np.where(n % 13 == 0, -32768 + n, 32767),
        "flag": n % 2 == 1,
        "c": [{"run": {"n": int(k)}} for k in n // 40],
        "m.acc": np.round(n * 7 % 31 / 1797, 6),
        "m.late": np.ma.array(np.exp(-n / 9.0), mask=n < 50),
    }
    columns["phase"] = n % 3 * (np.diff(columns["timestamp"], prepend=-1) > 0)
    order = np.lexsort((columns["phase"], columns["timestamp"]))
    columns["phase"] = columns["phase"][order]
    return to_bytes(columns, schema)
