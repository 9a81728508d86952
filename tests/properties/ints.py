"""Integers for the codecs: what quanta, codes and counters look like, and what nobody would log."""

import numpy as np
from hypothesis import strategies as st

from cmeta.schema.types import Field
from cmeta.testing import values

_I64 = Field("x", "i64")
_U64 = Field("x", "u64")
_WAYS = st.sampled_from(["field", "walk", "spikes", "steps", "ramp and noise", "quanta"])
_SCALES = st.sampled_from([1, 7, 1000, 2**20, 2**40])
_NUM_PHASES = st.sampled_from([1, 2, 3, 9])


@st.composite
def i64s(draw, max_size=300, min_size=0):
    """Draw an int64 array: any of the ways in which an integer field is drawn, or one of these."""
    size = draw(st.integers(min_size, min(40, max_size)) | st.integers(min_size, max_size))
    way = draw(_WAYS)
    noise = values.raw(draw, size, "i1").astype(np.int64)
    scale = draw(_SCALES)
    if way == "walk":
        return np.cumsum(noise) * scale
    if way == "spikes":
        return np.where(noise > draw(st.integers(90, 127)), noise * scale, 5)
    if way == "steps":
        return np.cumsum(noise > 120) * scale + draw(st.integers(-(2**62), 2**62))
    if way == "ramp and noise":
        return np.arange(size) * scale + noise // draw(st.integers(1, 200))
    if way == "quanta":
        return draw(st.integers(0, 10**6)) + noise * (scale % 4999) * np.arange(size)
    return values.integers(draw, size, _I64)


@st.composite
def u64s(draw, max_size=300):
    """Draw residuals: any, small, or mostly zero."""
    size = draw(st.integers(0, min(40, max_size)) | st.integers(0, max_size))
    found = values.integers(draw, size, _U64)
    shift = values.raw(draw, size, "u1") % 64 if draw(st.booleans()) else 0
    sparse = values.raw(draw, size, "u1") % 4 == 0 if draw(st.booleans()) else True
    return np.where(sparse, found >> np.asarray(shift, np.uint64), np.uint64(0))


def phases_of(draw, size):
    """Draw the phases of so many values."""
    return values.codes(draw, size, draw(_NUM_PHASES))
