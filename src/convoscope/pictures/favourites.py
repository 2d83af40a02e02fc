"""Favourite inputs, and patches of images, as tiles and sheets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import numpy as np

from convoscope.arrays import Array, ByteArray
from convoscope.pictures.maps import enlarged
from convoscope.pictures.mosaics import mosaic
from convoscope.pictures.palette import Theme

SMALLEST_SIDE: Final = 84
"""On a sheet a picture has at least about so many pixels on a side."""

_CROSS = 150


def sheet_name(title: str) -> str:
    """The name of the file of a sheet, in letters that every disk takes."""
    word = re.sub(r"[^\w.-]+", "-", title).strip("-")
    return f"sheet-{word}.png"


def favourite_tile(picture: ByteArray, *, times: int, is_silent: bool = False) -> ByteArray:
    """A picture (h, w, 1 or 3) as (h times, w times, 3) uint8; that of what nothing excites is
    crossed out.
    """
    tile = np.array(enlarged(np.broadcast_to(picture, (*picture.shape[:2], 3)), times))
    if is_silent:
        height, width = tile.shape[:2]
        rows = np.arange(height)
        columns = np.minimum(rows * width // height, width - 1)
        tile[rows, columns] = tile[rows, width - 1 - columns] = _CROSS
    return tile


def favourite_sheet(
    pictures: ByteArray, names: Sequence[str], is_silent: Array, *, theme: Theme = "light"
) -> ByteArray:
    """Pictures (T, h, w, 1 or 3) in rows, each with its name below it, as (H, W, 3) uint8."""
    times = max(1, round(SMALLEST_SIDE / max(pictures.shape[1:3])))
    tiles = [
        favourite_tile(picture, times=times, is_silent=bool(silent))
        for picture, silent in zip(pictures, is_silent, strict=True)
    ]
    width = tiles[0].shape[1]
    return mosaic(tiles, [short_name(name, width) for name in names], theme=theme)


def strip(patches: Sequence[ByteArray], side: int, *, gap: int = 2) -> ByteArray:
    """Square patches (side, side, 3) side by side, ``gap`` white pixels apart: (side, W, 3)."""
    between = np.full((side, gap, 3), 255, dtype=np.uint8)
    parts: list[ByteArray] = []
    for patch in patches:
        parts += [patch, between]
    return np.hstack(parts[:-1])


def short_name(name: str, width: int) -> str:
    """As much of the name as fits below a tile."""
    most = max(3, width // 6)
    return name if len(name) <= most else name[: most - 1] + "…"
