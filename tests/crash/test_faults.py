"""A disk that fails: each operation of a session once, with its error and nothing lost."""

import errno
import os
import sys
import tempfile
from pathlib import Path

import pytest

import cmeta
from cmeta import RecorderError
from cmeta.recorder import sealer
from cmeta.storage.disk import Disk, File
from tests.crash.runs import NAME, SCHEMA, cycle, die, log, num_readable, record, whole

NUM = 53
OPERATIONS = (
    "create", "open", "write", "truncate", "sync", "publish", "rename", "unlink", "sync_folder",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    """Start a new journal after every second batch, so that a short run has several."""
    monkeypatch.setattr(sealer, "_ROTATE_EVERY", 2)


class FailingDisk(Disk):
    """Fails one operation: the `place`-th of its kind, `times` times."""

    def __init__(self, kind, place, *, times=1, tears=False):
        self.kind, self.place, self.times, self.tears = kind, place, times, tears
        self.count = dict.fromkeys(OPERATIONS, 0)
        self.num_failed = 0

    def pass_(self, kind, path):
        here = self.count[kind]
        self.count[kind] = here + 1
        if kind == self.kind and self.place <= here < self.place + self.times:
            self.num_failed += 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(path))

    def create(self, path, like=None):
        self.pass_("create", path)
        return FailingFile(path, super().create(path, like).descriptor, self)

    def open(self, path):
        self.pass_("open", path)
        return FailingFile(path, super().open(path).descriptor, self)

    def publish(self, file, target):
        self.pass_("publish", target)
        super().publish(file, target)

    def rename(self, file, target):
        self.pass_("rename", target)
        super().rename(file, target)

    def unlink(self, path):
        self.pass_("unlink", path)
        super().unlink(path)

    def sync_folder(self, folder):
        self.pass_("sync_folder", folder)


