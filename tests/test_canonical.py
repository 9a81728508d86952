"""Canonical JSON: RFC 8785, with strings for what it refuses."""

import json

import pytest
from msgspec.structs import replace

from cmeta import CorruptError, EncodeError, LimitError
from cmeta.schema import canonical_json
from cmeta.schema.load import shipped_format

LIMITS = shipped_format().limits
SMALL = replace(LIMITS, json_bytes_max=20, json_depth_max=3)


def dumps(value, limits=LIMITS):
    return canonical_json.dumps(value, limits, "config")


# What is given, and its only bytes.
CANONICAL = {
    "nothing": ({}, b"{}"),
    "sorted by UTF-16 code units": (
        {"\U0001f600": 1, "\ufb33": 2, "b": 3, "a": 4, "": 5},
        '{"":5,"a":4,"b":3,"\U0001f600":1,"\ufb33":2}'.encode(),
    ),
    "escapes": ({"a": '"\\\n\x01\x7f/é'}, b'{"a":"\\"\\\\\\n\\u0001\x7f/\xc3\xa9"}'),
    "literals": ([None, True, False], b"[null,true,false]"),
    "integers": ([0, -1, 2**53 - 1, -(2**53) + 1], b"[0,-1,9007199254740991,-9007199254740991]"),
    "integers beyond": (
        [2**53, -(2**53), 2**64 - 1, 2**200],
        b'["0x20000000000000","-0x20000000000000","0xFFFFFFFFFFFFFFFF","0x1' + b"0" * 50 + b'"]',
    ),
    "floats": ([0.1, 1.5, 1e-7, 1e21, 1.0, -0.0], b"[0.1,1.5,1e-7,1e+21,1,0]"),
    "no finite floats": (
        [float("nan"), float("inf"), float("-inf")], b'["NaN","Infinity","-Infinity"]',
    ),
    "tuples": ((1, (2,)), b"[1,[2]]"),
}  # fmt: skip


@pytest.mark.parametrize(("value", "data"), CANONICAL.values(), ids=CANONICAL)
def test_the_only_bytes(value, data):
    assert dumps(value) == data
    assert dumps(canonical_json.loads(data, LIMITS)) == data


REFUSED = {
    "an object": (object(), "config: object is not JSON; expected a mapping, list, string"),
    "a set": ({"a": {1}}, r"config\.a: set is not JSON"),
    "a number for a key": ({"a": {1: 2}}, "config.a: the key 1 is a int; expected a string"),
    "a lone surrogate": ({"a": "\ud800"}, "config: .*UTF-8"),
    "a lone surrogate for a key": ({"\ud800": 1}, "config: .*UTF-8"),
}


@pytest.mark.parametrize(("value", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_json(value, words):
    with pytest.raises(EncodeError, match=words):
        dumps(value)


@pytest.mark.parametrize("value", [1e16, -(2.0**53), 2.0**60, 1e20, 123456789012345680000.0])
def test_a_whole_float_beyond_2_to_the_53_can_be_read_again(value):
    again = canonical_json.loads(dumps({"a": value}), LIMITS)
    assert float(again["a"]) == value


def test_limits_of_writing():
    assert dumps(["a" * 16], SMALL) == b'["' + b"a" * 16 + b'"]'
    with pytest.raises(EncodeError, match="config: 21 bytes of JSON, at most 20"):
        dumps(["a" * 17], SMALL)
    assert dumps([[[1]]], SMALL) == b"[[[1]]]"
    with pytest.raises(EncodeError, match=r"config\[0\]\[0\]\[0\]: nested too deeply"):
        dumps([[[[]]]], SMALL)


def test_limits_of_reading():
    with pytest.raises(LimitError, match="21 bytes of JSON, at most 20"):
        canonical_json.loads(b'"' + b"a" * 19 + b'"', SMALL)
    assert canonical_json.loads(b"[[[1]]]", SMALL) == [[[1]]]
    assert canonical_json.loads(b'[[["[[[["]]]', SMALL) == [[["[[[["]]]
    assert canonical_json.loads(b'["\\"[[[["]', SMALL) == ['"[[[[']
    assert canonical_json.loads(b"[[],[],[],[[]]]", SMALL) == [[], [], [], [[]]]
    with pytest.raises(LimitError, match="JSON nested beyond 3 levels") as caught:
        canonical_json.loads(b'{"a":[[[1]]]}', SMALL)
    assert caught.value.offset == 7


# Bytes, words, and the offset of the first byte that is not canonical.
CORRUPT = {
    "nothing": (b"", "not JSON", 0),
    "a bracket": (b"{", "not JSON", 0),
    "two values": (b"1 2", "not JSON", 0),
    "no literal": (b"nul", "not JSON", 0),
    "NaN": (b"NaN", "not JSON", 0),
    "no UTF-8": (b'"\xff"', "not JSON", 0),
    "a surrogate": (b'"\\ud800"', "JSON", 0),
    "a space": (b'{"a": 1}', "not canonical", 5),
    "a newline at the end": (b"{}\n", "not canonical", 2),
    "keys out of order": (b'{"b":1,"a":2}', "not canonical", 2),
    "a key twice": (b'{"a":1,"a":2}', "not canonical", 5),
    "an escape too many": (b'{"a":"\\u0061"}', "not canonical", 6),
    "a fraction too long": (b"[0.10]", "not canonical", 4),
    "an exponent": (b"[1e2]", "not canonical", 2),
    "negative zero": (b"[-0]", "not canonical", 1),
    "a number beyond all": (b"[1e999]", "JSON", 0),
}


@pytest.mark.parametrize(("data", "words", "offset"), CORRUPT.values(), ids=CORRUPT)
def test_what_is_not_canonical(data, words, offset):
    with pytest.raises(CorruptError) as caught:
        canonical_json.loads(data, LIMITS)
    assert words in caught.value.message
    assert caught.value.offset == offset


@pytest.mark.parametrize("number", [2**53 + 1, 2**64 - 1, -(2**60) - 1])
def test_an_integer_beyond_2_to_the_53_is_no_number(number):
    with pytest.raises(CorruptError, match="not canonical"):
        canonical_json.loads(f"[{number}]".encode(), LIMITS)


def test_it_is_json():
    value = {"a": [1, 2.5, {"b": "ü"}], "c": None}
    assert json.loads(dumps(value)) == value


@pytest.mark.parametrize(
    ("value", "name"),
    [(float("nan"), "NaN"), (float("inf"), "Infinity"), (float("-inf"), "-Infinity")],
)
def test_names_of_floats(value, name):
    assert canonical_json.float_name(value) == name
