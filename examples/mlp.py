"""A multilayer perceptron with one hidden layer, in NumPy: pure functions of a flat weight vector.

Everything is float32. Images are rows of pixels, labels are rows of probabilities.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

NUM_PIXELS, NUM_HIDDEN, NUM_CLASSES = 64, 36, 10
SHAPES = ((NUM_PIXELS, NUM_HIDDEN), (NUM_HIDDEN,), (NUM_HIDDEN, NUM_CLASSES), (NUM_CLASSES,))
SIZES = [math.prod(shape) for shape in SHAPES]
SLICES = [slice(sum(SIZES[:i]), sum(SIZES[: i + 1])) for i in range(len(SIZES))]
LEAK = np.float32(0.1)  # slope of a hidden unit below zero


class Data(NamedTuple):
    """Images, ``(n, 64)``, pixels from 0 to 1, and labels, ``(n, 10)``, that sum to 1."""

    images: Floats
    labels: Floats


class Pass(NamedTuple):
    """The predictions of the network for some images.

    Attributes
    ----------
    loss, entropy : float
        Means of the cross-entropy, and of the entropy of the predictions, in nat.
    hidden, predictions : array, (n, 36) and (n, 10)
    """

    loss: float
    entropy: float
    hidden: Floats
    predictions: Floats


def layers(flat: Floats) -> list[Floats]:
    """Return views of a flat vector: weights and biases of the first layer, then of the second."""
    return [flat[part].reshape(shape) for part, shape in zip(SLICES, SHAPES, strict=True)]


def new_weights(rng: np.random.Generator) -> Floats:
    """Return random weights scaled to their number of inputs, and biases of 0."""
    flat = np.zeros(sum(SIZES), np.float32)
    for weights in layers(flat)[::2]:
        weights[:] = rng.standard_normal(weights.shape) * math.sqrt(2 / len(weights))
    return flat


def forward(weights: Floats, data: Data) -> Pass:
    """Predict images and compare with their labels."""
    to_hidden, hidden_bias, to_scores, score_bias = layers(weights)
    hidden = data.images @ to_hidden + hidden_bias
    hidden = np.maximum(hidden, LEAK * hidden)
    scores = hidden @ to_scores + score_bias
    scores -= scores.max(axis=1, keepdims=True)
    logs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    predictions = np.exp(logs)
    loss = -(data.labels * logs).sum(axis=1).mean()
    entropy = -(predictions * logs).sum(axis=1).mean()
    return Pass(float(loss), float(entropy), hidden, predictions)


def backward(weights: Floats, data: Data, found: Pass) -> tuple[Floats, float]:
    """Return the gradient of the loss, and the mean square of the gradients of single images.

    In each layer an image's gradient is an outer product, so its square takes no more than the
    squares of two vectors.
    """
    gradient = np.empty_like(weights)
    to_hidden, hidden_bias, to_scores, score_bias = layers(gradient)
    at_scores = found.predictions - data.labels
    at_hidden = at_scores @ layers(weights)[2].T * np.where(found.hidden > 0, np.float32(1), LEAK)
    np.matmul(data.images.T, at_hidden, out=to_hidden)
    np.matmul(found.hidden.T, at_scores, out=to_scores)
    hidden_bias[:], score_bias[:] = at_hidden.sum(axis=0), at_scores.sum(axis=0)
    gradient /= len(data.images)
    energy = (1 + _squares(data.images)) * _squares(at_hidden)
    energy += (1 + _squares(found.hidden)) * _squares(at_scores)
    return gradient, float(energy.mean())


def _squares(rows: Floats) -> Floats:
    return np.einsum("ij,ij->i", rows, rows)


def accuracy(predictions: Floats, labels: Floats) -> float:
    """Return the share of images whose likeliest class is the right one."""
    return float(np.mean(predictions.argmax(axis=1) == labels.argmax(axis=1)))


def calibration_error(predictions: Floats, labels: Floats) -> float:
    """Return how far confidence is from accuracy, on average over ten bins of confidence."""
    confidence = np.nan_to_num(predictions.max(axis=1)).astype(np.float64)
    surplus = confidence - (predictions.argmax(axis=1) == labels.argmax(axis=1))
    bins = np.minimum((confidence * 10).astype(int), 9)
    return float(np.abs(np.bincount(bins, surplus)).sum() / len(bins))
