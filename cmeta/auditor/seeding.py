"""Seeds against the scheme that the configuration states (SPEC, Seeds).

Every u64 is the seed of exactly one ordinal. One beyond what any run reaches was not derived from
the root: somebody has put it there, or the root is another one. A cycle that is abandoned may use
its ordinal up, so a seed's ordinal need not be its record's; but it ascends, unless cycles overlap.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from cmeta import seeds
from cmeta.auditor.repeats import repeats_of
from cmeta.auditor.report import MOST_OF_A_CODE, AuditReport
from cmeta.chunk import Array
from cmeta.errors import DecodeError
from cmeta.reader import Reader
from cmeta.reader.info import AnyBatch
from cmeta.schema import shipped_format

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
