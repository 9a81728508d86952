"""Work in several processes: results with their places, errors, processes that die; progress."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import cmeta
from cmeta.tools.parallel import FileProgress, in_processes

ROOT = Path(__file__).resolve().parents[1]


def test_results_come_with_their_places():
    tasks = [(7, 2), (9, 4), (5, 5)]
    assert sorted(in_processes(divmod, tasks, 2)) == [(0, (3, 1)), (1, (2, 1)), (2, (1, 0))]


def test_a_process_that_dies_has_no_result():
    assert list(in_processes(os._exit, [(1,)], 1)) == [(0, None)]


@pytest.mark.timeout(60)
def test_the_others_go_on_when_processes_are_killed():
    """Each of the killed ones is one task's loss, whatever the others do at that moment."""
    death = "__import__('os').kill(__import__('os').getpid(), {})"
    tasks = [(death.format(n) if n else "7",) for n in (9, 0, 15, 0, 0, 9, 0, 0)]
    results = dict(in_processes(eval, tasks, 2))
    assert results == {place: None if place in (0, 2, 5) else 7 for place in range(8)}


def test_an_error_of_the_work_is_raised():
    with pytest.raises(ZeroDivisionError):
        list(in_processes(divmod, [(1, 0), (1, 1)], 2))


def test_a_result_that_cannot_be_passed_on_is_an_error():
    with pytest.raises(RuntimeError, match="cannot be passed on"):
        list(in_processes(eval, [("lambda: 1",)], 1))


def test_an_answer_that_nobody_waits_for():
    """Whoever stops asking ends the processes."""
    results = in_processes(eval, [("1",), ("__import__('time').sleep(1000)",)], 2)
    assert next(results) == (0, 1)
    results.close()


def test_the_script_is_restored_afterwards():
    script = sys.modules["__main__"]
    assert list(in_processes(abs, [(-1,)], 1)) == [(0, 1)]
    assert sys.modules["__main__"] is script


def test_nothing_in_the_current_folder_is_imported(tmp_path):
    folder, trace = tmp_path / "folder", tmp_path / "trace"
    folder.mkdir()
    for name in ("multiprocessing", "pickle", "struct", "signal", "numpy", "socket"):
        (folder / f"{name}.py").write_text(f"open({str(trace)!r}, 'a').write({name!r})\n")
    for name in "ab":
        cmeta.write(folder / f"{name}.cmeta", {"phase": ["train"], "loss": [1.0]})
    script = tmp_path / "script.py"  # Python searches its folder, not the current one
    script.write_text("from cmeta.cli.app import main\n\nif __name__ == '__main__':\n    main()\n")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONSAFEPATH"}
    environment |= {"PYTHONPATH": str(ROOT), "CMETA_CACHE_DIR": str(tmp_path / "cache")}
    for command in (["audit", "--jobs", "2", "."], ["runs", "--jobs", "2", "--no-cache", "."]):
        result = subprocess.run(
            [sys.executable, script, *command], cwd=folder, env=environment, capture_output=True,
            text=True, timeout=120,
        )  # fmt: skip
        assert (result.returncode, result.stderr) == (0, ""), result.stdout
    assert not trace.exists(), trace.read_text()


def test_the_environment_is_as_before(monkeypatch):
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    names = [(("PYTHONSAFEPATH", "none"))]
    assert list(in_processes(os.getenv, names, 1)) == [(0, "none")]
    assert "PYTHONSAFEPATH" not in os.environ
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    assert list(in_processes(os.getenv, names, 1)) == [(0, "1")]
    assert os.environ["PYTHONSAFEPATH"] == "1"


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
