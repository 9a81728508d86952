"""Starting the scripts of this folder as separate processes."""

import os
import subprocess
import sys
from pathlib import Path

import cmeta

HERE = Path(__file__).parent
ROOT = Path(cmeta.__file__).parent.parent


def start(script, *args, **options):
    """Start a script of this folder with the package under test."""
    path = os.pathsep.join([str(ROOT), str(HERE.parent.parent)])
    return subprocess.Popen(
        [sys.executable, HERE / script, *map(str, args)],
        env={**os.environ, "PYTHONPATH": path}, **options,
    )  # fmt: skip
