"""The report of an audit: findings with severity, and one verdict on the file."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from cmeta.compare.replay_report import ReplayReport
from cmeta.errors import counted
from cmeta.safe_text import printable
from cmeta.tools.diff.diff_report import DiffReport

Severity = Literal["error", "warning", "info"]
Verdict = Literal[
    "unreadable", "corrupt", "comparison failed", "replay failed", "diverged", "differs",
    "seeds contradict", "inconclusive", "busy", "open", "questionable", "sound",
]  # fmt: skip

# The verdict that a finding of this code leads to; any other error or warning: questionable.
_VERDICTS: dict[str, Verdict] = {
    "unreadable": "unreadable",
    "corrupt": "corrupt",
    "comparison-failed": "comparison failed",
    "replay-failed": "replay failed",
    "diverged": "diverged",
    "differs": "differs",
    "seed-contradicts": "seeds contradict",
    "inconclusive": "inconclusive",
    "busy": "busy",
    "open": "open",
}
_GRAVEST_FIRST: tuple[Verdict, ...] = (*_VERDICTS.values(), "questionable", "sound")

FINDINGS_MAX = 10  # of one code that are listed one by one
_SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")


@dataclass(frozen=True)
class AuditFinding:
    """One finding of an audit.

    Attributes
    ----------
    severity : "error", "warning" or "info"
        It contradicts the file, may matter, or is good to know.
    code : str
        The kind of finding, such as ``gap``; stable, for programs.
    message : str
    where : str
        Such as ``record 412`` or ``offset 1234, BATCH[3].loss_value``; "" for the whole file.
    """

    severity: Severity
    code: str
    message: str
    where: str = ""

    def __str__(self) -> str:
        where = f" ({self.where})" if self.where else ""
        return printable(f"{self.severity}: {self.code}: {self.message}{where}")


@dataclass
class AuditReport:
    """The audit of a file.

    Attributes
    ----------
    name : str
        The file, or the path given in its place.
    state : str
        "closed", "open with journal", "open without journal", "damaged", "unreadable", "missing";
        "busy": its writer changed it each time that it was read.
    sha256 : str or None
        Of the file's bytes; None for an open file, whose bytes still change.
    len_file, num_records : int
        Its length in bytes; records that can be read, the journal's included.
    phases : dict of str to int
        Records of each phase.
    has_environment : bool
        Whether every configuration states the environment.
    findings : list of AuditFinding
        At most `FINDINGS_MAX` of a code, then one that counts the rest.
    replay : ReplayReport or None
    against : DiffReport or None
        The results, if they were requested and possible.
    """

    name: str
    state: str = "missing"
    sha256: str | None = None
    len_file: int = 0
    num_records: int = 0
    phases: dict[str, int] = field(default_factory=dict)
    has_environment: bool = False
    findings: list[AuditFinding] = field(default_factory=list)
    replay: ReplayReport | None = None
    against: DiffReport | None = None

    def add(self, severity: Severity, code: str, message: str, where: str = "") -> None:
        """Add a finding; beyond `FINDINGS_MAX` of a code, only count it."""
        self._counts[code] = self._counts.get(code, 0) + 1
        if self._counts[code] <= FINDINGS_MAX:
            self.findings.append(AuditFinding(severity, code, message, where))

    def close(self) -> None:
        """Add the counts of findings that are not listed, and sort the gravest first."""
        for code, count in self._counts.items():
            if count > FINDINGS_MAX:
                severity = next(f.severity for f in self.findings if f.code == code)
                message = f"and {count - FINDINGS_MAX:,} more"
                self.findings.append(AuditFinding(severity, code, message))
        self._counts.clear()
        self.findings.sort(key=lambda finding: _SEVERITIES.index(finding.severity))

    def __post_init__(self) -> None:
        self._counts: dict[str, int] = {}

    @property
    def verdict(self) -> Verdict:
        """The gravest verdict; "sound" without errors and warnings."""
        return min(self.verdicts, key=_GRAVEST_FIRST.index)

    @property
    def verdicts(self) -> frozenset[Verdict]:
        """The verdicts that the errors and warnings lead to."""
        codes = [finding.code for finding in self.findings if finding.severity != "info"]
        verdicts: list[Verdict] = [_VERDICTS.get(code, "questionable") for code in codes]
        return frozenset(verdicts or ["sound"])

    @property
    def ok(self) -> bool:
        """Whether there is neither an error nor a warning."""
        return self.verdict == "sound"

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "file": self.name,
            "verdict": self.verdict,
            "state": self.state,
            "sha256": self.sha256,
            "len_file": self.len_file,
            "num_records": self.num_records,
            "phases": self.phases,
            "has_environment": self.has_environment,
            "findings": [dataclasses.asdict(finding) for finding in self.findings],
            "replay": None if self.replay is None else self.replay.as_json(),
            "against": None if self.against is None else self.against.as_json(),
        }

    def lines(self) -> Iterator[str]:
        """Yield the report as lines of printable text."""
        return map(printable, self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{self.name}: {self.verdict}"
        if self.state not in ("missing", "unreadable", "busy"):
            by_phase = ", ".join(f"{count:,} {name}" for name, count in self.phases.items())
            yield f"  state    {self.state}, {counted(self.len_file, 'byte')}"
            yield f"  records  {self.num_records:,}{f' ({by_phase})' if by_phase else ''}"
        if self.sha256 is not None:
            yield f"  sha256   {self.sha256}"
        if self.replay is not None:
            yield f"  replay   {self.replay.verdict}, {counted(self.replay.num_cycles, 'cycle')}"
        if self.against is not None:
            yield f"  against  {self.against.b}"
        width = max((len(finding.code) for finding in self.findings), default=0)
        for finding in self.findings:
            where = f" ({finding.where})" if finding.where else ""
            yield f"  {finding.severity:7}  {finding.code:{width}}  {finding.message}{where}"

    def __str__(self) -> str:
        return "\n".join(self.lines())
