"""Files that lie, with every checksum right: one table of lies, and the error that each deserves."""

import json
import struct
from dataclasses import replace
from typing import NamedTuple

import pytest

import cmeta
from tests.hostile import samples
from tests.hostile.columns import body_of
from tests.hostile.outcome import findings, outcome
from tests.hostile.reseal import BATCH, CONFIG, INDEX, NAME, SCHEMA, Block, File, take_apart

FILE = take_apart(samples.small())
BLOCKS = FILE.blocks
KINDS = [block.kind for block in BLOCKS]
ENTRIES = [
    (b.kind, b.flags, 0, b.facts()[0], at, *b.facts()[1:])
    for b, at in zip(
        BLOCKS, [10 + sum(len(o.build()) for o in BLOCKS[:i]) for i in range(len(BLOCKS))],
        strict=True,
    )
]  # fmt: skip
LAST = len(BLOCKS) - 1
TOP = 2**64 - 1


class Lie(NamedTuple):
    what: str
    data: bytes
    error: str  # class of the first finding, and of what reading raises
    path: str
    readable: bool = False  # it is seen by `validate` only
    read_path: str = ""  # where reading meets it, if that is another place


def block(place, **changes):
    """One block otherwise."""
    blocks = list(BLOCKS)
    blocks[place] = blocks[place]._replace(**changes)
    return FILE.with_blocks(blocks).build()


def entry(place, **changes):
    """One entry of the INDEX otherwise; the blocks are as they were."""
    names = ("kind", "flags", "reserved", "records_count", "offset", "first", "last")
    entries = list(ENTRIES)
    entries[place] = tuple({**dict(zip(names, entries[place], strict=True)), **changes}.values())
    return replace(FILE, entries=entries).build()


def index(**changes):
    return replace(FILE, index=changes).build()


def without(place):
    return FILE.with_blocks(BLOCKS[:place] + BLOCKS[place + 1 :]).build()


def inserted(place, *further):
    return FILE.with_blocks([*BLOCKS[:place], *further, *BLOCKS[place:]]).build()


def schema(**changes):
    """A SCHEMA whose record is otherwise."""
    plain = json.loads(BLOCKS[0].body)
    plain["record"] |= changes
    return block(0, body=dumps(plain))


