"""JSON lines of other tools: names, times, phases, and reports of losses."""

import json
import math

import numpy as np
import orjson
import pytest

import cmeta

NAN, INF = math.nan, math.inf


def lines(path, records, dumps=json.dumps):
    """Write records by a JSON library of somebody else's."""
    text = [dumps(record) for record in records]
    text = [line.decode() if isinstance(line, bytes) else line for line in text]
    path.write_text("".join(f"{line}\n" for line in text), encoding="utf-8")
    return path


@pytest.mark.parametrize("dumps", [json.dumps, orjson.dumps], ids=["json", "orjson"])
def test_a_training_log(imported, tmp_path, dumps):
    records = [{"step": i, "loss": 1 / (i + 3), "lr": 1e-3, "epoch": i // 4} for i in range(10)]
    records[7]["val_acc"] = 2 / 3
    found = imported(lines(tmp_path / "log.jsonl", records, dumps))
    assert found.report.format == "jsonl"
    assert found.report.ok
    steps = [*range(8), 7, 8, 9]
    assert found.values("timestamp") == found.values("step") == steps
    assert found.values("phase") == ["train"] * 8 + ["validate"] + ["train"] * 2
    losses = [record["loss"] for record in records]
    assert found.values("loss_value") == [*losses[:8], None, *losses[8:]]
    assert found.values("epoch") == [step // 4 for step in steps]
    assert found.values("metrics.lr") == [1e-3] * 8 + [None] + [1e-3] * 2
    assert found.values("metrics.val_acc") == [None] * 8 + [2 / 3, None, None]


def test_non_finite_values_of_python_and_of_cmeta(imported, text):
    source = text(
        "log.jsonl",
        '{"loss": NaN, "x": -Infinity}',
        '{"loss": "NaN", "x": "Infinity"}',
        '{"loss": null, "x": "-Infinity"}',
        '{"loss": 0.5}',
    )
    found = imported(source)
    np.testing.assert_array_equal(found.values("loss_value")[:2], [NAN, NAN])
    assert found.values("loss_value")[2:] == [None, 0.5]
    assert found.values("metrics.x") == [-INF, INF, -INF, None]
    assert found.report.ok


def test_losses_stay_as_they_are_down_to_the_last_bit(imported, tmp_path):
    losses = [0.1 + 0.2, 1e-300, 5e-324, -0.0, 1.7976931348623157e308, math.pi]
    found = imported(lines(tmp_path / "log.jsonl", [{"loss": loss} for loss in losses]))
    assert found.columns["loss_value"].tobytes() == np.array(losses).tobytes()
    assert found.schema["loss_value"].type_name == "f64"
    assert any("loss_value is declared f64 exact" in note for note in found.report.notes)


def test_float32_losses_stay_float32(imported, tmp_path):
    losses = [float(value) for value in np.float32([0.1, 1e-7, 1 / 3])]
    found = imported(lines(tmp_path / "log.jsonl", [{"loss": loss} for loss in losses]))
    assert found.values("loss_value") == losses
    assert found.schema["loss_value"].type_name == "f32"
    assert found.schema["loss_value"].exact


def test_values_that_a_given_schema_rounds_are_reported(imported, text):
    source = text("log.jsonl", '{"loss": 0.123456789}', '{"loss": 0.5}')
    found = imported(source, schema=cmeta.default_schema())
    assert found.schema == cmeta.default_schema()
    (lost,) = found.report.lost
    assert lost.startswith(
        "loss_value: 1 value rounded, as the schema requires; the largest change is from"
    )
    assert not found.report.ok


def test_a_history_of_wandb(imported, tmp_path):
    records = [
        {"_step": 5 * i, "_timestamp": 1.76e9 + i / 8, "_runtime": i / 8, "train/loss": 0.25}
        for i in range(4)
    ]
    found = imported(lines(tmp_path / "history.jsonl", records))
    assert found.values("timestamp") == found.values("step") == [0, 5, 10, 15]
    assert found.values("metrics.wall_time") == [record["_timestamp"] for record in records]
    assert found.values("metrics._runtime") == [0, 0.125, 0.25, 0.375]
    assert found.values("loss_value") == [0.25] * 4
    assert "train/loss is loss_value" in found.report.notes


def test_dates_are_wall_times(imported, text):
    source = text(
        "log.jsonl",
        '{"timestamp": "2025-01-01T00:00:00.250+00:00", "loss": 1}',
        '{"timestamp": "2025-01-01T02:00:01+02:00", "loss": 2}',
    )
    found = imported(source)
    assert found.values("timestamp") == [0, 1]
    assert found.values("metrics.wall_time") == [1735689600.25, 1735689601.0]
    assert found.report.ok


def test_nested_objects_lists_and_configurations(imported, text):
    source = text(
        "log.jsonl",
        '{"train": {"loss": 1, "deep": {"x": 2}}, "metrics": {"entropy": 0.5, "a.b/c": 3}}',
        '{"tensor_signature": [0.5, "NaN", -1], "config": {"lr": 0.1, "big": 1e300}}',
        '{"config": {"big": 1e300, "lr": 0.1}, "tensor_signature": null}',
        '{"config": {"lr": 0.2}}',
    )
    found = imported(source)
    assert found.values("loss_value") == [1, None, None, None]
    assert found.values("metrics.train/deep/x") == [2, None, None, None]
    assert found.values("metrics.entropy") == [0.5, None, None, None]
    assert found.values("metrics.a.b/c") == [3, None, None, None]
    np.testing.assert_array_equal(found.values("tensor_signature")[1], [0.5, NAN, -1])
    assert found.values("config") == [None, 0, 0, 1]
    assert found.configs == ({"big": 1e300, "lr": 0.1}, {"lr": 0.2})


def test_a_configuration_for_records_without_one(imported, text):
    source = text("log.jsonl", '{"loss": 1, "config": {"lr": 2}}', '{"loss": 1}')
    found = imported(source, config={"lr": 3})
    assert [found.configs[i]["lr"] for i in found.values("config")] == [2, 3]
    found = imported(text("plain.jsonl", '{"loss": 1}'), config={"lr": 3})
    assert found.values("config") == [0]
    assert found.configs == ({"lr": 3},)


def test_integers_beyond_float64_keep_every_digit(imported, text):
    source = text(
        "log.jsonl",
        '{"seed": 18446744073709551615, "tokens": 9007199254740993, "low": -9223372036854775808}',
        '{"seed": "0x9E3779B97F4A7C15", "tokens": 1, "low": 1}',
        '{"tokens": null}',
    )
    found = imported(source)
    assert found.values("seed_state") == [2**64 - 1, 0x9E3779B97F4A7C15, None]
    assert found.values("metrics.tokens") == [2**53 + 1, 1, None]
    assert found.values("metrics.low") == [-(2**63), 1, None]
    assert found.schema["metrics.tokens"].type_name == "i64"


def test_a_float_field_takes_no_integer_that_it_would_round(imported, text):
    found = imported(text("log.jsonl", '{"loss": 9007199254740993}', '{"loss": 9007199254740992}'))
    assert found.values("metrics.loss") == [2**53 + 1, 2**53]
    assert "loss_value" not in found.columns


def test_an_integer_that_no_type_can_hold_is_reported(imported, text):
    source = text("log.jsonl", '{"x": 36893488147419103233}', '{"x": 0.5}')
    found = imported(source)
    assert found.values("metrics.x") == [None, 0.5]
    assert "x: an integer outside the 64-bit range" in found.report.lost[0]
    assert "(line 1)" in found.report.lost[0]


def test_what_is_no_number_is_said_and_the_rest_is_kept(imported, text):
    source = text(
        "log.jsonl",
        '{"loss": 1.5, "ok": true, "note": "warm-up", "images": [1, 2]}',
        '{"loss": 0.5, "ok": false, "note": 3, "": 1}',
    )
    found = imported(source)
    assert found.values("metrics.ok") == [1, 0]
    assert found.values("metrics.note") == [None, 3]
    assert found.report.notes == (
        "ok: true and false are kept as 1 and 0",
        "images: list of 1 record is not kept, such as [1, 2] (line 1)",
    )
    assert found.report.lost == (
        "note: text of 1 record is not kept, such as 'warm-up' (line 1)",
        "'': a name must have 1 to 255 bytes, and has 0",
    )


def test_a_name_that_misleads_becomes_a_metric_beside_the_field(imported, text):
    source = text("log.jsonl", '{"state": 7, "epoch": 0.5, "loss": 1, "loss_value": 2}')
    found = imported(source)
    assert found.values("metrics.state_") == [7]
    assert found.values("metrics.epoch") == [0.5]
    assert found.values("loss_value") == [2]
    assert found.values("metrics.loss") == [1]
    assert any("epoch is a metric and not the field epoch: line 1 has 0.5" in note
               for note in found.report.notes)  # fmt: skip


def test_phases_by_their_names(imported, text):
    source = text(
        "log.jsonl", '{"split": "train"}', '{"split": "val"}', '{"split": "test"}', '{"x": 1}'
    )
    found = imported(source)
    assert found.values("phase") == ["train", "validate", "test", "train"]
    assert found.schema.phases == cmeta.default_schema().phases
    assert imported(source, phase="probe").values("phase")[3] == "probe"


def test_two_words_for_a_phase_stay_two(imported, text):
    found = imported(text("log.jsonl", '{"phase": "val"}', '{"phase": "eval"}'))
    assert found.values("phase") == ["val", "eval"]


def test_a_phase_that_a_given_schema_lacks(imported, text):
    source = text("log.jsonl", '{"phase": "tset"}')
    message = r"found the phase 'tset'.*; did you mean test\?; append it with schema.with_phases"
    with pytest.raises(cmeta.EncodeError, match=message):
        imported(source, schema=cmeta.default_schema())


def test_records_are_sorted_stably_with_a_note(imported, text):
    source = text(
        "log.jsonl",
        '{"step": 2, "x": 0}', '{"step": 1, "x": 1, "phase": "validate"}', '{"step": 1, "x": 2}',
        '{"step": 1, "x": 3}', '{"x": 4}',
    )  # fmt: skip
    found = imported(source)
    assert found.values("timestamp") == [1, 1, 1, 1, 2]
    assert found.values("metrics.x") == [2, 3, 4, 1, 0]
    assert "sorted by (timestamp, phase): 2 records came after a later one" in found.report.notes
    assert "1 record without step: that of the record before is used" in found.report.notes


def test_a_last_line_that_was_cut_off(imported, text):
    source = text("log.jsonl", '{"loss": 1}', '{"loss": 0.', end="")
    found = imported(source)
    assert found.values("loss_value") == [1]
    assert found.report.damage == ("line 2 is cut off: 11 bytes",)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{'loss': 1}", "line 2, column 2: not JSON"),
        ("[1, 2]", r"line 2: found a list, expected one JSON object a line; .*jq"),
        ("17", "line 2: found a number, expected one JSON object a line"),
        ('{"a/b": 1, "a": {"b": 2}}', "line 2: found 'a/b' twice"),
        ("[" * 100000, "line 2: not JSON: nested too deeply"),
        ('{"a":' * 40 + "1" + "}" * 40, "line 2: nested beyond 32 levels"),
        ('{"config": {"x": ' + "[" * 40 + "]" * 40 + "}}", "line 2, config.*nested too deeply"),
    ],
)
def test_a_line_without_a_record(imported, text, line, message):
    source = text("log.jsonl", '{"loss": 1}', line, '{"loss": 1}')
    with pytest.raises(cmeta.EncodeError, match=message) as caught:
        imported(source, format="jsonl")
    assert str(source) in str(caught.value)


def test_bytes_that_are_not_utf8(imported, tmp_path):
    source = tmp_path / "log.jsonl"
    source.write_bytes(b'{"loss": 1}\n{"l\xff": 1}\n')
    with pytest.raises(cmeta.EncodeError, match="line 2, byte 4: not UTF-8"):
        imported(source)


def test_blank_lines_a_mark_and_many_blocks(imported, tmp_path):
    source = tmp_path / "log.jsonl"
    records = [{"step": i, "late": i / 8} if i > 9000 else {"step": i} for i in range(10000)]
    text = "\r\n\r\n".join(map(json.dumps, records))
    source.write_text("\ufeff" + text, encoding="utf-8")
    found = imported(source)
    assert found.values("step") == list(range(10000))
    assert found.values("metrics.late")[9000:9002] == [None, 9001 / 8]


def test_no_records_at_all(imported, text):
    source = text("log.jsonl", "", end="")
    with pytest.raises(cmeta.EncodeError, match="found an empty file, expected one JSON object"):
        imported(source, format="jsonl")
    with pytest.raises(cmeta.EncodeError, match="found an empty file, expected a file of one of"):
        imported(source)
