"""Slow definitions and general checks that the tests of single operations share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from convoscope.arrays import Array, FloatArray
from convoscope.engines.numpy.functional import Backward, Sliding


def finite_differences(
    function: Callable[[FloatArray], FloatArray], x: FloatArray, grad: FloatArray
) -> FloatArray:
    """The gradient of ``sum(grad * function(x))``, one value of x nudged at a time."""
    result = np.empty_like(x)
    for index in np.ndindex(x.shape):
        nudge = np.zeros_like(x)
        nudge[index] = 1e-6
        result[index] = (grad * (function(x + nudge) - function(x - nudge))).sum() / 2e-6
    return result


def check_derivative(
    operation: Callable[[FloatArray], tuple[FloatArray, Backward]], x: FloatArray, seed: int = 0
) -> None:
    """Assert that the first gradient an operation gives back agrees with finite differences."""
    y, backward = operation(x)
    grad = np.random.default_rng(seed).normal(size=y.shape)
    expected = finite_differences(lambda value: operation(value)[0], x, grad)
    np.testing.assert_allclose(backward(grad.copy())[0], expected, rtol=1e-5, atol=1e-7)


def sliding_over(
    size: tuple[int, int], kernel_size: int, stride: int, padding: int, dilation: int = 1
) -> Sliding:
    """A window on maps of ``size`` with the same padding on every side."""
    extent = dilation * (kernel_size - 1) + 1
    height, width = ((n + 2 * padding - extent) // stride + 1 for n in size)
    return Sliding(
        kernel_size=kernel_size,
        count=(height, width),
        stride=stride,
        dilation=dilation,
        before=(padding, padding),
    )


def pixels_of(
    maps: Array, sliding: Sliding, image: int, row: int, column: int
) -> list[tuple[int, int, int, int]]:
    """The pixels (a, b, i, j) of one window that lie inside the map, row by row."""
    found = []
    for a in range(sliding.kernel_size):
        for b in range(sliding.kernel_size):
            i = row * sliding.stride + a * sliding.dilation - sliding.before[0]
            j = column * sliding.stride + b * sliding.dilation - sliding.before[1]
            if 0 <= i < maps.shape[1] and 0 <= j < maps.shape[2]:
                found.append((a, b, i, j))
    return found
