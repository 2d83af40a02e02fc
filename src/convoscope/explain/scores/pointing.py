"""Does the explanation point at the thing? For images whose thing has been marked.

Where it does not, the explanation need not be wrong: the network may really look elsewhere, as one
that knows ships by the sea. Both scores give an explanation that is the same everywhere what it
would have by chance, the thing's share of the image.
"""

from __future__ import annotations

import numpy as np

from convoscope.arrays import Array, FloatArray


def points_inside(saliencies: FloatArray, masks: Array) -> FloatArray:
    """The pointing game for M explanations (M, N, H, W) of images with masks (N, H, W) bool: 1
    where the highest value lies inside, (M, N); of several highest ones, the share inside.

    Source: Zhang et al. 2018, https://arxiv.org/abs/1608.00507, section 4.2, without tolerance.
    """
    highest = saliencies == saliencies.max(axis=(-2, -1), keepdims=True)
    found: FloatArray = (highest & masks).sum(axis=(-2, -1)) / highest.sum(axis=(-2, -1))
    return found


def mass_inside(saliencies: FloatArray, masks: Array) -> FloatArray:
    """The share of all that is above 0 in an explanation which lies inside the mask, (M, N).

    Source: Kohlbrenner et al. 2020, https://arxiv.org/abs/1910.09840, equation 9 (mu).
    """
    positive = np.maximum(saliencies, 0).astype(np.float64)
    total = positive.sum(axis=(-2, -1))
    inside = (positive * masks).sum(axis=(-2, -1))
    by_chance = np.broadcast_to(masks.mean(axis=(-2, -1)), total.shape)
    share: FloatArray = np.where(total > 0, inside / np.where(total > 0, total, 1), by_chance)
    return share
