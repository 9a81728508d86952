"""What can be logged can be asked for: words for the loss and for phases, at every entrance."""

import numpy as np
import pytest

import cmeta

TRAIN, VALIDATE = [0.5, 0.25], [0.125]


@pytest.fixture
def path(tmp_path):
    """A run that was logged with words."""
    path = tmp_path / "run.cmeta"
    with cmeta.Recorder(path) as rec:
        for loss in TRAIN:
            rec.log("train", loss=loss, metrics={"accuracy": 1.0})
        rec.log("val", loss=VALIDATE[0])
    return path


@pytest.fixture
def run(path):
    """The run, open."""
    with cmeta.open(path) as run:
        yield run


def test_read(run):
    assert run.read(["loss"])["loss_value"].tolist() == [*TRAIN, *VALIDATE]
    assert run.read(["loss"], phase="val")["loss_value"].tolist() == VALIDATE
    assert run.read(["loss"], phase=["Eval", "training"]).num_records == 3
    assert list(run.read(["accuracy", "loss"])) == ["loss_value", "metrics.accuracy"]
    assert run.field("loss") == run.schema["loss_value"]


@pytest.mark.parametrize("word", ["val", "valid", "validation", "eval", "VALIDATE"])
def test_words_for_a_phase(run, word):
    assert [record.loss_value for record in run.query_range(None, None, word)] == VALIDATE
    assert [record.loss_value for record in run.records(phase=word)] == VALIDATE
    assert run.query(f"phase == {word!r}")["loss_value"].tolist() == VALIDATE
    assert run.query(f"phase != {word!r}")["loss_value"].tolist() == TRAIN
    assert run.query(f"phase in ({word!r}, 'train') and loss < 0.5").num_records == 2
    assert run.query("loss < 1", phase=word).num_records == 1


def test_a_result_answers_to_the_names_that_were_asked(run):
    found = run.read(["loss", "accuracy"])
    assert list(found) == ["loss_value", "metrics.accuracy"]
    assert found["loss"] is found["loss_value"]
    assert found["accuracy"] is found["metrics.accuracy"]
    assert found.present["loss"] is found.present["loss_value"]
    assert found.masked("accuracy").tolist() == [1.0, 1.0, None]
    assert "loss" in found
    assert "step" not in found
    with pytest.raises(
        KeyError, match=r"no field 'acuracy' with .* \(did you mean metrics.accuracy"
    ):
        found["acuracy"]


def test_a_text_is_one_name(run, path):
    assert list(run.read("loss")) == list(run.query("loss < 9", "loss_value")) == ["loss_value"]
    assert [field.name for field in cmeta.summarise(path, "accuracy")] == ["metrics.accuracy"]
    assert list(cmeta.diff(path, path, fields="loss").fields) == []
    with pytest.raises(KeyError, match="no field 'los'"):
        cmeta.diff(path, path, fields="los")


def test_a_summary_takes_the_names_of_metrics(path):
    assert cmeta.summarise(path)["training", "accuracy"].max == 1.0


def test_declared_metrics_are_written_by_their_names(tmp_path):
    for name in ("entropy", "metrics.entropy"):
        cmeta.write(tmp_path / name, {"phase": ["train"], name: [0.5]})
    record = cmeta.CycleRecord(phase="train", extra={"entropy": 0.5})
    cmeta.write(tmp_path / "records", [record])
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


def test_any_metric_is_written_by_its_plain_name(tmp_path):
    for name in ("acc", "metrics.acc"):
        cmeta.write(tmp_path / name, {"phase": ["train"], name: [0.5]})
    with cmeta.open(tmp_path / "acc") as run:
        assert run.read("acc")["acc"].tolist() == [0.5]
    assert (tmp_path / "acc").read_bytes() == (tmp_path / "metrics.acc").read_bytes()
    for name in ("losss", "stpe", "Epoch", "metrics"):
        with pytest.raises(cmeta.EncodeError, match=f"field '{name}' is not in the schema"):
            cmeta.write(tmp_path / "run", {"phase": ["train"], name: [0.5]})


@pytest.fixture
def odd(tmp_path):
    """A run whose metrics have names that are no names of Python."""
    path = tmp_path / "odd.cmeta"
    metrics = {"metrics.val/acc": [0.5, 0.75], "metrics.my metric": [1.0, 2.0]}
    cmeta.write(path, {"phase": ["train", "train"], **metrics})
    with cmeta.open(path) as run:
        yield run


