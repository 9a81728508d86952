"""`cmeta diff`: two runs, record by record."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import click

from cmeta.cli.console import print_data, print_lines, printable, progress
from cmeta.cli.errors import Exit
from cmeta.cli.files import open_chronicle, readable
from cmeta.cli.options import FILE, RecordOptions, fields_option, json_option, range_options
from cmeta.cli.values import json_line
from cmeta.tools.diff.diff import diff as compare

_end_option, _start_option = range_options


@click.command(
    epilog="""\b
Examples:
  cmeta diff first.cmeta second.cmeta
  cmeta diff first.cmeta second.cmeta --fields loss,entropy
  ssh host cat run.cmeta | cmeta diff - run.cmeta
  cmeta diff --json first.cmeta second.cmeta | jq .first

\b
Verdicts and exit codes:
  identical  0  byte for byte
  equal      0  the same records in different bytes, such as another batch size
  differs    1  in a value, in the unit of a field, or in the number of records
A file that cannot be read: 2; a corrupt one: 3."""
)
@click.argument("a", type=FILE)
@click.argument("b", type=FILE)
@json_option
@fields_option("Only these. The group of a metric may be omitted: entropy is metrics.entropy.")
@_start_option
@_end_option
def diff(
    a: Path,
    b: Path,
    as_json: bool,
    fields: Sequence[Sequence[str]],
    start: int | None,
    end: int | None,
) -> None:
    """Compare two chronicles record by record."""
    wanted = RecordOptions(start, end, fields=tuple(name for part in fields for name in part))
    paths = _field_paths(a, b, wanted.fields)
    source_a, source_b = readable(a), readable(b)
    with progress(f"{a.name} and {b.name}") as update:
        report = compare(source_a, source_b, fields=paths, start=start, end=end, progress=update)
    if as_json:
        print_data(json_line(report.as_json()))
    else:
        print_lines(map(printable, report.lines()))
    raise click.exceptions.Exit(Exit.SUCCESS if report.same else Exit.DIFFERS)


def _field_paths(a: Path, b: Path, names: Sequence[str]) -> list[str] | None:
    """Return the paths of the requested fields, which either file may have.

    Raises
    ------
    click.BadParameter
        Neither file has one of the fields.
    Failure
        A file cannot be opened.
    """
    with closing(open_chronicle(a)) as reader_a, closing(open_chronicle(b)) as reader_b:
        paths: dict[str, None] = {}
        for name in names:
            wanted = RecordOptions(fields=(name,))
            try:
                chosen = wanted.chosen_fields(reader_a)
            except click.BadParameter as error_of_a:
                try:
                    chosen = wanted.chosen_fields(reader_b)
                except click.BadParameter:
                    raise error_of_a from None
            paths.update({field.path: None for field in chosen or ()})
    return list(paths) or None
