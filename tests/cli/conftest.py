"""Chronicles, intact and damaged, and the command line."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import cmeta
from cmeta.cli.app import cli
from cmeta.format.grammar import grammar_of
from cmeta.schema.load import shipped_format

UNWANTED = {
    "PYTHONUNBUFFERED",
    "COLUMNS",
    "NO_COLOR",
    "FORCE_COLOR",
}  # variables that change the output
ROOT = Path(__file__).resolve().parents[2]
NUM_RECORDS, BATCH_RECORDS, FIRST = 100, 16, 1000
LATE = 'late/\N{GREEK SMALL LETTER ALPHA},"b"'  # an undeclared metric; what CSV must quote
CONFIGS = ({"lr": 0.1, "name": "mlp", "seed": 2**60}, {"lr": 0.05, "name": "mlp", "seed": 2**60})


@pytest.fixture
def cm():
    """Run the command line in this process."""

    def run(*args):
        result = CliRunner().invoke(cli, [str(arg) for arg in args])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def process():
    """Start the command line in a process of its own."""

    def start(*args, env=None, python=("-m", "cmeta"), **options):
        inherited = {name: value for name, value in os.environ.items() if name not in UNWANTED}
        environment = {**inherited, "PYTHONPATH": str(ROOT), **(env or {})}
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        command = [sys.executable, *python, *map(str, args)]
        return subprocess.Popen(command, env=environment, **options)

    return start


def columns():
    """Columns of every kind that telemetry has."""
    rng = np.random.default_rng(7)
    place = np.arange(NUM_RECORDS)
    phases = np.array(["train", "train", "train", "validate", "dream"])[place % 5]
    loss = np.ma.MaskedArray(np.float32(np.exp(-place / 40)), place % 11 == 10)
    loss[[1, 2, 3]] = np.nan, np.inf, -np.inf
    return {
        "timestamp": FIRST + place,
        "phase": phases,
        "loss_value": loss,
        "metrics.entropy": np.float32(rng.integers(1, 2000000, NUM_RECORDS) * 1e-3),
        "metrics.val_accuracy": np.ma.MaskedArray(place / NUM_RECORDS, phases != "validate"),
        "metrics.state": np.ma.MaskedArray(place % 4, place % 3 != 0),
        "tensor_signature": rng.integers(-3, 3, (NUM_RECORDS, 3)) / 8,
        "seed_state": place.astype("u8") * np.uint64(0x9E3779B97F4A7C15),
        "config": place // 50,
        f"metrics.{LATE}": np.ma.MaskedArray(place / 3, place < 50),
    }


@pytest.fixture
def chronicle(tmp_path):
    """A closed file of seven batches."""
    path = tmp_path / "run.cmeta"
    schema = cmeta.default_schema().with_batch_records(BATCH_RECORDS)
    cmeta.write(path, columns(), schema, CONFIGS)
    return path


@pytest.fixture
def empty(tmp_path):
    """A closed file without records."""
    path = tmp_path / "empty.cmeta"
    cmeta.write(path, {"phase": []})
    return path


@pytest.fixture
def damaged(chronicle, tmp_path):
    """Make a damaged file, by a function of its bytes and batches."""

    def make(change, name="damaged"):
        data = bytearray(chronicle.read_bytes())
        with cmeta.open(chronicle) as run:
            data = change(data, run.batches) or data
        path = tmp_path / f"{name}.cmeta"
        path.write_bytes(data)
        return path

    return make


@pytest.fixture
def flipped(damaged):
    """A closed file with a bit flipped in its third batch."""

    def change(data, batches):
        data[batches[2].offset + batches[2].len_block // 2] ^= 4

    return damaged(change, "flipped")


@pytest.fixture
def truncated(damaged):
    """A file that ends in its fourth batch."""
    return damaged(lambda data, batches: data[: batches[3].offset + 50], "truncated")


@pytest.fixture
def still_open(damaged):
    """A file that was never closed: it ends after its last full batch."""

    def change(data, batches):
        header = grammar_of(shipped_format()).header
        facts = shipped_format().format
        values = header.parse(bytes(data[: header.size]))
        opened = header.build({**values, "records_count": facts.open_records_count})
        return opened + data[header.size : batches[-1].offset]

    return damaged(change, "open")


@pytest.fixture
def not_a_chronicle(tmp_path):
    """A text file."""
    path = tmp_path / "notes.txt"
    path.write_text("These are not the records that you are looking for.\n")
    return path
