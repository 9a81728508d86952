"""What a reader tells of batches and of itself."""

from __future__ import annotations

from dataclasses import dataclass

from cmeta.checks.batch import Batch
from cmeta.journal import RowBatch

AnyBatch = Batch | RowBatch  # sealed, or still in the journal


@dataclass(frozen=True)
class BatchInfo:
    """What the INDEX says of a batch."""

    ordinal: int
    offset: int
    len_block: int
    num_records: int
    first_timestamp: int
    last_timestamp: int


@dataclass
class Stats:
    """What a reader has read and decoded so far."""

    num_batches: int = 0
    num_columns: int = 0
