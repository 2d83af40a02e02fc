"""Integrated gradients: each pixel's share of what the image adds to an answer.

The image is faded in from black, the gradient is averaged along the way and multiplied by what
each pixel gained. The shares add up to the difference between the answers to the image and to
black (*completeness*), which no plain gradient promises.

Source: Sundararajan, Taly and Yan 2017, https://arxiv.org/abs/1703.01365, equation 1; the integral
by Gauss and Legendre's rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from convoscope.arrays import Array, FloatArray, as_unit_float
from convoscope.explain.variants import variant_gradients
from convoscope.explain.views import View
from convoscope.network import Target

STEPS: Final = 32


def integrated_gradients(
    view: View, targets: Sequence[Target], *, steps: int = STEPS
) -> FloatArray:
    """The share of every pixel in each target, (T, N, C, H, W), against a black image."""
    images = as_unit_float(view.images)
    places, weights = np.polynomial.legendre.leggauss(steps)

    def faded(step: int) -> Array:
        return np.asarray(images * ((places[step] + 1) / 2)).astype(images.dtype)

    mean = np.zeros((len(targets), *images.shape))
    gradients = variant_gradients(view.network, faded, steps, targets)
    for weight, found in zip(weights / 2, gradients, strict=True):
        mean += weight * found
    return (mean * images).astype(images.dtype)
