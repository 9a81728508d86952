"""Which event files make up a run: folders, as the writers of several tools lay them out.

- A folder with event files is a run, together with all folders below it (``add_scalars`` and
  ``add_hparams`` of PyTorch write into such ones).
- Folders named after a phase (Keras: ``train`` and ``validation``) belong to the run of the folder
  that they are in, and tell the phase of their records.
- Everything else is a run of its own, of which one is chosen by its path below the source.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cmeta.errors import EncodeError
from cmeta.importer.logs.naming import listed, phase_of_word

TOP = PurePosixPath(".")


@dataclass(frozen=True)
class EventFile:
    """An event file and its place in its run.

    Attributes
    ----------
    path : Path
    folder : PurePosixPath
        Relative to the folder of the run; ``.`` is that itself.
    phase : str or None
        That the folder tells.
    """

    path: Path
    folder: PurePosixPath
    phase: str | None


def is_event_file(path: Path) -> bool:
    """Return whether a file is named as TensorBoard's writers name theirs."""
    return "tfevents" in path.name and not path.name.endswith(".profile-empty")


def find_run(source: Path, run: str | None, phases: Collection[str]) -> tuple[str, list[EventFile]]:
    """Return a run's name and its files, in the order in which TensorBoard reads them.

    Parameters
    ----------
    source : Path
        An event file, or a folder.
    run : str or None
        Path of the run below `source`; None if there is but one.
    phases : collection of str
        Of the schema.

    Raises
    ------
    EncodeError
        There is no event file, no such run, or more than one to choose from.
    """
    if not source.is_dir():
        return ".", [EventFile(source, TOP, None)]
    folders = {_below(path.parent, source) for path in source.rglob("*") if _is_one(path)}
    if not folders:
        raise EncodeError(
            f"{source}: found no event file, expected one with 'tfevents' in its name"
        )
    root = _choose(source, run, folders, phases)
    files = [
        EventFile(path, folder.relative_to(root), _phase_of_folder(folder, root, phases))
        for folder in sorted(folders)
        if folder.is_relative_to(root)
        for path in sorted((source / folder).iterdir())
        if _is_one(path)
    ]
    return str(root), files


def _is_one(path: Path) -> bool:
    return is_event_file(path) and path.is_file()


def _choose(
    source: Path, run: str | None, folders: Collection[PurePosixPath], phases: Collection[str]
) -> PurePosixPath:
    roots = _roots(folders, phases)
    if run is None and len(roots) == 1:
        return roots[0]
    names = listed(map(str, roots))
    if run is None:
        raise EncodeError(f"{source}: found {len(roots)} runs, expected one; choose a run: {names}")
    chosen = PurePosixPath(run)
    if not any(folder.is_relative_to(chosen) for folder in folders):
        raise EncodeError(f"{source}: found no run {run!r}; there are: {names}")
    return chosen


def _roots(folders: Iterable[PurePosixPath], phases: Collection[str]) -> list[PurePosixPath]:
    """Return the folders of runs, none of which is within another."""
    roots: list[PurePosixPath] = []
    likely = {f.parent if phase_of_word(f.name, phases) else f for f in folders}
    for folder in sorted(likely):  # a folder comes before those in it
        if not any(folder.is_relative_to(root) for root in roots):
            roots.append(folder)
    return roots


def _phase_of_folder(
    folder: PurePosixPath, root: PurePosixPath, phases: Collection[str]
) -> str | None:
    """Return the phase of a folder; that of the run itself, too, if it was chosen by its name."""
    name = folder.name if folder == root else folder.relative_to(root).parts[0]
    return phase_of_word(name, phases)


def _below(folder: Path, source: Path) -> PurePosixPath:
    return PurePosixPath(folder.relative_to(source).as_posix())
