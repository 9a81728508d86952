"""`cmeta replay`: recorded cycles, run again from their seeds and compared."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import click

from cmeta.cli.console import print_data, print_lines, printable, progress
from cmeta.cli.errors import Exit, Failure, reading
from cmeta.cli.files import open_chronicle, require_file
from cmeta.cli.options import (
    RecordOptions,
    file_argument,
    flat,
    json_option,
    phase_option,
    range_options,
    require_phase,
)
from cmeta.cli.user_code import arguments_of, load_callable, user_code
from cmeta.cli.values import json_line
from cmeta.compare.replay_report import ReplayReport
from cmeta.errors import EncodeError
from cmeta.tools.replay.replay import replay as replay_file

_end_option, _start_option = range_options

_ARGUMENTS = f"{__name__}.arguments"  # after `--`, in the context of click
_EXITS = {
    "exact": Exit.SUCCESS,
    "within one quantum": Exit.SUCCESS,
    "diverged": Exit.DIFFERS,
    "inconclusive": Exit.INCONCLUSIVE,
}


class _Command(click.Command):
    """A command whose arguments end at ``--``; what follows belongs to somebody else."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            place = args.index("--")
            ctx.meta[_ARGUMENTS] = tuple(args[place + 1 :])
            args = args[:place]
        return super().parse_args(ctx, args)


@click.command(
    cls=_Command,
    epilog="""\b
Examples:
  cmeta replay run.cmeta train.py:cycle          a function of one cycle
  cmeta replay run.cmeta train:Training          a class: created once, called for each cycle
  cmeta replay run.cmeta train:Training --end 99
  cmeta replay run.cmeta train.py:cycle --phase train -- --data digits

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
                                the configuration; or nothing was compared""",
)
@file_argument
@click.argument("cycle", metavar="MODULE:CYCLE")
@json_option
@phase_option
@_end_option
@_start_option
def replay(
    file: Path,
    cycle: str,
    as_json: bool,
    start: int | None,
    end: int | None,
    phase: Sequence[Sequence[str]],
) -> None:
    """Run recorded cycles again from their seeds, and compare.

    CYCLE is a function or class of yours, as MODULE:NAME or FILE.py:NAME. Arguments after `--` are
    those that it sees in sys.argv. Records without a seed are skipped if it asks for the seed.
    """
    wanted = RecordOptions(start, end, flat(phase))
    require_file(file)
    with closing(open_chronicle(file)) as reader:
        phases = [require_phase(reader, name) for name in wanted.phases] or None
    args = click.get_current_context().meta.get(_ARGUMENTS, ())
    with arguments_of(cycle, args):
        report = _replayed(file, cycle, wanted, phases)
    if as_json:
        print_data(json_line(report.as_json()))
    else:
        print_lines(map(printable, str(report).splitlines()))
    raise click.exceptions.Exit(_EXITS[report.verdict])


def _replayed(
    file: Path, cycle: str, wanted: RecordOptions, phases: list[str] | None
) -> ReplayReport:
    function = load_callable(cycle)
    try:
        with reading(file), progress(f"replaying {file.name}") as update, user_code():
            return replay_file(
                file, function, wanted.start, wanted.end, phase=phases, progress=update
            )
    except EncodeError as err:
        notes = "".join(f" ({note})" for note in getattr(err, "__notes__", ()))
        raise Failure(printable(f"{err}{notes}"), Exit.USAGE) from err
