"""What the tests of SPEC.md share: the text, and the plain reader and writer that follow it."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).parent))  # the modules that are no tests

_SECTION = re.compile(r"<!-- generated: ([\w-]+) -->\n(.*?)\n<!-- end: \1 -->", re.DOTALL)


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture(scope="session")
def text():
    """Return SPEC.md."""
    return (ROOT / "SPEC.md").read_text("utf-8")


@pytest.fixture(scope="session")
def written(text):
    """Return what stands between the markers of SPEC.md, by name."""
    return dict(_SECTION.findall(text))
