"""Files as other tools write them: what every column, phase and step becomes."""

import json
import re
import sys

import pytest

import cmeta


def keras(tmp_path, text):
    """The file of keras.callbacks.CSVLogger."""
    return text(
        "keras.csv",
        "epoch,accuracy,loss,val_accuracy,val_loss",
        "0,0.25,2.5,0.375,2.25",
        "1,0.5,1.5,0.625,1.75",
    )


def test_keras(imported, tmp_path, text):
    found = imported(keras(tmp_path, text))
    assert found.values("timestamp") == [0, 0, 1, 1]
    assert found.values("epoch") == [0, 0, 1, 1]
    assert found.values("phase") == ["train", "validate"] * 2
    assert found.values("loss_value") == [2.5, 2.25, 1.5, 1.75]
    assert found.values("metrics.accuracy") == [0.25, None, 0.5, None]
    assert found.values("metrics.val_accuracy") == [None, 0.375, None, 0.625]
    assert found.report.ok
    assert "the names give the phase validate: val_accuracy, val_loss" in found.report.notes
    assert "val_loss is loss_value" in found.report.notes


def test_lightning(imported, text):
    """CSVLogger writes validation in rows of its own, and leaves the other cells empty."""
    found = imported(
        text(
            "metrics.csv",
            "epoch,step,train_loss,val_acc,val_loss",
            "0,9,1.5,,",
            "0,19,1.25,,",
            "0,19,,0.5,1.75",
            "1,29,1.0,,",
        )
    )
    assert found.values("timestamp") == found.values("step") == [9, 19, 19, 29]
    assert found.values("phase") == ["train", "train", "validate", "train"]
    assert found.values("loss_value") == [1.5, 1.25, 1.75, 1.0]
    assert found.values("metrics.val_acc") == [None, None, 0.5, None]
    assert found.values("epoch") == [0, 0, 0, 1]


def test_the_download_of_tensorboard(imported, text):
    found = imported(
        text(
            "run.csv",
            "Wall time,Step,Value",
            "1710032400.25,10,0.5",
            "1710032300.5,20,0.25",
        )
    )
    assert found.values("timestamp") == found.values("step") == [10, 20]
    assert found.values("metrics.wall_time") == [1710032400.25, 1710032300.5]
    assert found.values("metrics.Value") == [0.5, 0.25]


def test_the_export_of_wandb(imported, text):
    found = imported(
        text(
            "wandb.csv",
            '"Step","test-run - loss","test-run - loss__MIN","test-run - val/acc"',
            '"0","2.5","2.5",""',
            '"10","1.5","1.25","0.5"',
        )
    )
    assert found.values("timestamp") == [0, 10, 10]
    assert found.values("phase") == ["train", "train", "validate"]
    assert found.values("metrics.test-run - loss__MIN") == [2.5, 1.25, None]
    assert found.values("metrics.test-run - val/acc") == [None, None, 0.5]


def test_the_monitor_of_stable_baselines(imported, text):
    found = imported(
        text(
            "monitor.csv",
            '#{"t_start": 1.5, "env_id": "X"}',
            "r,l,t",
            "-26.9,1600,15.8",
            "10,200,17.5",
        )
    )
    assert found.configs == ({"env_id": "X", "t_start": 1.5},)
    assert found.values("config") == [0, 0]
    assert found.values("metrics.r") == [-26.9, 10]
    both = imported(found.path.parent / "monitor.csv", config={"lr": 0.5})
    assert both.configs == ({"env_id": "X", "t_start": 1.5, "lr": 0.5},)


def test_the_progress_of_stable_baselines(imported, text):
    found = imported(
        text(
            "progress.csv",
            "rollout/ep_rew_mean,time/iterations,time/total_timesteps,train/loss,eval/mean_reward",
            "10.5,1,2048,,",
            "12.5,2,4096,0.25,11",
        )
    )
    assert found.values("timestamp") == found.values("step") == [2048, 4096, 4096]
    assert found.values("phase") == ["train", "train", "validate"]
    assert found.values("loss_value") == [None, 0.25, None]
    assert found.values("metrics.eval/mean_reward") == [None, None, 11]


def test_yolo_pads_names_and_cells(imported, text):
    found = imported(
        text(
            "results.csv",
            "                  epoch,         train/box_loss,   metrics/mAP50(B),    val/box_loss",
            "                      1,                 1.5,             0.25,      1.75",
        )
    )
    assert found.values("epoch") == [1, 1]
    assert found.values("phase") == ["train", "validate"]
    assert found.values("metrics.train/box_loss") == [1.5, None]
    assert found.values("metrics.val/box_loss") == [None, 1.75]
    assert found.values("metrics.metrics/mAP50(B)") == [0.25, None]


