"""Any comparison and any sum, against Python's own integers and floats, record by record."""

import operator

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cmeta.query.parse import parse

COMPARISONS = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
EDGES = [0, 1, 2**31, 2**53 - 1, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1]
INTEGERS = {
    "u8": st.sampled_from(EDGES) | st.integers(0, 2**64 - 1),
    "i8": st.sampled_from([e for e in EDGES if e < 2**63]).map(lambda e: -e)
    | st.integers(-(2**63), 2**63 - 1),
}
FLOATS = (
    st.floats() | st.sampled_from([float(e) for e in EDGES]) | st.sampled_from(EDGES).map(float)
)


@st.composite
def columns(draw, kinds=("u8", "i8", "f8")):
    dtype = draw(st.sampled_from(kinds))
    values = st.lists(FLOATS if dtype == "f8" else INTEGERS[dtype], min_size=6, max_size=6)
    mask = draw(st.none() | st.lists(st.booleans(), min_size=6, max_size=6))
    return np.array(draw(values), dtype), None if mask is None else np.array(mask, bool)


def expected(of_two, left, right):
    (a, there_a), (b, there_b) = left, right
    there = np.ones(6, bool)
    for mask in (there_a, there_b):
        if mask is not None:
            there &= mask
    pairs = zip(a.tolist(), b.tolist(), there.tolist(), strict=True)
    return [bool(there and of_two(x, y)) for x, y, there in pairs]


@given(columns(), columns(), st.sampled_from(sorted(COMPARISONS)))
def test_comparisons_are_those_of_python(left, right, name):
    found = parse(f"a {name} b").evaluate({"a": left, "b": right}.__getitem__)
    assert found.tolist() == expected(COMPARISONS[name], left, right)


@given(columns(), FLOATS.filter(np.isfinite), st.sampled_from(sorted(COMPARISONS)))
def test_so_are_those_with_constants(column, constant, name):
    found = parse(f"a {name} {constant!r}").evaluate(lambda _: column)
    other = (np.full(6, constant), None)
    assert found.tolist() == expected(COMPARISONS[name], column, other)


@given(columns(("u8", "i8")), columns(("u8", "i8")), st.sampled_from("+-*"))
def test_integers_are_exact_as_long_as_they_fit(left, right, name):
    of_two = {"+": operator.add, "-": operator.sub, "*": operator.mul}[name]
    results = [of_two(x, y) for x, y in zip(left[0].tolist(), right[0].tolist(), strict=True)]
    corners = [of_two(x, y) for x in left[0].tolist() for y in right[0].tolist()]
    fits = (min(corners) >= 0 and max(corners) < 2**64) or (
        min(corners) >= -(2**63) and max(corners) < 2**63
    )
    dtype = "O" if not fits else "u8" if max(corners) >= 2**63 else "i8"
    answer = (np.array(results, dtype) if fits else np.array(results, "f8"), None)
    table = {"a": (left[0], None), "b": (right[0], None), "c": answer}
    found = parse(f"a {name} b == c").evaluate(table.__getitem__)
    if fits:
        assert found.all()


@given(st.recursive(
    st.sampled_from(["t", "f", "u"]),
    lambda inner: st.one_of(
        inner.map(lambda a: f"(not {a})"),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
    ),
    max_leaves=12,
))  # fmt: skip
def test_logic_is_that_of_kleene(text):
    table = {
        "t": (np.array([True]), None),
        "f": (np.array([False]), None),
        "u": (np.array([True]), np.array([False])),
    }

    class Truth:
        """A truth of three values, by minimum, maximum and 1 - x (Kleene, 1938)."""

        def __init__(self, value):
            self.value = value

        def __and__(self, other):
            return Truth(min(self.value, other.value))

        def __or__(self, other):
            return Truth(max(self.value, other.value))

        def __invert__(self):
            return Truth(1 - self.value)

    algebra = text.replace("not ", "~").replace(" and ", " & ").replace(" or ", " | ")
    truths = {"t": Truth(1.0), "f": Truth(0.0), "u": Truth(0.5)}
    reference = eval(algebra, {"__builtins__": {}}, truths)  # of a text that this test has made
    assert parse(text).evaluate(table.__getitem__).tolist() == [reference.value == 1.0]
