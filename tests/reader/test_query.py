"""`Reader.query`: records by a condition, held against `read` and numpy."""

import numpy as np
import pytest

import cmeta
from cmeta.errors import LimitError, QueryError
from cmeta.query.parse import parse

NUM, PER_BATCH = 200, 16
CONFIGS = (
    {"lr": 0.1, "model": {"name": "mlp", "depth": 2}, "train.seed": 2**60 + 1},
    {"lr": "cosine", "model": {"name": "cnn"}},
)


@pytest.fixture
def path(tmp_path):
    place = np.arange(NUM)
    file = tmp_path / "run.cmeta"
    columns = {
        "timestamp": 10 * place,
        "phase": np.array(["train", "train", "validate"])[place % 3],
        "loss_value": np.ma.MaskedArray(np.float32(place), place % 7 == 0),
        "tensor_signature": np.stack([place, place * 2, -place], 1),
        "seed_state": np.uint64(2**64 - 1) - place.astype("u8"),
        "config": np.ma.MaskedArray((place > 99).astype(int), place < 20),
        "metrics.late": np.ma.MaskedArray(place / 3, place < 150),
        "metrics.train/loss": place / 2,
    }
    schema = cmeta.default_schema().with_batch_records(PER_BATCH)
    cmeta.write(file, columns, schema, CONFIGS)
    return file


PLACE = np.arange(NUM)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("loss_value < 50", (PLACE < 50) & (PLACE % 7 != 0)),
        ("not loss_value < 50", (PLACE >= 50) & (PLACE % 7 != 0)),
        ("loss_value is None", PLACE % 7 == 0),
        ("phase == 'validate' and timestamp >= 500", (PLACE % 3 == 2) & (PLACE >= 50)),
        ("100 < timestamp <= 200", (PLACE > 10) & (PLACE <= 20)),
        ("tensor_signature[2] == -7", PLACE == 7),
        ("seed_state == 18446744073709551614", PLACE == 1),
        ("late > 60", PLACE > 180),
        ("late is None", PLACE < 150),
        ("metrics['train/loss'] == 1.5", PLACE == 3),
        ("field['metrics.train/loss'] == 1.5", PLACE == 3),
        ("config.lr == 0.1", (PLACE >= 20) & (PLACE < 100)),
        ("config.lr == 'cosine'", PLACE >= 100),
        ("config.model.depth == 2", (PLACE >= 20) & (PLACE < 100)),
        ("config['model'].name == 'cnn'", PLACE >= 100),
        ("config['train.seed'] == 1152921504606846977", (PLACE >= 20) & (PLACE < 100)),
        ("config is None", PLACE < 20),
        ("config == 1", PLACE >= 100),
        ("timestamp < 0 or timestamp > 18446744073709551614", PLACE < 0),
        ("timestamp < 0", PLACE < 0),
        ("timestamp > 18446744073709551615", PLACE < 0),
        ("coherence > 0 or action_code == 'adjust_lr'", PLACE < 0),  # fields that never occur
        ("isnan(tensor_signature[0]) or epoch is not None", PLACE < 0),
    ],
)
def test_which_records(path, text, expected):
    with cmeta.open(path) as run:
        found = run.query(text, ["timestamp", "loss_value"])
        everything = run.read(["timestamp", "loss_value"])
    assert found["timestamp"].tolist() == everything["timestamp"][expected].tolist()
    assert np.array_equal(found["loss_value"], everything["loss_value"][expected], equal_nan=True)
    assert (
        found.present["loss_value"].tolist() == everything.present["loss_value"][expected].tolist()
    )


def test_together_with_range_and_phase(path):
    with cmeta.open(path) as run:
        found = run.query("loss_value >= 10", start=50, end=300, phase="validate", threads=2)
        assert found["timestamp"].tolist() == [110, 170, 200, 230, 260, 290]
        assert set(found["phase"]) == {"validate"}
        assert "metrics.late" not in found  # no such record has it
        again = run.query(
            parse("loss_value >= 10"), ["timestamp"], 50, 300, ["validate"], codes=True
        )
        assert again["timestamp"].tolist() == found["timestamp"].tolist()