class FailingFile(File):
    def __init__(self, path, descriptor, disk):
        super().__init__(path, descriptor)
        self.disk = disk

    def write(self, data, offset):
        try:
            self.disk.pass_("write", self.path)
        except OSError:
            if self.disk.tears:  # after writing a part
                super().write(data[: len(data) // 2], offset)
            raise
        super().write(data, offset)

    def truncate(self, length):
        self.disk.pass_("truncate", self.path)
        super().truncate(length)

    def sync(self):
        self.disk.pass_("sync", self.path)


def run_against(path, disk, num_records, durability):
    """Record with a disk that fails, trying again; a session that has ended is resumed.

    Returns the errors that were raised.
    """
    errors, num_acknowledged = [], 0
    while True:
        try:
            with cmeta.Recorder(path, SCHEMA, "resume", disk=disk, durability=durability) as rec:
                assert len(rec) >= num_acknowledged
                while len(rec) < num_records:
                    before = len(rec)
                    try:
                        log(rec, before)
                    except OSError as error:
                        errors.append(error)
                        assert len(rec) == before  # refused, and nothing else has changed
                    num_acknowledged = len(rec)
            return errors
        except (OSError, RecorderError) as error:
            errors.append(error)
            assert num_readable(path.parent) >= num_acknowledged


def num_of(kind, tmp_path, num_before):
    """Return how many operations of a kind a session without a fault takes."""
    folder = tmp_path / "count"
    folder.mkdir()
    if num_before:
        (folder / NAME).write_bytes(whole(tmp_path / "whole", num_before))
    disk = FailingDisk(kind, 10**9)
    run_against(folder / NAME, disk, NUM, "fsync")
    return disk.count[kind]


@pytest.mark.parametrize("kind", OPERATIONS)
@pytest.mark.parametrize("num_before", [0, 37])
def test_one_operation_fails(tmp_path, kind, num_before):
    """It is raised or tried again; nothing is lost, and the bytes are those of a run without it."""
    num = num_of(kind, tmp_path, num_before)
    assert num or kind in (("rename",) if num_before else ("open", "truncate"))
    expected = whole(tmp_path / "whole", NUM)
    stride = max(1, num // 25)
    for place in range(0, num, stride):
        folder = tmp_path / f"run-{place}"
        folder.mkdir()
        if num_before:
            (folder / NAME).write_bytes(whole(tmp_path / "whole", num_before))
        disk = FailingDisk(kind, place, tears=place % 2)
        errors = run_against(folder / NAME, disk, NUM, "fsync")
        assert disk.num_failed == 1
        assert (folder / NAME).read_bytes() == expected
        assert {path.name for path in folder.iterdir()} == {NAME}
        for error in errors:
            assert "No space left" in str(error) or "fsync failed" in str(error)
            assert NAME in str(error) or str(folder) in str(error)


def test_a_full_disk_stops_nothing_that_has_been_acknowledged(tmp_path):
    """While the disk is full every record is refused; once there is room, recording continues."""
    disk = FailingDisk("write", 20, times=40)
    with cmeta.Recorder(tmp_path / NAME, SCHEMA, disk=disk) as rec:
        num_refused = 0
        while len(rec) < NUM:
            before = len(rec)
            try:
                log(rec, before)
            except OSError as error:
                assert (error.errno, len(rec)) == (errno.ENOSPC, before)
                assert num_readable(tmp_path) == before
                num_refused += 1
        assert num_refused > 10
    assert (tmp_path / NAME).read_bytes() == whole(tmp_path / "whole", NUM)


def test_a_file_that_cannot_be_sealed_makes_recording_wait_and_then_say_so(tmp_path, monkeypatch):
    """The journal takes records for a while; then one is refused before it is taken."""
    monkeypatch.setattr(sealer, "_MAX_WAITING", 2)

    class Full(FailingDisk):
        def pass_(self, kind, path):
            if kind == "write" and Path(path).name == NAME and self.is_full:
                raise OSError(errno.ENOSPC, "No space left on device", str(path))

    disk = Full("", 0)
    disk.is_full = False
    with cmeta.Recorder(tmp_path / NAME, SCHEMA, disk=disk) as rec:
        record(rec, 0, 5)
        disk.is_full = True
        with pytest.raises(OSError, match=rf"No space left on device: .*{NAME}"):
            record(rec, 5, 1000)
        assert 32 < len(rec) < 100
        disk.is_full = False
        record(rec, len(rec), 120)
    assert (tmp_path / NAME).read_bytes() == whole(tmp_path / "whole", 120)


def test_closing_on_a_full_disk_leaves_an_open_file(tmp_path):
    disk = FailingDisk("write", 10**9, times=10**9)
    rec = cmeta.Recorder(tmp_path / NAME, SCHEMA, disk=disk)
    record(rec, 0, 20)
    rec.seal()
    disk.place = 0
    with pytest.raises(OSError, match="No space left") as caught:
        rec.close()
    assert any('mode="resume" continues it' in note for note in caught.value.__notes__)
    assert num_readable(tmp_path) == 20
    with cmeta.Recorder(tmp_path / NAME, SCHEMA, "resume") as rec:
        record(rec, 20, 40)
    assert (tmp_path / NAME).read_bytes() == whole(tmp_path / "whole", 40)


def test_a_failed_fsync_ends_the_session(tmp_path):
    """The content of the disk is unknown then, so no later fsync is trusted."""
    disk = FailingDisk("sync", 5)
    rec = cmeta.Recorder(tmp_path / NAME, SCHEMA, durability="fsync", disk=disk)
    with pytest.raises(RecorderError, match=r"fsync failed .*No space left.*mode=\"resume\""):
        record(rec, 0, NUM)
    num = len(rec)
    for _ in range(2):
        with pytest.raises(RecorderError, match="fsync failed"):
            log(rec, num)
    with pytest.raises(RecorderError, match="fsync failed"):
        rec.close()
    assert num_readable(tmp_path) >= num


@pytest.mark.parametrize("what", ["removed", "replaced"])
def test_the_file_is_taken_away_while_it_is_recorded(tmp_path, what):
    path = tmp_path / NAME
    rec = cmeta.Recorder(path, SCHEMA)
    record(rec, 0, NUM)
    rec.seal()
    path.unlink()
    if what == "replaced":
        path.write_bytes(b"something else")
        with pytest.raises(RecorderError, match=r"was replaced .* saved as .*rescued-1"):
            rec.close()
        assert path.read_bytes() == b"something else"
        saved = tmp_path / "run.rescued-1.cmeta"
    else:
        rec.close()
        saved = path
    assert saved.read_bytes() == whole(tmp_path / "whole", NUM)


def test_the_journal_is_taken_away_while_it_is_recorded(tmp_path):
    """The rows cannot be read then, but closing still writes them."""
    with cmeta.Recorder(tmp_path / NAME, SCHEMA) as rec:
        record(rec, 0, NUM)
        (tmp_path / f"{NAME}-journal").unlink()
    assert (tmp_path / NAME).read_bytes() == whole(tmp_path / "whole", NUM)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="permissions of POSIX")
def test_a_folder_that_cannot_be_written():
    """In a child that is not root, because root may write anywhere."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o555)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                if os.geteuid() == 0:
                    os.setuid(65534)
                cmeta.Recorder(Path(folder, NAME), SCHEMA)
            except BaseException as error:
                os.write(writing, repr(error).encode())
            os._exit(0)
        os.waitpid(child, 0)
        os.close(writing)
        output = os.read(reading, 10_000).decode()
        os.close(reading)
        assert output.startswith("PermissionError(13") and os.listdir(folder) == []
        os.chmod(folder, 0o755)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="Linux")
def test_no_file_stays_open(tmp_path):
    """Whether a session ends well, cannot begin, or fails at its end."""
    before = len(os.listdir("/proc/self/fd"))
    for number, kind in enumerate(["none", "sync", "rename", "write", "unlink"] * 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        run_against(folder / NAME, FailingDisk(kind, number), 33, "fsync")
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("mode", ["new", "resume", "replace"])
def test_a_folder_that_cannot_be_made(tmp_path, mode):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError, match="file"):
        cmeta.Recorder(tmp_path / "file" / NAME, mode=mode)
    assert os.listdir(tmp_path) == ["file"]


def test_as_many_records_as_a_file_can_hold(tmp_path):
    """The count is a u32, and its largest value means that the file is open."""
    rec = cmeta.Recorder(tmp_path / NAME, SCHEMA)
    log(rec, 0)
    pending = rec._session.pending
    assert pending._most_records == 2**32 - 2
    pending._most_records = 1
    with pytest.raises(cmeta.EncodeError, match="the file is full: a file holds at most 1 records"):
        log(rec, 1)
    rec.close()
    assert num_readable(tmp_path) == 1


def test_the_last_timestamp(tmp_path):
    with cmeta.Recorder(tmp_path / NAME, SCHEMA) as rec:
        rec.log("train", timestamp=2**64 - 1)
        with pytest.raises(cmeta.EncodeError, match="timestamp: none is left"):
            rec.log("train")
        rec.log("train", timestamp=2**64 - 1)
    assert cmeta.validate(tmp_path / NAME).num_records == 2


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_a_forked_child_writes_nothing_and_frees_the_lock(tmp_path):
    """DataLoader workers fork; the recorder that they inherit neither writes nor locks."""
    path = tmp_path / NAME
    rec = cmeta.Recorder(path, SCHEMA, flush_every=4)
    record(rec, 0, 18)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            try:
                log(rec, 18)
            except RecorderError as error:
                code = 0 if "a forked child cannot write" in str(error) else 2
            rec.flush()
            rec.close()
            os.read(reading, 1)  # live until the parent has continued
        finally:
            os._exit(code)
    record(rec, 18, NUM)
    rec.close()
    # The child lives, but holds nothing: another writer may open the file.
    with cmeta.Recorder(path, SCHEMA, "resume") as again:
        record(again, NUM, NUM + 1)
    os.write(writing, b"x")
    assert os.waitpid(child, 0)[1] == 0
    os.close(reading)
    os.close(writing)
    assert path.read_bytes() == whole(tmp_path / "whole", NUM + 1)


def test_a_dead_writer_keeps_no_lock(tmp_path):
    rec = cmeta.Recorder(tmp_path / NAME, SCHEMA)
    record(rec, 0, 3)
    with pytest.raises(cmeta.LockedError, match=r"this process, opened at .*test_faults.py"):
        cmeta.Recorder(tmp_path / NAME, SCHEMA, "resume")
    die(rec)
    with cmeta.Recorder(tmp_path / NAME, SCHEMA, "resume") as again:
        assert again.last.seed_state == cycle(2)["seed_state"]
