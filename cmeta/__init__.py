"""cmeta: the flight recorder of machine-learning experiments.

`Recorder` records a run, `open` reads one, `write` writes one at once, `validate` checks one, and
`Schema` describes its fields. The names in `__all__` and in `cmeta.testing` are the public API;
everything else is internal.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from cmeta.chronicle import (
    Chronicle,
    compress_records,
    load_chronicle,
    query_range,
    record_cycle,
    save_chronicle,
)
from cmeta.errors import (
    BusyError,
    CanonicalError,
    ChecksumError,
    CmetaError,
    CmetaWarning,
    CorruptError,
    DecodeError,
    DivergedError,
    EncodeError,
    ExistsError,
    LimitError,
    LockedError,
    MissingExtraError,
    OrderError,
    PrecisionWarning,
    QueryError,
    RecorderError,
    RecoveryError,
    SchemaError,
    TruncatedError,
    UnsupportedVersionError,
)
from cmeta.reader import Reader
from cmeta.reader import open_reader as open  # noqa: A004  (cmeta.open, as gzip.open)
from cmeta.recorder import Cycle, Recorder
from cmeta.records.columns import Columns
from cmeta.records.record import CycleRecord, DiagnosticsSnapshot
from cmeta.records.seeds import seed_of
from cmeta.schema import Schema, default_schema
from cmeta.tools.evidence import digest, environment, signature
from cmeta.validate import Finding, Report, validate
from cmeta.write import write

if TYPE_CHECKING:
    from cmeta.tools.audit import AuditFinding, AuditReport, audit
    from cmeta.tools.diff import (
        ConfigDifference,
        Deviation,
        DiffReport,
        FieldDiff,
        SchemaDifference,
        diff,
    )
    from cmeta.tools.imports import ImportReport, import_run
    from cmeta.tools.recover import Lost, RecoveryReport
    from cmeta.tools.recover.recover import recover
    from cmeta.tools.replay import Difference, ReplayReport, ReplayState, replay, replay_cycle
    from cmeta.tools.runs import RunField, RunInfo
    from cmeta.tools.runs.scan import scan
    from cmeta.tools.summary import FieldSummary, Missing, Summary, summarise

# Parts that a training does not need while it records are imported at first use.
_LATER = {
    name: module
    for module, names in {
        "cmeta.tools.audit": ("audit", "AuditReport", "AuditFinding"),
        "cmeta.tools.runs": ("RunInfo", "RunField"),
        "cmeta.tools.runs.scan": ("scan",),
        "cmeta.tools.diff": (
            "diff", "DiffReport", "Deviation", "FieldDiff", "ConfigDifference", "SchemaDifference",
        ),
        "cmeta.tools.imports": ("import_run", "ImportReport"),
        "cmeta.tools.replay": (
            "replay", "replay_cycle", "ReplayState", "ReplayReport", "Difference",
        ),
        "cmeta.tools.recover": ("RecoveryReport", "Lost"),
        "cmeta.tools.recover.recover": ("recover",),
        "cmeta.tools.summary": ("summarise", "Summary", "FieldSummary", "Missing"),
    }.items()
    for name in names
}  # fmt: skip


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module 'cmeta' has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_LATER[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})


__version__ = "0.1.0"

__all__ = [
    # recording
    "Recorder",
    "Cycle",
    "Chronicle",
    "record_cycle",
    "save_chronicle",
    "load_chronicle",
    "query_range",
    "compress_records",
    # replay, and what it compares
    "signature",
    "digest",
    "environment",
    "seed_of",
    "replay",
    "replay_cycle",
    "ReplayState",
    "ReplayReport",
    "Difference",
    # files
    "write",
    "open",
    "validate",
    "Reader",
    "Columns",
    "CycleRecord",
    "DiagnosticsSnapshot",
    "Report",
    "Finding",
    # validate, compare, recover
    "audit",
    "AuditReport",
    "AuditFinding",
    "diff",
    "DiffReport",
    "Deviation",
    "FieldDiff",
    "ConfigDifference",
    "SchemaDifference",
    "summarise",
    "Summary",
    "FieldSummary",
    "Missing",
    "recover",
    "RecoveryReport",
    "Lost",
    # imports from other tools
    "import_run",
    "ImportReport",
    # the runs below a folder
    "scan",
    "RunInfo",
    "RunField",
    # schemas
    "Schema",
    "default_schema",
    # errors and warnings
    "CmetaError",
    "SchemaError",
    "EncodeError",
    "OrderError",
    "RecorderError",
    "ExistsError",
    "LockedError",
    "BusyError",
    "DivergedError",
    "RecoveryError",
    "QueryError",
    "MissingExtraError",
    "DecodeError",
    "TruncatedError",
    "UnsupportedVersionError",
    "LimitError",
    "CorruptError",
    "ChecksumError",
    "CanonicalError",
    "CmetaWarning",
    "PrecisionWarning",
]