@pytest.mark.parametrize(
    ("condition", "hint"),
    [
        ("val/acc > 0.6", r"no field 'val'; write val/acc as metrics\['val/acc'\]"),
        ("my metric > 1", r"not understood, a name with blanks or signs is written metrics\["),
        ("loss = 1", "a comparison is `==`"),
        ("loss < 1 && step > 1", "use `and`"),
        ("loss < 1 || step > 1", "use `or`"),
        ("loss < 1 AND step > 1", "lower-case"),
        ("loss <> 1", "use `!=`"),
        ("phase == validate", "a text is in quotes: 'validate'"),
        ("phase == val", "a text is in quotes: 'val'"),
        ("loss == null", "an absent value is None"),
        ("loss == nan", r"use isnan\(x\)"),
        ("loss == inf", r"use isinf\(x\)"),
        ("loss == true", "use True"),
    ],
)
def test_a_condition_in_another_language_gets_a_hint(odd, condition, hint):
    with pytest.raises(cmeta.QueryError, match=hint):
        odd.query(condition)


def test_names_with_signs_as_the_hint_says(odd):
    assert odd.query("metrics['val/acc'] > 0.6").num_records == 1
    assert odd.query("metrics['my metric'] > 0").num_records == 2


def test_the_help_of_query_has_the_language():
    for part in ("metrics['train/lr']", "isfinite", "is None", "in ('a', 'b')", "config.lr"):
        assert part in cmeta.Reader.query.__doc__


def test_arrow(run):
    pytest.importorskip("pyarrow")
    assert run.to_arrow(["loss"], phase="val")["loss_value"].to_pylist() == VALIDATE
    (batch,) = run.arrow_batches(["loss"], phase="val")
    assert batch["loss_value"].to_pylist() == VALIDATE


def test_write(tmp_path):
    given = {"phase": ["train", "eval"], "loss": np.ma.MaskedArray([0.5, 0.0], [False, True])}
    plain = {"phase": ["train", "validate"], "loss_value": given["loss"]}
    records = [
        cmeta.CycleRecord(phase="train", extra={"loss": 0.5}), cmeta.CycleRecord(phase="val")
    ]  # fmt: skip
    for name, columns in {"words": given, "plain": plain, "records": records}.items():
        cmeta.write(tmp_path / name, columns)
    masked = {"phase": ["train", "val"], "loss": [0.5, 0]}
    cmeta.write(tmp_path / "present", masked, present={"loss": np.array([True, False])})
    content = {path.read_bytes() for path in tmp_path.iterdir()}
    assert len(content) == 1


def test_two_names_for_one_field_are_refused(tmp_path):
    record = cmeta.CycleRecord(phase="train", loss_value=1.0, extra={"loss": 1.0})
    for rows in ({"phase": ["train"], "loss": [1], "loss_value": [1]}, [record]):
        with pytest.raises(cmeta.EncodeError, match="loss_value: given under two names"):
            cmeta.write(tmp_path / "run.cmeta", rows)


def test_a_name_that_the_file_has_means_itself(tmp_path):
    path = tmp_path / "run.cmeta"
    schema = cmeta.default_schema().with_phases("val")
    metrics = {"metrics.coherence": [1.0, 2.0], "coherence": [3.0, 4.0]}
    cmeta.write(path, {"phase": ["validate", "val"], **metrics}, schema)
    with cmeta.open(path) as run:
        assert run.read(["coherence"], phase="val")["coherence"].tolist() == [4.0]
        assert run.query("coherence > 1 and phase == 'val'")["coherence"].tolist() == [4.0]
        assert run.query("coherence > 1 and phase in ('validate', 'eval')").num_records == 1


@pytest.mark.parametrize("word", ["tune", "vall", "losss"])
def test_names_that_do_not_exist(run, word):
    with pytest.raises(ValueError, match=f"no phase '{word}'.*; there are: dream, train"):
        run.read(phase=word)
    with pytest.raises(cmeta.QueryError, match=f"phase is never '{word}'"):
        run.query(f"phase == '{word}'")


def test_a_misspelled_phase_in_a_query(run):
    with pytest.raises(cmeta.QueryError, match=r"never 'trian'; .*; did you mean train\?"):
        run.query("phase == 'trian'")


@pytest.mark.parametrize("name", ["losss", "loss_vlaue", "LOSS_VALUE"])
def test_did_you_mean(run, path, name):
    message = rf"no field '{name}' \(did you mean .*loss_value.*\?\); there are: timestamp, phase"
    for ask in (run.read, run.to_arrow, run.arrow_batches):
        with pytest.raises(KeyError, match=message) as caught:
            ask([name])
        assert str(path) in caught.value.args[0]
    with pytest.raises(cmeta.QueryError, match=message):
        run.query(f"{name} < 1")
    with pytest.raises(cmeta.EncodeError, match=r"did you mean .*loss_value"):
        cmeta.write(path, {"phase": ["train"], name: [1.0]})
    with pytest.raises(cmeta.EncodeError, match=r"found 'vall', .*did you mean validate"):
        cmeta.write(path, {"phase": ["vall"]})


