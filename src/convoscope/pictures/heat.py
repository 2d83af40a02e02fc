"""Heat maps: how much each place of a picture counts, in colours that grow evenly brighter.

The colours are those of *inferno* (van der Walt and Smith 2015,
https://bids.github.io/colormap/, CC0): equal steps of the value look like equal steps, also to
the colour blind and on a black-and-white print. 0 is always black, or over a picture without
colour; what the brightest colour stands for is the caller's ``limit`` and belongs beside the
picture.
"""

from __future__ import annotations

import functools
from typing import Final

import numpy as np

from convoscope.architecture.receptive_field import Box
from convoscope.arrays import Array, ByteArray, FloatArray
from convoscope.pictures.maps import enlarged

OUTLINED: Final = 0.5
"""Over a picture, a line surrounds what has at least this share of the limit."""

EXACT, EFFECTIVE = (255, 255, 255), (255, 196, 30)
"""The colours of a neuron's exact patch and of the part of it that counts."""

# Eighteen of inferno's 256 colours, every fifteenth; between them it is straight to 5 in 255.
_INFERNO = (
    "000004 0a0722 1e0c45 380962 510e6c 69166e 801f6c 982766 b0315b "
    "c63d4d d94d3d e9612b f47918 fa9407 fcb014 f8cd37 f2ea69 fcffa4"
)
_FIRST_OVER_PICTURE = 0.3
_STRONGEST_COVER = 0.9
_DIMMED, _OUTSIDE = 0.7, 0.3
_BRIGHT = 0.98
_LUMINANCE = np.array([0.299, 0.587, 0.114])


def glowing(values: FloatArray, limit: float) -> ByteArray:
    """Values of any shape as colours (..., 3) uint8, from black at 0 and below to bright yellow at
    ``limit`` and above; all black where ``limit`` is 0.
    """
    return _colours(0.0)[_steps(values, limit)]


def overlay(picture: ByteArray, heat: FloatArray, limit: float) -> ByteArray:
    """``heat`` (H, W) from 0 to ``limit`` over a picture (H, W, C) made gray: (H, W, 3) uint8.

    The colour covers the more, the more a place counts; where nothing counts the gray picture is
    left as it is. A white line surrounds at least half the limit. Without heat there is no colour.
    """
    steps = _steps(heat, limit)
    cover = _STRONGEST_COVER * steps[..., None] / 255
    colour = _colours(_FIRST_OVER_PICTURE)[steps]
    mixed = _DIMMED * gray(picture) * (1 - cover) + colour * cover
    mixed[_edge(steps >= OUTLINED * 255)] = 255
    return np.round(mixed).astype(np.uint8)


def lit(gradient: FloatArray, limit: float) -> ByteArray:
    """A gradient (C, H, W) as a picture (H, W, C) uint8: black at 0 and below, full light at
    ``limit`` and above; all black where ``limit`` is 0.
    """
    return _steps(gradient, limit).astype(np.uint8).transpose(1, 2, 0)


def bright_limit(gradient: FloatArray) -> float:
    """A limit for :func:`lit` that lets more be seen than the highest value does, which a single
    pixel may have: all but the strongest fiftieth of the positive values lie below it.
    """
    positive = gradient[gradient > 0]
    return float(np.quantile(positive, _BRIGHT)) if positive.size else 0.0


def gray(picture: ByteArray) -> FloatArray:
    """A picture (H, W, 1 or 3) as luminance in three equal channels, (H, W, 3) in 0 to 255."""
    light = picture[..., 0].astype(float) if picture.shape[2] == 1 else picture @ _LUMINANCE
    return np.repeat(light[..., None], 3, axis=2)


def framed(
    picture: ByteArray, exact: Box, effective: Box | None = None, *, times: int = 1
) -> ByteArray:
    """A picture (h, w, C) as (H, W, 3) uint8, ``times`` as large, dark outside the ``exact`` patch.

    A white frame surrounds the exact patch of a neuron, a yellow one its effective patch; both are
    in pixels of the picture as it is given.
    """
    large = enlarged(picture, times)
    dark = np.round(_OUTSIDE * gray(large)).astype(np.uint8)
    colour = np.broadcast_to(large, dark.shape)
    inside = _slices(exact, times)
    dark[inside] = colour[inside]
    width = max(1, round(min(dark.shape[:2]) / 100))
    for box, paint in ((exact, EXACT), (effective, EFFECTIVE)):
        if box is not None and box.bottom > box.top and box.right > box.left:
            _frame(dark[_slices(box, times)], paint, width)
    return dark


def glow_style() -> str:
    """The colours from 0 to the limit as a CSS gradient, left to right."""
    return _gradient(0.0)


def overlay_style() -> str:
    """The colours that lie over a picture as a CSS gradient, left to right: at 0 there is none."""
    return _gradient(_FIRST_OVER_PICTURE, fades=True)


def _gradient(first: float, *, fades: bool = False) -> str:
    stops = []
    for step in range(0, 256, 17):
        red, green, blue = _colours(first)[step]
        cover = _STRONGEST_COVER * step / 255 if fades else 1
        stops.append(f"rgb({red} {green} {blue} / {cover:.2f})")
    return f"linear-gradient(to right, {', '.join(stops)})"


def _steps(values: FloatArray, limit: float) -> Array:
    """Values as whole steps 0..255 of the limit."""
    share = np.clip(values / limit, 0, 1) if limit > 0 else np.zeros(values.shape)
    return np.round(255 * share).astype(np.intp)


@functools.cache
def _colours(first: float) -> ByteArray:
    """The 256 colours from a share ``first`` of the colour map to its end, (256, 3) uint8."""
    stops = np.array([list(bytes.fromhex(stop)) for stop in _INFERNO.split()])
    places = (first + (1 - first) * np.arange(256) / 255) * (len(stops) - 1)
    table = [np.interp(places, np.arange(len(stops)), stops[:, channel]) for channel in range(3)]
    return np.round(np.stack(table, axis=1)).astype(np.uint8)


def _edge(inside: Array) -> Array:
    """The pixels of ``inside`` (H, W) that have a neighbour outside; the border is no neighbour."""
    padded = np.pad(inside, 1, mode="edge")
    around = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    edge: Array = inside & ~around
    return edge


def _slices(box: Box, times: int) -> tuple[slice, slice]:
    top, left, bottom, right = (times * side for side in box)
    return slice(top, bottom), slice(left, right)


def _frame(part: ByteArray, paint: tuple[int, int, int], width: int) -> None:
    """Paint the border of a part of a picture, in place."""
    part[:width] = part[-width:] = paint
    part[:, :width] = part[:, -width:] = paint
