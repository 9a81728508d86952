"""`cmeta tail`: the last records, and with ``-f`` those that are being recorded."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click

from cmeta.cli.commands.cat import report
from cmeta.cli.console import file_name, note
from cmeta.cli.files import open_chronicle, require_file, what_open_means
from cmeta.cli.formats import FORMATS
from cmeta.cli.options import (
    chosen_fields,
    chosen_format,
    chosen_selection,
    file_argument,
    format_option,
    records_option,
    selection_options,
)
from cmeta.cli.rows import RowBlock, RowStream
from cmeta.reader.reader import Reader
from cmeta.schema.types import Field
from cmeta.storage.file_state import journal_path

_EVERY = 0.2  # seconds between two looks


@click.command(
    epilog="""\b
Examples:
  cmeta tail run.cmeta                     the last 10 records
  cmeta tail -f run.cmeta                  and those that come, until the run is closed
  cmeta tail -f run.cmeta --json | jq .loss_value

\b
Exit codes:
  0 fine    2 usage or I/O    3 corrupt: what is intact is printed"""
)
@file_argument
@records_option("How many of the last records.")
@click.option("-f", "--follow", is_flag=True, help="Go on as records come; ends with the run.")
@selection_options
@format_option
def tail(
    file: Path,
    num_records: int,
    follow: bool,
    start: int | None,
    end: int | None,
    phase: tuple[tuple[str, ...], ...],
    fields: tuple[tuple[str, ...], ...],
    format_: str | None,
    as_json: bool,
) -> None:
    """Print the last records; follow a run that is being recorded."""
    if follow:
        require_file(file)
    write = FORMATS[chosen_format(format_, as_json)]
    with closing(open_chronicle(file)) as reader:
        selection = chosen_selection(reader, start, end, phase)
        chosen = chosen_fields(reader, fields)
        first = max(0, len(reader) - num_records)
        stream = RowStream(reader, selection, chosen, first)
        if follow and reader.state == "open":
            stream = _Following(file, stream, chosen, len(reader))
        write(stream)
        if reader.state == "open" and not follow:
            note(f"{file_name(file)} is open: {what_open_means(reader.has_journal)}")
    report(file, stream.problems)


class _Following(RowStream):
    """A stream that goes on with what is recorded, until the run is closed."""

    is_live = True

    def __init__(
        self, path: Path, begin: RowStream, fields: tuple[Field, ...] | None, num_seen: int
    ) -> None:
        super().__init__(begin._reader, begin._selection, fields, begin._first)
        self._begin, self._num_seen = begin, num_seen
        self._place = path

    def __iter__(self) -> Iterator[RowBlock]:
        yield from self._part(self._begin)
        sys.stdout.flush()  # whoever follows must not wait for a buffer to fill
        seen = _look(self._place)
        is_open = True
        while is_open:
            time.sleep(_EVERY)
            now = _look(self._place)
            if now == seen:
                continue
            seen = now
            with closing(open_chronicle(self._place)) as reader:
                is_open = reader.state == "open"
                yield from self._news(reader)
            sys.stdout.flush()

    def _news(self, reader: Reader) -> Iterator[RowBlock]:
        if len(reader) < self._num_seen:
            note(
                f"{file_name(self._place)} now holds {len(reader)} records: it was cut or replaced"
            )
        elif len(reader) > self._num_seen:
            first = self._num_seen
            yield from self._part(RowStream(reader, self._selection, self._fields, first))
        self._num_seen = len(reader)

    def _part(self, stream: RowStream) -> Iterator[RowBlock]:
        yield from stream
        self.num_rows += stream.num_rows
        self.problems += stream.problems


def _look(path: Path) -> tuple[object, ...]:
    """Return what changes when something is recorded."""
    found: list[object] = []
    for place in (path, journal_path(path)):
        try:
            status = place.stat()
        except FileNotFoundError:
            found.append(None)
        else:
            found.append((status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(found)
