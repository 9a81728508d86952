"""Values as text: the shortest decimals that read back as the same value."""

import json

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cmeta import default_schema
from cmeta.cli.formats import quoted
from cmeta.cli.values import EXACT, JSON, json_line, json_safe, shortest_doubles, value_texts
from cmeta.schema import canonical_json
from cmeta.schema.load import shipped_format

float32s = st.integers(0, 2**32 - 1).map(lambda bits: np.uint32(bits).view(np.float32))
near_steps = st.builds(
    lambda step, ulps: (np.float32(step * 1e-6).view(np.int32) + np.int32(ulps)).view(np.float32),
    st.integers(1, 20_000_000), st.integers(-3, 3),
)  # fmt: skip


@given(st.one_of(float32s, near_steps))
@example(np.float32(0.1))
@example(np.float32(16))
@example(np.nextafter(np.float32(16), np.float32(0)))
@example(np.float32(-0.0))
@example(np.float32(1e-45))
def test_float32_texts_are_the_shortest(value):
    # numpy's own printing of a float32 is the judge.
    expected = np.float64(str(value))
    (found,) = shortest_doubles(np.array([value]))
    assert found.tobytes() == expected.tobytes() or (np.isnan(found) and np.isnan(expected))


@given(st.lists(st.floats(width=64), max_size=20))
def test_float64_texts_read_back(values):
    given_ = np.array(values, np.float64)
    field = default_schema().with_metrics(x={"exact": True})["metrics.x"]
    found = np.array([float(text) for text in value_texts(field, given_, EXACT)], np.float64)
    np.testing.assert_array_equal(found, given_, strict=True)
    assert (np.signbit(found) == np.signbit(given_))[~np.isnan(given_)].all()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.1, "0.1"),
        (1 / 3, "0.33333334"),
        (1e-6, "1e-06"),
        (16777216, "16777216.0"),
        (3e38, "3e+38"),
    ],
)
def test_float32_texts(value, expected):
    field = default_schema()["loss_value"]
    for style in (JSON, EXACT):
        assert value_texts(field, np.array([value], np.float32), style) == [expected]


def test_integers_of_64_bits():
    field = default_schema().with_metrics(i={"type": "i64"})["metrics.i"]
    values = [-(2**63), -(2**53), -(2**53) + 1, 0, 2**53 - 1, 2**63 - 1]
    given_ = np.array(values, np.int64)
    assert [int(text) for text in value_texts(field, given_, EXACT)] == values
    limits = shipped_format().limits
    expected = [canonical_json.dumps(value, limits, "i").decode() for value in values]
    assert value_texts(field, given_, JSON) == expected


def test_booleans():
    field = default_schema().with_metrics(b={"type": "bool"})["metrics.b"]
    for style in (JSON, EXACT):
        assert value_texts(field, np.array([True, False]), style) == ["true", "false"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_json_lines_are_single_lines_without_control_characters(value):
    line = json_line(value)
    assert line.endswith("\n")
    assert line[:-1].isprintable()
    found = json.loads(line, parse_constant=lambda constant: pytest.fail(f"{constant} is no JSON"))
    assert repr(found) == repr(json_safe(value))


def _number(text):
    value = int(text)
    return value if abs(value) < 2**53 else float(text)


@given(json_values)
@example([[np.nan, {"a": [np.inf, -np.inf]}], 2**60, -(2**60)])
def test_json_safe_agrees_with_canonical_json(value):
    written = canonical_json.dumps(value, shipped_format().limits, "x")
    # A whole float beyond 2^53 is written with the fewest digits that give it back (RFC 8785).
    read = json.loads(written, parse_int=_number)
    assert read == json_safe(value)


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_csv_cells_read_back(cells):
    import csv
    import io

    line = ",".join(map(quoted, cells)) or '""'
    found = list(csv.reader(io.StringIO(line, newline=""), strict=True))
    assert found == [cells]
