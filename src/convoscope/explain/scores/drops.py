"""Average drop and increase in confidence: what is left when only the bright part is shown.

The image is multiplied by what of its explanation is above 0, scaled from 0 to 1. If what decides
is kept, the class's probability stays, or even rises because what distracts is gone.

Source: Chattopadhyay et al. 2018, https://arxiv.org/abs/1710.11063, section 4.1.
"""

from __future__ import annotations

import numpy as np

from convoscope.arrays import Array, FloatArray, IntArray, as_unit_float
from convoscope.explain.scores.curves import Ask
from convoscope.metrics.intervals import ratio


def drops(
    ask: Ask, images: Array, saliencies: FloatArray, whole: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """For M explanations (M, N, H, W) of N images the share of the probability ``whole`` (N,) that
    is lost, and that which is left, both (M, N).

    The mean of the first is the average drop; how often the second is above ``whole`` is the
    increase in confidence. What had no probability cannot lose any.
    """
    images = as_unit_float(images)
    numbers: IntArray = np.arange(len(images), dtype=np.int64)
    shown = unit(np.maximum(saliencies, 0))  # what speaks against the class is not shown
    left = np.stack([ask(images * one[:, None], numbers) for one in shown])
    lost = np.nan_to_num(ratio(np.maximum(whole - left, 0), whole))
    return lost, left


def unit(saliency: FloatArray) -> FloatArray:
    """Explanations (..., H, W) from their lowest value, 0, to their highest, 1; one that is the
    same everywhere points at nothing, and is 0.
    """
    lowest = saliency.min(axis=(-2, -1), keepdims=True)
    range_ = saliency.max(axis=(-2, -1), keepdims=True) - lowest
    return np.nan_to_num(ratio(saliency - lowest, range_)).astype(saliency.dtype)
