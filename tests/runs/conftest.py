"""Runs to scan, a catalogue of their own, and a record of the files that were read."""

import os
import sys
import time

import numpy as np
import pytest

import cmeta
import cmeta.tools.runs

scan_module = sys.modules["cmeta.tools.runs.scan"]

LONG_AGO = 10_000_000_000  # nanoseconds before now: well before any granularity of time


def age(path, ago=LONG_AGO):
    """Set the time of change of a file to a while ago."""
    now = time.time_ns() - ago
    os.utime(path, ns=(now, now))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A catalogue in a folder of its own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("CMETA_CACHE_DIR", str(folder))
    return folder


@pytest.fixture
def write(tmp_path):
    """Write a closed run that has not been changed for a while."""

    def make(name="runs/a.cmeta", loss=(0.5, 0.25), config=None, **columns):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        num = len(loss)
        given = {"timestamp": np.arange(num), "phase": ["train"] * num, "loss_value": loss}
        if config is not None:
            given["config"] = np.zeros(num, int)
        cmeta.write(path, given | columns, None, () if config is None else [config])
        age(path)
        return path

    return make


@pytest.fixture
def was_read(monkeypatch):
    """The names of the files that were read, not remembered."""
    names = []

    def describe(path):
        names.append(os.path.basename(path))
        return original(path)

    original = scan_module.describe
    monkeypatch.setattr(scan_module, "describe", describe)
    return names