def test_fairseq_in_json(imported, text):
    prefix = "2026-01-01 10:00:00 | INFO |"
    found = imported(
        text(
            "train.log",
            "2026-01-01 09:59:59 | INFO | fairseq_cli.train | num. model params: 12,345",
            f'{prefix} train_inner | {{"epoch": 1, "loss": "9.5", "num_updates": "100"}}',
            f'{prefix} valid | {{"epoch": 1, "valid_loss": "8.5", "valid_num_updates": "100"}}',
            f'{prefix} train | {{"epoch": 1, "train_loss": "9.25", "train_num_updates": "100"}}',
        )
    )
    assert found.report.format == "log"
    assert found.values("timestamp") == [100, 100, 100]
    assert found.values("phase") == ["train", "train", "validate"]
    assert found.values("loss_value") == [9.5, 9.25, 8.5]
    assert any("1 line of text left out, the first: line 1" in note for note in found.report.notes)
    assert found.report.ok


def test_fairseq_in_text(imported, text):
    found = imported(
        text(
            "train.log",
            "| epoch 001:    100 / 5000 loss=9.5, ppl=1024, num_updates=100, lr=1e-05",
            "2026-01-01 10:00:00 | INFO | train | epoch 001 | loss 9.25 | num_updates 200",
            "| epoch 001 | valid on 'valid' subset | loss 8.5 | ppl 300 | num_updates 200",
        )
    )
    assert found.values("timestamp") == [100, 200, 200]
    assert found.values("phase") == ["train", "train", "validate"]
    assert found.values("loss_value") == [9.5, 9.25, 8.5]
    assert found.values("metrics.lr") == [1e-05, None, None]
    assert found.values("epoch") == [1, 1, 1]


def test_nanogpt(imported, text):
    found = imported(
        text(
            "train.log",
            "number of parameters: 10.65M",
            "step 0: train loss 10.9, val loss 10.95",
            "iter 0: loss 10.8750, time 2031.00ms, mfu -100.00%",
            "iter 10: loss 3.1250, time 20.50ms, mfu 5.25%",
            "saving checkpoint to out",
        )
    )
    assert found.values("timestamp") == found.values("step") == [0, 0, 0, 10]
    assert found.values("phase") == ["train", "train", "validate", "train"]
    assert found.values("loss_value") == [None, 10.875, 10.95, 3.125]
    assert found.values("metrics.train loss") == [10.9, None, None, None]
    assert found.values("metrics.time_ms") == [None, 2031, None, 20.5]
    assert found.values("metrics.mfu_percent") == [None, -100, None, 5.25]


def test_what_the_trainer_of_hugging_face_prints(imported, text):
    found = imported(
        text(
            "train.log",
            "  0%|          | 0/20 [00:00<?, ?it/s]",
            "{'loss': 2.5, 'grad_norm': nan, 'learning_rate': 5e-05, 'epoch': 0.5}",
            "{'eval_loss': '2.25', 'eval_runtime': '0.5', 'epoch': '0.5'}",
            "{'loss': 1.5, 'grad_norm': -inf, 'learning_rate': 0.0, 'epoch': 1.0}",
        )
    )
    assert found.report.format == "log"
    assert found.values("phase") == ["train", "validate", "train"]
    assert found.values("loss_value") == [2.5, 2.25, 1.5]
    assert str(found.values("metrics.grad_norm")) == "[nan, None, -inf]"
    assert found.values("metrics.epoch") == [0.5, 0.5, 1.0]
    assert imported(text("own.log", "{'loss': 2.5}")).values("loss_value") == [2.5]


def test_the_results_of_ray(imported, tmp_path):
    path = tmp_path / "result.json"
    results = [
        {
            "training_iteration": i + 1, "timestamp": 1710032400 - i, "date": "2026-01-01_10-00-00",
            "config": {"lr": 0.5}, "info": {"learner": {"loss": 2.5 - i}}, "done": False,
            "evaluation": {"reward": 10 + i},
        }
        for i in range(2)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(result) + "\n" for result in results))
    found = imported(path)
    assert found.values("timestamp") == found.values("step") == [1, 1, 2, 2]
    assert found.values("metrics.wall_time") == [1710032400] * 2 + [1710032399] * 2
    assert found.values("metrics.info/learner/loss") == [2.5, None, 1.5, None]
    assert found.values("metrics.evaluation/reward") == [None, 10, None, 11]
    assert found.configs == ({"lr": 0.5},)
    assert found.report.ok


