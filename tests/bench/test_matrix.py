"""The matrix: its measurements, the reasons for leaving some out, and stored results."""

import numpy as np
import pytest

from bench import competitors, large, matrix, memory, results, workloads
from bench.competitors.base import Competitor, between, joined
from bench.matrix import Plan
from bench.results import Loss, Results


class Memory(Competitor):
    """A competitor that keeps a table in memory."""

    notes = {"append": "it is remembered", "verify": "no checksums"}
    kept = None
    is_careless = False

    def write(self, table):
        self.kept = dict(table)
        (self.folder / "file").write_bytes(bytes(10))

    def open(self):
        return len(self.kept["timestamp"])

    def read_all(self):
        found = dict(self.kept)
        if self.is_careless:
            found["loss_value"] = found["loss_value"] + np.float32(1)
        return found

    def append(self, table):
        self.kept = joined(self.kept, table)


class Careless(Memory):
    """Gives back other values."""

    is_careless = True


class Inconsistent(Memory):
    """Gives other values when a range is read."""

    def read_range(self, start, end):
        return between(self.kept, start + 1, end + 1)


class Broken(Memory):
    """Fails when it reads a column."""

    def read_column(self, name):
        if (self.folder / "read").exists():
            raise OSError("the disk is gone")
        (self.folder / "read").touch()
        return super().read_column(name)


class Slow(Memory):
    """A logger that is too slow to measure."""

    rowwise = is_logger = True


def missing():
    raise ModuleNotFoundError("No module named 'absent'", name="absent")


MADE = {
    "cmeta": Memory,
    "careless": Careless,
    "inconsistent": Inconsistent,
    "broken": Broken,
    "slow": Slow,
}


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setattr(matrix, "FOLDER", tmp_path)
    monkeypatch.setattr(matrix, "load", lambda name: MADE[name] if name in MADE else missing())

    def measure(**options):
        options = {
            "lengths": (100,), "workloads": ("constant",), "budget": 1e-9, "competitors": ("cmeta",),
            "operations": ("size", "write", "read", "column", "range", "append", "open", "verify"),
        } | options  # fmt: skip
        found, saves = Results(), []
        matrix.measure(Plan(**options), found, lambda: saves.append(len(found.cells)))
        assert saves[-1] == len(found.cells)
        assert [path for path in (tmp_path / "matrix").glob("*") if path.is_dir()] == []
        return found

    return measure


def by_operation(found, name):
    return {cell.operation: cell for cell in found.cells if cell.competitor == name}


def test_each_operation_has_a_cell(run):
    cells = by_operation(run(), "cmeta")
    assert cells["size"].value == 10
    for operation in ("write", "read", "column", "range", "append", "open"):
        assert cells[operation].value > 0
        assert cells[operation].rounds == 1
    assert (cells["verify"].value, cells["verify"].reason) == (None, "no checksums")


def test_what_is_lost_is_said(run):
    found = run(competitors=("cmeta", "careless"))
    assert found.losses == [Loss("careless", "constant", 100, ["loss_value"])]
    assert found.lost("careless", "constant") == ["loss_value"]
    assert found.lost("cmeta", "constant") == []


def test_missing_and_wrong_and_failing_ones_are_rows(run):
    found = run(competitors=("cmeta", "absent", "inconsistent", "broken"))
    assert (
        by_operation(found, "absent")["size"].reason
        == "ModuleNotFoundError: No module named 'absent'"
    )
    assert (
        by_operation(found, "inconsistent")["read"].reason
        == "AssertionError: a range read alone differs"
    )
    broken = by_operation(found, "broken")
    assert broken["column"].reason == "OSError: the disk is gone"
    assert broken["read"].value > 0
    assert by_operation(found, "cmeta")["column"].value > 0


def test_what_would_take_too_long_is_not_begun(run, monkeypatch):
    now = [0.0]
    write = Slow.write

    def slow_write(self, table):
        now[0] += 1 + len(table["timestamp"]) * 0.1  # a second to begin, whatever follows
        write(self, table)

    monkeypatch.setattr(Slow, "write", slow_write)
    monkeypatch.setattr(matrix.time, "perf_counter", lambda: now[0])
    found = run(competitors=("slow",), lengths=(400,), longest=39.9, operations=("size", "write"))
    reasons = {cell.reason for cell in found.cells}
    assert reasons == {"about 40 s: 100.0 ms per record"}
    found = run(competitors=("slow",), lengths=(400,), longest=40.1, operations=("size",))
    assert [cell.value for cell in found.cells] == [10]


