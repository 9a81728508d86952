"""What is an expression and what is not; where the error points."""

import pytest

from cmeta.errors import CmetaError, QueryError
from cmeta.query.parse import DEPTH_MAX, LEN_MAX, parse


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("loss_value < 0.1 and phase == 'validate'", ("loss_value", "phase")),
        ("metrics.entropy > 1", ("metrics.entropy",)),
        ("metrics['train/loss'] > 1", ("metrics.train/loss",)),
        ('metrics["a, \\"b\\" / ü"] > 1', ('metrics.a, "b" / ü',)),
        ("field['odd name'] > field['metrics.lambda']", ("odd name", "metrics.lambda")),
        ("tensor_signature[2] > 1", ("tensor_signature[2]",)),
        ("config.model.depth > 1 and config['train.lr'] < 1", ("config.model.depth", "config.train.lr")),
        ("b > a and a > b", ("b", "a")),
        ("  x\n > \t1 ", ("x",)),
        ("abs(x - y) % 2 ** -z / 3 < +1 * 2", ("x", "y", "z")),
        ("present(x) or not isnan(y)", ("x", "y")),
        ("flag", ("flag",)),
        ("αβγ is not None", ("αβγ",)),
        ("abs < 1", ("abs",)),
    ],
)  # fmt: skip
def test_names(text, names):
    assert parse(text).names == names


def test_texts_that_a_name_is_held_against():
    found = parse("phase == 'a' or 'b' != phase or phase in ('c', 'd') or x < 'e' or y == 1")
    assert found.texts == (("phase", "a"), ("phase", "b"), ("phase", "c"), ("phase", "d"))


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("", 0, "found nothing"),
        ("   ", 0, "found nothing"),
        ("x <", 3, "not understood"),
        ("x = 1", 2, "not understood"),
        ("x < 1 && y", 6, "use `and`"),
        ("x & 1", 0, "use `and`"),
        ("x < 1 and ~y", 10, "use `not`"),
        ("x // 2 > 1", 0, "use `/` or `%`"),
        ("ünïcödé and y @ 2", 12, "MatMult is not allowed"),
        ("__import__('os')", 0, "expected one of abs"),
        ("x.f() > 1", 0, "expected one of abs"),
        ("abs(x, y) > 1", 0, "with one argument"),
        ("abs(x=1) > 1", 0, "with one argument"),
        ("abs(*x) > 1", 4, "Starred is not allowed"),
        ("x > (lambda: 1)", 5, "Lambda is not allowed"),
        ("[y for y in x] == 1", 0, "ListComp is not allowed"),
        ("x > f'{y}'", 4, "JoinedStr is not allowed"),
        ("x > 1j", 4, "complex is not allowed"),
        ("x == b'1'", 5, "bytes is not allowed"),
        ("x == ...", 5, "ellipsis is not allowed"),
        ("(x := 1) > 0", 1, "a comparison is `==`"),
        ("y if x else z", 0, "IfExp is not allowed"),
        ("x[1:2] > 0", 0, "expected a field"),
        ("x[y] > 0", 0, "expected a field"),
        ("x[True] > 0", 0, "expected a field"),
        ("(x + 1).y > 0", 0, "expected a field"),
        ("x in y", 5, "expected a list after `in`"),
        ("x == (1, 2)", 5, "expected a list after `in`"),
        ("(1, 2) == x", 0, "only after `in`"),
        ("x is 1", 5, "compare anything else by `==`"),
        ("x < None", 4, "less or greater than None"),
        ("x > 18446744073709551616", 4, "more than 64 bits"),
        ("1 < 2", 0, "no name of a field"),
        ("x + 1", 0, "not a condition"),
        ("x > 1 and 'y'", 10, "not a condition"),
        ("not -x", 4, "not a condition"),
        ("y > 1 or abs(x)", 9, "a number"),
    ],
)
def test_what_is_no_condition(text, column, message):
    with pytest.raises(QueryError, match=None) as caught:
        parse(text)
    assert message in caught.value.message
    assert caught.value.column == column
    assert isinstance(caught.value, CmetaError)


def test_the_error_shows_the_text_and_the_place():
    with pytest.raises(QueryError) as caught:
        parse("ä > 1 and y ^ 2")
    assert str(caught.value).splitlines()[1:] == ["  ä > 1 and y ^ 2", "            ^"]


@pytest.mark.parametrize(
    "text",
    [
        "x" * (LEN_MAX + 1),
        "x > " + "-" * (DEPTH_MAX + 1) + "1",
        "not " * (DEPTH_MAX + 1) + "x",
        "(" * 1000 + "x" + ")" * 1000,
        "x" + ".y" * (DEPTH_MAX + 1) + " > 1",
        "x < " + "+".join(["1"] * (DEPTH_MAX + 2)),
        "x > " + "9" * 4000,
        "x[" * 500,
        "{" * 500,
        "'" * 501,
        "x > 1" + "\\" * 100,
        "\ud800 > 1",
        "x < 1\0",
    ],
)
def test_hostile_texts(text):
    with pytest.raises(QueryError):
        parse(text)


def test_long_conditions_are_no_deep_ones():
    text = " or ".join(f"x == {i}" for i in range(200))
    assert parse(text).names == ("x",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("t > 5", (6, None)),
        ("t >= 5", (5, None)),
        ("5 > t", (None, 4)),
        ("t == 5", (5, 5)),
        ("3 <= t < 9 and x > 1", (3, 8)),
        ("t > 3 and (t > 5 and t < 100) and t <= 20", (6, 20)),
        ("t > 3 or t > 5", (None, None)),
        ("not t > 3", (None, None)),
        ("t > 3.5", (None, None)),
        ("t + 1 > 3", (None, None)),
        ("t != 3", (None, None)),
        ("x > 3", (None, None)),
        ("t > True", (None, None)),
    ],
)
def test_the_range_of_a_field(text, expected):
    assert parse(text).range_of("t") == expected
