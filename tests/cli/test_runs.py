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
        "file         state   num_records  loss  validate/loss_value  validate/loss_value.min"
        "  config.lr  last_timestamp\n"
        "-----------  ------  -----------  ----  -------------------  -----------------------"
        "  ---------  --------------\n"
        "a.cmeta      closed            2  ▄                    0.25                     0.25"
        "        0.1               2\n"
        "b.cmeta      closed            2  ▄                   0.125                    0.125"
        "       0.01               2\n"
        "sub/c.cmeta  closed            2  !                     NaN                         "
        "        0.1               2\n"
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
        (("--best", "max:loss_value"), "abc"),
        (("--best", "max:train/loss"), "bac"),
        (("--best", "max:train/loss_value", "--reverse"), "acb"),
        (("--best", "max:val/loss", "--reverse"), "bac"),
        (("--sort", "train/loss.min", "--reverse"), "bac"),
        (("--best", "max:loss_value", "--sort", "file"), "abc"),
        (("--best", "max:loss_value", "--limit", 1), "a"),
        (("--where", "val_accuracy < 0.5"), "ab"),
        (("--where", "loss_value.min < 0.2 and config.lr < 0.1 and state == 'closed'"), "b"),
        (("--where", "train/loss > 0.6 or 1 - eval/loss.min < 0.8"), "ab"),
        (("--where", "validate/loss_value < train/loss_value / 4"), "b"),
        (("--where", "field['train/loss.num_values'] == 1"), "abc"),
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
        "file         config.net.kind  loss  metrics.val_accuracy.max",  # of two phases
        "a.cmeta                  mlp  ▄                            0",
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
        "file", "state", "status", "problem", "len_file", "num_records", "first_timestamp", "last_timestamp",
        "phases", "fields", "num_configs", "config", "loss_field", "loss", "by_phase",
    ]  # fmt: skip
    assert found[0]["fields"]["loss_value"] == {
        "type": "f32", "num_values": 1, "num_nan": 0, "last": 0.125, "min": 0.125, "max": 0.125,
        "min_timestamp": 2, "max_timestamp": 2, "phase": "validate",
    }  # fmt: skip
    assert found[0]["by_phase"]["train"]["loss_value"]["max"] == 0.75
    assert found[0]["config"] == {"lr": 0.01, "net.width": 8, "net.kind": "mlp", "seed": 7}
    assert (found[2]["loss"], found[2]["fields"]["loss_value"]["last"]) == (["NaN"], "NaN")
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
    assert f"\nError: {folder}/flipped.cmeta: damaged: offset " in result.stderr
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
        (("-",), "<stdin>"),
        ((".", "--best", "val_accuracy"), "expected min:FIELD or max:FIELD"),
        ((".", "--best", "max:"), "expected min:FIELD or max:FIELD"),
        ((".", "--best", "max:val_acuracy"), "did you mean val_accuracy"),
        ((".", "--sort", "val_acuracy"), "'--sort': no run here has 'val_acuracy'"),
        ((".", "--sort", "los"), "'--sort': no run here has 'los'"),
        ((".", "--fields", "config.mode"), "'--fields': no run here has 'config.mode'"),
        ((".", "--where", "val_acuracy > 1"), "no run here has 'val_acuracy'"),
        ((".", "--where", "val_accuracy >"), "val_accuracy >"),
        (
            (".", "--where", "state == 'close'"),
            "state is never 'close'; it is one of: closed, open",
        ),
        ((".", "--where", "state in ('closed', 'opne')"), "did you mean open?"),
        ((".", "--where", "state == closed"), "a text is in quotes: 'closed'"),
        ((".", "--where", "val_accuracy = 1"), "a comparison is `==`"),
        ((".", "--where", "dream/loss > 1"), "no run here has 'dream'"),
        ((".", "--columns", "config.no"), "'--columns': no run here has 'config.no'"),
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
    assert (b"no room for validate/loss_value.min, config.lr, last_timestamp;" in stderr) == (
        width == 80
    )


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


