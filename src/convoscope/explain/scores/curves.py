"""Insertion and deletion: does the answer follow what the explanation points at?

*Deletion* covers an image with its mean colour, what was pointed at most first: of a good
explanation the answer falls at once. *Insertion* starts from a blurred image and brings back what
was pointed at most first: the answer rises at once. Each gives a curve of the class's probability
over the share of the image that has changed, and the area under it.

Whole cells of a grid are changed, not single pixels: scattered pixels are noise to a network, to
which fine explanations would owe a low deletion curve that has nothing to do with what they
point at (as would pure chance).

Source: Petsiuk, Das and Saenko 2018 (RISE), https://arxiv.org/abs/1806.07421, section 4.1; regions
as in Samek et al. 2017, https://arxiv.org/abs/1509.06321. The area is by trapezoids over the shares
that have really changed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from convoscope.arrays import Array, FloatArray, IntArray, as_unit_float, generator
from convoscope.explain.variants import VALUES_AT_ONCE

CELLS: Final = 14
"""So many cells stand along each side: 16 pixels each of 224, 2 of 28; a pixel each of fewer."""

STEPS: Final = 14

Ask = Callable[[Array, IntArray], FloatArray]
"""The probability of its class for each of some images (B, C, H, W), whose numbers among the N are
given, (B,).
"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curves:
    """Probabilities (M, N, S + 1) of M explanations of N images after 0 to S steps, and the shares
    of the image that have changed by then.
    """

    shares: FloatArray
    insertion: FloatArray
    deletion: FloatArray


def perturbation_curves(ask: Ask, images: Array, saliencies: FloatArray) -> Curves:
    """The curves of M explanations (M, N, H, W) of images (N, C, H, W); equal cells in an order
    that is drawn, the same for all explanations.
    """
    images = as_unit_float(images)
    ranks, cells = cell_ranks(saliencies)  # (M, N, H, W)
    steps = np.unique(np.round(np.linspace(0, cells, min(STEPS, cells) + 1)).astype(int))
    shares = np.stack([(ranks < step).mean(axis=(2, 3)) for step in steps], axis=-1)
    mean = images.mean(axis=(2, 3), keepdims=True, dtype=np.float64)
    covered = np.broadcast_to(mean, images.shape).astype(images.dtype)
    return Curves(
        shares=shares,
        insertion=_curve(ask, images, blurred(images), ranks, steps),
        deletion=_curve(ask, covered, images, ranks, steps),
    )


def area(values: FloatArray, shares: FloatArray) -> FloatArray:
    """The area under curves (..., S + 1) over the shares of the image, by trapezoids."""
    return np.asarray(np.trapezoid(values, shares, axis=-1))


def cell_ranks(saliencies: FloatArray) -> tuple[IntArray, int]:
    """For every pixel how many cells of the grid come before its own, (M, N, H, W), and how many
    cells there are. A cell counts for the mean of its pixels.
    """
    height, width = saliencies.shape[-2:]
    rows, columns = _edges(height), _edges(width)
    sums = np.add.reduceat(saliencies, rows[:-1], axis=-2, dtype=np.float64)
    sums = np.add.reduceat(sums, columns[:-1], axis=-1)
    means = sums / np.outer(np.diff(rows), np.diff(columns))
    flat = means.reshape(*means.shape[:2], -1)
    drawn = generator(0, "ties").permutation(flat.shape[-1])
    order = drawn[np.argsort(-flat[..., drawn], axis=-1, kind="stable")]
    ranks = np.argsort(order, axis=-1).reshape(means.shape)
    whole = np.repeat(np.repeat(ranks, np.diff(rows), axis=-2), np.diff(columns), axis=-1)
    return whole.astype(np.int64), flat.shape[-1]


def blurred(images: FloatArray) -> FloatArray:
    """Images blurred by a Gaussian whose standard deviation is a cell of the grid.

    Towards the border the pixels that are there count for those that are not.
    """
    rows, columns = _blur(images.shape[2]), _blur(images.shape[3])
    found: FloatArray = (rows @ images @ columns.T).astype(images.dtype)
    return found


def _curve(
    ask: Ask, above: FloatArray, below: FloatArray, ranks: IntArray, steps: IntArray
) -> FloatArray:
    """The probabilities (M, N, S + 1) as cells are taken from ``above`` in place of ``below``."""
    methods, count = ranks.shape[:2]
    numbers = np.arange(count)
    values = np.empty((methods, count, len(steps)))
    values[..., 0] = _asked(ask, lambda some: below[some], numbers)
    values[..., -1] = _asked(ask, lambda some: above[some], numbers)
    inner = [
        (method, image, place)
        for place in range(1, len(steps) - 1)
        for method in range(methods)
        for image in range(count)
    ]
    if inner:
        m, n, s = np.array(inner).T

        def mixed(some: IntArray) -> Array:
            taken = ranks[m[some], n[some]] < steps[s[some], None, None]
            return np.asarray(np.where(taken[:, None], above[n[some]], below[n[some]]))

        values[m, n, s] = _asked(ask, mixed, n)
    return values


def _asked(ask: Ask, pictures: Callable[[IntArray], Array], images: IntArray) -> FloatArray:
    """The answers to many pictures, made and asked a batch at a time; ``images`` are those they
    are made from.
    """
    size = max(1, VALUES_AT_ONCE // max(1, pictures(np.zeros(1, dtype=np.int64)).size))
    parts = [np.arange(k, min(k + size, len(images))) for k in range(0, len(images), size)]
    return np.concatenate([ask(pictures(part), images[part]) for part in parts])


def _edges(pixels: int) -> IntArray:
    cells = min(CELLS, pixels)
    return np.round(np.linspace(0, pixels, cells + 1)).astype(np.int64)


def _blur(pixels: int) -> FloatArray:
    """The weights (H, H) with which each pixel becomes a mean of those around it."""
    places = np.arange(pixels)
    sd = pixels / min(CELLS, pixels)
    bells = np.exp(-0.5 * ((places[:, None] - places) / sd) ** 2)
    weights: FloatArray = bells / bells.sum(axis=1, keepdims=True)
    return weights