def test_the_slow_are_timed_on_the_first_workload_only(run, monkeypatch):
    monkeypatch.setattr(matrix, "FIRST_WORKLOAD", "another")
    cells = by_operation(run(competitors=("cmeta", "slow")), "slow")
    assert cells["size"].value == 10
    assert cells["write"].reason == "record by record, independent of the values: see another"


def test_several_threads_where_they_are_of_use(run, monkeypatch):
    monkeypatch.setattr(matrix, "LEAST_FOR_CORES", 100)
    monkeypatch.setattr(matrix.os, "cpu_count", lambda: 3)
    monkeypatch.setattr(Memory, "kept", workloads.table("constant", 100, 0))
    monkeypatch.setattr(Memory, "threaded", frozenset({"read"}))
    found = run()
    several = [cell for cell in found.cells if cell.threads == 3]
    assert [cell.operation for cell in several] == ["read"]
    assert several[0].value > 0


def test_the_range_is_a_tenth_and_at_most_a_thousand():
    assert matrix.range_of(100) == (50, 59)
    assert matrix.range_of(10**6) == (500_000, 500_999)


def test_results_are_kept_and_come_back(run, tmp_path):
    found = run(competitors=("cmeta", "careless", "absent"))
    found.head = [("Date", "2026-01-01")]
    path = tmp_path / "deep" / "results.json"
    found.save(path)
    assert results.load(path) == found
    assert [p.name for p in path.parent.iterdir()] == ["results.json"]


# ------------------------------------------------------------------------ in processes of their own


def test_the_peak_counts_what_is_held_at_once(tmp_path):
    table = workloads.table("constant", 200_000, 0)

    class Twice(Memory):
        def write(self, table):
            self.kept = {name: np.ma.copy(values) for name, values in table.items()}

    size = sum(np.ma.getdata(values).nbytes for values in table.values())
    assert memory.rise(Twice(tmp_path), "write", table) > size // 2
    assert memory.rise(Memory(tmp_path), "write", table) < size // 2


def test_a_table_is_kept_for_the_process(tmp_path):
    table = workloads.table("constant", 300, 0)
    memory.store(tmp_path / "table.npz", table)
    back = memory.stored_table(tmp_path / "table.npz")
    assert [name for name in table if not workloads.is_same(back, table, name)] == []


def test_the_peak_of_a_real_one_in_a_process_of_its_own(tmp_path):
    table = workloads.table("constant", 50_000, 0)
    memory.store(tmp_path / "table.npz", table)
    made = competitors.load("cmeta")(tmp_path / "own")
    made.write(table)
    for operation in ("write", "read"):
        assert memory.peak_of("cmeta", tmp_path / "own", operation, tmp_path / "table.npz") > 50_000
    with pytest.raises(RuntimeError, match="no competitor 'unknown'"):
        memory.peak_of("unknown", tmp_path / "own", "read", tmp_path / "table.npz")


def test_large_runs_are_written_and_scanned_in_pieces(monkeypatch, tmp_path):
    monkeypatch.setattr(large, "FOLDER", tmp_path)
    monkeypatch.setattr(large, "WORKLOAD", "noisy")
    monkeypatch.setattr(workloads, "CHUNK", 200)
    short = workloads.table("constant", 150, 0)
    monkeypatch.setattr(workloads, "_trained", lambda workload, num_cycles: short)
    cells = {cell.operation: cell for cell in large.cells_of("cmeta", 1100, 150)}
    assert set(cells) == {"write", "memory, write", "size", "open", "column", "range", "scan"}
    assert cells["size"].value > 1000
    assert list(tmp_path.iterdir()) == []


def test_competitors_without_chunks_have_a_reason():
    found = Results()
    large.measure(1000, 10, ("SQLite", "pcodec by column"), found)
    assert [cell.competitor for cell in found.cells] == ["pcodec by column", "SQLite"]
    assert all(cell.value is None and cell.reason for cell in found.cells)
