"""The runs given to one command: opened one by one, so that a bad one does not stop the others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from cmeta.cli.console import file_name, print_error
from cmeta.cli.errors import Exit, Failure, describe, lost_records, print_problems, reading
from cmeta.cli.files import expand, open_chronicle
from cmeta.cli.options import RecordOptions, require_phase
from cmeta.reader.reader import Reader
from cmeta.reader.selection import Selection
from cmeta.schema.types import Field
from cmeta.tools.summary.summarise import is_number
from cmeta.tools.summary.summary_report import Missing

T = TypeVar("T")


@dataclass(frozen=True)
class Run:
    """One of the runs.

    Attributes
    ----------
    label : str
        A short name that is unique among the runs.
    fields : tuple of Field, or None
        The fields of --fields that it has; None: all.
    selection : Selection
        Selects nothing if it has none of the phases.
    """

    path: Path
    label: str
    reader: Reader
    fields: tuple[Field, ...] | None
    selection: Selection


class RunSet:
    """The runs that a command is given; may be iterated more than once.

    Attributes
    ----------
    code : Exit
        The highest exit code of a file so far.

    Raises
    ------
    click.BadParameter
        None of them has one of the fields or phases, or a field is not numeric.
    """

    def __init__(self, files: Sequence[Path], wanted: RecordOptions) -> None:
        self.code = Exit.SUCCESS
        self._wanted = wanted
        paths = expand(files)
        self._labels = dict(zip(paths, short_labels(paths), strict=True))
        if wanted.fields or wanted.phases:
            self._require_known()

    def __iter__(self) -> Iterator[Run]:
        for path, label in list(self._labels.items()):
            try:
                reader = open_chronicle(path)
            except Failure as err:
                self._drop(path, err)
                continue
            with closing(reader):
                try:
                    run = Run(path, label, reader, self._fields(reader), self._selection(reader))
                except Failure as err:
                    self._drop(path, err)
                    continue
                yield run

    def attempt(self, path: Path, work: Callable[..., T], *args: Any, **options: Any) -> T | None:
        """Return the result of reading a file; None if it failed, which has been printed."""
        try:
            with reading(path):
                return work(*args, **options)
        except Failure as err:
            self._drop(path, err)
            return None

    def print_problems(self, path: Path, problems: Sequence[Missing]) -> None:
        """Print what could not be read of a file."""
        texts = [f"{describe(problem)}; {_left_out(problem)}" for problem in problems]
        self.code = max(self.code, print_problems(path, texts))

    def _drop(self, path: Path, error: Failure) -> None:
        self._labels.pop(path, None)  # so that it is reported only once
        print_error(error.message)
        self.code = max(self.code, Exit(error.exit_code))

    def _require_known(self) -> None:
        """Refuse names that no file has, before anything is printed."""
        parts = [self._wanted.replace(fields=(name,), phases=()) for name in self._wanted.fields]
        parts += [self._wanted.replace(fields=(), phases=(name,)) for name in self._wanted.phases]
        refusals: dict[RecordOptions, click.BadParameter] = {}
        known: set[RecordOptions] = set()
        for path in self._labels:
            try:
                reader = open_chronicle(path)
            except Failure:
                continue  # reported when the file is read
            with closing(reader):
                for part in parts:
                    try:
                        self._resolve(reader, part)
                        known.add(part)
                    except click.BadParameter as err:
                        refusals.setdefault(part, err)
                    except Failure:
                        known.add(part)  # cannot be decided; reported when the file is read
        for part in parts:
            if part in refusals and part not in known:
                raise refusals[part]

    def _resolve(self, reader: Reader, wanted: RecordOptions) -> tuple[Field, ...]:
        for name in wanted.phases:
            require_phase(reader, name)
        fields = wanted.chosen_fields(reader) or ()
        for field, name in zip(fields, wanted.fields, strict=True):
            if not is_number(field):
                message = f"{name} is of type {field.type}, expected a numeric field."
                raise click.BadParameter(message, param_hint="'--fields'")
        return fields

    def _fields(self, reader: Reader) -> tuple[Field, ...] | None:
        if not self._wanted.fields:
            return None
        fields: dict[Field, None] = {}
        for name in self._wanted.fields:
            try:
                part = self._resolve(reader, RecordOptions(fields=(name,)))
            except click.BadParameter:  # another run has it
                continue
            fields.update(dict.fromkeys(part))
        return tuple(fields)

    def _selection(self, reader: Reader) -> Selection:
        known = []
        for name in self._wanted.phases:
            try:
                known.append(require_phase(reader, name))
            except click.BadParameter:  # another run has it
                continue
        selection = self._wanted.replace(phases=tuple(known)).selection(reader)
        if self._wanted.phases and not known:
            return Selection(selection.start, selection.end, ())
        return selection


def _left_out(problem: Missing) -> str:
    if problem.num_records is None:
        return "what depends on it is left out"
    return lost_records(problem.num_records, problem.first_timestamp, problem.last_timestamp)


def short_labels(paths: Sequence[Path]) -> list[str]:
    """Return short names that tell paths apart.

    Examples
    --------
    >>> short_labels([Path("runs/a.cmeta"), Path("runs/b.cmeta")])
    ['a', 'b']
    >>> short_labels([Path("runs/1/run.cmeta"), Path("runs/2/run.cmeta")])
    ['1/run', '2/run']
    """
    labels = [path.name.removesuffix(".cmeta") or str(path) for path in paths]
    if len(set(labels)) < len(labels):
        absolute = [os.path.abspath(path) for path in paths]
        root = os.path.commonpath([os.path.dirname(path) for path in absolute])
        labels = [os.path.relpath(path, root).removesuffix(".cmeta") for path in absolute]
    if len(set(labels)) < len(labels):  # one file by two paths
        labels = list(map(str, paths))
    return [file_name(label) for label in labels]
