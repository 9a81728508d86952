"""The one checker: every rule that a file is held to, shared by reading and validating.

`finding` is what is wrong, `report` all of it, `blocks` checks frames and checksums, `structure`
the table of blocks and a file's state, `batch` what stands in a batch.
"""

from cmeta.checks.finding import Finding

__all__ = ["Finding"]
