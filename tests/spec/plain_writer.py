"""A writer's choices in plain Python, as SPEC.md has them: stages, costs, the rule, the bytes.

Section numbers are those of SPEC.md.
"""

from itertools import pairwise
from math import gcd

from plain_columns import (
    BLOCK,
    FLOAT_BITS,
    HEADS,
    WIDTHS,
    bits,
    median,
    s64,
    threshold,
    to_type,
    u64,
    zigzag,
)

CLIP = 2**56 - 1
ARRANGEMENTS = ("plain", "split", "palette", "palette and split")


# ------------------------------------------------------------------------------------ 10. Stages


def fixed(x, quanta, kind):
    """Return the integer of a float in fixed point (10.2)."""
    t, a = threshold(quanta, kind), abs(x)
    m = round(a * quanta) if a < t else t * quanta + bits(a, kind) - bits(float(t), kind)
    return -m if x < 0 else m


def lossless(values, kind):
    """Return mode and integers (10.2)."""
    narrow = all(to_type(x, "f32") == x for x in values)
    for digits in range(16):
        if decimals_apply(values, digits, kind, narrow):
            return digits, [round(x * 10.0**digits) for x in values]
    stored = "f32" if narrow else "f64"
    half = 1 << (FLOAT_BITS[stored][3] - 1)
    numbers = [bits(x, stored) for x in values]
    return 16 if narrow else 17, [b if b < half else half - 1 - b for b in numbers]


def decimals_apply(values, digits, kind, narrow):
    power = 10.0**digits
    if any(x == 0 and bits(x, kind) for x in values):
        return False
    if digits and narrow and max(map(abs, values), default=0.0) * power >= 2**24:
        return False
    for x in values:
        scaled = x * power
        if abs(scaled) > 2**54 or abs(round(scaled)) > 2**53:
            return False
        if to_type(round(scaled) / power, kind) != x:
            return False
    return True


def runs_by_phase(integers, phases):
    """Return the runs of 10.4."""
    return [
        [v for v, p in zip(integers, phases, strict=True) if p == phase]
        for phase in sorted(set(phases))
    ]


def entries_of(integers):
    """Return the entries of a palette (10.3), or None."""
    entries = sorted(set(integers))
    allowed = len(integers) >= 8 and 2 <= len(entries) <= len(integers) // 4
    return entries if allowed else None


