"""`cmeta tail`: the last records, and with ``-f`` new ones as they are recorded."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click

from cmeta.cli.console import file_name, print_note
from cmeta.cli.errors import print_problems
from cmeta.cli.files import note_if_empty, note_if_open, open_chronicle, require_file
from cmeta.cli.formats import FORMATS
from cmeta.cli.options import (
    RecordOptions,
    file_argument,
    format_option,
    record_options,
    records_option,
)
from cmeta.cli.rows import RowStream
from cmeta.errors import counted
from cmeta.reader.reader import Reader
from cmeta.records.chunk import Chunk
from cmeta.storage.lock import has_live_holder
from cmeta.storage.open import journal_path

_INTERVAL = 0.2  # seconds between checks of the file


@click.command(
    epilog="""\b
Examples:
  cmeta tail run.cmeta                     the last 10 records
  cmeta tail -f run.cmeta                  new ones, until it is closed
  cmeta tail -f run.cmeta --json | jq .loss_value

\b
Exit codes:
  0 success    2 usage or I/O error    3 corrupt: intact records are printed"""
)
@file_argument
@records_option("How many of the last records to consider.")
@click.option(
    "-f", "--follow", is_flag=True, help="Print new records as they come, until the run is closed."
)
@record_options
@format_option
def tail(file: Path, num_records: int, follow: bool, wanted: RecordOptions, format_: str) -> None:
    """Print the last records, or follow a run.

    With -f, new records are printed as they are recorded, until the run is closed.
    """
    if follow:
        require_file(file)
    with closing(open_chronicle(file)) as reader:
        first = max(0, len(reader) - num_records)
        selection, fields = wanted.selection(reader), wanted.chosen_fields(reader)
        stream = RowStream(reader, selection, fields, first)
        if follow and reader.state == "open":
            stream = _Follower(file, reader, wanted, first)
        if follow and reader.state == "open":
            _note_if_dead(file)
        FORMATS[format_](stream)
        if not follow and num_records and not stream.num_rows and not stream.problems:
            note_if_empty(file, reader)
        if not follow:
            note_if_open(file, reader)
    raise click.exceptions.Exit(print_problems(file, stream.problems))


def _note_if_dead(path: Path) -> None:
    """Say so if no process records a file: nothing will come until one resumes it."""
    if not has_live_holder(path):
        print_note(
            f"no process records {file_name(path)} (nobody holds its lock): the writer has ended "
            "without closing it; waiting for one that resumes the run, until Ctrl-C"
        )


class _Follower(RowStream):
    """A stream that goes on with new records until the run is closed."""

    is_live = True

    def __init__(self, path: Path, reader: Reader, wanted: RecordOptions, first: int) -> None:
        super().__init__(reader, wanted.selection(reader), wanted.chosen_fields(reader), first)
        self._file, self._num_seen = path, len(reader)

    def __iter__(self) -> Iterator[Chunk]:
        yield from super().__iter__()
        sys.stdout.flush()  # a follower must not wait for a buffer to fill
        seen = _signature(self._file)
        is_open, was_locked = True, has_live_holder(self._file)
        while is_open:
            time.sleep(_INTERVAL)
            signature = _signature(self._file)
            if signature == seen:
                if was_locked and not has_live_holder(self._file):
                    was_locked = False
                    _note_if_dead(self._file)
                continue
            seen, was_locked = signature, True
            with closing(open_chronicle(self._file)) as reader:
                is_open = reader.state == "open"
                yield from self._new_rows(reader)
            sys.stdout.flush()

    def _new_rows(self, reader: Reader) -> Iterator[Chunk]:
        if len(reader) < self._num_seen:
            count = counted(len(reader), "record")
            print_note(f"{file_name(self._file)} now has {count}: it was truncated or replaced")
        elif len(reader) > self._num_seen:
            stream = RowStream(reader, self._selection, self._fields, self._num_seen)
            yield from stream
            self.num_rows += stream.num_rows
            self.problems += stream.problems
        self._num_seen = len(reader)


def _signature(path: Path) -> tuple[object, ...]:
    """Return values that change when something is recorded."""
    parts: list[object] = []
    for file in (path, journal_path(path)):
        try:
            status = file.stat()
        except FileNotFoundError:
            parts.append(None)
        else:
            parts.append((status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(parts)
