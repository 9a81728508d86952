"""The options that commands share, so that the same word means the same everywhere."""

from __future__ import annotations

import csv
import difflib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import click

from cmeta.cli.console import printable
from cmeta.cli.errors import message_of, reading
from cmeta.cli.formats import FORMATS
from cmeta.errors import CmetaError, QueryError
from cmeta.query.parse import Expression, parse
from cmeta.reader.reader import Reader
from cmeta.reader.selection import Selection
from cmeta.schema.types import Field

Command = TypeVar("Command", bound=Callable[..., Any])

_KNOWN_MAX = 40  # names in a message
_GUESSES_MAX = 3

FILE = click.Path(path_type=Path)

file_argument = click.argument("file", type=FILE)
files_argument = click.argument("files", type=FILE, nargs=-1, required=True, metavar="FILE...")
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


def timestamp(text: str) -> int:
    """Return a timestamp, given in decimal, or in hexadecimal as ``--json`` prints large ones.

    Raises
    ------
    click.BadParameter
    """
    try:
        found = int(text, 16 if text.lower().startswith("0x") else 10)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not an integer.") from None
    if found < 0:
        raise click.BadParameter(f"{text} is negative, expected a timestamp from 0 on.")
    return found


def names(text: str) -> tuple[str, ...]:
    """Return the names of a list with commas; one that holds a comma stands in double quotes.

    Raises
    ------
    click.BadParameter

    Examples
    --------
    >>> names('loss_value, "metrics.a,b"')
    ('loss_value', 'metrics.a,b')
    """
    found = tuple(next(csv.reader([text], skipinitialspace=True), []))
    if not found or not all(found):
        raise click.BadParameter(f"{text!r} has an empty name, expected NAME,NAME,...")
    return found


def expression(text: str) -> Expression:
    """Return a condition on records.

    Raises
    ------
    click.BadParameter
        Shows the text, and points at the place.
    """
    try:
        return parse(text)
    except QueryError as err:
        raise click.BadParameter(message_of(err)) from None


def completed_fields(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[str]:
    """Return the names that a shell can complete, from the file that stands on the line."""
    # An option that still lacks its value leaves the arguments before it unparsed.
    params = (context.params.get("file"), *(context.params.get("files") or ()), *context.args)
    before, comma, begun = incomplete.rpartition(",")
    found: list[str] = []
    for path in params:
        with suppress(OSError, CmetaError):  # the command itself will say what is wrong
            if path is not None and Path(path).is_file():
                with Reader(path) as reader:
                    found += [field.path for field in reader.fields if field.path not in found]
    return [f"{before}{comma}{path}" for path in found if path.startswith(begun)]


def selection_options(command: Command) -> Command:
    """Add --start, --end, --phase and --fields."""
    for option in (
        click.option(
            "--fields", type=names, multiple=True, metavar="A,B,...",
            shell_complete=completed_fields,
            help="Only these, in this order; `cmeta info` lists them. A metric's group may be "
            "left out: entropy is metrics.entropy.",
        ),
        click.option(
            "--phase", type=names, multiple=True, metavar="P,...",
            help="Only records of these phases; may be repeated.",
        ),
        click.option("--end", type=timestamp, metavar="N", help="Last timestamp, included."),
        click.option("--start", type=timestamp, metavar="N", help="First timestamp, included."),
    ):  # fmt: skip
        command = option(command)
    return command


def records_option(help_: str) -> Callable[[Command], Command]:
    """Return the option -n."""
    return click.option(
        "-n", "--records", "num_records", type=click.IntRange(min=0), default=10,
        show_default=True, metavar="N", help=help_,
    )  # fmt: skip


def format_option(command: Command) -> Command:
    """Add --format, and --json as its short form."""
    option = click.option(
        "--format", "format_", type=click.Choice(list(FORMATS)),
        help="How to print records; default: table, which rounds floats to six digits. "
        "The others are exact.",
    )  # fmt: skip
    json_ = click.option("--json", "as_json", is_flag=True, help="Short for --format jsonl.")
    return option(json_(command))


def chosen_format(format_: str | None, as_json: bool) -> str:
    """Return the format that --format and --json ask for.

    Raises
    ------
    click.UsageError
        They contradict each other.
    """
    if as_json and format_ not in (None, "jsonl"):
        raise click.UsageError(f"--json and --format {format_} contradict each other.")
    return "jsonl" if as_json else format_ or "table"


def chosen_selection(
    reader: Reader, start: int | None, end: int | None, phase: Iterable[Sequence[str]]
) -> Selection:
    """Return the selection that --start, --end and --phase ask for.

    Raises
    ------
    click.BadParameter
        An empty range, or a phase that the file does not have.
    """
    if start is not None and end is not None and start > end:
        raise click.BadParameter(f"{start} is behind --end {end}.", param_hint="'--start'")
    phases = [name for names in phase for name in names]
    known = reader.schema.phases
    for name in phases:
        if name not in known:
            raise _unknown("phase", name, known)
    return Selection.of(reader.schema, start, end, phases or None)


def chosen_fields(reader: Reader, fields: Iterable[Sequence[str]]) -> tuple[Field, ...] | None:
    """Return the fields that --fields asks for, each once; None: all.

    Raises
    ------
    click.BadParameter
        A field that the file does not have.
    Failure
        The names of the undeclared metrics are needed, but damaged.
    """
    wanted = [name for part in fields for name in part]
    if not wanted:
        return None
    schema = reader.schema
    by_path = {f.path: f for f in schema.fields}
    if any(name not in by_path for name in wanted):
        with reading(Path(reader.name)):
            by_path = {f.path: f for f in reader.fields}
    by_name: dict[str, list[Field]] = {}
    for field in by_path.values():
        by_name.setdefault(field.name, []).append(field)
    chosen: dict[Field, None] = {}
    for name in wanted:
        same_name = by_name.get(name, [])
        if name not in by_path and len(same_name) != 1:
            raise _unknown("fields", name, tuple(by_path))
        chosen[by_path.get(name) or same_name[0]] = None
    return tuple(chosen)


def _unknown(option: str, name: str, known: Sequence[str]) -> click.BadParameter:
    guesses = " or ".join(map(printable, _similar(name, known)))
    hint = f" Did you mean {guesses}?" if guesses else ""
    shown = ", ".join(map(printable, known[:_KNOWN_MAX]))
    more = f" and {len(known) - _KNOWN_MAX} more" if len(known) > _KNOWN_MAX else ""
    message = f"'{printable(name)}' is not in this file.{hint} It has: {shown}{more}."
    return click.BadParameter(message, param_hint=f"'--{option}'")


def _similar(name: str, known: Sequence[str]) -> list[str]:
    """Return known names that are spelt or begin alike, with or without their group."""
    paths = {path.rpartition(".")[2].lower(): path for path in known}
    paths |= {path.lower(): path for path in known}
    close = difflib.get_close_matches(name.lower(), paths)
    close += [spelling for spelling in paths if spelling.startswith(name.lower())]
    return list(dict.fromkeys(paths[spelling] for spelling in close))[:_GUESSES_MAX]
