"""``python -m tools.environments NAME...``: run the tests in environments of their own.

    3.11, 3.12, 3.13   a version of Python, skipped with a message where it is not on this machine
    oldest             the oldest version of each dependency that pyproject.toml allows
    newest             the newest of each, also of the tools that the tests pin

Each is made once, in ``.venvs/NAME``; without names, every version of Python is tried.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
VENVS = ROOT / ".venvs"
PYTHONS = ("3.11", "3.12", "3.13")
NAMES = (*PYTHONS, "oldest", "newest")
# The guides train with PyTorch, which these environments do without.
TESTS = ("tests", "cmeta", "--ignore=tests/docs", "-n", "2", "--dist", "worksteal")
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


def oldest(document: dict[str, Any]) -> Iterator[str]:
    """Yield ``name==version`` for each lower bound that pyproject.toml states for users."""
    project = document["project"]
    extras = project["optional-dependencies"]
    stated = [*project["dependencies"]]
    for name in ("arrow", "pandas", "polars", "plot", "tensorboard", "wandb", "example", "testing"):
        stated += extras[name]
    for requirement in stated:
        if match := re.match(r"([\w.-]+)>=([\w.]+)", requirement):
            yield f"{match[1]}=={match[2]}"


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
    wanted = ["-e", f"{ROOT}[test]"]
    if name == "oldest":
        constraints = folder / "constraints.txt"
        document = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
        constraints.write_text("\n".join(oldest(document)) + "\n", "utf-8")
        wanted += ["--constraint", str(constraints)]
    subprocess.run([python, *PIP, *wanted], check=True)
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
        done = subprocess.run([python, "-m", "pytest", *TESTS], cwd=ROOT, check=False)
        results[name] = "failed" if done.returncode else "passed"
    print(*(f"{name}: {result}" for name, result in results.items()), sep="\n")
    return 1 if "failed" in results.values() else 0


if __name__ == "__main__":
    sys.exit(main())
