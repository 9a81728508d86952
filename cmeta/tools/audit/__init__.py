"""Auditing: everything that can be said of a file's worth as evidence, for many files at once."""

from cmeta.tools.audit.audit import audit
from cmeta.tools.audit.audit_report import AuditFinding, AuditReport

__all__ = ["AuditFinding", "AuditReport", "audit"]
