"""Gaps: what is missing between timestamps that otherwise go up by one step.

Many runs count cycles, some every tenth one; others log the time of a clock. So the step is not
assumed: it is the most frequent difference in the first batch that has any, and if it is not the
step of most records of the file, timestamps are irregular and nothing can be called missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cmeta.aliases import Array
from cmeta.errors import DecodeError
from cmeta.reader.reader import Reader
from cmeta.records import seeds
from cmeta.schema.load import shipped_format
from cmeta.storage.open import AnyBatch
from cmeta.tools.audit.audit_report import MOST_OF_A_CODE, AuditReport

_MOST_EXAMPLES = 5


class Gaps:
    """Looks at timestamps, batch after batch."""

    def __init__(self) -> None:
        self._last: np.uint64 | None = None
        self._step: int | None = None
        self._num_moves = self._num_regular = self._num_gaps = 0
        self._num_missing = 0
        self._first: list[tuple[int, int, int]] = []
        self._ordinal = 0

    def look(self, timestamps: Array) -> None:
        """Look at the next batch's timestamps, ``(n_records,)``, uint64, ascending."""
        known = timestamps if self._last is None else np.concatenate([[self._last], timestamps])
        behind = self._ordinal + len(timestamps) - len(known) + 1  # ordinal of known[1]
        moves = known[1:] - known[:-1]
        self._last, self._ordinal = timestamps[-1], self._ordinal + len(timestamps)
        rows = np.flatnonzero(moves)
        if not len(rows):
            return
        if self._step is None:
            values, counts = np.unique(moves[rows], return_counts=True)
            self._step = int(values[np.argmax(counts)])
        self._num_moves += len(rows)
        self._num_regular += int(np.count_nonzero(moves == self._step))
        wide = np.flatnonzero(moves > np.uint64(self._step))
        self._num_gaps += len(wide)
        self._num_missing += sum(((moves[wide] - np.uint64(1)) // np.uint64(self._step)).tolist())
        for row in wide[: _MOST_EXAMPLES - len(self._first)].tolist():
            self._first.append((behind + row, int(known[row]), int(known[row + 1])))

    def tell(self, report: AuditReport) -> None:
        """Say what is missing."""
        if not self._num_gaps or self._step is None:
            return
        if 2 * self._num_regular <= self._num_moves:
            report.add("info", "irregular", "timestamps have no regular step, so gaps are not told")
            return
        gaps = "1 gap" if self._num_gaps == 1 else f"{self._num_gaps:,} gaps"
        step = f"the step is {self._step:,}"
        report.add(
            "warning", "gaps", f"{gaps} in timestamps, {self._num_missing:,} missing; {step}"
        )
        for ordinal, before, after in self._first:
            missing = (after - before - 1) // self._step
            message = f"{after} comes after {before}: {missing:,} missing"
            report.add("warning", "gap", message, f"record {ordinal:,}")
        if more := self._num_gaps - len(self._first):
            report.add("warning", "gaps", f"and {more:,} gaps more")


SEEDS_OF_A_PASS = 1 << 20
_MOST_REPEATS = 3
_SPREAD = np.uint64(0xD6E8FEB86659FD93)  # odd; spreads seeds that are near to each other
_HASH_BITS = np.uint64(32)

Seeds = Iterable[tuple[Array, Array]]  # ordinals of records, and their seeds


@dataclass
class Repeats:
    """What comes again.

    Attributes
    ----------
    num_repeated : int
        Records whose seed an earlier record has.
    examples : list of tuple
        The first of them: its ordinal, that of the earlier record, the seed.
    """

    num_repeated: int = 0
    examples: list[tuple[int, int, int]] = field(default_factory=list)


def repeats_of(
    seeds: Callable[[], Seeds], num_seeds: int, per_pass: int = SEEDS_OF_A_PASS
) -> Repeats:
    """Return the seeds that come again.

    Parameters
    ----------
    seeds : callable
        Yields, each time that it is called, all ordinals and seeds in order.
    num_seeds : int
        How many there are.
    """
    found = Repeats()
    num_passes = -(-num_seeds // per_pass)
    for share in range(num_passes):
        _one_pass(seeds(), share, num_passes, per_pass, found)
    found.examples.sort()
    del found.examples[_MOST_REPEATS:]
    return found


def _one_pass(seeds: Seeds, share: int, num_passes: int, per_pass: int, found: Repeats) -> None:
    seen = (np.zeros(0, np.uint64), np.zeros(0, np.int64))
    waiting: list[tuple[Array, Array]] = []
    num_waiting = 0
    for ordinals, values in seeds:
        if num_passes > 1:
            mine = (values * _SPREAD >> _HASH_BITS) % np.uint64(num_passes) == np.uint64(share)
            ordinals, values = ordinals[mine], values[mine]
        waiting.append((values, ordinals))
        num_waiting += len(values)
        if num_waiting >= per_pass // 4:
            seen, waiting, num_waiting = _merge([seen, *waiting], found), [], 0
    _merge([seen, *waiting], found)


def _merge(parts: list[tuple[Array, Array]], found: Repeats) -> tuple[Array, Array]:
    """Return each seed with the ordinal of its first record; note those that come again."""
    values = np.concatenate([part[0] for part in parts])
    ordinals = np.concatenate([part[1] for part in parts])
    order = np.argsort(values, kind="stable")  # so that of equal seeds the earliest comes first
    values, ordinals = values[order], ordinals[order]
    is_first = np.ones(len(values), bool)
    is_first[1:] = values[1:] != values[:-1]
    again = np.flatnonzero(~is_first)
    found.num_repeated += len(again)
    if len(again):
        firsts = ordinals[is_first][np.cumsum(is_first) - 1]
        for place in again[np.argsort(ordinals[again])][:_MOST_REPEATS].tolist():
            found.examples.append((int(ordinals[place]), int(firsts[place]), int(values[place])))
    return values[is_first], ordinals[is_first]


_SEED = "seed_state"


class Seeding:
    """Looks at the seeds of a file, batch after batch.

    Parameters
    ----------
    configs : sequence of mapping
        The configurations by number.
    """

    def __init__(self, reader: Reader, configs: Sequence[Mapping[str, Any]]) -> None:
        self._reader = reader
        self._field = next((f for f in reader.schema.fields if f.path == _SEED), None)
        self._config = reader.schema.config_field
        roots = [seeds.root_in(config) for config in configs]
        self._roots = np.array([root or 0 for root in roots] or [0], np.uint64)
        self._rooted = np.array([root is not None for root in roots] or [False])
        self._inverse = np.uint64(seeds.ordinal_of(0, 1))
        self._most = np.uint64(shipped_format().limits.records_count_max)
        self._num_seeds = self._num_without_root = self._num_foreign = 0
        self._foreign: list[tuple[int, int]] = []
        self._ascending, self._last = True, -1
        self._root: np.uint64 | None = None

    def look(self, batch: AnyBatch, first: int) -> None:
        """Look at a batch, whose first record has the ordinal `first`."""
        rows, values = self._seeds_in(batch)
        if not len(rows):
            return
        roots, rooted = self._roots_at(batch, rows)
        self._num_seeds += len(rows)
        self._num_without_root += int(np.count_nonzero(~rooted))
        ordinals = (values - roots) * self._inverse
        foreign = np.flatnonzero(rooted & (ordinals > self._most))
        self._num_foreign += len(foreign)
        for place in foreign[: MOST_OF_A_CODE - len(self._foreign)].tolist():
            self._foreign.append((first + int(rows[place]), int(values[place])))
        one_root = rooted.all() and len(np.unique(roots)) == 1 and self._is_first_root(roots[0])
        if not self._ascending or len(foreign) or not one_root:
            self._ascending = False
            return
        climbs = (ordinals[1:] > ordinals[:-1]).all() and int(ordinals[0]) > self._last
        self._ascending, self._last = bool(climbs), int(ordinals[-1])

    def tell(self, report: AuditReport) -> None:
        """Say what contradicts the scheme, and what comes again."""
        if self._num_foreign:
            count = _count(self._num_foreign, "seed is", "seeds are")
            message = f"{count} not derived from the root that the configuration states"
            report.add("error", "seed-contradicts", message)
        for ordinal, seed in self._foreign:
            message = f"{seed:#018x} is the seed of no cycle"
            report.add("error", "seed-contradicts", message, f"record {ordinal:,}")
        if self._num_without_root:
            count = _count(self._num_without_root, "record has a seed", "records have seeds")
            report.add("info", "seed-without-root", f"{count}, but no root to hold them against")
        if not self._ascending:
            self._tell_repeats(report)

    def _tell_repeats(self, report: AuditReport) -> None:
        try:
            found = repeats_of(self._all_seeds, self._num_seeds)
        except DecodeError:
            return  # which is a finding already
        if found.num_repeated:
            count = _count(found.num_repeated, "record has", "records have")
            message = f"{count} the seed of an earlier one: the same random numbers again"
            report.add("warning", "seed-repeated", message)
        for ordinal, earlier, seed in found.examples:
            message = f"{seed:#018x}, the seed of record {earlier:,}"
            report.add("warning", "seed-repeated", message, f"record {ordinal:,}")

    def _all_seeds(self) -> Iterator[tuple[Array, Array]]:
        first = 0
        for info in self._reader.batches:
            rows, values = self._seeds_in(self._reader.batch(info.ordinal))
            yield rows + first, values
            first += info.num_records

    def _seeds_in(self, batch: AnyBatch) -> tuple[Array, Array]:
        """Return the rows that have a seed, and the seeds."""
        found = None if self._field is None else batch.column(self._field, 0)
        if found is None:
            return np.zeros(0, np.int64), np.zeros(0, np.uint64)
        values, present = found
        rows = np.arange(len(values)) if present is None else np.flatnonzero(present)
        return rows, values[rows].astype(np.uint64)

    def _roots_at(self, batch: AnyBatch, rows: Array) -> tuple[Array, Array]:
        """Return the roots in force, and whether there is one."""
        found = None if self._config is None else batch.column(self._config, 0)
        if found is None:
            return np.zeros(len(rows), np.uint64), np.zeros(len(rows), bool)
        numbers = np.minimum(found[0][rows], len(self._roots) - 1)
        rooted = self._rooted[numbers]
        return self._roots[numbers], rooted if found[1] is None else rooted & found[1][rows]

    def _is_first_root(self, root: np.uint64) -> bool:
        """Return whether the root is that of the seeds before; ordinals of two do not compare."""
        if self._root is None:
            self._root = root
        return bool(self._root == root)


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
