"""SmoothGrad: the gradient without the noise that no eye needs.

The gradient is taken at many noisy copies of the image, and averaged: what differs from copy to
copy cancels, what the target really hangs on remains.

Source: Smilkov et al. 2017, https://arxiv.org/abs/1706.03825, section 3, with their noise of 15 %
of the image's range and half of their 50 copies.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from convoscope.arrays import Array, FloatArray, as_unit_float, generator
from convoscope.explain.variants import variant_gradients
from convoscope.explain.views import View
from convoscope.network import Target

COPIES: Final = 25
NOISE: Final = 0.15
"""The noise's standard deviation, in parts of the range from an image's darkest to its lightest."""


def smooth_grad(
    view: View, targets: Sequence[Target], *, copies: int = COPIES, noise: float = NOISE
) -> FloatArray:
    """The mean gradient of each target over noisy copies, (T, N, C, H, W).

    The same image has the same noise whenever it is asked, and whatever stands beside it.
    """
    images = as_unit_float(view.images)
    spread = noise * np.ptp(images, axis=(1, 2, 3))[:, None, None, None]

    def noisy(copy: int) -> Array:
        drawn = generator(0, "smooth grad", copy).standard_normal(images.shape[1:])
        return np.asarray(images + spread * drawn).astype(images.dtype)

    total = np.zeros((len(targets), *images.shape))
    for found in variant_gradients(view.network, noisy, copies, targets):
        total += found
    return (total / copies).astype(images.dtype)
