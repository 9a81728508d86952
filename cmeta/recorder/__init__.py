"""Recording: from `Recorder.log` to the disk, without losing an acknowledged record.

`recorder` is the public face and `session` a file that is open for writing; `row_builder` checks
what is logged, `pending` writes it to the journal, `sealer` moves full batches to the main file by
the protocol of `commit`, and `resume` finds out where an earlier session stopped. `verify_session`
compares a run with its record instead of recording it.
"""

from cmeta.recorder.cycle import Cycle
from cmeta.recorder.recorder import Recorder

__all__ = ["Cycle", "Recorder"]
