"""The losses: the number at the end of the way forward, where the way back begins.

Each is computed from logits, not from probabilities: with the function and its logarithm taken
together nothing overflows, and the derivative becomes the plainest of all, ``p - t``.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from convoscope.arrays import Array
from convoscope.engines.numpy.functional.operation import PLAIN, Backward, Way


def softmax_cross_entropy(logits: Array, targets: Array, weights: Array) -> tuple[float, Backward]:
    """``sum_i w_i l_i`` with ``l = -sum_k t_k log p_k`` and ``p = softmax(z)``.

    ``logits`` z and ``targets`` t are (N, K), ``weights`` w (N,). The maximum of each row is
    subtracted first: it changes no probability, and no exponential overflows. The gradient is
    ``w (p sum(t) - t)``, which for a distribution t is ``w (p - t)``.
    """
    shifted = logits - logits.max(axis=1, keepdims=True)
    powers = np.exp(shifted)
    totals = powers.sum(axis=1, keepdims=True)
    losses = -(targets * (shifted - np.log(totals))).sum(axis=1)

    def backward(grad: float, way: Way = PLAIN) -> tuple[Array]:
        probabilities = powers / totals
        known = targets.sum(axis=1, keepdims=True)
        return (grad * weights[:, None] * (probabilities * known - targets),)

    return float(weights @ losses), backward


def sigmoid_cross_entropy(logits: Array, targets: Array, weights: Array) -> tuple[float, Backward]:
    """``sum_i w_i l_i`` with l the mean over the units of ``-t log p - (1 - t) log(1 - p)``,
    ``p = s(z)``: binary cross-entropy.

    ``logits`` z and ``targets`` t are (N, units), ``weights`` w (N,). The two logarithms together
    are ``max(z, 0) - z t + log(1 + e^-|z|)``, which never overflows. The gradient is ``w (p - t)``
    divided by the number of units.
    """
    units = logits.shape[1]
    terms = np.maximum(logits, 0) - logits * targets + np.log1p(np.exp(-np.abs(logits)))

    def backward(grad: float, way: Way = PLAIN) -> tuple[Array]:
        return (grad * weights[:, None] * (expit(logits) - targets) / units,)

    return float(weights @ terms.mean(axis=1)), backward
