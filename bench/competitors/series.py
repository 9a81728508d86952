"""Series of (step, value), as loggers store them, turned into columns."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.competitors.base import TIMESTAMP, Array, masked

_DTYPES = {TIMESTAMP: "u8", "seed_state": "u8", "phase": "u1", "action_code": "u1"}


def dtype_of(name: str) -> np.dtype[Any]:
    """Return the type of a column of the telemetry."""
    return np.dtype(_DTYPES.get(name, "f4"))


def placed(name: str, own_steps: list[int], values: list[Any], steps: Array) -> Array:
    """Return a column for all `steps`, masked where the series has none."""
    dtype = dtype_of(name)
    given = _as(np.array(values, np.float64 if dtype.kind == "f" else object), dtype)
    if len(given) == len(steps):
        return given
    places = np.searchsorted(steps, np.array(own_steps, np.uint64))
    found, absent = np.zeros(len(steps), dtype), np.ones(len(steps), bool)
    found[places], absent[places] = given, False
    return masked(found, absent)


def _as(values: Array, dtype: np.dtype[Any]) -> Array:
    """Cast, without repairing integers or infinities that a logger has changed."""
    if dtype.kind == "f":
        limit = float(np.finfo(dtype).max)
        kept = np.where(np.isfinite(values), np.clip(values, -limit, limit), values)
        return kept.astype(dtype)
    limit = np.iinfo(dtype).max
    return np.array([min(int(x), limit) for x in values.tolist()], dtype)
