"""Adversarial values for a field: everything that its type can hold, and what telemetry looks like.

An array is drawn as one string of bytes and a way to read it, because a draw for each value would
take most of a test's time; it still shrinks, towards zeros. Every way is named by its function.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from cmeta.schema import Field
from cmeta.testing.promise import threshold

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
Draw = Callable[[st.SearchStrategy[Any]], Any]

_WEYL = 0x9E3779B97F4A7C15
_NUM_LEVELS = 1797  # the digits of scikit-learn: an accuracy on them is a multiple of 1/1797


def raw(draw: Draw, num_values: int, dtype: str) -> Array:
    """Return an array of any bits."""
    size = num_values * np.dtype(dtype).itemsize
    return np.frombuffer(draw(st.binary(min_size=size, max_size=size)), dtype)


@st.composite
def masks(draw: Draw, num_values: int) -> Mask:
    """Draw which records have a field: all, some, those from a late one on, or none."""
    way = draw(st.sampled_from(["all", "some", "late", "few", "early", "none"]))
    if way == "some":
        return raw(draw, num_values, "u1") % 2 == 1
    if way == "few":
        return raw(draw, num_values, "u1") % 8 == 1
    at = draw(st.integers(0, num_values))
    ordinals = np.arange(num_values)
    masks_ = {"late": ordinals >= at, "early": ordinals < at, "none": ordinals < 0}
    return masks_.get(way, ordinals >= 0)


# -------------------------------------------------------------------------------------- integers


@st.composite
def integers(draw: Draw, num_values: int, field: Field) -> Array:
    """Draw an array of an integer type; its differences may wrap around."""
    low, high = int(np.iinfo(field.dtype).min), int(np.iinfo(field.dtype).max)
    way = draw(st.sampled_from([_any_bits, _edges, _ramp, _small, _multiples, _weyl]))
    found = way(draw, num_values, low, high)
    span = high - low + 1
    wrapped = [(int(value) - low) % span + low for value in found]
    return np.array(wrapped, field.dtype.newbyteorder("="))


def _any_bits(draw: Draw, num_values: int, low: int, high: int) -> Any:
    return raw(draw, num_values, "<u8").tolist()


def _edges(draw: Draw, num_values: int, low: int, high: int) -> Any:
    table = [low, high, 0, 1, low + 1, high - 1, high // 2, high // 2 + 1]
    few = draw(st.integers(1, len(table)))
    return [table[i] for i in (raw(draw, num_values, "u1") % few).tolist()]


def _ramp(draw: Draw, num_values: int, low: int, high: int) -> Any:
    start, step = draw(st.integers(low, high)), draw(st.integers(-3, 3) | st.integers(low, high))
    return [start + i * step for i in range(num_values)]


def _small(draw: Draw, num_values: int, low: int, high: int) -> Any:
    return (raw(draw, num_values, "u1") % draw(st.integers(1, 16))).tolist()


def _multiples(draw: Draw, num_values: int, low: int, high: int) -> Any:
    start, factor = draw(st.integers(low, high)), draw(st.integers(1, max(high // 256, 1)))
    return [start + int(i) * factor for i in raw(draw, num_values, "u1")]


def _weyl(draw: Draw, num_values: int, low: int, high: int) -> Any:
    root = draw(st.integers(low, high))
    return [root + i * _WEYL for i in range(num_values)]


# ---------------------------------------------------------------------------------------- floats


@st.composite
def floats(draw: Draw, num_values: int, field: Field) -> Array:
    """Draw an array of float32 or float64 for a float field, wherever its values come from."""
    way = draw(
        st.sampled_from(
            [_float64_bits, _float32_bits, _special, _constant, _float_ramp, _levels, _decimals,
             _ordinary, _walk, _near_threshold]
        )
    )  # fmt: skip
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.array(way(draw, num_values, field), np.float64)
        if draw(st.sampled_from([False, False, True])):
            odd = raw(draw, num_values, "u1") % 8 == 1
            values[odd] = _special(draw, int(odd.sum()), field)
        if draw(st.sampled_from([False, False, True])):
            return values.astype(np.float32)
    return values


def _float64_bits(draw: Draw, num_values: int, field: Field) -> Any:
    return raw(draw, num_values, "<f8")


def _float32_bits(draw: Draw, num_values: int, field: Field) -> Any:
    return raw(draw, num_values, "<f4").astype(np.float64)


def _special(draw: Draw, num_values: int, field: Field) -> Any:
    float32, float64 = np.finfo(np.float32), np.finfo(np.float64)
    table = [0.0, math.nan, math.inf, -math.inf, -0.0, 1.0, -1.0, 5e-324, -5e-324, 5e-7, -5e-7,
             1.5e-6, 2.5e-6, float(float32.max), float(float32.tiny), 1e-45, -1e-45, 3.5e38,
             float(float64.max), float(float64.min), float(float64.tiny), 2.0**53, 2.0**53 + 2,
             0.1, 1 / 3, 16777215.0, 16777216.0, 1e15, 1e16]  # fmt: skip
    few = draw(st.integers(1, len(table)))
    return np.array(table)[raw(draw, num_values, "u1") % few]


def _constant(draw: Draw, num_values: int, field: Field) -> Any:
    return np.full(num_values, draw(st.floats()))


def _float_ramp(draw: Draw, num_values: int, field: Field) -> Any:
    start, step = draw(st.floats(-1e6, 1e6)), draw(st.floats(-1, 1))
    return start + step * np.arange(num_values)


def _levels(draw: Draw, num_values: int, field: Field) -> Any:
    few = draw(st.sampled_from([2, 5, _NUM_LEVELS + 1]))
    return (raw(draw, num_values, "<u2") % few) / _NUM_LEVELS


def _decimals(draw: Draw, num_values: int, field: Field) -> Any:
    digits = draw(st.integers(0, 15))
    return raw(draw, num_values, "<i4") / 10.0**digits


def _ordinary(draw: Draw, num_values: int, field: Field) -> Any:
    """Return values of both signs and moderate magnitudes."""
    bits = raw(draw, num_values, "<u4").astype(np.int64)
    fractions = 1 + (bits & 0xFFFFF) / 2**20
    return np.where(bits >> 31, -fractions, fractions) * 2.0 ** ((bits >> 20) % 64 - 40)


def _walk(draw: Draw, num_values: int, field: Field) -> Any:
    scale = draw(st.sampled_from([1e-7, 1e-6, 1e-3, 0.1]))
    return draw(st.floats(-20, 20)) + scale * np.cumsum(raw(draw, num_values, "i1"))


def _near_threshold(draw: Draw, num_values: int, field: Field) -> Any:
    """Return the floats around T, where fixed point goes over into float steps."""
    t = float(threshold(field.quanta_per_unit or 1000000, field.type))
    native = field.dtype.newbyteorder("=").type
    around = [native(t)]
    for _ in range(3):
        around += [np.nextafter(around[-1], native(math.inf))]
        around[:0] = [np.nextafter(around[0], native(0))]
    steps = raw(draw, num_values, "u1")
    values = np.array(around, np.float64)[steps % len(around)]
    return np.where(steps & 128, -values, values)


# ------------------------------------------------------------------------------ any other field


@st.composite
def codes(draw: Draw, num_values: int, num_labels: int) -> Array:
    """Draw codes of an enumeration: any, few, or a cycle."""
    any_code = raw(draw, num_values, "<u2") % num_labels
    few = draw(st.integers(1, num_labels))
    way = draw(st.sampled_from(["any", "few", "cycle"]))
    if way == "cycle":
        return (np.arange(num_values) % few).astype(np.uint8)
    return (any_code % few if way == "few" else any_code).astype(np.uint8)


def configurations() -> st.SearchStrategy[dict[str, Any]]:
    """Draw a configuration: what JSON can say, and what only a Python mapping can."""
    keys = st.text(st.characters(codec="utf-8"), max_size=6)
    leaf = (
        st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | keys
        | st.sampled_from([2**53 - 1, 2**53, float(2**53), 1e20, 1e21, -0.0, 1.0])
    )  # fmt: skip
    inner = st.recursive(
        leaf,
        lambda node: st.lists(node, max_size=3) | st.dictionaries(keys, node, max_size=3),
        max_leaves=4,
    )
    return st.dictionaries(keys, inner, max_size=3)
