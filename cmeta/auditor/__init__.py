"""Auditing: all that can be said of a file's worth as evidence, for many files at once.

`audit` puts the parts together for a file, `look` goes once through its records, `seeding` holds
seeds against their scheme, `repeats` finds seeds that come again, `gaps` what is missing between
timestamps, `beside` what stands next to the file, `targets` what paths mean, `pool` spreads files
over processes, `report` is the answer.
"""

from cmeta.auditor.pool import audit
from cmeta.auditor.report import AuditFinding, AuditReport

__all__ = ["AuditFinding", "AuditReport", "audit"]
