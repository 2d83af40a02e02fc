"""Batch normalisation, and dropout: operations that are one thing while a network learns and
another once it is used.
"""

from __future__ import annotations

import numpy as np

from convoscope.arrays import Array
from convoscope.engines.numpy.functional.channels import scale_per_channel, sum_per_channel
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
    z = scale_per_channel(x, inverse_sd, -mean * inverse_sd)
    count = x.size // x.shape[-1]

    def backward(grad: Array, way: Way = PLAIN) -> tuple[Array | None, Array, Array]:
        grad = np.ascontiguousarray(grad)
        grad_bias, grad_weight = sum_per_channel(grad), sum_per_channel(grad, z)
        if not way.inputs:
            return None, grad_weight, grad_bias
        slope = weight * inverse_sd
        grad_x = scale_per_channel(grad, slope, -slope * grad_bias / count)
        grad_x += scale_per_channel(z, -slope * grad_weight / count, np.zeros_like(slope))
        return grad_x, grad_weight, grad_bias

    return scale_per_channel(z, weight, bias), backward


def batch_statistics(x: Array) -> tuple[Array, Array]:
    """Mean and (biased) variance per channel, (C,) each."""
    count = x.size // x.shape[-1]
    mean = sum_per_channel(x) / count
    centred = scale_per_channel(x, np.ones_like(mean), -mean)
    return mean, sum_per_channel(centred, centred) / count


def fixed_norm(
    x: Array, weight: Array, bias: Array, statistics: tuple[Array, Array], eps: float
) -> tuple[Array, Backward]:
    """``y = weight (x - mean) / sd + bias`` with statistics that no longer depend on x.

    All that is left is a straight line per channel, and its slope is the derivative.
    """
    mean, variance = statistics
    inverse_sd = 1 / np.sqrt(variance + eps)
    slope = weight * inverse_sd

    def backward(grad: Array, way: Way = PLAIN) -> tuple[Array | None, Array | None, Array | None]:
        grad = np.ascontiguousarray(grad)
        grad_x = scale_per_channel(grad, slope, np.zeros_like(slope)) if way.inputs else None
        if not way.parameters:
            return grad_x, None, None
        grad_bias = sum_per_channel(grad)
        grad_weight = (sum_per_channel(grad, x) - mean * grad_bias) * inverse_sd
        return grad_x, grad_weight, grad_bias

    return scale_per_channel(x, slope, bias - mean * slope), backward


def dropout(x: Array, kept: Array, rate: float) -> tuple[Array, Backward]:
    """The values that are ``kept`` (bool, the shape of x), divided by ``1 - rate`` so that the
    expected value stays; what was dropped had no say, and gets no gradient.
    """
    factor = kept * np.asarray(1 / (1 - rate), dtype=x.dtype)

    def backward(grad: Array, way: Way = PLAIN) -> tuple[Array]:
        return (grad * factor,)

    return x * factor, backward
