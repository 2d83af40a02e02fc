"""Explanations that know nothing: the centre of the image, and chance.

Photographers put what they photograph in the middle. An explanation that is no better than
pointing there has not been shown to know anything of the network.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from convoscope.arrays import FloatArray, generator

CENTRE: Final = "centre"
CHANCE: Final = "chance"
BASELINES: Final = (CENTRE, CHANCE)
_SPREAD = 0.25


def centre(size: tuple[int, int]) -> FloatArray:
    """A bell around the centre, (H, W): 1 there, its standard deviation a quarter of each side."""
    rows, columns = (np.exp(-0.5 * (((np.arange(n) + 0.5) / n - 0.5) / _SPREAD) ** 2) for n in size)
    bell: FloatArray = np.outer(rows / rows.max(), columns / columns.max())
    return bell


def chance(size: tuple[int, int], image: str) -> FloatArray:
    """A value from [0, 1) for every pixel, (H, W), drawn anew for each name of an image."""
    return generator(0, "chance", image).random(size)