@pytest.mark.parametrize(
    "document",
    [
        {"loss": [2.5, 1.5], "val_loss": [2.25, 1.75]},
        {"loss": ["2.5", "1.5"], "val_loss": ["2.25", "1.75"]},  # dumped with default=str
        {"loss": {"0": 2.5, "1": 1.5}, "val_loss": {"0": 2.25, "1": 1.75}},  # frame.to_json()
        [{"loss": 2.5, "val_loss": 2.25}, {"loss": 1.5, "val_loss": 1.75}],
        {"history": {"loss": [2.5, 1.5], "val_loss": [2.25, 1.75]}, "epoch": [0, 1],
         "params": {"epochs": 2}},
    ],
)  # fmt: skip
@pytest.mark.parametrize("indent", [None, 2])
def test_the_history_of_keras(imported, tmp_path, document, indent):
    path = tmp_path / "history.json"
    path.write_text(json.dumps(document, indent=indent))
    found = imported(path)
    assert found.report.format == "json"
    assert found.values("timestamp") == [0, 0, 1, 1]
    assert found.values("phase") == ["train", "validate"] * 2
    assert found.values("loss_value") == [2.5, 2.25, 1.5, 1.75]
    assert found.configs == (({"epochs": 2},) if "params" in document else ())
    assert found.report.ok


def test_a_long_history(imported, tmp_path):
    """Longer than what is looked at to find the format."""
    path = tmp_path / "history.json"
    losses = [i / 1024 for i in range(20000)]
    for document in ({"loss": losses}, [{"loss": loss} for loss in losses]):
        path.write_text(json.dumps(document))
        assert imported(path).values("loss_value") == losses


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ('{"loss": [1, 2], "acc": [1]}', "JSON of another kind, expected lists of numbers by name"),
        ('{"loss": [1, 2], "images": [[1], [2]]}', "JSON of another kind"),
        ('{"loss": [1, 2\n', "line 1, column 15: not JSON, or cut short"),
    ],
)
def test_other_documents(imported, text, document, message):
    with pytest.raises(cmeta.EncodeError, match=re.escape(message)):
        imported(text("history.json", document), format="json")


# ------------------------------------------------------------------------------------------ CSV


@pytest.mark.parametrize("timestamps", [(1710032400, 1710032300), (1710032400.5, 1710032300)])
def test_a_timestamp_of_another_tool_is_a_wall_time(imported, text, timestamps):
    first, second = timestamps
    for name, lines in (
        ("log.csv", ["timestamp,loss", f"{first},1", f"{second},0.5"]),
        ("log.jsonl", [f'{{"timestamp": {t}, "loss": {v}}}' for t, v in zip(timestamps, (1, 0.5), strict=True)]),
    ):  # fmt: skip
        found = imported(text(name, *lines))
        assert found.values("timestamp") == [0, 1]
        assert found.values("loss_value") == [1, 0.5]
        assert found.values("metrics.wall_time") == [first, second]


@pytest.mark.parametrize(
    "name",
    ["step", "Step", "STEP", "_step", "global_step", "Global Step", "iter", "Iteration",
     "num_updates", "training_iteration"],
)  # fmt: skip
def test_words_for_the_step(imported, text, name):
    found = imported(text("log.csv", f"{name},Loss,Epoch", "10,1.5,0", "20,1.25,1"))
    assert found.values("timestamp") == found.values("step") == [10, 20]
    assert found.values("loss_value") == [1.5, 1.25]
    assert found.values("epoch") == [0, 1]


def test_the_better_word_for_the_step_wins(imported, text):
    found = imported(text("log.csv", "iter,global_step,loss", "1,10,1.5", "2,20,1.25"))
    assert found.values("step") == [10, 20]
    assert found.values("metrics.iter") == [1, 2]


@pytest.mark.parametrize(
    ("name", "phase", "is_loss"),
    [
        ("Loss/test", "test", True), ("val_loss", "validate", True), ("eval_loss", "validate", True),
        ("test/acc", "test", False), ("Loss/train", "train", True), ("Val/Acc", "validate", False),
        ("lr", "train", False),
    ],
)  # fmt: skip
def test_names_give_the_phase(imported, text, name, phase, is_loss):
    found = imported(text("log.csv", f"step,{name}", "1,0.5"))
    assert found.values("phase") == [phase]
    assert found.values("loss_value" if is_loss else f"metrics.{name}") == [0.5]


