"""`cmeta diff`: two runs, record by record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import click

from cmeta.cli.console import print_data, print_lines, progress
from cmeta.cli.errors import Exit
from cmeta.cli.files import open_chronicle, readable
from cmeta.cli.options import (
    FILE,
    RecordOptions,
    fields_option,
    flat,
    json_option,
    phase_option,
    range_options,
    require_phase,
)
from cmeta.cli.values import json_line
from cmeta.reader.reader import Reader
from cmeta.tools.diff.diff import diff as compare

_end_option, _start_option = range_options


@click.command(
    epilog="""\b
Examples:
  cmeta diff first.cmeta second.cmeta
  cmeta diff first.cmeta second.cmeta --fields loss,entropy
  cmeta diff first.cmeta second.cmeta --phase val
  ssh host cat run.cmeta | cmeta diff - run.cmeta
  cmeta diff --json first.cmeta second.cmeta | jq .first

\b
Verdicts and exit codes:
  identical  0  byte for byte
  equal      0  the same records in other bytes, such as another batch size
  differs    1  in a value, the unit of a field, or the number of records
A file that cannot be read: 2; a corrupt one: 3."""
)
@click.argument("a", type=FILE)
@click.argument("b", type=FILE)
@json_option
@fields_option("Only these. The group of a metric may be omitted: entropy is metrics.entropy.")
@phase_option
@click.option("--volatile", is_flag=True, help="Compare volatile fields too, such as wall time.")
@_end_option
@_start_option
def diff(
    a: Path,
    b: Path,
    as_json: bool,
    fields: Sequence[Sequence[str]],
    phase: Sequence[Sequence[str]],
    volatile: bool,
    start: int | None,
    end: int | None,
) -> None:
    """Compare two chronicles record by record."""
    wanted = RecordOptions(start, end, flat(phase), flat(fields))
    paths, phases = _named(a, b, wanted)
    source_a, source_b = readable(a), readable(b)
    with progress(f"{a.name} and {b.name}") as update:
        report = compare(
            source_a, source_b, fields=paths, start=start, end=end, phase=phases, volatile=volatile,
            progress=update,
        )  # fmt: skip
    if as_json:
        print_data(json_line(report.as_json()))
    else:
        print_lines(report.lines())
    raise click.exceptions.Exit(Exit.SUCCESS if report.same else Exit.DIFFERS)


def _named(a: Path, b: Path, wanted: RecordOptions) -> tuple[list[str] | None, list[str] | None]:
    """Return the requested fields and phases, which either file may have; None: all.

    Raises
    ------
    click.BadParameter
        Neither file has one of them.
    Failure
        A file cannot be opened.
    """

    def fields_of(reader: Reader, name: str) -> list[str]:
        chosen = RecordOptions(fields=(name,)).chosen_fields(reader)
        return [field.path for field in chosen or ()]

    def phases_of(reader: Reader, name: str) -> list[str]:
        return [require_phase(reader, name)]

    with closing(open_chronicle(a)) as reader_a, closing(open_chronicle(b)) as reader_b:
        readers = (reader_a, reader_b)
        return _either(wanted.fields, readers, fields_of), _either(
            wanted.phases, readers, phases_of
        )


def _either(
    names: Sequence[str], readers: tuple[Reader, Reader], of: Callable[[Reader, str], list[str]]
) -> list[str] | None:
    """Return what names mean in the first file or, if that does not have it, in the second."""
    meant: dict[str, None] = {}
    for name in names:
        try:
            found = of(readers[0], name)
        except click.BadParameter as error_of_first:
            try:
                found = of(readers[1], name)
            except click.BadParameter:
                raise error_of_first from None
        meant.update(dict.fromkeys(found))
    return list(meant) or None
