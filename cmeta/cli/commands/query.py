"""`cmeta query`: the records that fulfil a condition."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import click

from cmeta.cli.console import file_name, print_data, print_error, print_note, print_text
from cmeta.cli.errors import Exit, Failure, message_of, print_problems, reading
from cmeta.cli.files import expand, note_if_open, open_chronicle
from cmeta.cli.formats import FORMATS
from cmeta.cli.options import FILE, RecordOptions, expression, format_option, record_options
from cmeta.cli.rows import RowStream
from cmeta.cli.values import json_line
from cmeta.errors import QueryError
from cmeta.query.parse import Expression
from cmeta.reader.condition import Condition
from cmeta.reader.reader import Reader


@dataclass(frozen=True)
class _Query:
    """What is asked of each file."""

    expression: Expression
    wanted: RecordOptions
    limit: int | None
    count: bool

    def rows(self, reader: Reader, heading: str) -> RowStream:
        """Return the matching records of a file; without values if they are only counted."""
        selection = self.wanted.selection(reader)
        with reading(Path(reader.name)):
            condition = Condition.of(self.expression, reader)
        fields = () if self.count else self.wanted.chosen_fields(reader)
        selection = condition.narrow(selection)
        return RowStream(reader, selection, fields, limit=self.limit, heading=heading)


@click.command(
    epilog="""\b
Examples:
  cmeta query run.cmeta "loss < 0.1 and phase == 'validate'"
  cmeta query run.cmeta "isnan(loss)" --fields timestamp,loss --limit 1
  cmeta query run.cmeta "metrics['train/lr'] > config.lr / 2 or step > 99"
  cmeta query runs/ "not isfinite(loss)" --count

\b
The expression:
  fields      loss, metrics.entropy or entropy, metrics["train/lr"],
              tensor_signature[0], config.lr (a key of the configuration)
  constants   0.1, 0xFF, 'train', True, None
  conditions  < <= > >= == !=   0 < x < 1   in ('a', 'b')   and or not
  arithmetic  + - * / % **   abs(x)
  functions   isnan(x) isinf(x) isfinite(x) present(x)
An absent value is neither less nor greater than anything: neither `x < 1` nor
`not x < 1` selects it; `x is None` does. NaN is not less than anything:
`x < 1` does not select it, `not x < 1` does.

\b
Exit codes (the highest, if there are several files):
  0 success    2 usage or I/O error    3 corrupt: intact records are printed"""
)
@click.argument(
    "files", type=FILE, nargs=-1, metavar="FILE...",
    callback=lambda ctx, parameter, files: files or _refuse_without_file(),
)  # fmt: skip
@click.argument("condition", type=expression, metavar="EXPRESSION")
@click.option(
    "--count", is_flag=True,
    help="Print only the number of records; with --json, as one object per file.",
)  # fmt: skip
@click.option(
    "--limit", type=click.IntRange(min=0), metavar="N", help="At most N records of each file."
)
@record_options
@format_option
def query(
    files: tuple[Path, ...],
    condition: Expression,
    count: bool,
    limit: int | None,
    wanted: RecordOptions,
    format_: str,
) -> None:
    """Print the records for which an expression is true.

    A FILE may be a folder, for every .cmeta file below it, or a pattern in quotes.
    """
    paths = expand(files)
    if format_ == "csv" and (count or len(paths) > 1):
        raise click.UsageError("--format csv takes one file and no --count; use --json.")
    question = _Query(condition, wanted, limit, count)
    worst = Exit.SUCCESS
    for path in paths:
        heading = file_name(path) if len(paths) > 1 else ""
        worst = max(worst, _print_matches(path, question, format_, heading))
    raise click.exceptions.Exit(worst)


def _print_matches(path: Path, question: _Query, kind: str, heading: str) -> Exit:
    """Print the matching records of a file; report its errors, so that the next file follows."""
    try:
        with closing(open_chronicle(path)) as reader:
            stream = question.rows(reader, heading)
            if question.count:
                _print_count(path, stream, kind, heading)
            else:
                FORMATS[kind](stream)
                if not stream.num_rows and not stream.problems:
                    print_note(f"{file_name(path)} has no matching records")
            note_if_open(path, reader)
        return print_problems(path, stream.problems)
    except Failure as failure:
        print_error(failure.message)
        return failure.code
    except QueryError as err:
        print_error(f"{file_name(path)}: {message_of(err)}")
    except click.BadParameter as err:
        print_error(f"{file_name(path)}: {err.format_message()}")
    return Exit.USAGE


def _print_count(path: Path, stream: RowStream, kind: str, heading: str) -> None:
    num_rows = sum(block.num_records for block in stream)
    if kind == "jsonl":
        print_data(json_line({"file": file_name(path), "num_records": num_rows}))
    else:
        print_text(f"{heading}: {num_rows}\n" if heading else f"{num_rows}\n")


def _refuse_without_file() -> NoReturn:
    raise click.UsageError(
        "Missing argument: expected a FILE followed by an EXPRESSION, such as: "
        "cmeta query run.cmeta \"loss < 0.1 and phase == 'validate'\""
    )
