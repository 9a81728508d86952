"""Keywords of `log` that are no fields: metrics if they have numbers, else an error."""

import warnings

import numpy as np
import pytest

import cmeta
from cmeta import CmetaWarning, EncodeError

SCHEMA = cmeta.default_schema().with_metrics(done={"type": "bool"})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.cmeta"


def bytes_of(path, *calls):
    """Return the file of some calls of `log`."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with cmeta.Recorder(path, SCHEMA, mode="replace") as rec:
            for fields in calls:
                rec.log("train", **fields)
    return path.read_bytes()


@pytest.mark.parametrize(
    "number", [0.1, 3, True, np.float32(0.5), np.array(2.0), None, np.ma.masked]
)
def test_a_keyword_with_a_number_is_a_metric(path, number):
    plain = bytes_of(path, {"loss": 0.5, "lr": number}, {"lr": 0.25})
    assert plain == bytes_of(
        path, {"loss": 0.5, "metrics": {"lr": number}}, {"metrics": {"lr": 0.25}}
    )
    assert plain == bytes_of(path, {"loss": 0.5, "metrics.lr": number}, {"metrics.lr": 0.25})


def test_a_declared_metric_keeps_its_type(path):
    given = {"entropy": 1.5, "state": "stable", "done": True}
    assert bytes_of(path, given) == bytes_of(path, {"metrics": given})


def test_a_cycle_takes_them_too(path):
    with cmeta.Recorder(path, seed=1) as rec, rec.cycle("train", lr=0.1) as c:
        c.log(loss=0.5, accuracy=0.75, metrics={"top5": 1.0})
    with cmeta.open(path) as run:
        (found,) = run
    assert dict(found.metrics) == {"lr": 0.1, "accuracy": 0.75, "top5": 1.0}


@pytest.mark.parametrize(
    ("name", "meant"),
    [("losss", "loss"), ("los", "loss"), ("steps", "step"), ("epohc", "epoch"), ("entropi", "entropy"),
     ("loss_valu", "loss_value")],
)  # fmt: skip
def test_a_keyword_that_is_almost_a_field_is_asked_about_once(path, name, meant):
    with cmeta.Recorder(path) as rec:
        with pytest.warns(CmetaWarning, match=f"'{name}' is not .* did you mean {meant}") as caught:
            rec.log("train", **{name: 0.0})
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            rec.log("train", **{name: 1.0})
            rec.log("train", **{name: 2.0})
            rec.log("train", metrics={"losss_of_mine": 1.0})
    assert len(caught) == 1
    assert caught[0].filename == __file__
    with cmeta.open(path) as run:
        assert [dict(record.metrics).get(name) for record in run] == [0.0, 1.0, 2.0, None]


@pytest.mark.parametrize("name", ["lr", "accuracy", "stepsize", "val_loss", "f1", "epochs_left"])
def test_other_names_are_not(path, name):
    assert bytes_of(path, {name: 1.0})


@pytest.mark.parametrize("value", ["fast", b"x", [1.0], {"a": 1}, object(), 1j, np.ones(3)])
def test_a_keyword_without_a_number_is_refused(path, value):
    with cmeta.Recorder(path) as rec:
        with pytest.raises(EncodeError, match=r"'losses' is not in the schema.*did you mean loss"):
            rec.log("train", losses=value)
        with pytest.raises(EncodeError, match="'stete' is not in the schema"):
            rec.log("train", stete=value)
        assert len(rec) == 0


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("hello", "as a metric: found 'hello', expected a number; keep text in the configuration"),
        (np.ones(3), r"as a metric: found shape \(3,\), expected a value of one element"),
    ],
)
def test_a_keyword_like_no_field_says_what_a_metric_is(path, value, words):
    with cmeta.Recorder(path) as rec:
        with pytest.raises(
            EncodeError, match=f"^field 'picture' is not in the schema, and {words}"
        ):
            rec.log("train", picture=value)
        assert len(rec) == 0


@pytest.mark.parametrize(
    ("given", "field"), [(({"loss": 1.0},), "phase"), (("train", {"loss": 1.0}), "timestamp")]
)
def test_values_without_names_are_refused_with_the_call_that_was_meant(path, given, field):
    with cmeta.Recorder(path) as rec:
        with pytest.raises(EncodeError, match=rf'^{field}: found a dict.*log\("train", \*\*values'):
            rec.log(*given)
        assert len(rec) == 0


def test_a_fraction_in_a_counter_is_refused_with_the_metric_that_keeps_it(path):
    with cmeta.Recorder(path) as rec:
        with pytest.raises(EncodeError, match=r"metrics=\{'epoch': \.\.\.\}"):
            rec.log("train", epoch=0.25)
        rec.log("train", metrics={"epoch": 0.25})
        assert rec.last.epoch is None
        assert rec.last.metrics["epoch"] == 0.25


@pytest.mark.parametrize(
    ("fields", "path_"),
    [
        ({"lr": 1.0, "metrics": {"lr": 1.0}}, "metrics.lr"),
        ({"lr": 1.0, "metrics.lr": 2.0}, "metrics.lr"),
        ({"entropy": 1.0, "metrics": {"entropy": 1.0}}, "metrics.entropy"),
        ({"loss": 1.0, "loss_value": 2.0}, "loss_value"),
        ({"loss": np.float32(1), "loss_value": 2}, "loss_value"),
    ],
)
def test_a_value_is_given_once(path, fields, path_):
    with cmeta.Recorder(path) as rec:
        with pytest.raises(EncodeError, match=f"{path_}: given under two names"):
            rec.log("train", **fields)
        assert len(rec) == 0
        rec.log("train", loss=None, loss_value=2.0, lr=None, metrics={"lr": 1.0})
        assert (rec.last.loss_value, dict(rec.last.metrics)) == (2.0, {"lr": 1.0})


def test_a_closed_group_takes_no_keyword(path, tmp_path):
    text = """
[enumerations.phase]
values = ["a", "b"]
[record]
batch_records = 16
fields = [
  { name = "timestamp", type = "u64", codec = ["split", "delta", "rice"] },
  { name = "phase", type = "enum", enumeration = "phase", codec = ["delta", "rice"] },
  { name = "x", type = "f32" },
]
"""
    (tmp_path / "s.toml").write_text(text)
    schema = cmeta.Schema.load(tmp_path / "s.toml")
    with (
        cmeta.Recorder(path, schema) as rec,
        pytest.raises(EncodeError, match="'lr' is not in the"),
    ):
        rec.log("a", lr=1.0)
