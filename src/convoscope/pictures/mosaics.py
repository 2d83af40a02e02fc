"""All maps, or all filters, of a layer in one picture: each in its own square, with its number.

Every value is a square of whole pixels; nothing is smoothed. All maps of a mosaic share one
scale, on which a silent map is black.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from convoscope.arrays import Array, ByteArray, FloatArray
from convoscope.pictures.heat import glowing
from convoscope.pictures.maps import diverging, filter_tile
from convoscope.pictures.palette import COLOURS, Theme

SMALLEST_SIDE: Final = 56
"""A map's or filter's square has at least about so many pixels on a side."""

_ACROSS, _ONE_ROW = 1000, 32
_GAP, _LINE, _FONT = 6, 14, 11


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """What the ends of the colours stand for: 0 to ``high``, or ``low`` = -``high`` to ``high``."""

    low: float
    high: float

    @property
    def is_signed(self) -> bool:
        """Whether there are values below 0."""
        return self.low < 0


def scale_of(maps: Array) -> Scale:
    """The one scale of several maps of any shape: from 0 to the highest value, or, where there are
    values below 0, as far below as above.
    """
    low, high = float(maps.min()), float(maps.max())
    if low < 0:
        limit = max(-low, high)
        return Scale(low=-limit, high=limit)
    return Scale(low=0.0, high=high)


def bright_scale(maps: Array) -> Scale:
    """The scale on which all but the strongest values of several maps are seen: it ends where 1 in
    200 of the values that are not 0 lies beyond, if the highest is more than twice that.
    """
    whole, sizes = scale_of(maps), np.abs(maps[maps != 0])
    limit = float(np.quantile(sizes, 1 - 1 / 200)) if sizes.size else 0.0
    if limit == 0 or whole.high <= 2 * limit:
        return whole
    return Scale(low=-limit if whole.is_signed else 0.0, high=limit)


def map_colours(values: FloatArray, scale: Scale) -> ByteArray:
    """Values of any shape as colours (..., 3) uint8: black to yellow, or blue over white to orange
    where the scale goes below 0. A value's place among them is the square root of its share, so
    that faint maps are seen beside strong ones.
    """
    if scale.high <= 0:
        return glowing(np.zeros(values.shape), 0)
    share = np.clip(values / scale.high, -1, 1)
    place = np.sign(share) * np.sqrt(np.abs(share))
    return diverging(place, 1) if scale.is_signed else glowing(place, 1)


def mosaic_of_maps(
    maps: FloatArray, numbers: Sequence[int], scale: Scale, *, theme: Theme = "light"
) -> ByteArray:
    """Maps (M, h, w) with their channel ``numbers`` below them, as (H, W, 3) uint8."""
    side = max(maps.shape[1:])
    times = max(1, math.ceil(SMALLEST_SIDE / side))
    tiles = [_enlarged(map_colours(one, scale), times) for one in maps]
    return mosaic(tiles, [str(number) for number in numbers], theme=theme)


def mosaic_of_filters(
    filters: FloatArray, numbers: Sequence[int], *, theme: Theme = "light"
) -> ByteArray:
    """Filters (M, C, k, k) with their ``numbers`` below them, as (H, W, 3) uint8.

    Filters that see colours are drawn in colour; others as their input channels side by side,
    blue below 0 and orange above, all on the scale of the largest value.
    """
    tiles = [filter_picture(one, float(np.abs(filters).max())) for one in filters]
    return mosaic(tiles, [str(number) for number in numbers], theme=theme)


def filter_picture(values: FloatArray, limit: float) -> ByteArray:
    """A filter (C, k, k) as (h, w, 3 or 4) uint8, enlarged to squares.

    One of three channels is a small picture in colour, middle gray at 0; others are their
    channels side by side.
    """
    tile = colour_filter(values, limit) if len(values) == 3 else filter_tile(values, limit)
    return _enlarged(tile, max(1, math.ceil(SMALLEST_SIDE / max(tile.shape[:2]))))


def colour_filter(values: FloatArray, limit: float) -> ByteArray:
    """A filter (3, k, k) as a picture (k, k, 3) uint8: 0 is middle gray, ``limit`` full colour."""
    share = np.clip(values / limit, -1, 1) if limit > 0 else np.zeros(values.shape)
    return np.round(127.5 + 127.5 * share).astype(np.uint8).transpose(1, 2, 0)


def mosaic(tiles: Sequence[ByteArray], names: Sequence[str], *, theme: Theme) -> ByteArray:
    """Tiles (h, w, 3 or 4) of one size in rows, each with its name below it, as (H, W, 3)."""
    height, width = tiles[0].shape[:2]
    step = (width + _GAP, height + _LINE + _GAP)
    columns = min(len(tiles), max(1, (_ACROSS + _GAP) // step[0]))
    rows = math.ceil(len(tiles) / columns)
    colours = COLOURS[theme]
    page = Image.new("RGB", (columns * step[0] - _GAP, rows * step[1] - _GAP), colours["paper"])
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(_FONT)
    for place, (tile, name) in enumerate(zip(tiles, names, strict=True)):
        x, y = place % columns * step[0], place // columns * step[1]
        picture = Image.fromarray(tile)
        page.paste(picture, (x, y), picture if picture.mode == "RGBA" else None)
        pen.text((x, y + height + 1), name, fill=colours["muted"], font=font)
    return np.asarray(page)


def close_mosaic(maps: FloatArray, scale: Scale, *, across: int | None = None) -> ByteArray:
    """Maps (M, h, w) in rows, a clear pixel between two of them and a pixel for each value: (H, W,
    4) uint8, small enough for a page that shows many layers.

    ``across`` stand side by side, as :func:`abreast` has it unless told otherwise.
    """
    count, height, width = maps.shape
    columns = across or abreast(count, width)
    rows = math.ceil(count / columns)
    page = np.zeros((rows * (height + 1) - 1, columns * (width + 1) - 1, 4), dtype=np.uint8)
    for place, colours in enumerate(map_colours(maps, scale)):
        top, left = place // columns * (height + 1), place % columns * (width + 1)
        page[top : top + height, left : left + width, :3] = colours
        page[top : top + height, left : left + width, 3] = 255
    return page


def abreast(count: int, width: int) -> int:
    """How many of ``count`` maps so wide stand side by side: a power of two, at most 32, and no
    more than make a row of about 500 values.
    """
    most = min(32, max(1, 500 // (width + 1)), count)
    return int(2 ** math.floor(math.log2(most)))


def as_rows(values: FloatArray) -> FloatArray:
    """A vector (C,) as one map (1, rows, columns), its values row by row, zeros after the last.

    Up to 32 values are one row; more are as near to a square as a row of a power of two can be.
    """
    count = len(values)
    columns = count if count <= _ONE_ROW else 2 ** math.ceil(math.log2(math.sqrt(count)))
    rows = math.ceil(count / columns)
    whole = np.zeros(rows * columns, dtype=values.dtype)
    whole[:count] = values
    return whole.reshape(1, rows, columns)


def _enlarged(image: ByteArray, times: int) -> ByteArray:
    return image.repeat(times, axis=0).repeat(times, axis=1)
