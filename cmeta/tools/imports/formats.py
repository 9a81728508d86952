"""The formats that can be imported: what an importer gets and returns, and which one a file needs.

An importer is a module of `cmeta.tools.imports` with the functions of `Importer`, loaded when it is
needed. A new one is a module, its name in `FORMATS`, and its place in the lists for users that
CONTRIBUTING.md names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from cmeta.aliases import Progress
from cmeta.errors import EncodeError, counted
from cmeta.schema.load import shipped_format
from cmeta.schema.rules import PHASE
from cmeta.schema.schema import Schema
from cmeta.source import regular_file
from cmeta.tools.imports.cells import Cells

# In the order in which they are tried: those with a signature first.
FORMATS = (
    "parquet", "mlflow", "sacred", "trainer_state", "wandb", "tensorboard", "json", "jsonl", "log",
    "csv",
)  # fmt: skip
_LINES = ("jsonl", "csv")  # texts whose lines may be bad
_ONE_RUN = (*_LINES, "json", "log", "parquet")
_FORMATS_OF_OPTION = {
    "run": tuple(format_ for format_ in FORMATS if format_ not in _ONE_RUN),
    "names": ("csv",),
    "skip_bad_lines": _LINES,
}
# The words for the numbers that JSON does not have.
NON_FINITE = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
_LEN_SHOWN = 16  # bytes of an unknown file in an error
_LEN_HEAD = 1 << 16
_NAMES_SHOWN = 8
_T = TypeVar("_T")
_CHRONICLE = shipped_format().format.magic.to_bytes(4, "little")
_BOM = b"\xef\xbb\xbf"


def _ignore(done: int, size: int) -> None:
    """Take progress, and do nothing."""


@dataclass(frozen=True)
class ImportOptions:
    """The options of an import that matter to its importer.

    Attributes
    ----------
    phase : str or None
        The phase of records that do not state theirs; None: "train".
    run : str or None
        The run to import from a source that holds several.
    schema : Schema or None
        The schema that the user gave; None: `default_schema`, or the one in the source.
    names : sequence of str or None
        The names of the columns of a file that has none.
    skip_bad_lines : bool
        Leave out lines that cannot be read, and report them.
    progress : callable
        Called with bytes done and bytes in all; optional for an importer.
    """

    phase: str | None = None
    run: str | None = None
    schema: Schema | None = None
    names: Sequence[str] | None = None
    skip_bad_lines: bool = False
    progress: Progress = _ignore

    def require_effect(self, format_: str) -> None:
        """Raise if an option has no effect on a format.

        Raises
        ------
        EncodeError
        """
        given = {"run": self.run, "names": self.names, "skip_bad_lines": self.skip_bad_lines}
        for option, value in given.items():
            formats = _FORMATS_OF_OPTION[option]
            if value not in (None, False) and format_ not in formats:
                raise EncodeError(
                    f"{option} (--{option.replace('_', '-')}) has no effect on a source of the "
                    f"format {format_}, only on: {', '.join(formats)}"
                )

    @property
    def default_phase(self) -> str:
        """The phase of records that do not state theirs."""
        return self.phase or "train"


@dataclass(frozen=True)
class Imported:
    """A run read from another tool's file, ready to be written.

    Attributes
    ----------
    columns : mapping of str to Cells
        By dotted name; always the phase, by name or code, of every record. Records in any order:
        they are sorted by (timestamp, phase) before they are written.
    schema : Schema
        Declared floats become exact later where their values would be rounded.
    configs : sequence of mapping
        The configurations that a column ``config`` of indices refers to; without that column, one
        configuration for every record.
    lost : sequence of str
        What the source holds and a chronicle cannot, one sentence each.
    notes : sequence of str
        What was interpreted or changed without loss, one sentence each.
    damage : sequence of str
        Where the source is cut off or corrupt, so that records may be missing, one sentence each.
    is_schema_stated : bool
        The schema came from the source or the user and stays as it is.
    status : str or None
        How the run ended, in the words of `cmeta.write`; None: not stated.
    """

    columns: Mapping[str, Cells]
    schema: Schema
    configs: Sequence[Mapping[str, Any]] = ()
    lost: Sequence[str] = ()
    notes: Sequence[str] = ()
    damage: Sequence[str] = ()
    is_schema_stated: bool = False
    status: str | None = None

    @property
    def num_records(self) -> int:
        """The number of records."""
        return len(self.columns[PHASE].values)


class BadLines:
    """The lines of a text that cannot be read: refused, or skipped and counted.

    Parameters
    ----------
    source : Path
        For errors.
    skip : bool
    """

    def __init__(self, source: Path, skip: bool) -> None:
        self._source, self._skip = source, skip
        self._count, self._first = 0, ""

    def add(self, number: int, reason: str, cause: Exception | None = None) -> None:
        """Count a line.

        Parameters
        ----------
        number : int
            Of the line, from 1.
        reason : str
            Follows the number: ``: found 3 cells``, or ``, column 5: not JSON``.
        cause : Exception, optional

        Raises
        ------
        EncodeError
            Bad lines are not to be skipped.
        """
        if not self._skip:
            raise EncodeError(
                f"{self._source}, line {number}{reason}; skip_bad_lines=True (--skip-bad-lines) "
                "leaves out such lines"
            ) from cause
        self._first = self._first or f"line {number}{reason}"
        self._count += 1

    def sentences(self) -> list[str]:
        """Return the sentence of the report, if a line was skipped."""
        if not self._count:
            return []
        return [f"{counted(self._count, 'bad line')} skipped, the first: {self._first}"]


class Importer(Protocol):
    """A module that reads one format."""

    def looks_like(self, path: Path) -> bool:
        """Return whether a file or folder seems to be of this format."""
        ...

    def read(self, source: Path, options: ImportOptions) -> Imported:
        """Return the run in a file or folder."""
        ...


def load_importer(format_: str) -> Importer:
    """Return the module that reads a format.

    Raises
    ------
    EncodeError
        There is no such format.
    """
    if format_ not in FORMATS:
        raise EncodeError(f"found format {format_!r}, expected one of: {', '.join(FORMATS)}")
    return cast(Importer, import_module(f"cmeta.tools.imports.{format_}"))


def detect(path: Path) -> str:
    """Return the format of a file or folder.

    Raises
    ------
    EncodeError
        No format fits; the message shows how the file begins.
    """
    for format_ in FORMATS:
        if load_importer(format_).looks_like(path):
            return format_
    if text_head(path)[0].startswith(_CHRONICLE):
        raise EncodeError(
            f"{path}: is a chronicle, which needs no import; `cmeta convert` writes other formats"
        )
    known = ", ".join(FORMATS)
    raise EncodeError(
        f"{path}: found {_described(path)}, expected a file of one of: {known}; state the format "
        "with format=... (--format)"
    )


def _described(path: Path) -> str:
    if (path / ".aim").is_dir() or (path.is_dir() and path.name == ".aim"):
        return (
            "a repository of Aim, a RocksDB that only Aim itself reads; let it export the metrics, "
            "as with repo.query_metrics(...) to a CSV, and import that"
        )
    if path.is_dir():
        return "a folder without event files or an offline run"
    with open(path, "rb", opener=regular_file) as file:
        head = file.read(_LEN_SHOWN)
    return f"a file that begins with {head!r}" if head.strip() else "an empty file"


def choose_run(
    source: Path,
    run: str | None,
    runs: Mapping[str, _T],
    name_of: Callable[[_T], str] | None = None,
) -> _T:
    """Return the run of this id or name; without either the only one.

    Raises
    ------
    EncodeError
        There is none, or more than one; the message lists them.
    """
    names = {id_: name_of(item) if name_of else "" for id_, item in runs.items()}
    known = listed(f"{id_} ({name})" if name else id_ for id_, name in names.items())
    if run is None:
        if len(runs) == 1:
            return next(iter(runs.values()))
        number = f"{len(runs)} runs, expected one; choose a run: {known}" if runs else "no run"
        raise EncodeError(f"{source}: found {number}")
    chosen = [runs[id_] for id_, name in names.items() if run in (id_, name)]
    if len(chosen) != 1:
        raise EncodeError(
            f"{source}: found {len(chosen)} runs {run!r}; there are: {known or 'none'}"
        )
    return chosen[0]


def listed(names: Iterable[str]) -> str:
    """Return names in one line, the first few of many.

    Examples
    --------
    >>> listed("abcdefghij")
    'a, b, c, d, e, f, g, h and 2 more'
    """
    every = list(names)
    num_more = len(every) - _NAMES_SHOWN
    return ", ".join(every[:_NAMES_SHOWN]) + (f" and {num_more:,} more" if num_more > 0 else "")


def skipped(numbers: Sequence[int], kind: str) -> str:
    """Return that some records of a source were skipped, and which was the first.

    Examples
    --------
    >>> skipped([7], "event"), skipped([7, 8], "event")[-12:]
    ('record 7 is not a valid event and was skipped', ', and 1 more')
    """
    more = f", and {len(numbers) - 1:,} more" if len(numbers) > 1 else ""
    return f"record {numbers[0]:,} is not a valid {kind} and was skipped{more}"


def text_head(path: Path) -> tuple[bytes, bool]:
    """Return how a text file begins, without BOM and blanks, and whether that is all of it."""
    if not path.is_file():
        return b"", True
    with open(path, "rb", opener=regular_file) as file:
        head = file.read(_LEN_HEAD)
        return head.removeprefix(_BOM).lstrip(), not file.read(1)
