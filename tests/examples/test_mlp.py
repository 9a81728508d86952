import mlp
import numpy as np
import pytest


@pytest.fixture
def problem():
    """Return weights and eight images in float64, so that differences can be taken."""
    rng = np.random.default_rng(1)
    labels = rng.dirichlet(np.ones(mlp.NUM_CLASSES), 8)
    weights = mlp.new_weights(rng).astype(np.float64)
    return weights, mlp.Data(rng.random((8, mlp.NUM_PIXELS)), labels)


def test_gradient_is_that_of_the_loss(problem):
    weights, data = problem
    gradient, _ = mlp.backward(weights, data, mlp.forward(weights, data))
    for layer in mlp.SLICES:
        for at in (layer.start, (layer.start + layer.stop) // 2, layer.stop - 1):
            step = np.zeros_like(weights)
            step[at] = 1e-6
            rise = mlp.forward(weights + step, data).loss - mlp.forward(weights - step, data).loss
            assert rise / 2e-6 == pytest.approx(gradient[at], rel=1e-5, abs=1e-9)


def test_energy_is_the_mean_square_of_the_gradients_of_single_images(problem):
    weights, data = problem
    _, energy = mlp.backward(weights, data, mlp.forward(weights, data))
    squares = []
    for i in range(len(data.images)):
        single = mlp.Data(data.images[i : i + 1], data.labels[i : i + 1])
        gradient, _ = mlp.backward(weights, single, mlp.forward(weights, single))
        squares.append(np.vdot(gradient, gradient))
    assert energy == pytest.approx(np.mean(squares))


def test_entropy_is_that_of_the_predictions(problem):
    weights, data = problem
    found = mlp.forward(weights, data)
    assert found.predictions.sum(axis=1) == pytest.approx(1)
    by_hand = -(found.predictions * np.log(found.predictions)).sum(axis=1).mean()
    assert found.entropy == pytest.approx(by_hand)


def test_calibration_error_is_how_much_confidence_exceeds_accuracy():
    labels = np.eye(2)[[0, 0, 0, 1]]
    sure = np.array([[0.75, 0.25]] * 4)
    assert mlp.accuracy(sure, labels) == 0.75
    assert mlp.calibration_error(sure, labels) == pytest.approx(0)
    too_sure = np.array([[0.95, 0.05]] * 4)
    assert mlp.calibration_error(too_sure, labels) == pytest.approx(0.2)


def test_layers_are_views_of_all_weights():
    flat = np.arange(sum(mlp.SIZES), dtype=np.float32)
    parts = mlp.layers(flat)
    assert [part.shape for part in parts] == list(mlp.SHAPES)
    assert np.concatenate([part.ravel() for part in parts]).tolist() == flat.tolist()
    parts[-1][:] = -1
    assert (flat[-mlp.NUM_CLASSES :] == -1).all()
