"""`on_error="warn"`: a training goes on without the records that cannot be taken, and is told."""

import errno
import warnings
from contextlib import suppress

import pytest

import cmeta
from cmeta import CmetaWarning
from cmeta.format.encoder import Encoder
from cmeta.records import seeds
from cmeta.storage.disk import Disk, File


class FullDisk(Disk):
    """A disk on which nothing can be written while it is full."""

    is_full = False

    def create(self, path, like=None):
        return _FullFile(path, super().create(path, like).descriptor, self)


class _FullFile(File):
    def __init__(self, path, descriptor, disk):
        super().__init__(path, descriptor)
        self.disk = disk

    def write(self, data, offset):
        if self.disk.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().write(data, offset)


def messages(caught):
    return [str(w.message) for w in caught if issubclass(w.category, CmetaWarning)]


def test_each_kind_is_counted_and_said(path):
    disk = FullDisk()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with cmeta.Recorder(path, on_error="warn", disk=disk) as rec:
            rec.log("train", timestamp=5, loss=1.0)
            for timestamp in (3, 4):
                rec.log("train", timestamp=timestamp)
            rec.log("train", loss="much")
            rec.log("trian")
            rec.record_cycle(cmeta.CycleRecord(phase="train", loss_value="much"))
            with rec.cycle("train") as c:
                c.log(loss=1.0, loss_value=2.0)
            disk.is_full = True
            rec.log("train", loss=0.5)
            rec.log("train", loss=0.5)
            rec.flush()
            disk.is_full = False
            rec.log("train", loss=0.25)
            assert rec.refused == {"order": 2, "value": 4, "disk": 2}
            assert (rec.num_refused, len(rec)) == (8, 2)
    found = messages(caught)
    assert sum("a record was not taken" in text for text in found) == 3
    assert "8 records not taken, because 2 of going back" in found[-1]
    assert "4 of bad values, 2 of the disk" in found[-1]
    with cmeta.open(path) as run:
        assert [r.loss_value for r in run] == [1.0, 0.25]


def test_a_disk_that_is_full_at_the_end(path):
    disk = FullDisk()
    rec = cmeta.Recorder(path, on_error="warn", disk=disk)
    rec.log("train", loss=1.0)
    disk.is_full = True
    with pytest.warns(CmetaWarning, match='could not be closed: .*mode="resume" continues it'):
        rec.close()
    with cmeta.Recorder(path, mode="resume") as rec:
        assert len(rec) == 1


def test_what_waits_for_its_group_at_the_end_is_counted(path):
    disk = FullDisk()
    rec = cmeta.Recorder(path, on_error="warn", disk=disk, flush_every=10)
    for _ in range(14):
        rec.log("train")
    disk.is_full = True
    with (
        pytest.warns(CmetaWarning, match="could not be closed"),
        pytest.warns(CmetaWarning, match="4 records not taken, because 4 of the disk"),
    ):
        rec.close()
    with cmeta.Recorder(path, mode="resume") as rec:
        assert len(rec) == 10


def test_what_waits_for_its_group_at_the_end_is_named(path):
    disk = FullDisk()
    rec = cmeta.Recorder(path, disk=disk, flush_every=10)
    for _ in range(14):
        rec.log("train")
    disk.is_full = True
    with pytest.raises(OSError, match="No space left") as caught:
        rec.close()
    assert "4 records of the last group may be lost" in caught.value.__notes__[-1]


@pytest.mark.filterwarnings("ignore::cmeta.CmetaWarning")
def test_a_full_disk_stops_neither_cycles_nor_configurations(path):
    disk = FullDisk()
    with cmeta.Recorder(path, on_error="warn", disk=disk) as rec:
        rec.log("train", loss=1.0)
        disk.is_full = True
        with rec.cycle("train"):  # it draws a root, which the configuration states
            pass
        rec.config = {"lr": 0.1}
        assert rec.refused == {"disk": 1}
        assert (rec.last.loss_value, rec.state_dict()["num_records"]) == (1.0, 1)
        disk.is_full = False
        with rec.cycle("train") as c:
            pass
    with cmeta.open(path) as run:
        last = list(run)[-1]
        config, seed = last.config, last.seed_state
    root = seeds.origin_in(config).root
    assert (config["lr"], seed) == (0.1, c.seed)
    assert seed in {seeds.seed_of(root, ordinal) for ordinal in range(3)}


def test_a_root_that_could_not_be_stated_is_drawn_again(path):
    disk = FullDisk()
    with cmeta.Recorder(path, disk=disk) as rec:
        rec.log("train")
        disk.is_full = True
        with pytest.raises(OSError, match="No space left"):
            rec.cycle("train")
        disk.is_full = False
        with rec.cycle("train") as c:
            pass
    with cmeta.open(path) as run:
        root = seeds.origin_in(list(run)[-1].config).root
    assert seeds.seed_of(root, 1) == c.seed


@pytest.mark.parametrize("nth", range(3))
def test_a_file_that_cannot_be_created_bars_no_later_attempt(path, nth):
    class Failing(FullDisk):
        """The folder cannot be synced for the nth time, such as for want of a descriptor."""

        num_syncs = 0

        def sync_folder(self, folder):
            self.num_syncs += 1
            if self.num_syncs == nth + 1:
                raise OSError(errno.EMFILE, "Too many open files")
            super().sync_folder(folder)

    with suppress(OSError, cmeta.RecorderError):
        cmeta.Recorder(path, disk=Failing()).close()
    if nth < 2:
        assert not list(path.parent.iterdir())
        cmeta.Recorder(path).close()


@pytest.mark.filterwarnings("ignore::cmeta.CmetaWarning")
def test_a_failure_in_the_background_is_not_put_down_to_the_disk(path, monkeypatch):
    def fail(self, chunk):
        raise MemoryError

    monkeypatch.setattr(Encoder, "feed", fail)
    rec = cmeta.Recorder(path, cmeta.default_schema().with_batch_records(16), on_error="warn")
    for _ in range(16):
        rec.log("train")
    with suppress(cmeta.RecorderError):
        rec.seal()
    rec.log("train")
    assert rec.refused == {"session": 1}
    with rec.cycle("train"):
        pass
    assert rec.refused == {"session": 2}
    rec.close()


def test_a_rank_that_does_not_record_names_its_file(path, recwarn):
    with cmeta.Recorder(path, rank=1, on_error="warn") as rec:
        rec.log("train", loss="much")
    assert str(recwarn.list[-1].message).startswith(f"{path}: 1 record not taken")


@pytest.mark.parametrize("metrics", [5, "ab", [("a", 1.0)]])
def test_a_cycle_refuses_what_is_no_mapping_as_log_does(path, metrics):
    with cmeta.Recorder(path) as rec:
        words = r"metrics: found .*expected a mapping"
        with pytest.raises(cmeta.EncodeError, match=words), rec.cycle("train") as c:
            c.log(metrics)
        assert len(rec) == 0


def test_what_is_no_refusal_is_raised_all_the_same(path):
    rec = cmeta.Recorder(path, on_error="warn")
    rec.close()
    with pytest.raises(cmeta.RecorderError, match="closed"):
        rec.log("train")
    with pytest.raises(cmeta.ExistsError):
        cmeta.Recorder(path, on_error="warn")


def test_strict_is_the_default(path):
    with cmeta.Recorder(path) as rec:
        with pytest.raises(cmeta.EncodeError):
            rec.log("train", loss="much")
        assert (rec.num_refused, rec.refused) == (0, {})