def delta(run, form):
    """Return base, divisor, step and residuals (10.5)."""
    low = min(run)
    above = [u64(v - low) for v in run]
    divisor = gcd(*above) or 1
    k = [a // divisor for a in above]
    first = [s64(b - a) for a, b in pairwise(k)]
    second = [s64(b - a) for a, b in pairwise(first)]
    if form == 0:
        return low, divisor, 0, k
    if form == 1:
        base = median(run)
        middle = u64(base - low) // divisor
        return base, divisor, 0, [zigzag(s64(x - middle)) for x in k]
    if form == 2:
        step = median(first)
        return run[0], divisor, step, [zigzag(s64(d - step)) for d in first]
    return run[0], divisor, first[0], [zigzag(e) for e in second]


def sparse(residuals):
    """Return gaps and the residuals less one (10.6)."""
    gaps, less_one, gap = [], [], 0
    for r in residuals:
        if r:
            gaps.append(gap)
            less_one.append(r - 1)
        gap = 0 if r else gap + 1
    return gaps, less_one


def width(number):
    return next(w for w in WIDTHS if number < 1 << 8 * w)


# ------------------------------------------------------------------------ 12. The rule of choice


def block_cost(residuals):
    num, total = len(residuals), sum(min(r, CLIP) for r in residuals)
    if total == 0:
        return 8
    k = max(0, (total // num).bit_length() - 1)
    return 8 + num * (k + 1) + max(0, (total >> k) - ((num - (num >> k)) >> 1))


def cost(residuals):
    return sum(block_cost(residuals[i : i + BLOCK]) for i in range(0, len(residuals), BLOCK))


def header_cost(base, divisor, step):
    return 16 + 8 * (width(zigzag(base)) + width(divisor - 1) + width(zigzag(step)))


def candidates(run):
    """Return, for each form that the run is long enough for, header, dense cost and residuals."""
    found = {}
    for form, heads in enumerate(HEADS):
        if heads < len(run):
            base, divisor, step, residuals = delta(run, form)
            header = header_cost(base, divisor, step)
            found[form] = header, header + cost([0] * heads + residuals), residuals
    return found


def price(run):
    """Return cost, form, and whether the run is sparse."""
    found = candidates(run)
    form = min(found, key=lambda f: (found[f][1], f))
    best = found[form][1], form, False
    fewest = min(found, key=lambda f: (nonzero(found[f][2]), f))
    header, _, residuals = found[fewest]
    if 4 * nonzero(residuals) <= 3 * len(residuals):
        total = sparse_cost(header, residuals)
        if total < best[0]:
            best = total, fewest, True
    return best


def nonzero(residuals):
    return sum(1 for r in residuals if r)


def sparse_cost(header, residuals):
    gaps, less_one = sparse(residuals)
    return header + 8 * width(len(gaps)) + cost(gaps) + cost(less_one)


def arrange(integers, phases, chain):
    """Return the cost and the runs of every arrangement that is possible, in their order."""
    splits = "split" in chain and len(set(phases)) > 1
    entries = entries_of(integers) if "palette" in chain else None
    found = {"plain": [integers]}
    if splits:
        found["split"] = runs_by_phase(integers, phases)
    if entries:
        ranks = [entries.index(v) for v in integers]
        found["palette"] = [entries, ranks]
        if splits:
            found["palette and split"] = [entries, *runs_by_phase(ranks, phases)]
    return {
        name: (16 * ("palette" in name) + sum(price(run)[0] for run in runs), runs)
        for name, runs in found.items()
    }


# ------------------------------------------------------------------------------------ 9. Columns


def stream(integers, phases, chain):
    """Return palette and split flags, and the bytes of an integer stream."""
    if not integers:
        return 0, b""
    found = arrange(integers, phases, chain)
    name = min(found, key=lambda n: (found[n][0], ARRANGEMENTS.index(n)))
    runs = found[name][1]
    flags = 2 * ("palette" in name) + 4 * ("split" in name)
    data = len(runs[0]).to_bytes(2, "little") if "palette" in name else b""
    sequences = []
    for run in runs:
        _, form, is_sparse = price(run)
        base, divisor, step, residuals = delta(run, form)
        parts = list(sparse(residuals)) if is_sparse else [residuals]
        sequences += parts
        data += run_header(form, base, divisor, step, len(parts[0]) if is_sparse else None)
    return flags, data + rice(sequences)


def run_header(form, base, divisor, step, num_nonzero):
    numbers = [zigzag(base), divisor - 1, zigzag(step), num_nonzero or 0]
    word, tail = form | (num_nonzero is not None) << 2, b""
    for shift, number in zip((3, 6, 9, 12), numbers, strict=True):
        word |= WIDTHS.index(width(number)) << shift
        tail += number.to_bytes(width(number), "little")
    return word.to_bytes(2, "little") + tail


def rice(sequences):
    """Return k bytes, remainders and quotients (10.7)."""
    return b"".join(rice_parts(sequences))


def rice_parts(sequences):
    k_bytes, remainders, quotients = [], [], []
    for sequence in sequences:
        for i in range(0, len(sequence), BLOCK):
            block = sequence[i : i + BLOCK]
            total = sum(block)
            k = max(0, (total // len(block)).bit_length() - 1)
            k_bytes.append(1 + k if total else 0)
            for r in block if total else ():
                remainders += [r >> bit & 1 for bit in range(k)]
                quotients += [0] * (r >> k) + [1]
    return bytes(k_bytes), bit_string(remainders), bit_string(quotients)


def bit_string(digits):
    number = int("".join(map(str, reversed(digits))) or "0", 2)
    return number.to_bytes((len(digits) + 7) // 8, "little")


def column(cells, kind, phases, chain, *, quanta=0):
    """Return the bytes of a column; None is absent, `quanta` 0 is without loss."""
    classes = [class_of(cell) for cell in cells]
    values = [cell for cell, code in zip(cells, classes, strict=True) if code == 0]
    kept = [phase for phase, code in zip(phases, classes, strict=True) if code == 0]
    mode = 0
    if kind in FLOAT_BITS:
        values = [to_type(float(x), kind) for x in values]
        if quanta:
            values = [fixed(x, quanta, kind) for x in values]
        else:
            mode, values = lossless(values, kind)
    values = [s64(int(v)) for v in values]
    inner = b""
    if any(classes):
        flags, data = stream(classes, phases, chain)
        inner = bytes([flags]) + data
    flags, data = stream(values, kept, chain)
    return bytes([flags | bool(inner) | mode << 3]) + inner + data


def class_of(cell):
    if cell is None:
        return 4
    if cell != cell:
        return 1
    return 2 if cell == float("inf") else 3 if cell == float("-inf") else 0
