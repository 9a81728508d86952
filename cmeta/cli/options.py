"""The options that commands share, so that a word means the same everywhere.

Phases and fields are named as `Recorder.log` takes them (`cmeta.vocabulary`): ``--phase val``,
``--fields loss``. A name that the file has means itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from cmeta.cli.errors import message_of, reading
from cmeta.cli.formats import FORMATS
from cmeta.errors import CmetaError, QueryError
from cmeta.query.parse import Expression, parse
from cmeta.reader.reader import Reader
from cmeta.reader.selection import Selection
from cmeta.safe_text import printable
from cmeta.schema.types import Field
from cmeta.vocabulary import AmbiguousNameError, phase_named, similar

Command = TypeVar("Command", bound=Callable[..., Any])

_KNOWN_MAX = 40  # names in a message
_SAFE_IN_SHELL = re.compile(r"[\w./:@%+-]+")
_NAME = re.compile(r""" *(?:"((?:[^"]|"")*)"|([^",][^,]*|)) *(?=,|\Z)""", re.DOTALL)


class _FileName(click.Path):
    """A path; an empty one, as of a variable that is not set, does not mean the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("found an empty name, expected that of a file", param, ctx)
        if "\0" in str(value):
            self.fail("found a name with a NUL character, which no file can have", param, ctx)
        return super().convert(value, param, ctx)


FILE = _FileName(path_type=Path)


file_argument = click.argument("file", type=FILE)
files_argument = click.argument("files", type=FILE, nargs=-1, required=True, metavar="FILE...")
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object per line."
)
replace_option = click.option("--replace", is_flag=True, help="Overwrite OUT if it exists.")
jobs_option = click.option(
    "--jobs", type=click.IntRange(min=1), metavar="N",
    help="Number of processes; default: one for each CPU, if there is enough work.",
)  # fmt: skip


def timestamp(text: str) -> int:
    """Return a timestamp given in decimal, or in hexadecimal as ``--json`` prints large ones.

    Raises
    ------
    click.BadParameter
    """
    try:
        value = int(text, 16 if text.lower().startswith("0x") else 10)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not an integer.") from None
    if value < 0:
        raise click.BadParameter(f"{text} is negative, expected a timestamp of 0 or more.")
    return value


def names(text: str) -> tuple[str, ...]:
    """Return the names of a comma-separated list; a name with a comma is in double quotes.

    Raises
    ------
    click.BadParameter

    Examples
    --------
    >>> names('loss_value, "metrics.a,b"')
    ('loss_value', 'metrics.a,b')
    """
    parts, rest = [], text
    while True:
        match = _NAME.match(rest)
        if match is None:
            raise click.BadParameter(f"{text!r} has a quote that does not end, or text behind one.")
        quoted, plain = match.groups()
        parts.append(plain.strip(" ") if quoted is None else quoted.replace('""', '"'))
        rest = rest[match.end() :]
        if not rest:
            break
        rest = rest.removeprefix(",")
    if not all(parts):
        raise click.BadParameter(f"{text!r} has an empty name, expected NAME,NAME,...")
    return tuple(parts)


def expression(text: str) -> Expression:
    """Return a condition on records.

    Raises
    ------
    click.BadParameter
        Shows the text, and points at the error.
    """
    try:
        return parse(text)
    except QueryError as err:
        raise click.BadParameter(message_of(err)) from None


