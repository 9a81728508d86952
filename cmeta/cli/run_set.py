"""Several runs given to one command: opened one by one, and a bad one spoils no other."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import click

from cmeta.cli.console import complain, file_name
from cmeta.cli.errors import Exit, Failure, describe
from cmeta.cli.files import expand, open_chronicle
from cmeta.cli.options import chosen_fields, chosen_selection
from cmeta.reader.reader import Reader
from cmeta.reader.selection import Selection
from cmeta.schema.types import Field
from cmeta.tools.summary.summarise import is_number
from cmeta.tools.summary.summary_report import Missing

Names = tuple[tuple[str, ...], ...]

_PROBLEMS_MAX = 10  # in full, of one file


@dataclass(frozen=True)
class Run:
    """One of the runs.

    Attributes
    ----------
    label : str
        A short name that no other of the runs has.
    fields : tuple of Field, or None
        Those of --fields that it has; None: all.
    selection : Selection
        Of nothing, if it has none of the phases.
    """

    path: Path
    label: str
    reader: Reader
    fields: tuple[Field, ...] | None
    selection: Selection


class Several:
    """The runs that a command is given; may be gone through more than once.

    Attributes
    ----------
    code : Exit
        The highest that a file has led to so far.

    Raises
    ------
    click.BadParameter
        A field or a phase that none of them has, or a field that is no number.
    """

    def __init__(
        self, files: Sequence[Path], fields: Names, start: int | None, end: int | None,
        phase: Names,
    ) -> None:  # fmt: skip
        self.code = Exit.FINE
        self._fields = [name for part in fields for name in part]
        self._phases = [name for part in phase for name in part]
        self._start, self._end = start, end
        unique = expand(files)
        self._paths = dict(zip(unique, brief_names(unique), strict=True))
        if start is not None and end is not None and start > end:
            raise click.BadParameter(f"{start} is behind --end {end}.", param_hint="'--start'")
        if self._fields or self._phases:
            self._require_known()

    def __iter__(self) -> Iterator[Run]:
        for path, label in list(self._paths.items()):
            try:
                reader = open_chronicle(path)
            except Failure as err:
                self._complain(path, err)
                continue
            with closing(reader):
                try:
                    run = Run(path, label, reader, self._fields_of(reader), self._selection(reader))
                except Failure as err:
                    self._complain(path, err)
                    continue
                yield run

    def report(self, path: Path, problems: Sequence[Missing]) -> None:
        """Say what of a file could not be read."""
        for problem in problems[:_PROBLEMS_MAX]:
            complain(f"{file_name(path)}: {describe(problem)}; {_left_out(problem)}")
        if len(problems) > _PROBLEMS_MAX:
            complain(f"{file_name(path)}: and {len(problems) - _PROBLEMS_MAX} more")
        if problems:
            self.code = max(self.code, Exit.CORRUPT)

    def _complain(self, path: Path, error: Failure) -> None:
        del self._paths[path]  # once is enough
        complain(error.message)
        self.code = max(self.code, Exit(error.exit_code))

    def _require_known(self) -> None:
        """Refuse names that no file has, before anything is printed."""
        unknown: dict[tuple[str, str], click.BadParameter] = {}
        known: set[tuple[str, str]] = set()
        for path in self._paths:
            try:
                reader = open_chronicle(path)
            except Failure:
                continue  # said when it is its turn
            with closing(reader):
                for kind, name in self._names:
                    try:
                        self._resolve(reader, kind, name)
                        known.add((kind, name))
                    except click.BadParameter as err:
                        unknown.setdefault((kind, name), err)
                    except Failure:
                        known.add((kind, name))  # nobody can tell; said when it is its turn
        for what in self._names:
            if what in unknown and what not in known:
                raise unknown[what]

    @property
    def _names(self) -> list[tuple[str, str]]:
        return [("field", n) for n in self._fields] + [("phase", n) for n in self._phases]

    def _resolve(self, reader: Reader, kind: str, name: str) -> tuple[Field, ...]:
        if kind == "phase":
            chosen_selection(reader, None, None, [[name]])
            return ()
        found = chosen_fields(reader, [[name]]) or ()
        for field in found:
            if not is_number(field):
                message = f"{name} is of type {field.type}, expected a field of numbers."
                raise click.BadParameter(message, param_hint="'--fields'")
        return found

    def _fields_of(self, reader: Reader) -> tuple[Field, ...] | None:
        if not self._fields:
            return None
        found: dict[Field, None] = {}
        for name in self._fields:
            try:
                found.update(dict.fromkeys(self._resolve(reader, "field", name)))
            except click.BadParameter:  # another run has it
                continue
        return tuple(found)

    def _selection(self, reader: Reader) -> Selection:
        here = [name for name in self._phases if name in reader.schema.phases]
        found = Selection.of(reader.schema, self._start, self._end, here or None)
        return Selection(found.start, found.end, ()) if self._phases and not here else found


def _left_out(problem: Missing) -> str:
    if problem.num_records is None:
        return "what depends on it is left out"
    return (
        f"its {problem.num_records} records, timestamps {problem.first_timestamp} to "
        f"{problem.last_timestamp}, are left out"
    )


def brief_names(paths: Sequence[Path]) -> list[str]:
    """Return short names that tell paths apart.

    Examples
    --------
    >>> brief_names([Path("runs/a.cmeta"), Path("runs/b.cmeta")])
    ['a', 'b']
    >>> brief_names([Path("runs/1/run.cmeta"), Path("runs/2/run.cmeta")])
    ['1/run', '2/run']
    """
    short = [path.name.removesuffix(".cmeta") or str(path) for path in paths]
    if len(set(short)) < len(short):
        whole = [os.path.abspath(path) for path in paths]
        root = os.path.commonpath([os.path.dirname(path) for path in whole])
        short = [os.path.relpath(path, root).removesuffix(".cmeta") for path in whole]
    if len(set(short)) < len(short):  # one file by two paths
        short = list(map(str, paths))
    return [file_name(name) for name in short]
