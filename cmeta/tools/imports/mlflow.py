"""Runs of MLflow: the folders of its file store (``mlruns``), or its SQLite database.

- A metric keeps its name; a record is one step of one phase, as in every log of single scalars. Its
  time is that of its first value.
- Parameters are the configuration. MLflow has them as texts; those of numbers and booleans become
  such. Facts about the run and its tags are in it under ``imported``.
- Runs that were deleted are left out. Artifacts, models, data sets and traces are not read.
- The database has no infinities: MLflow stores the largest float64 in their place, and that is
  infinity again.

Python's own SQLite opens the database, read-only; the file store is text. MLflow is not needed.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cmeta.errors import EncodeError, counted
from cmeta.source import regular_file
from cmeta.tools.imports.bounded import lines, read_at_most
from cmeta.tools.imports.formats import Imported, ImportOptions, choose_run
from cmeta.tools.imports.scalar_log import ScalarLog, status_named

TOOL = "mlflow"
_META, _METRICS, _DATABASE = "meta.yaml", "metrics", "mlflow.db"
_SIDE_FILES = ("-journal", "-wal", "-shm")
_SIGNATURE = b"SQLite format 3\0"
_TABLES = {"runs", "metrics", "params", "tags", "experiments"}
_STATUS = {"1": "RUNNING", "2": "SCHEDULED", "3": "FINISHED", "4": "FAILED", "5": "KILLED"}
_RUN_NAME = "mlflow.runName"
_LENGTH_MAX = 2**31 - 1  # bytes of a value, as SQLite has it
_TEXT_MAX, _LINE_MAX = 1 << 20, 1 << 16  # bytes of a parameter, and of a value in the file store
_STEPS_FREE, _STEPS_A_BYTE = 10_000_000, 100  # of the machine that SQLite is
_STEPS_AT_ONCE = 100_000
_MS = 1000  # MLflow's times are milliseconds


@dataclass(frozen=True)
class _Scalar:
    """A value of a metric; its time in milliseconds since 1970."""

    name: str
    value: float
    time: int
    step: int


@dataclass(frozen=True)
class _Run:
    """What MLflow holds of a run.

    Attributes
    ----------
    facts : mapping
    params, tags : mapping of str to str
    scalars : sequence of _Scalar
    notes, damage : list of str
    """

    facts: Mapping[str, Any]
    params: Mapping[str, str]
    tags: Mapping[str, str]
    scalars: list[_Scalar]
    notes: list[str] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)


def looks_like(path: Path) -> bool:
    """Return whether a path is a database of MLflow, or a folder with one or with runs."""
    if path.is_dir():
        return next(_run_folders(path), None) is not None or (path / _DATABASE).is_file()
    return is_database(path)


def is_run(folder: Path) -> bool:
    """Return whether a folder is a run of a file store that was not deleted."""
    is_like_one = (folder / _META).is_file() and (folder / _METRICS).is_dir()
    return is_like_one and _meta(folder).get("lifecycle_stage") != "deleted"


def is_database(path: Path) -> bool:
    """Return whether a path is a database of MLflow."""
    if not path.is_file():
        return False
    with open(path, "rb", opener=regular_file) as file:
        if file.read(len(_SIGNATURE)) != _SIGNATURE:
            return False
    try:
        with closing(_open(path)):
            return True
    except sqlite3.Error:
        return False


def runs_in(source: Path) -> list[tuple[Path, str | None]]:
    """Return the runs of a source: the folder of each, or the database and a run's id."""
    folders = list(_run_folders(source)) if source.is_dir() else []
    if folders:
        return [(folder, None) for folder in folders]
    path = source / _DATABASE if source.is_dir() else source
    with _errors_of(path), closing(_open(path)) as database:
        return [(path, id_) for id_, _ in _listed(database)]


def read(source: Path, options: ImportOptions) -> Imported:
    """Read a run from a database, from its folder, or from one with several.

    Parameters
    ----------
    source : Path
    options : ImportOptions
        `phase`: that of metrics whose names tell none; default train. `run`: the run's id or name.

    Raises
    ------
    EncodeError
        There is no run, or more than one to choose from, or a file is damaged.
    """
    log = ScalarLog(options)
    folders = list(_run_folders(source)) if source.is_dir() else []
    if folders:
        names = {folder.name: (folder, _text(folder / "tags" / _RUN_NAME)) for folder in folders}
        folder, _ = choose_run(source, options.run, names, lambda item: item[1])
        run = _of_folder(folder)
    else:
        run = _of_database(source / _DATABASE if source.is_dir() else source, options.run)
    for scalar in sorted(run.scalars, key=lambda scalar: scalar.time):
        phase = log.phase_of_name(scalar.name) or log.default_phase
        if log.add(scalar.name, phase, scalar.step, scalar.value):
            log.wall_time.append(log.number(scalar.name, scalar.time) / _MS)
    for note in run.notes:
        log.notes.add(note, TOOL)
    facts = {name: value for name, value in run.facts.items() if value not in (None, "")}
    about = {"source": TOOL, **facts, **({"tags": dict(run.tags)} if run.tags else {})}
    params = {name: _plain(text) for name, text in sorted(run.params.items())}
    return log.imported(about, [params], run.damage, status_named(run.facts.get("status")))


