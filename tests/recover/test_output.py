"""The output: complete, durable and valid under its name, or absent."""

import errno
import gc
import os
import signal
import subprocess
import sys
import textwrap
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import cmeta
from cmeta.errors import BusyError, ExistsError, RecoveryError
from cmeta.format import checksum
from cmeta.storage.disk import Disk
from cmeta.tools.recover.recover import Output, ProgressInParts, recover, verify
from tests.hostile.reseal import BATCH, bounds_of
from tests.recover.test_damage import flip

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def broken(original, tmp_path):
    """A file whose second batch is damaged, alone in its folder."""
    path = tmp_path / "run.cmeta"
    start, end = [b for b in bounds_of(original[0]) if original[0][b[0]] == BATCH][1]
    path.write_bytes(flip(original[0], (start + end) // 2))
    return path


@pytest.fixture
def untouched(broken):
    """Require at the end that nothing in the folder has changed."""
    before, status = broken.read_bytes(), broken.stat()
    yield
    assert broken.read_bytes() == before
    assert broken.stat().st_mtime_ns == status.st_mtime_ns
    assert [p.name for p in broken.parent.iterdir()] == [broken.name]


def full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def failed(*_, **__):
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_out_exists(broken):
    out = broken.with_name("out")
    out.write_bytes(b"precious")
    with pytest.raises(ExistsError, match=r"out exists; a recovery never writes over a file"):
        recover(broken, out)
    assert out.read_bytes() == b"precious"
    out.unlink()
    out.symlink_to("nowhere")
    with pytest.raises(ExistsError):
        recover(broken, out)
    assert out.is_symlink() and not broken.with_name("nowhere").exists()


def test_the_file_itself_by_other_names(broken, untouched):
    with pytest.raises(ExistsError):
        recover(broken, broken.parent / "." / broken.name)
    with pytest.raises(ExistsError):
        recover(broken, broken.parent)


def test_a_missing_folder_is_made(broken):
    recover(broken, broken.parent / "missing" / "out")
    assert (broken.parent / "missing" / "out").is_file()


def test_a_missing_file(broken, untouched):
    with pytest.raises(FileNotFoundError):
        recover(broken.with_name("other"), broken.with_name("out"))
    with pytest.raises(IsADirectoryError):
        recover(broken.parent, broken.parent / "out")


@pytest.mark.parametrize("has_links", [True, False])
def test_out_appears_meanwhile(broken, monkeypatch, has_links):
    out = broken.with_name("out")

    def verify_then_write(*args):
        verify(*args)
        out.write_bytes(b"precious")

    monkeypatch.setattr(sys.modules[recover.__module__], "verify", verify_then_write)
    if not has_links:
        monkeypatch.setattr(os, "link", failed)
    with pytest.raises(ExistsError):
        recover(broken, out)
    assert out.read_bytes() == b"precious"
    assert {p.name for p in broken.parent.iterdir()} == {"run.cmeta", "out"}


def test_a_file_system_without_links(broken, monkeypatch):
    monkeypatch.setattr(os, "link", failed)
    assert recover(broken, broken.with_name("out")).num_records == 56
    assert {p.name for p in broken.parent.iterdir()} == {"run.cmeta", "out"}


@pytest.mark.parametrize("call", [1, 2])
def test_a_failed_fsync(broken, untouched, monkeypatch, call):
    """The fsync of the file, and of its folder: a file that is not durable loses its name."""
    calls, real = [], os.fsync

    def fsync(descriptor):
        calls.append(descriptor)
        if len(calls) == call:
            failed()
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        recover(broken, broken.with_name("out"))
    assert len(calls) == call


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk(broken, untouched, monkeypatch):
    """The first byte that does not fit, and the last."""
    real = Disk.create

    def on_full(self, path, like=None):
        file = real(self, path, like)
        descriptor = os.open("/dev/full", os.O_WRONLY)
        os.dup2(descriptor, file.descriptor)
        os.close(descriptor)
        return file

    monkeypatch.setattr(Disk, "create", on_full)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        recover(broken, broken.with_name("out"))


@pytest.mark.parametrize("place", range(3))
def test_a_write_that_fails(broken, untouched, monkeypatch, place):
    name = ("__init__", "add", "finish")[place]
    monkeypatch.setattr(Output, name, full)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        recover(broken, broken.with_name("out"))


def test_a_folder_that_cannot_be_written(broken, untouched, monkeypatch):
    def denied(self, path, like=None):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Disk, "create", denied)
    with pytest.raises(PermissionError):
        recover(broken, broken.with_name("out"))


@pytest.mark.parametrize("when", [0.1, 0.5, 0.9])
def test_ctrl_c(broken, untouched, when):
    """In each part of the work."""

    def interrupt(done, size):
        if done >= when * size:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recover(broken, broken.with_name("out"), progress=interrupt)


def test_a_process_that_is_killed(broken):
    """OUT does not exist; only a temporary file is left, and the next recovery succeeds."""
    before, out = broken.read_bytes(), broken.with_name("out")
    code = """
        import os, signal, sys, cmeta
        def kill(done, size):
            if done > size / 2:
                os.kill(os.getpid(), signal.SIGKILL)
        cmeta.recover(sys.argv[1], sys.argv[2], progress=kill)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(broken), str(out)]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -signal.SIGKILL
    assert not out.exists()
    assert broken.read_bytes() == before
    assert recover(broken, out).num_records == 56
    left = {p.name for p in broken.parent.iterdir()} - {"run.cmeta", "out"}
    assert len(left) == 1 and left.pop().endswith(".tmp")


def test_the_output_is_verified(broken, untouched, monkeypatch):
    """A byte that changes on its way to the disk is detected, and nothing is published."""
    real = Output.finish

    def finish(self, status):
        real(self, status)
        self._stream.seek(1800)
        self._stream.write(b"\xa5\x5a\xa5")
        self._stream.flush()

    monkeypatch.setattr(Output, "finish", finish)
    with pytest.raises(RecoveryError, match="not a valid chronicle"):
        recover(broken, broken.with_name("out"))


def test_a_file_that_shrinks_while_it_is_read(broken, monkeypatch):
    def shrink(done, size):
        os.truncate(broken, 100)

    with pytest.raises(BusyError, match="its writer changed it"):
        recover(broken, broken.with_name("out"), progress=shrink)
    assert [p.name for p in broken.parent.iterdir()] == ["run.cmeta"]


def test_a_file_that_is_removed_or_replaced_while_it_is_read(broken):
    """The file that was opened is recovered."""

    def replace(done, size):
        broken.unlink(missing_ok=True)
        broken.write_bytes(b"something else")

    report = recover(broken, broken.with_name("out"), progress=replace)
    assert (report.num_records, report.num_lost) == (56, 16)


def recorded_in(told):
    return lambda *pair: told.append(pair)


def test_progress_is_monotone_and_ends_at_the_total(broken, original):
    for data in (original[0], broken.read_bytes(), original[0][:2000], b"nothing at all", b""):
        broken.write_bytes(data)
        told = []
        recover(broken, out := broken.with_name("out"), progress=recorded_in(told))
        out.unlink(missing_ok=True)
        done, sizes = zip(*told, strict=True)
        assert set(sizes) == {len(data)} and done[-1] == len(data)
        assert list(done) == sorted(done)
        assert len(data) < 2000 or len(set(done)) > 4


def test_late_progress_of_a_part_does_not_go_back():
    told = []
    progress = ProgressInParts(recorded_in(told), 300)
    for pair in ((0, 50), (1, 10), (0, 100), (1, 200), (2, 0)):
        part, done = pair
        progress.part(part)(done, 100)
    progress.part(2)(0, 0)
    progress.finish()
    assert told == [(50, 300), (110, 300), (110, 300), (200, 300), (200, 300), (300, 300)]


def peak_of(path, num_batches, spoil):
    """Return the peak memory of a recovery, in bytes, and the size of the file."""
    rng = np.random.default_rng(3)
    columns = {
        "timestamp": np.arange(num_batches * 1024),
        "phase": np.zeros(num_batches * 1024, "u1"),
        "metrics.noise": rng.standard_normal(num_batches * 1024),
    }
    cmeta.write(path, columns, cmeta.default_schema().with_batch_records(1024))
    data = bytearray(path.read_bytes())
    for start, end in bounds_of(bytes(data)):
        if data[start] == BATCH and spoil:
            data[end - 9] ^= 1
            spoil -= 1
    path.write_bytes(data)
    out, size = path.with_name("out"), len(data)
    del data, columns
    gc.freeze()  # makes collecting quick, so that no garbage is counted
    tracemalloc.start()
    try:
        recover(path, out, progress=lambda done, size: gc.collect())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.unfreeze()
    out.unlink()
    return peak, size


@pytest.mark.parametrize("share", [0, 0.5])
def test_memory_is_flat(tmp_path, monkeypatch, share):
    """Another batch takes less than its own bytes, whether or not half of the file is damaged."""
    monkeypatch.setattr(checksum, "_LEN_READ", 1 << 16)  # so that the file is many times larger
    path = tmp_path / "run.cmeta"
    peak_of(path, 2, 0)
    small, size = peak_of(path, 8, int(8 * share))
    large, larger = peak_of(path, 68, int(68 * share))
    len_batch = (larger - size) // 60
    assert len_batch > 8000
    assert (large - small) // 60 < 3000
