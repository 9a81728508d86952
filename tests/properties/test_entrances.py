"""Every entrance gives one value: log, cycle, record_cycle and write, by the bytes of the file."""

import math
import warnings
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import cmeta

try:
    import torch
except ImportError:  # the tests run without it, too
    torch = None

SCHEMA = (
    cmeta.default_schema()
    .with_metrics(
        narrow={"type": "f32", "exact": True},
        wide={"type": "f64", "exact": True},
        steps={"type": "f64"},
        **{name: {"type": name} for name in ("u8", "i32", "i64", "u64", "bool")},
        pair={"type": "f64[2]", "exact": True},
        whole={"type": "u64[2]"},
    )
    .with_batch_records(16)
)
FIELDS = (
    "loss_value", "metrics.narrow", "metrics.wide", "metrics.steps", "metrics.undeclared",
    "metrics.u8", "metrics.i32", "metrics.i64", "metrics.u64", "metrics.bool", "metrics.state",
)  # fmt: skip
VECTORS = {"tensor_signature": 3, "metrics.pair": 2, "metrics.whole": 2}
HALF_WAY = 2**60 + 2**36 + 1  # rounded to float64 first, it is half way between two float32s

integers = st.one_of(
    st.integers(-300, 300),
    st.integers(-(2**70), 2**70),
    st.builds(lambda e, d: 2**e + 2 ** max(e - 24, 0) + d, st.integers(0, 130), st.integers(-2, 2)),
    st.sampled_from([2**53 + 1, 2**64 - 1, 2**64, HALF_WAY, -HALF_WAY, 10**400]),
)
floats = st.one_of(st.floats(), st.floats(width=32), st.floats(-20, 20))
fractions = st.builds(Fraction, integers, st.integers(1, 2**40))
numpy_kinds = st.sampled_from([np.float16, np.float32, np.float64, np.longdouble])
SMALL = [np.int8, np.uint8, np.int64, np.uint64, np.bool_]
numbers = st.one_of(
    floats,
    integers,
    st.booleans(),
    fractions,
    st.builds(Decimal, floats.filter(math.isfinite).map(repr)),
    st.builds(lambda f: Decimal(f.numerator) / f.denominator, fractions),
    st.builds(lambda kind, value: kind(value), numpy_kinds, st.floats(-1e4, 1e4)),
    st.builds(lambda value: np.longdouble(value) + np.longdouble(2) ** -40, st.integers(0, 9)),
    st.builds(lambda kind, value: kind(value), st.sampled_from(SMALL), st.integers(0, 100)),
    st.builds(np.array, floats),
    st.builds(pa.scalar, floats),
)
if torch:
    tensors = st.one_of(
        st.builds(torch.tensor, floats),
        st.builds(lambda v: torch.tensor(v, dtype=torch.float64), floats),
        st.builds(lambda v: torch.tensor(v, dtype=torch.bfloat16), floats),
        st.builds(torch.tensor, st.integers(-(2**63), 2**63 - 1)),
    )
    numbers = st.one_of(numbers, tensors)
nothings = st.sampled_from(
    [None, np.ma.masked, pd.NA, pd.NaT, np.datetime64("NaT"), np.timedelta64("NaT", "s"),
     pa.scalar(None), pa.scalar(None, pa.float64()), np.ma.array(9.0, mask=True)]
)  # fmt: skip
oddities = st.sampled_from(
    ["stable", "0.5", b"1", 1j, np.complex64(1), np.datetime64("2026-01-01", "ns"),
     np.timedelta64(5, "ns"), pd.Timestamp("2026-01-01"), pd.Timedelta("1s"), [1.0], np.ones(2),
     {}, object(), pa.scalar("x")]
)  # fmt: skip
values = st.one_of(numbers, numbers, numbers, nothings, oddities)


def recorded(path, phase_values, name, way):
    """Record each value by one of the recorder's entrances."""
    with cmeta.Recorder(path, SCHEMA, mode="replace", seed=1) as rec:
        for value in phase_values:
            group, _, metric = name.rpartition(".")
            if way == "record":
                record = {"metrics": {metric: value}} if group else {name: value}
                rec.record_cycle(cmeta.CycleRecord(phase="train", **record))
            elif way == "metrics" and group:
                rec.log("train", metrics={metric: value})
            elif way == "keyword" and group:
                rec.log("train", **{metric: value})
            else:
                rec.log("train", **{name: value})
        rec.config = None


def written(path, values, name, way):
    """Write all values by one of the ways of `write`."""
    config = {"cmeta": {"seed_root": 1, "seed_scheme": "weyl"}}
    group, _, metric = name.rpartition(".")
    if way == "records":
        made = [{"metrics": {metric: v}} if group else {name: v} for v in values]
        given = [cmeta.CycleRecord(phase="train", **record) for record in made]
    elif way == "objects":
        column = np.empty(len(values), object)
        for place, value in enumerate(values):
            column[place] = value
        given = {"phase": ["train"] * len(values), name: column}
    elif way == "chunks":
        given = [{"phase": ["train"], name: [value]} for value in values]
    else:
        given = {"phase": ["train"] * len(values), name: values}
    cmeta.write(path, given, SCHEMA, config)