def _plain(text: str) -> Any:
    """Return the number or boolean that Python prints so, or the text itself.

    Examples
    --------
    >>> [_plain(text) for text in ("0.1", "1e-3", "True", "3", "adam")]
    [0.1, '1e-3', True, 3, 'adam']
    """
    if text in ("True", "False"):
        return text == "True"
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if type(value) in (int, float) and str(value) == text else text


# ------------------------------------------------------------------------------------ file store


def _run_folders(folder: Path) -> Iterator[Path]:
    """Yield the folders of runs at or below a folder, in the order of their names."""
    for text, folders, names in os.walk(folder):
        here = Path(text)
        if _META in names and _METRICS in folders:
            folders.clear()
            if is_run(here):
                yield here
        folders[:] = sorted(name for name in folders if not name.startswith("."))


def _of_folder(folder: Path) -> _Run:
    meta = _meta(folder)
    tags = _texts(folder / "tags")
    facts = {
        "run_id": meta.get("run_id", folder.name),
        "run_name": tags.pop(_RUN_NAME, meta.get("run_name")),
        "experiment": _meta(folder.parent).get("name"),
        "status": _STATUS.get(meta.get("status", ""), meta.get("status")),
        "start_time": _seconds(meta.get("start_time")),
        "end_time": _seconds(meta.get("end_time")),
    }
    run = _Run(facts, _texts(folder / "params"), tags, [])
    for path in _files(folder / _METRICS):
        run.scalars.extend(_metric(path, path.relative_to(folder / _METRICS).as_posix(), run))
    num_artifacts = sum(1 for _ in _files(folder / "artifacts"))
    if num_artifacts:
        run.notes.append(f"{counted(num_artifacts, 'file')} of artifacts not kept")
    return run


def _metric(path: Path, name: str, run: _Run) -> Iterator[_Scalar]:
    """Yield the values of a metric: lines of time, value and step, the last possibly torn."""
    bad, number, torn = dict[int, bytes](), 0, b""
    with open(path, "rb", opener=regular_file) as file:
        for number, (line, _) in enumerate(lines(file, _LINE_MAX), 1):
            if not line.endswith(b"\n"):
                torn = line
                continue
            try:
                time, value, *step = line.split()
                yield _Scalar(name, _float(value), int(time), int(step[0]) if step else 0)
            except ValueError:
                bad[number] = line[:40].rstrip()
    if bad:
        first, line = next(iter(bad.items()))
        more = f", and {len(bad) - 1:,} more" if len(bad) > 1 else ""
        run.damage.append(f"{path}, line {first}: not time, value and step: {line!r}{more}")
    if torn:
        run.damage.append(f"{path}, line {number}: without an end, left out: {torn[:40]!r}")


def _float(text: bytes) -> float:
    """Return a number, or a word for one that is not finite."""
    number = float(text)
    if math.isinf(number) and b"inf" not in text.lower():
        raise ValueError("no float64 holds it")
    return number


def _meta(folder: Path) -> dict[str, str]:
    """Return the members of a ``meta.yaml`` that are plain texts on one line."""
    pairs = (line.partition(": ") for line in _text(folder / _META).splitlines())
    return {key: _unquoted(value.strip()) for key, colon, value in pairs if colon}


def _unquoted(text: str) -> str:
    if text[:1] == text[-1:] == "'" and len(text) > 1:
        return text[1:-1].replace("''", "'")
    if text[:1] == text[-1:] == '"' and len(text) > 1:
        try:
            return str(json.loads(text))
        except ValueError:
            return text[1:-1]
    return "" if text == "null" else text


def _files(folder: Path) -> Iterable[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _texts(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): _text(path) for path in _files(folder)}


def _text(path: Path) -> str:
    try:
        data = read_at_most(path, _TEXT_MAX)
    except FileNotFoundError:
        return ""
    if len(data) > _TEXT_MAX:
        raise EncodeError(f"{path}: found more than {_TEXT_MAX:,} bytes, expected a short text")
    return data.decode("utf-8", "replace")


def _seconds(text: Any) -> float | None:
    try:
        return int(text) / _MS
    except (TypeError, ValueError, OverflowError):
        return None


# -------------------------------------------------------------------------------------- database


