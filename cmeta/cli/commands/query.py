"""`cmeta query`: the records for which a condition is true."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import click

from cmeta.cli.commands.cat import report
from cmeta.cli.console import complain, emit, emit_data, file_name, note
from cmeta.cli.errors import Exit, Failure, message_of, reading
from cmeta.cli.files import expand, open_chronicle, what_open_means
from cmeta.cli.formats import FORMATS
from cmeta.cli.options import (
    FILE,
    chosen_fields,
    chosen_format,
    chosen_selection,
    expression,
    format_option,
    selection_options,
)
from cmeta.cli.rows import RowStream
from cmeta.cli.values import json_line
from cmeta.errors import QueryError
from cmeta.query.parse import Expression
from cmeta.reader.condition import Condition
from cmeta.reader.reader import Reader


@dataclass(frozen=True)
class _Question:
    """What is asked of each file."""

    expression: Expression
    start: int | None
    end: int | None
    phase: tuple[tuple[str, ...], ...]
    fields: tuple[tuple[str, ...], ...]
    limit: int | None
    count: bool

    def asked_of(self, reader: Reader, heading: str) -> RowStream:
        """Return the records of a file that answer it; without values if they are to be counted."""
        selection = chosen_selection(reader, self.start, self.end, self.phase)
        with reading(Path(reader.name)):
            condition = Condition.of(
                self.expression, reader.schema, lambda: reader.fields, lambda: reader.configs
            )
        fields = () if self.count else chosen_fields(reader, self.fields)
        selection = selection.where(condition)
        return RowStream(reader, selection, fields, limit=self.limit, heading=heading)


@click.command(
    epilog="""\b
Examples:
  cmeta query run.cmeta "loss_value < 0.1 and phase == 'validate'"
  cmeta query run.cmeta "isnan(loss_value)" --fields timestamp,loss_value --limit 1
  cmeta query run.cmeta "metrics['train/lr'] > config.lr / 2 or step % 100 == 0"
  cmeta query runs/ "not isfinite(loss_value)" --count

\b
The expression:
  fields      loss_value, metrics.entropy or entropy, metrics["train/lr"],
              tensor_signature[0], config.lr: a key of the configuration
  constants   0.1, 0xFF, 'train', True, None
  conditions  < <= > >= == !=   0 < x < 1   in ('a', 'b')   and or not
  arithmetic  + - * / % **   abs(x)
  functions   isnan(x) isinf(x) isfinite(x) present(x)
What is absent is neither less nor greater than anything: neither `x < 1` nor
`not x < 1` selects it; `x is None` does. NaN is not less than anything: `x < 1`
does not select it, `not x < 1` does.

\b
Exit codes (of several files the highest):
  0 fine    2 usage or I/O    3 corrupt: what is intact is printed"""
)
@click.argument(
    "files", type=FILE, nargs=-1, metavar="FILE...",
    callback=lambda ctx, parameter, files: files or _refuse_without_file(),
)  # fmt: skip
@click.argument("condition", type=expression, metavar="EXPRESSION")
@click.option(
    "--count", is_flag=True, help="Only how many there are; with --json as an object a file."
)
@click.option(
    "--limit", type=click.IntRange(min=0), metavar="N", help="At most so many records of a file."
)
@selection_options
@format_option
def query(
    files: tuple[Path, ...],
    condition: Expression,
    count: bool,
    limit: int | None,
    start: int | None,
    end: int | None,
    phase: tuple[tuple[str, ...], ...],
    fields: tuple[tuple[str, ...], ...],
    format_: str | None,
    as_json: bool,
) -> None:
    """Print the records for which an expression is true.

    A FILE may be a folder, for every .cmeta file below it, or a pattern in quotes.
    """
    kind = chosen_format(format_, as_json)
    paths = expand(files)
    if kind == "csv" and (count or len(paths) > 1):
        raise click.UsageError("--format csv takes one file and no --count; use --json.")
    question = _Question(condition, start, end, phase, fields, limit, count)
    worst = Exit.FINE
    for path in paths:
        heading = file_name(path) if len(paths) > 1 else ""
        worst = max(worst, _answer(path, question, kind, heading))
    raise click.exceptions.Exit(worst)


def _answer(path: Path, question: _Question, kind: str, heading: str) -> Exit:
    """Print what one file holds; whatever is wrong with it is said, and the next one comes."""
    try:
        with closing(open_chronicle(path)) as reader:
            stream = question.asked_of(reader, heading)
            if question.count:
                _count(path, stream, kind, heading)
            else:
                FORMATS[kind](stream)
                if not stream.num_rows and not stream.problems:
                    note(f"{file_name(path)} has no such records")
            if reader.state == "open":
                note(f"{file_name(path)} is open: {what_open_means(reader.has_journal)}")
        report(path, stream.problems)
    except Failure as failure:
        complain(failure.message)
        return failure.code
    except QueryError as err:
        complain(f"{file_name(path)}: {message_of(err)}")
        return Exit.USAGE
    except click.BadParameter as err:
        complain(f"{file_name(path)}: {err.format_message()}")
        return Exit.USAGE
    except click.exceptions.Exit as end:
        return Exit(end.exit_code)
    return Exit.FINE


def _count(path: Path, stream: RowStream, kind: str, heading: str) -> None:
    num_rows = sum(block.num_rows for block in stream)
    if kind == "jsonl":
        emit_data(json_line({"file": file_name(path), "num_records": num_rows}))
    else:
        emit(f"{heading}: {num_rows}\n" if heading else f"{num_rows}\n")


def _refuse_without_file() -> NoReturn:
    raise click.UsageError(
        "Missing argument: expected a FILE and behind it an EXPRESSION, such as: "
        "cmeta query run.cmeta \"loss_value < 0.1 and phase == 'validate'\""
    )
