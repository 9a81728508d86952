"""`cmeta replay`: recorded cycles, run again from their seeds and compared."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from cmeta.cli.console import (
    file_name,
    print_data,
    print_error,
    print_note,
    print_text,
    progress,
)
from cmeta.cli.errors import Exit, Failure, reading
from cmeta.cli.files import expand, open_chronicle, require_file
from cmeta.cli.options import (
    FILE,
    RecordOptions,
    flat,
    json_option,
    names,
    phase_option,
    range_options,
    require_phase,
)
from cmeta.cli.user_code import arguments_of, load_callable, user_code
from cmeta.cli.values import json_line
from cmeta.compare.replay_report import ReplayReport
from cmeta.errors import EncodeError
from cmeta.recorder.verify_plan import VerifyPlan
from cmeta.safe_text import printable
from cmeta.tools.replay.replay import replay as replay_file
from cmeta.tools.replay.rerun import Rerun, rerun

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
  cmeta replay run.cmeta -- python train.py --lr 0.1    the training itself
  cmeta replay run.cmeta --end 99 -- python train.py    only its first records
  cmeta replay run.cmeta --ignore 'time/*' -- python train.py
  cmeta replay 'r*.cmeta' -- torchrun train.py          a file for each rank
  cmeta replay run.cmeta train.py:cycle          a function of one cycle
  cmeta replay run.cmeta train:Training          a class, called each time
  cmeta replay run.cmeta train:Training --end 99
  cmeta replay run.cmeta train.py:cycle --phase train -- --data digits

\b
The command runs as it did when it recorded, except that nothing is written:
each recorder in it compares with FILE, whatever its path and mode. At the
first divergence, log raises an exception. What the command prints goes to
stderr.

\b
CYCLE gets a cmeta.ReplayState (record, config, rng, seed_everything(), ...)
and returns the fields that it has recomputed, as Recorder.log takes them:
  def cycle(state):
      return {"loss": model(state.rng, state.config["lr"])}

\b
Verdicts and exit codes:
  exact, within one quantum  0
  diverged                   1  the report names the first value that differs
  inconclusive               5  it differs, and so does the environment in
                                the configuration; or nothing was compared
A command that cannot be started, or fails before it has logged everything: 2.""",
)
@click.argument("files", type=FILE, nargs=-1, required=True, metavar="FILE... [MODULE:CYCLE]")
@json_option
@click.option(
    "--keep-going",
    is_flag=True,
    help="With a command: count every difference, instead of ending it at the first divergence.",
)
@click.option(
    "--ignore",
    type=names,
    multiple=True,
    metavar="A,B,...",
    help="With a command: do not compare these fields; patterns such as 'time/*' are possible.",
)
@phase_option
@click.option("--volatile", is_flag=True, help="Compare volatile fields too, such as wall time.")
@_end_option
@_start_option
def replay(
    files: tuple[Path, ...], as_json: bool, keep_going: bool, start: int | None, end: int | None,
    ignore: Sequence[Sequence[str]], phase: Sequence[Sequence[str]], volatile: bool,
) -> None:  # fmt: skip
    """Run a training again, and compare.

    After `--`: the command of the training. All that it logs is compared with what FILE holds.

    CYCLE is a function or class of yours that runs one recorded cycle from its seed, as MODULE:NAME
    or FILE.py:NAME. Arguments after `--` are then those that it finds in sys.argv. A record without
    a seed is skipped if it asks for the seed.
    """
    after = click.get_current_context().meta.get(_ARGUMENTS)
    wanted = RecordOptions(start, end, flat(phase))
    if after is not None and (len(files) == 1 or not _is_callable(files[-1])):
        paths = expand(files)
        plan = _plan(paths, wanted)
        plan = replace(plan, ignore=flat(ignore), goes_on=keep_going, volatile=volatile)
        shown = dict(zip(plan.files, map(file_name, paths), strict=True))
        raise click.exceptions.Exit(_rerun(plan, after, shown, as_json=as_json))
    if keep_going or ignore:
        name = "--keep-going" if keep_going else "--ignore"
        raise click.UsageError(f"{name} requires a command: cmeta replay FILE -- COMMAND.")
    if len(files) != 2:
        raise click.UsageError(
            "Missing argument 'MODULE:CYCLE', or `-- COMMAND` to run the training again."
            if len(files) == 1
            else f"Got {len(files)} arguments, expected FILE MODULE:CYCLE; those of the script go "
            "after `--`."
        )
    file, cycle = files[0], str(files[1])
    require_file(file)
    with arguments_of(cycle, after or ()):
        report = _replayed(file, cycle, wanted, _phases(file, wanted), volatile=volatile)
    if as_json:
        print_data(json_line(report.as_json()))
    else:
        print_text(f"{report}\n")
    raise click.exceptions.Exit(_EXITS[report.verdict])


