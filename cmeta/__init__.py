"""cmeta: the flight recorder of machine-learning experiments.

`Recorder` records a run; `write` and `open` a chronicle, `validate` one; `Schema` says what it
holds. The names in `__all__` are the public API, together with `cmeta.testing`; everything else is
internal.
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
from cmeta.columns import Columns
from cmeta.errors import (
    CanonicalError,
    ChecksumError,
    CmetaError,
    CmetaWarning,
    CorruptError,
    DecodeError,
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
from cmeta.evidence import digest, environment, signature
from cmeta.model import CycleRecord, DiagnosticsSnapshot
from cmeta.reader import Reader
from cmeta.reader import open_reader as open  # noqa: A004  (cmeta.open, as gzip.open)
from cmeta.recorder import Cycle, Recorder
from cmeta.schema import Schema, default_schema
from cmeta.seeds import seed_of
from cmeta.writer import write

if TYPE_CHECKING:
    from cmeta.auditor import AuditFinding, AuditReport, audit
    from cmeta.catalogue import RunField, RunInfo
    from cmeta.catalogue.scan import scan
    from cmeta.checker import validate
    from cmeta.checks import Finding
    from cmeta.checks.report import Report
    from cmeta.differ import (
        ConfigDifference,
        Deviation,
        DiffReport,
        FieldDiff,
        SchemaDifference,
        diff,
    )
    from cmeta.importer import ImportReport, import_run
    from cmeta.replayer import Difference, ReplayReport, ReplayState, replay, replay_cycle
    from cmeta.salvager import Lost, RecoveryReport
    from cmeta.salvager.recover import recover
    from cmeta.summariser import FieldSummary, Missing, Summary, summarise

# What a training does not need while it records is imported when it is first asked for.
_LATER = {
    name: module
    for module, names in {
        "cmeta.auditor": ("audit", "AuditReport", "AuditFinding"),
        "cmeta.catalogue": ("RunInfo", "RunField"),
        "cmeta.catalogue.scan": ("scan",),
        "cmeta.checker": ("validate",),
        "cmeta.checks": ("Finding",),
        "cmeta.checks.report": ("Report",),
        "cmeta.differ": (
            "diff", "DiffReport", "Deviation", "FieldDiff", "ConfigDifference", "SchemaDifference",
        ),
        "cmeta.importer": ("import_run", "ImportReport"),
        "cmeta.replayer": ("replay", "replay_cycle", "ReplayState", "ReplayReport", "Difference"),
        "cmeta.salvager": ("RecoveryReport", "Lost"),
        "cmeta.salvager.recover": ("recover",),
        "cmeta.summariser": ("summarise", "Summary", "FieldSummary", "Missing"),
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
    # what a run can state about itself, and running it again
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
    # trusting, comparing, rescuing them
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
    # bringing them over from other tools
    "import_run",
    "ImportReport",
    # finding them again
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
