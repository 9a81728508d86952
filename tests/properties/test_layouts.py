"""A layout read through numpy is the layout read through construct: one schema, two ways."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmeta import DecodeError
from cmeta.format.grammar import Grammar
from cmeta.schema.load import shipped_format
from tests.properties.runs import more

FORMAT = shipped_format()
FAST, PLAIN = Grammar(FORMAT), Grammar(FORMAT, fast=False)
FIXED = {
    "header": lambda g: g.header,
    "trailer": lambda g: g.trailer,
    "frame_head": lambda g: g.frame_head,
    "frame_tail": lambda g: g.frame_tail,
    "batch_head": lambda g: g.batch_head,
    "index_entry": lambda g: g.index_entry,
    "index_tail": lambda g: g.index_tail,
    "undeclared_entry": lambda g: g.undeclared_entry,
    "journal_header": lambda g: g.journal_header,
}


def numbers(layout):
    """Draw the values of a fixed layout; constants as the schema has them."""
    drawn = {}
    for field in layout.fields:
        most = 2 ** (8 * layout.dtype[field.name].itemsize) - 1
        const = FORMAT.const(field.const)
        drawn[field.name] = st.integers(0, most) if const is None else st.just(const)
    return st.fixed_dictionaries(drawn)


def as_row(values, layout):
    return tuple(values[field.name] for field in layout.fields)


@pytest.mark.parametrize("name", FIXED)
def test_a_fixed_layout_is_its_dtype(name):
    layout = FIXED[name](FAST)
    assert layout.size == layout.construct.sizeof()

    @more(1)
    @given(numbers(layout))
    def check(values):
        built = layout.build(values)
        assert built == np.array([as_row(values, layout)], layout.dtype).tobytes()
        assert layout.parse(built) == values
        assert np.frombuffer(built, layout.dtype)[0].tolist() == as_row(values, layout)

    check()


def index_bodies():
    entries = st.lists(numbers(FAST.index_entry), max_size=5)
    return entries.flatmap(
        lambda rows: st.fixed_dictionaries(
            {
                "version": st.integers(0, 2**16 - 1),
                "status": st.integers(0, 2**16 - 1),
                "records_count": st.integers(0, 2**32 - 1),
                "num_blocks": st.just(len(rows)),
                "entries": st.just(rows),
                "running_crc": st.integers(0, 2**64 - 1),
                "index_offset": st.integers(0, 2**64 - 1),
            }
        )
    )


@more(2)
@given(index_bodies())
def test_an_index_through_numpy_is_one_through_construct(body):
    plain = PLAIN.bodies["INDEX"].build(body)
    wanted = [as_row(row, FAST.index_entry) for row in body["entries"]]
    rows = np.array(wanted, FAST.index_entry.dtype)
    assert FAST.bodies["INDEX"].build(body | {"entries": rows}) == plain
    slow, quick = PLAIN.bodies["INDEX"].parse(plain), FAST.bodies["INDEX"].parse(plain)
    assert [as_row(row, FAST.index_entry) for row in slow.pop("entries")] == wanted
    assert quick.pop("entries").tolist() == wanted
    assert quick == slow


@more(2)
@given(st.lists(st.integers(0, 2**32 - 1), max_size=6), st.data())
def test_a_directory_through_numpy_is_one_through_construct(lengths, data):
    rows = data.draw(st.lists(numbers(FAST.undeclared_entry), max_size=4))
    body = {
        "records_count": 7,
        "first_timestamp": 1,
        "last_timestamp": 2**64 - 1,
        "len_columns": lengths,
        "num_undeclared": len(rows),
        "undeclared": rows,
        "columns": data.draw(st.binary(max_size=9)),
    }
    plain = PLAIN.bodies["BATCH"].build(body, num_columns=len(lengths))
    wanted = [as_row(row, FAST.undeclared_entry) for row in rows]
    table = np.array(wanted, FAST.undeclared_entry.dtype)
    quick = body | {"undeclared": table}
    assert FAST.bodies["BATCH"].build(quick, num_columns=len(lengths)) == plain
    found = FAST.bodies["BATCH"].parse(plain, num_columns=len(lengths))
    slow = PLAIN.bodies["BATCH"].parse(plain, num_columns=len(lengths))
    assert found["len_columns"].tolist() == list(slow["len_columns"]) == lengths
    assert found["undeclared"].tolist() == wanted
    assert [as_row(row, FAST.undeclared_entry) for row in slow["undeclared"]] == wanted
    for name in ("records_count", "first_timestamp", "last_timestamp", "num_undeclared", "columns"):
        assert found[name] == slow[name] == body[name]


@more(8)
@given(st.sampled_from(["SCHEMA", "CONFIG", "NAME", "BATCH", "INDEX"]), st.binary(max_size=120))
def test_both_ways_refuse_the_same_bytes(name, data):
    outcomes = []
    for grammar in (FAST, PLAIN):
        try:
            grammar.bodies[name].parse(data, **({"num_columns": 3} if name == "BATCH" else {}))
            outcomes.append(None)
        except DecodeError as err:
            outcomes.append((type(err), err.offset, err.path))
    assert outcomes[0] == outcomes[1]
