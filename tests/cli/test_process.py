"""The command as a process: pipes, terminals, exit codes, imported modules."""

import json
import os
import re

import numpy as np
import pytest

import cmeta

posix = pytest.mark.skipif(os.name != "posix", reason="needs pipes and terminals of POSIX")
ESCAPE = b"\x1b"


def finish(started):
    """Return exit code, stdout, stderr."""
    out, err = started.communicate(timeout=60)
    return started.returncode, out, err


@pytest.fixture
def long(tmp_path):
    """A file whose text is longer than any pipe's buffer."""
    path = tmp_path / "long.cmeta"
    loss = np.arange(1, 30001, dtype="f4") / 1000
    cmeta.write(path, {"phase": ["train"] * 30000, "loss_value": loss})
    return path


def test_exit_codes(process, chronicle, flipped, still_open, tmp_path):
    assert finish(process("validate", chronicle))[0] == 0
    assert finish(process("validate", still_open))[0] == 1
    assert finish(process("info", tmp_path / "missing.cmeta"))[0] == 2
    assert finish(process("cat", "--start", "x", chronicle))[0] == 2
    assert finish(process("validate", flipped))[0] == 3
    assert finish(process("info", flipped))[0] == 3
    assert finish(process("cat", flipped))[0] == 3


def test_stdout_holds_data_and_stderr_the_rest(process, flipped):
    code, out, err = finish(process("cat", "--json", flipped))
    assert code == 3
    assert len([json.loads(line) for line in out.splitlines()]) == 84
    assert err.startswith(b"Error: ")
    assert err.count(b"\n") == 1


def test_main_is_a_function(process):
    python = ("-c", "from cmeta.cli import main; main()")
    code, out, _ = finish(process("--version", python=python))
    assert (code, out) == (0, f"cmeta {cmeta.__version__}, format 1.0{os.linesep}".encode())


@posix
@pytest.mark.parametrize("format_", ["jsonl", "csv", "table"])
def test_a_broken_pipe_ends_silently(process, long, format_):
    started = process("cat", "--format", format_, long)
    assert started.stdout.readline()
    started.stdout.close()
    assert started.stderr.read() == b""
    assert started.wait(60) == 141
    started.stderr.close()


@posix
@pytest.mark.parametrize("command", [("cat", "--json", "--end", 1000), ("cat",), ("info",)])
def test_a_pipe_that_is_broken_from_the_start(process, chronicle, command):
    read_end, write_end = os.pipe()
    os.close(read_end)
    started = process(*command, chronicle, stdout=write_end)
    os.close(write_end)
    code, _, err = finish(started)
    assert (code, err) == (141, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full disk at hand")
@pytest.mark.parametrize(
    "command",
    [
        ("cat", "--json", "--end", 1000),
        ("cat",),
        ("validate",),
        ("--help",),
        ("--version",),
        ("diff", "--help"),
    ],
)
def test_a_full_disk_is_an_error(process, chronicle, command):
    with open("/dev/full", "wb") as full:
        code, _, err = finish(process(*command, chronicle, stdout=full))
    assert (code, err) == (2, b"Error: No space left on device\n")


@posix
def test_a_closed_stdout_is_an_error(process, chronicle):
    code, _, err = finish(process("info", chronicle, preexec_fn=lambda: os.close(1)))
    assert (code, err) == (2, b"Error: standard output is closed\n")
    code, out, err = finish(process("info", chronicle, preexec_fn=lambda: os.close(2)))
    assert (code, b"run.cmeta" in out) == (0, True)  # messages are not wanted, the work is


@pytest.mark.parametrize("command", ["info", "validate", "cat"])
def test_no_colour_and_no_progress_when_piped(process, chronicle, command):
    eager = (
        "import cmeta.cli.console as c; c._PROGRESS_AFTER = 0; import cmeta.cli; cmeta.cli.main()"
    )
    environment = {"FORCE_COLOR": "1", "TERM": "xterm-256color"}
    code, out, err = finish(process(command, chronicle, python=("-c", eager), env=environment))
    assert (code, err) == (0, b"")
    assert ESCAPE not in out


class Terminal:
    """A pseudo-terminal for a process."""

    def __init__(self, num_columns=60):
        import fcntl
        import struct
        import termios

        self.master, self.slave = os.openpty()
        size = struct.pack("HHHH", 24, num_columns, 0, 0)
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, size)

    def read(self):
        os.close(self.slave)
        pieces = []
        while True:
            try:
                piece = os.read(self.master, 65536)
            except OSError:  # the other side is closed
                break
            if not piece:
                break
            pieces.append(piece)
        os.close(self.master)
        return b"".join(pieces).replace(b"\r\n", b"\n")


def on_terminal(process, *args, env=None, num_columns=60):
    """Return stdout as sent to a terminal, and stderr as sent to a file."""
    terminal = Terminal(num_columns)
    env = {"TERM": "xterm-256color", **(env or {})}
    started = process(*args, stdout=terminal.slave, env=env)
    out = terminal.read()
    return started.wait(60), out, started.communicate()[1]