def test_a_row_without_any_value_stays_a_record(imported, text):
    found = imported(text("log.csv", "step,loss,val_loss", "1,,", "2,,0.5"))
    assert found.values("step") == [1, 2]
    assert found.values("phase") == ["train", "validate"]


def test_a_phase_column_states_the_phases(imported, text):
    found = imported(text("log.csv", "Split,loss,val_loss", "Train,1,2", "Val,3,4"))
    assert found.values("phase") == ["train", "validate"]
    assert found.values("metrics.val_loss") == [2, 4]


@pytest.mark.parametrize("end", ["", "1.0,0.", "1.0", '1.0,"0', "1.0,0.5\r\n2.0,0."])
def test_a_last_line_without_an_end_is_left_out(imported, tmp_path, end):
    path = tmp_path / "log.csv"
    path.write_bytes(b"loss,acc\r\n1.5,0.125\r\n" + end.encode())
    found = imported(path)
    num_whole = end.count("\n")
    assert found.values("metrics.acc") == [0.125, 0.5][: 1 + num_whole]
    assert len(found.report.damage) == bool(end)
    assert all(f"line {3 + num_whole} has no end and may be cut off" in part
               for part in found.report.damage)  # fmt: skip


def test_a_file_without_names(imported, text):
    source = text("log.csv", "0,1.5,0.125", "1,1.25,0.25")
    with pytest.raises(
        cmeta.EncodeError, match=r"line 1: found the name '0', which is a number.*--names"
    ):
        imported(source)  # fmt: skip
    found = imported(source, names=["step", "loss", "acc"])
    assert found.values("step") == [0, 1]
    assert found.values("loss_value") == [1.5, 1.25]
    with pytest.raises(cmeta.EncodeError, match="line 1: found 3 cells, expected 2"):
        imported(source, names=["step", "loss"])


@pytest.mark.parametrize("word", ["", "NA", "N/A", "null", "None", "-", "<NA>", " na "])
def test_words_for_an_absent_value(imported, text, word):
    found = imported(text("log.csv", "loss,x", f"{word},1", f"1.5,{word}"))
    assert found.values("loss_value") == [None, 1.5]
    assert found.values("metrics.x") == [1, None]
    assert found.report.ok


def test_nan_is_a_value(imported, text):
    found = imported(text("log.csv", "loss,x", "nan,1"))
    assert found.values("loss_value")[0] != found.values("loss_value")[0]


def test_decimal_commas(imported, text):
    found = imported(text("log.csv", "epoch;loss;x", "0;1,5;-1,25e-3", "1;1,25;2"))
    assert found.values("loss_value") == [1.5, 1.25]
    assert found.values("metrics.x") == [-1.25e-3, 2]
    with pytest.raises(cmeta.EncodeError, match=r"found both 1,234 and 2\.5, expected either"):
        imported(text("log.csv", "epoch;loss", "0;1,234", "1;2.5"))


def test_a_repeated_line_of_names(imported, text):
    found = imported(text("log.csv", "epoch,loss", "0,1.5", "epoch,loss", "1,1.25"))
    assert found.values("epoch") == [0, 1]
    assert found.values("loss_value") == [1.5, 1.25]
    assert found.report.notes == ("1 repeated line of names skipped, the first: line 3",)


def test_what_excel_writes(imported, tmp_path):
    path = tmp_path / "log.csv"
    path.write_bytes("\ufeffsep=;\r\nstep;loss\r\n0;1,5\r\n".encode())
    assert imported(path).values("loss_value") == [1.5]


BAD = {
    "log.csv": ["step,loss", "0,1.5", "1", '2,"x"y', "3,1.25", "4,\udcff", "5,1.0"],
    "log.jsonl": ['{"step": 0, "loss": 1.5}', "{", "[1]", '{"step": 3, "loss": 1.25}', '{"\udcff": 1}',
                  '{"step": 5, "loss": 1.0}'],
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_lines_are_skipped_and_counted(imported, tmp_path, name):
    path = tmp_path / name
    path.write_text("\n".join(BAD[name]) + "\n", encoding="utf-8", errors="surrogateescape")
    with pytest.raises(cmeta.EncodeError, match=r"line \d.*--skip-bad-lines"):
        imported(path)
    found = imported(path, skip_bad_lines=True)
    assert found.values("step") == [0, 3, 5]
    assert found.values("loss_value") == [1.5, 1.25, 1.0]
    (damage,) = found.report.damage
    assert damage.startswith("3 bad lines skipped, the first: line ")


def test_a_quote_that_is_never_closed_costs_its_own_line_only(imported, text):
    lines = [f"{i},{i}.5" for i in range(100)]
    lines[3] = '3,"3.5'
    found = imported(text("log.csv", "step,loss", *lines), skip_bad_lines=True)
    assert found.values("step") == [i for i in range(100) if i != 3]
    assert found.report.damage[0].startswith("1 bad line skipped, the first: line 5: not CSV")


@pytest.mark.parametrize("line", ['{"loss": 1', '{"loss": 1,', '{"loss" 1}'])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_column_of_an_error_in_json(imported, tmp_path, line, end):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"loss": 1}\n' + (line + end).encode() + b'{"loss": 2}\n')
    with pytest.raises(json.JSONDecodeError) as expected:
        json.loads(line)
    with pytest.raises(cmeta.EncodeError, match=f"line 2, column {expected.value.colno}: not JSON"):
        imported(path, format="jsonl")


