"""Occlusion: what the answer loses when a part of the image is covered.

A square of the image's mean colour slides over it, half its side at a time. A pixel's value is how
much the target fell, on average over the squares that covered it. It asks the network only for
answers, so it explains any, and shares no weakness of gradients; but it needs some two hundred
passes an image, and tells nothing finer than its square.

Source: Zeiler and Fergus 2014, https://arxiv.org/abs/1311.2901, section 4.2.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final

import numpy as np

from convoscope.arrays import Array, FloatArray, as_unit_float
from convoscope.explain.variants import target_values, variant_values
from convoscope.explain.views import View
from convoscope.network import Target

PARTS: Final = 7
"""The square's side is this part of the image's: 32 of 224 pixels, 4 of 28."""


def occlusion(view: View, targets: Sequence[Target]) -> FloatArray:
    """How much each target falls where a pixel is covered, (T, N, H, W); below 0 where it rises."""
    images = as_unit_float(view.images)
    mean = images.mean(axis=(2, 3), keepdims=True, dtype=np.float64).astype(images.dtype)
    squares = tuple(
        itertools.product(_spans(images.shape[2]), _spans(images.shape[3]))
    )  # (rows, columns)

    def covered(number: int) -> Array:
        rows, columns = squares[number]
        image = images.copy()
        image[:, :, rows, columns] = mean
        return image

    whole = target_values(view.network, images, targets)
    total = np.zeros((len(targets), len(images), *images.shape[2:]))
    times = np.zeros(images.shape[2:])
    answers = variant_values(view.network, covered, len(squares), targets)
    for (rows, columns), found in zip(squares, answers, strict=True):
        total[:, :, rows, columns] += (whole - found)[:, :, None, None]
        times[rows, columns] += 1
    return (total / times).astype(images.dtype)


def _spans(pixels: int) -> list[slice]:
    """Where the square stands along one side: it covers every pixel, and is cut at the far end."""
    side = max(1, round(pixels / PARTS))
    step = max(1, side // 2)
    count = -(-(pixels - side) // step) + 1
    return [slice(k * step, min(k * step + side, pixels)) for k in range(count)]
