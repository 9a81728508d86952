"""`RecoveryReport`: the records that were salvaged, and those that were lost."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from cmeta.errors import counted
from cmeta.safe_text import printable
from cmeta.validate import Finding

Verdict = Literal["complete", "with loss", "nothing"]


@dataclass(frozen=True)
class Lost:
    """Bytes of a file whose records could not be salvaged.

    Attributes
    ----------
    offset, len_bytes : int
        Their place; 0 bytes if the file does not have them at all.
    num_records : int or None
        Number of records; None: unknown.
    first_timestamp, last_timestamp : int or None
        Timestamps of these records, or of the salvaged ones around them if `exact` is false.
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
        count = "some records" if self.num_records is None else counted(self.num_records, "record")
        first, last = self.first_timestamp, self.last_timestamp
        when = f"timestamps {first} to {last}"
        if not self.exact:
            start = "the beginning" if first is None else f"timestamp {first}"
            end = "the end" if last is None else f"timestamp {last}"
            when = f"between {start} and {end}"
        length = counted(self.len_bytes, "byte")
        return printable(f"offset {self.offset}: {length}, {count}, {when}: {self.reason}")


@dataclass
class RecoveryReport:
    """The result of a recovery.

    Attributes
    ----------
    name : str
        The damaged file.
    out : str
        The file that was written; "" if there was nothing to write.
    verdict : str
        "complete": every record, with every value; "with loss"; "nothing".
    num_records, num_batches : int
        Salvaged records and batches.
    num_from_journal : int
        The salvaged records that came from the journal.
    num_lost : int or None
        Lost records; None: their number is unknown.
    len_file, len_lost : int
        Bytes of the damaged file, and bytes outside of its intact blocks.
    lost : list of Lost
    dropped : list of str
        Values that were left out of salvaged records because their name or configuration is lost.
    findings : list of Finding
        The damage of the file.
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
        values = dataclasses.asdict(self)
        return {"file": values.pop("name"), **values}

    def __str__(self) -> str:
        lines = [f"{self.name}: {self._summary()}"]
        lines += [f"  lost     {lost}" for lost in self.lost]
        lines += [f"  dropped  {dropped}" for dropped in self.dropped]
        lines += [f"  found    {finding}" for finding in self.findings]
        return "\n".join(map(printable, lines))

    def _summary(self) -> str:
        if self.verdict == "nothing":
            return "nothing could be salvaged"
        rows = f", {self.num_from_journal:,} from its journal" if self.num_from_journal else ""
        out = "standard output" if self.out == "-" else self.out
        kept = f"{counted(self.num_records, 'record')} salvaged{rows}, to {out}"
        if self.verdict == "complete":
            return f"{kept}; nothing was lost"
        is_known = self.num_lost is not None
        lost = counted(self.num_lost or 0, "record") if is_known else "an unknown number of records"
        return f"{kept}; {lost} lost, {counted(self.len_lost, 'byte')} damaged"
