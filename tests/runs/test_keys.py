"""The names of the properties of runs."""

import math

import numpy as np
import pytest

from cmeta.errors import QueryError
from cmeta.query.parse import parse
from cmeta.tools.runs.keys import PROPERTIES, Keys, differing, in_order
from cmeta.tools.runs.run_info import RunField, RunInfo

NAN = math.nan
LOSS = RunField("f32", 3, float(np.float32(0.1)), -1.0, 1.0, 5, 6, 1)
RUNS = [
    RunInfo(
        "a", "closed", "", 90, 3, 1, 7, {"train": 3},
        {"loss_value": LOSS, "metrics.a.b": RunField("f64", 1, 0.1), "metrics.state": RunField("enum", 1, "x")},
        {"lr": 0.1, "net.width": 8, "on": True}, 1,
    ),
    RunInfo("b", "open", fields={"metrics.train/loss": RunField("f64", 1, 2.0, 2.0, 2.0), "step": RunField("u64", 1, 2**64 - 1)}, config={"lr": "auto", "on": 1}),
    RunInfo("c", "unreadable", "gone"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("file", ["a", "b", "c"]),
        ("state", ["closed", "open", "unreadable"]),
        ("problem", ["", "", "gone"]),
        ("num_records", [3, 0, 0]),
        ("last_timestamp", [7, None, None]),
        ("phases.train", [3, 0, 0]),
        ("phases.Training", [3, 0, 0]),
        ("loss", [pytest.approx(0.1), None, None]),
        ("loss.min", [-1.0, None, None]),
        ("min:loss", [-1.0, None, None]),
        ("config.lr", [0.1, "auto", None]),
        ("config.net.width", [8, None, None]),
        ("loss_value.min", [-1.0, None, None]),
        ("loss_value.max_timestamp", [6, None, None]),
        ("loss_value.num_nan", [1, None, None]),
        ("max:loss_value", [1.0, None, None]),
        ("train/loss", [None, 2.0, None]),
        ("metrics.train/loss.min", [None, 2.0, None]),
        ("a.b", [0.1, None, None]),
        ("metrics.state.last", ["x", None, None]),
        ("step", [None, 2**64 - 1, None]),
    ],
)
def test_values_by_name(name, values):
    assert Keys(RUNS).values(name) == values


def test_every_property_has_values():
    assert [len(Keys(RUNS).values(name)) for name in PROPERTIES] == [3] * len(PROPERTIES)


def test_a_metric_named_loss_beside_the_loss():
    metric = {"metrics.loss": RunField("f64", 1, 3.0)}
    alone = RunInfo("d", "closed", phases={"validate": 1}, fields=metric)
    alone.by_phase["validate"] = metric
    assert Keys([alone]).key("loss").name == "metrics.loss"
    keys = Keys([*RUNS, alone])
    for ask in (keys.key, keys.values):
        with pytest.raises(KeyError, match=r"'loss' may be loss_value or metrics\.loss"):
            ask("loss")
    with pytest.raises(QueryError, match=r"'loss' may be loss_value or metrics\.loss"):
        keys.select(parse("loss > 0"))
    assert "loss" in keys
    assert keys.key("val/loss").name == "validate/metrics.loss"


@pytest.mark.parametrize(
    "name", ["los_value", "loss_value.mim", "config.none", "mean:loss_value", "", ".min"]
)
def test_names_that_no_run_has(name):
    with pytest.raises(KeyError, match="no run here has"):
        Keys(RUNS).key(name)


def test_similar_names_are_suggested():
    with pytest.raises(KeyError, match="did you mean loss_value"):
        Keys(RUNS).key("max:los_value")


def test_a_short_name_of_two_groups_is_refused():
    runs = [RunInfo("a", "closed", fields={"x.n": LOSS, "y.n": LOSS})]
    with pytest.raises(KeyError, match=r"'n' may be x.n or y.n"):
        Keys(runs).key("n")
    assert Keys(runs).key("y.n").field == "y.n"


@pytest.mark.parametrize(
    ("condition", "selected"),
    [
        ("loss_value == 0.1", "a"),  # a float32
        ("metrics['train/loss'].max > 1 or state == 'unreadable'", "bc"),
        ("config.lr < 1", "a"),
        ("config.lr == 'auto'", "b"),
        ("not config.lr < 1", ""),  # unknown of the others
        ("config.net.width is None", "bc"),
        (f"step == {2**64 - 1}", "b"),
        ("num_records >= 0 and phases.train < 3", "bc"),
    ],
)
def test_conditions(condition, selected):
    mask = parse(condition).evaluate(Keys(RUNS).column)
    assert "".join(run.path for run, there in zip(RUNS, mask, strict=True) if there) == selected


def test_numbers_then_strings_then_nan_then_none():
    values = [None, "b", NAN, 2, "a", -math.inf, [1], True, None]
    assert in_order(values) == [5, 7, 3, 4, 1, 6, 2, 0, 8]
    assert in_order(values, reverse=True) == [6, 1, 4, 3, 7, 5, 2, 0, 8]
    assert in_order([1, 1, 1], reverse=True) == [0, 1, 2]


def test_keys_of_the_configuration_that_differ():
    def configured(*configs):
        return differing([RunInfo("a", "closed", config=config) for config in configs])

    assert configured({"a": 1, "b": [1, {"c": 2}]}, {"a": 1.0, "b": [1, {"c": 2}]}) == []
    assert configured({"on": True}, {"on": 1}) == ["on"]
    assert configured({"b": [1]}, {"b": [2]}) == ["b"]
    assert configured({"z": None, "a": 1}, {"a": "1"}) == ["a"]
    assert configured({"only": 0}, {}) == ["only"]
    assert configured({"one": 1}) == configured() == []
