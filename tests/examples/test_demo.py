import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import cmeta

DEMO = Path(__file__).resolve().parents[2] / "examples" / "demo.py"


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Return what a short demo leaves behind: its output and its file."""
    folder = tmp_path_factory.mktemp("demo")
    command = [sys.executable, str(DEMO), "--cycles", "1200"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done, folder / "out" / "digits.cmeta"


def test_demo_succeeds_in_silence_on_stderr(demo):
    done, _ = demo
    assert (done.returncode, done.stderr) == (0, "")


def test_demo_leaves_a_valid_chronicle(demo):
    report = cmeta.validate(demo[1])
    assert report.ok, str(report)
    assert report.num_records == 1200


def test_demo_is_killed_and_ends_as_if_it_had_not_been(demo):
    done, path = demo
    assert re.search(r"SIGKILL after \d+ cycles.* The file is open", done.stdout)
    names = {p.name for p in path.parent.iterdir()}
    assert {"digits.cmeta", "digits-uninterrupted.cmeta"} <= names
    assert not [name for name in names if name.endswith(("-journal", "-lock", ".checkpoint"))]
    assert path.read_bytes() == path.with_name("digits-uninterrupted.cmeta").read_bytes()
    digests = re.findall(r"^  ([0-9a-f]{64})$", done.stdout, re.MULTILINE)
    assert len(digests) == 2
    assert digests[0] == digests[1] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_demo_replays_and_finds_the_first_divergence(demo):
    exact, diverged = demo[0].stdout.split("$ cmeta replay")[1:]
    assert "exact: 1,200 cycles" in exact
    assert "diverged: 1,200 cycles" in diverged
    assert re.search(r"first difference: record 1 \(timestamp 1, step 2, train\)", diverged)
    assert "(exit code 1)" in diverged


def test_demo_shows_each_command_before_its_output(demo):
    lines = demo[0].stdout.splitlines()
    commands = [i for i, line in enumerate(lines) if line.startswith("$ cmeta ")]
    assert [lines[i].split()[2] for i in commands] == [
        "info",
        "validate",
        "cat",
        "replay",
        "replay",
    ]
    assert all(lines[i + 1] for i in commands)


def test_demo_shows_the_cycles_around_an_action(demo):
    shown = demo[0].stdout.partition("$ cmeta cat")[2].partition("\n\n")[0]
    rows = re.findall(r"^ *\d+  (?:train|dream|validate).*", shown, re.MULTILINE)
    assert len(rows) == 11
    assert rows[5].endswith("adjust_lr")


def test_demo_compares_sizes(demo):
    done, path = demo
    rows = [line for line in done.stdout.splitlines() if line.endswith("x")]
    assert len(rows) == 5
    assert rows[-1].split() == ["cmeta", f"{path.stat().st_size:,}",
                                f"{path.stat().st_size / 1200:.1f}", "1.00x"]  # fmt: skip


def test_demo_is_plain_and_its_own_lines_fit_80_columns(demo):
    stdout = demo[0].stdout
    assert "\033" not in stdout
    assert "\r" not in stdout
    of_commands = re.compile(r"^\$ cmeta.*?(?=^\d\. )", re.MULTILINE | re.DOTALL)
    own = of_commands.sub("", stdout)
    assert "Fields" not in own
    assert max(map(len, own.splitlines())) <= 80