def dumps(plain):
    return json.dumps(plain, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()


def fields(**changes):
    """A SCHEMA whose last field is otherwise."""
    several = json.loads(BLOCKS[0].body)["record"]["fields"]
    return schema(fields=[*several[:-1], several[-1] | changes])


def batch(place, **changes):
    """A BATCH whose head or directory is otherwise."""
    body = BLOCKS[place].body
    numbers = {"head": None, "lengths": None, "undeclared": None, "num_undeclared": None} | changes
    return block(place, body=rebuilt(body, numbers))


def rebuilt(body, numbers):
    head = numbers["head"] or struct.unpack_from("<IQQ", body)
    lengths = numbers["lengths"] or struct.unpack_from("<4I", body, 20)
    (count,) = struct.unpack_from("<I", body, 36)
    entries = [struct.unpack_from("<II", body, 40 + 8 * i) for i in range(count)]
    entries = entries if numbers["undeclared"] is None else numbers["undeclared"]
    columns = body[40 + 8 * count :]
    return body_of([columns], head=head, lengths=lengths, undeclared=entries,
                   num_undeclared=numbers["num_undeclared"])  # fmt: skip


FIRST, SHORT = KINDS.index(BATCH), len(KINDS) - 1  # places of the two batches
ENTRY = "INDEX.entries[{}].{}".format

HEADERS = [
    Lie("nothing", b"", "TruncatedError", "header.signature"),
    Lie("a header cut off", FILE.build()[:9], "TruncatedError", "header.records_count"),
    Lie("another signature", replace(FILE, signature=0x0C0DA55F).build(), "CorruptError", "header.signature"),
    Lie("the signature backwards", replace(FILE, signature=0x5EA50D0C).build(), "CorruptError", "header.signature"),
    Lie("the next major version", replace(FILE, version=0x0200).build(), "UnsupportedVersionError", "header.version"),
    Lie("major version 0", replace(FILE, version=0x0001).build(), "UnsupportedVersionError", "header.version"),
    Lie("another version in the INDEX", index(version=0x0101), "CorruptError", "INDEX.version"),
    Lie("another count in the INDEX", index(records_count=21), "CorruptError", "INDEX.records_count"),
    Lie("a count that the batches do not have", replace(FILE, records_count=21).build(), "CorruptError", ENTRY(LAST, "records_count")),
    Lie("four billion records in forty bytes", replace(FILE, records_count=4_000_000_000).build()[:40], "TruncatedError", "SCHEMA.len_body"),
    Lie("four billion records", replace(FILE, records_count=4_000_000_000).build(), "CorruptError", ENTRY(LAST, "records_count")),
]  # fmt: skip

FRAMES = [
    Lie("no SCHEMA", without(0), "CorruptError", "SCHEMA"),
    Lie("no blocks", FILE.with_blocks(()).build(), "CorruptError", "SCHEMA"),
    Lie("a second SCHEMA", inserted(2, BLOCKS[0]), "CorruptError", ENTRY(2, "kind")),
    Lie("an INDEX among the blocks", inserted(2, Block(INDEX, b"")), "CorruptError", "trailer"),
    Lie("a SCHEMA beyond the file", block(0, len_body=2**32 - 1), "TruncatedError", "SCHEMA.len_body"),
    Lie("a SCHEMA that is longer", block(0, len_body=len(BLOCKS[0].body) + 1), "ChecksumError", "SCHEMA.masked_crc"),
    Lie("a SCHEMA that is empty", block(0, body=b""), "CorruptError", "SCHEMA"),
    Lie("a batch beyond the file", block(FIRST, len_body=2**32 - 1), "CorruptError", "BATCH[0].len_body"),
    Lie("a batch that is longer", block(FIRST, len_body=len(BLOCKS[FIRST].body) + 30), "CorruptError", "BATCH[0].len_body"),
    Lie("a batch that is shorter", block(FIRST, len_body=len(BLOCKS[FIRST].body) - 30), "ChecksumError", "BATCH[0].masked_crc"),
    Lie("another checksum", block(FIRST, crc=0), "ChecksumError", "BATCH[0].masked_crc"),
    Lie("a reserved number", block(FIRST, reserved=1), "CorruptError", "block.reserved"),
    Lie("a flag that is none", block(FIRST, flags=3), "CorruptError", "BATCH[0]"),
    Lie("a batch that is not critical", block(FIRST, flags=0), "CorruptError", "BATCH[0]"),
    Lie("a kind of a version to come", inserted(2, Block(9, b"x", flags=0)), "CorruptError", "block of kind 9"),
    Lie("bytes behind the INDEX", replace(FILE, tail=b"\0" * 8).build(), "CorruptError", "trailer"),
    Lie("a block behind the INDEX", replace(FILE, tail=BLOCKS[1].build()).build(), "CorruptError", "trailer"),
    Lie("another checksum of the file", replace(FILE, checksum=0).build(), "ChecksumError", "trailer.checksum", readable=True),
]  # fmt: skip

SCHEMAS = [
    Lie("not JSON", block(0, body=b"{nonsense"), "CorruptError", "SCHEMA"),
    Lie("not UTF-8", block(0, body=b'{"\xff":1}'), "CorruptError", "SCHEMA"),
    Lie("a number", block(0, body=b"17"), "CorruptError", "SCHEMA"),
    Lie("an empty object", block(0, body=b"{}"), "CorruptError", "SCHEMA"),
    Lie("deep JSON", block(0, body=b"[" * 40 + b"]" * 40), "LimitError", "SCHEMA"),
    Lie("very deep JSON", block(0, body=b"[" * 500_000), "LimitError", "SCHEMA"),
    Lie("brackets that only close", block(0, body=b"]" * 200_000), "CorruptError", "SCHEMA"),
    Lie("huge JSON", block(0, body=b'"' + b"x" * 2**20 + b'"'), "LimitError", "SCHEMA"),
    Lie("a string without an end", block(0, body=b'"' + b'\\"' * 300_000), "CorruptError", "SCHEMA"),
    Lie("strings without an end", block(0, body=b'"\\' * 300_000), "CorruptError", "SCHEMA"),
    Lie("a huge integer", block(0, body=b"9" * 100_000), "CorruptError", "SCHEMA"),
    Lie("a float out of range", block(0, body=b'{"enumerations":1e999}'), "CorruptError", "SCHEMA"),
    Lie("a key twice", block(0, body=b'{"record":1,"record":2}'), "CorruptError", "SCHEMA"),
    Lie("half a surrogate", block(0, body=b'"\\ud800"'), "CorruptError", "SCHEMA"),
    Lie("white space", block(0, body=b" " + BLOCKS[0].body), "CorruptError", "SCHEMA"),
    Lie("keys out of order", block(0, body=json.dumps(json.loads(BLOCKS[0].body), separators=(",", ":")).encode().replace(b'"enumeration":"phase","name":"phase"', b'"name":"phase","enumeration":"phase"')), "CorruptError", "SCHEMA"),
    Lie("a default that is spelt out", fields(exact=False), "CorruptError", "SCHEMA"),
    Lie("a key of a version to come", schema(colour="red"), "CorruptError", "SCHEMA.record"),
    Lie("a batch of 2^32", schema(batch_records=2**32), "LimitError", "SCHEMA.record.batch_records"),
    Lie("a batch beyond 64 bits", schema(batch_records=2**80), "CorruptError", "SCHEMA"),
    Lie("a batch of 65,537", schema(batch_records=65537), "LimitError", "SCHEMA.record.batch_records"),
    Lie("a batch of 15", schema(batch_records=15), "CorruptError", "SCHEMA.record.batch_records"),
    Lie("a batch of -1", schema(batch_records=-1), "CorruptError", "SCHEMA.record.batch_records"),
    Lie("no batch", schema(batch_records=None), "CorruptError", "SCHEMA.record.batch_records"),
    Lie("an unknown type", fields(type="f16"), "CorruptError", "SCHEMA.record.fields[3].type"),
    Lie("a type and a line feed", fields(type="u8\n"), "CorruptError", "SCHEMA.record.fields[3].type"),
    Lie("a vector of 9,999", fields(type="f32[9999]"), "CorruptError", "SCHEMA.record.fields[3].type"),
    Lie("a vector of 0", fields(type="f32[0]"), "CorruptError", "SCHEMA.record.fields[3].type"),
    Lie("an enumeration that is not there", fields(type="enum", enumeration="x"), "CorruptError", "SCHEMA.record.fields[3].enumeration"),
    Lie("a group that is not there", fields(group="x"), "CorruptError", "SCHEMA.record.fields[3].group"),
    Lie("an empty name", fields(name=""), "CorruptError", "SCHEMA.record.fields[3].name"),
    Lie("a name that is taken", fields(name="c"), "CorruptError", "SCHEMA.record.fields[3].name"),
    Lie("a quantum of 0", fields(quanta_per_unit=0), "CorruptError", "SCHEMA.record.fields[3].quanta_per_unit"),
    Lie("too fine a quantum", fields(quanta_per_unit=10**18), "CorruptError", "SCHEMA.record.fields[3].quanta_per_unit"),
    Lie("a chain out of order", fields(codec=["quantise", "class", "delta", "rice"]), "CorruptError", "SCHEMA.record.fields[3].codec"),
    Lie("a chain without an end", fields(codec=["class", "quantise"]), "CorruptError", "SCHEMA.record.fields[3].codec"),
    Lie("an unknown stage", fields(codec=["zstd"]), "CorruptError", "SCHEMA.record.fields[3].codec[0]"),
    Lie("4,097 columns", schema(fields=[*json.loads(BLOCKS[0].body)["record"]["fields"], *[{"name": f"f{i}", "type": "f32[1000]"} for i in range(5)]]), "CorruptError", "SCHEMA.record.fields"),
    Lie("many groups and many fields", schema(groups=[{"name": f"g{i}"} for i in range(4000)], fields=[*json.loads(BLOCKS[0].body)["record"]["fields"], *[{"name": f"f{i}", "type": "u8", "group": "g0"} for i in range(4500)]]), "CorruptError", "SCHEMA.record.fields"),
]  # fmt: skip

METADATA = [
    Lie("a CONFIG that is not JSON", block(1, body=b"lr=0.1"), "CorruptError", "CONFIG"),
    Lie("a CONFIG that is a list", block(1, body=b"[]"), "CorruptError", "CONFIG"),
    Lie("a CONFIG that is not canonical", block(1, body=b'{"lr":5e-1}'), "CorruptError", "CONFIG"),
    Lie("a deep CONFIG", block(1, body=b'{"a":' * 40 + b"1" + b"}" * 40), "LimitError", "CONFIG"),
    Lie("an empty CONFIG", block(1, body=b""), "CorruptError", "CONFIG"),
    Lie("a CONFIG for nobody", inserted(len(BLOCKS), Block(CONFIG, b"{}")), "CanonicalError", "CONFIG[2]", readable=True),
    Lie("the same CONFIG twice", inserted(2, BLOCKS[1]), "CanonicalError", "CONFIG[1]", readable=True),
    Lie("no CONFIG", without(1), "CorruptError", "BATCH[0].c"),
    Lie("an empty NAME", block(2, body=b""), "CorruptError", "NAME"),
    Lie("a NAME of 256 bytes", block(2, body=b"x" * 256), "CorruptError", "NAME"),
    Lie("a NAME that is not UTF-8", block(2, body=b"\xff"), "CorruptError", "NAME"),
    Lie("half a surrogate in a NAME", block(2, body=b"\xed\xa0\x80"), "CorruptError", "NAME"),
    Lie("the same NAME twice", block(5, body=BLOCKS[2].body), "CorruptError", "NAME"),
    Lie("a NAME for nobody", inserted(len(BLOCKS), Block(NAME, b"new")), "CanonicalError", "NAME[2]", readable=True),
    Lie("no NAME", without(2), "CorruptError", "BATCH[0].undeclared"),
]  # fmt: skip

INDEXES = [
    Lie("more entries than there are", index(num_blocks=2**32 - 1), "TruncatedError", "INDEX.entries"),
    Lie("fewer entries than there are", index(num_blocks=1), "CorruptError", "INDEX"),
    Lie("no entries", replace(FILE, entries=[]).build(), "CorruptError", "INDEX.entries"),
    Lie("an entry missing", replace(FILE, entries=ENTRIES[:1] + ENTRIES[2:]).build(), "CorruptError", "SCHEMA", read_path="BATCH[0].c"),
    Lie("an entry twice", replace(FILE, entries=[*ENTRIES, ENTRIES[-1]]).build(), "CorruptError", ENTRY(LAST, "offset")),
    Lie("an unknown status", index(status=5), "CorruptError", "INDEX.status"),
    Lie("another INDEX", index(index_offset=10), "CorruptError", "INDEX"),
    Lie("an INDEX in the header", index(index_offset=0), "CorruptError", "INDEX.index_offset"),
    Lie("an INDEX far away", index(index_offset=TOP), "CorruptError", "INDEX.index_offset"),
    Lie("an INDEX in a block", index(index_offset=ENTRIES[1][4] + 1), "CorruptError", "block.reserved"),
    Lie("another running checksum", index(running_crc=1), "ChecksumError", "INDEX.running_crc", readable=True),
    Lie("a file that begins later", entry(0, offset=11), "CorruptError", ENTRY(0, "offset")),
    Lie("a block in another place", entry(FIRST, offset=ENTRIES[FIRST][4] + 1), "CorruptError", "NAME[0]"),
    Lie("a block far away", entry(FIRST, offset=TOP), "CorruptError", ENTRY(FIRST, "offset")),
    Lie("a block at the beginning", entry(FIRST, offset=0), "CorruptError", ENTRY(FIRST - 1, "offset")),
    Lie("a batch of another length", entry(FIRST, records_count=17), "CorruptError", ENTRY(FIRST, "records_count")),
    Lie("a last batch of none", entry(SHORT, records_count=0), "CorruptError", ENTRY(SHORT, "records_count")),
    Lie("a last batch that is too long", entry(SHORT, records_count=17), "CorruptError", ENTRY(SHORT, "records_count")),
    Lie("a last batch of another length", replace(FILE, records_count=19, entries=[*ENTRIES[:-1], (*ENTRIES[-1][:3], 3, *ENTRIES[-1][4:])]).build(), "CorruptError", "BATCH[1].records_count"),
    Lie("a CONFIG with records", entry(1, records_count=1), "CorruptError", ENTRY(1, "records_count")),
    Lie("a CONFIG with a time", entry(1, first=1), "CorruptError", ENTRY(1, "first_timestamp")),
    Lie("a NAME with a time", entry(2, last=1), "CorruptError", ENTRY(2, "last_timestamp")),
    Lie("a CONFIG that is a NAME", entry(1, kind=NAME), "CorruptError", "CONFIG"),
    Lie("a NAME that is a CONFIG", entry(2, kind=CONFIG), "CorruptError", "NAME"),
    Lie("a SCHEMA that is a NAME", entry(0, kind=NAME), "CorruptError", ENTRY(0, "kind")),
    Lie("a NAME that is a SCHEMA", entry(2, kind=SCHEMA), "CorruptError", ENTRY(2, "kind")),
    Lie("a NAME that is a BATCH", entry(2, kind=BATCH, records_count=16), "CorruptError", ENTRY(LAST, "records_count")),
    Lie("a BATCH that is a NAME", entry(FIRST, kind=NAME, records_count=0, first=0, last=0), "CorruptError", ENTRY(LAST, "records_count")),
    Lie("an entry that is not critical", entry(FIRST, flags=0), "CorruptError", "BATCH[0]"),
    Lie("a reserved number of an entry", entry(FIRST, reserved=1), "CorruptError", ENTRY(FIRST, "reserved")),
    Lie("a first timestamp too early", entry(FIRST, first=0), "CorruptError", "BATCH[0].first_timestamp"),
    Lie("a last timestamp too late", entry(SHORT, last=TOP), "CorruptError", "BATCH[1].last_timestamp"),
    Lie("a batch that ends before it begins", entry(FIRST, last=0), "CorruptError", ENTRY(FIRST, "last_timestamp")),
    Lie("batches out of order", entry(FIRST, last=TOP), "CorruptError", ENTRY(SHORT, "first_timestamp")),
]  # fmt: skip

BATCHES = [
    Lie("a batch without a head", block(SHORT, body=BLOCKS[SHORT].body[:19]), "TruncatedError", "BATCH.last_timestamp"),
    Lie("a batch without a directory", block(SHORT, body=BLOCKS[SHORT].body[:21]), "TruncatedError", "BATCH[1].len_columns"),
    Lie("a batch without columns", block(SHORT, body=BLOCKS[SHORT].body[:56]), "CorruptError", "BATCH[1].len_columns"),
    Lie("a column beyond the batch", batch(FIRST, lengths=(2**32 - 1, 7, 4, 9)), "CorruptError", "BATCH[0].len_columns"),
    Lie("columns that are shorter", batch(FIRST, lengths=(1, 1, 1, 1)), "CorruptError", "BATCH[0].len_columns"),
    Lie("four billion undeclared columns", batch(FIRST, num_undeclared=2**32 - 1), "TruncatedError", "BATCH[0].undeclared"),
    Lie("an undeclared column less", batch(FIRST, num_undeclared=0), "CorruptError", "BATCH[0].len_columns"),
    Lie("a NAME that does not come", batch(FIRST, undeclared=[(1, 30)]), "CorruptError", "BATCH[0].undeclared"),
    Lie("the NAME of all", batch(FIRST, undeclared=[(2**32 - 1, 30)]), "CorruptError", "BATCH[0].undeclared"),
    Lie("undeclared columns out of order", batch(SHORT, undeclared=[(1, 9), (0, 9)]), "CorruptError", "BATCH[1].undeclared"),
    Lie("an undeclared column twice", batch(SHORT, undeclared=[(1, 9), (1, 9)]), "CorruptError", "BATCH[1].undeclared"),
    Lie("an undeclared column of no length", batch(SHORT, undeclared=[(0, 0), (1, 9)]), "CorruptError", "BATCH[1].undeclared"),
    Lie("another first timestamp", batch(FIRST, head=(16, 4, 12)), "CorruptError", "BATCH[0].timestamp"),
    Lie("another last timestamp", batch(FIRST, head=(16, 5, 13)), "CorruptError", "BATCH[0].timestamp"),
    Lie("a count of 65,536 in a few bytes", batch(SHORT, head=(65536, 13, 14)), "CorruptError", ENTRY(SHORT, "records_count")),
    Lie("a count of four billion", batch(SHORT, head=(2**32 - 1, 13, 14)), "CorruptError", ENTRY(SHORT, "records_count")),
    Lie("a count of none", batch(SHORT, head=(0, 13, 14)), "CorruptError", ENTRY(SHORT, "records_count")),
]  # fmt: skip

EVERY = [*HEADERS, *FRAMES, *SCHEMAS, *METADATA, *INDEXES, *BATCHES]


@pytest.mark.usefixtures("no_hang")
@pytest.mark.parametrize("lie", EVERY, ids=lambda lie: lie.what)
def test_a_lie_is_called_by_its_name(lie):
    report = findings(lie.data)
    assert report.findings, "not reported"
    first = report.findings[0]
    assert (first.kind, first.path) == (lie.error, lie.path), first.message
    assert len(first.message) < 1000
    found = outcome(lie.data)
    if lie.readable:
        assert not isinstance(found, cmeta.DecodeError)
    else:
        assert (type(found).__name__, found.path) == (lie.error, lie.read_path or lie.path), found


def test_the_lies_differ_and_the_truth_is_valid():
    assert len({lie.data for lie in EVERY}) == len(EVERY)
    assert FILE.build() == samples.small()
    assert cmeta.validate(FILE.build()).ok
    assert replace(FILE, entries=ENTRIES).build() == FILE.build()
    assert batch(FIRST) == batch(SHORT) == FILE.build()
    assert isinstance(FILE, File)
