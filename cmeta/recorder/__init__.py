"""Recording: `recorder` is its face, `cycle` a cycle with its seed in force.

`draft` checks and types what is logged, `ledger` holds it and writes the journal, `store` is the
commit protocol, `background` the thread that seals and rotates, `opening` finds out where an
earlier session stopped. `disk` is all that touches the file system, `lock` keeps a second writer
out, `ranks` says which process records.
"""

from cmeta.recorder.cycle import Cycle
from cmeta.recorder.recorder import Recorder

__all__ = ["Cycle", "Recorder"]
