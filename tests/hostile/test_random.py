"""Random bytes and random structures: nothing but `DecodeError` leaves, and valid is canonical."""

import json

import rfc8785
from hypothesis import assume, given
from hypothesis import strategies as st

import cmeta
from cmeta.testing.runs import files
from tests.hostile import samples
from tests.hostile.columns import file_with, run, with_columns
from tests.hostile.mutations import spliced
from tests.hostile.outcome import assert_bounded
from tests.hostile.reseal import BATCH, Block, File, take_apart
from tests.properties.runs import more

SMALL = take_apart(samples.small())


@more(4)
@given(st.binary(max_size=300))
def test_any_bytes(data):
    _, report = assert_bounded(data)
    assert not report.ok


@more(2)
@given(st.binary(max_size=300), st.integers(0, 1000))
def test_any_bytes_behind_a_true_beginning(data, length):
    whole = samples.small()
    found = whole[:length] + data
    _, report = assert_bounded(found)
    assert not report.ok or found == whole


blocks = st.builds(
    Block,
    kind=st.integers(0, 6),
    body=st.binary(max_size=80),
    flags=st.sampled_from([1, 1, 1, 0]),
    reserved=st.just(0),
    len_body=st.none(),
    crc=st.none(),
)


@more(4)
@given(st.lists(blocks | st.sampled_from(SMALL.blocks), max_size=6),
       st.sampled_from([0x0100, 0x0100, 0x0101]))  # fmt: skip
def test_any_blocks_behind_a_true_schema(further, version):
    assert_bounded(File((SMALL.blocks[0], *further), version=version).build())


@st.composite
def spoilt(draw, data):
    """Overwrite, insert and remove some bytes."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 4)))
        data = spliced(data, start, end, draw(st.binary(max_size=4)))
    return data


@more(2)
@given(st.data())
def test_a_file_that_is_spoilt(data):
    whole = data.draw(files(max_records=20))
    found = data.draw(spoilt(whole))
    assume(found != whole)
    _, report = assert_bounded(found)
    assert not report.ok


@more(2)
@given(st.data())
def test_a_file_whose_blocks_are_spoilt_and_sealed_again(data):
    file = take_apart(data.draw(files(max_records=20)))
    place = data.draw(st.integers(0, len(file.blocks) - 1))
    body = data.draw(spoilt(file.blocks[place].body))
    assert_bounded(file.with_body(place, body).build())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=8)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["u8", "f32[3]", "enum", "phase", "timestamp", "class", "", "x" * 300, 0, 16]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


def places(node, path=()):
    """Where something stands in a JSON document."""
    inner = (
        node.items()
        if isinstance(node, dict)
        else enumerate(node)
        if isinstance(node, list)
        else ()
    )
    yield path
    for key, value in inner:
        yield from places(value, (*path, key))


def replaced(node, path, value):
    if not path:
        return value
    copy = dict(node) if isinstance(node, dict) else list(node)
    copy[path[0]] = replaced(node[path[0]], path[1:], value)
    return copy


@more(8)
@given(st.data())
def test_a_schema_in_which_something_is_something_else(data):
    """Canonical JSON, so that the rules of a schema are all that stands in its way."""
    file = data.draw(st.sampled_from([SMALL, take_apart(samples.rich())]))
    document = json.loads(file.blocks[0].body)
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from(sorted(places(document), key=repr)))
        others = [part for part in path if isinstance(part, str)]
        value = data.draw(JSON | st.sampled_from([document, others]))
        document = replaced(document, path, value)
    body = rfc8785.dumps(document)
    assert_bounded(file.with_body(0, body).build())
    assert_bounded(File((Block(1, body),)).build())


@more(2)
@given(st.text(max_size=30) | JSON.map(json.dumps), st.booleans())
def test_a_config_of_any_text(text, quoted):
    body = (json.dumps(text) if quoted else text).encode()
    assert_bounded(SMALL.with_body(1, body).build())


@st.composite
def streams(draw):
    """Draw what begins like a column: flags, headers, k bytes; and goes on anyhow."""
    flags = draw(st.sampled_from([0, 0, 1, 2, 4, 16 * 8, 17 * 8]) | st.integers(0, 255))
    width = st.sampled_from([0, 0, 1, 2, 4, 8]).flatmap(lambda w: st.binary(min_size=w, max_size=w))
    header = st.builds(
        run, form=st.integers(0, 3), sparse=st.sampled_from([0, 1]), base=width, divisor=width,
        step=width, count=st.sampled_from([b"", b"", b"\1", b"\5", b"\xff\xff"]),
    )  # fmt: skip
    middle = draw(st.lists(header | st.binary(max_size=4), max_size=4))
    tail = draw(st.lists(st.sampled_from([b"\x00", b"\x01", b"\x03", b"\x40", b"\xff", b"\xaa"])
                         | st.binary(max_size=12), max_size=8))  # fmt: skip
    return bytes([flags]) + b"".join(middle) + b"".join(tail)


TYPES = ["u8", "u64", "i16", "f32", "f64", "bool", "enum", "config"]
BASES = {name: file_with(name) for name in TYPES}
BASES["exact"] = file_with("f64", exact=True)


@more(16)
@given(st.sampled_from(sorted(BASES)), st.sampled_from([0, 1, 2, 2, 2]), streams())
def test_a_column_of_anything(name, place, stream):
    def change(columns):
        return [*columns[:place], stream, *columns[place + 1 :]]

    assert_bounded(with_columns(BASES[name], change).build())


@more(4)
@given(st.sampled_from(sorted(BASES)), st.data())
def test_a_column_that_is_spoilt(name, data):
    def change(columns):
        place = data.draw(st.integers(0, 2))
        return [*columns[:place], data.draw(spoilt(columns[place])), *columns[place + 1 :]]

    assert_bounded(with_columns(BASES[name], change).build())


@more(4)
@given(st.binary(max_size=200))
def test_a_batch_of_anything(body):
    place = SMALL.place_of(BATCH)
    assert_bounded(SMALL.with_body(place, SMALL.blocks[place].body[:20] + body).build())


def test_what_is_assumed_of_these_samples():
    assert cmeta.validate(samples.small()).ok
    for file in BASES.values():
        assert cmeta.validate(file.build()).ok
