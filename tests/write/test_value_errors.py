"""What `write` refuses: the message names field, what was found and what was expected."""

import numpy as np
import pytest
from msgspec.structs import replace

import cmeta


class Odd:
    """A value that is no number."""


class NoNumberAfterAll:
    """Its `item()` gives something else."""

    def item(self):
        return Odd()


# Field, what is given for two records, words of the message.
VALUES = {
    "a scalar": ("loss_value", 0.5, ["loss_value: found a float", "an array or a sequence"]),
    "a numpy scalar": ("loss_value", np.float64(0.5), ["loss_value: found shape ()", "(n,)"]),
    "a string": ("loss_value", "ab", ["loss_value: found a str", "an array or a sequence"]),
    "bytes": ("loss_value", b"ab", ["loss_value: found a bytes", "an array or a sequence"]),
    "a mapping": ("loss_value", {0: 1.0}, ["loss_value: found a dict", "an array or a sequence"]),
    "a generator": ("loss_value", (x for x in ()), ["loss_value: found a generator", "sequence"]),
    "None": ("loss_value", None, ["loss_value: found a NoneType", "an array or a sequence"]),
    "a set": ("loss_value", {0.5, 1.0}, ["loss_value: found a set", "an array or a sequence"]),
    "an array of None": ("loss_value", np.array(None), ["loss_value: found shape ()", "(n,)"]),
    "a matrix for numbers": (
        "loss_value", np.ones((2, 3)), ["loss_value: found shape (2, 3)", "(n,)"],
    ),
    "rows for numbers": ("loss_value", [[1, 2], [3, 4]], ["loss_value: found a list", "a number"]),
    "vectors among numbers": (
        "loss_value", [np.ones(2), 1.0], ["loss_value: found shape (2,)", "a value of one element"],
    ),
    "nothing among numbers": (
        "loss_value", [np.ones(0), 1.0], ["loss_value: found shape (0,)", "a value of one element"],
    ),
    "an object": ("loss_value", [Odd(), 1.0], ["loss_value: found a Odd", "expected a number"]),
    "what is no number after all": (
        "loss_value", [NoNumberAfterAll(), 1.0],
        ["loss_value: found a NoNumberAfterAll", "a number"],
    ),
    "names for numbers": ("loss_value", ["a", "b"], ["loss_value: found 'a'", "f32"]),
    "a name among numbers": ("loss_value", ["a", 0.5], ["loss_value: found 'a'", "f32"]),
    "complex numbers": ("loss_value", np.ones(2, complex), ["loss_value: found complex128", "f32"]),
    "a complex number": ("loss_value", [1j, 1.0], ["loss_value: found a complex", "a number"]),
    "dates": (
        "loss_value", np.array(["2026-01-01"] * 2, "M8[D]"),
        ["loss_value: found datetime64", "f32"],
    ),
    "a number for vectors": ("tensor_signature", [5, 5], ["tensor_signature: found a", "(3,)"]),
    "numbers for vectors": (
        "tensor_signature", np.ones(2), ["tensor_signature: found shape (2,)", "(n, 3)"],
    ),
    "short vectors": (
        "tensor_signature", np.ones((2, 2)), ["tensor_signature: found shape (2, 2)", "(n, 3)"],
    ),
    "a short vector": (
        "tensor_signature", [[1, 2, 3], [1, 2]], ["tensor_signature: found shape (2,)", "(3,)"],
    ),
    "a vector of vectors": (
        "tensor_signature", [[[1, 2], 2, 3], [1, 2, 3]],
        ["tensor_signature: found a list", "number"],
    ),
    "a vector that is absent in part": (
        "tensor_signature", np.ma.array(np.ones((2, 3)), mask=[[1, 0, 0], [0, 0, 0]]),
        ["tensor_signature: a vector is absent as a whole or not at all"],
    ),
    "floats for integers": ("step", [0.5, 1.0], ["step: found float64", "integers (u64)"]),
    "whole floats for integers": ("step", np.array([1.0, 2.0]), ["step: found float64", "u64"]),
    "a negative step": ("step", [-1, 1], ["step: found -1", "u64: 0 to 18446744073709551615"]),
    "a large epoch": ("epoch", [2**32, 1], ["epoch: found 4294967296", "u32: 0 to 4294967295"]),
    "a step beyond 64 bits": ("step", [2**64, 1], ["step: found", "18446744073709551616", "u64"]),
    "a step far below": ("step", [-(2**64), 1], ["step: found -18446744073709551616", "u64"]),
    "a negative and a huge step": ("step", [-1, 2**63], ["step: found -1", "u64"]),
    "an unknown state": (
        "metrics.state", ["stable", "calm"],
        ["metrics.state: found 'calm'", "stable, oscillating, degrading, diverging"],
    ),
    "an unknown code": ("metrics.state", [0, 4], ["metrics.state: found code 4", "0 to 3"]),
    "a negative code": ("metrics.state", [0, -1], ["metrics.state: found code -1", "0 to 3"]),
    "floats for codes": (
        "metrics.state", [0.0, 1.0], ["metrics.state: found float64", "names or codes"],
    ),
    "truths for codes": (
        "metrics.state", [True, False], ["metrics.state: found bool", "names or codes"],
    ),
    "an unknown state among codes": ("metrics.state", [0, "calm"], ["metrics.state: found 'calm'"]),
    "an undeclared name": ("metrics.note", ["a", "b"], ["metrics.note: found 'a'", "f64"]),
    "an undeclared integer that no float64 holds": (
        "metrics.count", [2**53 + 1, 0], ["metrics.count", "2^53", "declare the metric"],
    ),
    "a larger one": (
        "metrics.count", [2**60 + 1, 0], ["metrics.count", "2^53", "declare the metric"],
    ),
    "one among floats": ("metrics.count", [2**60 + 1, 0.5], ["metrics.count", "2^53"]),
    "an undeclared integer beyond all floats": (
        "metrics.count", [10**400, 0], ["metrics.count: found", "that float64 cannot hold"],
    ),
    "an undeclared integer of 65 bits": (
        "metrics.count", [2**64 + 1, 0], ["metrics.count", "found"],
    ),
    "too few": ("loss_value", [0.5], ["loss_value: 1 records, but phase has 2"]),
    "too many": ("loss_value", np.zeros(3), ["loss_value: 3 records, but phase has 2"]),
}  # fmt: skip


