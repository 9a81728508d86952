"""Recording: from `Recorder.log` to the disk, without losing an acknowledged record.

`recorder` is the public face. It has one of three sessions, chosen by `open_session`: a file that
is open for writing (`session`), a run that is compared with its file (`verify_session`,
`verification`, `verify_plan`), or neither, on a rank that does not record (`idle`).

- Before anything is created: `options`, `run_path`, `ranks`; for a file that is continued,
  `resume`, `state` of a checkpoint and `steps` that go back.
- Of a record: `row_builder` checks what is logged, `cycle` collects it, `refusals` counts what is
  not taken, `pending` writes it to the journal.
- On the main file: `sealer` moves full batches to it, by the protocol of `commit`.
- `live_sessions` closes what is let go of; `newest` gives records back.
"""

from cmeta.recorder.cycle import Cycle
from cmeta.recorder.recorder import Recorder

__all__ = ["Cycle", "Recorder"]