WAYS = {
    **dict.fromkeys(("log", "metrics", "keyword", "record"), recorded),
    **dict.fromkeys(("list", "records", "objects", "chunks"), written),
}


def results(folder, values, name):
    """Return the bytes, or that the values are refused, for each way in."""
    found = {}
    for way, record in WAYS.items():
        path = folder / f"{way}.cmeta"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", cmeta.PrecisionWarning)
            try:
                record(path, values, name, way)
            except cmeta.EncodeError as err:
                assert name.rpartition(".")[2] in str(err)
                found[way] = "refused"
            else:
                found[way] = path.read_bytes()
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("entrances")


@given(st.lists(values, min_size=1, max_size=5), st.sampled_from(FIELDS))
@example([HALF_WAY, 0.5], "loss_value")
@example([0.0], "metrics.u8")
@example([HALF_WAY, 0.5], "metrics.narrow")
@example([Decimal("1.00000005960464477539063"), Fraction(1, 3)], "metrics.narrow")
@example([np.longdouble(1) + np.longdouble(2) ** -24 + np.longdouble(2) ** -60], "metrics.narrow")
@example([2**64, 0.5], "metrics.wide")
@example([np.ma.masked, 0.5], "loss_value")
@example([pd.NA, 0.5], "metrics.undeclared")
def test_scalars(folder, values, name):
    found = results(folder, values, name)
    assert len(set(found.values())) == 1, {way: len(found[way]) for way in found}


@given(st.data(), st.sampled_from(sorted(VECTORS)))
def test_vectors(folder, data, name):
    size = VECTORS[name]
    rows = st.one_of(
        st.lists(st.one_of(numbers, numbers, nothings), min_size=size, max_size=size),
        st.lists(floats, min_size=size, max_size=size).map(np.array),
        st.lists(floats, min_size=size, max_size=size).map(torch.tensor if torch else list),
        st.lists(st.integers(0, 2**63 - 1), min_size=size, max_size=size).map(np.array),
        nothings,
        oddities,
    )
    found = results(folder, data.draw(st.lists(rows, min_size=1, max_size=3)), name)
    assert len(set(found.values())) == 1, {way: len(found[way]) for way in found}


ARRAYS = ("f2", "f4", "f8", "longdouble", "i1", "i8", "u1", "u8", "?")


@given(st.sampled_from(ARRAYS), st.sampled_from(FIELDS), st.lists(floats, min_size=1, max_size=5))
def test_an_array_is_the_list_of_its_numbers(folder, code, name, drawn):
    dtype = np.dtype(code)
    with np.errstate(all="ignore"):
        column = np.nan_to_num(np.array(drawn)) if dtype.kind in "iu" else np.array(drawn)
        column = column.astype(dtype)
    found = set()
    for number, given_ in enumerate((column, list(column), column.astype(object))):
        path = folder / f"array{number}.cmeta"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", cmeta.PrecisionWarning)
            try:
                cmeta.write(path, {"phase": ["train"] * len(column), name: given_}, SCHEMA)
            except cmeta.EncodeError:
                found.add("refused")
            else:
                found.add(path.read_bytes())
    assert len(found) == 1


def nearest_float32(number):
    """Return the float32 nearest to a fraction, by trying the neighbours; ties to even."""
    with np.errstate(over="ignore"):
        guess = np.float32(float(number))
    around = [guess, *(np.nextafter(guess, np.float32(way)) for way in (-np.inf, np.inf))]
    finite = [f for f in around if np.isfinite(f)]
    gap = min(abs(Fraction(float(f)) - number) for f in finite)
    near = [f for f in finite if abs(Fraction(float(f)) - number) == gap]
    return next((f for f in near if not int(f.view(np.uint32)) & 1), near[0])


@given(st.builds(Fraction, st.integers(-(2**120), 2**120), st.integers(1, 2**60)))
@example(Fraction(HALF_WAY))
def test_a_number_is_rounded_once(folder, number):
    expected = nearest_float32(number)
    narrow = cmeta.default_schema().with_metrics(x={"type": "f32", "exact": True})
    forms = [number, number.numerator] if number.denominator == 1 else [number]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cmeta.PrecisionWarning)
        path = folder / "once.cmeta"
        cmeta.write(
            path, {"phase": ["train"] * (len(forms) + 1), "metrics.x": [*forms, 0.5]}, narrow
        )
    with cmeta.open(path) as run:
        assert run.read(["metrics.x"])["metrics.x"][:-1].tolist() == [float(expected)] * len(forms)
