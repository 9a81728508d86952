"""The wheel: what is in it, and that it works where there is no checkout."""

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import cmeta

ROOT = Path(__file__).resolve().parents[1]

RECORD = """
import cmeta
with cmeta.Recorder("run.cmeta", seed=7, config={"scale": 2.0}) as rec:
    for step in range(100):
        with rec.cycle("train", step=step) as c:
            c.log(loss=2.0 * c.rng.random())
"""
AGAIN = """
def cycle(state):
    return {"loss": state.config["scale"] * state.rng.random()}
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Return the wheel, made from the source distribution, and that."""
    folder = tmp_path_factory.mktemp("dist")
    # The build tools are those of the tests: an environment for them would have to be downloaded.
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    (wheel,), (source,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, source


def run(*command, cwd=None):
    """Run a command without a trace of the checkout in its environment; return what it prints."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "COV_", "PYTEST"))}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=env, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


def modules():
    return {str(p.relative_to(ROOT)) for p in (ROOT / "cmeta").rglob("*.py")}


def test_a_wheel_holds_the_package_the_schema_and_nothing_else(built):
    names = set(zipfile.ZipFile(built[0]).namelist())
    metadata = {name for name in names if ".dist-info/" in name}
    inside = {"cmeta/py.typed"} | {f"cmeta/schema/data/{p.name}" for p in ROOT.glob("schema/*")}
    assert "cmeta/schema/data/cmeta_schema.toml" in inside
    assert names - metadata == modules() | inside
    assert {name.partition("/")[2] for name in metadata} == {
        "METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE",
    }  # fmt: skip


def test_a_wheel_says_what_it_needs_and_what_it_offers(built):
    with zipfile.ZipFile(built[0]) as wheel:
        folder = f"cmeta_format-{cmeta.__version__}.dist-info"
        metadata = wheel.read(f"{folder}/METADATA").decode()
        commands = wheel.read(f"{folder}/entry_points.txt").decode()
    assert "Requires-Python: >=3.11" in metadata
    assert "License-Expression: MIT" in metadata
    needed = re.findall(r"^Requires-Dist: (\S+)$", metadata, re.MULTILINE)
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    assert sorted(needed) == sorted(stated)
    assert "cmeta = cmeta.cli:main" in commands


def test_a_source_distribution_holds_what_the_tests_need(built):
    with tarfile.open(built[1]) as source:
        names = {name.partition("/")[2] for name in source.getnames()}
    assert modules() <= names
    for name in ("Makefile", "SPEC.md", "schema/cmeta_schema.toml", "tests/vectors/smallest.cmeta"):
        assert name in names
    assert not [name for name in names if "__pycache__" in name or name.startswith(".venv")]


def installed_beside(wheel, folder):
    """Install a wheel alone, and let its environment find the dependencies of this one."""
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", wheel)
    own = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    others = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    Path(own, "dependencies.pth").write_text("\n".join(sorted(others)) + "\n")
    return python


def installed_from_the_index(wheel, folder):
    """Install a wheel and all that it needs."""
    run(sys.executable, "-m", "venv", folder)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", wheel)
    return python


@pytest.mark.parametrize(
    "install",
    [installed_beside, pytest.param(installed_from_the_index, marks=pytest.mark.nightly)],
)
def test_an_installed_wheel_records_reads_validates_and_replays(built, tmp_path, install):
    python = install(built[0], tmp_path / "venv")
    command, folder = python.with_name("cmeta"), tmp_path / "away"
    folder.mkdir()
    place = run(python, "-c", "import cmeta; print(cmeta.__file__)", cwd=folder)
    assert place.startswith(str(tmp_path / "venv"))
    (folder / "record.py").write_text(RECORD)
    (folder / "again.py").write_text(AGAIN)
    run(python, "record.py", cwd=folder)
    assert "100" in run(command, "info", "run.cmeta", cwd=folder)
    assert "run.cmeta" in run(command, "validate", "run.cmeta", cwd=folder)
    assert "exact: 100 cycles" in run(command, "replay", "run.cmeta", "again.py:cycle", cwd=folder)
    assert "loss_value" in run(command, "schema", "show", cwd=folder)  # the schema's own file
