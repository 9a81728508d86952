"""`cmeta replay`: runs recorded cycles again, and says whether they come out the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cmeta.cli.callables import foreign_code, load_callable
from cmeta.cli.console import emit, emit_data, printable, progress
from cmeta.cli.errors import Exit, Failure, reading
from cmeta.cli.files import require_file
from cmeta.cli.options import file_argument, json_option, timestamp
from cmeta.cli.values import json_line
from cmeta.errors import EncodeError
from cmeta.tools.replay.replay import replay as run_again
from cmeta.tools.replay.replay_report import ReplayReport

EXITS = {
    "exact": Exit.FINE,
    "within one quantum": Exit.FINE,
    "diverged": Exit.DIFFERS,
    "inconclusive": Exit.INCONCLUSIVE,
}


@click.command(
    epilog="""\b
Examples:
  cmeta replay run.cmeta train.py:cycle          a function of one cycle
  cmeta replay run.cmeta train:Training          a class: built once, called for each cycle
  cmeta replay run.cmeta train:Training --end 99

\b
CYCLE gets a cmeta.ReplayState (record, config, rng, seed_everything(), ...) and
returns the fields that it has recomputed, as Recorder.log takes them:
  def cycle(state):
      return {"loss": model(state.rng, state.config["lr"])}

\b
Verdicts, and exit codes:
  exact, within one quantum  0
  diverged                   1  the report names the first value that differs
  inconclusive               5  it differs, and so does the environment that the
                                configuration states; or nothing was compared"""
)
@file_argument
@click.argument("cycle", metavar="MODULE:CYCLE")
@json_option
@click.option("--end", type=timestamp, metavar="N", help="Last timestamp, included.")
@click.option("--start", type=timestamp, metavar="N", help="First timestamp, included.")
def replay(file: Path, cycle: str, as_json: bool, start: int | None, end: int | None) -> None:
    """Run recorded cycles again, from their seeds, and compare.

    CYCLE is a function or class of yours, as MODULE:NAME or FILE.py:NAME.
    """
    require_file(file)
    report = replayed(file, load_callable(cycle), start, end)
    if as_json:
        emit_data(json_line(report.as_json()))
    else:
        emit(as_text(report))
    raise click.exceptions.Exit(EXITS[report.verdict])


def replayed(file: Path, cycle: Any, start: int | None, end: int | None) -> ReplayReport:
    """Replay; what the callable raises is shown with the place where it arose."""
    try:
        with reading(file), progress(f"replaying {file.name}") as update, foreign_code():
            return run_again(file, cycle, start, end, progress=update)
    except EncodeError as err:
        notes = "".join(f" ({note})" for note in getattr(err, "__notes__", ()))
        raise Failure(printable(f"{err}{notes}"), Exit.USAGE) from err


def as_text(report: ReplayReport) -> str:
    """Return a report for a person."""
    return "\n".join(map(printable, str(report).splitlines())) + "\n"
