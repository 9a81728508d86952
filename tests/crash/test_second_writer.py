"""A second writer at every point of the first one's work, whoever has removed what before.

The model: the first writer does its operations one after the other. Before one of them somebody
removes some of lock, journal and main file, and a second writer tries the same run in some mode,
with a session of its own that ends at once, after the first one's, or by its death. No order of all
this loses a record without telling: what a writer has acknowledged is in the folder, or that writer
has had an error.

To look whose file has a name, and to replace or remove that file, are one step here. File systems
have no such step, so some microseconds between the two are not in the model.
"""

from itertools import product

import pytest

import cmeta
from cmeta.errors import RecorderError
from cmeta.recorder import live_sessions, sealer
from cmeta.storage.lock import Lock
from tests.crash.runs import NAME, SCHEMA, die
from tests.crash.world import QuietDisk

NUM_FIRST, NUM_SECOND = 35, 3  # records; the first fills two batches and so starts a journal
REMOVED = ((), ("-lock",), ("-lock", "-journal"), ("-lock", ""), ("-lock", "-journal", ""))
MODES = ("new", "resume", "replace")
ENDS = ("at once", "later", "dies at once", "dies later")
STRIDE = 3  # every third operation, which changes from case to case; all where all is removed


@pytest.fixture(autouse=True)
def _two_processes(monkeypatch):
    """Start a new journal after every second batch; and no writer is taken over by the other."""
    holds = Lock.holds

    def step_and_look(lock, path):
        if Interrupted.active is not None:
            Interrupted.active.step()
        return holds(lock, path)

    monkeypatch.setattr(Lock, "holds", step_and_look)
    monkeypatch.setattr(sealer, "_ROTATE_EVERY", 2)
    monkeypatch.setattr(live_sessions, "_session_at", lambda path: None)


class Interrupted(QuietDisk):
    """A disk that does something else before one of its operations, which begin with a look."""

    active = None

    def __init__(self, place, work):
        self.place, self.work, self.count = place, work, 0
        Interrupted.active = self

    def step(self):
        here, self.count = self.count, self.count + 1
        if here == self.place:
            Interrupted.active = None
            self.work()
            Interrupted.active = self

    def create(self, path, like=None):
        self.step()
        return super().create(path, like)

    def open(self, path):
        self.step()
        return super().open(path)

    def publish(self, file, target):
        self.step()
        super().publish(file, target)

    def sync_folder(self, folder):
        self.step()


class Writer:
    """A session that logs records with seeds of its own, and notes what it was told."""

    def __init__(self, path, first, num, mode, disk):
        self.path, self.first, self.num, self.mode, self.disk = path, first, num, mode, disk
        self.recorder, self.acknowledged, self.error, self.ended = None, [], None, ""

    def guarded(self, work):
        if self.error is None:
            try:
                work()
            except (OSError, RecorderError) as error:
                self.error = error

    def begin(self):
        self.guarded(self._open)
        for number in range(self.first, self.first + self.num):
            self.guarded(lambda number=number: self._log(number))

    def _open(self):
        self.recorder = cmeta.Recorder(self.path, SCHEMA, self.mode, disk=self.disk)

    def _log(self, number):
        self.recorder.log("train", seed_state=number)
        self.acknowledged.append(number)

    def close(self):
        if self.recorder is None:
            return
        self.ended = "closed"
        try:  # also after an error, as its message says
            self.recorder.close()
        except (OSError, RecorderError) as error:
            self.error = self.error or error

    def die(self):
        if self.recorder is not None:
            self.ended = "died"
            die(self.recorder)


def found_in(folder):
    """Return the seeds that can be read in the files of a folder, by file."""
    found = {}
    for path in folder.glob("*.cmeta"):
        try:
            with cmeta.open(path) as run:
                found[path.name] = run.read(["seed_state"])["seed_state"].tolist()
        except cmeta.DecodeError:
            found[path.name] = []
    return found


def run_two(folder, place, removed, mode, end, first_mode, first_dies):
    """Do both; return the number of operations of the first, and the writers."""
    path = folder / NAME
    second = Writer(path, 1000, NUM_SECOND, mode, QuietDisk())

    def interfere():
        for suffix in removed:
            (folder / f"{NAME}{suffix}").unlink(missing_ok=True)
        second.begin()
        if end == "at once":
            second.close()
        elif end == "dies at once":
            second.die()

    disk = Interrupted(place, interfere)
    first = Writer(path, 0, NUM_FIRST, first_mode, disk)
    first.begin()
    if first_dies:
        first.die()
    else:
        first.close()
    Interrupted.active = None
    if end == "later":
        second.close()
    elif end == "dies later":
        second.die()
    return disk.count, first, second


def check(folder, first, second, removed, before):
    found = found_in(folder)
    seeds = {seed for values in found.values() for seed in values}
    for writer, other in ((first, second), (second, first)):
        lost = set(writer.acknowledged) - seeds
        if writer.error is not None or not lost:
            continue
        # It was told nothing: then it had ended, and was replaced on request; or it is the first,
        # and died, so that it could not be told, after its files had been taken away.
        replaced = writer.ended and other.mode == "replace" and other.recorder
        taken = writer is first and writer.ended == "died" and set(removed) & {"-journal", ""}
        assert replaced or taken, (lost, found, first.error, second.error)
    if "" not in removed and "replace" not in (first.mode, second.mode):
        assert before <= seeds
    if not removed and first.ended != "died":
        assert first.error is None  # nobody has interfered with it


@pytest.mark.parametrize("first_mode", ["new", "resume", "replace"])
@pytest.mark.parametrize("first_dies", [False, True])
def test_no_order_loses_a_record_without_telling(tmp_path, first_mode, first_dies):
    num_refused = num_told = number = 0
    for removed, mode, end in product(REMOVED, MODES, ENDS):
        stride = 1 if len(removed) == len(REMOVED[-1]) else STRIDE
        place, num = number % stride, stride
        while place <= num:
            folder = tmp_path / str(number)
            folder.mkdir()
            before = set()
            if first_mode != "new":
                with cmeta.Recorder(folder / NAME, SCHEMA, disk=QuietDisk()) as earlier:
                    for seed in range(500, 503):
                        earlier.log("train", seed_state=seed)
                before = {500, 501, 502}
            num, first, second = run_two(folder, place, removed, mode, end, first_mode, first_dies)
            check(folder, first, second, removed, before)
            num_refused += second.error is not None
            num_told += first.error is not None
            place, number = place + stride, number + 1
    assert num_refused > number // 4
    assert num_told or first_dies
