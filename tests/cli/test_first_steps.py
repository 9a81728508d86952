"""What somebody types who is new to the commands, and what they are told."""

import json
import os
import re
import subprocess
import sys

import pytest

import cmeta
from cmeta.cli.options import names

ODD = "a\nb"


@pytest.fixture
def run(tmp_path):
    """A run with a metric whose name has a line break."""
    path = tmp_path / "run.cmeta"
    cmeta.write(path, {"phase": ["train", "val"], f"metrics.{ODD}": [0.5, 0.25]})
    return path


@pytest.fixture
def dead(tmp_path):
    """A run whose writer was killed."""
    path = tmp_path / "dead.cmeta"
    code = (
        "import cmeta, os, sys\n"
        "rec = cmeta.Recorder(sys.argv[1])\n"
        "for i in range(20): rec.log('train', loss=i)\n"
        "os._exit(1)"
    )
    assert subprocess.run([sys.executable, "-c", code, path], check=False).returncode == 1
    return path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", ("a",)), ("a, b ,c", ("a", "b", "c")), (ODD, (ODD,)), (f"x,{ODD}", ("x", ODD)),
        ('"a,b", c', ("a,b", "c")), ('"say ""so""",d', ('say "so"', "d")), ('a"b', ('a"b',)),
        ("x\r\ny\0", ("x\r\ny\0",)),
    ],
)  # fmt: skip
def test_a_list_of_names_takes_any_character(text, expected):
    assert names(text) == expected


@pytest.mark.parametrize("text", ["", ",", "a,", "a,,b", '"a', '"a"b', '"a" b,c'])
def test_lists_that_are_no_lists_of_names(cm, run, text):
    result = cm("cat", run, "--fields", text)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "'--fields'" in result.stderr


def test_a_name_with_a_line_break(cm, run, tmp_path):
    assert cm("cat", run, "--fields", ODD, "--format", "csv").stdout.splitlines()[2:] == [
        "0.5", "0.25",
    ]  # fmt: skip
    assert cm("convert", run, tmp_path / "out.csv", "--fields", ODD).exit_code == 0
    assert (tmp_path / "out.csv").read_text().startswith("timestamp,phase,")


def test_a_start_beyond_the_end_is_said(cm, run):
    for command in ("head", "tail", "cat"):
        result = cm(command, run, "--start", 500)
        assert (result.exit_code, result.stderr) == (
            0, f"Note: no matching records; {run} has timestamps 0 to 1\n",
        )  # fmt: skip
        assert cm(command, run, "--start", 1).stderr == ""


def test_a_folder_where_a_file_is_expected(cm, run, tmp_path):
    (tmp_path / "empty").mkdir()
    for command in ("info", "validate", "summary"):
        result = cm(command, tmp_path / "empty")
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr == f"Error: {tmp_path}/empty: a folder without a .cmeta file\n"
    assert f"a folder, expected a .cmeta file, such as {run}\n" in cm("info", tmp_path).stderr


def test_an_error_names_the_file_once(cm, run):
    result = cm("query", run, "los < 1")
    assert result.exit_code == 2
    assert result.stderr.count(str(run)) == 1


def test_open_names_the_file_that_it_refuses(cm, tmp_path):
    (tmp_path / "text.cmeta").write_text("no chronicle, but long enough for a header")
    with pytest.raises(cmeta.DecodeError, match=re.escape(f"{tmp_path}/text.cmeta: offset 0, ")):
        cmeta.open(tmp_path / "text.cmeta")
    with pytest.raises(cmeta.DecodeError, match=r"^offset 0"):
        cmeta.open(b"no chronicle, but long enough for a header")
    for command in ("info", "runs", "validate"):
        assert cm(command, tmp_path / "text.cmeta").stderr.count("text.cmeta") <= 1


def test_info_of_an_open_file_counts_its_journal(cm, dead):
    found = json.loads(cm("info", dead, "--json").stdout)
    validated = json.loads(cm("validate", dead, "--json").stdout)
    len_journal = os.path.getsize(f"{dead}-journal")
    assert found["len_journal"] == len_journal > 0
    assert found["bytes_per_record"] == (found["len_file"] + len_journal) / 20
    assert found["num_batches"] == validated["num_batches"] == 0
    assert f"bytes and {len_journal:,} in the journal, " in cm("info", dead).stdout


def test_the_list_of_commands_is_not_cut(cm):
    assert "..." not in cm("--help").stdout.partition("Commands:")[2].partition("Examples:")[0]


def test_following_a_dead_run_says_so(process, dead):
    follower = process("tail", "-f", "-n", "1", "--json", dead)
    try:
        assert b"nobody holds its lock" in follower.stderr.readline()
    finally:
        follower.kill()
        follower.communicate()
