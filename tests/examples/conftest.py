"""The examples are scripts: they are imported as they import each other, from their folder."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import cmeta

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
sys.path.insert(0, str(EXAMPLES))

import digits_mlp  # noqa: E402  (found only now)
import training  # noqa: E402

SEED = 7
NUM_CYCLES = 1500


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """Return a recorded run: its path, the records as trained, and the records as read."""
    path = tmp_path_factory.mktemp("digits") / "run.cmeta"
    trained = list(digits_mlp.train(NUM_CYCLES, SEED))
    cmeta.write(path, trained, training.schema())
    with cmeta.open(path) as reader:
        return SimpleNamespace(path=path, trained=trained, read=list(reader))
