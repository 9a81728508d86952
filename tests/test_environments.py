"""The environments of `make nightly`: "oldest" is exactly what pyproject.toml states."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tools import environments

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
EXTRAS = DOCUMENT["project"]["optional-dependencies"]
# Lowest versions that were stated once and did not work: the one given is the first that does.
FIRST_THAT_WORKS = {
    "fastcrc": "0.4.0", "crcmod-plus": "2.3.1", "wandb": "0.17.2", "pandas": "2.2.2",
    "pyarrow": "16.1", "click": "8.2.1", "tensorboard": "2.17.1", "polars": "1.3",
}  # fmt: skip


def stated(*extras):
    texts = DOCUMENT["project"]["dependencies"] + [text for name in extras for text in EXTRAS[name]]
    every = map(Requirement, texts)
    return {canonicalize_name(r.name): r for r in every if r.name != "cmeta-format"}


def test_oldest_is_what_pyproject_states():
    users = stated(
        "arrow", "pandas", "polars", "plot", "tensorboard", "wandb", "zstd", "example", "testing"
    )
    pins = environments.oldest(DOCUMENT)
    assert pins.keys() == users.keys()
    for name, version in pins.items():
        assert f">={version}" in str(users[name].specifier).split(",")


def test_the_extras_of_users_are_all_that_are_no_tools():
    named = set(environments.USER_EXTRAS) | {
        extra for text in EXTRAS["all"] for extra in Requirement(text).extras
    }
    assert EXTRAS.keys() - named == {"bench", "test", "dev", "nightly", "docs"}


def test_what_is_installed_as_oldest_admits_these_versions():
    pins = environments.oldest(DOCUMENT)
    _, package, *others = environments.oldest_wanted(DOCUMENT)
    assert package == f"{ROOT}[{','.join(environments.USER_EXTRAS)}]"
    wanted = [
        *environments.requirements(DOCUMENT, environments.USER_EXTRAS),
        *map(Requirement, others),
    ]
    for requirement in wanted:
        version = pins.get(canonicalize_name(requirement.name))
        assert version is None or requirement.specifier.contains(version), requirement
    assert {"pytest", "pytest-timeout", "pytest-xdist"} <= {r.name for r in wanted}


def test_another_version_than_the_wanted_one_is_named():
    pins = {"numpy": "2.0", "wandb": "0.17.2", "rich": "13.7"}
    installed = {"numpy": "2.0.0", "wandb": "0.17.3"}
    assert environments.differing(pins, installed) == [
        "wandb: found 0.17.3, expected 0.17.2", "rich: found none, expected 13.7",
    ]  # fmt: skip


def test_a_dependency_without_a_lowest_version_is_refused():
    document = {"project": {**DOCUMENT["project"], "dependencies": ["numpy"]}}
    with pytest.raises(ValueError, match="numpy: expected one lowest version"):
        environments.oldest(document)


@pytest.mark.parametrize("name", FIRST_THAT_WORKS)
def test_no_version_that_does_not_work_is_allowed(name):
    assert Version(environments.oldest(DOCUMENT)[name]) >= Version(FIRST_THAT_WORKS[name])


@pytest.mark.nightly
@pytest.mark.parametrize("name", environments.oldest(DOCUMENT))
def test_a_stated_version_exists(name):
    command = [sys.executable, "-m", "pip", "index", "versions", name]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    listed = re.search(r"^Available versions: (.*)$", text, re.MULTILINE)[1].split(", ")
    assert Version(environments.oldest(DOCUMENT)[name]) in map(Version, listed)