def _is_callable(path: Path) -> bool:
    """Return whether an argument names a callable, rather than a file."""
    return ":" in path.name and not path.exists()


def _phases(file: Path, wanted: RecordOptions) -> list[str] | None:
    with closing(open_chronicle(file)) as reader:
        return [require_phase(reader, name) for name in wanted.phases] or None


def _plan(files: list[Path], wanted: RecordOptions) -> VerifyPlan:
    """Return the plan for running a command again; every file must be intact."""
    phases: dict[str, None] = {}
    for file in files:
        require_file(file)
        with closing(open_chronicle(file)) as reader:
            if reader.state == "damaged" and reader.problem is not None:
                raise Failure(f"{file_name(file)}: {reader.problem}", Exit.CORRUPT)
            phases.update(dict.fromkeys(require_phase(reader, name) for name in wanted.phases))
    paths = tuple(os.path.abspath(file) for file in files)
    return VerifyPlan(paths, wanted.start, wanted.end, tuple(phases))


def _rerun(
    plan: VerifyPlan, command: Sequence[str], shown: dict[str, str], *, as_json: bool
) -> Exit:
    """Run a command again and print the reports; `shown` has the files as they were named."""
    if not command:
        raise click.UsageError("Found nothing after `--`, expected the command of the training.")
    try:
        result = rerun(plan, command)
    except (OSError, ValueError) as err:
        reason = getattr(err, "strerror", None) or str(err)
        raise Failure(f"{printable(command[0])}: cannot be started: {reason}", Exit.USAGE) from err
    for path in result.others:
        print_note(f"{file_name(path)}: was not compared; it is not among the files to replay")
    reports = list(result.reports)
    compared = {report["file"] for report in reports}
    for file in plan.files:
        if file not in compared:
            note = "nothing was compared: no recorder of the command has opened this run"
            reports.append(_content(ReplayReport(file, notes=(note,))))
    for report in reports:
        file = report["report"]["file"]
        if as_json:
            print_data(json_line({**report["report"], "file": shown[file]}))
        else:
            print_text(f"{shown[file]}{report['text'].removeprefix(printable(file))}\n")
    return _exit_code(result, reports)


def _content(report: ReplayReport) -> dict[str, Any]:
    return {
        "state": "closed", "verdict": report.verdict, "text": str(report),
        "report": report.as_json(),
    }  # fmt: skip


def _exit_code(result: Rerun, reports: list[dict[str, Any]]) -> Exit:
    """Return the exit code; a command that failed before it had logged everything counts as 2."""
    code = max(_EXITS[report["verdict"]] for report in reports)
    is_cut = [not _is_complete(report) for report in reports]
    if result.has_failed:
        how = f"signal {-result.code}" if result.code < 0 else f"exit code {result.code}"
        if not any(is_cut):
            print_note(f"the command has ended with {how}")
            return code
        print_error(f"the command has ended with {how}, before everything was logged again")
        return Exit.USAGE
    if any(report["state"] == "running" for report in reports) and not result.was_ended:
        print_note("a recorder of the command was never closed; its last records were not compared")
        return max(code, Exit.INCONCLUSIVE) if code != Exit.DIFFERS else code
    return code


def _is_complete(report: dict[str, Any]) -> bool:
    """Return whether all that is recorded was logged again, or something differs before that."""
    if report["state"] in ("running", "finished"):
        return bool(report["state"] == "finished")
    found = report["report"]
    differs = found["first"] is not None and report["verdict"] in ("diverged", "inconclusive")
    return differs or bool(found["num_values"] and not found["num_missing"])


def _replayed(
    file: Path, cycle: str, wanted: RecordOptions, phases: list[str] | None, *, volatile: bool
) -> ReplayReport:
    function = load_callable(cycle)
    try:
        with reading(file), progress(f"replaying {file.name}") as update, user_code():
            return replay_file(
                file, function, wanted.start, wanted.end, phase=phases, volatile=volatile,
                progress=update,
            )  # fmt: skip
    except EncodeError as err:
        notes = "".join(f" ({note})" for note in getattr(err, "__notes__", ()))
        raise Failure(printable(f"{err}{notes}"), Exit.USAGE) from err
