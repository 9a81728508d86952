"""The rule of choice, run by run in plain Python integers, as the specification states it.

It is what the vectorised planner is held against, so it shares nothing with it: no numpy, no
pricing of several runs at once, no skipping of what cannot win. Constants come from the schema.
"""

from math import gcd
from typing import NamedTuple

ONES = 2**64 - 1


class Choice(NamedTuple):
    """How a column is written: the palette or None, whether it is split, (form, sparse) by run."""

    entries: list | None
    split: bool
    runs: list


def choose(values, phases, stages, codecs):
    """Return the choice for a column of signed 64-bit integers, and its cost in bits.

    `phases` are the codes of the values, or None where they are not known.
    """
    if not values:
        return Choice(None, False, []), 0
    facts = codecs.palette
    by_phase = None
    if phases is not None and "split" in stages and len(set(phases)) > 1:
        by_phase = phases
    entries = sorted(set(values))
    most = len(values) // facts.values_per_entry if len(values) >= facts.values_min else 0
    has_palette = "palette" in stages and 1 < len(entries) <= most

    arrangements = [(None, False)]
    arrangements += [(None, True)] if by_phase else []
    arrangements += [(entries, False)] if has_palette else []
    arrangements += [(entries, True)] if has_palette and by_phase else []
    best, least = None, None
    for palette, split in arrangements:
        stream = [palette.index(v) for v in values] if palette else values
        runs = [palette] if palette else []
        runs += cut(stream, by_phase) if split else [stream]
        priced = [choose_run(run, codecs.rice) for run in runs]
        cost = sum(run_cost for _, run_cost in priced)
        cost += int(facts.count.removeprefix("u")) if palette else 0
        if least is None or cost < least:
            best, least = Choice(palette, split, [choice for choice, _ in priced]), cost
    return best, least


def cut(values, phases):
    """Reorder by phase, stable, into one run for each phase."""
    return [
        [v for v, p in zip(values, phases, strict=True) if p == phase]
        for phase in sorted(set(phases))
    ]


def choose_run(run, rice):
    """Return ((form, sparse), cost) of a run of at least one value."""
    forms = [form for form in (forms_of(run)) if form[1]]
    dense = []
    for form, residuals, base, divisor, step, heads in forms:
        head = header_bits(base, divisor, step, rice)
        dense.append((head + blocks_cost([0] * heads + residuals, rice), form))
    cost, form = min(dense)  # the first form on ties, because forms ascend
    chosen = (form, False)
    nonzero = [sum(r != 0 for r in residuals) for _, residuals, *_ in forms]
    fewest = nonzero.index(min(nonzero))
    form, residuals, base, divisor, step, _ = forms[fewest]
    count = nonzero[fewest]
    if rice.sparse_residuals * count <= rice.sparse_nonzero * len(residuals):
        gaps, values = sparse_of(residuals)
        sparse_cost = (
            header_bits(base, divisor, step, rice)
            + 8 * width_of(count, rice)
            + blocks_cost(gaps, rice)
            + blocks_cost(values, rice)
        )
        if sparse_cost < cost:
            chosen, cost = (form, True), sparse_cost
    return chosen, cost


def forms_of(run):
    """Return (form, residuals, base, divisor, step, heads) for the four forms."""
    low = min(run)
    divisor = 0
    for value in run:
        divisor = gcd(divisor, value - low)
    divisor = divisor or 1
    scaled = [(value - low) // divisor for value in run]
    firsts = [wrap(b - a) for a, b in zip(scaled, scaled[1:], strict=False)]
    seconds = [wrap(b - a) for a, b in zip(firsts, firsts[1:], strict=False)]
    middle = median(run)
    k_middle = (middle - low) // divisor
    around = [zigzag(wrap(k - k_middle)) for k in scaled]
    step = median(firsts) if firsts else 0
    around_step = [zigzag(wrap(d - step)) for d in firsts]
    first_step = firsts[0] if firsts else 0
    return [
        (0, scaled, low, divisor, 0, 0),
        (1, around, middle, divisor, 0, 0),
        (2, around_step, run[0], divisor, step, 1),
        (3, [zigzag(d) for d in seconds], run[0], divisor, first_step, 2),
    ]


def median(values):
    return sorted(values)[(len(values) - 1) // 2]


def wrap(value):
    """Return an integer modulo 2^64, as signed."""
    value &= ONES
    return value - 2**64 if value >> 63 else value


def zigzag(value):
    return 2 * value if value >= 0 else -2 * value - 1


def sparse_of(residuals):
    """Return the gaps before the non-zero residuals, and those residuals less one."""
    gaps, values, gap = [], [], 0
    for residual in residuals:
        if residual:
            gaps.append(gap)
            values.append(residual - 1)
            gap = 0
        else:
            gap += 1
    return gaps, values


def header_bits(base, divisor, step, rice):
    numbers = (zigzag(base), divisor - 1, zigzag(step))
    fixed = sum(field.bits for field in rice.run_header.bits)
    return fixed + 8 * sum(width_of(number, rice) for number in numbers)


def width_of(number, rice):
    """Return the fewest bytes of those that a run header can state."""
    return next(width for width in rice.widths if number < 1 << 8 * width)


def blocks_cost(residuals, rice):
    size = rice.block_residuals
    return sum(block_cost(residuals[i : i + size], rice) for i in range(0, len(residuals), size))


def block_cost(block, rice):
    n = len(block)
    s = sum(min(r, 2**rice.cost_clip_bits - 1) for r in block)
    if s == 0:
        return 8
    k = max(0, (s // n).bit_length() - 1)
    return 8 + n * (k + 1) + max(0, (s >> k) - ((n - (n >> k)) >> 1))
