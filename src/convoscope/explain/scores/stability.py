"""Stability: does the explanation stay when the image changes by what no eye sees?

Noise that leaves the answer as it was should leave the reason for it as it was. Each score is the
rank correlation of an explanation with that of a slightly noisy copy; 1 is unchanged.

Source: after Alvarez-Melis and Jaakkola 2018, https://arxiv.org/abs/1806.08049, and Yeh et al.
2019, https://arxiv.org/abs/1901.09392; by ranks, because methods have no common scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from convoscope.arrays import Array, FloatArray, as_unit_float, generator
from convoscope.explain.scores.saliency import given
from convoscope.explain.scores.similarity import correlation, order
from convoscope.network import Network, Target

COPIES: Final = 2
NOISE: Final = 0.02
"""The noise's standard deviation, in parts of black to white: 5 of 255."""


def stability(
    network: Network,
    images: Array,
    methods: Sequence[str],
    target: Target,
    plain: Sequence[FloatArray],
    layer: str | None = None,
) -> FloatArray:
    """The mean rank correlation of what M methods gave, ``plain``, with what they give for noisy
    copies of the images, (M, N).
    """
    images = as_unit_float(images)
    orders = [order(values) for values in plain]
    found = []
    for copy in range(COPIES):
        drawn = generator(0, "stability", copy).standard_normal(images.shape[1:])
        noisy = np.clip(images + NOISE * drawn, 0, 1).astype(images.dtype)
        others = given(network, noisy, methods, target, layer)
        found.append([correlation(a, order(b)) for a, b in zip(orders, others, strict=True)])
    mean: FloatArray = np.mean(found, axis=0)
    return mean
