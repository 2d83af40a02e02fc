"""The dense layer, a matrix product, and the flattening that stands before it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convoscope.arrays import Array
from convoscope.engines.numpy.functional.operation import PLAIN, Backward, Way


@dataclass(frozen=True, slots=True, eq=False)
class Outer:
    """A dense layer's weight gradient, ``left.T @ right``, kept as its two factors.

    ``left`` is (N, K') and ``right`` (N, K): with N images in the batch and millions of inputs
    they are many times smaller than their product, which an optimiser can take a few columns
    at a time.
    """

    left: Array
    right: Array

    def columns(self, part: slice) -> Array:
        """Some columns of the product, (K', n)."""
        return np.asarray(self.left.T @ self.right[:, part])

    def whole(self) -> Array:
        """The product, (K', K)."""
        return self.columns(slice(None))


def dense(vectors: Array, weight: Array, bias: Array | None) -> tuple[Array, Backward]:
    """``y = x W^T + b``: vectors (N, K), weight (K', K), bias (K',) to (N, K').

    Output unit u is ``sum_k x_k W_uk + b_u``. So ``W_uk`` hears of the loss through unit u alone,
    by as much as its input ``x_k`` was: ``dW = grad^T x``. And ``x_k`` hears of it through every
    unit, by as much as its weight there: ``dx = grad W``.
    """
    y = vectors @ weight.T
    if bias is not None:
        y += bias

    def backward(grad: Array, way: Way = PLAIN) -> tuple[Array | None, Outer | None, Array | None]:
        return (
            grad @ weight if way.inputs else None,
            Outer(grad, vectors) if way.parameters else None,
            grad.sum(axis=0) if way.parameters and bias is not None else None,
        )

    return y, backward


def flatten(maps: Array) -> tuple[Array, Backward]:
    """Maps (N, H, W, C) as vectors (N, C H W), channel by channel and row by row."""
    n, height, width, channels = maps.shape

    def backward(grad: Array, way: Way = PLAIN) -> tuple[Array]:
        by_channel = grad.reshape(n, channels, height, width)
        return (np.ascontiguousarray(by_channel.transpose(0, 2, 3, 1)),)

    return maps.transpose(0, 3, 1, 2).reshape(n, channels * height * width), backward
