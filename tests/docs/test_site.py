"""The site has every page, and a reference entry for every public name."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import cmeta
import cmeta.testing

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs" / "reference").glob("*.md"))
ENTRIES = [
    entry
    for page in PAGES
    for entry in re.findall(r"^::: (\S+)$", page.read_text("utf-8"), re.MULTILINE)
]
SETTINGS = (ROOT / "mkdocs.yml").read_text("utf-8")


def test_every_public_name_has_one_entry_in_the_reference():
    public = [*cmeta.__all__, *cmeta.testing.__all__, "testing"]
    assert sorted(entry.rpartition(".")[2] for entry in ENTRIES) == sorted(public)


@pytest.mark.parametrize("entry", ENTRIES)
def test_an_entry_leads_to_the_public_object(entry):
    """The site is built from the source, where a module may hide a function of the same name."""
    home, _, name = entry.rpartition(".")
    public = cmeta.testing if home.startswith("cmeta.testing") else cmeta
    wanted = getattr(public, name)
    assert getattr(importlib.import_module(home), name) is wanted
    if callable(wanted):
        module = importlib.import_module(wanted.__module__)
        hidden = home in {"cmeta", "cmeta.testing"} and module.__name__.endswith(f".{name}")
        assert not hidden, f"{entry} shows a module; name {module.__name__}.{name}"


def test_every_page_is_in_the_navigation():
    named = re.findall(r"^ +- (?:\w[\w ]*: )?([\w/-]+\.md)$", SETTINGS, re.MULTILINE)
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "bench" / "RESULTS.md"]
    assert sorted(named) == sorted(page.relative_to(ROOT).as_posix() for page in pages)


def test_a_build_fetches_nothing():
    assert "font: false" in SETTINGS
    assert "http" not in SETTINGS


def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs", reason="make docs installs it, and make nightly")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(tmp_path / "site")]
    settings = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=ROOT, env=settings, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    home = (tmp_path / "site" / "index.html").read_text("utf-8")
    assert not re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="https?://', home)
