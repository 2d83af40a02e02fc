"""Batch norm in both its lives, and dropout."""

from __future__ import annotations

import numpy as np
import pytest
from tests.engines.numpy.functional.conftest import check_derivative, finite_differences

from convoscope.arrays import FloatArray
from convoscope.engines.numpy.functional import (
    Way,
    batch_norm,
    batch_statistics,
    channels,
    dropout,
    fixed_norm,
)

RNG = np.random.default_rng(0)
MAPS, VECTORS = RNG.normal(2, 3, size=(3, 4, 2, 3)), RNG.normal(2, 3, size=(6, 3))
WEIGHT, BIAS = RNG.normal(size=3), RNG.normal(size=3)
FIXED = (RNG.normal(size=3), RNG.random(3) + 0.5)


@pytest.mark.parametrize("x", [MAPS, VECTORS], ids=["maps", "vectors"])
def test_a_normalised_batch_has_mean_0_and_variance_1(x: FloatArray) -> None:
    axes = tuple(range(x.ndim - 1))
    mean, variance = batch_statistics(x)
    np.testing.assert_allclose(mean, x.mean(axis=axes), atol=1e-12)
    np.testing.assert_allclose(variance, x.var(axis=axes), atol=1e-12)
    y, _ = batch_norm(x, np.ones(3), np.zeros(3), (mean, variance), 0.0)
    np.testing.assert_allclose(y.mean(axis=axes), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(axis=axes), 1, atol=1e-12)


@pytest.mark.parametrize("x", [MAPS, VECTORS], ids=["maps", "vectors"])
def test_every_gradient_of_batch_norm_agrees_with_finite_differences(x: FloatArray) -> None:
    check_derivative(lambda v: batch_norm(v, WEIGHT, BIAS, batch_statistics(v), 1e-5), x)
    y, backward = batch_norm(x, WEIGHT, BIAS, batch_statistics(x), 1e-5)
    grad = RNG.normal(size=y.shape)
    _, grad_weight, grad_bias = backward(grad)
    by_weight = finite_differences(
        lambda w: batch_norm(x, w, BIAS, batch_statistics(x), 1e-5)[0], WEIGHT, grad
    )
    by_bias = finite_differences(
        lambda b: batch_norm(x, WEIGHT, b, batch_statistics(x), 1e-5)[0], BIAS, grad
    )
    np.testing.assert_allclose(grad_weight, by_weight, atol=1e-6)
    np.testing.assert_allclose(grad_bias, by_bias, atol=1e-6)


@pytest.mark.parametrize("x", [MAPS, VECTORS], ids=["maps", "vectors"])
def test_every_gradient_of_a_fixed_norm_agrees_with_finite_differences(x: FloatArray) -> None:
    check_derivative(lambda v: fixed_norm(v, WEIGHT, BIAS, FIXED, 1e-5), x)
    y, backward = fixed_norm(x, WEIGHT, BIAS, FIXED, 1e-5)
    grad = RNG.normal(size=y.shape)
    _, grad_weight, grad_bias = backward(grad)
    by_weight = finite_differences(lambda w: fixed_norm(x, w, BIAS, FIXED, 1e-5)[0], WEIGHT, grad)
    np.testing.assert_allclose(grad_weight, by_weight, atol=1e-6)
    np.testing.assert_allclose(grad_bias, grad.sum(axis=tuple(range(x.ndim - 1))), atol=1e-12)


def test_nobody_computes_what_is_not_asked() -> None:
    y, backward = fixed_norm(MAPS, WEIGHT, BIAS, FIXED, 1e-5)
    nothing = backward(np.ones_like(y), Way(inputs=False, parameters=False))
    assert nothing == (None, None, None)
    y, backward = batch_norm(MAPS, WEIGHT, BIAS, batch_statistics(MAPS), 1e-5)
    assert backward(np.ones_like(y), Way(inputs=False))[0] is None


def test_many_rows_are_added_span_by_span(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "_SPAN", 7)
    np.testing.assert_allclose(batch_statistics(MAPS)[0], MAPS.mean(axis=(0, 1, 2)), atol=1e-12)
    shifted = MAPS.copy()
    channels.add_per_channel(shifted, BIAS)
    np.testing.assert_allclose(shifted, MAPS + BIAS, atol=1e-12)


def test_dropout_keeps_the_expected_value_and_stops_the_gradient_of_what_it_drops() -> None:
    kept = np.array([[True, False, True, True]])
    y, backward = dropout(np.ones((1, 4)), kept, 0.25)
    np.testing.assert_allclose(y, kept * 4 / 3)
    np.testing.assert_allclose(backward(np.full((1, 4), 3.0))[0], kept * 4.0)
