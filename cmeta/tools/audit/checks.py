"""Checks of records, fed batch by batch: timestamps, steps, losses that are not finite, seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cmeta.aliases import Array
from cmeta.errors import DecodeError, counted
from cmeta.reader.reader import Reader
from cmeta.records import seeds
from cmeta.records.steps import Counters, Steps, pair_of
from cmeta.schema.load import shipped_format
from cmeta.schema.schema import Schema
from cmeta.storage.open import AnyBatch
from cmeta.tools.audit.audit_report import FINDINGS_MAX, AuditReport
from cmeta.vocabulary import field_named

_GAPS_LISTED_MAX = 5
_REPEATS_LISTED_MAX = 3
_JUMPS_LISTED_MAX = 3
_JUMPS_MIN, _JUMPS_SHARE = 3, 10  # more than 3 jumps, and one in 10 records: no counter of a run


class GapCheck:
    """Finds what is missing between timestamps that otherwise go up by one step.

    Many runs count cycles, some every tenth one; others log the time of a clock. So the step is not
    assumed: it is the most frequent difference in the first batch that has any. If most records of
    the file have another step, timestamps are irregular, and nothing can be called missing.
    """

    def __init__(self) -> None:
        self._last: np.uint64 | None = None
        self._step: int | None = None
        self._num_steps = self._num_regular = 0
        self._num_gaps = self._num_missing = 0
        self._first_gaps: list[tuple[int, int, int]] = []  # ordinal, timestamp before and after
        self._num_records = 0

    def add(self, timestamps: Array) -> None:
        """Add the next batch's timestamps, ``(n_records,)``, uint64, ascending."""
        known = timestamps if self._last is None else np.concatenate([[self._last], timestamps])
        second = self._num_records + len(timestamps) - len(known) + 1  # the ordinal of known[1]
        steps = known[1:] - known[:-1]
        self._last, self._num_records = timestamps[-1], self._num_records + len(timestamps)
        rows = np.flatnonzero(steps)
        if not len(rows):
            return
        if self._step is None:
            values, counts = np.unique(steps[rows], return_counts=True)
            self._step = int(values[np.argmax(counts)])
        step = np.uint64(self._step)
        self._num_steps += len(rows)
        self._num_regular += int(np.count_nonzero(steps == step))
        wide = np.flatnonzero(steps > step)
        self._num_gaps += len(wide)
        self._num_missing += sum(((steps[wide] - np.uint64(1)) // step).tolist())
        for row in wide[: _GAPS_LISTED_MAX - len(self._first_gaps)].tolist():
            self._first_gaps.append((second + row, int(known[row]), int(known[row + 1])))

    def report_to(self, report: AuditReport) -> None:
        """Report the gaps."""
        if not self._num_gaps or self._step is None:
            return
        if 2 * self._num_regular <= self._num_steps:
            message = "timestamps have no regular step, so gaps cannot be detected"
            report.add("info", "irregular", message)
            return
        gaps = counted(self._num_gaps, "gap")
        message = f"{gaps} in timestamps, {self._num_missing:,} missing; the step is {self._step:,}"
        report.add("warning", "gaps", message)
        for ordinal, before, after in self._first_gaps:
            missing = (after - before - 1) // self._step
            message = f"{after} comes after {before}: {missing:,} missing"
            report.add("warning", "gap", message, f"record {ordinal:,}")
        if more := self._num_gaps - len(self._first_gaps):
            report.add("warning", "gaps", f"and {counted(more, 'more gap')}")


class StepCheck:
    """Finds steps that were recorded twice: those that go back within a phase (`records.steps`).

    A run that is resumed without going back to its checkpoint takes a few such jumps. A counter
    that begins again, as in each epoch, jumps to its first step, and that is only good to know. One
    that jumps often counts something else, such as the steps of several actors, and shows nothing.
    """

    def __init__(self, schema: Schema) -> None:
        self._schema, self._counters = schema, Counters(schema)
        self._phases: dict[int, _PhaseSteps] = {}

    def add(self, batch: AnyBatch, first: int) -> None:
        """Add a batch, whose first record has the ordinal `first`."""
        fields = (self._counters.step, self._counters.epoch)
        step, epoch = (batch.column(field, 0) if field else None for field in fields)
        for steps in self._counters.steps(batch.phases.codes, step, epoch):
            self._phases.setdefault(steps.phase, _PhaseSteps()).add(steps, first)

    def report_to(self, report: AuditReport) -> None:
        """Report what goes back, phase by phase."""
        for code, phase in sorted(self._phases.items()):
            phase.report_to(report, self._schema.phases[code])


class _PhaseSteps:
    """The steps of one phase: where they go back, and how many are not new after that."""

    def __init__(self) -> None:
        self._first = self._last = self._most = -1  # keys
        self._num_records = self._num_jumps = self._num_again = 0
        self._is_again = False
        self._restarts = True
        self._examples: list[tuple[int, int, int]] = []  # ordinal, key before and after

    def add(self, steps: Steps, first: int) -> None:
        """Add the steps of a batch."""
        if self._first < 0:
            self._first = steps.key(0)
        self._num_records += len(steps.rows)
        if not self._is_again and steps.key(0) >= self._last and not steps.go_back():
            self._last = self._most = steps.key(-1)  # the ordinary case
            return
        for row, key in zip(steps.rows.tolist(), steps.keys().tolist(), strict=True):
            if key < self._last:
                self._jump(first + row, key)
            self._is_again = self._is_again and key <= self._most
            self._num_again += self._is_again
            self._last, self._most = key, max(self._most, key)

    def _jump(self, ordinal: int, key: int) -> None:
        self._num_jumps += 1
        self._is_again = True
        (epoch, step), (epoch_before, _) = pair_of(key), pair_of(self._last)
        self._restarts &= epoch == epoch_before and step == pair_of(self._first)[1]
        if len(self._examples) < _JUMPS_LISTED_MAX:
            self._examples.append((ordinal, self._last, key))

    def report_to(self, report: AuditReport, phase: str) -> None:
        """Report what was found."""
        if not self._num_jumps:
            return
        jumps = counted(self._num_jumps, "time")
        if self._restarts:
            message = (
                f"steps of {phase} begin again {jumps}: in each epoch, or the run was repeated"
            )
            report.add("info", "steps-restart", message)
            return
        if self._num_jumps > _JUMPS_MIN and self._num_jumps * _JUMPS_SHARE > self._num_records:
            message = f"steps of {phase} go back {jumps}, so repeats cannot be detected"
            report.add("info", "steps-irregular", message)
            return
        again = counted(self._num_again, "record has", "records have")
        message = (
            f"steps of {phase} go back {jumps}, and {again} a step that is not new: was the run "
            "resumed without going back to its checkpoint?"
        )
        report.add("warning", "steps-repeated", message)
        for ordinal, before, after in self._examples:
            message = f"{_step_text(after)} of {phase} comes after {_step_text(before)}"
            report.add("warning", "steps-repeated", message, f"record {ordinal:,}")


def _step_text(key: int) -> str:
    epoch, step = pair_of(key)
    return f"step {step:,}" + (f" of epoch {epoch:,}" if epoch else "")


class LossCheck:
    """Counts the losses that are NaN or infinite."""

    def __init__(self, schema: Schema) -> None:
        self._path = field_named("loss", schema)
        self._field = next((f for f in schema.fields if f.path == self._path and f.is_float), None)
        self._num_nan = self._num_infinite = 0
        self._first: int | None = None

    def add(self, batch: AnyBatch, first: int) -> None:
        """Add a batch, whose first record has the ordinal `first`."""
        column = None if self._field is None else batch.column(self._field, 0)
        if column is None:
            return
        values = column.values.reshape(len(column.values), -1)
        is_nan, is_infinite = np.isnan(values).any(axis=1), np.isinf(values).any(axis=1)
        self._num_nan += int(np.count_nonzero(is_nan))
        self._num_infinite += int(np.count_nonzero(is_infinite))
        rows = np.flatnonzero(is_nan | is_infinite)
        if self._first is None and len(rows):
            self._first = first + int(rows[0])

    def report_to(self, report: AuditReport) -> None:
        """Report the counts."""
        counts = {"NaN": self._num_nan, "infinite": self._num_infinite}
        kinds = " and ".join(f"{name} in {n:,}" for name, n in counts.items() if n)
        if kinds:
            records = counted(report.num_records, "record")
            message = f"{self._path} is {kinds} of {records}"
            report.add("warning", "loss-not-finite", message, f"from record {self._first:,} on")


class SeedCheck:
    """Checks seeds against the root that the configuration states (SPEC, Seeds).

    Every u64 is the seed of exactly one ordinal. A seed whose ordinal is larger than any run's was
    not derived from the root: it was given by hand, or the root is wrong. An abandoned cycle may
    use up its ordinal, so a seed's ordinal need not be its record's; but it ascends, unless cycles
    overlap. Seeds whose ordinals ascend do not repeat; others are searched for repeats.

    Parameters
    ----------
    configs : sequence of mapping
        The configurations by number.
    """

    def __init__(self, reader: Reader, configs: Sequence[Mapping[str, Any]]) -> None:
        self._reader, schema = reader, reader.schema
        self._field = next((f for f in schema.fields if f.path == "seed_state"), None)
        self._config = schema.config_field
        roots = [seeds.root_in(config) for config in configs]
        self._roots = np.array([root or 0 for root in roots] or [0], np.uint64)
        self._has_root = np.array([root is not None for root in roots] or [False])
        self._inverse = np.uint64(seeds.ordinal_of(0, 1))
        self._ordinal_max = np.uint64(shipped_format().limits.records_count_max)
        self._num_seeds = self._num_without_root = self._num_foreign = 0
        self._first_foreign: list[tuple[int, int]] = []  # ordinal of the record, seed
        self._ascending, self._last = True, -1
        self._root: np.uint64 | None = None

    def add(self, batch: AnyBatch, first: int) -> None:
        """Add a batch, whose first record has the ordinal `first`."""
        rows, values = self._seeds_in(batch)
        if not len(rows):
            return
        roots, has_root = self._roots_at(batch, rows)
        self._num_seeds += len(rows)
        self._num_without_root += int(np.count_nonzero(~has_root))
        ordinals = (values - roots) * self._inverse
        foreign = np.flatnonzero(has_root & (ordinals > self._ordinal_max))
        self._num_foreign += len(foreign)
        for place in foreign[: FINDINGS_MAX - len(self._first_foreign)].tolist():
            self._first_foreign.append((first + int(rows[place]), int(values[place])))
        one_root = has_root.all() and len(np.unique(roots)) == 1 and self._is_first_root(roots[0])
        if not self._ascending or len(foreign) or not one_root:
            self._ascending = False
            return
        ascending = (ordinals[1:] > ordinals[:-1]).all() and int(ordinals[0]) > self._last
        self._ascending, self._last = bool(ascending), int(ordinals[-1])

    def report_to(self, report: AuditReport) -> None:
        """Report seeds that contradict the root, and seeds that repeat."""
        if self._num_foreign:
            count = counted(self._num_foreign, "seed is", "seeds are")
            message = f"{count} not derived from the root that the configuration states"
            report.add("error", "seed-contradicts", message)
        for ordinal, seed in self._first_foreign:
            message = f"{seed:#018x} is not the seed of any cycle"
            report.add("error", "seed-contradicts", message, f"record {ordinal:,}")
        if self._num_without_root:
            count = counted(self._num_without_root, "record has a seed", "records have seeds")
            report.add("info", "seed-without-root", f"{count}, but no root to check against")
        if not self._ascending:
            self._report_repeats(report)

    def _report_repeats(self, report: AuditReport) -> None:
        try:
            repeats = repeats_of(self._all_seeds, self._num_seeds)
        except DecodeError:
            return  # already a finding
        if repeats.num_repeated:
            count = counted(repeats.num_repeated, "record has", "records have")
            message = f"{count} the seed of an earlier one: their random numbers repeat"
            report.add("warning", "seed-repeated", message)
        for ordinal, earlier, seed in repeats.examples:
            message = f"{seed:#018x}, the seed of record {earlier:,}"
            report.add("warning", "seed-repeated", message, f"record {ordinal:,}")

    def _all_seeds(self) -> Iterator[tuple[Array, Array]]:
        for info in self._reader.batches:
            rows, values = self._seeds_in(self._reader.batch(info.ordinal))
            yield rows + info.first_record, values

    def _seeds_in(self, batch: AnyBatch) -> tuple[Array, Array]:
        """Return the rows that have a seed, and the seeds."""
        column = None if self._field is None else batch.column(self._field, 0)
        if column is None:
            return np.zeros(0, np.int64), np.zeros(0, np.uint64)
        return np.flatnonzero(column.mask()), column.recorded().astype(np.uint64)

    def _roots_at(self, batch: AnyBatch, rows: Array) -> tuple[Array, Array]:
        """Return the root that applies to each row, and whether there is one."""
        column = None if self._config is None else batch.column(self._config, 0)
        if column is None:
            return np.zeros(len(rows), np.uint64), np.zeros(len(rows), bool)
        values, present = column.rows(rows)
        numbers = np.minimum(values, len(self._roots) - 1)
        has_root = self._has_root[numbers]
        return self._roots[numbers], has_root if present is None else has_root & present

    def _is_first_root(self, root: np.uint64) -> bool:
        """Return whether the root is that of the seeds before; ordinals of two do not compare."""
        if self._root is None:
            self._root = root
        return bool(self._root == root)


# ---------------------------------------------------------------------------------- repeated seeds

SEEDS_PER_PASS = 1 << 20
_SPREAD = np.uint64(0xD6E8FEB86659FD93)  # odd; spreads similar seeds over the passes
_HASH_BITS = np.uint64(32)

Seeds = Iterable[tuple[Array, Array]]  # ordinals of records, and their seeds


@dataclass
class Repeats:
    """Seeds that repeat.

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
    all_seeds: Callable[[], Seeds], num_seeds: int, per_pass: int = SEEDS_PER_PASS
) -> Repeats:
    """Return the seeds that repeat, found exactly and in bounded memory.

    The seeds are read in several passes, each of which keeps those whose hash falls into its share.

    Parameters
    ----------
    all_seeds : callable
        Yields all ordinals and seeds in order, each time it is called.
    num_seeds : int
        How many there are.
    per_pass : int
        About how many a pass keeps.
    """
    repeats = Repeats()
    num_passes = -(-num_seeds // per_pass)
    for share in range(num_passes):
        _one_pass(all_seeds(), share, num_passes, per_pass, repeats)
    repeats.examples.sort()
    del repeats.examples[_REPEATS_LISTED_MAX:]
    return repeats


def _one_pass(seeds: Seeds, share: int, num_passes: int, per_pass: int, repeats: Repeats) -> None:
    seen = (np.zeros(0, np.uint64), np.zeros(0, np.int64))
    waiting: list[tuple[Array, Array]] = []
    num_waiting = 0
    for ordinals, values in seeds:
        if num_passes > 1:
            mask = (values * _SPREAD >> _HASH_BITS) % np.uint64(num_passes) == np.uint64(share)
            ordinals, values = ordinals[mask], values[mask]
        waiting.append((values, ordinals))
        num_waiting += len(values)
        if num_waiting >= per_pass // 4:
            seen, waiting, num_waiting = _merge([seen, *waiting], repeats), [], 0
    _merge([seen, *waiting], repeats)


def _merge(parts: list[tuple[Array, Array]], repeats: Repeats) -> tuple[Array, Array]:
    """Return each seed with the ordinal of its first record, and add those that repeat."""
    values = np.concatenate([part[0] for part in parts])
    ordinals = np.concatenate([part[1] for part in parts])
    order = np.argsort(values, kind="stable")  # the earliest of equal seeds comes first
    values, ordinals = values[order], ordinals[order]
    is_first = np.ones(len(values), bool)
    is_first[1:] = values[1:] != values[:-1]
    again = np.flatnonzero(~is_first)
    repeats.num_repeated += len(again)
    if len(again):
        firsts = ordinals[is_first][np.cumsum(is_first) - 1]
        for place in again[np.argsort(ordinals[again])][:_REPEATS_LISTED_MAX].tolist():
            repeats.examples.append((int(ordinals[place]), int(firsts[place]), int(values[place])))
    return values[is_first], ordinals[is_first]
