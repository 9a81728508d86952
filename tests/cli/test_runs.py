"""`cmeta runs`: the table, its order, conditions, JSON and exit codes."""

import json
import math
import os
import pty
import select

import numpy as np
import pytest

import cmeta

LOSSES = {"a": (0.5, 0.25), "b": (0.75, 0.125), "sub/c": (0.5, math.nan)}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A catalogue in a temporary folder."""
    monkeypatch.setenv("CMETA_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path):
    """Three runs."""
    for i, (name, loss) in enumerate(LOSSES.items()):
        path = tmp_path / "runs" / f"{name}.cmeta"
        path.parent.mkdir(parents=True, exist_ok=True)
        config = {"lr": (0.1, 0.01, 0.1)[i], "net": {"width": 8, "kind": "mlp"}, "seed": 7}
        accuracy = np.ma.MaskedArray([0.5, i / 4], [False, i == 2])
        columns = {
            "timestamp": [1, 2], "phase": ["train", "validate"], "loss_value": loss,
            "metrics.val_accuracy": accuracy, "config": [0, 0],
        }  # fmt: skip
        cmeta.write(path, columns, None, [config])
    return tmp_path / "runs"


def files(result):
    """Return the first column of the table."""
    return [line.split()[0] for line in result.stdout.splitlines()[2:-1]]


def test_the_table(cm, folder):
    result = cm("runs", folder)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        "file         state   num_records  loss  loss_value  loss_value.min  config.lr  last_timestamp\n"
        "-----------  ------  -----------  ----  ----------  --------------  ---------  --------------\n"
        "a.cmeta      closed            2  █▁          0.25            0.25        0.1               2\n"
        "b.cmeta      closed            2  █▁         0.125           0.125       0.01               2\n"
        "sub/c.cmeta  closed            2  ▄!           NaN             0.5        0.1               2\n"
        "3 runs: 3 closed\n"
    )
    assert cm("runs", folder).stdout == result.stdout  # from the catalogue
    assert cm("runs", folder, "--no-cache", "--jobs", 1).stdout == result.stdout


def test_keys_equal_in_all_shown_runs_are_omitted(cm, folder):
    assert "config" not in cm("runs", folder, "--where", "config.lr == 0.1").stdout
    assert "config.lr" in cm("runs", folder, "--limit", 2).stdout


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), "abc"),
        (("--reverse",), "cba"),
        (("--sort", "config.lr"), "bac"),
        (("--sort", "loss_value"), "bac"),  # NaN last
        (("--sort", "loss_value", "--reverse"), "abc"),
        (("--sort", "val_accuracy.num_values", "--reverse"), "abc"),
        (("--best", "min:loss_value"), "bac"),
        (("--best", "min:loss"), "bac"),
        (("--sort", "loss", "--reverse"), "abc"),
        (("--best", "max:loss_value"), "bac"),
        (("--best", "max:loss_value", "--reverse"), "acb"),
        (("--best", "max:loss_value", "--sort", "file"), "abc"),
        (("--best", "max:loss_value", "--limit", 1), "b"),
        (("--where", "val_accuracy < 0.5"), "ab"),
        (("--where", "loss_value.min < 0.2 and config.lr < 0.1 and state == 'closed'"), "b"),
    ],
)
def test_order_and_conditions(cm, folder, options, expected):
    found = files(cm("runs", folder, *options))
    assert "".join(name.removesuffix(".cmeta")[-1] for name in found) == expected


def test_a_run_without_the_value_comes_last(cm, folder):
    cmeta.write(folder / "0.cmeta", {"phase": ["train"]})
    for options in ((), ("--reverse",)):
        assert files(cm("runs", folder, "--sort", "val_accuracy", *options))[-1] == "0.cmeta"
        assert files(cm("runs", folder, "--sort", "config.lr", *options))[-1] == "0.cmeta"


def test_chosen_fields(cm, folder):
    result = cm(
        "runs", folder, "--fields", "config.net.kind,loss", "--fields", "val_accuracy.max,file"
    )
    assert result.stdout.splitlines()[:3:2] == [
        "file         config.net.kind  loss  metrics.val_accuracy.max",
        "a.cmeta                  mlp  █▁                         0.5",
    ]


def test_hidden_runs_are_counted(cm, folder):
    assert cm("runs", folder, "--limit", 1).stdout.endswith("\n1 of 3 runs: 1 closed\n")
    result = cm("runs", folder, "--where", "num_records > 2")
    assert (result.exit_code, result.stdout) == (0, "0 of 3 runs\n")


def test_an_empty_folder(cm, tmp_path):
    (tmp_path / "none").mkdir()
    for options in ((), ("--where", "loss_value < 1"), ("--sort", "file")):
        result = cm("runs", tmp_path / "none", *options)
        assert (result.exit_code, result.stdout) == (0, "0 runs\n")
        assert result.stderr == f"Note: no .cmeta file in {tmp_path / 'none'}\n"


def test_json(cm, folder):
    result = cm("runs", folder, "--json", "--sort", "loss_value")
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert [one["file"] for one in found] == [f"{folder}/{n}.cmeta" for n in ("b", "a", "sub/c")]
    assert list(found[0]) == [
        "file", "state", "problem", "len_file", "num_records", "first_timestamp", "last_timestamp",
        "phases", "fields", "num_configs", "config", "loss_field", "loss",
    ]  # fmt: skip
    assert found[0]["fields"]["loss_value"] == {
        "type": "f32", "num_values": 2, "num_nan": 0, "last": 0.125, "min": 0.125, "max": 0.75,
        "min_timestamp": 2, "max_timestamp": 1,
    }  # fmt: skip
    assert found[0]["config"] == {"lr": 0.01, "net.width": 8, "net.kind": "mlp", "seed": 7}
    assert (found[2]["loss"], found[2]["fields"]["loss_value"]["last"]) == ([0.5, "NaN"], "NaN")
    assert found[2]["fields"]["loss_value"]["num_nan"] == 1


def test_json_of_chosen_fields(cm, folder):
    line = cm("runs", folder, "--json", "--fields", "val_accuracy,config.lr").stdout.splitlines()[0]
    assert list(json.loads(line)["fields"]) == ["metrics.val_accuracy"]


def test_json_has_the_shortest_decimals_of_a_float32(cm, tmp_path):
    columns = {
        "phase": ["train"] * 2, "coherence": [math.nan] * 2, "loss_value": [0.1, 0.3],
        "metrics.new": [0.1, 1 / 3], "seed_state": np.array([0, 2**64 - 1], np.uint64),
    }  # fmt: skip
    cmeta.write(tmp_path / "a.cmeta", columns)
    (line,) = cm("runs", tmp_path / "a.cmeta", "--json").stdout.splitlines()
    known = {
        name: (v["last"], v["min"], v["max"]) for name, v in json.loads(line)["fields"].items()
    }
    assert known == {
        "loss_value": (0.3, 0.1, 0.3), "coherence": ("NaN", None, None),
        "seed_state": ("0xFFFFFFFFFFFFFFFF", 0, "0xFFFFFFFFFFFFFFFF"),
        "metrics.new": (1 / 3, 0.1, 1 / 3),
    }  # fmt: skip


def test_damaged_unreadable_and_open_runs(cm, folder, flipped, still_open):
    flipped.rename(folder / "flipped.cmeta")
    still_open.rename(folder / "open.cmeta")
    result = cm("runs", folder)
    assert result.exit_code == 3
    assert result.stdout.endswith("\n5 runs: 3 closed, 1 open, 1 damaged\n")
    assert result.stderr.startswith(f"Error: {folder}/flipped.cmeta: damaged: offset ")
    os.symlink("nowhere", folder / "x.cmeta")
    result = cm("runs", folder, "--where", "state != 'damaged'", "--fields", "state,problem")
    assert result.exit_code == 2
    assert "x.cmeta      unreadable  No such file or directory\n" in result.stdout
    assert cm("runs", folder, "--where", "state in ('closed', 'open')").exit_code == 0


def test_the_number_of_printed_problems_is_limited(cm, tmp_path):
    for i in range(25):
        (tmp_path / f"{i:02}.cmeta").touch()
    lines = cm("runs", tmp_path).stderr.splitlines()
    assert len(lines) == 21 and lines[-1].startswith("Error: 5 more with problems")


def test_patterns_files_and_several_folders(cm, folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert files(cm("runs", "runs/**/*.cmeta")) == [f"runs/{n}.cmeta" for n in ("a", "b", "sub/c")]
    assert files(cm("runs", "runs/sub", "runs/a.cmeta")) == ["runs/sub/c.cmeta", "runs/a.cmeta"]
    assert files(cm("runs", "runs/sub")) == ["c.cmeta"]
    monkeypatch.chdir(folder)
    assert files(cm("runs", ".")) == ["a.cmeta", "b.cmeta", "sub/c.cmeta"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("missing",), "missing: No such file or directory"),
        (("-",), "<stdin>"),
        ((".", "--best", "val_accuracy"), "expected min:FIELD or max:FIELD"),
        ((".", "--best", "max:"), "expected min:FIELD or max:FIELD"),
        ((".", "--best", "max:val_acuracy"), "did you mean val_accuracy"),
        ((".", "--sort", "val_acuracy"), "'--sort': no run here has 'val_acuracy'"),
        ((".", "--sort", "los"), "'--sort': no run here has 'los'"),
        ((".", "--fields", "config.mode"), "'--fields': no run here has 'config.mode'"),
        ((".", "--where", "val_acuracy > 1"), "no run here has 'val_acuracy'"),
        ((".", "--where", "val_accuracy >"), "val_accuracy >"),
        ((".", "--limit", "0"), "--limit"),
        ((), "DIR"),
    ],
)
def test_invalid_arguments(cm, folder, monkeypatch, options, message):
    monkeypatch.chdir(folder)
    result = cm("runs", *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


def test_control_characters_in_names_are_escaped(cm, tmp_path):
    path = tmp_path / "a\x1b[2J.cmeta"
    cmeta.write(path, {"phase": ["train"], "config": [0]}, None, [{"x\x1b": "y\x1b"}])
    for options in ((), ("--json",), ("--fields", "config.x\x1b")):
        result = cm("runs", tmp_path, *options)
        assert result.exit_code == 0 and "\x1b" not in result.stdout


def test_long_values_are_truncated(cm, tmp_path):
    cmeta.write(tmp_path / "a.cmeta", {"phase": ["train"], "config": [0]}, None, [{"x": "y" * 99}])
    result = cm("runs", tmp_path, "--fields", "config.x")
    assert f"  {'y' * 37}...\n" in result.stdout


@pytest.mark.parametrize(("width", "titles"), [(80, 5), (200, 8)])
def test_on_a_terminal_only_the_columns_that_fit_are_shown(process, folder, width, titles):
    long = folder / ("d" * 90) / "run.cmeta"
    long.parent.mkdir()
    (folder / "a.cmeta").rename(long)
    main, side = pty.openpty()
    environment = {"COLUMNS": str(width), "NO_COLOR": "1", "PYTHONUTF8": "1"}
    started = process("runs", folder, stdout=side, env=environment)
    os.close(side)
    text = _read_all(main)
    _, stderr = started.communicate(timeout=60)
    lines = text.splitlines()
    assert started.returncode == 0
    assert len(lines[0].split()) == titles and max(map(len, lines)) <= width
    assert any(line.startswith("...d") and "/run.cmeta" in line for line in lines)
    assert (b"no room for loss_value.min, config.lr, last_timestamp;" in stderr) == (width == 80)


def _read_all(descriptor):
    found = b""
    while select.select([descriptor], [], [], 60)[0]:
        try:
            part = os.read(descriptor, 65536)
        except OSError:  # how a terminal ends
            break
        if not part:
            break
        found += part
    os.close(descriptor)
    return found.decode()


def test_help_states_names_and_exit_codes(cm):
    text = cm("runs", "--help").stdout
    for part in ("damaged     3", "unreadable  2", "CMETA_CACHE_DIR", "config.KEY", "FIELD.min"):
        assert part in text
