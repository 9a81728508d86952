"""The version is written once, in ``cmeta/__init__.py``; packaging and changelog take it from there."""

import re
import tomllib
from pathlib import Path

import cmeta

ROOT = Path(__file__).resolve().parents[1]


def test_packaging_takes_the_version_from_the_package():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert "version" not in settings["project"]
    assert settings["project"]["dynamic"] == ["version"]
    source = ROOT / settings["tool"]["hatch"]["version"]["path"]
    assert source == Path(cmeta.__file__).resolve()
    written = re.findall(r'^__version__ = "(.+)"$', source.read_text("utf-8"), re.MULTILINE)
    assert written == [cmeta.__version__]
    assert re.fullmatch(r"\d+\.\d+\.\d+", cmeta.__version__)


def test_the_changelog_has_an_entry_for_what_is_to_come_or_for_this_version():
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    titles = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert titles[0] == "Unreleased" or titles[0].startswith(f"{cmeta.__version__} ")
