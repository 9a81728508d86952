"""SPEC.md says what the library does: a reader and a writer made from the text agree with it."""

import json
import random

import numpy as np
import plain_columns
import plain_file_writer
import plain_reader
import plain_writer
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from library import CODECS, FORMAT, QUANTA, build, field_of, parse

import cmeta
from cmeta.format import planner
from cmeta.records.record import flatten
from cmeta.schema.types import Field
from cmeta.testing.oracle import identical
from cmeta.testing.runs import files

WORDS = [0, 1, -1, 7, 250, 2**31, -(2**31), 2**63 - 1, -(2**63), 2**62]


@given(files())
def test_a_reader_made_from_the_text_reads_every_file(data):
    schema, records = plain_reader.read(data)
    with cmeta.open(data) as run:
        assert schema == json.loads(run.schema.embedded)
        expected = [flatten(record, run.schema) for record in run]
    assert len(records) == len(expected)
    for found, wanted in zip(records, expected, strict=True):
        assert found.keys() == wanted.keys()
        for path, value in wanted.items():
            is_json = isinstance(value, dict)
            assert found[path] == value if is_json else identical(found[path], value), path


@given(files())
def test_a_writer_made_from_the_text_writes_every_file(data):
    """A file is a function of schema and records, and of nothing else."""
    assert plain_file_writer.write(*plain_reader.read(data)) == data


@st.composite
def integer_lists(draw):
    """Draw lists that lead to every form, sparse or dense, with and without palette and split."""
    num = draw(st.integers(1, 300))
    seed = draw(st.integers(0, 2**32))
    pick = random.Random(seed)
    small = draw(st.sampled_from([1, 3, 100, 2**20, 2**40, 2**64]))
    way = draw(st.sampled_from(["noise", "walk", "curve", "few", "mostly same", "extremes"]))
    if way == "extremes":
        return [pick.choice(WORDS) for _ in range(num)]
    if way == "few":
        values = [pick.randrange(small) for _ in range(draw(st.integers(1, 9)))]
        return [plain_columns.s64(pick.choice(values)) for _ in range(num)]
    if way == "mostly same":
        rate = draw(st.sampled_from([0.01, 0.2, 0.7]))
        return [
            plain_columns.s64(pick.randrange(small) * (pick.random() < rate)) for _ in range(num)
        ]
    values, at, step = [], pick.randrange(small), 0
    scale = draw(st.sampled_from([1, 1, 12, 1000]))
    for _ in range(num):
        noise = pick.randrange(-small // 2, small // 2 + 1)
        step = {"noise": step, "walk": noise, "curve": step + noise}[way]
        at = noise if way == "noise" else at + step
        values.append(plain_columns.s64(at * scale))
    return values


def phases_for(draw, num):
    most = draw(st.integers(1, 3))
    pick = random.Random(draw(st.integers(0, 99)))
    return [pick.randrange(most) for _ in range(num)]


@settings(max_examples=100)
@given(integer_lists())
def test_a_run_is_written_in_the_form_that_the_text_demands(run):
    chosen = planner.choose(np.array(run, np.int64), None, ("delta", "rice"), CODECS)
    assert [tuple(choice) for choice in chosen.runs] == [plain_writer.price(run)[1:]]


@settings(max_examples=60)
@given(st.data())
def test_an_integer_column_is_written_as_the_text_says(data):
    values = data.draw(integer_lists())
    phases = phases_for(data.draw, len(values))
    chain = data.draw(
        st.sampled_from(
            [
                ("class", "palette", "split", "delta", "rice"),
                ("class", "split", "delta", "rice"),
                ("class", "palette", "delta", "rice"),
                ("class", "delta", "rice"),
            ]
        )
    )
    field = Field("x", "i64", chain=chain)
    cells = [None if data.draw(st.booleans()) and i % 3 == 0 else v for i, v in enumerate(values)]
    found = build(field, [v or 0 for v in cells], phases, [c is not None for c in cells])
    assert found == plain_writer.column(cells, "i64", phases, chain)
    plain = {"type": "i64", "codec": list(chain)}
    assert plain_columns.column(found, plain, len(cells), phases) == cells


FLOATS = st.one_of(
    st.floats(width=32),
    st.floats(),
    st.sampled_from([0.0, -0.0, 0.1, 0.25, 1e-7, 15.9999999, 16.0, 1e30, 123.456, 2.5e-6, 3.5e-6]),
    st.integers(-(10**6), 10**6).map(lambda n: n / 1000),
)


@settings(max_examples=150)
@given(
    st.lists(FLOATS, min_size=1, max_size=40)
    | st.lists(st.floats(-2, 2, width=32), min_size=1, max_size=40)
    | st.lists(st.floats(-(2**20), 2**20).map(lambda x: round(x, 3)), min_size=1, max_size=40),
    st.sampled_from(["f32", "f64"]),
    st.sampled_from([0, 1, 7, QUANTA, 10**7, 10**12]),
)
def test_a_float_column_is_written_as_the_text_says(values, kind, quanta):
    quanta = min(quanta, FORMAT.limits.quanta_per_unit_max_f32) if kind == "f32" else quanta
    values = [plain_columns.to_type(x, kind) for x in values]
    phases = [0] * len(values)
    chain = CODECS.defaults.float
    field = Field("x", kind, chain=chain, quanta_per_unit=quanta)
    found = build(field, values, phases)
    assert found == plain_writer.column(values, kind, phases, chain, quanta=quanta)
    plain = {"type": kind} | ({"quanta_per_unit": quanta} if quanta else {"exact": True})
    cells = plain_columns.column(found, plain, len(values), phases)
    expected = parse(field, found, phases)
    assert all(map(identical, cells, expected))


@settings(max_examples=200)
@given(st.data())
def test_what_the_text_requires_is_what_the_library_requires(data):
    """Damage a column: both refuse it, or both read the same from it."""
    values = data.draw(integer_lists())
    phases = phases_for(data.draw, len(values))
    kind = data.draw(st.sampled_from(["i64", "i64", "u8", "f32", "f64", "exact f32", "exact f64"]))
    field, plain = field_of(kind)
    typed = np.array(values, np.int64).astype(field.dtype.newbyteorder("="))
    column = bytearray(build(field, typed, phases, [v % 5 != 1 for v in values]))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, min(len(column) - 1, 40)))
        column[place] = data.draw(st.integers(0, 255) | st.just(column[place] ^ 1))
    if data.draw(st.booleans()):
        del column[data.draw(st.integers(0, len(column))) :]
    try:
        wanted = plain_columns.column(bytes(column), plain, len(values), phases)
    except plain_columns.CorruptError:
        with pytest.raises(cmeta.DecodeError):
            parse(field, bytes(column), phases)
        return
    found = parse(field, bytes(column), phases)
    assert all(map(identical, found, wanted))


@pytest.mark.parametrize("code", range(5))
def test_how_a_run_ended(tmp_path, code):
    status = [None, "finished", "failed", "interrupted", "pruned"][code]
    path = tmp_path / "run.cmeta"
    cmeta.write(path, {"phase": ["train"], "loss": [0.5]}, status=status)
    data = path.read_bytes()
    assert plain_reader.status(data) == code
    assert plain_file_writer.write(*plain_reader.read(data), code) == data
