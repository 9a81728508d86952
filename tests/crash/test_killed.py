"""A real recording process, killed again and again, and interrupted thousands of times."""

import random
import signal
import subprocess
import time

import pytest

import cmeta
from tests.crash.processes import start
from tests.crash.runs import LARGER, NAME, SCHEMA, cycle, log, num_readable, whole


def run_until(path, durability, draw):
    """Record for a random while after the first record, then kill; return the number acknowledged."""
    with start("victim.py", path, 10**9, durability, stdout=subprocess.PIPE) as victim:
        output = victim.stdout.readline()
        time.sleep(draw.random() ** 3 * 0.3)  # most kills come soon after opening
        victim.kill()
        output += victim.stdout.read()
    lines = output.split(b"\n")[:-1]  # what follows the last newline was cut
    assert victim.returncode == -signal.SIGKILL
    return int(lines[-1]) if lines else 0


@pytest.mark.parametrize(("durability", "num_kills"), [("os", 20), ("fsync", 10)])
def test_kills_at_random_moments(tmp_path, durability, num_kills):
    """After each kill every acknowledged record is there; the final bytes are the usual ones."""
    path, draw = tmp_path / "run" / NAME, random.Random(durability)
    path.parent.mkdir()
    before = 0
    for _ in range(num_kills):
        acknowledged = run_until(path, durability, draw)
        found = num_readable(path.parent)
        assert found >= max(acknowledged, before)
        before = found
    assert before > 10 * num_kills
    end = before + 20
    assert run_to_end(path, end, durability) == end
    assert path.read_bytes() == whole(tmp_path / "whole", end)
    assert [p.name for p in path.parent.iterdir()] == [NAME]


def run_to_end(path, num_records, durability):
    with start("victim.py", path, num_records, durability, stdout=subprocess.PIPE) as victim:
        output = victim.stdout.read().split(b"\n")
    assert (victim.returncode, output[-2]) == (0, b"closed")
    return int(output[-3])


def test_killed_while_closing(tmp_path):
    """Kills at random instants of short runs, which mostly open and close."""
    folder = tmp_path / "run"
    folder.mkdir()
    draw = random.Random(1)
    for target in range(10, 110, 10):
        with start("victim.py", folder / NAME, target, "fsync", stdout=subprocess.PIPE) as victim:
            for line in iter(victim.stdout.readline, b""):
                if line.strip() == b"%d" % target:
                    break
            time.sleep(draw.random() * 0.02)
            victim.kill()
        assert num_readable(folder) == target
    run_to_end(folder / NAME, 120, "os")
    assert (folder / NAME).read_bytes() == whole(tmp_path / "whole", 120)


def test_two_thousand_interrupts(tmp_path):
    """Ctrl-C at random instants leaves no partial and no duplicate record."""
    path = tmp_path / "run" / NAME
    path.parent.mkdir()
    with start("interrupted.py", path, 2_000, stdout=subprocess.PIPE, text=True) as process:
        num_records, num_interrupts, num_within = map(int, process.stdout.read().split())
    assert process.returncode == 0
    assert num_interrupts >= 2_000
    assert num_within > 200  # interrupts that arrived within the library
    assert cmeta.validate(path).ok
    assert path.read_bytes() == whole(tmp_path / "whole", num_records, schema=LARGER)
    assert [p.name for p in path.parent.iterdir()] == [NAME]


def test_a_victim_is_what_the_others_hold_it_against(tmp_path):
    """The script logs what `cycle` says, so that a kill cannot pass because of an empty file."""
    path = tmp_path / NAME
    assert run_to_end(path, 40, "os") == 40
    with cmeta.open(path) as run:
        assert [record.seed_state for record in run] == [cycle(i)["seed_state"] for i in range(40)]
    with cmeta.Recorder(tmp_path / "other.cmeta", SCHEMA) as recorder:
        for i in range(40):
            log(recorder, i)
    assert path.read_bytes() == (tmp_path / "other.cmeta").read_bytes()
