"""Recovery: the intact records of a damaged, open or truncated chronicle as a new closed one."""

from cmeta.tools.recover.recover import recover
from cmeta.tools.recover.recovery_report import Lost, RecoveryReport

__all__ = ["Lost", "RecoveryReport", "recover"]
