"""Words for phases mean the same in the files of every tool."""

import json
import re
import struct
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tensorboard.compat.proto.event_pb2 import Event
from wandb.proto.wandb_internal_pb2 import Record

import cmeta
from cmeta.tools.imports.formats import FORMATS
from cmeta.tools.imports.tensorboard import masked_crc


def csv(path, words):
    rows = [f"{word},{i / 4}" for i, word in enumerate(words)]
    path.write_text("\n".join(["split,loss", *rows, ""]))


def jsonl(path, words):
    rows = [{"split": word, "loss": i / 4} for i, word in enumerate(words)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def parquet(path, words):
    pq.write_table(pa.table({"split": words, "loss": [i / 4 for i in range(len(words))]}), path)


def trainer_state(path, words):
    history = [{"step": 0, f"{word}_loss": i / 4} for i, word in enumerate(words)]
    path.write_text(json.dumps({"log_history": history}))


def tensorboard(path, words):
    data = b""
    for i, word in enumerate(words):
        event = Event(step=0, wall_time=1.0)
        event.summary.value.add(tag=f"{word}/loss", simple_value=i / 4)
        body = event.SerializeToString()
        head = struct.pack("<Q", len(body))
        data += head + struct.pack("<I", masked_crc(head))
        data += body + struct.pack("<I", masked_crc(body))
    path.write_bytes(data)


def wandb(path, words):
    data = b":W&B\xe1\xbe\x00"
    for i, word in enumerate(words):
        record = Record()
        record.history.step.num = 0
        record.history.item.add(key=f"{word}/loss", value_json=str(i / 4))
        body = record.SerializeToString()
        crc = zlib.crc32(body, zlib.crc32(b"\x01"))
        data += struct.pack("<IHB", crc, len(body), 1) + body
    path.write_bytes(data)


def log(path, words):
    values = ", ".join(f"{word} loss {i / 4}" for i, word in enumerate(words))
    path.write_text(f"step 0: {values}\n")


def json_(path, words):
    columns = {"split": words, "loss": [i / 4 for i in range(len(words))]}
    path.write_text(json.dumps(columns))


json_.__name__ = "json"


def mlflow(path, words):
    (path / "metrics").mkdir(parents=True)
    (path / "meta.yaml").write_text("lifecycle_stage: active\n")
    for i, word in enumerate(words):
        (path / "metrics" / word).mkdir()
        (path / "metrics" / word / "loss").write_text(f"{i} {i / 4} 0\n")


def sacred(path, words):
    path.mkdir()
    (path / "run.json").write_text("{}")
    (path / "config.json").write_text("{}")
    rows = [
        {"values": [i / 4], "steps": [0], "timestamps": [f"2025-01-01T00:00:0{i}"]}
        for i in range(len(words))
    ]
    metrics = {f"{word}/loss": row for word, row in zip(words, rows, strict=True)}
    (path / "metrics.json").write_text(json.dumps(metrics))


WRITERS = (csv, jsonl, json_, log, parquet, trainer_state, tensorboard, wandb, mlflow, sacred)
TABLES = (csv, jsonl, json_, parquet)
PHASES = {
    "train": ["train", "training", "Train", "TRAINING"],
    "validate": [
        "validate", "val", "valid", "validation", "eval", "evaluate", "evaluation", "dev", "Val",
        "EVAL", "Validation",
    ],
    "test": ["test", "testing", "Test", "TESTING"],
    "predict": ["predict", "Predict"],
    "dream": ["dream"],
}  # fmt: skip


@pytest.fixture(params=WRITERS, ids=lambda writer: writer.__name__)
def writer(request):
    return request.param


@pytest.fixture
def of_words(imported, tmp_path):
    """Import a file with one loss for each word."""

    def run(writer, *words, **options):
        source = tmp_path / f"log.{writer.__name__}"
        writer(source, words)
        return imported(source, format=writer.__name__, **options)

    return run


def test_every_format_is_tested():
    assert {writer.__name__ for writer in WRITERS} == set(FORMATS)


@pytest.mark.parametrize(
    ("word", "phase"), [(word, phase) for phase, words in PHASES.items() for word in words]
)
def test_a_word_names_the_same_phase_everywhere(of_words, writer, word, phase):
    found = of_words(writer, word)
    assert found.values("phase") == [phase]
    assert found.values("loss_value") == [0]
    assert found.schema.phases == cmeta.default_schema().phases
    assert "appended" not in " ".join(found.report.notes)
    assert found.report.ok


def test_validation_and_test_stay_apart(of_words, writer):
    found = of_words(writer, "val", "test", "train")
    losses = dict(zip(found.values("phase"), found.values("loss_value"), strict=True))
    assert losses == {"train": 0.5, "validate": 0, "test": 0.25}


def test_what_is_measured_is_no_phase(of_words, writer):
    """``inference_loss`` is a metric of training; in a column of phases the word names one."""
    found = of_words(writer, "inference")
    assert found.values("phase") == ["predict" if writer in TABLES else "train"]


@pytest.mark.parametrize("word", ["val", "test", "Eval"])
def test_a_phase_of_the_schema_means_itself(of_words, writer, word):
    schema = cmeta.default_schema().with_phases(word)
    found = of_words(writer, word, schema=schema)
    assert found.values("phase") == [word]
    assert found.schema == schema
    assert "the phase" not in " ".join(found.report.notes)


def test_any_other_word_of_a_table_is_a_phase(of_words, writer):
    found = of_words(writer, "warmup")
    assert found.values("phase") == ["warmup" if writer in TABLES else "train"]
    assert ("the phase warmup was appended to the schema" in found.report.notes) == (
        writer in TABLES
    )


def test_two_words_for_one_phase_are_never_merged_silently(of_words, writer):
    """A table keeps both words as phases; in a log both stay in the names of the metrics."""
    found = of_words(writer, "val", "eval")
    if writer in TABLES:
        assert sorted(found.values("phase")) == ["eval", "val"]
        return
    assert found.values("phase") == ["validate"]
    kept = {name: found.values(name)[0] for name in found.report.fields if name.endswith("loss")}
    assert sorted(kept.values()) == [0, 0.25]
    assert "loss_value" not in found.report.fields


def test_a_given_schema_without_the_phase(of_words, writer, tmp_path):
    """A table states its phase; the name of a metric is only taken for one that the schema has."""
    text = Path(__file__).parents[2].joinpath("schema/cmeta_schema.toml").read_text("utf-8")
    own = tmp_path / "own.toml"
    own.write_text(re.sub(r'\n *{ name = "(test|predict)", doc.*', "", text), "utf-8")
    schema = cmeta.Schema.load(own)
    assert schema.phases == ("dream", "train", "validate")
    if writer in TABLES:
        with pytest.raises(cmeta.EncodeError, match=r"found the phase 'test'.*with_phases"):
            of_words(writer, "test", schema=schema)
        return
    found = of_words(writer, "test", schema=schema)
    assert found.values("phase") == ["train"]
    assert [name for name in found.report.fields if name.endswith("loss")] == [
        {trainer_state: "metrics.test_loss", log: "metrics.test loss"}.get(
            writer, "metrics.test/loss"
        )
    ]


def test_the_phase_that_is_asked_for(of_words, writer):
    found = of_words(writer, "" if writer in TABLES else "other", phase="Testing")
    assert found.values("phase") == ["test"]


def test_a_misspelled_phase_is_refused(of_words, writer):
    with pytest.raises(cmeta.EncodeError, match=r"no phase 'trian' \(did you mean train\?\)"):
        of_words(writer, "" if writer in TABLES else "other", phase="trian")


@pytest.mark.parametrize("writer", TABLES)
def test_a_misspelled_phase_in_a_table_is_not_appended_silently(of_words, writer):
    notes = of_words(writer, "trian").report.notes
    assert "the phase trian was appended to the schema; did you mean train?" in notes
