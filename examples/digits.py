"""The images: scikit-learn's bundled digits, minibatches of them, and dreams mixed from them."""

from __future__ import annotations

from functools import cache

import mlp
import numpy as np
from mlp import Data
from sklearn.datasets import load_digits

NUM_HELD_OUT = 360


@cache
def load_data() -> tuple[Data, Data]:
    """Return the training images and the held-out ones, the same in every run."""
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    images = (digits.data[order] / digits.data.max()).astype(np.float32)
    labels = np.eye(mlp.NUM_CLASSES, dtype=np.float32)[digits.target[order]]
    held_out, kept = slice(NUM_HELD_OUT), slice(NUM_HELD_OUT, None)
    return Data(images[kept], labels[kept]), Data(images[held_out], labels[held_out])


def draw_minibatch(rng: np.random.Generator, size: int, noise: float) -> Data:
    """Return training images with noise on their pixels; for size 0, all of them unchanged."""
    data, _ = load_data()
    if size == 0:
        return data
    chosen = rng.integers(len(data.images), size=size)
    spread = rng.standard_normal((size, mlp.NUM_PIXELS), np.float32) * np.float32(noise)
    return Data(data.images[chosen] + spread, data.labels[chosen])


def draw_dream(rng: np.random.Generator, size: int) -> Data:
    """Return mixtures of two images each, with their labels mixed alike.

    For size 0, every training image is mixed half and half with its neighbour.
    """
    data, _ = load_data()
    if size == 0:
        return Data(*((part + np.roll(part, 1, axis=0)) / 2 for part in data))
    one, other = rng.integers(len(data.images), size=(2, size))
    share = rng.beta(0.4, 0.4, (size, 1)).astype(np.float32)
    return Data(*(share * part[one] + (1 - share) * part[other] for part in data))
