"""The keys documented for `--json` are those that the commands print."""

import json
import re
from pathlib import Path

import pytest

import cmeta
from cmeta.cli.app import COMMANDS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "command-line.md"

# The heading or sentence before each table, and the call whose output it documents.
CALLS = {
    "## info": ["info", "FILE", "BROKEN"],
    "## validate": ["validate", "FILE", "BROKEN"],
    "`--count --json`:": ["query", "--count", "FILE", "step < 3"],
    "## summary": ["summary", "FILE"],
    "## runs": ["runs", "--no-cache", "FILE"],
    "## diff": ["diff", "FILE", "OTHER"],
    "## audit": ["audit", "--jobs", "1", "FILE", "BROKEN"],
    "## replay": ["replay", "FILE", "cycle.py:cycle"],
    "## recover": ["recover", "BROKEN", "out.cmeta"],
    "`import --json` prints:": ["import", "log.csv", "imported.cmeta"],
    "`schema check --json` prints:": ["schema", "check", "FILE", "BROKEN"],
    "`schema show --json` prints:": ["schema", "show", "FILE"],
}
ONE_BY_ONE = {"## info"}  # commands of one file


def documented(place):
    """Return the keys of the first table after a place: {key: inner keys}."""
    _, found, rest = PAGE.read_text("utf-8").partition(f"{place}\n")
    assert found, place
    table = re.search(r"^\| key \| meaning \|\n\|---\|---\|\n((?:\|.*\|\n)+)", rest, re.MULTILINE)[
        1
    ]
    rows = re.findall(r"^\| `([^`]+)` \| ?(.*?) ?\|$", table, re.MULTILINE)
    assert len(rows) == table.count("\n")
    return {key: set(re.findall(r"`(\w+)`", what)) for key, what in rows}


def require_documented(found, keys, place):
    assert {re.sub(r"\[\]$|\.\*$", "", key) for key in keys} == set(found), place
    for key, inner in keys.items():
        name = re.sub(r"\[\]$|\.\*$", "", key)
        items = found[name].values() if key.endswith(".*") else found[name]
        if key == name:
            is_objects = isinstance(items, list) and items and isinstance(items[0], dict)
            assert not is_objects or key == "configs", f"{place}: {key}[] has inner keys"
            continue
        for item in items:
            assert set(item) == inner, f"{place}: {key}"


@pytest.fixture
def places(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for seed in (1, 2):
        with cmeta.Recorder(f"{seed}.cmeta", seed=seed, config={"lr": seed / 8}) as rec:
            for step in range(50):
                with rec.cycle("train", step=step) as cycle:
                    cycle.log(loss=cycle.rng.random() if step else float("nan"))
    whole = Path("1.cmeta").read_bytes()
    Path("broken.cmeta").write_bytes(whole[:-60] + bytes(60))
    Path("cycle.py").write_text("def cycle(state):\n    return {'loss': 7.0}\n")
    Path("log.csv").write_text("step,loss,comment\n0,1.5,a\n1,1.25,b\n")
    return {"FILE": "1.cmeta", "OTHER": "2.cmeta", "BROKEN": "broken.cmeta"}


@pytest.mark.parametrize("place", CALLS)
def test_the_documented_keys_are_those_printed(cm, places, place):
    args = [places.get(arg, arg) for arg in CALLS[place]]
    calls = [[*args[:-2], args[-2]], [*args[:-2], args[-1]]] if place in ONE_BY_ONE else [args]
    printed = [line for call in calls for line in cm(*call, "--json").stdout.splitlines()]
    assert printed
    for line in printed:
        require_documented(json.loads(line), documented(place), place)


def test_every_command_has_a_section():
    headings = re.findall(r"^## (.*)$", PAGE.read_text("utf-8"), re.MULTILINE)
    named = {name for heading in headings for name in heading.split(", ")}
    assert set(COMMANDS) <= named
