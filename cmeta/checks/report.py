"""A report: what validating a file has found."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from cmeta.checks.finding import Finding


@dataclass
class Report:
    """What validating found.

    Attributes
    ----------
    name : str
        The file.
    state : str
        "closed", "open", "damaged", or "unreadable" if not even header and SCHEMA could be read.
    has_journal : bool
        Whether the file is open, and its journal gives the records since the last batch.
    num_records, num_batches, len_file : int
        What is intact, and the file's length in bytes.
    findings : list of Finding
        In the order of their discovery; a closed file with none is valid.
    """

    name: str
    state: str = "unreadable"
    has_journal: bool = False
    num_records: int = 0
    num_batches: int = 0
    len_file: int = 0
    findings: list[Finding] = dataclasses.field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether the file is closed and nothing is wrong with it."""
        return self.state == "closed" and not self.findings

    def __str__(self) -> str:
        verdict = "valid" if self.ok else f"{len(self.findings)} findings"
        counts = f"{self.num_records} records in {self.num_batches} batches"
        lines = [f"{self.name}: {self.state}, {counts}, {self.len_file} bytes: {verdict}"]
        return "\n".join([*lines, *(f"  {finding}" for finding in self.findings)])
