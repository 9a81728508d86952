"""The answer for a record is its own: that of a plain evaluation of this record alone."""

import ast
import math
import operator
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmeta.query.parse import parse
from cmeta.query.values import column_of

NUM_RECORDS = 5
EDGES = [0, 1, 2, 46, 2**31, 2**53 - 1, 2**53, 2**53 + 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1]
UNSIGNED = st.sampled_from(EDGES) | st.integers(0, 2**64 - 1)
SIGNED = st.sampled_from([sign * e for e in EDGES for sign in (1, -1)] + [-(2**63)]).filter(
    lambda e: -(2**63) <= e < 2**63
)
FLOATS = st.sampled_from([0.0, -0.0, 0.5, 1.0, 2.0**53, 2.0**63, 2.0**64, math.inf, math.nan])
MIXED = SIGNED | FLOATS | st.sampled_from(["adam", 2**70, True])
KINDS = {"u": ("u8", UNSIGNED), "s": ("i8", SIGNED), "f": ("f8", FLOATS), "m": (None, MIXED)}
SYMBOLS = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
    ast.Eq: operator.eq, ast.NotEq: operator.ne,
}  # fmt: skip
EXACT = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul}
OF_FLOATS = {
    ast.Add: np.add, ast.Sub: np.subtract, ast.Mult: np.multiply, ast.Div: np.true_divide,
    ast.Mod: np.remainder, ast.Pow: np.power,
}  # fmt: skip

TERMS = st.recursive(
    st.sampled_from(["u", "s", "f", "m"])
    | st.sampled_from(EDGES).map(str)
    | st.sampled_from(["0.5", "9007199254740992.0"]),
    lambda inner: (
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "%", "**"]), inner).map(
            lambda parts: f"({' '.join(parts)})"
        )
        | inner.map(lambda text: f"(-{text})")
        | inner.map(lambda text: f"abs({text})")
    ),
    max_leaves=4,
)


def as_float(value):
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def fitting(value):
    return value if -(2**63) <= value < 2**64 else as_float(value)


def of_two(kind, a, b):
    if isinstance(a, int) and isinstance(b, int) and kind is not ast.Pow:
        if kind in EXACT:
            return fitting(EXACT[kind](a, b))
        if b != 0:
            return fitting(a % b) if kind is ast.Mod else as_float(Fraction(a, b))
    with np.errstate(all="ignore"):
        return float(OF_FLOATS[kind](np.float64(as_float(a)), np.float64(as_float(b))))


def number(node, record):
    """Return the number of a term for one record; None where it is unknown."""
    if isinstance(node, ast.Name):
        value = record[node.id]
        return None if isinstance(value, str) else int(value) if isinstance(value, bool) else value
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.UnaryOp):
        value = number(node.operand, record)
        return None if value is None else fitting(-value) if isinstance(value, int) else -value
    if isinstance(node, ast.Call):
        value = number(node.args[0], record)
        return None if value is None else abs(value)
    left, right = number(node.left, record), number(node.right, record)
    return None if left is None or right is None else of_two(type(node.op), left, right)


def plain_answer(text, record):
    node = ast.parse(text, mode="eval").body
    left, right = number(node.left, record), number(node.comparators[0], record)
    return None not in (left, right) and SYMBOLS[type(node.ops[0])](left, right)


@st.composite
def records(draw):
    return [
        {name: draw(st.none() | values) for name, (_, values) in KINDS.items()}
        for _ in range(NUM_RECORDS)
    ]


def columns_of(rows):
    table = {}
    for name, (dtype, _) in KINDS.items():
        values = [row[name] for row in rows]
        present = np.array([value is not None for value in values])
        if dtype is None:
            mixed = column_of([*values, "text", 0.5])
            table[name] = (mixed.values[: len(rows)], mixed.mask()[: len(rows)])
        else:
            table[name] = (np.array([0 if v is None else v for v in values], dtype), present)
    return table


@given(TERMS, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), TERMS, records())
def test_each_record_is_answered_as_if_it_were_alone(left, symbol, right, rows):
    text = f"{left} {symbol} {right}"
    names = {n.id for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Name)} - {"abs"}
    if not names or "m" in (left, right):  # a mixed column itself is compared with texts, too
        return
    expression = parse(text)
    together = expression.evaluate(columns_of(rows).__getitem__).tolist()
    alone = [bool(expression.evaluate(columns_of([row]).__getitem__)[0]) for row in rows]
    assert together == alone
    assert together == [plain_answer(text, row) for row in rows]


U = np.array([2, 2**64 - 1, 2**53], "u8")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("u % s == 0", [True, False, False]),
        ("1 / (46 % s) > 0", [True, False, False]),
        ("u + 1 == 9007199254740993", [False, False, True]),
        ("u * 2 == 4", [True, False, False]),
        ("-u == -9007199254740992", [False, False, True]),
        ("abs(u + 1) == 9007199254740993", [False, False, True]),
        ("isfinite(u + 1)", [True, True, True]),
    ],
)
def test_neither_an_absent_nor_a_large_value_elsewhere_counts(text, expected):
    s = (np.array([-2, 0, 7]), np.array([True, True, False]))
    if text.startswith("1 /"):
        s = (np.array([-23, 0, 7]), np.array([True, True, False]))
    table = {"u": (U, None), "s": s}
    assert parse(text).evaluate(table.__getitem__).tolist() == expected


def test_a_text_beside_a_large_seed_does_not_round_it():
    column = column_of([2**53, "random", 0.5])
    assert parse("x + 1 == 9007199254740993").evaluate(lambda _: column).tolist() == [
        True, False, False,
    ]  # fmt: skip


def test_a_sum_is_no_text_even_where_it_does_not_fit():
    with pytest.raises(Exception, match="compares a text with a number"):
        parse("u + 1 == 'a'").evaluate(lambda _: (U, None))
