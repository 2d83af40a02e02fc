"""The dense layer, its factored weight gradient, and the order of flattening."""

from __future__ import annotations

import numpy as np
from tests.engines.numpy.functional.conftest import check_derivative

from convoscope.engines.numpy.functional import Outer, Way, dense, flatten

RNG = np.random.default_rng(0)
X, WEIGHT, BIAS = RNG.normal(size=(3, 5)), RNG.normal(size=(4, 5)), RNG.normal(size=4)


def test_every_gradient_agrees_with_finite_differences() -> None:
    check_derivative(lambda x: dense(x, WEIGHT, BIAS), X)
    y, backward = dense(X, WEIGHT, BIAS)
    grad = RNG.normal(size=y.shape)
    _, grad_weight, grad_bias = backward(grad)
    assert grad_weight is not None
    slow = [[sum(grad[:, u] * X[:, k]) for k in range(5)] for u in range(4)]
    np.testing.assert_allclose(grad_weight.whole(), slow, atol=1e-12)
    np.testing.assert_allclose(grad_bias, grad.sum(axis=0), atol=1e-12)


def test_columns_of_the_weight_gradient_are_parts_of_the_whole() -> None:
    gradient = Outer(RNG.normal(size=(3, 4)), RNG.normal(size=(3, 9)))
    np.testing.assert_allclose(gradient.columns(slice(2, 5)), gradient.whole()[:, 2:5], atol=1e-12)


def test_nobody_computes_what_is_not_asked() -> None:
    y, backward = dense(X, WEIGHT, None)
    assert backward(np.ones_like(y), Way(inputs=False, parameters=False)) == (None, None, None)


def test_flattening_goes_channel_by_channel_and_back() -> None:
    maps = RNG.normal(size=(2, 3, 4, 5))
    y, backward = flatten(maps)
    assert y[1, 2 * 12 + 1 * 4 + 3] == maps[1, 1, 3, 2]
    np.testing.assert_array_equal(backward(y)[0], maps)
