"""The four workloads of the matrix, of any length: fourteen columns that every format can hold.

Three are real runs of the example. The fourth is synthetic: metrics that mostly stay constant, some
that begin late, one that is rare. A table longer than the trained run repeats it with its floats
scaled differently each time: a compressor with a long window would find an exact repetition, which
no run contains. Floats are float32 rounded to a millionth, as cmeta stores them, so that every
competitor can return them exactly.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bench import telemetry
from bench.competitors.base import Array, Table, masked
from cmeta.format.stages import fixed_point
from cmeta.schema.load import shipped_format

WORKLOADS = {
    "noisy": "the example's minibatch descent",
    "smooth": "the example's descent on the full batch",
    "diverging": "a run that diverges repeatedly, with NaN and infinities",
    "constant": "metrics that mostly stay constant, some late",
}
_TRAINED = {"noisy": "minibatch", "smooth": "fullbatch", "diverging": "diverging"}
FIELDS = (
    "timestamp", "phase", "seed_state", "action_code", "loss_value", "coherence",
    "metrics.entropy", "metrics.grad_energy", "metrics.val_accuracy", "metrics.loss_slope",
    "metrics.entropy_drift", "metrics.coherence_decay", "metrics.oscillation_index",
    "metrics.risk_score",
)  # fmt: skip
COLUMN = "loss_value"  # read alone
CHUNK = 1_000_000
_SCALE = 0.0137  # growth of the floats with each repetition


def table(workload: str, num_records: int, num_cycles: int) -> Table:
    """Return telemetry.

    Parameters
    ----------
    workload : str
        One of `WORKLOADS`.
    num_records : int
        How many records.
    num_cycles : int
        Records that are trained; further ones repeat those.

    Returns
    -------
    dict of str to array, (num_records,)
        By the names of `FIELDS`; masked arrays where something is absent.
    """
    if workload == "constant":
        return _constant(num_records)
    trained = _trained(workload, num_cycles)
    times = -(-num_records // len(trained["timestamp"]))
    long = {name: _again(values, times)[:num_records] for name, values in trained.items()}
    return long | _counters(0, num_records)


def chunks(workload: str, num_records: int, num_cycles: int) -> Iterator[Table]:
    """Yield a table in chunks of at most `CHUNK` records, for runs larger than memory."""
    whole = table(workload, min(num_records, CHUNK), num_cycles)
    for begin in range(0, num_records, CHUNK):
        count = min(CHUNK, num_records - begin)
        yield {name: values[:count] for name, values in whole.items()} | _counters(begin, count)


def further(given: Table, count: int, begin: int) -> Table:
    """Return records for appending from a timestamp on: the first ones of a table again."""
    return {name: values[:count] for name, values in given.items()} | _counters(begin, count)


def _trained(workload: str, num_cycles: int) -> Table:
    columns = telemetry.load(_TRAINED[workload], num_cycles)
    found = {}
    for name in FIELDS:
        if name in columns:
            found[name] = masked(columns[name], ~columns.present[name])
        else:
            dtype = columns.schema[name].dtype.newbyteorder("=")
            found[name] = np.zeros(columns.num_records, dtype)  # this run never recorded it
    return found


def _again(values: Array, times: int) -> Array:
    """Return values repeated, floats scaled by another factor each time."""
    if times == 1:
        return values
    join = np.ma.concatenate if isinstance(values, np.ma.MaskedArray) else np.concatenate
    if values.dtype.kind != "f":
        return join([values] * times)
    plain, mask = np.ma.getdata(values), np.ma.getmask(values)
    with np.errstate(over="ignore"):  # diverging values may be close to the largest float
        scaled = [_rounded(plain * np.float32(1 + _SCALE * number)) for number in range(1, times)]
    return join(
        [values, *(masked(part, None if mask is np.ma.nomask else mask) for part in scaled)]
    )


def _counters(begin: int, count: int) -> Table:
    """Return the columns that never repeat."""
    timestamps = np.arange(begin, begin + count, dtype=np.uint64)
    seeds = timestamps * np.uint64(0x9E3779B97F4A7C15) + np.uint64(telemetry.SEED)
    return {"timestamp": timestamps, "seed_state": seeds}


def _constant(num_records: int) -> Table:
    """Return metrics that stay constant for hundreds of records; two begin late, one is rare."""
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
    """Return floats as cmeta stores them."""
    facts = shipped_format().codecs.quantise
    unit, bits = facts.quanta_per_unit, facts.product_bits
    narrow = values.astype(np.float32)
    finite = np.isfinite(narrow)
    quanta = fixed_point.encode(narrow[finite], unit, bits)
    narrow[finite] = fixed_point.decode(quanta, narrow.dtype, unit, bits)
    return narrow


def is_same(found: Table, given: Table, name: str) -> bool:
    """Return whether a column came back bit for bit: its type, its mask and its values.

    A column that is absent in every record may be missing.
    """
    if name not in found:
        return bool(np.ma.getmaskarray(given[name]).all())
    one, other = found[name], given[name]
    absent = np.ma.getmaskarray(other)
    if one.dtype != other.dtype or not np.array_equal(np.ma.getmaskarray(one), absent):
        return False
    values, others = (np.ma.getdata(part)[~absent] for part in (one, other))
    return np.array_equal(values, others, equal_nan=values.dtype.kind == "f")
