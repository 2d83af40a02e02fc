"""Batch normalisation, and dropout: operations that are one thing while a network learns and
another once it is used.
"""

from __future__ import annotations

import numpy as np

from convoscope.arrays import Array
from convoscope.engines.numpy.functional.channels import (
    add_per_channel,
    multiply_per_channel,
    sum_per_channel,
)
from convoscope.engines.numpy.functional.operation import PLAIN, Backward, Way


def batch_norm(
    x: Array, weight: Array, bias: Array, statistics: tuple[Array, Array], eps: float
) -> tuple[Array, Backward]:
    """``y = weight (x - mean) / sd + bias`` per channel, for (N, H, W, C) or (N, K).

    ``statistics`` are those of this very batch, so they depend on x too. A value moves its own
    output, and through mean and sd the output of every other value of its channel. Adding up the
    three ways, with ``z = (x - mean) / sd``::

        dx = weight / sd (grad - mean of grad - z mean of (grad z))

    Source: Ioffe and Szegedy 2015, section 3, https://arxiv.org/abs/1502.03167.
    """
    mean, variance = statistics
    inverse_sd = 1 / np.sqrt(variance + eps)
    z = multiply_per_channel(x, inverse_sd)
    add_per_channel(z, -mean * inverse_sd)
    y = multiply_per_channel(z, weight)
    add_per_channel(y, bias)

    def backward(grad: Array, way: Way = PLAIN) -> tuple[Array | None, Array, Array]:
        grad = np.ascontiguousarray(grad)
        grad_bias, grad_weight = sum_per_channel(grad), sum_per_channel(grad * z)
        if not way.inputs:
            return None, grad_weight, grad_bias
        count = x.size // x.shape[-1]
        grad_x = multiply_per_channel(z, -grad_weight / count)
        grad_x += grad
        add_per_channel(grad_x, -grad_bias / count)
        multiply_per_channel(grad_x, weight * inverse_sd, out=grad_x)
        return grad_x, grad_weight, grad_bias

    return y, backward


def batch_statistics(x: Array) -> tuple[Array, Array]:
    """Mean and (biased) variance per channel, (C,) each."""
    count = x.size // x.shape[-1]
    mean = sum_per_channel(x) / count
    centred = np.array(x, order="C")
    add_per_channel(centred, -mean)
    np.multiply(centred, centred, out=centred)
    return mean, sum_per_channel(centred) / count


def fixed_norm(
    x: Array, weight: Array, bias: Array, statistics: tuple[Array, Array], eps: float
) -> tuple[Array, Backward]:
    """``y = weight (x - mean) / sd + bias`` with statistics that no longer depend on x.

    All that is left is a straight line per channel, and its slope is the derivative.
    """
    mean, variance = statistics
    inverse_sd = 1 / np.sqrt(variance + eps)
    y = multiply_per_channel(x, weight * inverse_sd)
    add_per_channel(y, bias - mean * weight * inverse_sd)

    def backward(grad: Array, way: Way = PLAIN) -> tuple[Array | None, Array | None, Array | None]:
        grad = np.ascontiguousarray(grad)
        grad_x = multiply_per_channel(grad, weight * inverse_sd) if way.inputs else None
        if not way.parameters:
            return grad_x, None, None
        grad_bias = sum_per_channel(grad)
        grad_weight = (sum_per_channel(grad * x) - mean * grad_bias) * inverse_sd
        return grad_x, grad_weight, grad_bias

    return y, backward


def dropout(x: Array, kept: Array, rate: float) -> tuple[Array, Backward]:
    """The values that are ``kept`` (bool, the shape of x), divided by ``1 - rate`` so that the
    expected value stays; what was dropped had no say, and gets no gradient.
    """
    factor = kept * np.asarray(1 / (1 - rate), dtype=x.dtype)

    def backward(grad: Array, way: Way = PLAIN) -> tuple[Array]:
        return (grad * factor,)

    return x * factor, backward
