"""One look at all records of a file: phases, gaps, seeds, losses that are no numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cmeta.auditor.gaps import Gaps
from cmeta.auditor.report import AuditReport
from cmeta.auditor.seeding import Seeding
from cmeta.errors import DecodeError
from cmeta.reader import Reader
from cmeta.reader.info import AnyBatch

_LOSS = "loss_value"
_ENVIRONMENT = "environment"


def look(reader: Reader, report: AuditReport) -> None:
    """Go once through the records, one batch in memory at a time.

    What cannot be decoded is left out: validating has found it.
    """
    report.num_records = len(reader)
    configs = _configs_of(reader, report)
    gaps, seeding, losses = Gaps(), Seeding(reader, configs), _Losses(reader)
    counts = np.zeros(len(reader.schema.phases), np.int64)
    first = 0
    for info in reader.batches:
        try:
            batch = reader.batch(info.ordinal)
            counts += np.bincount(batch.phases.codes, minlength=len(counts))
            gaps.look(batch.timestamps)
            seeding.look(batch, first)
            losses.look(batch, first)
        except DecodeError:
            break  # behind it, neither gaps nor repeats could be told
        first += info.num_records
    labels = zip(reader.schema.phases, counts.tolist(), strict=True)
    report.phases = {name: count for name, count in labels if count}
    for part in (gaps, seeding, losses):
        part.tell(report)


def _configs_of(reader: Reader, report: AuditReport) -> Sequence[Mapping[str, Any]]:
    try:
        configs = reader.configs
    except DecodeError:
        return ()
    stated = [isinstance(config.get(_ENVIRONMENT), Mapping) for config in configs]
    report.has_environment = bool(stated) and all(stated)
    if not configs:
        report.add("info", "no-configuration", "no configuration: what was run is not stated")
    elif not report.has_environment:
        message = "no environment in the configuration: what it ran on is not stated"
        report.add("info", "no-environment", message)
    return configs


class _Losses:
    """Counts losses that are no numbers."""

    def __init__(self, reader: Reader) -> None:
        fields = reader.schema.fields
        self._field = next((f for f in fields if f.path == _LOSS and f.is_float), None)
        self._num_nan = self._num_infinite = 0
        self._first = -1

    def look(self, batch: AnyBatch, first: int) -> None:
        found = None if self._field is None else batch.column(self._field, 0)
        if found is None:
            return
        values = found[0].reshape(len(found[0]), -1)
        nan, infinite = np.isnan(values).any(axis=1), np.isinf(values).any(axis=1)
        self._num_nan += int(np.count_nonzero(nan))
        self._num_infinite += int(np.count_nonzero(infinite))
        rows = np.flatnonzero(nan | infinite)
        if self._first < 0 and len(rows):
            self._first = first + int(rows[0])

    def tell(self, report: AuditReport) -> None:
        counts = {"NaN": self._num_nan, "infinite": self._num_infinite}
        found = " and ".join(f"{name} in {n:,}" for name, n in counts.items() if n)
        if found:
            where = f"from record {self._first:,} on"
            message = f"{_LOSS} is {found} of {report.num_records:,} records"
            report.add("warning", "loss-not-finite", message, where)
