"""Every argument of every command, with values that nobody types: a message, and no traceback."""

import pytest

import cmeta
from cmeta.cli.app import COMMANDS

VALUES = (
    "", "-", "a\nb", "nul\0x", "\udcff\udcfe", "9" * 400, "-1", "0x", "1e999", "folder", "[", "*",
    "x" * 5000, "\x1b[2J", ":", "a:b:c", ",", '"', "--", "max:", ".loss",
)  # fmt: skip
# Calls of each command, with a hostile value in place of each "?".
CALLS = {
    "info": [["?"]],
    "validate": [["?"]],
    "cat": [["?"], *(["run.cmeta", o, "?"] for o in ("--fields", "--phase", "--start", "--format"))],
    "head": [["?"], ["run.cmeta", "-n", "?"]],
    "tail": [["?"], ["run.cmeta", "-n", "?"]],
    "query": [["?", "loss < 1"], ["run.cmeta", "?"]],
    "summary": [["?"], ["run.cmeta", "--fields", "?"]],
    "plot": [["?"], ["run.cmeta", "--fields", "?"], ["run.cmeta", "--width", "?"]],
    "runs": [["?"], *(["run.cmeta", o, "?"] for o in ("--where", "--sort", "--best", "--fields"))],
    "diff": [["?", "run.cmeta"], *(["run.cmeta", "run.cmeta", o, "?"] for o in ("--fields", "--phase"))],
    "audit": [["?"], *(["run.cmeta", o, "?"] for o in ("--against", "--replay", "--jobs"))],
    "replay": [
        ["?", "cycle.py:cycle"], ["run.cmeta", "?"], ["run.cmeta", "cycle.py:cycle", "--phase", "?"],
        ["run.cmeta", "--ignore", "?", "--", "no-such-command"],
        ["run.cmeta", "--", "no-such-command?"],
    ],
    "recover": [["?", "out"], ["run.cmeta", "?"], ["run.cmeta", "out", "--schema", "?"]],
    "import": [["?", "out"], *(["log.csv", "out", o, "?"] for o in ("--schema", "--config"))],
    "convert": [["?", "out.csv"], ["run.cmeta", "?"], ["run.cmeta", "out.csv", "--fields", "?"]],
    "schema": [["check", "?"], ["show", "?"], ["json", "?"], ["?"]],
    "completion": [["?"]],
}  # fmt: skip


def test_calls_cover_every_command():
    assert set(CALLS) == set(COMMANDS)


@pytest.mark.parametrize("name", CALLS)
def test_no_argument_gives_a_traceback(cm, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CMETA_CACHE_DIR", str(tmp_path / "cache"))
    cmeta.write("run.cmeta", {"phase": ["train"] * 3, "loss": [1.0] * 3})
    (tmp_path / "cycle.py").write_text("def cycle(state): return None\n")
    (tmp_path / "log.csv").write_text("step,loss\n0,1.5\n")
    (tmp_path / "folder").mkdir()
    for args in CALLS[name]:
        for value in VALUES:
            result = cm(name, *(arg.replace("?", value) for arg in args))  # raises what escapes
            assert result.exit_code in range(6), (args, value)
            assert "Traceback" not in result.stdout + result.stderr, (args, value)
            if result.exit_code == 2:
                assert "Error: " in result.stderr or "unreadable" in result.stdout, (args, value)
