"""The commit of the working tree, asked so that nothing of the folder is run.

The configuration in a folder's ``.git/config`` may name programs, and git runs them for as little
as ``git status``. A folder may have come in an archive, so git is asked with all of these off:

- the file-system monitor, and hooks, by configuration on the command line, which comes last;
- the filters (``filter.NAME.clean``, ``.process``): each that any configuration names is emptied,
  if its name is ASCII: other bytes might reach git as another name;
- submodules' own working trees, since a second git would look there with its own configuration;
- fetching of missing objects, and every protocol that could do it;
- locks and refreshed indexes, prompts, and repositories that are no ``.git`` of a working tree.

git itself is taken from an absolute folder of PATH, never from the current one. Its own refusal of
repositories of other users (``safe.directory``) stays in force. Without an answer in time, or if a
part cannot be switched off, the fact is left out.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
from collections.abc import Sequence
from typing import Any

_SECONDS = 5
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_FILTERS_MAX = 100
_LEN_DATA_MAX = 2**29  # of git's memory: a link to /dev/zero as .git/info/attributes is read whole
_KEYS_OF_A_FILTER = {"clean": "", "smudge": "", "process": "", "required": "false"}
_FIXED = (
    ("core.fsmonitor", ""),  # empty: for git before 2.36, "false" is the name of a program
    ("core.hooksPath", os.devnull),
    ("safe.bareRepository", "explicit"),
    ("status.submoduleSummary", "false"),
    ("protocol.allow", "never"),
)
_VARIABLES = {
    "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none",
    "GIT_TERMINAL_PROMPT": "0", "GIT_PAGER": "cat", "LC_ALL": "C",
}  # fmt: skip
_STATUS = (
    "status", "--porcelain", "-z", "--untracked-files=normal", "--ignore-submodules=dirty",
    "--no-renames",
)  # fmt: skip


def git_state() -> dict[str, Any] | None:
    """Return the commit, and whether the working tree differs from it.

    Returns
    -------
    dict or None
        ``commit``, and ``dirty`` if git could say it; None outside of a repository.
    """
    git = _program()
    if git is None:
        return None
    commit = _stdout_of(git, _FIXED, "rev-parse", "--verify", "HEAD")
    if commit is None or not _COMMIT.fullmatch(commit.strip()):
        return None
    state: dict[str, Any] = {"commit": commit.strip()}
    filters = _filters(git)
    changes = None if filters is None else _stdout_of(git, (*_FIXED, *filters), *_STATUS)
    if changes is not None:
        state["dirty"] = bool(changes)
    return state


def _program() -> str | None:
    folders = [f for f in os.environ.get("PATH", os.defpath).split(os.pathsep) if os.path.isabs(f)]
    found = shutil.which("git", path=os.pathsep.join(folders))
    # On Windows, `which` looks into the current folder first.
    is_ours = found is not None and os.path.isabs(found)
    return found if is_ours and os.path.dirname(found or "") != os.getcwd() else None


def _filters(git: str) -> list[tuple[str, str]] | None:
    """Return settings that empty every filter; None if that cannot be said on a command line."""
    # Exit code 1: there is none.
    keys = _stdout_of(
        git, _FIXED, "config", "--null", "--name-only", "--get-regexp", r"^filter\.", codes=(0, 1)
    )
    if keys is None:
        return None
    names = {key.partition(".")[2].rpartition(".")[0] for key in keys.split("\0") if key}
    if len(names) > _FILTERS_MAX or not all(map(_can_be_emptied, names)):
        return None
    return [
        (f"filter.{name}.{key}", value)
        for name in sorted(names) for key, value in _KEYS_OF_A_FILTER.items()
    ]  # fmt: skip


def _can_be_emptied(name: str) -> bool:
    return name.isascii() and "=" not in name and "\n" not in name


def _stdout_of(
    git: str, settings: Sequence[tuple[str, str]], *command: str, codes: Sequence[int] = (0,)
) -> str | None:
    import subprocess

    options = [part for name, value in settings for part in ("-c", f"{name}={value}")]
    # GIT_CONFIG is obeyed by `git config` alone, which would then list other filters than are run.
    inherited = {name: value for name, value in os.environ.items() if name != "GIT_CONFIG"}
    try:
        with subprocess.Popen(
            [git, "--no-pager", *options, *command],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={**inherited, **_VARIABLES},
        ) as process:  # fmt: skip
            try:
                _bound_memory(process.pid)
                stdout, _ = process.communicate(timeout=_SECONDS)
            except BaseException:
                process.kill()
                raise
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return stdout.decode("utf-8", "replace") if process.returncode in codes else None


def _bound_memory(pid: int) -> None:
    """Bound what a process may allocate, where the system can; mapped files do not count."""
    if sys.platform == "linux":
        import resource

        with contextlib.suppress(OSError):
            resource.prlimit(pid, resource.RLIMIT_DATA, (_LEN_DATA_MAX, _LEN_DATA_MAX))
