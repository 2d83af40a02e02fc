"""How a gradient becomes a step: SGD, momentum, Nesterov, Adam and AdamW, in place.

Parameters are changed where they lie, a few hundred thousand values at a time, so that a step
needs no second copy of a large weight, of its gradient, or of anything computed from them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from convoscope.arrays import Array, FloatArray
from convoscope.engines.numpy.blocks import each, spans
from convoscope.engines.numpy.composition import Gradient, Gradients
from convoscope.engines.numpy.functional import Outer
from convoscope.network import Optimiser

_BLOCK = 1 << 18  # values whose gradient is computed at a time
_CACHED = 1 << 15  # values that stay in cache with their gradient and moments

Moments = dict[str, FloatArray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """One parameter's learning rate and weight decay in one step, the ``count``-th (from 1)."""

    learning_rate: float
    weight_decay: float
    count: int


def moment_names(optimiser: Optimiser) -> tuple[str, ...]:
    """What the optimiser remembers of each parameter's gradients."""
    if optimiser.kind == "sgd":
        return ("momentum",) if optimiser.momentum else ()
    return "first_moment", "second_moment"


def advance(
    optimiser: Optimiser,
    parameters: Mapping[str, FloatArray],
    gradients: Gradients,
    moments: Mapping[str, Moments],
    rates: Mapping[str, Rates],
) -> None:
    """Change every parameter that has a gradient, and its moments, in place."""
    rule = sgd if optimiser.kind == "sgd" else adam

    def one(part: tuple[str, Gradient, tuple[slice, ...]]) -> None:
        name, gradient, at = part
        block, values = _block(gradient, at), _part(parameters[name], at)
        own = {moment: _part(array, at) for moment, array in moments[name].items()}
        for rows in spans(len(block), max(1, _CACHED * len(block) // block.size)):
            few = {moment: array[rows] for moment, array in own.items()}
            rule(optimiser, values[rows], block[rows], few, rates[name])

    each(one, list(_blocks(gradients)))


def sgd(
    optimiser: Optimiser, values: Array, gradient: Array, moments: Moments, rates: Rates
) -> None:
    """``w -= rate * g``; with momentum m, ``v = m v + g`` takes the place of g.

    Nesterov's rule looks one step ahead: ``w -= rate * (g + m v)``.

    Source: Sutskever et al. 2013, https://proceedings.mlr.press/v28/sutskever13.html, in the
    form that PyTorch has.
    """
    if rates.weight_decay:
        gradient += rates.weight_decay * values
    if optimiser.momentum:
        velocity = moments["momentum"]
        velocity *= optimiser.momentum
        velocity += gradient
        if optimiser.nesterov:
            gradient += optimiser.momentum * velocity
        else:
            np.copyto(gradient, velocity)
    gradient *= rates.learning_rate
    values -= gradient


def adam(
    optimiser: Optimiser, values: Array, gradient: Array, moments: Moments, rates: Rates
) -> None:
    """``w -= rate * m / (sqrt(v) + eps)``, m and v running means of g and of g squared.

    Both start at 0 and are divided by how much of their weight has come in so far,
    ``1 - beta^count`` (here taken out of the fraction). Weight decay is added to the gradient
    (adam), or shrinks the values by ``rate * decay`` beforehand (adamw).

    Source: Kingma and Ba 2015, algorithm 1, https://arxiv.org/abs/1412.6980; Loshchilov and
    Hutter 2019, https://arxiv.org/abs/1711.05101.
    """
    mean, square = moments["first_moment"], moments["second_moment"]
    if rates.weight_decay and optimiser.kind == "adam":
        gradient += rates.weight_decay * values
    if rates.weight_decay and optimiser.kind == "adamw":
        values *= 1 - rates.learning_rate * rates.weight_decay
    mean *= optimiser.beta1
    mean += (1 - optimiser.beta1) * gradient
    np.multiply(gradient, gradient, out=gradient)
    gradient *= 1 - optimiser.beta2
    square *= optimiser.beta2
    square += gradient
    correction = math.sqrt(1 - optimiser.beta2**rates.count)
    spread = np.sqrt(square, out=gradient)
    spread += optimiser.eps * correction
    np.divide(mean, spread, out=spread)
    spread *= rates.learning_rate * correction / (1 - optimiser.beta1**rates.count)
    values -= spread


def _blocks(gradients: Gradients) -> Iterator[tuple[str, Gradient, tuple[slice, ...]]]:
    """Which part of which parameter to change with which gradient, a block at a time."""
    for name, gradient in gradients.items():
        if isinstance(gradient, Outer):
            units = gradient.left.shape[1]
            for span in spans(gradient.right.shape[1], max(1, _BLOCK // units)):
                yield name, gradient, (slice(None), span)
        else:
            flat = np.ascontiguousarray(gradient).reshape(-1)
            for span in spans(flat.size, _BLOCK):
                yield name, flat, (span,)


def _block(gradient: Gradient, at: tuple[slice, ...]) -> Array:
    """That part of the gradient, as an array that may be written over."""
    if isinstance(gradient, Outer):
        return gradient.columns(at[1])
    return gradient[at].copy()


def _part(values: Array, at: tuple[slice, ...]) -> Array:
    """A view of some columns of a matrix, or of some of all values in a row."""
    return values[at] if len(at) == 2 else values.reshape(-1)[at]
