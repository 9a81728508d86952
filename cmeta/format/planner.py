"""The rule of choice: which arrangement, form and sparseness a writer must take (SPEC, Choice).

One integer rule, part of the format version, so that equal records have equal bytes. The cost of a
block of n residuals with sum S (each counted as at most 2^56 - 1) is 0 if S = 0, else

    n (k + 1) + max(0, (S >> k) - ((n - (n >> k)) >> 1)),    k = max(0, bitlength(S div n) - 1)

plus 8 bits for its k byte. All runs of an arrangement are priced in one pass: the time of planning
depends on the number of numpy calls, not of values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cmeta.aliases import I64, U64
from cmeta.format.stages import delta, palette, sparse
from cmeta.format.stages.bits import bit_length, zigzag
from cmeta.format.stages.rice import block_sizes, starts_of
from cmeta.format.stages.split import SplitOrder
from cmeta.schema.language import Codecs, RiceFacts
from cmeta.schema.types import FIELD_TYPES, Stage

Costs = npt.NDArray[np.int64]

_K_BYTE_BITS = 8
_NEVER = np.int64(1 << 62)


class RunChoice(NamedTuple):
    """The delta form of a run, and whether it is sparse."""

    form: int
    sparse: bool


class Arrangement(NamedTuple):
    """The arrangement of a column's integers in runs.

    Attributes
    ----------
    entries : int64 array or None
        The palette, whose run comes first.
    split : bool
        Whether the values are reordered by phase.
    runs : tuple of RunChoice
        One for each run, in the order of the stream.
    """

    entries: I64 | None
    split: bool
    runs: tuple[RunChoice, ...]


def choose(
    values: I64, split: SplitOrder | None, stages: Sequence[Stage], codecs: Codecs
) -> Arrangement:
    """Return the arrangement that the rule demands.

    Parameters
    ----------
    values : int64 array, (n,)
    split : SplitOrder or None
        The order of the values by phase; None if the phases are not known.
    stages : sequence of str
        The column's chain: palette and split only if it has them.
    codecs : Codecs
        The constants of the rule.
    """
    if len(values) == 0:
        return Arrangement(None, False, ())
    rice = codecs.rice
    splits = split if split and "split" in stages and len(split.lengths) > 1 else None
    cost, best = _plain_or_split(values, splits, rice, None, 0)
    entries = palette.entries_of(values, codecs.palette) if "palette" in stages else None
    if entries is None:
        return best
    ranks = palette.encode(values, entries)
    len_count = 8 * FIELD_TYPES[codecs.palette.count].dtype.itemsize
    rank_cost, rank_best = _plain_or_split(ranks, splits, rice, entries, len_count)
    return rank_best if rank_cost < cost else best


def _plain_or_split(
    values: I64, splits: SplitOrder | None, rice: RiceFacts, entries: I64 | None, fixed: int
) -> tuple[int, Arrangement]:
    """Return the cheaper arrangement of values or ranks; plain unless split is strictly smaller.

    Both are priced in one pass, and with them the run of a palette's entries.
    """
    pieces = [values] if splits is None else [values, values[splits.order]]
    lengths = [len(values)] if splits is None else [len(values), *splits.lengths]
    if entries is not None:
        pieces.append(entries)
        lengths.append(len(entries))
    costs, runs = price(np.concatenate(pieces) if len(pieces) > 1 else values, lengths, rice)
    head: tuple[RunChoice, ...] = ()
    if entries is not None:
        fixed += costs.pop()
        runs, head = runs[:-1], runs[-1:]
    plain, split = costs[0] + fixed, sum(costs[1:]) + fixed
    if splits is not None and split < plain:
        return split, Arrangement(entries, True, (*head, *runs[1:]))
    return plain, Arrangement(entries, False, (*head, runs[0]))


def price(
    values: I64, lengths: Sequence[int], rice: RiceFacts
) -> tuple[list[int], tuple[RunChoice, ...]]:
    """Return the cost in bits of each of consecutive runs, and its form.

    Parameters
    ----------
    values : int64 array, (n,)
        The runs, one after the other.
    lengths : sequence of int
        Their lengths, none 0.
    rice : RiceFacts
        The constants of the rule.
    """
    runs = np.array(lengths, np.intp)
    starts = starts_of(runs)
    residuals, headers = _candidates(values, runs, starts, rice)
    sizes = block_sizes(lengths, rice.block_residuals)
    blocks = _block_costs(residuals, sizes, rice)
    first_block = starts_of(-(-runs // rice.block_residuals))
    dense = np.add.reduceat(blocks, first_block, axis=1) + headers
    for form, heads in enumerate(delta.NUM_HEADS):
        if heads:
            dense[form, runs <= heads] = _NEVER
    forms = np.argmin(dense, axis=0).tolist()
    costs = []
    choices = []
    for run, (start, length) in enumerate(zip(starts.tolist(), lengths, strict=True)):
        best = int(dense[forms[run], run]), RunChoice(forms[run], False)
        piece = residuals[:, start : start + length]
        sparse_one = _price_sparse(piece, headers[:, run], dense[:, run] < _NEVER, rice)
        if sparse_one and sparse_one[0] < best[0]:
            best = sparse_one
        costs.append(best[0])
        choices.append(best[1])
    return costs, tuple(choices)


def _candidates(
    values: I64, runs: npt.NDArray[np.intp], starts: npt.NDArray[np.intp], rice: RiceFacts
) -> tuple[U64, Costs]:
    """Return residuals (4, n), 0 for the heads, and the bits of the run headers (4, n_runs)."""
    cuts = [slice(s, s + n) for s, n in zip(starts.tolist(), runs.tolist(), strict=True)]
    low = np.minimum.reduceat(values, starts)
    scaled: U64 = (values - np.repeat(low, runs)).view(np.uint64)
    divisors = np.array([delta.greatest_divisor(scaled[cut]) for cut in cuts], np.uint64)
    if (divisors > 1).any():
        scaled = scaled // np.repeat(divisors, runs)
    signed = scaled.view(np.int64)
    middles = np.array([_median_unsigned(scaled[cut]) for cut in cuts], np.uint64)
    first = np.empty_like(signed)
    first[1:] = signed[1:] - signed[:-1]
    first[starts] = 0
    steps = np.array([delta.median(first[cut][1:]) if n > 1 else 0 for cut, n in
                      zip(cuts, runs.tolist(), strict=True)], np.int64)  # fmt: skip
    second = np.empty_like(first)
    second[1:] = first[1:] - first[:-1]
    residuals = np.empty((4, len(values)), np.uint64)
    residuals[0] = scaled
    residuals[1] = zigzag(signed - np.repeat(middles.view(np.int64), runs))
    residuals[2] = zigzag(first - np.repeat(steps, runs))
    residuals[3] = zigzag(second)
    residuals[2:, starts] = 0
    residuals[3, starts[runs > 1] + 1] = 0
    medians = (low.view(np.uint64) + middles * divisors).view(np.int64)
    heads = values[starts]
    first_steps = np.where(runs > 1, first[np.minimum(starts + 1, len(values) - 1)], 0)
    zeros = np.zeros_like(steps)
    bases = np.stack([low, medians, heads, heads])
    all_steps = np.stack([zeros, zeros, steps, first_steps])
    fixed = _header_bits(rice)
    headers = fixed + width_bits(zigzag(bases), rice) + width_bits(zigzag(all_steps), rice)
    return residuals, headers + width_bits(divisors - np.uint64(1), rice)


def width_bits(values: U64, rice: RiceFacts) -> Costs:
    """Return the bits of the narrowest widths of a run header that hold `values`."""
    widths = np.array(rice.widths, np.int64)
    return 8 * widths[width_codes(values, rice)]


def width_codes(values: U64, rice: RiceFacts) -> npt.NDArray[np.intp]:
    """Return the codes of the narrowest widths that hold `values`."""
    most = np.array([(1 << 8 * w) - 1 for w in rice.widths], np.uint64)
    return np.searchsorted(most, values, side="left")


def _header_bits(rice: RiceFacts) -> int:
    return sum(field.bits for field in rice.run_header.bits)


def _median_unsigned(values: U64) -> int:
    middle = (len(values) - 1) // 2
    return int(np.partition(values, middle)[middle])


def _block_costs(residuals: U64, sizes: npt.NDArray[np.intp], rice: RiceFacts) -> Costs:
    """Return the bits of each block: (..., n) residuals to (..., n_blocks) costs."""
    if sizes.size == 0:
        return np.zeros((*residuals.shape[:-1], 0), np.int64)
    clip = np.uint64((1 << rice.cost_clip_bits) - 1)
    sums = np.add.reduceat(np.minimum(residuals, clip), starts_of(sizes), axis=-1)
    n = sizes.astype(np.uint64)
    k = np.maximum(bit_length(sums // n), 1).astype(np.uint64) - np.uint64(1)
    excess = (sums >> k).astype(np.int64) - ((n - (n >> k)) >> np.uint64(1)).astype(np.int64)
    bits = (n * (k + np.uint64(1))).astype(np.int64) + np.maximum(excess, 0)
    costs: Costs = np.where(sums == 0, 0, bits) + _K_BYTE_BITS
    return costs


def _price_sparse(
    residuals: U64, headers: Costs, eligible: npt.NDArray[np.bool_], rice: RiceFacts
) -> tuple[int, RunChoice] | None:
    """Return the cost of a sparse run, if allowed, in the form with the fewest non-zeros."""
    counts = [int(np.count_nonzero(r)) if ok else int(_NEVER)
              for r, ok in zip(residuals, eligible.tolist(), strict=True)]  # fmt: skip
    count = min(counts)
    form = counts.index(count)
    heads = delta.NUM_HEADS[form]
    num_residuals = residuals.shape[1] - heads
    if rice.sparse_residuals * count > rice.sparse_nonzero * num_residuals:
        return None
    width = int(width_bits(np.array([count], np.uint64), rice)[0])
    cost = int(headers[form]) + width
    if count:
        pair = np.stack(sparse.encode(residuals[form, heads:]))
        sizes = block_sizes((count,), rice.block_residuals)
        cost += int(_block_costs(pair, sizes, rice).sum())
    return cost, RunChoice(form, True)
