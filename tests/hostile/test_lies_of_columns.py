"""Columns that lie, stage by stage: one table of bytes, and the error that each deserves.

All stand in a valid frame, so that nothing but the column's own checks can tell.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest

import cmeta
from tests.hostile.columns import (
    HAS_CLASSES,
    MODE,
    PALETTE,
    SPLIT,
    bits,
    body_of,
    column_of,
    columns_of,
    constant,
    file_with,
    run,
    unary,
    with_columns,
    zigzag,
)
from tests.hostile.outcome import findings, outcome
from tests.hostile.reseal import BATCH

N = 16
DENSE = b"\x01" + unary(*[0] * N)  # k = 0: one block, no remainders; here of residuals that are 0


def residuals(*values):
    """One block of residuals with k = 0."""
    return b"\x01" + unary(*values)


class Lie(NamedTuple):
    what: str
    type: str
    column: bytes
    error: str = "CorruptError"
    options: dict = {}
    path: str = "BATCH[0].x"


def classes(*codes):
    """A class stream, as a column of its own: F0 and k = 0."""
    return b"\x00" + run() + residuals(*codes)


LIES = [
    # the frame of a column
    Lie("no room for a run", "u8", column_of(), "TruncatedError"),
    Lie("half a run header", "u8", column_of(b"\x04"), "TruncatedError"),
    Lie("bytes behind", "u8", column_of(constant(), b"\0")),
    Lie("a mode of an integer", "u8", column_of(constant(), flags=MODE)),
    Lie("a mode of fixed point", "f32", column_of(constant(), flags=MODE)),
    Lie("a palette that the chain does not have", "u8", column_of(b"\2\0", constant(), constant(), flags=PALETTE),
        options={"codec": ("class", "split", "delta", "rice")}),
    Lie("a split that the chain does not have", "u8", column_of(constant(), constant(), flags=SPLIT),
        options={"codec": ("class", "palette", "delta", "rice")}),
    # run headers
    Lie("a reserved bit", "u8", column_of(run(sparse=1, reserved=1))),
    Lie("a width code of none", "u8", column_of(run(sparse=1, codes=[5, 0, 0, 0]), bytes(64))),
    Lie("a base in more bytes than it needs", "u16", column_of(constant(b"\1\0"))),
    Lie("a base of 0 in a byte", "u8", column_of(constant(b"\0"))),
    Lie("a divisor of 2^64", "u64", column_of(run(sparse=1, divisor=b"\xff" * 8))),
    Lie("a step in a form without one", "u8", column_of(run(sparse=1, step=b"\1"))),
    Lie("a count in a dense run", "u8", column_of(run(count=b"\1"), DENSE)),
    Lie("a base beyond the column", "u64", column_of(b"\x24\0" + b"\1" * 7), "TruncatedError"),
    # residuals
    Lie("no k byte", "u8", column_of(run()), "TruncatedError"),
    Lie("a k of 64", "u64", column_of(run(), b"\x41", bytes(300))),
    Lie("no remainders", "u64", column_of(run(), b"\x40"), "TruncatedError"),
    Lie("no quotients", "u8", column_of(run(), b"\x01"), "TruncatedError"),
    Lie("quotients without an end", "u8", column_of(run(), b"\x01", bytes(1000)), "TruncatedError"),
    Lie("a quotient less", "u8", column_of(run(), b"\x01", unary(*[0] * (N - 1))), "TruncatedError"),
    Lie("a quotient more", "u8", column_of(run(), b"\x01", unary(*[0] * N, 1))),
    Lie("a bit behind the last quotient", "u8", column_of(run(), b"\x01", unary(*[0] * 12, 0, 0, 0, 1, 0))),
    Lie("padding that is not 0", "u8", column_of(run(sparse=1, count=b"\1"), b"\x03\x01", b"\xff\xff", b"\x03")),
    Lie("a residual of 65 bits", "u64", column_of(run(), b"\x40", bits(*[(0, 63)] * N), unary(2, *[0] * (N - 1)))),
    # sparse runs
    Lie("too many for a sparse run", "u8", column_of(run(sparse=1, count=b"\x0d"), b"\1\1", unary(*[0] * 26))),
    Lie("four billion in a sparse run", "u8", column_of(run(sparse=1, count=b"\xff" * 4), bytes(64))),
    Lie("2^64 - 1 in a sparse run", "u8", column_of(run(sparse=1, count=b"\xff" * 8), bytes(64))),
    Lie("a gap beyond the run", "u8", column_of(run(sparse=1, count=b"\1"), b"\1\0", unary(16))),
    Lie("gaps beyond the run", "u8", column_of(run(sparse=1, count=b"\2"), b"\1\0", unary(8, 8))),
    Lie("gaps that wrap around", "u64", column_of(run(sparse=1, count=b"\2"), b"\x40\0", bits((2**63 - 1, 63), (1, 63)), unary(1, 0))),
    Lie("a sparse residual of 2^64", "u64", column_of(run(sparse=1, count=b"\1"), b"\0\x40", bits((2**63 - 1, 63)), unary(1))),
    # palettes
    Lie("half a count of a palette", "u8", column_of(b"\2", flags=PALETTE), "TruncatedError"),
    Lie("a palette of none", "u8", column_of(b"\0\0", constant(), flags=PALETTE)),
    Lie("a palette of one", "u8", column_of(b"\1\0", constant(), constant(), flags=PALETTE)),
    Lie("a palette of more than a quarter", "u8", column_of(b"\5\0", constant(), constant(), flags=PALETTE)),
    Lie("a palette of 65,535", "u8", column_of(b"\xff\xff", constant(), constant(), flags=PALETTE)),
    Lie("a palette of equals", "u8", column_of(b"\2\0", constant(), constant(), flags=PALETTE)),
    Lie("a palette that descends", "u8", column_of(b"\2\0", run(), constant(), residuals(1, 0), flags=PALETTE)),
    Lie("a rank beyond the palette", "u8", column_of(b"\2\0", run(), run(), b"\1\1", unary(0, 1, 2, *[0] * 15), flags=PALETTE)),
    Lie("a rank of -1", "u8", column_of(b"\2\0", run(), constant(zigzag(-1, 1)), residuals(0, 1), flags=PALETTE)),
    # classes
    Lie("a class of none", "f32", column_of(classes(5, *[0] * 15), constant(), flags=HAS_CLASSES)),
    Lie("a class of -1", "f32", column_of(b"\0", constant(zigzag(-1, 1)), constant(), flags=HAS_CLASSES)),
    Lie("a class of 256", "f32", column_of(b"\0", constant(zigzag(256, 2)), constant(), flags=HAS_CLASSES)),
    Lie("NaN among integers", "u8", column_of(classes(1, *[0] * 15), constant(), flags=HAS_CLASSES)),
    Lie("an infinity among codes", "enum", column_of(classes(2, *[0] * 15), constant(), flags=HAS_CLASSES)),
    Lie("classes of classes", "f32", column_of(b"\1", constant(), constant(), flags=HAS_CLASSES)),
    Lie("a mode of classes", "f32", column_of(b"\x08", constant(), constant(), flags=HAS_CLASSES)),
    Lie("half a class stream", "f32", column_of(b"\0", flags=HAS_CLASSES), "TruncatedError"),
    Lie("no class stream", "f32", column_of(flags=HAS_CLASSES), "TruncatedError"),
    Lie("values of no record", "f32", column_of(b"\0", constant(zigzag(4, 1)), constant(), flags=HAS_CLASSES)),
    # values
    Lie("256 as a u8", "u8", column_of(constant(zigzag(256, 2)))),
    Lie("-1 as a u32", "u32", column_of(constant(zigzag(-1, 1)))),
    Lie("128 as an i8", "i8", column_of(constant(zigzag(128, 2)))),
    Lie("-32,769 as an i16", "i16", column_of(constant(zigzag(-32769, 4)))),
    Lie("2 as a bool", "bool", column_of(constant(zigzag(2, 1)))),
    Lie("a code without a label", "enum", column_of(constant(zigzag(2, 1)))),
    Lie("a configuration that does not come", "config", column_of(constant(zigzag(1, 1)))),
    Lie("the configuration of all", "config", column_of(constant(zigzag(2**32 - 1, 8)))),
    Lie("quanta beyond a float32", "f32", column_of(constant(zigzag(2**40, 8)))),
    Lie("quanta beyond a float64", "f64", column_of(constant(zigzag(-(2**63), 8)))),
    Lie("a mode of none", "f64", column_of(constant(), flags=18 * MODE), options={"exact": True}),
    Lie("a mode of a float64 in a float32", "f32", column_of(constant(), flags=17 * MODE), options={"exact": True}),
    Lie("a decimal beyond 2^53", "f64", column_of(constant(zigzag(2**53 + 1, 8)), flags=2 * MODE), options={"exact": True}),
    Lie("the bits of an infinity", "f64", column_of(constant(zigzag(0x7F800000, 4)), flags=16 * MODE), options={"exact": True}),
    Lie("the bits of a NaN", "f64", column_of(constant(zigzag(0x7FF8 << 48, 8)), flags=17 * MODE), options={"exact": True}),
    Lie("the bits of -infinity", "f64", column_of(constant(zigzag(-(0x7FF0 << 48) - 1, 8)), flags=17 * MODE), options={"exact": True}),
]  # fmt: skip

NOT_CANONICAL = [
    Lie("dense, where sparse is less", "u8", column_of(run(), b"\0")),
    Lie("F1, where F0 is first", "u8", column_of(run(form=1, sparse=1))),
    Lie("a divisor of a constant", "u8", column_of(run(sparse=1, divisor=b"\1"))),
    Lie("classes of values only", "u8", column_of(b"\0", constant(), constant(), flags=HAS_CLASSES)),
    Lie("a split that is more", "u8", column_of(constant(), constant(), flags=SPLIT)),
    Lie("a larger k than is due", "u8", column_of(run(), b"\2", bits(*[(1, 1)] * N), unary(*[0] * N))),
    Lie("more digits than are due", "f64", column_of(constant(zigzag(0, 1)[:0]), flags=3 * MODE), options={"exact": True}),
    Lie("float64 where float32 is enough", "f64", column_of(constant(zigzag(0x3FF0 << 48, 8)), flags=17 * MODE), options={"exact": True}),
    Lie("-0.0 as a decimal", "f64", column_of(constant(zigzag(-1, 1)), flags=17 * MODE), options={"exact": True}),
]  # fmt: skip


def with_column(lie):
    file = file_with(lie.type, **lie.options)
    return with_columns(file, lambda columns: [*columns[:2], lie.column]).build()


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.what)
def test_a_lie_is_called_by_its_name(lie):
    data = with_column(lie)
    (finding,) = findings(data).findings
    assert (finding.kind, finding.path) == (lie.error, lie.path), finding.message
    start = data.index(lie.column) if len(lie.column) > 3 else 0
    assert start <= finding.offset < len(data)
    found = outcome(data)
    assert isinstance(found, cmeta.DecodeError)
    assert (type(found).__name__, found.path, found.offset) == (lie.error, lie.path, finding.offset)


@pytest.mark.parametrize("lie", NOT_CANONICAL, ids=lambda lie: lie.what)
def test_what_can_be_read_but_is_not_canonical_is_found_by_validate(lie):
    data = with_column(lie)
    (finding,) = findings(data).findings
    assert finding.kind == "CanonicalError", finding
    assert finding.path.startswith("BATCH[0]")
    assert findings(data, canonical=False).ok
    assert not isinstance(outcome(data), cmeta.DecodeError)


def changed(place, column_):
    """A file whose column in a place is another one: 0 the timestamps, 1 the phases."""

    def change(columns):
        columns[place] = column_
        return columns

    return with_columns(file_with("u8"), change).build()


@pytest.mark.parametrize(
    ("place", "column_", "path"),
    [
        (0, column_of(constant(), flags=HAS_CLASSES), "BATCH[0].timestamp"),
        (0, column_of(b"\2\0", constant(), constant(), flags=PALETTE), "BATCH[0].timestamp"),
        (0, column_of(constant()), "BATCH[0].timestamp"),
        (0, column_of(run(form=2, sparse=1, step=b"\4")), "BATCH[0].timestamp"),
        (0, column_of(run(), residuals(0, *range(2, 15), 1, 15)), "BATCH[0].timestamp"),
        (0, b"", "BATCH[0].timestamp"),
        (1, column_of(constant(zigzag(2, 1))), "BATCH[0].phase"),
        (1, column_of(constant(zigzag(-1, 1))), "BATCH[0].phase"),
        (1, column_of(constant(), flags=HAS_CLASSES), "BATCH[0].phase"),
        (1, column_of(constant(), flags=SPLIT), "BATCH[0].phase"),
        (1, b"", "BATCH[0].phase"),
    ],
)
def test_timestamps_and_phases_are_held_to_their_own_rules(place, column_, path):
    data = changed(place, column_)
    (finding,) = findings(data).findings
    assert (finding.kind, finding.path) == ("CorruptError", path)
    found = outcome(data)
    assert isinstance(found, cmeta.CorruptError)
    assert found.path == path


def test_equal_timestamps_whose_phases_go_back():
    file = file_with("u8")
    columns = [column_of(constant(zigzag(5, 1))), *columns_of(file.blocks[1].body, 3)[1:]]
    data = file.with_body(1, body_of(columns, head=(16, 5, 5))).build()
    (finding,) = findings(data).findings
    assert (finding.kind, finding.path) == ("CorruptError", "BATCH[0].timestamp")
    assert isinstance(outcome(data), cmeta.CorruptError)


def test_batches_whose_phases_go_back():
    """Within each batch all is well; between them the phase goes from 1 to 0 at one timestamp."""
    file = file_with("u8")
    same = column_of(constant(zigzag(5, 1)))
    batches = [
        file.blocks[1]._replace(
            body=body_of(
                [same, column_of(constant(base)), column_of(constant())], head=(count, 5, 5)
            )
        )
        for base, count in ((zigzag(1, 1), 16), (b"", 4))
    ]
    data = replace(file.with_blocks([file.blocks[0], *batches]), records_count=None).build()
    for canonical in (True, False):
        report = findings(data, canonical=canonical)
        assert report.findings, f"canonical={canonical}"
        assert report.findings[0].kind == "CorruptError"
        assert report.findings[0].path.startswith("BATCH")


@pytest.mark.parametrize(
    ("columns", "path"),
    [
        ([b"", column_of(constant())], "BATCH[0].x"),
        ([column_of(constant()), b""], "BATCH[0].x"),
        (
            [column_of(b"\0", constant(zigzag(4, 1)), flags=HAS_CLASSES), column_of(constant())],
            "BATCH[0].x",
        ),
    ],
)
def test_a_vector_is_absent_as_a_whole_or_not_at_all(columns, path):
    file = file_with("f32[2]")
    data = with_columns(file, lambda found: [*found[:2], *columns]).build()
    (finding,) = findings(data).findings
    assert finding.path.startswith(path)
    found = outcome(data)
    assert isinstance(found, cmeta.CorruptError)
    assert found.path.startswith(path)


def test_a_column_in_which_nothing_is_present_is_no_column_of():
    file = file_with("f32")
    nothing = column_of(b"\0", constant(zigzag(4, 1)), flags=HAS_CLASSES)
    data = with_columns(file, lambda found: [*found[:2], nothing]).build()
    (finding,) = findings(data).findings
    assert finding.path == "BATCH[0].x"
    assert finding.kind == "CanonicalError"


def test_the_bytes_written_by_hand_are_those_of_the_writer():
    """So the lies above differ from the truth in what they say only."""
    honest = {
        ("u8", column_of(constant(zigzag(7, 1)))): [7] * N,
        ("f32", column_of(constant(zigzag(500000, 4)))): [0.5] * N,
        ("i16", column_of(run(form=2, sparse=1, step=zigzag(1, 1)))): list(range(N)),
        ("u8", column_of(run(divisor=b"\2"), residuals(*[0] * 11, 1, *[0] * 4))): [0] * 11 + [3] + [0] * 4,
    }  # fmt: skip
    for (type_, wanted), values in honest.items():
        file = file_with(type_, np.array(values), codec=())
        assert columns_of(file.blocks[file.place_of(BATCH)].body, 3)[2] == wanted