def test_a_plain_name_says_for_which_phase_it_stands(cm, folder):
    result = cm("runs", folder, "--best", "min:loss", "--fields", "num_records")
    assert "validate/loss_value.min" in result.stdout.splitlines()[0]
    assert result.stderr == "Note: loss_value means validate/loss_value here\n"
    assert cm("runs", folder, "--best", "min:val/loss", "--fields", "num_records").stderr == ""
    cmeta.write(folder / "d.cmeta", {"phase": ["train"], "loss_value": [1.0]})
    result = cm("runs", folder, "--where", "loss < 2", "--fields", "loss_value")
    assert result.stdout.splitlines()[0].split() == ["file", "loss_value"]
    assert "validate/loss_value or train/loss_value, by what a run has, here" in result.stderr


def test_the_best_run_is_not_that_of_the_lowest_training_loss(cm, tmp_path):
    """A run that overfits has the lowest loss of all, in training."""
    for name, losses in {"overfit": [0.01, 4.0], "good": [0.5, 1.0]}.items():
        cmeta.write(tmp_path / f"{name}.cmeta", {"phase": ["train", "val"], "loss": losses})
    assert files(cm("runs", tmp_path, "--best", "min:loss_value"))[0] == "good.cmeta"
    assert files(cm("runs", tmp_path, "--best", "min:train/loss"))[0] == "overfit.cmeta"


@pytest.fixture
def sweep(tmp_path):
    """Runs with configurations as a trainer makes them: many keys, of which some tell runs apart."""
    for i in range(4):
        config = {f"option_{k}": k for k in range(120)} | {
            "lr": i / 10, "optimizer": ("adam", "sgd")[i % 2], "out": f"/data/{'x' * 30}/{i}",
            **{f"callback_{k}": {"id": i} for k in range(40)},
        }  # fmt: skip
        columns = {"phase": ["train"], "loss_value": [i / 4], "config": [0]}
        cmeta.write(tmp_path / f"{i}.cmeta", columns, None, [config])
    return tmp_path


def test_a_table_with_real_configurations_fits(cm, sweep):
    result = cm("runs", sweep)
    title = result.stdout.splitlines()[0]
    assert max(map(len, result.stdout.splitlines())) <= 120
    assert "config.lr" in title and "config.optimizer" not in title  # numbers first
    assert result.stderr.startswith("Note: no room for config.callback_")
    assert " more; --columns all, or --columns NAME,... shows them\n" in result.stderr
    chosen = cm("runs", sweep, "--columns", "config.optimizer,config.lr").stdout.splitlines()[0]
    assert chosen.split()[-3:] == ["config.optimizer", "config.lr", "last_timestamp"]
    every = cm("runs", sweep, "--columns", "all")
    assert every.stdout.splitlines()[0].count("config.") == 43 and not every.stderr


def test_records_that_were_moved_aside_are_no_run(cm, tmp_path):
    path = tmp_path / "run.cmeta"
    with cmeta.Recorder(path) as rec:
        for _ in range(5):
            rec.log("train")
    with cmeta.Recorder(path, mode="resume", resume_at=3) as rec:
        aside = rec.dropped_to
    assert files(cm("runs", tmp_path)) == ["run.cmeta"]
    assert files(cm("runs", tmp_path / "*.cmeta")) == [str(path)]
    assert files(cm("runs", aside)) == [str(aside)]
    assert files(cm("runs", tmp_path / "*.dropped-from-*")) == [str(aside)]


@pytest.mark.skipif(os.name != "posix", reason="names are bytes")
def test_a_name_that_is_not_utf_8_does_not_stop_the_list(cm, folder):
    os.rename(folder / "a.cmeta", os.fsencode(folder) + b"/\xff.cmeta")
    for _ in range(2):  # read, and from the catalogue
        assert len(files(cm("runs", folder))) == 3
        result = cm("runs", folder, "--json")
        assert (result.exit_code, len(result.stdout.splitlines())) == (0, 3)


def test_a_missing_file_is_one_row(cm, folder, monkeypatch):
    monkeypatch.chdir(folder)
    result = cm("runs", "missing.cmeta", "a.cmeta", "--fields", "state")
    assert result.exit_code == 2
    assert files(result) == ["missing.cmeta", "a.cmeta"]
    assert result.stderr == "Error: missing.cmeta: unreadable: No such file or directory\n"
