"""The four telemetries of the matrix, as tables of any length: fourteen columns that all can hold.

Three are the example's real runs; the fourth is made: metrics that mostly stay as they are, some
that come late, one that comes rarely. A longer table than was trained is the same telemetry again,
its floats scaled anew each time round: were they the same, a compressor that looks far back would
find them again, as it never does in a run. Values are as cmeta gives them back, float32 rounded to
a millionth, so that nobody can lose more than another.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bench import telemetry
from bench.contestants.base import Array, Table, masked
from cmeta.format.stages import fixed_point
from cmeta.schema.load import shipped_format

KINDS = {
    "noisy": "the example's minibatch descent",
    "smooth": "the example's descent on the full batch",
    "diverging": "a run that diverges again and again, with NaN and infinities",
    "constant": "metrics that mostly stay as they are, with late ones",
}
_TRAINED = {"noisy": "minibatch", "smooth": "fullbatch", "diverging": "diverging"}
FIELDS = (
    "timestamp", "phase", "seed_state", "action_code", "loss_value", "coherence",
    "metrics.entropy", "metrics.grad_energy", "metrics.val_accuracy", "metrics.loss_slope",
    "metrics.entropy_drift", "metrics.coherence_decay", "metrics.oscillation_index",
    "metrics.risk_score",
)  # fmt: skip
COLUMN = "loss_value"  # the one that is read alone
CHUNK = 1_000_000
_SCALE = 0.0137  # by which the floats grow each time round


def table(kind: str, num_records: int, num_cycles: int) -> Table:
    """Return telemetry.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    num_records : int
        How many records.
    num_cycles : int
        How many of them are trained; more are made of those.

    Returns
    -------
    dict of str to array, (num_records,)
        By the names of `FIELDS`; masked arrays where something is absent.
    """
    if kind == "constant":
        return _constant(num_records)
    trained = _trained(kind, num_cycles)
    times = -(-num_records // len(trained["timestamp"]))
    long = {name: _again(values, times)[:num_records] for name, values in trained.items()}
    return long | _counters(0, num_records)


def chunks(kind: str, num_records: int, num_cycles: int) -> Iterator[Table]:
    """Yield a table in chunks of at most `CHUNK` records, for runs beyond the memory."""
    whole = table(kind, min(num_records, CHUNK), num_cycles)
    for begin in range(0, num_records, CHUNK):
        count = min(CHUNK, num_records - begin)
        yield {name: values[:count] for name, values in whole.items()} | _counters(begin, count)


def further(given: Table, count: int, begin: int) -> Table:
    """Return records that go on from a timestamp: the first ones of a table again."""
    return {name: values[:count] for name, values in given.items()} | _counters(begin, count)


def _trained(kind: str, num_cycles: int) -> Table:
    columns = telemetry.load(_TRAINED[kind], num_cycles)
    found = {}
    for name in FIELDS:
        if name in columns:
            found[name] = masked(columns[name], ~columns.present[name])
        else:
            dtype = columns.schema[name].dtype.newbyteorder("=")
            found[name] = np.zeros(columns.num_records, dtype)  # never recorded by this run
    return found


def _again(values: Array, times: int) -> Array:
    """Return values end to end, floats scaled by another factor each time."""
    if times == 1:
        return values
    join = np.ma.concatenate if isinstance(values, np.ma.MaskedArray) else np.concatenate
    if values.dtype.kind != "f":
        return join([values] * times)
    plain, mask = np.ma.getdata(values), np.ma.getmask(values)
    with np.errstate(over="ignore"):  # what diverges may be close to the largest float
        scaled = [_rounded(plain * np.float32(1 + _SCALE * number)) for number in range(1, times)]
    return join(
        [values, *(masked(part, None if mask is np.ma.nomask else mask) for part in scaled)]
    )


def _counters(begin: int, count: int) -> Table:
    """Return what never repeats, however often the telemetry does."""
    timestamps = np.arange(begin, begin + count, dtype=np.uint64)
    seeds = timestamps * np.uint64(0x9E3779B97F4A7C15) + np.uint64(telemetry.SEED)
    return {"timestamp": timestamps, "seed_state": seeds}


def _constant(num_records: int) -> Table:
    """Make metrics that stay for hundreds of records; two begin late, one comes rarely."""
    generator = np.random.default_rng(telemetry.SEED)
    ordinals = np.arange(num_records)
    found: Table = _counters(0, num_records)
    found["phase"] = np.where(ordinals % 10 == 9, 2, 1).astype(np.uint8)
    action = generator.integers(0, 5, num_records).astype(np.uint8)
    found["action_code"] = masked(action, generator.random(num_records) > 0.002)
    for number, name in enumerate(FIELDS[4:]):
        changes = generator.random(num_records) < 0.001 * (1 + number % 4)
        levels = generator.uniform(0.0, 2.0, num_records)
        held = levels[np.maximum.accumulate(np.where(changes, ordinals, 0))]
        found[name] = _rounded(held)
    late = ordinals < num_records * 7 // 10
    for name in ("metrics.coherence_decay", "metrics.risk_score"):
        found[name] = masked(found[name], late)
    found["metrics.val_accuracy"] = masked(found["metrics.val_accuracy"], ordinals % 100 != 99)
    return {name: found[name] for name in FIELDS}


def _rounded(values: Array) -> Array:
    """Return what cmeta makes of floats."""
    facts = shipped_format().codecs.quantise
    unit, bits = facts.quanta_per_unit, facts.product_bits
    narrow = values.astype(np.float32)
    finite = np.isfinite(narrow)
    quanta = fixed_point.encode(narrow[finite], unit, bits)
    narrow[finite] = fixed_point.decode(quanta, narrow.dtype, unit, bits)
    return narrow


def is_same(found: Table, given: Table, name: str) -> bool:
    """Whether a column came back bit for bit: presence, type, and what is present.

    A column that is absent everywhere need not come back at all.
    """
    if name not in found:
        return bool(np.ma.getmaskarray(given[name]).all())
    one, other = found[name], given[name]
    absent = np.ma.getmaskarray(other)
    if one.dtype != other.dtype or not np.array_equal(np.ma.getmaskarray(one), absent):
        return False
    values, others = (np.ma.getdata(part)[~absent] for part in (one, other))
    return np.array_equal(values, others, equal_nan=values.dtype.kind == "f")
