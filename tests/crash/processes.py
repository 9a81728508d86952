"""Starting the scripts of this folder as separate processes."""

import os
import subprocess
import sys
from pathlib import Path

import cmeta

HERE = Path(__file__).parent
ROOT = Path(cmeta.__file__).parent.parent


class Process(subprocess.Popen):
    """A process that does not outlive a test that fails, or whose time is up."""

    def __exit__(self, kind, *rest):
        if kind is not None:
            self.kill()
        super().__exit__(kind, *rest)


def start(script, *args, **options):
    """Start a script of this folder with the package under test."""
    path = os.pathsep.join([str(ROOT), str(HERE.parent.parent)])
    return Process(
        [sys.executable, HERE / script, *map(str, args)],
        env={**os.environ, "PYTHONPATH": path}, **options,
    )  # fmt: skip
