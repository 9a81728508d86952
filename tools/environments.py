"""``python -m tools.environments NAME...``: run the tests in environments of their own.

    3.11, 3.12, 3.13   a version of Python, skipped with a message where it is not on this machine
    oldest             exactly the oldest versions that pyproject.toml allows to users, checked
                       after they are installed
    newest             the newest of each, also of the tools that the tests pin

Each is made once, in ``.venvs/NAME``; without names, every version of Python is tried.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
VENVS = ROOT / ".venvs"
PYTHONS = ("3.11", "3.12", "3.13")
NAMES = (*PYTHONS, "oldest", "newest")
# What a user may install; the other extras are tools for work on the project.
USER_EXTRAS = ("all", "example", "testing")
# The guides train with PyTorch, which these environments do without.
TESTS = ("tests", "cmeta", "--ignore=tests/docs", "-n", "2", "--dist", "worksteal")
# The competitors of the bench are no dependency of a user: none of their versions is lowest.
LEFT_OUT = {"oldest": ("--ignore=tests/bench",)}
PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")


def interpreter(version: str) -> str | None:
    """Return the path of a Python of this version; None if there is none.

    A command of the name may be a shim that fails, so each candidate is run.
    """
    candidates = [sys.executable, shutil.which(f"python{version}")]
    candidates += sorted(map(str, Path.home().glob(f".pyenv/versions/{version}*/bin/python")))
    probe = "import sys; print('%d.%d' % sys.version_info[:2])"
    for candidate in filter(None, candidates):
        done = subprocess.run([candidate, "-c", probe], capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout.strip() == version:
            return candidate
    return None


def requirements(document: Mapping[str, Any], extras: Iterable[str]) -> Iterator[Requirement]:
    """Yield what the package needs with these extras, those that they name included."""
    project = document["project"]
    left, seen = list(extras), set[str]()
    lists = [project["dependencies"]]
    while left:
        extra = left.pop()
        if extra not in seen:
            seen.add(extra)
            lists.append(project["optional-dependencies"][extra])
            left += [e for text in lists[-1] for e in _own_extras(Requirement(text), project)]
    for text in (text for texts in lists for text in texts):
        requirement = Requirement(text)
        if requirement.name != project["name"]:
            yield requirement


def _own_extras(requirement: Requirement, project: Mapping[str, Any]) -> set[str]:
    return requirement.extras if requirement.name == project["name"] else set()


def oldest(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the lowest version that pyproject.toml states, for each dependency of users.

    Raises
    ------
    ValueError
        A dependency states none.
    """
    pins = {}
    for requirement in requirements(document, USER_EXTRAS):
        lowest = [part.version for part in requirement.specifier if part.operator in (">=", "==")]
        if len(lowest) != 1:
            raise ValueError(f"{requirement}: expected one lowest version")
        pins[canonicalize_name(requirement.name)] = lowest[0]
    return pins


def oldest_wanted(document: Mapping[str, Any]) -> list[str]:
    """Return what to install for the oldest versions: the package, and what runs its tests.

    A tool that users may install too, such as Hypothesis, is left to its lowest version.
    """
    pins = oldest(document)
    tools = [r for r in requirements(document, ["test"]) if canonicalize_name(r.name) not in pins]
    return ["-e", f"{ROOT}[{','.join(USER_EXTRAS)}]", *map(str, tools)]


def differing(pins: Mapping[str, str], installed: Mapping[str, str]) -> list[str]:
    """Return a sentence for each version that is not the one wanted."""
    return [
        f"{name}: found {installed.get(name, 'none')}, expected {version}"
        for name, version in pins.items()
        if name not in installed or Version(installed[name]) != Version(version)
    ]


def _installed(python: Path) -> dict[str, str]:
    command = [python, "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return {canonicalize_name(found["name"]): found["version"] for found in json.loads(done.stdout)}


def prepare(name: str) -> Path | None:
    """Return the interpreter of an environment, made if it is not there; None without a Python."""
    folder, done = VENVS / name, VENVS / name / "ready"
    python = folder / "bin" / "python"
    if done.exists() and done.stat().st_mtime > (ROOT / "pyproject.toml").stat().st_mtime:
        return python
    base = interpreter(name if name in PYTHONS else PYTHONS[0])
    if base is None:
        return None
    subprocess.run([base, "-m", "venv", "--clear", str(folder)], check=True)
    wanted, pins = ["-e", f"{ROOT}[test]"], {}
    if name == "oldest":
        constraints = folder / "constraints.txt"
        document = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
        pins = oldest(document)
        constraints.write_text("".join(f"{n}=={v}\n" for n, v in pins.items()), "utf-8")
        wanted = [*oldest_wanted(document), "--constraint", str(constraints)]
    subprocess.run([python, *PIP, *wanted], check=True)
    if problems := differing(pins, _installed(python)):
        raise SystemExit(f"{name}: not the versions that were asked for\n" + "\n".join(problems))
    if name == "newest":
        subprocess.run([python, *PIP, "--upgrade", "hypothesis", "pytest"], check=True)
    done.touch()
    return python


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tests in each environment; 1 if they failed in one of them."""
    parser = argparse.ArgumentParser(prog="python -m tools.environments", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    names = parser.parse_args(arguments).names or PYTHONS
    if unknown := set(names) - set(NAMES):
        parser.error(f"found {', '.join(sorted(unknown))}, expected some of {', '.join(NAMES)}")
    results: dict[str, str] = {}
    for name in names:
        python = prepare(name)
        if python is None:
            results[name] = "not on this machine"
            continue
        print(f"== {name}: {python}", flush=True)
        tests = (*TESTS, *LEFT_OUT.get(name, ()))
        done = subprocess.run([python, "-m", "pytest", *tests], cwd=ROOT, check=False)
        results[name] = "failed" if done.returncode else "passed"
    print(*(f"{name}: {result}" for name, result in results.items()), sep="\n")
    return 1 if "failed" in results.values() else 0


if __name__ == "__main__":
    sys.exit(main())
