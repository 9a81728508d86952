"""What an expression selects: absent values, NaN, large integers, texts, mixed columns."""

import numpy as np
import pytest

from cmeta.errors import QueryError
from cmeta.query.parse import parse
from cmeta.query.values import column_of

MAX = 2**64 - 1
NAN, INF = float("nan"), float("inf")
COLUMNS = {
    "x": (np.array([0.5, 2.0, NAN, INF, 9.0]), np.array([1, 1, 1, 1, 0], bool)),
    "f": (np.array([0.1, 0.2, 1e30, 16777216.0, -0.0], "f4"), None),
    "u": (np.array([0, 1, 2**53 + 1, 2**63, MAX], "u8"), None),
    "i": (np.array([-(2**63), -1, 0, 1, 2**63 - 1], "i8"), None),
    "b": (np.array([1, 0, 1, 0, 1], bool), np.array([1, 1, 1, 0, 0], bool)),
    "s": (np.array(["train", "test", "", "é", "train"]), np.array([1, 1, 1, 1, 0], bool)),
    "m": column_of([1, "a", None, True, 2.5]),
    "none": (np.zeros(5), np.zeros(5, bool)),
    "vector": (np.zeros((5, 3)), None),
}


def selected(text):
    return np.flatnonzero(parse(text).evaluate(COLUMNS.__getitem__)).tolist()


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        # absent: neither a comparison nor its opposite
        ("x < 1", [0]),
        ("not x < 1", [1, 2, 3]),
        ("x == x", [0, 1, 3]),
        ("x is None", [4]),
        ("None == x", [4]),
        ("x != None", [0, 1, 2, 3]),
        ("x is not None", [0, 1, 2, 3]),
        ("present(x)", [0, 1, 2, 3]),
        ("present(x + 1)", [0, 1, 2, 3]),
        ("x < 1 or u == 18446744073709551615", [0, 4]),  # unknown or true is true
        ("x < 1 and u < 0", []),
        ("not (x < 1 and u < 0)", [0, 1, 2, 3, 4]),  # unknown and false is false
        ("not (x < 1 or u < 0)", [1, 2, 3]),
        ("x in (None, 0.5)", [0, 4]),
        ("x not in (0.5, 2)", [2, 3]),
        ("x in ()", []),
        ("none < 1 or none >= 1 or none == 'a' or none or isnan(none)", []),
        ("none > 1 or none == 'a' or x < 1", [0]),
        ("none is None", [0, 1, 2, 3, 4]),
        # NaN and infinities
        ("isnan(x)", [2]),
        ("not isnan(x)", [0, 1, 3]),
        ("x != x", [2]),
        ("isinf(x)", [3]),
        ("isfinite(x)", [0, 1]),
        ("isnan(u)", []),
        ("not x > 1e308", [0, 1, 2]),
        ("0 < x < 3", [0, 1]),
        ("0.5 <= x <= 0.5", [0]),
        # float32: a decimal means the float32 that it is the shortest of
        ("f == 0.1", [0]),
        ("f <= 0.1", [0, 4]),
        ("f < 0.1", [4]),
        ("f in (0.2, 1e30)", [1, 2]),
        ("f == -0.1 * -1", [0]),
        ("f > 0.100000001", [0, 1, 2, 3]),
        ("f < 1e300", [0, 1, 2, 3, 4]),
        ("f > 1e-300", [0, 1, 2, 3]),
        ("f == 16777217", []),
        # integers to the last bit
        ("u == 18446744073709551615", [4]),
        ("u == 0xFFFFFFFFFFFFFFFF", [4]),
        ("u < 18446744073709551615", [0, 1, 2, 3]),
        ("u == 9007199254740992.0", []),
        ("u > 9007199254740992.0", [2, 3, 4]),
        ("u <= 9007199254740992.0", [0, 1]),
        ("u < 18446744073709551616.0", [0, 1, 2, 3, 4]),
        ("u >= 1.8446744073709552e19", []),
        ("9223372036854775808.0 == u", [3]),
        ("i == 9223372036854775808.0", []),
        ("i < 9223372036854775808.0", [0, 1, 2, 3, 4]),
        ("i == -9223372036854775808", [0]),
        ("u > -1", [0, 1, 2, 3, 4]),
        ("u > i", [0, 1, 2, 3, 4]),
        ("u - 1 < 0", [0]),
        ("u % 2 == 1", [1, 2, 4]),
        ("u * 2 - u == u", [0, 1, 2, 3]),  # float64 for the one whose double is beyond 64 bits
        ("-u == -1", [1]),
        ("abs(i) == 9223372036854775808", [0]),
        ("abs(i) <= 1", [1, 2, 3]),
        ("-i == 9223372036854775808", [0]),
        ("i + u == 0", [1]),
        ("i % 2 == 1", [1, 3, 4]),
        ("i % -2 == -1", [1, 3, 4]),
        ("u / 0 > 0", [1, 2, 3, 4]),
        ("isnan(u / 0)", [0]),
        ("isnan(u % 0)", [0, 1, 2, 3, 4]),
        ("u < 2 ** 53 + 2", [0, 1, 2]),
        ("u < 9 ** 9 ** 9", [0, 1, 2, 3, 4]),
        ("x ** 2 == 4", [1]),
        ("+u == 1", [1]),
        # conditions and texts
        ("b", [0, 2]),
        ("not b", [1]),
        ("b == True", [0, 2]),
        ("b + 1 == 2", [0, 2]),
        ("(u > 1) == (i > -1)", [0, 1, 2, 3, 4]),
        ("True and u == 1", [1]),
        ("False or u == 1", [1]),
        ("s == 'train'", [0]),
        ("s != 'train'", [1, 2, 3]),
        ("s in ('test', 'é')", [1, 3]),
        ("s not in ['test', 'é']", [0, 2]),
        ("s < 'train'", [1, 2]),
        # mixed: a number is no text
        ("m == 'a'", [1]),
        ("m != 'a'", [0, 3, 4]),
        ("m > 0", [0, 3, 4]),
        ("not m > 0", []),
        ("m * 2 == 5", [4]),
        ("m", [3]),
        ("m is None", [2]),
    ],
)
def test_what_is_selected(text, rows):
    with np.errstate(all="raise"):
        assert selected(text) == rows


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("u > 1 and x", 10, "this is a number, expected a condition"),
        ("not s", 4, "this is a text, expected a condition"),
        ("s > 1", 4, "this compares a text with a number"),
        ("b == 'train'", 5, "this compares a text with a condition"),
        ("u + s > 1", 4, "this is a text, expected a number"),
        ("isnan(s)", 6, "this is a text, expected a number"),
        ("u in (1, 'a')", 9, "this compares a text with a number"),
        ("u > 1 and vector > 0", 10, "a vector; name one of its components: vector[0]"),
        ("u > 1 and ü > 0", 10, "there is no 'ü'"),
    ],
)
def test_what_does_not_fit(text, column, message):
    with pytest.raises(QueryError) as caught:
        selected(text)
    assert message in caught.value.message
    assert caught.value.column == column


