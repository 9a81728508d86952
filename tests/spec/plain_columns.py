"""Columns in plain Python, as SPEC.md has them: no numpy, no construct, no cmeta.

Slow and short. Section numbers are those of SPEC.md. `CorruptError` is raised where the text says
"require" or "truncated"; nothing is bounded for memory here.
"""

import struct
from itertools import pairwise

ONES = 2**64 - 1


class CorruptError(Exception):
    """The bytes contradict the text."""


def require(condition, what):
    if not condition:
        raise CorruptError(what)


# ------------------------------------------------------------------------------- 2. Conventions


def u64(x):
    return x & ONES


def s64(x):
    x = u64(x)
    return x - 2**64 if x >= 2**63 else x


def zigzag(x):
    return 2 * x if x >= 0 else -2 * x - 1


def unzigzag(u):
    return u // 2 if u % 2 == 0 else -(u // 2) - 1


def median(numbers):
    return sorted(numbers)[(len(numbers) - 1) // 2]


class Cursor:
    """Bytes that are taken from the front."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, length):
        piece = self.data[self.at : self.at + length]
        require(len(piece) == length, "truncated")
        self.at += length
        return piece

    def uint(self, length):
        return int.from_bytes(self.take(length), "little")


# ---------------------------------------------------------------- 9. Columns, 11. Reading a column

WIDTHS = (0, 1, 2, 4, 8)
HEADS = (0, 0, 1, 2)
BLOCK = 128
SPECIAL = {1: float("nan"), 2: float("inf"), 3: float("-inf"), 4: None}
FLOATS = ("f32", "f64")
DEFAULT_CHAINS = {
    True: ["class", "quantise", "palette", "split", "delta", "rice"],
    False: ["class", "palette", "split", "delta", "rice"],
}
RANGES = {"bool": (0, 1)}
RANGES |= {f"u{bits}": (0, 2**bits - 1) for bits in (8, 16, 32)}
RANGES |= {f"i{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32)}
RANGES |= {"config": RANGES["u32"], "enum": RANGES["u8"]}


def scalar_of(field):
    return field["type"].partition("[")[0]


def chain_of(field):
    return field.get("codec", DEFAULT_CHAINS[scalar_of(field) in FLOATS])


def column(data, field, count, phases):
    """Return the cells of a column; None where absent, an enumeration's codes."""
    kind, chain = scalar_of(field), chain_of(field)
    cursor = Cursor(data)
    flags = cursor.uint(1)
    _check_flags(flags, chain)
    require("class" in chain or not flags & 1, "classes")
    require(flags >> 3 == 0 or field.get("exact", False), "mode")
    classes = [0] * count
    if flags & 1:
        inner = cursor.uint(1)
        _check_flags(inner, chain)
        require(inner & 1 == 0 and inner >> 3 == 0, "flags of classes")
        classes = integers(cursor, inner, phases)
        require(set(classes) <= ({0, 1, 2, 3, 4} if kind in FLOATS else {0, 4}), "class")
    kept = [phase for phase, code in zip(phases, classes, strict=True) if code == 0]
    values = integers(cursor, flags, kept)
    require(cursor.at == len(data), "bytes behind the last quotient")
    found = iter(unquantise(values, field, flags >> 3) if kind in FLOATS else typed(values, kind))
    return [next(found) if code == 0 else SPECIAL[code] for code in classes]


def _check_flags(flags, chain):
    require("palette" in chain or not flags & 2, "palette")
    require("split" in chain or not flags & 4, "split")


def typed(values, kind):
    if kind in ("u64", "i64"):
        return [u64(v) for v in values] if kind == "u64" else values
    low, high = RANGES[kind]
    require(all(low <= v <= high for v in values), "range")
    return [bool(v) for v in values] if kind == "bool" else values


def integers(cursor, flags, phases):
    """Return the integers of a stream, one for each of `phases`."""
    num, lengths = len(phases), []
    palette, split = flags & 2, flags & 4
    if palette:
        lengths.append(cursor.uint(2))
        require(num >= 8 and 2 <= lengths[0] <= num // 4, "palette count")
    present = sorted(set(phases))
    if split:
        lengths += [phases.count(phase) for phase in present]
    elif num:
        lengths.append(num)
    headers = [run_header(cursor, length) for length in lengths]
    sizes = [size for header in headers for size in header["sizes"]]
    sequences = iter(rice(cursor, sizes))
    runs = [undelta(header, sequences) for header in headers]
    if palette:
        entries = runs.pop(0)
        require(all(a < b for a, b in pairwise(entries)), "entries")
        require(all(0 <= rank < len(entries) for run in runs for rank in run), "rank")
        runs = [[entries[rank] for rank in run] for run in runs]
    if not split:
        return runs[0] if runs else []
    queues = {phase: iter(run) for phase, run in zip(present, runs, strict=True)}
    return [next(queues[phase]) for phase in phases]


def run_header(cursor, length):
    word = cursor.uint(2)
    form, sparse = word & 3, word >> 2 & 1
    require(word >> 15 == 0, "reserved")
    numbers = []
    for code in (word >> shift & 7 for shift in (3, 6, 9, 12)):
        require(code < len(WIDTHS), "width code")
        numbers.append(cursor.uint(WIDTHS[code]))
        require(code == 0 or numbers[-1] >> 8 * WIDTHS[code - 1], "not the smallest width")
    base, divisor, step, nonzero = numbers
    require(form >= 2 or step == 0, "a step")
    require(sparse or nonzero == 0, "a count")
    require(divisor < ONES, "divisor")
    num = length - HEADS[form]
    require(num >= 1, "heads")
    require(4 * nonzero <= 3 * num, "sparse")
    return {
        "form": form,
        "sparse": sparse,
        "base": unzigzag(base),
        "divisor": divisor + 1,
        "step": unzigzag(step),
        "num": num,
        "sizes": [nonzero, nonzero] if sparse else [num],
    }


def rice(cursor, sizes):
    """Return sequences of these sizes (10.7)."""
    blocks = [min(BLOCK, size - at) for size in sizes for at in range(0, size, BLOCK)]
    k_bytes = cursor.take(len(blocks))
    require(all(k <= 64 for k in k_bytes), "k byte")
    coded = [k for k, num in zip(k_bytes, blocks, strict=True) for _ in range(num)]
    num_bits = sum(k - 1 for k in coded if k)
    remainders = cursor.uint((num_bits + 7) // 8)
    require(remainders >> num_bits == 0, "padding")
    numbers, bit, taken = [], 0, 0
    for k in coded:
        if k == 0:
            numbers.append(0)
            continue
        quotient, bit = unary(cursor, bit)
        require(quotient < 1 << (65 - k), "quotient")
        numbers.append(quotient << (k - 1) | remainders >> taken & ((1 << (k - 1)) - 1))
        taken += k - 1
    if bit % 8:
        require(cursor.data[cursor.at + bit // 8] >> bit % 8 == 0, "a bit behind the last one")
    cursor.take((bit + 7) // 8)
    found = iter(numbers)
    return [[next(found) for _ in range(size)] for size in sizes]


def unary(cursor, bit):
    """Return how many 0 bits stand before the next 1, and where the bit behind that stands."""
    start = bit
    while True:
        require(cursor.at + bit // 8 < len(cursor.data), "truncated quotients")
        if cursor.data[cursor.at + bit // 8] >> bit % 8 & 1:
            return bit - start, bit + 1
        bit += 1


def undelta(header, sequences):
    """Return a run (10.5, 10.6)."""
    residuals = next(sequences)
    if header["sparse"]:
        residuals = dense(residuals, next(sequences), header["num"])
    base, divisor, step = header["base"], header["divisor"], header["step"]
    if header["form"] == 0:
        offsets = residuals
    elif header["form"] == 1:
        offsets = [unzigzag(r) for r in residuals]
    else:
        offsets, difference = [0], step
        if header["form"] == 3:
            offsets.append(step)
        for r in residuals:
            difference = difference + unzigzag(r) if header["form"] == 3 else step + unzigzag(r)
            offsets.append(offsets[-1] + difference)
    return [s64(base + divisor * offset) for offset in offsets]


def dense(gaps, less_one, num):
    residuals, place = [0] * num, -1
    require(all(gap < num for gap in gaps), "gap")
    for gap, value in zip(gaps, less_one, strict=True):
        place += 1 + gap
        require(place < num and value < ONES, "sparse")
        residuals[place] = value + 1
    return residuals


# --------------------------------------------------------------------------------- 10.2 quantise

FLOAT_BITS = {"f32": ("<f", "<I", 23, 32), "f64": ("<d", "<Q", 52, 64)}
LARGEST = {"f32": float.fromhex("0x1.fffffep127"), "f64": float.fromhex("0x1.fffffffffffffp1023")}


def to_type(x, kind):
    """Round to the type."""
    if kind == "f64":
        return x
    try:
        return struct.unpack("<f", struct.pack("<f", x))[0]
    except OverflowError:
        return float("inf") if x > 0 else float("-inf")


def bits(x, kind):
    return struct.unpack(FLOAT_BITS[kind][1], struct.pack(FLOAT_BITS[kind][0], x))[0]


def from_bits(number, kind):
    return struct.unpack(FLOAT_BITS[kind][0], struct.pack(FLOAT_BITS[kind][1], number))[0]


def threshold(quanta, kind):
    t = 1
    while t * 2.0 ** -FLOAT_BITS[kind][2] * quanta < 1 and 2 * t * quanta <= 2**50:
        t *= 2
    return t


def unquantise(values, field, mode):
    kind = scalar_of(field)
    if field.get("exact", False):
        return [from_lossless(v, mode, kind) for v in values]
    return [from_fixed(v, field.get("quanta_per_unit", 1000000), kind) for v in values]


def from_fixed(v, quanta, kind):
    t, m = threshold(quanta, kind), abs(v)
    require(m <= t * quanta + bits(LARGEST[kind], kind) - bits(float(t), kind), "quanta")
    a = m / quanta
    if m >= t * quanta:
        a = from_bits(m - t * quanta + bits(float(t), kind), kind)
    return to_type(-a if v < 0 else a, kind)


def from_lossless(v, mode, kind):
    if mode <= 15:
        require(abs(v) <= 2**53, "decimal")
        return to_type(v / 10.0**mode, kind)
    require(mode == 16 or (mode == 17 and kind == "f64"), "mode")
    stored = "f32" if mode == 16 else "f64"
    most = bits(LARGEST[stored], stored)
    require(-most - 1 <= v <= most, "no finite float")
    half = 1 << (FLOAT_BITS[stored][3] - 1)
    return from_bits(v if v >= 0 else half - 1 - v, stored)
