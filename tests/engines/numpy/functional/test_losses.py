"""The losses: their definition, their derivative p - t, and logits that would overflow."""

from __future__ import annotations

import numpy as np
import pytest
from tests.engines.numpy.functional.conftest import finite_differences

from convoscope.engines.numpy.functional import sigmoid_cross_entropy, softmax_cross_entropy

RNG = np.random.default_rng(0)
LOGITS, WEIGHTS = RNG.normal(size=(4, 3)), np.array([0.5, 0.0, 1.0, 2.0])


@pytest.mark.parametrize("function", [softmax_cross_entropy, sigmoid_cross_entropy])
def test_gradients_agree_with_finite_differences(function: object) -> None:
    assert callable(function)
    targets = RNG.dirichlet(np.ones(3), 4)
    targets[3] = 0  # an image whose label is not known
    (grad,) = function(LOGITS, targets, WEIGHTS)[1](1.0)
    expected = finite_differences(
        lambda z: np.asarray(function(z, targets, WEIGHTS)[0]), LOGITS, np.ones(())
    )
    np.testing.assert_allclose(grad, expected, atol=1e-8)


def test_softmax_loss_is_minus_the_log_of_the_right_class() -> None:
    probabilities = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    labels = [2, 0, 1, 1]
    targets = np.eye(3)[labels]
    loss, backward = softmax_cross_entropy(LOGITS, targets, np.full(4, 0.25))
    assert loss == pytest.approx(-np.log(probabilities[range(4), labels]).mean())
    np.testing.assert_allclose(backward(1.0)[0], (probabilities - targets) / 4, atol=1e-12)


def test_sigmoid_loss_is_binary_cross_entropy() -> None:
    z, t = LOGITS[:, :1], np.array([[1.0], [0], [1], [0]])
    p = 1 / (1 + np.exp(-z))
    loss, backward = sigmoid_cross_entropy(z, t, np.full(4, 0.25))
    assert loss == pytest.approx(-(t * np.log(p) + (1 - t) * np.log(1 - p)).mean())
    np.testing.assert_allclose(backward(1.0)[0], (p - t) / 4, atol=1e-12)


def test_enormous_logits_give_finite_losses_and_gradients() -> None:
    z = np.array([[1e4, -1e4], [-1e4, 1e4]], dtype=np.float32)
    targets, weights = np.array([[0, 1], [0, 1]], np.float32), np.full(2, 0.5, np.float32)
    loss, backward = softmax_cross_entropy(z, targets, weights)
    assert loss == pytest.approx(1e4)
    np.testing.assert_allclose(backward(1.0)[0], np.array([[0.5, -0.5], [0, 0]]))
    loss, backward = sigmoid_cross_entropy(z, targets, weights)
    assert loss == pytest.approx(5e3)
    assert np.isfinite(backward(1.0)[0]).all()
