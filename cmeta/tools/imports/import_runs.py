"""`import_runs`: many files at once, one run for each; a bad one does not stop the others.

- A file that is named, or that a pattern matches, must be one that can be imported.
- In a folder, everything of a known suffix is looked at. Files that turn out to be something else,
  such as the ``params.json`` beside a log, are counted and left alone. Event files of TensorBoard
  are a run together with those of phases beside them; the checkpoints of one training are one run.
  Each run of a file store of MLflow, and of Sacred, is a folder.
- A database of MLflow, in a folder or named, is all of its runs, by their ids: ``mlflow/ID.cmeta``.
- The chronicle of ``a/b.csv`` is ``a/b.cmeta`` in the new folder; if two sources would share that,
  each keeps its suffix: ``a/b.csv.cmeta``.
"""

from __future__ import annotations

import dataclasses
import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmeta.aliases import PathLike
from cmeta.errors import CmetaError, EncodeError
from cmeta.source import regular_file
from cmeta.storage.find import SUFFIX, is_pattern
from cmeta.tools.imports.compressed import SUFFIXES as COMPRESSED
from cmeta.tools.imports.compressed import decompressed
from cmeta.tools.imports.formats import ImportOptions, detect
from cmeta.tools.imports.import_run import ImportReport, import_of
from cmeta.vocabulary import PHASES, phase_named

_RUNS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".pq", ".wandb")
_DATABASES = (".db", ".sqlite", ".sqlite3")
_MAYBE_RUNS = (".json", ".log", ".txt")
_LEN_LOOK = 1 << 20  # bytes that tell whether a file is a run
_EVENTS, _TRAINER, _CHECKPOINT = "tfevents", "trainer_state.json", "checkpoint-"


@dataclass(frozen=True)
class Source:
    """A file or folder with a run, and the name of its chronicle below the new folder.

    Attributes
    ----------
    path : Path
    name : str
    run : str or None
        Which run, of a file that holds several.
    """

    path: Path
    name: str
    run: str | None = None


@dataclass(frozen=True)
class Sources:
    """The runs that some paths mean.

    Attributes
    ----------
    runs : tuple of Source
    num_others : int
        Files in folders that were looked at and are no runs.
    """

    runs: tuple[Source, ...]
    num_others: int


@dataclass(frozen=True)
class FailedImport:
    """A source that could not be imported.

    Attributes
    ----------
    source, out : str
    error : CmetaError or OSError
    """

    source: str
    out: str
    error: CmetaError | OSError


def import_runs(
    paths: PathLike | Iterable[PathLike],
    folder: PathLike,
    options: ImportOptions | None = None,
    **more: Any,
) -> Iterator[ImportReport | FailedImport]:
    """Import every run that some files, folders and patterns mean.

    Parameters
    ----------
    paths : path, or iterable of paths
    folder : path
        Where the chronicles go; it is made if it is missing.
    options : ImportOptions, optional
        Those that have no effect on a source are left out.
    **more
        As for `import_of`.

    Yields
    ------
    ImportReport or FailedImport
        One for each source, in order.
    """
    for source in find_sources(paths).runs:
        yield import_source(source, folder, options or ImportOptions(), **more)


def import_source(
    source: Source, folder: PathLike, options: ImportOptions, **more: Any
) -> ImportReport | FailedImport:
    """Import one of many sources into a folder; an error is returned."""
    out = Path(folder) / source.name
    if source.run is not None:
        options = dataclasses.replace(options, run=source.run)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        return import_of(source.path, out, options, is_one_of_many=True, **more)
    except (CmetaError, OSError) as err:
        return FailedImport(str(source.path), str(out), err)


def find_sources(paths: PathLike | Iterable[PathLike]) -> Sources:
    """Return the runs that files, folders and patterns mean."""
    named = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    found: dict[Path, None] = {}
    folders: list[Path] = []
    num_others = 0
    for text in map(os.fsdecode, named):
        matches = sorted(glob.glob(text, recursive=True)) if is_pattern(text) else [text]
        for path in map(Path, matches or [text]):
            if not path.is_dir():
                found[path] = None
                folders.append(path.parent)
                continue
            runs, others = _in_folder(path)
            found |= dict.fromkeys(runs)
            folders.append(path)
            num_others += others
    root = Path(os.path.commonpath([os.path.abspath(folder) for folder in folders] or ["."]))
    return Sources(tuple(_each_run(_named(list(found), root))), num_others)


def _named(paths: list[Path], root: Path) -> Iterator[Source]:
    relative = [os.path.relpath(path, root) for path in paths]
    full = [root.name if name == os.curdir else name for name in relative]
    stems = [_stem(name) for name in full]
    count = Counter(stems)
    for path, name, stem in zip(paths, full, stems, strict=True):
        yield Source(path, f"{stem if count[stem] == 1 else name}{SUFFIX}")


def _each_run(sources: Iterable[Source]) -> Iterator[Source]:
    """Yield the sources, those that are databases run by run."""
    from cmeta.tools.imports import mlflow  # SQLite is not loaded before it is needed

    for source in sources:
        if not mlflow.is_database(source.path):
            yield source
            continue
        folder = source.name.removesuffix(SUFFIX)
        for path, id_ in mlflow.runs_in(source.path):
            yield Source(path, f"{folder}/{id_}{SUFFIX}", id_)


def _stem(name: str) -> str:
    """Return a name without the suffixes of its format and its compression."""
    for suffix in (*COMPRESSED, *_RUNS, *_MAYBE_RUNS, *_DATABASES):
        name = name[: -len(suffix)] if name.lower().endswith(suffix) else name
    return name


def _in_folder(folder: Path) -> tuple[list[Path], int]:
    """Return the runs in a folder, and the number of other files that were looked at."""
    from cmeta.tools.imports import mlflow, sacred  # SQLite is not loaded before it is needed

    runs: dict[Path, None] = {}
    num_others = 0
    for text, folders, names in os.walk(folder):
        here = Path(text)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if any(name.endswith(".wandb") for name in names):
            folders.clear()  # a run of W&B: its logs and summaries are not other runs
        if mlflow.is_run(here) or sacred.is_run(here):
            folders.clear()
            runs[here] = None
            continue
        for name in sorted(names):
            path = here / name
            suffix = Path(_without_compression(name)).suffix.lower()
            if name.startswith("."):
                continue
            if _EVENTS in name:
                is_phase = phase_named(here.name, PHASES) and here != folder
                runs[here.parent if is_phase else here] = None
            elif name == _TRAINER:
                is_last = here.name.startswith(_CHECKPOINT) and here != folder
                runs[here.parent if is_last else here] = None
            elif suffix in _RUNS or _is_run(path, suffix):
                runs[path] = None
            elif not name.endswith(SUFFIX):
                num_others += 1
    return list(runs), num_others


def _without_compression(name: str) -> str:
    return name[: -len(Path(name).suffix)] if name.lower().endswith(COMPRESSED) else name


def _is_run(path: Path, suffix: str) -> bool:
    """Return whether a file whose suffix says little is a run, or a database of runs."""
    from cmeta.tools.imports import mlflow  # SQLite is not loaded before it is needed

    if suffix in _DATABASES:
        return mlflow.is_database(path)
    if suffix not in _MAYBE_RUNS:
        return False
    try:
        with decompressed(path, _LEN_LOOK) as (content, _):
            format_ = detect(content)
            if format_ != "jsonl":
                return True
            with open(content, "rb", opener=regular_file) as file:
                return bool(file.readline(_LEN_LOOK) and file.readline(_LEN_LOOK).strip())
    except (EncodeError, OSError):
        return False