@posix
@pytest.mark.parametrize("command", ["info", "cat"])
def test_colour_on_a_terminal(process, chronicle, command):
    code, out, _ = on_terminal(process, command, chronicle)
    assert code == 0
    assert ESCAPE in out
    for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        code, out, _ = on_terminal(process, command, chronicle, env=environment)
        assert code == 0
        assert ESCAPE not in out


@posix
def test_table_fits_the_terminal_and_notes_the_hidden_columns(process, chronicle):
    _, out, err = on_terminal(process, "cat", chronicle, env={"NO_COLOR": "1"})
    lines = out.decode().splitlines()
    assert len(lines) == 102
    assert max(map(len, lines)) <= 60
    assert lines[0].split() == ["timestamp", "phase", "entropy", "val_accuracy", "state"]
    assert err.startswith(b"Note: 5 of 10 columns fit here; choose with --fields")
    _, out, err = on_terminal(process, "cat", chronicle, "--json")
    assert (out.count(b"\n"), err) == (100, b"")


@posix
@pytest.mark.parametrize(("num_columns", "num_fitting"), [(31, 3), (30, 2), (5, 1)])
def test_table_uses_the_exact_width_of_the_terminal(process, chronicle, num_columns, num_fitting):
    args = ("cat", chronicle, "--fields", "timestamp,phase,loss_value")  # 9 + 2 + 8 + 2 + 10
    _, out, err = on_terminal(process, *args, env={"NO_COLOR": "1"}, num_columns=num_columns)
    assert len(out.splitlines()[0].split()) == num_fitting
    assert err.startswith(b"Note: %d of 3 columns" % num_fitting if num_fitting < 3 else b"")
    assert bool(err) == (num_fitting < 3)


@posix
def test_hostile_labels_do_not_reach_a_terminal(process, tmp_path):
    path = tmp_path / "hostile.cmeta"
    schema = cmeta.default_schema().with_phases("\x1b[2J\x9b")
    cmeta.write(path, {"phase": ["\x1b[2J\x9b"], "metrics.\x1b[2J": [1.0]}, schema)
    for format_ in ("table", "jsonl", "csv"):
        args = ("cat", "--format", format_, path)
        code, out, _ = on_terminal(process, *args, env={"NO_COLOR": "1"})
        assert code == 0
        assert all(char.isprintable() or char == "\n" for char in out.decode())
    _, piped, _ = finish(process("cat", "--format", "csv", path))
    assert "\x1b[2J\x9b" in piped.decode()  # into a file goes what the chronicle holds


@posix
def test_progress_on_a_terminal(process, chronicle):
    terminal = Terminal()
    eager = (
        "import cmeta.cli.console as c; c._PROGRESS_AFTER = 0; import cmeta.cli; cmeta.cli.main()"
    )
    started = process(
        "validate", chronicle, python=("-c", eager), stderr=terminal.slave,
        env={"TERM": "xterm-256color"},
    )  # fmt: skip
    shown = terminal.read()
    out, _ = started.communicate(timeout=60)
    assert started.returncode == 0
    assert b"run.cmeta" in shown
    assert re.search(rb"\d%", shown)
    assert out.startswith(str(chronicle).encode() + b": valid")


def test_data_are_utf8_on_any_terminal(process, chronicle):
    environment = {"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    name = "late/\N{GREEK SMALL LETTER ALPHA}"
    for format_ in ("jsonl", "csv"):
        _, out, _ = finish(process("cat", "--format", format_, chronicle, env=environment))
        assert name in out.decode("utf-8")


@pytest.mark.parametrize("command", ["cat", "info"])
def test_text_survives_a_terminal_that_is_not_utf8(process, chronicle, command):
    environment = {"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    code, out, err = finish(process(command, chronicle, env=environment))
    assert (code, err) == (0, b"")
    assert rb"late/\u03b1" in out


@pytest.mark.parametrize(
    ("statement", "absent"),
    [("import cmeta", {"click", "rich"}), ("import cmeta.cli", {"rich"})],
)
def test_an_import_loads_only_its_own_dependencies(process, statement, absent):
    code = f"import sys; {statement}; print(*sys.modules)"
    _, out, _ = finish(process(python=("-c", code)))
    assert absent.isdisjoint(out.decode().split())


def test_json_does_not_import_rich(process, chronicle):
    code = "import sys; sys.modules['rich'] = None; import cmeta.cli; cmeta.cli.main()"
    assert finish(process("info", "--json", chronicle, python=("-c", code)))[0] == 0
    assert finish(process("info", chronicle, python=("-c", code)))[0] != 0


def test_python_m_cmeta_names_itself(process):
    _, out, _ = finish(process("--help"))
    assert out.startswith(b"Usage: cmeta [OPTIONS] COMMAND")
