"""Evidence: what a run can state about itself, so that a replay can be compared with it."""

from cmeta.tools.evidence.environment import environment
from cmeta.tools.evidence.state_digest import digest, signature

__all__ = ["digest", "environment", "signature"]