def test_only_batches_that_may_hold_something_are_read(path):
    with cmeta.open(path) as run:
        run.query("timestamp == 500 and loss_value > 0", ["timestamp"])
        assert run.stats.num_batches == 2  # once for the condition, once for the answer
    with cmeta.open(path) as run:
        run.query("loss_value == 50", ["timestamp"])
        assert run.stats.num_batches == len(run.batches) + 1


def test_the_answer_counts_not_what_was_looked_at(path):
    with cmeta.open(path) as run:
        assert run.query("loss_value == 50", ["timestamp"], max_bytes=10)["timestamp"].tolist() == [
            500
        ]
        with pytest.raises(LimitError, match="max_bytes = 10"):
            run.query("loss_value > 50", ["timestamp"], max_bytes=10)


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("phase == 'trian'", 0, "phase is never 'trian'; it is one of: dream, train, validate"),
        ("loss_value > 1 and action_code in ('adjust_lr', 'x')", 19, "never 'x'"),
        (
            "1 < los_value",
            4,
            "no field 'los_value' (did you mean loss_value or metrics.loss_slope?); there are: timestamp",
        ),
        ("tensor_signature > 1", 0, "name one of its components: tensor_signature[0]"),
        ("tensor_signature[3] > 1", 0, "tensor_signature has components 0 to 2"),
        ("loss_value[0] > 1", 0, "no vector"),
        (
            "config.lrr > 1",
            0,
            "no configuration key 'lrr' (did you mean lr?); there are: lr, model, train.seed",
        ),
        ("config.model > 1", 0, None),
    ],
)
def test_what_the_file_does_not_have(path, text, column, message):
    with cmeta.open(path) as run:
        if message is None:  # a table is no value
            assert run.query(text, ["timestamp"]).num_records == 0
            return
        with pytest.raises(QueryError) as caught:
            run.query(text)
    assert message in caught.value.message
    assert caught.value.column == column


def test_a_name_of_two_groups(tmp_path):
    path = tmp_path / "two.cmeta"
    cmeta.write(path, {"phase": ["train"], "metrics.step": [7.0], "step": [1]})
    with cmeta.open(path) as run:
        assert run.query("step == 1 and metrics.step == 7").num_records == 1


def test_an_empty_and_an_open_file(tmp_path):
    path = tmp_path / "run.cmeta"
    cmeta.write(path, {"phase": []})
    with cmeta.open(path) as run:
        assert run.query("loss_value > 1 and config.lr > 1").num_records == 0
    path = tmp_path / "open.cmeta"
    with cmeta.Recorder(path) as rec:
        for i in range(20):
            rec.log("train", loss=i / 4, metrics={"own": i})
        rec.flush()
        with cmeta.open(path) as run:
            assert run.state == "open"
            assert (
                run.query("loss_value >= 4 and own != 17", ["step", "timestamp"])["timestamp"].size
                == 3
            )


def test_a_damaged_file_answers_as_read_does(path, tmp_path):
    torn = tmp_path / "torn.cmeta"
    with cmeta.open(path) as run:
        torn.write_bytes(path.read_bytes()[: run.batches[5].offset + 9])
    with cmeta.open(torn) as run, pytest.raises(cmeta.DecodeError):
        run.query("loss_value > 1")
    with cmeta.open(torn) as run:
        assert run.query("loss_value > 1", ["timestamp"], end=100)["timestamp"].tolist() == [
            20, 30, 40, 50, 60, 80, 90, 100
        ]  # fmt: skip
    with cmeta.open(torn, partial=True) as run:
        assert run.query("loss_value > 70", ["timestamp"])["timestamp"].max() == 790
