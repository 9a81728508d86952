"""`on_error="warn"`: a training goes on without the records that cannot be taken, and is told."""

import errno
import warnings

import pytest

import cmeta
from cmeta import CmetaWarning
from cmeta.storage.disk import Disk, File


class FullDisk(Disk):
    """A disk on which nothing can be written while it is full."""

    is_full = False

    def create(self, path):
        return _FullFile(path, super().create(path).descriptor, self)


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
