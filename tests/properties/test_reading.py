"""Reading a part gives what reading all of it and throwing the rest away gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cmeta
from cmeta.testing.oracle import identical
from cmeta.testing.runs import files
from tests.properties.runs import assert_same, flat, from_arrays, from_records, more


@st.composite
def questions(draw, reader, full):
    """Draw a range around the timestamps of a file, phases and fields."""
    stamps = full["timestamp"].tolist() or [5]
    bound = st.none() | st.sampled_from(stamps) | st.integers(-1, 2**64 + 1)
    near = st.sampled_from(stamps).flatmap(lambda t: st.integers(t - 1, t + 1))
    phases = st.sampled_from(reader.schema.phases)
    start, end = draw(bound | near), draw(bound | near)
    if start is not None and end is not None:
        start, end = min(start, end), max(start, end)
    return {
        "start": start,
        "end": end,
        "phase": draw(st.none() | phases | st.lists(phases, max_size=3)),
    }


def matches(full, question):
    """Which records of a full read answer a question."""
    chosen = np.ones(full.num_records, bool)
    for row, (stamp, phase) in enumerate(zip(full["timestamp"].tolist(), full["phase"].tolist(),
                                             strict=True)):  # fmt: skip
        low, high, phases = question["start"], question["end"], question["phase"]
        chosen[row] = (
            (low is None or stamp >= low)
            and (high is None or stamp <= high)
            and (phases is None or phase == phases or (phase in list(phases) and phases != phase))
        )
    return chosen


def filtered(full, question):
    """What answers a question, taken from a full read."""
    chosen = matches(full, question)
    found = {}
    for path, values in from_arrays(full).items():
        kept = [v for v, take in zip(values, chosen.tolist(), strict=True) if take]
        if path in ("timestamp", "phase") or any(v is not None for v in kept):
            found[path] = kept
    return found


@more(3)
@given(files(), st.data())
def test_a_range_is_a_full_read_filtered(file, data):
    reader = cmeta.open(file)
    full = reader.read()
    question = data.draw(questions(reader, full))
    threads = data.draw(st.sampled_from([1, 3]))
    assert_same(from_arrays(cmeta.open(file).read(**question, threads=threads)),
                filtered(full, question))  # fmt: skip


@more(2)
@given(files(), st.data())
def test_some_fields_are_a_full_read_without_the_others(file, data):
    reader = cmeta.open(file)
    full = reader.read()
    known = [field.path for field in reader.fields]
    question = data.draw(questions(reader, full))
    wanted = data.draw(st.lists(st.sampled_from(known), unique=True))
    found = cmeta.open(file).read(wanted, **question)
    chosen = matches(full, question)
    assert sorted(found) == sorted(wanted)
    for path in wanted:
        if path in full:
            assert found[path].dtype == full[path].dtype
            assert found[path].tobytes() == full[path][chosen].tobytes()
            assert found.present[path].tolist() == full.present[path][chosen].tolist()
        else:
            assert not found.present[path].any()
            assert len(found[path]) == chosen.sum()


@more(2)
@given(files(), st.data())
def test_a_query_gives_the_records_of_the_range(file, data):
    reader = cmeta.open(file)
    full = reader.read()
    question = data.draw(questions(reader, full))
    chosen = matches(full, question)
    records = [record for record, take in zip(reader, chosen, strict=True) if take]
    found = cmeta.open(file).query_range(**question)
    lazily = list(cmeta.open(file).records(**question))
    assert found == lazily == records
    for one, other in zip(found, records, strict=True):
        assert identical(flat(one, reader.schema), flat(other, reader.schema))


@given(files())
def test_iterating_and_reading_give_the_same(file):
    reader = cmeta.open(file)
    arrays = from_arrays(reader.read())
    records = list(reader)
    assert len(records) == len(reader) == len(arrays["phase"])
    if records:
        assert_same(from_records(records, reader.schema), arrays)


@given(files())
def test_codes_are_the_places_of_names(file):
    reader = cmeta.open(file)
    names, codes = reader.read(), reader.read(codes=True)
    for field in reader.schema.fields:
        if field.labels and field.path in names:
            there = codes.present[field.path]
            labels = np.array(field.labels)
            assert (labels[codes[field.path][there]] == names[field.path][there]).all()
            assert (names[field.path][~there] == "").all()


@given(files())
def test_the_answer_is_as_large_as_it_must_be_and_no_larger(file):
    reader = cmeta.open(file)
    read = reader.read()
    size = sum(array.nbytes + read.present[path].nbytes for path, array in read.items())
    if size:
        with pytest.raises(cmeta.LimitError):
            reader.read(max_bytes=size - 1)
