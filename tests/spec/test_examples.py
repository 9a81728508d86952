"""The worked examples of SPEC.md, held against the library and against the plain writer.

An example is a fenced block ``json example``; `example` names what it shows.
"""

import ast
import json
import re

import numpy as np
import plain_writer
import pytest

from cmeta.format import planner
from cmeta.format.checksum import Checksum
from cmeta.format.column import PhaseCodes, encode_column
from cmeta.format.grammar import grammar_of
from cmeta.format.stages import classes, delta, fixed_point, lossless, palette, rice, runs
from cmeta.format.stages import sparse as sparse_stage
from cmeta.format.stages.bits import pack_fields, pack_unary
from cmeta.format.stages.runs import RunHeader
from cmeta.format.stages.split import order_of
from cmeta.records.chunk import Column
from cmeta.schema import canonical_json
from cmeta.schema.load import shipped_format
from cmeta.schema.types import Field

FORMAT = shipped_format()
CODECS = FORMAT.codecs
QUANTA = CODECS.quantise.quanta_per_unit
EXPECTED = {
    "checksum": 1,
    "json": 1,
    "class": 1,
    "fixed_point": 1,
    "lossless": 3,
    "palette": 1,
    "split": 1,
    "delta": 4,
    "sparse": 1,
    "rice": 2,
    "price": 1,
    "arrange": 1,
}


