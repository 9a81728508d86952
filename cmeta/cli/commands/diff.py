"""`cmeta diff`: what two runs logged, record by record."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from cmeta.cli.console import emit, emit_data, printable, progress
from cmeta.cli.errors import Exit
from cmeta.cli.files import open_chronicle, readable
from cmeta.cli.options import FILE, chosen_fields, json_option, names, timestamp
from cmeta.cli.values import json_line
from cmeta.tools.diff.diff import diff as compare


@click.command(
    epilog="""\b
Examples:
  cmeta diff first.cmeta second.cmeta
  cmeta diff first.cmeta second.cmeta --fields loss_value,entropy
  ssh host cat run.cmeta | cmeta diff - run.cmeta
  cmeta diff --json first.cmeta second.cmeta | jq .first

\b
Verdicts, and exit codes:
  identical  0  byte for byte
  equal      0  record for record, in other bytes: batches of another size, say
  differs    1  in a value, in the unit of a field, or in the number of records
A file that cannot be read: 2; one that is corrupt: 3."""
)
@click.argument("a", type=FILE)
@click.argument("b", type=FILE)
@json_option
@click.option(
    "--fields", type=names, multiple=True, metavar="A,B,...",
    help="Only these. A metric's group may be left out: entropy is metrics.entropy.",
)  # fmt: skip
@click.option("--start", type=timestamp, metavar="N", help="First timestamp, included.")
@click.option("--end", type=timestamp, metavar="N", help="Last timestamp, included.")
def diff(
    a: Path,
    b: Path,
    as_json: bool,
    fields: tuple[tuple[str, ...], ...],
    start: int | None,
    end: int | None,
) -> None:
    """Compare two chronicles record by record."""
    paths = _paths_of(a, b, fields)
    one, other = readable(a), readable(b)
    with progress(f"{a.name} and {b.name}") as update:
        report = compare(one, other, fields=paths, start=start, end=end, progress=update)
    if as_json:
        emit_data(json_line(report.as_json()))
    else:
        emit("".join(f"{printable(line)}\n" for line in report.lines()))
    raise click.exceptions.Exit(Exit.FINE if report.same else Exit.DIFFERS)


def _paths_of(a: Path, b: Path, fields: tuple[tuple[str, ...], ...]) -> list[str] | None:
    """Return the dotted names of the fields that are asked for; either file may have them.

    Raises
    ------
    click.BadParameter
        A field that neither file has.
    Failure
        A file cannot be opened.
    """
    with closing(open_chronicle(a)) as one, closing(open_chronicle(b)) as other:
        found: dict[str, None] = {}
        for name in (name for part in fields for name in part):
            try:
                chosen = chosen_fields(one, ((name,),))
            except click.BadParameter as of_a:
                try:
                    chosen = chosen_fields(other, ((name,),))
                except click.BadParameter:
                    raise of_a from None
            found.update({field.path: None for field in chosen or ()})
    return list(found) or None