# ---------------------------------------------------------------------------- what is no table


@pytest.mark.parametrize("content", ["", "\n\n"])
@pytest.mark.parametrize("format_", [None, "csv", "jsonl", "log"])
def test_an_empty_text_is_refused(imported, tmp_path, content, format_):
    path = tmp_path / "thing.csv"
    path.write_text(content)
    with pytest.raises(cmeta.EncodeError, match=r"empty file|no line with a step"):
        imported(path, format=format_)


@pytest.mark.parametrize("name", ["notes.csv", "notes.txt", "notes.log"])
@pytest.mark.parametrize("format_", [None, "csv", "log"])
def test_prose_is_refused(imported, text, name, format_):
    lines = ["Dear all,", "epoch 3 was the best so far, I think.", "Bye, me"]
    with pytest.raises(cmeta.EncodeError):
        imported(text(name, *lines), format=format_)
    with pytest.raises(cmeta.EncodeError):
        imported(text(name, "one,two", "three,four", "five,six"), format=format_)


def test_a_table_of_text_alone_is_refused(imported, text):
    with pytest.raises(cmeta.EncodeError, match="found no number in 2 records with the names 'a'"):
        imported(text("log.csv", "a,b", "x,y", "x,z"))


# -------------------------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"run": "foo"}, r"run \(--run\) has no effect on a source of the format csv, only on"),
        ({"phase": ""}, "phase: found an empty word"),
        ({"phase": "trian"}, r"no phase 'trian' \(did you mean train\?\)"),
    ],
)
def test_options_without_effect_are_refused(imported, text, options, message):
    source = text("log.csv", "step,loss", "0,1.5")
    with pytest.raises(cmeta.EncodeError, match=message):
        imported(source, **options)


@pytest.mark.parametrize("option", [{"names": ["a"]}, {"run": "a"}])
def test_options_without_effect_on_json_lines(imported, text, option):
    with pytest.raises(cmeta.EncodeError, match="has no effect on a source of the format jsonl"):
        imported(text("log.jsonl", '{"loss": 1}'), **option)


def test_a_misspelled_phase_of_a_schema(imported, text):
    schema = cmeta.default_schema().with_phases("trian")
    found = imported(text("log.csv", "loss", "1"), phase="trian", schema=schema)
    assert found.values("phase") == ["trian"]


# ---------------------------------------------------------------------------------------- width


def test_more_columns_than_a_batch_has(tmp_path, text, monkeypatch):
    """The fields first, then the metrics in their order; one of another batch may still fit."""
    written = {}

    def write(path, chunks, *rest, **options):  # encoding takes seconds, and is tested elsewhere
        for chunk in chunks:
            written.update(chunk)
        return 65

    monkeypatch.setattr(sys.modules["cmeta.tools.imports.import_run"], "write", write)
    names = [f"m{i}" for i in range(5000)]
    wide = ",".join(["0.5", "0", *["1"] * 5000, ""])
    empty, late = (",".join(["0.5", "1", *[""] * 5000, last]) for last in ("", "2"))
    rows = [wide, *[empty] * 63, late]
    source = text("log.csv", ",".join(["loss", "step", *names, "last"]), *rows)
    schema = cmeta.default_schema().with_batch_records(64)
    report = cmeta.import_run(source, tmp_path / "out.cmeta", schema=schema)
    num_metrics = schema.format.limits.columns_max - schema.num_columns
    assert [name for name in written if name not in schema] == [
        *(f"metrics.m{i}" for i in range(num_metrics)), "metrics.last",
    ]  # fmt: skip
    (lost,) = report.lost
    assert lost.startswith(f"{5000 - num_metrics} metrics beyond the 4,096 columns of a batch")
    assert not report.ok
