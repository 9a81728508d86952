"""Limits of the format that a batch reaches: a record is refused before it is taken, never later."""

import shutil

import pytest

import cmeta
from cmeta.format.batch_room import BatchRoom, undeclared_max
from cmeta.format.grammar import grammar_of
from cmeta.recorder import pending
from cmeta.recorder.sealer import Sealer

# Most columns are declared, and cost nothing while they are absent: room for 6 metrics.
SMALL = cmeta.default_schema().with_batch_records(16)
SMALL = SMALL.with_metrics(*(f"declared/{i}" for i in range(undeclared_max(SMALL) - 6)))
WIDE = cmeta.default_schema().with_batch_records(65_536)  # room for 256 columns


def names(prefix, count):
    return {f"{prefix}/{i}": 1.0 for i in range(count)}


@pytest.mark.parametrize("flush_every", [1, 3])
@pytest.mark.parametrize("schema", [SMALL, WIDE])
def test_a_record_for_whose_metrics_a_batch_has_no_room_is_refused(path, schema, flush_every):
    with cmeta.Recorder(path, schema, flush_every=flush_every) as rec:
        most = undeclared_max(rec.schema)
        rec.log("train", metrics=names("a", most - 1))
        with pytest.raises(cmeta.EncodeError, match=rf"'b/0' and 1 other new .* at most {most:,}"):
            rec.log("train", metrics=names("b", 2))
        rec.log("train", metrics=names("c", 1))
        with pytest.raises(cmeta.EncodeError, match=r"metrics: found 'd/0', which"):
            rec.log("train", metrics=names("d", 1), loss=1.0)
        rec.log("train", metrics=names("a", 2), loss=2.0)
        assert len(rec) == 3
    assert cmeta.validate(path).ok
    with cmeta.open(path) as run:
        assert len(run) == 3


def test_the_default_schema_has_room_for_thousands(path):
    with cmeta.Recorder(path) as rec:
        with pytest.raises(cmeta.EncodeError, match="at most 4,0"):
            rec.log("train", metrics=names("a", 4_100))
        assert not len(rec)
        rec.log("train", metrics=names("a", undeclared_max(rec.schema)))
    with cmeta.open(path) as run:
        assert len(run.names) == undeclared_max(run.schema)


def test_the_next_batch_has_room_again(path):
    most = undeclared_max(SMALL)
    with cmeta.Recorder(path, SMALL) as rec:
        for i in range(40):
            rec.log("train", metrics=names(f"run{i // 16}", most) if i % 16 in (0, 15) else None)
            if i == 20:
                with pytest.raises(cmeta.EncodeError):
                    rec.log("train", metrics=names("other", 1))
    with cmeta.open(path) as run:
        assert len(run) == 40


def test_a_resumed_recorder_knows_the_metrics_of_the_batch(path):
    most = undeclared_max(SMALL)
    with cmeta.Recorder(path, SMALL) as rec:
        for i in range(20):
            rec.log("train", metrics=names("a" if i < 16 else "b", most))
    with cmeta.Recorder(path, mode="resume") as rec:
        with pytest.raises(cmeta.EncodeError, match="'a/0'"):
            rec.log("train", metrics={"a/0": 1.0})
        rec.log("train", metrics=names("b", 3))
    assert cmeta.validate(path).ok


def test_names_that_were_not_taken_take_no_room(path):
    """After a write that failed, the same record is taken; a refused one leaves nothing."""
    most = undeclared_max(SMALL)
    with cmeta.Recorder(path, SMALL) as rec:
        journal = rec._session.pending.journal.file
        write, failures = journal.write, iter([OSError(28, "No space left on device")])

        def fail_once(data, offset):
            for error in failures:
                raise error
            write(data, offset)

        journal.write = fail_once
        with pytest.raises(OSError, match="No space"):
            rec.log("train", metrics=names("a", most))
        rec.log("train", metrics=names("b", most))
        assert len(rec) == 1
    assert cmeta.validate(path).ok


def test_a_short_batch_of_another_writer_may_be_too_wide_to_go_on(path):
    """What `write` may put into a short batch is continued up to the limit of cells."""
    most = undeclared_max(WIDE)
    chunk = {"phase": ["train"]} | {f"metrics.m{i}": [1.0] for i in range(most + 1)}
    cmeta.write(path, chunk, schema=WIDE)
    with cmeta.Recorder(path, mode="resume") as rec:
        with pytest.raises(cmeta.EncodeError, match="'new', which"):
            rec.log("train", metrics={"new": 1.0})
        rec.log("train", metrics={"m0": 2.0})
        rec._session.pending._room.new_names(set(), 65_279)  # 257 columns: 65,280 records
        with pytest.raises(cmeta.EncodeError, match="cells"):
            rec._session.pending._room.new_names(set(), 65_280)
    assert cmeta.validate(path, canonical=False).ok


def test_a_file_whose_index_would_be_too_long_is_full():
    room = BatchRoom(SMALL, (), 1)
    most = room._blocks_max - room._blocks_of_batch
    room.begin(most)
    with pytest.raises(cmeta.EncodeError, match=r"the file is full: .* INDEX .* start another"):
        room.begin(most + 1)
    len_entries = (most + room._blocks_of_batch) * grammar_of(SMALL.format).index_entry.size
    assert 2**32 - 200 < len_entries < 2**32 - 50


# --------------------------------------------------------------- files of an earlier version


STEPS = [0, 1, 2, *range(5, 40)]  # those that have room


@pytest.fixture
def overfull(path, monkeypatch):
    """An open file with acknowledged records for which no batch has room."""
    monkeypatch.setattr(BatchRoom, "new_names", lambda self, names, row: names - self.names)
    monkeypatch.setattr(pending, "undeclared_max", lambda schema: 10**9)
    monkeypatch.setattr(Sealer, "_seal_ready", lambda self: None)
    rec = cmeta.Recorder(path.with_name("dead.cmeta"), SMALL)
    for step in range(40):
        new = names(f"image{step}", 4 if step == 39 else 2)
        rec.log("train", step=step, metrics=new if step < 5 or step > 37 else None)
    journal = path.with_name(f"{path.name}-journal")
    shutil.copy(rec.path, path)
    shutil.copy(rec.path.with_name(f"{rec.path.name}-journal"), journal)
    monkeypatch.undo()
    with pytest.raises(cmeta.RecorderError):
        rec.close()
    return path


def test_a_file_that_cannot_be_closed_is_refused_with_the_remedy(overfull):
    before = overfull.read_bytes()
    with pytest.raises(
        cmeta.RecorderError, match=r"names than its batch can hold\. `cmeta recover .* OUT`"
    ):
        cmeta.Recorder(overfull, mode="resume")
    assert overfull.read_bytes() == before
    assert not overfull.with_name(f"{overfull.name}-lock").exists()


def test_recover_saves_the_records_that_have_room(overfull, tmp_path):
    out = tmp_path / "out.cmeta"
    report = cmeta.recover(overfull, out)
    assert (report.verdict, report.num_records) == ("with loss", len(STEPS))
    assert report.num_lost == sum(lost.num_records for lost in report.lost) == 40 - len(STEPS)
    assert "than a batch can hold" in str(report)
    with cmeta.open(out) as run:
        assert run.read(["step"])["step"].tolist() == STEPS
        assert "image5/1" not in run.names
    assert cmeta.validate(out).ok
