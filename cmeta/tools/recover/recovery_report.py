"""`RecoveryReport`: what was salvaged, and what was not."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from cmeta.validate import Finding

Verdict = Literal["complete", "with loss", "nothing"]


@dataclass(frozen=True)
class Lost:
    """A stretch of a file whose records could not be salvaged.

    Attributes
    ----------
    offset, len_bytes : int
        Where it stands, and how much it is; 0 bytes for what was never there.
    num_records : int or None
        How many records; None: nobody knows.
    first_timestamp, last_timestamp : int or None
        Of these records, or of the salvaged records around them where `exact` is false.
    exact : bool
        Whether count and timestamps are known, from the INDEX or an intact batch.
    reason : str
    """

    offset: int
    len_bytes: int
    num_records: int | None
    first_timestamp: int | None
    last_timestamp: int | None
    exact: bool
    reason: str

    def __str__(self) -> str:
        count = "some records" if self.num_records is None else f"{self.num_records:,} records"
        low, high = self.first_timestamp, self.last_timestamp
        when = f"timestamps {low} to {high}" if self.exact else f"between {_end(low)} and "
        if not self.exact:
            when += _end(high, "the end")
        return f"offset {self.offset}: {self.len_bytes:,} bytes, {count}, {when}: {self.reason}"


def _end(timestamp: int | None, otherwise: str = "the beginning") -> str:
    return otherwise if timestamp is None else f"timestamp {timestamp}"


@dataclass
class RecoveryReport:
    """What a recovery found, kept and lost.

    Attributes
    ----------
    name : str
        The damaged file.
    out : str
        The file that was written; "" if there was nothing to write.
    verdict : str
        "complete": every record, with every value; "with loss"; "nothing".
    num_records, num_batches : int
        Salvaged; of the records, `num_from_journal` came from the journal.
    num_from_journal : int
    num_lost : int or None
        Records lost; None: nobody knows how many there were.
    len_file, len_lost : int
        Bytes of the damaged file, and those of them that are no intact block.
    lost : list of Lost
    dropped : list of str
        Values that were left out of salvaged records, because nobody knows what they stand for.
    findings : list of Finding
        What is wrong with the damaged file.
    """

    name: str
    out: str = ""
    verdict: Verdict = "nothing"
    num_records: int = 0
    num_batches: int = 0
    num_from_journal: int = 0
    num_lost: int | None = None
    len_file: int = 0
    len_lost: int = 0
    lost: list[Lost] = dataclasses.field(default_factory=list)
    dropped: list[str] = dataclasses.field(default_factory=list)
    findings: list[Finding] = dataclasses.field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing was lost."""
        return self.verdict == "complete"

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        found = dataclasses.asdict(self)
        return {"file": found.pop("name"), **found}

    def __str__(self) -> str:
        lines = [f"{self.name}: {self._summary()}"]
        lines += [f"  lost     {lost}" for lost in self.lost]
        lines += [f"  dropped  {dropped}" for dropped in self.dropped]
        lines += [f"  found    {finding}" for finding in self.findings]
        return "\n".join(lines)

    def _summary(self) -> str:
        if self.verdict == "nothing":
            return "nothing could be salvaged"
        rows = f", {self.num_from_journal:,} from its journal" if self.num_from_journal else ""
        kept = f"{self.num_records:,} records salvaged{rows}, to {self.out}"
        if self.verdict == "complete":
            return f"{kept}; nothing was lost"
        lost = "an unknown number of" if self.num_lost is None else f"{self.num_lost:,}"
        return f"{kept}; {lost} records lost, {self.len_lost:,} bytes damaged"
