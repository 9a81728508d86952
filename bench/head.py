"""The heading of the results: machine, versions, date and commands."""

from __future__ import annotations

import datetime
import os
import platform
import sqlite3
from importlib import metadata
from pathlib import Path

_LIBRARIES = (
    "numpy", "construct", "fastcrc", "msgspec", "pyarrow", "pcodec", "duckdb", "mcap", "zstandard",
    "orjson", "tensorboard", "torch", "wandb", "mlflow", "scikit-learn",
)  # fmt: skip


def lines(command: str) -> list[tuple[str, str]]:
    """Return pairs of label and text.

    Parameters
    ----------
    command : str
        The command that measures.
    """
    return [
        ("Date", f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"),
        ("Machine", f"{_processor()}, {os.cpu_count()} cores, {_memory()}{_load()}"),
        ("System", f"{platform.system()} {platform.release()}, {platform.machine()}"),
        ("Versions", f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, "
                     + ", ".join(f"{name} {_version(name)}" for name in _LIBRARIES)),
        ("Commands", f"`{command}` (this file), `make bench` (all of it), "
                     "`python -m bench --only size,read --records 1e5` (a part), "
                     "`python -m bench --large` (also 1e8 records), "
                     "`python -m bench --render` (render text and picture again)"),
    ]  # fmt: skip


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "missing"


def _processor() -> str:
    """Return the name of the processor, if the system states it."""
    info = Path("/proc/cpuinfo")
    found = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in found if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB"
    except (ValueError, OSError, AttributeError):
        return "memory unknown"


def _load() -> str:
    return f", load at the start {os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else ""
