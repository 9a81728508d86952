"""The comparison of two runs, record by record."""

from cmeta.tools.diff.diff import diff
from cmeta.tools.diff.diff_report import (
    ConfigDifference,
    Deviation,
    DiffReport,
    FieldDiff,
    SchemaDifference,
)

__all__ = ["ConfigDifference", "Deviation", "DiffReport", "FieldDiff", "SchemaDifference", "diff"]
