"""`scan`: runs that come from the catalogue, and runs that are read again."""

import os
import shutil
import sys
import threading

import pytest

import cmeta
import cmeta.tools.runs
from cmeta.tools.runs import store
from tests.runs.conftest import age
from tests.runs.killing import describe_or_die

scan_module = sys.modules["cmeta.tools.runs.scan"]


def test_an_unchanged_run_is_not_read_again(write, was_read, tmp_path):
    write("runs/a.cmeta"), write("runs/ü/b.cmeta", loss=(float("nan"), 2.0))
    first = cmeta.scan(tmp_path / "runs")
    assert was_read == ["a.cmeta", "b.cmeta"]
    again = cmeta.scan(tmp_path / "runs")
    assert was_read == ["a.cmeta", "b.cmeta"]
    assert repr(first) == repr(again)  # NaN included
    assert [run.state for run in again] == ["closed", "closed"]


def test_the_path_is_the_one_of_this_scan(write, was_read, tmp_path, monkeypatch):
    path = write("runs/a.cmeta")
    cmeta.scan(path)
    monkeypatch.chdir(tmp_path)
    assert [run.path for run in cmeta.scan("runs")] == [os.path.join("runs", "a.cmeta")]
    assert was_read == ["a.cmeta"]


def test_without_the_catalogue_everything_is_read(write, was_read, cache):
    path = write()
    for _ in range(2):
        assert cmeta.scan(path, cache=False)[0].num_records == 2
    assert len(was_read) == 2 and not cache.exists()


def test_a_change_is_seen(write, was_read, tmp_path):
    path = write(loss=(0.5, 0.25))
    cmeta.scan(path)
    write(loss=(0.5, 0.25, 0.125))
    assert cmeta.scan(path)[0].num_records == 3
    assert len(was_read) == 2


def test_a_change_of_the_same_length_and_time_is_seen(write, was_read):
    path = write(loss=(0.5, 0.25))
    before = path.stat()
    cmeta.scan(path)
    content = write("other.cmeta", loss=(0.5, 0.75)).read_bytes()
    assert len(content) == before.st_size
    with path.open("r+b") as file:  # in place: the inode stays as well
        file.write(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_ino == before.st_ino
    assert cmeta.scan(path)[0].fields["loss_value"].last == 0.75


def test_another_file_of_the_same_content_is_read(write, was_read):
    path = write()
    cmeta.scan(path)
    copy = shutil.copy2(path, path.with_suffix(".copy"))
    os.replace(copy, path)
    cmeta.scan(path)
    assert len(was_read) == 2


def test_a_run_that_was_just_changed_is_not_remembered(write, was_read):
    path = write()
    age(path, store.GRANULARITY // 2)
    cmeta.scan(path), cmeta.scan(path)
    age(path, -store.GRANULARITY)  # a clock that is ahead
    cmeta.scan(path), cmeta.scan(path)
    assert len(was_read) == 4


def test_a_file_that_is_replaced_while_it_is_read_is_not_remembered(write, monkeypatch):
    path, other = write(), write("other.cmeta", loss=(1, 2, 3))
    aside = path.with_suffix(".aside")

    def describe(name):
        path.rename(aside)
        other.rename(path)
        return original(name)

    original = scan_module.describe
    monkeypatch.setattr(scan_module, "describe", describe)
    assert cmeta.scan(path)[0].num_records == 3
    monkeypatch.setattr(scan_module, "describe", original)
    aside.rename(path)  # the same file as before
    assert cmeta.scan(path)[0].num_records == 2


def test_added_removed_and_renamed(write, was_read, tmp_path):
    first, second = write("runs/a.cmeta"), write("runs/b.cmeta")
    cmeta.scan(tmp_path / "runs")
    first.unlink()
    second.rename(second.with_name("c.cmeta"))
    write("runs/d.cmeta")
    was_read.clear()
    names = [os.path.basename(run.path) for run in cmeta.scan(tmp_path / "runs")]
    assert names == was_read == ["c.cmeta", "d.cmeta"]


def test_open_runs_are_followed(tmp_path, was_read):
    path = tmp_path / "a.cmeta"
    with cmeta.Recorder(path) as rec:
        for num in range(1, 4):
            rec.log("train", loss=num)
            age(path)
            (run,) = cmeta.scan(path)
            assert (run.state, run.num_records) == ("open", num)
    age(path)
    assert cmeta.scan(path)[0].state == "closed"
    assert len(was_read) == 4


def test_one_bad_file_among_good_ones(write, was_read, tmp_path):
    write("runs/a.cmeta")
    damaged = write("runs/b.cmeta")
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    age(damaged)
    (tmp_path / "runs/c.cmeta").touch()
    os.symlink("nowhere", tmp_path / "runs/d.cmeta")
    for _ in range(2):  # a bad file may have been repaired without a trace: it is read again
        found = cmeta.scan(tmp_path / "runs")
        assert [run.state for run in found] == ["closed", "damaged", "damaged", "unreadable"]
        assert all(run.problem for run in found[1:])
    assert was_read == ["a.cmeta", "b.cmeta", "c.cmeta", "d.cmeta", "b.cmeta", "c.cmeta", "d.cmeta"]


def test_several_processes_give_the_same(write, tmp_path, monkeypatch):
    monkeypatch.setattr(scan_module, "_FILES_PER_TASK", 2)
    for i in range(7):
        write(f"runs/{i}.cmeta", loss=(i,))
    (tmp_path / "runs/x.cmeta").write_text("none")
    told = []
    in_two = cmeta.scan(tmp_path / "runs", jobs=2, cache=False, progress=lambda *a: told.append(a))
    assert in_two == cmeta.scan(tmp_path / "runs", jobs=1, cache=False)
    total = sum(path.stat().st_size for path in (tmp_path / "runs").iterdir())
    assert told[-1] == (total, total) and len(told) == 4
    assert cmeta.scan(tmp_path / "runs", jobs=2)[:-1] == in_two[:-1]


def test_processes_are_started_only_for_much_work(write):
    path = str(write())
    assert scan_module._num_processes([path] * 10) <= 1
    assert scan_module._num_processes([path] * 10_000) == (os.cpu_count() or 1)
    assert scan_module._num_processes(["no-such-file"]) <= 1


@pytest.mark.parametrize("jobs", [0, -1])
def test_jobs_are_one_or_more(jobs):
    with pytest.raises(ValueError, match="expected 1 or more"):
        cmeta.scan("runs", jobs=jobs)


def test_scans_at_once(write, tmp_path):
    for i in range(20):
        write(f"runs/{i:02}.cmeta", loss=(i,))
    found = {}

    def work(number):
        found[number] = cmeta.scan(tmp_path / "runs")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for runs in found.values():
        assert [run.fields["loss_value"].last for run in runs] == list(range(20))


def test_a_process_that_is_killed_is_the_problem_of_one_run(tmp_path, monkeypatch):
    for name in ("a", "bad", "c", "d"):
        cmeta.write(tmp_path / f"{name}.cmeta", {"phase": ["train"] * 3})
    module = sys.modules["cmeta.tools.runs.scan"]
    monkeypatch.setattr(module, "_describe_all", describe_or_die)
    monkeypatch.setattr(module, "_FILES_PER_TASK", 3)
    runs = cmeta.scan(tmp_path, cache=False, jobs=2)
    assert [run.state for run in runs] == ["closed", "unreadable", "closed", "closed"]
    assert "died" in runs[1].problem
