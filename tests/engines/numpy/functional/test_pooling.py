"""Pooling against its definition, one window at a time, ties included."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.engines.numpy.functional.conftest import check_derivative, pixels_of, sliding_over

from convoscope.arrays import FloatArray
from convoscope.engines.numpy.functional import (
    Sliding,
    avg_pool2d,
    global_avg_pool,
    global_max_pool,
    max_pool2d,
)


@st.composite
def poolings(draw: st.DrawFn) -> tuple[FloatArray, Sliding]:
    """Random maps of a few whole numbers, so that maxima are often shared, and a window."""
    size = draw(st.tuples(st.integers(1, 8), st.integers(1, 8)))
    k, stride = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    padding = draw(st.integers(0, k // 2))
    assume(min(size) + 2 * padding >= k)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    maps = rng.integers(0, 3, size=(draw(st.integers(1, 3)), *size, draw(st.integers(1, 3))))
    return maps.astype(float), sliding_over(size, k, stride, padding)


@given(poolings())
@settings(max_examples=100, deadline=None)
def test_the_first_maximum_of_each_window_gets_its_gradient(
    case: tuple[FloatArray, Sliding],
) -> None:
    maps, sliding = case
    y, backward = max_pool2d(maps, sliding)
    grad = np.random.default_rng(1).normal(size=y.shape)
    expected, expected_grad = np.empty_like(y), np.zeros_like(maps)
    for n, i, j, c in np.ndindex(y.shape):
        places = [(row, column) for *_, row, column in pixels_of(maps, sliding, n, i, j)]
        first = max(places, key=lambda place: maps[n, *place, c])  # the first of several equal
        expected[n, i, j, c] = maps[n, *first, c]
        expected_grad[n, *first, c] += grad[n, i, j, c]
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_allclose(backward(grad)[0], expected_grad, atol=1e-12)


@given(poolings())
@settings(max_examples=60, deadline=None)
def test_the_mean_is_over_pixels_inside_the_map(case: tuple[FloatArray, Sliding]) -> None:
    maps, sliding = case
    y, backward = avg_pool2d(maps, sliding)
    grad = np.random.default_rng(1).normal(size=y.shape)
    expected, expected_grad = np.empty_like(y), np.zeros_like(maps)
    for n, i, j, c in np.ndindex(y.shape):
        places = [(row, column) for *_, row, column in pixels_of(maps, sliding, n, i, j)]
        expected[n, i, j, c] = np.mean([maps[n, *place, c] for place in places])
        for place in places:
            expected_grad[n, *place, c] += grad[n, i, j, c] / len(places)
    np.testing.assert_allclose(y, expected, atol=1e-12)
    np.testing.assert_allclose(backward(grad)[0], expected_grad, atol=1e-12)


def test_a_window_may_stick_out_of_the_map() -> None:
    maps = np.arange(5.0).reshape(1, 1, 5, 1)
    out = Sliding(kernel_size=2, stride=2, count=(1, 3))
    assert max_pool2d(maps, out)[0].ravel().tolist() == [1, 3, 4]
    assert avg_pool2d(maps, out)[0].ravel().tolist() == [0.5, 2.5, 4]


def test_global_max_gives_the_first_of_two_maxima_the_gradient() -> None:
    maps = np.array([[[1.0], [7.0]], [[7.0], [0.0]]])[None]
    y, backward = global_max_pool(maps)
    assert y.tolist() == [[7.0]]
    assert backward(np.array([[5.0]]))[0].ravel().tolist() == [0, 5, 0, 0]


def test_global_pools_agree_with_finite_differences() -> None:
    maps = np.random.default_rng(0).normal(size=(2, 3, 4, 2))
    check_derivative(global_max_pool, maps)
    check_derivative(global_avg_pool, maps)
