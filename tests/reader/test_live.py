"""Reading while a file is written: everything acknowledged is there, and nothing is made up."""

import os
import threading

import numpy as np
import pytest

import cmeta
from cmeta.storage.open import journal_path

SCHEMA = cmeta.default_schema().with_batch_records(16)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.cmeta"


def log(rec, i):
    metrics = {"entropy": 0.5, f"m{i // 20}": float(i)}
    rec.log("validate" if i % 5 == 4 else "train", loss=1 / (i + 1), metrics=metrics, step=i,
            config={"part": i // 30})  # fmt: skip


def test_what_is_logged_is_there_at_once(path):
    with cmeta.Recorder(path, SCHEMA) as rec:
        for i in range(80):
            log(rec, i)
            with cmeta.open(path) as run:
                assert (run.state, len(run), run.has_journal) == ("open", i + 1, True)
                assert run.problem is None
                assert run.newest(1)[0].step == i
        with cmeta.open(path) as run:
            live, columns = list(run), run.read()
            some = run.query_range(10, 70, "validate")
            assert sum(info.num_records for info in run.batches) == 80
    with cmeta.open(path) as run:
        assert (run.state, run.has_journal) == ("closed", False)
        assert list(run) == live
        assert run.query_range(10, 70, "validate") == some
        closed = run.read()
    assert list(columns) == list(closed)
    for name in closed:
        np.testing.assert_array_equal(columns[name], closed[name])
        np.testing.assert_array_equal(columns.present[name], closed.present[name])


def test_a_live_reader_is_a_copy_of_its_moment(path, tmp_path):
    with cmeta.Recorder(path, SCHEMA) as rec:
        for i in range(40):
            log(rec, i)
        with cmeta.open(path) as run:
            for i in range(40, 200):
                log(rec, i)
            rec.seal()
            found = list(run)
            assert [r.step for r in found] == list(range(40))
            copy = tmp_path / "copy.cmeta"
            cmeta.write(copy, run.read())
    with cmeta.open(copy) as run:
        assert list(run) == found


@pytest.mark.filterwarnings("ignore::cmeta.PrecisionWarning")
def test_values_read_the_same_before_and_after_they_are_sealed(path):
    values = [0.1, -0.0, 1e-9, 1 / 3, 16.0000019, 3e38, float("nan"), float("inf"), -1e-7, 123.456]
    with cmeta.Recorder(path) as rec:
        for value in values:
            rec.log(
                "train", loss=value, tensor_signature=(value, 0.5, -value), metrics={"x": value}
            )
        with cmeta.open(path) as run:
            live = run.read()
    with cmeta.open(path) as run:
        closed = run.read()
    for name in ("loss_value", "tensor_signature", "metrics.x"):
        assert live[name].tobytes() == closed[name].tobytes()


def test_readers_beside_a_writer(path):
    """Readers open again and again while batches are sealed and journals rotated."""
    num_records, seen, problems = 3_000, [], []
    done = threading.Event()

    def look():
        while not done.is_set():
            try:
                with cmeta.open(path) as run:
                    steps = run.read(["step"])["step"]
                    if steps.tolist() != list(range(len(steps))):
                        problems.append(f"not a beginning: {steps[:5]}... of {len(steps)}")
                    seen.append(len(steps))
            except Exception as err:
                problems.append(repr(err))

    with cmeta.Recorder(path, SCHEMA) as rec:
        rec.log("train", step=0)
        threads = [threading.Thread(target=look) for _ in range(2)]
        for thread in threads:
            thread.start()
        for i in range(1, num_records):
            rec.log("train", step=i)
    done.set()
    for thread in threads:
        thread.join()
    assert problems == []
    assert len(seen) > 3


def test_a_reader_finds_a_replaced_run(path):
    for first in (0, 100):
        with cmeta.Recorder(path, SCHEMA, mode="replace") as rec:
            for i in range(first, first + 20):
                log(rec, i)
            with cmeta.open(path) as run:
                assert [r.step for r in run] == list(range(first, first + 20))


def test_a_closed_file_with_a_leftover_journal(path):
    with cmeta.Recorder(path, SCHEMA) as rec:
        for i in range(20):
            log(rec, i)
        journal = journal_path(path).read_bytes()
    journal_path(path).write_bytes(journal)
    with cmeta.open(path) as run:
        assert (run.state, len(run)) == ("closed", 20)
    assert cmeta.validate(path).ok
    with cmeta.Recorder(path, mode="resume") as rec:
        assert len(rec) == 20
    assert os.listdir(path.parent) == ["run.cmeta"]


def test_validate_counts_the_rows_of_a_journal(path):
    with cmeta.Recorder(path, SCHEMA) as rec:
        for i in range(20):
            log(rec, i)
        report = cmeta.validate(path)
        assert (report.state, report.num_records, report.has_journal) == ("open", 20, True)
        assert report.findings == []