@pytest.fixture(scope="module")
def examples(text):
    found = re.findall(r"^```json example\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [json.loads(block) for block in found]


def test_every_stage_has_its_examples(examples):
    names = [example["example"] for example in examples]
    assert {name: names.count(name) for name in names} == EXPECTED


@pytest.mark.parametrize("name", EXPECTED)
def test_examples_are_what_the_library_does(examples, name):
    for example in examples:
        if example["example"] == name:
            CHECKS[name](example)


def check_checksum(example):
    crc = Checksum(FORMAT.checksum)
    for string in example["strings"]:
        data = string.encode()
        own = crc(data).to_bytes(8, "little")
        assert crc(data + own) == int(example["crc_with_own_crc"], 16)
    found = crc(b"123456789")
    assert found == int(example["crc_of_123456789"], 16)
    assert crc.mask(found) == int(example["masked_crc_of_123456789"], 16)


def check_json(example):
    value = eval(example["python"], {"float": float})
    data = canonical_json.dumps(value, FORMAT.limits, "example")
    assert data.decode() == example["canonical"]
    assert ast.literal_eval(repr(canonical_json.loads(data, FORMAT.limits))) == json.loads(data)


def check_class(example):
    cells = [special(cell) for cell in example["cells"]]
    present = np.array([cell is not None for cell in cells])
    values = np.array([0 if cell is None else cell for cell in cells], example["type"][0] + "4")
    codes = classes.encode(values, present, CODECS.classes)
    assert codes.tolist() == example["classes"]
    finite = fixed_point.encode(values[codes == 0], QUANTA, CODECS.quantise.product_bits)
    assert finite.tolist() == example["integers"]
    parts = ("flags", "class_stream", "integer_stream")
    column = hex_bytes("".join(example[part] for part in parts))
    field = Field("x", example["type"], chain=CODECS.defaults.float, quanta_per_unit=QUANTA)
    assert build(field, values, present) == column
    plain = plain_writer.column(
        cells, example["type"], [0] * len(cells), field.chain, quanta=QUANTA
    )
    assert plain == column


def check_fixed_point(example):
    dtype, quanta = dtype_of(example), example["quanta_per_unit"]
    bits = CODECS.quantise.product_bits
    assert fixed_point.threshold(quanta, dtype, bits) == example["T"]
    values = np.array(example["values"], dtype)
    assert fixed_point.encode(values, quanta, bits).tolist() == example["integers"]
    again = fixed_point.decode(np.array(example["integers"]), dtype, quanta, bits)
    assert again.tolist() == example["decoded"]


def check_lossless(example):
    values = np.array(example["values"], dtype_of(example))
    mode, integers = lossless.encode(values, CODECS.quantise)
    assert (mode, integers.tolist()) == (example["mode"], example["integers"])
    field = Field("x", example["type"], chain=CODECS.defaults.float)
    column = hex_bytes(example["column"])
    assert build(field, values) == column
    chain = CODECS.defaults.float
    assert plain_writer.column(values.tolist(), example["type"], [0] * len(values), chain) == column


def check_palette(example):
    integers = np.array(example["integers"])
    entries = palette.entries_of(integers, CODECS.palette)
    assert entries.tolist() == example["entries"]
    assert palette.encode(integers, entries).tolist() == example["ranks"]
    check_stream(example)


def check_split(example):
    split = order_of(np.array(example["phases"], np.uint8))
    ordered = np.array(example["integers"])[split.order].tolist()
    assert ordered == [v for run in example["runs"] for v in run]
    assert list(split.lengths) == [len(run) for run in example["runs"]]
    check_stream(example)


def check_stream(example):
    """Hold flags and integer stream of a column of integers against both writers."""
    integers = example["integers"]
    phases = example.get("phases", [0] * len(integers))
    field = Field("x", "i64", chain=CODECS.defaults.integer)
    column = hex_bytes(example["flags"] + example["integer_stream"])
    assert build(field, np.array(integers), phases=phases) == column
    assert plain_writer.column(integers, "i64", phases, field.chain) == column


def check_delta(example):
    found = delta.encode(np.array(example["run"]), example["form"])
    said = {name: example[name] for name in ("form", "base", "divisor", "step", "residuals")}
    assert found._replace(residuals=found.residuals.tolist())._asdict() == said
    assert delta.decode(found).tolist() == example["run"]
    header = RunHeader(found.form, found.base, found.divisor, found.step, None)
    assert runs.encode_header(header, CODECS.rice) == hex_bytes(example["run_header"])


def check_sparse(example):
    gaps, less_one = sparse_stage.encode(np.array(example["residuals"], np.uint64))
    assert (gaps.tolist(), less_one.tolist()) == (example["gaps"], example["less_one"])
    data = rice.encode([gaps, less_one], CODECS.rice.block_residuals)
    assert data == hex_bytes(example["rice"])


def check_rice(example):
    sequences = [np.array(sequence, np.uint64) for sequence in example["sequences"]]
    parts = tuple(hex_bytes(example[part]) for part in ("k_bytes", "remainders", "quotients"))
    assert rice.encode(sequences, CODECS.rice.block_residuals) == b"".join(parts)
    assert plain_writer.rice_parts(example["sequences"]) == parts


def check_price(example):
    run = example["run"]
    cost, form, is_sparse = plain_writer.price(run)
    assert {"form": form, "sparse": is_sparse, "cost": cost} == example["choice"]
    chosen = planner.choose(np.array(run), None, ("delta", "rice"), CODECS)
    assert chosen.runs == ((form, is_sparse),)
    found = plain_writer.candidates(run)
    assert [found[form][1] for form in range(len(found))] == example["dense"]
    counts = [plain_writer.nonzero(found[form][2]) for form in range(len(found))]
    assert counts == example["nonzero"]
    header, _, residuals = found[counts.index(min(counts))]
    assert plain_writer.sparse_cost(header, residuals) == example["sparse"]


def check_arrange(example):
    integers, phases = example["integers"], example["phases"]
    chain = CODECS.defaults.integer
    costs = {n: c for n, (c, _) in plain_writer.arrange(integers, phases, chain).items()}
    assert costs == example["costs"]
    split = order_of(np.array(phases, np.uint8))
    chosen = planner.choose(np.array(integers), split, chain, CODECS)
    parts = ["palette"] * (chosen.entries is not None) + ["split"] * chosen.split
    assert (" and ".join(parts) or "plain") == example["choice"]


CHECKS = {name: globals()[f"check_{name}"] for name in EXPECTED}


def test_bit_strings_begin_with_the_lowest_bit():
    assert pack_fields(np.uint64([1, 2, 3]), np.uint64([2, 2, 2])) == hex_bytes("39")
    assert pack_unary(np.uint64([1, 1, 1])) == hex_bytes("2a")


def build(field, values, present=None, phases=None):
    phases = PhaseCodes(np.array(phases or [0] * len(values), np.uint8))
    return encode_column(grammar_of(FORMAT).column(field), Column(values, present), phases)


def dtype_of(example):
    return np.dtype({"f32": "f4", "f64": "f8"}[example["type"]])


def special(cell):
    return float(cell) if isinstance(cell, str) else cell


def hex_bytes(text):
    return bytes.fromhex(text)
