"""The nonlinearities: each is a function of one number, so its derivative is one factor.

By the chain rule the gradient of the input is the gradient of the output times the derivative,
value by value. Several derivatives are simplest in terms of the output y, and none needs both.

With ``out=x`` an activation writes over its input, which saves a copy of the maps where nobody
else reads them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
from scipy.special import erf, expit

from convoscope.architecture.protocol import ActivationName
from convoscope.arrays import Array
from convoscope.engines.numpy.functional.operation import PLAIN, Backward, Way

ActivationFunction: TypeAlias = Callable[..., tuple[Array, Backward]]

LEAKY_SLOPE = 0.01
SELU_ALPHA = 1.6732632423543772848170429916717  # the fixed point of Klambauer et al. 2017
SELU_SCALE = 1.0507009873554804934193349852946


def relu(x: Array, out: Array | None = None) -> tuple[Array, Backward]:
    """``max(0, x)``; the derivative is 1 where x was positive and 0 elsewhere."""
    y = np.maximum(x, 0, out=out)

    def backward(grad: Array, way: Way = PLAIN) -> tuple[Array]:
        return (_through_relu(grad, y > 0, way),)

    return y, backward


def relu6(x: Array, out: Array | None = None) -> tuple[Array, Backward]:
    """``min(max(0, x), 6)``; a ReLU that gradients do not pass above 6 either."""
    y = np.clip(x, 0, 6, out=out)

    def backward(grad: Array, way: Way = PLAIN) -> tuple[Array]:
        return (_through_relu(grad, (y > 0) & (y < 6), way),)

    return y, backward


def elu(x: Array, out: Array | None = None) -> tuple[Array, Backward]:
    """``x`` above 0 and ``e^x - 1`` below; there the derivative is ``e^x = y + 1``.

    Source: Clevert et al. 2016, https://arxiv.org/abs/1511.07289.
    """
    y = np.where(x > 0, x, np.expm1(np.minimum(x, 0)))

    def backward(grad: Array, way: Way = PLAIN) -> tuple[Array]:
        return (grad * np.where(y > 0, 1, y + 1),)

    return y, backward


def selu(x: Array, out: Array | None = None) -> tuple[Array, Backward]:
    """``l x`` above 0 and ``l a (e^x - 1)`` below; there the derivative is ``y + l a``.

    Source: Klambauer et al. 2017, https://arxiv.org/abs/1706.02515.
    """
    depth = SELU_SCALE * SELU_ALPHA
    y = np.where(x > 0, SELU_SCALE * x, depth * np.expm1(np.minimum(x, 0)))

    def backward(grad: Array, way: Way = PLAIN) -> tuple[Array]:
        return (grad * np.where(y > 0, SELU_SCALE, y + depth),)

    return y, backward


def leaky_relu(x: Array, out: Array | None = None) -> tuple[Array, Backward]:
    """``x`` above 0 and ``x / 100`` below; no ReLU rule applies, for none of it is shut."""
    y = np.where(x > 0, x, LEAKY_SLOPE * x)

    def backward(grad: Array, way: Way = PLAIN) -> tuple[Array]:
        return (grad * np.where(y > 0, 1, LEAKY_SLOPE).astype(grad.dtype),)

    return y, backward


def tanh(x: Array, out: Array | None = None) -> tuple[Array, Backward]:
    """The hyperbolic tangent; its derivative is ``1 - y^2``."""
    y = np.tanh(x, out=out)

    def backward(grad: Array, way: Way = PLAIN) -> tuple[Array]:
        return (grad * (1 - y * y),)

    return y, backward


def sigmoid(x: Array, out: Array | None = None) -> tuple[Array, Backward]:
    """``s(x) = 1 / (1 + e^-x)``; its derivative is ``y (1 - y)``."""
    y = expit(x, out=out)

    def backward(grad: Array, way: Way = PLAIN) -> tuple[Array]:
        return (grad * (y * (1 - y)),)

    return y, backward


def silu(x: Array, out: Array | None = None) -> tuple[Array, Backward]:
    """``x s(x)``, also called swish; by the product rule the derivative is ``s + x s (1 - s)``.

    Source: Hendrycks and Gimpel 2016, https://arxiv.org/abs/1606.08415.
    """
    s = expit(x)

    def backward(grad: Array, way: Way = PLAIN) -> tuple[Array]:
        return (grad * (s * (1 + x * (1 - s))),)

    return x * s, backward


def gelu(x: Array, out: Array | None = None) -> tuple[Array, Backward]:
    """``x P(x)`` with the normal distribution's P, exactly; the derivative is ``P + x p``.

    Source: Hendrycks and Gimpel 2016, https://arxiv.org/abs/1606.08415.
    """
    below = (1 + erf(x / math.sqrt(2))) / 2

    def backward(grad: Array, way: Way = PLAIN) -> tuple[Array]:
        density = np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
        return (grad * (below + x * density),)

    return x * below, backward


ACTIVATIONS: Mapping[ActivationName, ActivationFunction] = {
    "relu": relu,
    "relu6": relu6,
    "elu": elu,
    "selu": selu,
    "gelu": gelu,
    "silu": silu,
    "leaky_relu": leaky_relu,
    "tanh": tanh,
    "sigmoid": sigmoid,
}


def _through_relu(grad: Array, is_open: Array, way: Way) -> Array:
    """The gradient that passes: where the ReLU was open, unless a rule says otherwise.

    Guided backpropagation also stops what is negative (Springenberg et al. 2015,
    https://arxiv.org/abs/1412.6806); the deconvnet stops that alone, wherever the ReLU was
    open or not (Zeiler and Fergus 2014, https://arxiv.org/abs/1311.2901).
    """
    if way.relu_rule != "plain":
        np.maximum(grad, 0, out=grad)
    if way.relu_rule != "deconvnet":
        np.multiply(grad, is_open, out=grad)
    return grad
