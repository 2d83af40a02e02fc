"""Pooling: one number for each window. Its gradient goes back to the pixels it came from."""

from __future__ import annotations

import numpy as np

from convoscope.arrays import Array
from convoscope.engines.numpy.functional.operation import PLAIN, Backward, Way
from convoscope.engines.numpy.functional.sliding import Sliding, offsets


def max_pool2d(maps: Array, sliding: Sliding) -> tuple[Array, Backward]:
    """The maximum of each window, (N, H, W, C) to (N, H', W', C); padding is minus infinity.

    The maximum of a window is the maximum of the maxima of its rows, so this pools across and
    then down: 2 k comparisons instead of k k. Going back, a gradient belongs to the pixel that
    was the maximum - the first one, row by row, where several are equal: first to its row, then
    to its place in the row. No other pixel would have changed the output.
    """
    framed = sliding.frame(maps, fill=-np.inf)
    across, back_across = _max_along(framed, sliding, axis=1)
    y, back_down = _max_along(across, sliding, axis=0)

    def backward(grad: Array, way: Way = PLAIN) -> tuple[Array]:
        grad_framed = back_across(back_down(grad)[0])[0]
        return (sliding.unframe(grad_framed, (maps.shape[1], maps.shape[2])),)

    return y, backward


def avg_pool2d(maps: Array, sliding: Sliding) -> tuple[Array, Backward]:
    """The mean over the pixels of each window that lie inside the map, (N, H', W', C).

    Every one of them had the same say, so each gets the same share of the gradient.
    """
    framed = sliding.frame(maps)
    inside = sliding.frame(np.ones((1, *maps.shape[1:3], 1), dtype=maps.dtype))
    pixels = sliding.windows(inside).sum(axis=(3, 4))  # (1, H', W', 1)
    y = np.zeros((len(maps), *sliding.count, maps.shape[3]), dtype=maps.dtype)
    for a, b in offsets(sliding.kernel_size):
        y += framed[:, sliding.offset(a, 0), sliding.offset(b, 1)]
    y /= pixels

    def backward(grad: Array, way: Way = PLAIN) -> tuple[Array]:
        share = grad / pixels
        grad_framed = np.zeros(framed.shape, dtype=grad.dtype)
        for a, b in offsets(sliding.kernel_size):
            grad_framed[:, sliding.offset(a, 0), sliding.offset(b, 1)] += share
        return (sliding.unframe(grad_framed, (maps.shape[1], maps.shape[2])),)

    return y, backward


def global_max_pool(maps: Array) -> tuple[Array, Backward]:
    """The maximum of each map, (N, H, W, C) to (N, C); the first one gets the gradient."""
    n, height, width, channels = maps.shape
    pixels = maps.reshape(n, height * width, channels)
    first = pixels.argmax(axis=1)[:, None]  # (N, 1, C)

    def backward(grad: Array, way: Way = PLAIN) -> tuple[Array]:
        grad_pixels = np.zeros(pixels.shape, dtype=grad.dtype)
        np.put_along_axis(grad_pixels, first, grad[:, None], axis=1)
        return (grad_pixels.reshape(maps.shape),)

    return np.take_along_axis(pixels, first, axis=1)[:, 0], backward


def global_avg_pool(maps: Array) -> tuple[Array, Backward]:
    """The mean of each map, (N, H, W, C) to (N, C)."""
    area = maps.shape[1] * maps.shape[2]

    def backward(grad: Array, way: Way = PLAIN) -> tuple[Array]:
        share = (grad / area)[:, None, None]
        return (np.broadcast_to(share, maps.shape).copy(),)

    return maps.mean(axis=(1, 2)), backward


def _max_along(framed: Array, sliding: Sliding, axis: int) -> tuple[Array, Backward]:
    """The maximum of each window of k pixels along one axis (0 down, 1 across)."""
    places = [
        (slice(None),) * (1 + axis) + (sliding.offset(index, axis),)
        for index in range(sliding.kernel_size)
    ]
    y = framed[places[0]].copy()
    for place in places[1:]:
        np.maximum(y, framed[place], out=y)

    def backward(grad: Array, way: Way = PLAIN) -> tuple[Array]:
        grad_framed = np.zeros(framed.shape, dtype=grad.dtype)
        left = grad  # what has not found its pixel yet
        for place in places[:-1]:
            found = left * (framed[place] == y)
            grad_framed[place] += found
            left = left - found
        grad_framed[places[-1]] += left
        return (grad_framed,)

    return y, backward
