"""Fuzz the writer with any legal run of any legal schema.

Invariant: the written file is valid and reads as its schema promises, bit by bit. Written in
chunks, or read and written again, it has the same bytes.

An input is a byte string of choices from which Hypothesis draws the run.

    python -m fuzz.fuzz_roundtrip --seconds 60 --seed 1
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import cmeta
from cmeta.testing.values import to_bytes, to_records
from fuzz.loop import main
from tests.properties.runs import Run, assert_same, from_arrays, from_records, promised, runs

_LEN_MIN, _LEN_MAX = 1000, 8192  # shorter inputs are mostly too short for a run


@settings(database=None, deadline=None, suppress_health_check=list(HealthCheck))
@given(runs(), st.integers(0, 2**16))
def check_run(run: Run, cut: int) -> None:
    """Raise if the invariant does not hold for a run."""
    data = to_bytes(run.columns, run.schema)
    report = cmeta.validate(data)
    assert report.ok, str(report)
    wanted = promised(run)
    reader = cmeta.open(data)
    read = reader.read()
    assert_same(from_arrays(read), wanted)
    assert to_bytes(read, read.schema) == data
    num_records = len(wanted["phase"])
    if num_records == 0:
        return
    assert_same(from_records(reader, run.schema), wanted)
    cut %= num_records + 1
    halves = [{path: column[part] for path, column in run.columns.items()}
              for part in (slice(0, cut), slice(cut, None))]  # fmt: skip
    assert to_bytes(halves, run.schema) == data
    assert to_bytes([to_records(run.columns, run.schema)], run.schema) == data


def check(data: bytes) -> None:
    """Raise if these choices draw a run for which the invariant does not hold."""
    check_run.hypothesis.fuzz_one_input(data)


def begin(number: int) -> Callable[[random.Random], bytes]:
    """Return a function that makes a byte string of choices."""
    return lambda rng: rng.randbytes(rng.randrange(_LEN_MIN, _LEN_MAX))


if __name__ == "__main__":
    sys.exit(main("fuzz.fuzz_roundtrip", "Fuzz the writer with any legal run.", check, begin))
