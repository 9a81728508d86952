"""The site has every page, and a reference entry for every public name."""

import re
from pathlib import Path

import cmeta
import cmeta.testing

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"
SETTINGS = (ROOT / "mkdocs.yml").read_text("utf-8")


def test_every_public_name_is_on_one_page_of_the_reference():
    entries = [
        name
        for page in REFERENCE.glob("*.md")
        # a function whose module has its name is given with the module
        for name in re.findall(
            r"^::: cmeta\.(?:(?:write|validate)\.)?(\w+)$", page.read_text("utf-8"), re.MULTILINE
        )
    ]
    assert sorted(entries) == sorted([*cmeta.__all__, "testing"])
    assert all(getattr(cmeta.testing, name).__doc__ for name in cmeta.testing.__all__)


def test_every_page_is_in_the_navigation():
    named = re.findall(r"^ +- (?:\w[\w ]*: )?([\w/-]+\.md)$", SETTINGS, re.MULTILINE)
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "bench" / "RESULTS.md"]
    assert sorted(named) == sorted(page.relative_to(ROOT).as_posix() for page in pages)


def test_a_build_fetches_nothing():
    assert "font: false" in SETTINGS
    assert "http" not in SETTINGS
