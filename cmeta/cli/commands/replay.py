"""`cmeta replay`: recorded cycles, run again from their seeds and compared."""

from __future__ import annotations

from pathlib import Path

import click

from cmeta.cli.console import print_data, print_lines, printable, progress
from cmeta.cli.errors import Exit, Failure, reading
from cmeta.cli.files import require_file
from cmeta.cli.options import RecordOptions, file_argument, json_option, range_options
from cmeta.cli.user_code import load_callable, user_code
from cmeta.cli.values import json_line
from cmeta.errors import EncodeError
from cmeta.tools.replay.replay import replay as replay_file

_end_option, _start_option = range_options

_EXITS = {
    "exact": Exit.SUCCESS,
    "within one quantum": Exit.SUCCESS,
    "diverged": Exit.DIFFERS,
    "inconclusive": Exit.INCONCLUSIVE,
}


@click.command(
    epilog="""\b
Examples:
  cmeta replay run.cmeta train.py:cycle          a function of one cycle
  cmeta replay run.cmeta train:Training          a class: created once, called for each cycle
  cmeta replay run.cmeta train:Training --end 99

\b
CYCLE gets a cmeta.ReplayState (record, config, rng, seed_everything(), ...) and
returns the fields that it has recomputed, as Recorder.log takes them:
  def cycle(state):
      return {"loss": model(state.rng, state.config["lr"])}

\b
Verdicts and exit codes:
  exact, within one quantum  0
  diverged                   1  the report names the first value that differs
  inconclusive               5  it differs, and so does the environment recorded in
                                the configuration; or nothing was compared"""
)
@file_argument
@click.argument("cycle", metavar="MODULE:CYCLE")
@json_option
@_end_option
@_start_option
def replay(file: Path, cycle: str, as_json: bool, start: int | None, end: int | None) -> None:
    """Run recorded cycles again from their seeds, and compare.

    CYCLE is a function or class of yours, as MODULE:NAME or FILE.py:NAME.
    """
    RecordOptions(start, end)
    require_file(file)
    function = load_callable(cycle)
    try:
        with reading(file), progress(f"replaying {file.name}") as update, user_code():
            report = replay_file(file, function, start, end, progress=update)
    except EncodeError as err:
        notes = "".join(f" ({note})" for note in getattr(err, "__notes__", ()))
        raise Failure(printable(f"{err}{notes}"), Exit.USAGE) from err
    if as_json:
        print_data(json_line(report.as_json()))
    else:
        print_lines(map(printable, str(report).splitlines()))
    raise click.exceptions.Exit(_EXITS[report.verdict])