def completed_fields(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[str]:
    """Return the names that a shell can complete, from the files on the command line.

    What a shell would run or expand is not offered: it puts a name on the line as it is.
    """
    # An option that still lacks its value leaves the arguments before it unparsed.
    params = (context.params.get("file"), *(context.params.get("files") or ()), *context.args)
    before, comma, prefix = incomplete.rpartition(",")
    paths: dict[str, None] = {}
    for path in params:
        with suppress(OSError, CmetaError):  # the command itself will report the error
            if path is not None and Path(path).is_file():
                with Reader(path) as reader:
                    paths.update(dict.fromkeys(field.path for field in reader.fields))
    safe = (path for path in paths if path.startswith(prefix) and _SAFE_IN_SHELL.fullmatch(path))
    return [f"{before}{comma}{path}" for path in safe]


@dataclass(frozen=True)
class RecordOptions:
    """Which records and fields --start, --end, --phase and --fields ask for.

    Raises
    ------
    click.BadParameter
        The range is empty.
    """

    start: int | None = None
    end: int | None = None
    phases: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.start is not None and self.end is not None and self.start > self.end:
            message = f"--start {self.start} is after --end {self.end}."
            raise click.BadParameter(message, param_hint="'--start'")

    def selection(self, reader: Reader) -> Selection:
        """Return the selection for a file.

        Raises
        ------
        click.BadParameter
            The file does not have one of the phases.
        """
        phases = [require_phase(reader, name) for name in self.phases]
        return Selection.of(reader.schema, self.start, self.end, phases or None)

    def chosen_fields(self, reader: Reader) -> tuple[Field, ...] | None:
        """Return the fields of a file that --fields asks for, each once; None: all.

        Raises
        ------
        click.BadParameter
            The file does not have one of the fields.
        Failure
            The names of the undeclared metrics are needed, but damaged.
        """
        if not self.fields:
            return None
        with reading(Path(reader.name)):
            return tuple(dict.fromkeys(_field(name, reader) for name in self.fields))

    def replace(self, **changes: Any) -> RecordOptions:
        """Return the options with some replaced."""
        return replace(self, **changes)


def require_phase(reader: Reader, name: str) -> str:
    """Return the phase of a file that a word names.

    Raises
    ------
    click.BadParameter
    """
    known = reader.schema.phases
    phase = phase_named(name, known)
    if phase is None:
        raise _unknown("phase", name, known)
    return phase


def _field(name: str, reader: Reader) -> Field:
    try:
        return reader.field(name)
    except AmbiguousNameError as err:
        raise click.BadParameter(f"{err.args[0]}.", param_hint="'--fields'") from None
    except KeyError:
        raise _unknown("fields", name, [field.path for field in reader.fields]) from None


def record_options(command: Command) -> Command:
    """Add --start, --end, --phase and --fields; the command gets `wanted`, a `RecordOptions`."""

    @wraps(command)
    def call(
        *args: Any, start: int | None, end: int | None, phase: Sequence[Sequence[str]],
        fields: Sequence[Sequence[str]], **options: Any,
    ) -> Any:  # fmt: skip
        wanted = RecordOptions(start, end, flat(phase), flat(fields))
        return command(*args, wanted=wanted, **options)

    for option in (
        fields_option(
            "Only these, in this order; `cmeta info` lists them. The group of a metric may be "
            "omitted: entropy is metrics.entropy."
        ),
        phase_option,
        *range_options,
    ):
        call = option(call)
    return call  # type: ignore[return-value]  # the options that it takes are click's business


phase_option = click.option(
    "--phase", type=names, multiple=True, metavar="P,...",
    help="Only records of these phases; val is short for validate. May be repeated.",
)  # fmt: skip
range_options = (
    click.option("--end", type=timestamp, metavar="N", help="Last timestamp, inclusive."),
    click.option("--start", type=timestamp, metavar="N", help="First timestamp, inclusive."),
)


def fields_option(help_: str) -> Callable[[Command], Command]:
    """Return the option --fields."""
    return click.option(
        "--fields", type=names, multiple=True, metavar="A,B,...", shell_complete=completed_fields,
        help=help_,
    )  # fmt: skip


def flat(parts: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Return the names of an option that may be repeated."""
    return tuple(name for part in parts for name in part)


def records_option(help_: str) -> Callable[[Command], Command]:
    """Return the option -n."""
    return click.option(
        "-n", "--records", "num_records", type=click.IntRange(min=0), default=10,
        show_default=True, metavar="N", help=help_,
    )  # fmt: skip


def format_option(command: Command) -> Command:
    """Add --format, and --json as its short form; the command gets `format_`.

    Raises
    ------
    click.UsageError
        The two contradict each other.
    """

    @wraps(command)
    def call(*args: Any, format_: str | None, as_json: bool, **options: Any) -> Any:
        if as_json and format_ not in (None, "jsonl"):
            raise click.UsageError(f"--json and --format {format_} contradict each other.")
        kind = "jsonl" if as_json else format_ or "table"
        return command(*args, format_=kind, **options)

    for option in (
        click.option("--json", "as_json", is_flag=True, help="Short for --format jsonl."),
        click.option(
            "--format", "format_", type=click.Choice(list(FORMATS)),
            help="How records are printed; default: table, which rounds floats to six digits. "
            "The others are exact.",
        ),
    ):  # fmt: skip
        call = option(call)
    return call  # type: ignore[return-value]


def _unknown(option: str, name: str, known: Sequence[str]) -> click.BadParameter:
    suggestions = " or ".join(map(printable, similar(name, known)))
    hint = f" Did you mean {suggestions}?" if suggestions else ""
    shown = ", ".join(map(printable, known[:_KNOWN_MAX]))
    more = f" and {len(known) - _KNOWN_MAX} more" if len(known) > _KNOWN_MAX else ""
    message = f"'{printable(name)}' is not in this file.{hint} It has: {shown}{more}."
    return click.BadParameter(message, param_hint=f"'--{option}'")
