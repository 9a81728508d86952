"""Open files: with their journal, without it, and journals without their file."""

import functools
import shutil
from pathlib import Path

import pytest

import cmeta
from cmeta.format.grammar import grammar_of
from cmeta.format.read_journal import read_journal
from cmeta.schema.load import shipped_format
from cmeta.source import BytesSource
from cmeta.storage.open import journal_path
from cmeta.tools.recover.recover import recover
from tests.format.journal.conftest import Forger
from tests.hostile.reseal import BATCH, CONFIG, HEADER, NAME, bounds_of
from tests.recover.test_damage import flip

GRAMMAR = grammar_of(shipped_format())
SCHEMA = cmeta.default_schema().with_batch_records(16)
NUM, NUM_SEALED = 60, 32
CONFIGS = ({"lr": 0.1}, {"lr": 0.2}, {"lr": 0.3})


def log(rec, i):
    rec.config = CONFIGS[i // 25]
    metrics = {"m0": i * 10.0, "entropy": 0.25} if i % 2 else {"m1": float("nan")}
    if i >= 40:
        metrics["late/é"] = i / 3
    rec.log("train" if i % 3 else "validate", loss=1 / (i + 1), metrics=metrics, step=i)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """File and journal of a run, copied while it is open, and the closed file: bytes each.

    The journal begins behind the second batch; the third stands in the file, too.
    """
    folder = tmp_path_factory.mktemp("running")
    path = folder / "run.cmeta"
    with cmeta.Recorder(path, SCHEMA) as rec:
        for i in range(NUM):
            if i == NUM_SEALED:
                rec._session._sealer.rotate()
            log(rec, i)
        rec.flush()
        rec._session._sealer.catch_up()
        main, journal = path.read_bytes(), journal_path(path).read_bytes()
    return main, journal, path.read_bytes()


@pytest.fixture
def rescue(running, tmp_path):
    """Recover some bytes of file and journal; None: without that file."""
    closed = running[2]
    expected = {record.step: record.as_dict() for record in cmeta.open(closed)}

    @functools.cache
    def valid_records(found):
        assert cmeta.validate(found, canonical=False).ok  # `recover` has checked the rest
        return list(cmeta.open(found))

    def run(main, journal, name="run.cmeta", *, is_torn=False, **options):
        folder = tmp_path / "folder"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        path, out = folder / "run.cmeta", folder / "out"
        for file, data in ((path, main), (journal_path(path), journal)):
            if data is not None:
                file.write_bytes(data)
        report = recover(folder / name, out, **options)
        for file, data in ((path, main), (journal_path(path), journal)):
            assert (file.read_bytes() if file.exists() else None) == data
        assert {p.name for p in folder.iterdir()} <= {"run.cmeta", "run.cmeta-journal", "out"}
        if not out.exists():
            assert report.verdict == "nothing"
            return report, None
        found = out.read_bytes()
        for record in valid_records(found):
            got, whole = record.as_dict(), expected[record.step]
            assert same(
                dict(got.get("metrics", {})),
                dict(whole.get("metrics", {})),
                subset=bool(report.dropped),
            )
            rest = [k for k in (got if report.dropped else whole) if k != "metrics"]
            assert all(got[k] == whole[k] for k in rest)
        if report.verdict == "complete" and not is_torn:
            assert found == closed
        return report, found

    return run


def same(got, whole, subset):
    keys_fit = got.keys() <= whole.keys() if subset else got.keys() == whole.keys()
    return keys_fit and all(repr(got[key]) == repr(whole[key]) for key in got)


def entries_of(journal):
    """Where each entry of a journal begins and ends, and whether it is a row."""
    found, at = [], GRAMMAR.journal_header.size
    while at < len(journal):
        end = at + 12 + int.from_bytes(journal[at : at + 4], "little") + 8
        found.append((at, end, journal[at + 4] == 1))
        at = end
    return found


def test_an_open_file_and_its_journal_are_all_there_is(rescue, running):
    main, journal, closed = running
    report, found = rescue(main, journal)
    assert (report.verdict, report.num_from_journal) == ("complete", NUM - NUM_SEALED)
    assert found == closed
    assert report.findings == [] and report.lost == []
    assert "28 from its journal" in str(report)


def test_a_file_without_its_journal(rescue, running):
    """An unknown number of rows is gone: never complete."""
    main, _, _ = running
    report, _ = rescue(main, None)
    assert (report.verdict, report.num_records, report.num_lost) == ("with loss", 48, None)


@pytest.mark.parametrize("name", ["run.cmeta", "run.cmeta-journal"])
def test_a_journal_without_its_file(rescue, running, name):
    """By its own name, or by that of its file. Records before it were in the file."""
    journal = running[1]
    report, found = rescue(None, journal, name, schema=SCHEMA)
    assert (report.num_records, report.num_from_journal) == (28, 28)
    assert (report.verdict, report.num_lost) == ("with loss", NUM_SEALED)
    assert cmeta.open(found).read(["step"])["step"].tolist() == list(range(32, 60))


def test_a_journal_of_a_whole_run_without_its_file(tmp_path):
    path = tmp_path / "run.cmeta"
    with cmeta.Recorder(path) as rec:
        for i in range(40):
            log(rec, i)
        rec.flush()
        journal = journal_path(path).read_bytes()
    other = tmp_path / "lone.cmeta-journal"
    other.write_bytes(journal)
    report = recover(other, tmp_path / "out")  # the default schema, by its digest
    assert report.verdict == "complete"
    assert (tmp_path / "out").read_bytes() == path.read_bytes()


def test_a_journal_of_another_schema(rescue, running):
    main, journal, _ = running
    report, found = rescue(None, journal)
    assert (report.verdict, found) == ("nothing", None)
    assert "belongs to a file of another schema" in str(report)
    other = Forger(schema_digest=1).row(timestamp=1).data
    report, _ = rescue(main, other)
    assert (report.num_records, report.num_from_journal) == (48, 0)
    assert "the journal beside it cannot be used: found schema digest" in str(report)


def test_a_journal_of_another_file(rescue, running):
    main = running[0]
    end = bounds_of(main + bytes(8))[0][1]
    other = Forger(base_length=end, last_masked_crc=5).row(timestamp=900).data
    report, _ = rescue(main, other)
    assert (report.num_records, report.num_from_journal, report.num_lost) == (48, 0, None)
    assert "nothing confirms that its rows continue the file at" in str(report)
    beyond = Forger(base_length=10**6).row(timestamp=900).data
    assert rescue(main, beyond)[0].num_from_journal == 0


def test_a_journal_of_another_major_version(rescue):
    lone = Forger(version=0x0200).row(timestamp=900).data
    report, _ = rescue(None, lone, schema=SCHEMA)
    assert report.verdict == "nothing"
    assert "UnsupportedVersionError: the journal beside it cannot be used" in str(report)


def test_rows_of_another_salt(rescue, running):
    """Rows of an earlier journal after these rows are not used."""
    main, journal, closed = running
    stale = Forger(salt=99, base=NUM).row(timestamp=7000).row(timestamp=7001).data
    stale = stale[GRAMMAR.journal_header.size :]
    report, found = rescue(main, journal + stale)
    assert report.num_from_journal == 28 and found == closed
    assert report.verdict == "with loss"  # they might have been rows of this one


def test_a_journal_beside_a_closed_file_is_a_leftover(rescue, running):
    _, journal, closed = running
    report, found = rescue(closed, journal)
    assert found == closed and report.verdict == "complete"
    assert report.num_from_journal == 0 and report.findings == []


def test_a_journal_beside_a_file_that_was_nearly_closed(rescue, running):
    """Without INDEX or count the journal decides; no row is used twice."""
    _, journal, closed = running
    opened = HEADER.pack(*HEADER.unpack_from(closed)[:2], 0xFFFFFFFF) + closed[HEADER.size :]
    for main in (closed[:-30], opened, flip(closed, len(closed) - 30)):
        report, found = rescue(main, journal)
        assert found == closed and report.verdict == "complete"


def test_an_empty_file_and_an_empty_journal(rescue, running):
    journal = running[1]
    report, _ = rescue(b"", journal, schema=SCHEMA)
    assert report.num_from_journal == 28
    assert rescue(b"", None)[0].verdict == "nothing"
    assert "the file is empty" in str(rescue(b"", None)[0])
    report, _ = rescue(running[0], b"")
    assert report.num_records == 48 and "journal" in str(report)
    with pytest.raises(FileNotFoundError):
        rescue(None, None)


def test_an_open_file_without_records(tmp_path):
    path = tmp_path / "run.cmeta"
    with cmeta.Recorder(path, SCHEMA):
        copy = tmp_path / "copy.cmeta"
        shutil.copy(path, copy)
        shutil.copy(journal_path(path), journal_path(copy))
    report = recover(copy, tmp_path / "out")
    assert (report.verdict, report.num_records) == ("complete", 0)
    assert (tmp_path / "out").read_bytes() == path.read_bytes()


def test_while_it_is_being_recorded(tmp_path):
    path = tmp_path / "run.cmeta"
    with cmeta.Recorder(path, SCHEMA) as rec:
        for i in range(50):
            log(rec, i)
        rec.flush()
        report = recover(path, tmp_path / "out")
        log(rec, 50)
    assert (report.verdict, report.num_records) == ("complete", 50)
    assert len(cmeta.open(path.read_bytes())) == 51


# ------------------------------------------------------------------------------- damage to the file


def test_every_block_of_an_open_file_damaged(rescue, running):
    """The journal goes on; names that it defines itself are certain."""
    main, journal, _ = running
    header = read_journal(BytesSource(journal), SCHEMA, GRAMMAR).header
    bounds = [b for b in bounds_of(main + bytes(8)) if b[1] <= header.base_length]
    assert {main[start] for start, _ in bounds} >= {CONFIG, NAME, BATCH}
    for start, end in bounds:
        report, _ = rescue(flip(main, end - 9, 2), journal)
        assert report.num_from_journal == 28
        num_lost = 16 if main[start] == BATCH else 0
        if (start, end) == bounds[-1]:
            num_lost = 16
        assert (report.num_records, report.num_lost) == (NUM - num_lost, num_lost)
        assert bool(report.dropped) == (main[start] in (CONFIG, NAME))


def test_the_header_of_an_open_file_damaged(rescue, running):
    main, journal, closed = running
    for at in (1, 4, 5, 7):
        _, found = rescue(flip(main, at, (at * 3) % 8), journal)
        assert found == closed, at


def test_the_schema_of_an_open_file_is_confirmed_by_its_journal(rescue, running):
    main, journal, closed = running
    end = bounds_of(main + bytes(8))[0][1]
    for at in (100, end - 3):
        report, found = rescue(flip(main, at), journal, schema=SCHEMA)
        assert found == closed and report.verdict == "complete"


def test_blocks_exchanged_in_an_open_file(rescue, running):
    """The journal's CRC of all bytes before it detects names of equal length that were exchanged."""
    main, journal, _ = running
    bounds = bounds_of(main + bytes(8))
    (a, a_end), (b, b_end) = [x for x in bounds if main[x[0]] == NAME][:2]
    assert a_end - a == b_end - b
    swapped = main[:a] + main[b:b_end] + main[a_end:b] + main[a:a_end] + main[b_end:]
    report, _ = rescue(swapped, journal)
    assert report.num_records == NUM and report.dropped


def test_a_recovery_beside_what_it_recovers(running, tmp_path):
    """Neither the file's name nor its journal's can be the output, even if that does not exist."""
    journal = running[1]
    path = tmp_path / "run.cmeta"
    journal_path(path).write_bytes(journal)
    with pytest.raises(cmeta.ExistsError, match="never works in place"):
        recover(path, path, schema=SCHEMA)
    journal_path(path).rename(tmp_path / "kept")
    path.write_bytes(running[0])
    with pytest.raises(cmeta.ExistsError, match="never works in place"):
        recover(path, journal_path(path))
    assert {Path(p).name for p in tmp_path.iterdir()} == {"run.cmeta", "kept"}
