"""Filters and feature maps as pictures whose pixels are theirs, one to one.

A filter's values are blue below 0, orange above and white at 0, all on one scale; a map runs from
black at its lowest value to white at its highest. Nothing is smoothed: what is enlarged stays
squares.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from convoscope.arrays import ByteArray, FloatArray

NEGATIVE = (11, 99, 165)
POSITIVE = (181, 74, 6)
ZERO = (250, 250, 247)

_OPTIMISED_UP_TO = 128 * 128
_MARGIN, _GAP, _FONT = 16, 14, 13
_INK, _QUIET, _PAPER = (28, 33, 38), (89, 98, 107), (253, 253, 251)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tile:
    """A picture (h, w, 3 or 4) uint8 with two lines below it."""

    image: ByteArray
    title: str
    words: str


def diverging(values: FloatArray, limit: float) -> ByteArray:
    """Values from ``-limit`` to ``limit`` of any shape as colours (..., 3) uint8."""
    share = np.clip(values / limit if limit else values * 0, -1, 1)[..., None]
    end = np.where(share < 0, np.array(NEGATIVE), np.array(POSITIVE))
    colours = np.array(ZERO) + np.abs(share) * (end - np.array(ZERO))
    rounded: ByteArray = np.round(colours).astype(np.uint8)
    return rounded


def shaded(values: FloatArray) -> ByteArray:
    """A map (h, w) from black, its lowest value, to white, its highest: (h, w, 1) uint8.

    A map of one value is black.
    """
    low, high = float(values.min()), float(values.max())
    share = (values - low) / (high - low) if high > low else np.zeros(values.shape)
    return np.round(255 * share).astype(np.uint8)[..., None]


def filter_tile(values: FloatArray, limit: float) -> ByteArray:
    """A filter (C, k, k) as (h, w, 4) uint8: its channels side by side, a clear pixel apart.

    Channel 0 is at the top left, the others follow row by row.
    """
    channels, k, _ = values.shape
    across = channels if channels <= 4 else 2 ** math.ceil(math.log2(math.sqrt(channels)))
    down = math.ceil(channels / across)
    tile = np.zeros((down * (k + 1) - 1, across * (k + 1) - 1, 4), dtype=np.uint8)
    for c in range(channels):
        top, left = c // across * (k + 1), c % across * (k + 1)
        tile[top : top + k, left : left + k, :3] = diverging(values[c], limit)
        tile[top : top + k, left : left + k, 3] = 255
    return tile


def enlarged(image: ByteArray, times: int) -> ByteArray:
    """Every pixel (h, w, C) as a square of ``times`` x ``times``."""
    return image.repeat(times, axis=0).repeat(times, axis=1)


def exact_uri(image: ByteArray) -> str:
    """An image (h, w, 1, 3 or 4) uint8 as a ``data:`` address that keeps every value."""
    return f"data:image/png;base64,{base64.b64encode(png(image)).decode()}"


def png(image: ByteArray) -> bytes:
    """An image (h, w, 1, 3 or 4) uint8 as a PNG file."""
    return _png(_picture(image))


def sheet(tiles: Sequence[Tile], *, columns: int) -> bytes:
    """The tiles in rows of ``columns`` with their words, as a PNG file on white."""
    font = ImageFont.load_default(_FONT)
    width = max(max(tile.image.shape[1] for tile in tiles), 170)
    height = max(tile.image.shape[0] for tile in tiles)
    step = (width + _GAP, height + 2 * (_FONT + 4) + _GAP)
    rows = math.ceil(len(tiles) / columns)
    size = (
        2 * _MARGIN + min(columns, len(tiles)) * step[0] - _GAP,
        2 * _MARGIN + rows * step[1] - _GAP,
    )
    page = Image.new("RGB", size, _PAPER)
    pen = ImageDraw.Draw(page)
    for number, tile in enumerate(tiles):
        x = _MARGIN + number % columns * step[0]
        y = _MARGIN + number // columns * step[1]
        picture = _picture(tile.image)
        page.paste(picture, (x, y), picture if picture.mode == "RGBA" else None)
        below = y + tile.image.shape[0] + 4
        pen.text((x, below), tile.title, fill=_INK, font=font)
        pen.text((x, below + _FONT + 3), tile.words, fill=_QUIET, font=font)
    return _png(page)


def value_range(values: FloatArray) -> str:
    """``0.00 to 1.23``, or ``0 everywhere``."""
    low, high = float(values.min()), float(values.max())
    return f"{low:.3g} everywhere" if low == high else f"{low:.2f} to {high:.2f}"


def _picture(image: ByteArray) -> Image.Image:
    return Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)


def _png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    # Trying out every filter gains little on large pictures and takes ten times as long.
    image.save(stream, "PNG", optimize=image.width * image.height <= _OPTIMISED_UP_TO)
    return stream.getvalue()