def test_a_name_in_two_groups(tmp_path):
    path = tmp_path / "run.cmeta"
    cmeta.write(path, {"phase": ["train"], "coherence": [1.0], "metrics.coherence": [2.0]})
    with cmeta.open(path) as run:
        assert run.read(["coherence"])["coherence"].tolist() == [1.0]


def test_undeclared_metrics_do_not_depend_on_what_was_asked_before(path):
    with cmeta.open(path) as run, cmeta.open(path) as other:
        _ = other.names
        fields = [[field.path for field in reader.batch(0).fields] for reader in (run, other)]
    assert fields[0] == fields[1]
    assert "metrics.accuracy" in fields[0]


@pytest.mark.parametrize("is_asked_before", [False, True])
def test_a_damaged_name_matters_only_where_it_is_needed(path, is_asked_before):
    data = bytearray(path.read_bytes())
    data[data.rindex(b"accuracy")] ^= 1
    with cmeta.open(bytes(data)) as run:
        if is_asked_before:
            with pytest.raises(cmeta.ChecksumError):
                _ = run.names
        assert run.read(["loss_value", "phase"]).num_records == 3
        assert run.batch(0).has(run.schema["loss_value"])
        with pytest.raises(cmeta.ChecksumError, match="NAME"):
            _ = run.batch(0).fields
        for ask in (run.records, run.query_range):
            with pytest.raises(cmeta.ChecksumError, match="NAME"):
                list(ask(0, 9))


@pytest.fixture(params=["closed", "open"])
def two(tmp_path, request):
    """A run with a loss, a metric of that name in another phase, and one more metric."""
    path = tmp_path / "two.cmeta"
    rec = cmeta.Recorder(path)
    rec.log("train", loss=0.5)
    rec.log("val", metrics={"loss": 0.25, "acc": 1.0})
    if request.param == "closed":
        rec.close()
    yield path
    rec.close()


REMEDY = "'loss' may be loss_value or metrics.loss; use one of these names"


def test_a_name_of_two_fields_that_occur_is_refused(two):
    with cmeta.open(two) as run:
        columns = run.read()
        for ask in (
            lambda: run.read(["loss"]),
            lambda: run.field("loss"),
            lambda: run.query("acc > 0", ["loss"]),
            lambda: columns["loss"],
            lambda: columns.present["loss"],
            lambda: columns.masked("loss"),
            lambda: columns.get("loss"),
            lambda: "loss" in columns,
            lambda: cmeta.summarise(run, ["loss"]),
            lambda: cmeta.diff(two, two, fields=["loss"]),
            lambda: run_info(two)["loss"],
        ):
            with pytest.raises(KeyError, match=REMEDY):
                ask()
        with pytest.raises(cmeta.QueryError, match=REMEDY):
            run.query("loss > 0")
        assert run.query("loss_value > 0 or metrics.loss > 0").num_records == 2
        assert run.read(["metrics.loss", "loss_value"]).num_records == 2


def run_info(path):
    """Return the description of a run, as `scan` gives it."""
    return cmeta.scan(path)[0]


def test_of_two_names_the_one_that_occurs_is_meant(two, tmp_path):
    with cmeta.open(two) as run:
        assert run.read(["loss_value", "metrics.loss"], phase="val")["loss"].tolist() == [0.25]
    assert cmeta.summarise(two)["train", "loss"].max == 0.5
    assert cmeta.summarise(two)["val", "loss"].max == 0.25
    assert run_info(two)["val/loss"].last == 0.25
    metric = tmp_path / "metric.cmeta"
    cmeta.write(metric, {"phase": ["val"], "metrics.loss": [0.125]})
    with cmeta.open(metric) as run:
        assert run.read(["loss"])["loss"].tolist() == [0.125]
        assert run.query("loss > 0").num_records == 1


def test_two_files_that_mean_other_fields_by_a_name(two, tmp_path):
    value, metric = tmp_path / "value.cmeta", tmp_path / "metric.cmeta"
    cmeta.write(value, {"phase": ["val"], "loss_value": [0.125]})
    cmeta.write(metric, {"phase": ["val"], "metrics.loss": [0.25]})
    with pytest.raises(KeyError, match=REMEDY):
        cmeta.diff(value, metric, fields=["loss"])
    assert not cmeta.diff(value, metric, fields=["loss_value"]).identical
