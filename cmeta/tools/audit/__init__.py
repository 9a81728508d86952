"""Audits: the worth of files as evidence, many files at once."""

from cmeta.tools.audit.audit import audit
from cmeta.tools.audit.audit_report import AuditFinding, AuditReport

__all__ = ["AuditFinding", "AuditReport", "audit"]