def test_the_message_of_the_lookup_is_kept():
    def lookup(name):
        raise KeyError(f"no {name} here; there are: y")

    with pytest.raises(QueryError, match="no x here; there are: y"):
        parse("x > 1").evaluate(lookup)


def test_no_rows():
    empty = {"x": (np.zeros(0), None), "u": (np.zeros(0, "u8"), None), "m": column_of([])}
    for text in ("x < 1", "u - 1 < 0", "u % 2 == 0", "not m", "m == 'a'", "x + m > 1"):
        found = parse(text).evaluate(empty.__getitem__)
        assert found.shape == (0,)
        assert found.dtype == bool


def test_each_name_is_looked_up_once_and_each_part_computed_once():
    seen = []

    def lookup(name):
        seen.append(name)
        return np.arange(3.0), None

    deep = "x"
    for _ in range(40):
        deep = f"({deep} < x < 1)"  # would be computed 2^40 times if a side were evaluated twice
    assert parse(deep).evaluate(lookup).shape == (3,)
    assert parse("x in (1, 2, 3) and x > x").evaluate(lookup).shape == (3,)
    assert seen == ["x", "x"]


def test_the_columns_are_not_changed():
    x = np.arange(4.0)
    found = parse("x > 1 or x is None").evaluate(lambda name: (x, None))
    found[:] = False
    flag = np.ones(4, bool)
    parse("flag").evaluate(lambda name: (flag, None))[:] = False
    assert x.tolist() == [0, 1, 2, 3]
    assert flag.all()
