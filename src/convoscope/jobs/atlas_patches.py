"""The parts of images that excite a layer's channels most, cut out and made one size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from convoscope.architecture.receptive_field import Box
from convoscope.arrays import ByteArray, IntArray
from convoscope.explain import effective_patch
from convoscope.explain.atlas import Answers
from convoscope.network import Network, Neuron

SHARE = 0.8
"""A window holds this share of the gradient of the neurons that it was measured on."""

MEASURED = 8
_BACKGROUND = 128
_SMALL, _LARGE, _MANY_CHANNELS = 48, 64, 256


def patch_side(channels: int) -> int:
    """How many pixels a side of each patch has, so that a layer's patches stay a page."""
    return _LARGE if channels <= _MANY_CHANNELS else _SMALL


def window_of(
    network: Network, layer: str, pixels: ByteArray, found: Answers, best: IntArray
) -> int | None:
    """The side in pixels of the window that shows what a cell of the layer sees; ``None`` for the
    whole of what reaches it.

    Where what reaches a cell is most of an image, the median over some of the strongest neurons
    of the part from which :data:`SHARE` of their gradient comes.
    """
    _, height, width = network.architecture.input_shape
    rows, columns = found.size
    if rows * columns == 1:
        return None
    exact = network.patch(layer, rows // 2, columns // 2)
    if max(exact.bottom - exact.top, exact.right - exact.left) < min(height, width) / 3:
        return None
    channels = _spread(best, found)
    if not len(channels):
        return None
    images = best[channels, 0]
    places = [found.place(int(i), int(c)) for i, c in zip(images, channels, strict=True)]
    neuron = Neuron(
        layer,
        tuple(row for row, _ in places),
        tuple(column for _, column in places),
        tuple(int(channel) for channel in channels),
    )
    batch = np.stack([pixels[image] for image in images]).transpose(0, 3, 1, 2)
    with network.trace(batch, layers=[layer], upto=layer) as trace:
        (gradients,) = trace.gradient([neuron])
    boxes = [effective_patch(gradient, SHARE) for gradient in gradients if gradient.any()]
    sides = [max(box.bottom - box.top, box.right - box.left) for box in boxes]
    return round(float(np.median(sides))) if sides else None


def cut_patches(
    network: Network,
    layer: str,
    pixels: ByteArray,
    found: Answers,
    best: IntArray,
    window: int | None,
) -> ByteArray:
    """The patches (C, k, s, s, 3) uint8 of the images that are ``best`` (C, k); gray where -1."""
    channels, k = best.shape
    side = patch_side(channels)
    patches = np.full((channels, k, side, side, 3), _BACKGROUND, dtype=np.uint8)
    known: dict[tuple[int, int], Box] = {}
    for channel in range(channels):
        for rank, image in enumerate(best[channel].tolist()):
            if image < 0:
                continue
            place = found.place(image, channel)
            if place not in known:
                known[place] = _box(network, layer, found.size, place, window)
            box = known[place]
            part = np.asarray(pixels[image])[box.top : box.bottom, box.left : box.right]
            patches[channel, rank] = fitted(part, side)
    return patches


def fitted(part: ByteArray, side: int) -> ByteArray:
    """A part of an image (h, w, 1 or 3) as large as fits in a square, (side, side, 3) uint8."""
    square = np.full((side, side, 3), _BACKGROUND, dtype=np.uint8)
    if not part.size:
        return square
    height, width = part.shape[:2]
    factor = side / max(height, width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    how = Image.Resampling.NEAREST if factor > 1 else Image.Resampling.LANCZOS
    colour = np.ascontiguousarray(np.broadcast_to(part, (height, width, 3)))
    shown = np.asarray(Image.fromarray(colour).resize(size, how))
    top, left = (side - size[1]) // 2, (side - size[0]) // 2
    square[top : top + size[1], left : left + size[0]] = shown
    return square


def _box(
    network: Network, layer: str, cells: Sequence[int], place: tuple[int, int], window: int | None
) -> Box:
    """The part of the image to show for a cell: all that reaches it, or a window around it."""
    if window is None:
        return network.patch(layer, *place)
    _, *sizes = network.architecture.input_shape
    firsts, sides = [], []
    for cell, count, size in zip(place, cells, sizes, strict=True):
        side = min(window, size)
        middle = (cell + 0.5) / count * size
        firsts.append(min(max(0, round(middle - side / 2)), size - side))
        sides.append(side)
    return Box(firsts[0], firsts[1], firsts[0] + sides[0], firsts[1] + sides[1])


def _spread(best: IntArray, found: Answers) -> IntArray:
    """Up to :data:`MEASURED` channels, spread evenly over those that answered something."""
    alive: IntArray = np.flatnonzero(found.peaks.max(axis=0) > 0)
    if not len(alive):
        return alive
    chosen = np.unique(np.linspace(0, len(alive) - 1, MEASURED).round().astype(np.int64))
    spread: IntArray = alive[chosen]
    return spread