@pytest.mark.parametrize(("path", "given", "words"), VALUES.values(), ids=VALUES)
def test_values(refuse, path, given, words):
    refuse({"phase": ["train"] * 2, path: given}, words)


KNOWN = [
    "expected one of: timestamp, phase, metrics.entropy",
    "loss_value",
    "any metric as metrics.",
]
COLUMNS = {
    "an unknown field": ({"los": [1, 2]}, ["'los' is not", "did you mean loss_value", *KNOWN]),
    "a field under two names": (
        {"loss": [1, 2], "loss_value": [1, 2]}, ["loss_value: given under two names"],
    ),
    "an unknown group": ({"host.load": [1, 2]}, ["field 'host.load' is not in the schema", *KNOWN]),
    "a metric without a name": ({"metrics.": [1, 2]}, ["field 'metrics.' is not", *KNOWN]),
    "the group itself": ({"metrics": [1, 2]}, ["field 'metrics' is not in the schema", *KNOWN]),
    "a long metric": ({"metrics." + "ä" * 128: [1, 2]}, ["a name of 256 bytes, expected 1 to 255"]),
    "no UTF-8": ({"metrics.\ud800": [1, 2]}, ["'\\ud800'", "UTF-8"]),
    "an absent phase": ({"phase": ["train", None]}, ["phase: absent in a record", "every one"]),
    "an absent timestamp": ({"timestamp": [1, None]}, ["timestamp: absent in a record", "every"]),
    "an unknown phase": (
        {"phase": ["train", "tune"]},
        ["phase: found 'tune'", "dream, train, validate", 'schema.with_phases("...")'],
    ),
    "a timestamp before 0": ({"timestamp": [-1, 0]}, ["timestamp: found -1", "u64"]),
}  # fmt: skip


@pytest.mark.parametrize(("columns", "words"), COLUMNS.values(), ids=COLUMNS)
def test_columns(refuse, columns, words):
    refuse({"phase": ["train"] * 2} | columns, words)


def test_a_phase_is_required(refuse):
    refuse({"loss_value": [0.5]}, ["phase: missing; every record has a phase"])
    refuse({}, ["phase: missing; every record has a phase"])


def test_a_closed_group_takes_no_further_metrics(refuse):
    document = cmeta.default_schema().document
    groups = (replace(document.record.groups[0], open=False),)
    closed = replace(document, record=replace(document.record, groups=groups))
    schema = cmeta.Schema(closed, cmeta.default_schema().format)
    columns = {"phase": ["train"], "metrics.accuracy": [0.5]}
    refuse(columns, ["field 'metrics.accuracy' is not in the schema"], schema)


@pytest.mark.parametrize("given", [[0, 2], [-1, 0], np.array([3, 1], np.uint8)])
def test_truths(refuse, given):
    schema = cmeta.default_schema().with_metrics(done={"type": "bool"})
    words = ["metrics.done: found", "other than 0 and 1", "bool"]
    refuse({"phase": ["train"] * 2, "metrics.done": given}, words, schema)


PRESENT = {
    "numbers": ({"loss_value": [1, 0]}, ["present['loss_value']", "int64 (2,)", "bool (2,)"]),
    "too short": ({"loss_value": [True]}, ["present['loss_value']", "bool (1,)", "bool (2,)"]),
    "a matrix": ({"loss_value": np.ones((2, 2), bool)}, ["bool (2, 2)", "bool (2,)"]),
    "of no column": ({"coherence": [True, True]}, ["present names 'coherence'", "not among"]),
    "of an absent phase": ({"phase": [True, False]}, ["phase: absent in a record"]),
}


@pytest.mark.parametrize(("present", "words"), PRESENT.values(), ids=PRESENT)
def test_present(refuse, present, words):
    refuse({"phase": ["train"] * 2, "loss_value": [1, 2]}, words, present=present)


WHOLES = {
    "None": (None, ["columns: found a NoneType", "expected a mapping or an iterable"]),
    "a number": (5, ["columns: found a int", "expected a mapping or an iterable"]),
    "a string": ("run", ["columns: found a str among the chunks", "CycleRecord"]),
    "numbers": ([1, 2], ["columns: found a int among the chunks", "CycleRecord"]),
    "a number after records": (
        [{"phase": ["train"]}, cmeta.CycleRecord(phase="train"), 5],
        ["columns: found a int among the chunks"],
    ),
}


@pytest.mark.parametrize(("columns", "words"), WHOLES.values(), ids=WHOLES)
def test_what_is_no_columns(refuse, columns, words):
    refuse(columns, words)


def test_present_goes_with_one_mapping(refuse):
    refuse([{"phase": ["train"]}], ["present requires a single mapping"], present={"phase": [True]})
