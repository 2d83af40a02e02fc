"""Activations against finite differences, and the rules by which gradients pass a ReLU."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from tests.engines.numpy.functional.conftest import check_derivative

from convoscope.architecture.protocol import ActivationName
from convoscope.engines.numpy.functional import ACTIVATIONS, Way

X = np.array([[-7.3, -2.0, -0.4, -1e-3], [1e-3, 0.6, 2.2, 8.1]])


def test_every_activation_of_the_vocabulary_is_computed() -> None:
    assert set(ACTIVATIONS) == set(get_args(ActivationName))


@pytest.mark.parametrize("name", get_args(ActivationName))
def test_derivatives_agree_with_finite_differences(name: ActivationName) -> None:
    check_derivative(ACTIVATIONS[name], X)


@pytest.mark.parametrize("name", get_args(ActivationName))
def test_writing_over_the_input_changes_no_number(name: ActivationName) -> None:
    expected, expected_backward = ACTIVATIONS[name](X)
    x = X.copy()
    y, backward = ACTIVATIONS[name](x, out=x)
    np.testing.assert_array_equal(y, expected)
    grad = np.linspace(-1, 1, 8).reshape(2, 4)
    np.testing.assert_array_equal(backward(grad.copy())[0], expected_backward(grad.copy())[0])


@pytest.mark.parametrize("name", get_args(ActivationName))
def test_huge_values_stay_finite_and_float32_stays_float32(name: ActivationName) -> None:
    x = np.array([-1e4, -100, 0, 100, 1e4], dtype=np.float32)
    y, backward = ACTIVATIONS[name](x)
    (grad,) = backward(np.ones_like(x))
    assert y.dtype == grad.dtype == np.float32
    assert np.isfinite(y).all()
    assert np.isfinite(grad).all()


def test_guided_rule_drops_negative_gradients_and_the_deconvnet_ignores_the_input() -> None:
    x, grad = np.array([-1.0, -1.0, 2.0, 2.0, 9.0]), np.array([-3.0, 3.0, -3.0, 3.0, 3.0])

    def through(name: ActivationName, way: Way) -> list[float]:
        _, backward = ACTIVATIONS[name](x)
        values: list[float] = backward(grad.copy(), way)[0].tolist()
        return values

    assert through("relu", Way()) == [0, 0, -3, 3, 3]
    assert through("relu", Way(relu_rule="guided")) == [0, 0, 0, 3, 3]
    assert through("relu", Way(relu_rule="deconvnet")) == [0, 3, 0, 3, 3]
    assert through("relu6", Way()) == [0, 0, -3, 3, 0]
    assert through("relu6", Way(relu_rule="guided")) == [0, 0, 0, 3, 0]
    assert through("relu6", Way(relu_rule="deconvnet")) == [0, 3, 0, 3, 3]
    assert through("leaky_relu", Way(relu_rule="guided")) == through("leaky_relu", Way())
