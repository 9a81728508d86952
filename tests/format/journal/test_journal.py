"""Journals: the intact beginning counts, and nothing after it, for any bytes."""

import math

import numpy as np
import pytest

import cmeta
from cmeta import ChecksumError, CorruptError, DecodeError, TruncatedError
from cmeta.format.batch import RowBatch
from cmeta.format.read_journal import read_journal
from cmeta.reader.selection import take
from cmeta.records.record import records_of
from cmeta.source import BytesSource
from cmeta.storage.open import file_state, journal_path

from .conftest import GRAMMAR, NUM_ROWS, SCHEMA, Forger, bit


def read(data):
    return read_journal(BytesSource(data), SCHEMA, GRAMMAR)


def records(journal):
    if not journal.bodies:
        return []
    configs = [
        cmeta.schema.canonical_json.loads(c, SCHEMA.format.limits) for c in journal.chunk.configs
    ]
    batch = RowBatch(journal.chunk, SCHEMA, 0)
    return list(records_of(take(batch, slice(0, batch.num_records)), configs))


def test_an_intact_journal(journal):
    found = read(journal)
    assert (len(found.bodies), found.problem, found.end) == (NUM_ROWS, "", len(journal))
    assert found.header.base_records == 16
    rows = records(found)
    assert [r.step for r in rows] == list(range(16, 28))
    assert rows[1].metrics.a == 1.7
    assert math.isnan(rows[1].metrics.b)
    assert [r.config["lr"] for r in rows] == [0.1] * 4 + [0.2] * 8


def test_every_truncation_leaves_a_beginning(journal):
    whole, lengths = records(read(journal)), []
    for length in range(len(journal)):
        if length < GRAMMAR.journal_header.size:
            with pytest.raises(TruncatedError):
                read(journal[:length])
            continue
        found = read(journal[:length])
        lengths.append(len(found.bodies))
        assert records(found) == whole[: len(found.bodies)]
        assert found.end <= length
    assert lengths == sorted(lengths)
    assert set(lengths) == set(range(NUM_ROWS))


def test_every_flipped_bit_leaves_a_beginning(journal):
    whole = records(read(journal))
    for offset in range(len(journal)):
        data = bytearray(journal)
        data[offset] ^= 1 << offset % 8
        if offset < GRAMMAR.journal_header.size:
            with pytest.raises(DecodeError):
                read(data)
            continue
        found = read(data)
        assert len(found.bodies) < NUM_ROWS
        assert records(found) == whole[: len(found.bodies)]
        assert found.problem


