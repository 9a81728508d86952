"""A crash at every point of the recorded order of writes, syncs and renames.

Each scenario is recorded once; every state that the death of the process or a loss of power may
leave is built, read, and continued.
"""

import pytest

import cmeta
from cmeta.recorder import sealer
from tests.crash.runs import (
    NAME,
    SCHEMA,
    Check,
    die,
    num_readable,
    record,
    state_after,
    trusted_part,
    whole,
)
from tests.crash.world import BusyDisk, RecordingDisk, after_death, after_power_loss, put

NUM = 69


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    """Start a new journal after every second batch, so that a short run has several."""
    monkeypatch.setattr(sealer, "_ROTATE_EVERY", 2)


def recorded(
    folder, start, end, *, flush_every=1, seal=0, close=True, kind=RecordingDisk, **options
):
    """Record a session, and return its disk."""
    disk = kind(folder)
    disk.mark(start)
    options = {"schema": SCHEMA, "mode": "resume"} | options
    rec = cmeta.Recorder(folder / NAME, disk=disk, flush_every=flush_every, **options)
    record(rec, start, end, disk, flush_every)
    if close:
        rec.close()
        disk.mark(end)
    else:  # as if it died, but without a living thread
        die(rec)
    return disk


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


@pytest.fixture
def wholes(tmp_path):
    def run(num_records=NUM, start=0):
        return whole(tmp_path / "whole", num_records, start)

    return run


@pytest.fixture
def check(tmp_path, wholes):
    def prepare(**options):
        return Check(tmp_path / "found", wholes(), NUM, **options)

    return prepare


def states_of(disk, loss):
    """Return every state that the death of the process, or a loss of power, may leave."""
    after = after_power_loss if loss == "power" else after_death
    return after(disk.start, disk.operations)


LOSSES = ("process", "power")


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("flush_every", [1, 3])
def test_a_new_run(folder, check, loss, flush_every):
    disk = recorded(folder, 0, NUM, flush_every=flush_every, durability="fsync")
    assert (folder / NAME).read_bytes() == check().expected
    assert check().all(states_of(disk, loss)) > NUM


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("flush_every", [1, 3])
def test_rows_arrive_while_a_journal_is_begun(folder, check, loss, flush_every):
    disk = recorded(folder, 0, NUM, kind=BusyDisk, flush_every=flush_every, durability="fsync")
    assert num_late(disk.operations)
    check().all(states_of(disk, loss))


def num_late(operations):
    """Return how often rows were written to a journal between its first sync and its rename."""
    found = 0
    for i, operation in enumerate(operations):
        if operation.kind == "rename":
            own = [o.kind for o in operations[:i] if o.file == operation.file]
            found += "write" in own[own.index("sync") :]
    return found


def test_power_fails_though_only_the_system_has_the_records(folder, tmp_path, wholes):
    """Nothing was promised, but a beginning of the run remains, and can be continued."""
    num = 41
    check = Check(tmp_path / "found", wholes(num), num)
    disk = recorded(folder, 0, num, durability="os")
    states = after_power_loss(disk.start, disk.operations, most=2, num_recent=1, num_drawn=1)
    assert check.all((0, content) for _, content in states) > num


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("num_before", [32, 37])
def test_a_closed_run_goes_on(folder, check, wholes, loss, num_before):
    (folder / NAME).write_bytes(wholes(num_before))
    disk = recorded(folder, num_before, NUM, durability="fsync")
    check().all(states_of(disk, loss))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("num_before", [5, 53])
def test_a_run_that_died_goes_on(folder, check, loss, num_before):
    recorded(folder, 0, num_before, durability="fsync", close=False)
    disk = recorded(folder, num_before, NUM, durability="fsync")
    assert len(disk.start.names) == 2
    check().all(states_of(disk, loss))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("keep", [0, 35])
def test_a_run_goes_back_to_an_earlier_record(folder, tmp_path, wholes, loss, closed, keep):
    """Until records are dropped all are there; from then on those are in a file of their own."""
    num = 53
    recorded(folder, 0, num, durability="fsync", close=closed)
    state = state_after(tmp_path / "whole", keep)
    disk = RecordingDisk(folder)
    rec = cmeta.Recorder(folder / NAME, mode="resume", resume_at=state, disk=disk)
    die(rec)
    check = Check(tmp_path / "found", wholes(num), num, schema=None, resume_at=state)
    for content in dict.fromkeys(content for _, content in states_of(disk, loss)):
        side = [data for name, data in content if ".dropped-from-" in name]
        trusted, found = trusted_part(dict(content))
        assert found == num or (found, side) == (keep, [wholes(num, keep)])
        if check.is_new(trusted):
            put(check.folder, content)
            assert num_readable(check.folder) == found
            check.continue_(keep)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("closed", [True, False])
def test_a_run_is_replaced(folder, tmp_path, wholes, loss, closed):
    """A closed run remains until the new one exists; an open one is removed first."""
    num = 21
    recorded(folder, 0, 37, durability="fsync", close=closed)
    old = (folder / NAME).read_bytes()
    disk = recorded(folder, 0, num, mode="replace", durability="fsync")
    check = Check(tmp_path / "found", wholes(num), num)
    num_old = 0
    for acknowledged, content in dict.fromkeys(states_of(disk, loss)):
        main = dict(content).get(NAME)
        if main == old:
            put(check.folder, content)
            assert (num_readable(check.folder), acknowledged) == (37, 0)
            num_old += 1
        elif main is None:
            assert (closed, acknowledged) == (False, 0)
        else:
            check.one(content, acknowledged)
    assert num_old >= (5 if closed else 1)


@pytest.mark.parametrize("loss", LOSSES)
def test_resuming_is_itself_interrupted(folder, tmp_path, check, loss):
    """After some crashes the next session is interrupted at every point too."""
    disk = recorded(folder, 0, NUM, durability="fsync")
    states = list(dict.fromkeys(states_of(disk, loss)))
    checks = check()
    for acknowledged, content in states[:: len(states) // 12]:
        second = tmp_path / "second"
        second.mkdir(exist_ok=True)
        put(second, content)
        again = RecordingDisk(second)
        again.mark(acknowledged)
        die(cmeta.Recorder(second / NAME, SCHEMA, mode="resume", disk=again))
        checks.all(states_of(again, "power"))
