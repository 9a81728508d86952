"""Work in several processes: results with their places, errors, processes that die; progress."""

import os
import sys

import pytest

from cmeta.tools.parallel import FileProgress, in_processes


def test_results_come_with_their_places():
    tasks = [(7, 2), (9, 4), (5, 5)]
    assert sorted(in_processes(divmod, tasks, 2)) == [(0, (3, 1)), (1, (2, 1)), (2, (1, 0))]


def test_a_process_that_dies_has_no_result():
    assert list(in_processes(os._exit, [(1,)], 1)) == [(0, None)]


def test_an_error_of_the_work_is_raised():
    with pytest.raises(ZeroDivisionError):
        list(in_processes(divmod, [(1, 0), (1, 1)], 2))


def test_the_script_is_restored_afterwards():
    script = sys.modules["__main__"]
    assert list(in_processes(abs, [(-1,)], 1)) == [(0, 1)]
    assert sys.modules["__main__"] is script


def test_progress_over_files(tmp_path):
    (tmp_path / "a").write_bytes(b"123")
    (tmp_path / "b").write_bytes(b"4567")
    files, calls = [tmp_path / name for name in ("a", "b", "missing")], []
    progress = FileProgress(files, lambda done, total: calls.append((done, total)))
    progress.within(1, 3)
    progress.finish([0])
    progress.within(2, 4)
    progress.finish([1, 2])
    assert calls == [(1, 7), (3, 7), (5, 7), (7, 7)]
    FileProgress(files, None).finish([0])  # without a callable, nothing happens
