"""Work that kills its process."""

import os

from cmeta.tools.runs.scan import _describe_all as describe_all


def describe_or_die(task):
    """Describe files; one named ``bad`` kills the process."""
    if any(path.endswith("bad.cmeta") for _, path in task):
        os.kill(os.getpid(), 9)
    return describe_all(task)