class _errors_of:  # noqa: N801  (used as a function)
    """Raise the errors of a database as an `EncodeError` that names the file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, err: BaseException | None, trace: Any) -> None:
        if isinstance(err, sqlite3.Error):
            raise EncodeError(f"{self._path}: not a database of MLflow, or damaged: {err}") from err


def _open(path: Path) -> sqlite3.Connection:
    """Return a database with MLflow's tables, whose rows are what the file holds.

    A small file may state more than that: a view without end, a column that is computed, a text
    that goes round in circles.

    Raises
    ------
    sqlite3.Error, OSError
    """
    _require_regular_side_files(path)
    database = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)
    try:
        database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, min(path.stat().st_size, _LENGTH_MAX))
        tables = database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
        plain = {name for name, sql in tables if not _is_virtual(sql)}
        computed = [
            name for name in _TABLES & plain
            for column in database.execute(f"PRAGMA table_xinfo({name})") if column[-1]
        ]  # fmt: skip
        if not plain >= _TABLES or computed:
            raise sqlite3.DatabaseError("its tables are not those of MLflow")
        num_calls = (_STEPS_FREE + _STEPS_A_BYTE * path.stat().st_size) // _STEPS_AT_ONCE
        calls = iter(range(num_calls))
        database.set_progress_handler(lambda: next(calls, None) is None, _STEPS_AT_ONCE)
    except BaseException:
        database.close()
        raise
    return database


def _require_regular_side_files(path: Path) -> None:
    """Refuse a FIFO under a name that SQLite opens beside the database: it would wait there."""
    for suffix in _SIDE_FILES:
        with contextlib.suppress(FileNotFoundError):
            os.close(regular_file(f"{path}{suffix}", os.O_RDONLY))


def _is_virtual(sql: object) -> bool:
    return not isinstance(sql, str) or sql.split()[1:2] != ["TABLE"]


def _listed(database: sqlite3.Connection) -> list[tuple[str, str]]:
    """Return id and name of each run, in the order in which they were started."""
    query = "SELECT run_uuid, name FROM runs WHERE lifecycle_stage = 'active' ORDER BY start_time"
    return [(str(id_), str(name or "")) for id_, name in database.execute(query)]


def _pairs(database: sqlite3.Connection, query: str, run: str) -> dict[str, str]:
    rows = database.execute(query, (run,))
    return {str(key): "" if value is None else str(value) for key, value in rows}


def _is_scalar(key: Any, value: Any, time: Any, step: Any, is_nan: Any) -> bool:
    """Return whether a row of metrics is one: SQLite takes any type in any column."""
    is_number = bool(is_nan) or isinstance(value, int | float)
    return isinstance(key, str) and is_number and isinstance(time, int) and isinstance(step, int)


def _of_database(path: Path, run: str | None) -> _Run:
    with _errors_of(path), closing(_open(path)) as database:
        names = dict(_listed(database))
        runs = {id_: (id_, name) for id_, name in names.items()}
        chosen, _ = choose_run(path, run, runs, lambda item: item[1])
        query = (
            "SELECT r.name, e.name, r.status, r.start_time, r.end_time FROM runs r "
            "LEFT JOIN experiments e ON e.experiment_id = r.experiment_id WHERE run_uuid = ?"
        )
        (name, experiment, status, start, end) = database.execute(query, (chosen,)).fetchone()
        facts = {
            "run_id": chosen, "run_name": name, "experiment": experiment, "status": status,
            "start_time": _seconds(start), "end_time": _seconds(end),
        }  # fmt: skip
        params, tags = (
            _pairs(database, f"SELECT key, value FROM {table} WHERE run_uuid = ?", chosen)
            for table in ("params", "tags")
        )
        tags.pop(_RUN_NAME, None)
        query = "SELECT key, value, timestamp, step, is_nan FROM metrics WHERE run_uuid = ?"
        scalars, bad, num_infinite = list[_Scalar](), list[str](), 0
        rows = database.execute(f"{query} ORDER BY rowid", (chosen,))
        for key, value, time, step, is_nan in rows:
            if not _is_scalar(key, value, time, step, is_nan):
                bad.append(f"{key!r:.60}, {value!r:.60}, {time!r:.60}, {step!r:.60}")
                continue
            number = math.nan if is_nan else float(value)
            if abs(number) == sys.float_info.max:
                number, num_infinite = math.copysign(math.inf, number), num_infinite + 1
            scalars.append(_Scalar(key, number, time, step))
    kept = _Run(facts, params, tags, scalars)
    if bad:
        kept.damage.append(
            f"{path}: {counted(len(bad), 'row')} of metrics left out, the first: found {bad[0]}, "
            "expected a name, a number, a time and a step"
        )
    if num_infinite:
        kept.notes.append("the largest float64, with which MLflow states infinity, is infinity")
    return kept
