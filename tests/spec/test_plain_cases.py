"""Cases that chance rarely meets, for the library and for the plain reader and writer."""

import numpy as np
import plain_columns
import plain_reader
import plain_writer
import pytest
from library import CODECS, build, field_of, parse

import cmeta
from cmeta.format import planner
from cmeta.format.stages.split import order_of
from cmeta.schema.types import Field

TIES = {
    "plain and split cost the same": (
        "plain",
        [26534, 6561, 68169],
        [1, 0, 0],
    ),
    "plain and palette cost the same": (
        "plain",
        [289, 117, 117, 287, 287, 117, 287, 287, 289, 289, 289, 117],
        [1, 1, 0, 1, 1, 0, 1, 1, 1, 1, 1, 1],
    ),
    "split and palette cost the same": (
        "split",
        [40235, 40235, 40235, 40235, 67497, 40235, 67497, 69196, 40235, 67497, 40235, 67497],
        [0, 1, 1, 1, 1, 0, 1, 0, 1, 1, 1, 1],
    ),
    "a palette would be taken but for its count": (
        "plain",
        [25156, 25156, 58656, 25156, 25156, 58656, 58656, 36604, 36604, 36604, 58656, 58656],
        [0] * 12,
    ),
    "one phase is not split": ("plain", list(range(20)), [1] * 20),
}


@pytest.mark.parametrize("case", TIES)
def test_of_equal_arrangements_the_earlier_is_taken(case):
    name, values, phases = TIES[case]
    chain = CODECS.defaults.integer
    chosen = planner.choose(np.array(values), order_of(np.array(phases, np.uint8)), chain, CODECS)
    parts = ["palette"] * (chosen.entries is not None) + ["split"] * chosen.split
    assert (" and ".join(parts) or "plain") == name
    column = build(Field("x", "i64", chain=chain), values, phases)
    assert column == plain_writer.column(values, "i64", phases, chain)


@pytest.mark.parametrize(
    ("run", "cost", "form", "is_sparse"),
    [
        ([17020, 63913, 69876], 90, 0, False),  # sparse would cost the same
        ([18598, 64751, 64764], 82, 2, True),  # F2 and F3 have one non-zero residual each
        ([10, 13, 16, 22], 51, 0, False),  # F0 and F1 cost the same
        ([5], 24, 0, True),
        ([0], 16, 0, True),
        ([5, 9], 40, 2, True),  # too short for F3
        # residuals of 2^52 and of 2^56 and more, of which the latter count as 2^56 - 1
        ([44179656882065578, 122686767, 42263673003584925, 77374927093639136], 281, 2, True),
    ],
)
def test_of_equal_forms_the_first_is_taken(run, cost, form, is_sparse):
    assert plain_writer.price(run) == (cost, form, is_sparse)
    chosen = planner.choose(np.array(run), None, ("delta", "rice"), CODECS)
    assert [tuple(choice) for choice in chosen.runs] == [(form, is_sparse)]


def forged(entries, ranks):
    """Return a column with a palette, whatever it holds."""
    headers = b"".join(plain_writer.run_header(0, 0, 1, 0, None) for _ in range(2))
    count = len(entries).to_bytes(2, "little")
    return b"\2" + count + headers + plain_writer.rice([entries, ranks])


@pytest.mark.parametrize(
    ("entries", "ranks", "is_legal"),
    [
        ([0, 5], [0, 1] * 4, True),
        ([0, 5], [0, 1] * 3 + [0], False),  # fewer than 8 values
        ([0, 5], [0, 1] * 3 + [0, 2], False),
        ([5, 0], [0, 1] * 4, False),
        ([5, 5], [0, 1] * 4, False),
        ([5], [0] * 8, False),
        ([0, 5, 6], [0, 1] * 4, False),  # more than one entry for 4 values
        ([0, 5, 6], [0, 1] * 6, True),
    ],
)
def test_what_a_palette_must_be(entries, ranks, is_legal):
    field, plain = field_of("i64")
    data, phases = forged(entries, ranks), [0] * len(ranks)
    if is_legal:
        wanted = [entries[rank] for rank in ranks]
        assert parse(field, data, phases) == wanted
        assert plain_columns.column(data, plain, len(ranks), phases) == wanted
        return
    with pytest.raises(cmeta.CorruptError):
        parse(field, data, phases)
    with pytest.raises(plain_columns.CorruptError):
        plain_columns.column(data, plain, len(ranks), phases)


def test_numbers_follow_the_first_use(tmp_path):
    """CONFIG and NAME blocks stand before the first BATCH that needs them, in order of use."""
    num, first = (
        40,
        {"late": 17, "b": 1, "a": 1, "Z": 1, "\N{GREEK SMALL LETTER ETA}": 0, "never": 99},
    )
    configs = [{"n": 0}, {"n": 1}, {"n": 7}]
    numbers = np.array([1 - i // 10 % 2 for i in range(num)])
    numbers[35] = 2
    columns = {"phase": ["train"] * num, "config": numbers}
    for name, start in first.items():
        columns[f"metrics.{name}"] = [0.5 if i >= start else None for i in range(num)]
    path = tmp_path / "run.cmeta"
    schema = cmeta.default_schema().with_batch_records(16)
    cmeta.write(path, columns, schema=schema, config=configs)
    data, at, found = path.read_bytes(), 10, []
    while at < len(data) - 8:
        kind, body, at = plain_reader.block(data, at)
        found.append("BATCH" if kind == plain_reader.BATCH else body.decode("latin-1"))
    assert found[1:-1] == [
        '{"n":1}', '{"n":0}', "\xce\xb7", "Z", "a", "b", "BATCH",
        "late", "BATCH",
        '{"n":7}', "BATCH",
    ]  # fmt: skip