def test_what_an_older_journal_left_behind_is_not_ours(journal):
    older = Forger(salt=8).row().row(timestamp=1).data[GRAMMAR.journal_header.size :]
    newer = Forger(salt=7).row()
    found = read(newer.data + older[len(older) // 2 :])
    assert len(found.bodies) == 1
    assert found.problem == "a torn entry"


def test_the_header_is_checked(journal):
    for name, value, error in (
        ("schema_digest", 5, CorruptError),
        ("signature", 0, None),
    ):
        if error:
            with pytest.raises(error, match="another schema"):
                read(Forger(**{name: value}).data)
    data = bytearray(journal)
    data[0] ^= 1
    with pytest.raises(DecodeError, match="signature"):
        read(data)
    data = bytearray(journal)
    data[GRAMMAR.journal_header.size - 1] ^= 1
    with pytest.raises(ChecksumError, match="masked_crc"):
        read(data)


ONE = {"config": bit("config") | 3}
BAD = {
    "an ordinal that is skipped": lambda j: j.entry("ROW", bytes(j.layout.len_fixed), ordinal=5),
    "a short row": lambda j: j.entry("ROW", b"x"),
    "a row that is too long": lambda j: j.entry("ROW", bytes(j.layout.len_fixed + 5)),
    "no timestamp": lambda j: j.row(present=0b10),
    "no phase": lambda j: j.row(present=0b01, phase=0),
    "a phase without a name": lambda j: j.row(phase=5),
    "bits beyond the fields": lambda j: j.row(present=3 | 1 << len(SCHEMA.fields)),
    "a value that is absent": lambda j: j.row(step=5),
    "minus zero that is absent": lambda j: j.row(loss_value=-0.0),
    "a configuration that is not defined": lambda j: j.row(present=ONE["config"], config=0),
    "a configuration defined too late": lambda j: j.row(present=ONE["config"], config=0).define(
        "CONFIG", 0, b"{}"
    ),
    "an enumeration out of range": lambda j: j.row(present=3 | bit("action_code"), action_code=5),
    "a metric without a name": lambda j: j.row(metrics=[(0, 1.0)]),
    "metrics out of order": lambda j: (
        j.define("NAME", 0, b"a").define("NAME", 1, b"b").row(metrics=[(1, 1.0), (0, 1.0)])
    ),
    "a metric twice": lambda j: j.define("NAME", 0, b"a").row(metrics=[(0, 1.0), (0, 1.0)]),
    "a wrong count": lambda j: j.define("NAME", 0, b"a").row(metrics=[(0, 1.0)], count=2),
    "a row that goes back": lambda j: j.row(timestamp=5).row(timestamp=4),
    "a phase that goes back": lambda j: j.row(timestamp=5, phase=2).row(timestamp=5, phase=1),
    "a name that is declared": lambda j: j.define("NAME", 0, b"entropy"),
    "a name that is empty": lambda j: j.define("NAME", 0, b""),
    "a name that is too long": lambda j: j.define("NAME", 0, b"x" * 256),
    "a name that is no UTF-8": lambda j: j.define("NAME", 0, b"\xff"),
    "a name with two bodies": lambda j: j.define("NAME", 0, b"a").define("NAME", 0, b"b"),
    "a name with two numbers": lambda j: j.define("NAME", 0, b"a").define("NAME", 1, b"a"),
    "a configuration that is no object": lambda j: j.define("CONFIG", 0, b"[]"),
    "a configuration that is not canonical": lambda j: j.define("CONFIG", 0, b'{"b":1,"a":1}'),
    "a definition without a number": lambda j: j.entry("CONFIG", b"{}"),
    "one in force that is no object": lambda j: j.entry("CONFIG_IN_FORCE", b"null"),
    "one in force that is not canonical": lambda j: j.entry("CONFIG_IN_FORCE", b"{ }"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_breaks_a_rule_ends_the_journal(name):
    forger = Forger().row().row()
    good = forger.data
    BAD[name](forger)
    found = read(forger.row(timestamp=9).data)
    assert 2 <= len(found.bodies) <= 3  # some cases begin with a row that is fine
    assert len(found.bodies) == 2 + (name in ("a row that goes back", "a phase that goes back"))
    assert found.problem
    assert found.end >= len(good)


def test_an_unknown_kind_ends_the_journal():
    forger = Forger().row()
    forger.framer.kinds["NEW"] = 9
    found = read(forger.entry("NEW", b"").row(timestamp=1).data)
    assert len(found.bodies) == 1
    assert "kind 9" in found.problem


def test_equal_definitions_may_come_again():
    forger = Forger()
    for timestamp in (0, 1):
        forger.define("CONFIG", 4, b"{}").define("NAME", 2, b"a")
        forger.row(present=ONE["config"], config=4, timestamp=timestamp, metrics=[(2, 0.5)])
    found = read(forger.data)
    assert (len(found.bodies), found.problem) == (2, "")
    assert found.tables.configs == {4: b"{}"}


def test_the_last_configuration_in_force_counts():
    assert read(Forger().row().data).config_in_force is None
    forger = Forger().entry("CONFIG_IN_FORCE", b"{}").row()
    assert read(forger.data).config_in_force == b"{}"
    assert read(forger.entry("CONFIG_IN_FORCE", b"").data).config_in_force == b""
    forger.row(phase=99).entry("CONFIG_IN_FORCE", b'{"a":1}')
    found = read(forger.data)
    assert (len(found.bodies), found.config_in_force) == (1, b"")  # not what follows a bad row
    assert found.tables.configs == {}


def test_lengths_that_lie_cost_nothing():
    huge = Forger().row().data + b"\xff" * 64
    found = read(huge)
    assert len(found.bodies) == 1


def test_random_bytes_behind_a_header_are_no_rows():
    rng = np.random.default_rng(3)
    head = Forger().data
    for _ in range(200):
        found = read(head + rng.bytes(int(rng.integers(0, 300))))
        assert found.bodies == []


@pytest.mark.parametrize("what", ["version", "base_records", "last_masked_crc", "base_length"])
def test_a_journal_that_does_not_bind_is_named(dead, what):
    main, journal = dead.read_bytes(), journal_path(dead).read_bytes()
    header = vars(read(journal).header)
    good = Forger(
        base=header["base_records"],
        **{k: v for k, v in header.items() if k not in ("base_records", "salt")},
    )
    assert file_state(BytesSource(main), BytesSource(good.data), GRAMMAR).kind == "open"
    changed = dict(header) | {what: header[what] + 1}
    base = changed.pop("base_records")
    changed.pop("salt")
    found = file_state(BytesSource(main), BytesSource(Forger(base=base, **changed).data), GRAMMAR)
    assert found.kind == "damaged"
    assert "journal does not belong to the file" in str(found.problem)


def test_bytes_of_the_main_file_beyond_the_journals_length_are_not_trusted(dead):
    main, journal = dead.read_bytes(), journal_path(dead).read_bytes()
    for tail in (b"", b"\x00" * 100, main[60:], b"\xff" * 7):
        found = file_state(BytesSource(main + tail), BytesSource(journal), GRAMMAR)
        assert found.kind == "open"
        assert found.map.end == read(journal).header.base_length
    shorter = file_state(BytesSource(main[:-1]), BytesSource(journal), GRAMMAR)
    assert shorter.kind == "damaged"


def test_a_torn_count_in_the_header_is_no_matter(dead):
    main, journal = bytearray(dead.read_bytes()), journal_path(dead).read_bytes()
    main[7] ^= 0xFF
    assert file_state(BytesSource(bytes(main)), BytesSource(journal), GRAMMAR).kind == "open"
