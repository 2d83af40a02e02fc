"""Which part of the image a neuron sees, and which part of that counts.

The *exact* patch is the box around all pixels that can reach the neuron, whatever they hold. In
deep networks it is most of the image or all of it. The *effective* patch is the part from which
nearly all of a gradient comes; it is much smaller, and lies around the middle of the exact one
(Luo et al. 2016, https://arxiv.org/abs/1701.04128).
"""

from __future__ import annotations

import numpy as np

from convoscope.architecture.receptive_field import Box
from convoscope.arrays import FloatArray
from convoscope.errors import ExplainError
from convoscope.explain.layers import map_shape
from convoscope.network import Network


def patch(network: Network, layer: str, row: int, column: int) -> Box:
    """The box around the pixels that can reach the neurons at a place of a layer's maps.

    Exact, clipped to the image, through any branches; all 0 if only padding reaches them.

    Raises:
        UnknownNameError: if there is no such layer; names the nearest.
        ExplainError: if it gives no maps.
        SettingsError: if its maps have no such place.
    """
    map_shape(network, layer)
    return network.patch(layer, row, column)


def effective_patch(gradient: FloatArray, share: float = 0.95) -> Box:
    """The smallest box that holds at least ``share`` of the absolute gradient (C, H, W).

    Of equally small ones the first, by top and left. All 0 for a gradient of zeros.

    Raises:
        ExplainError: if ``share`` is not above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise ExplainError(f"share must be above 0 and at most 1, got {share}: 0.95 is usual")
    weight = np.abs(gradient).sum(axis=0, dtype=np.float64)
    rows, columns = np.flatnonzero(weight.any(axis=1)), np.flatnonzero(weight.any(axis=0))
    if not len(rows):
        return Box(0, 0, 0, 0)
    top, left = int(rows[0]), int(columns[0])
    inside = weight[top : rows[-1] + 1, left : columns[-1] + 1]
    box = _smallest(inside, share)
    return Box(box.top + top, box.left + left, box.bottom + top, box.right + left)


def _smallest(weight: FloatArray, share: float) -> Box:
    """For each pair of rows the narrowest range of columns between them, and of these the least."""
    height, width = weight.shape
    best, least = Box(0, 0, height, width), height * width
    if share == 1:
        return best
    sums = np.zeros((height + 1, width + 1))
    np.cumsum(weight.cumsum(axis=0), axis=1, out=sums[1:, 1:])
    needed = share * sums[-1, -1]
    for top in range(height):
        if sums[-1, -1] - sums[top, -1] < needed:
            break
        bands = sums[top + 1 :] - sums[top]
        enough = np.flatnonzero(bands[:, -1] >= needed)
        for band in enough:
            rows = int(band) + 1
            if rows >= least:
                break
            left, right = _narrowest(bands[band], needed)
            if rows * (right - left) < least:
                least, best = rows * (right - left), Box(top, left, top + rows, right)
    return best


def _narrowest(sums: FloatArray, needed: float) -> tuple[int, int]:
    """The narrowest range of columns whose sum is at least ``needed``, given running sums."""
    ends = np.searchsorted(sums, sums + needed, side="left")
    widths = np.where(ends < len(sums), ends - np.arange(len(sums)), len(sums))
    left = int(widths.argmin())
    return left, left + int(widths[left])
