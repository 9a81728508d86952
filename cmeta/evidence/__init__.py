"""Evidence: what a run can state about itself, so that a replay can be held against it.

`signature` is a tensor's mean in exact arithmetic, `digest` the hash of a state, `environment` the
stack that a run ran on.
"""

from cmeta.evidence.digest import digest
from cmeta.evidence.environment import environment
from cmeta.evidence.signature import signature

__all__ = ["digest", "environment", "signature"]
