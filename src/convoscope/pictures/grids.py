"""Pictures side by side in one PNG: a row per class or per sample, with its name before it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from convoscope.arrays import ByteArray
from convoscope.pictures.palette import COLOURS, Theme

GAP = 6
_MARGIN = 16
_NAMES_AT_MOST = 220
_FONT_SIZE = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Images (h, w, C) uint8, C 1 or 3, of any size, with a name before them.

    ``apart`` images at the beginning stand apart from the others.
    """

    name: str
    images: Sequence[ByteArray]
    apart: int = 0


def grid(rows: Sequence[Row], *, cell: int = 112, title: str = "", theme: Theme = "light") -> bytes:
    """A PNG of all rows; every image is fitted into a square of ``cell`` pixels, whole.

    Smaller images are enlarged with square pixels, so that each of theirs is seen.
    """
    colours = COLOURS[theme]
    font = _font()
    left = _MARGIN + _name_room(rows, font)
    columns = max(len(row.images) for row in rows)
    extra = 2 * GAP if any(row.apart for row in rows) else 0
    top = _MARGIN + (2 * _FONT_SIZE if title else 0)
    width = left + columns * (cell + GAP) - GAP + extra + _MARGIN
    width = max(width, 2 * _MARGIN + round(font.getlength(title)))
    height = top + len(rows) * (cell + GAP) - GAP + _MARGIN
    canvas = Image.new("RGB", (width, height), colours["paper"])
    pen = ImageDraw.Draw(canvas)
    pen.text((_MARGIN, _MARGIN), title, fill=colours["ink"], font=font)
    for number, row in enumerate(rows):
        y = top + number * (cell + GAP)
        name = _shortened(row.name, font)
        pen.text((_MARGIN, y + cell / 2), name, fill=colours["ink"], font=font, anchor="lm")
        for place, image in enumerate(row.images):
            x = left + place * (cell + GAP) + (extra if row.apart and place >= row.apart else 0)
            fitted = _fitted(image, cell)
            canvas.paste(fitted, (x + (cell - fitted.width) // 2, y + (cell - fitted.height) // 2))
    stream = io.BytesIO()
    canvas.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _fitted(image: ByteArray, cell: int) -> Image.Image:
    """The image with its longer side ``cell`` pixels long."""
    plain = np.ascontiguousarray(image[..., 0] if image.shape[2] == 1 else image)
    picture = Image.fromarray(plain).convert("RGB")
    factor = cell / max(picture.size)
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    how = Image.Resampling.NEAREST if factor > 1 else Image.Resampling.LANCZOS
    return picture.resize(size, how)


def _font() -> ImageFont.FreeTypeFont:
    """The font that matplotlib brings along, which knows more scripts than Pillow's own."""
    file = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(str(file), _FONT_SIZE)


def _name_room(rows: Sequence[Row], font: ImageFont.FreeTypeFont) -> int:
    widest = max(font.getlength(_shortened(row.name, font)) for row in rows)
    return round(widest) + 2 * GAP if widest else 0


def _shortened(name: str, font: ImageFont.FreeTypeFont) -> str:
    if font.getlength(name) <= _NAMES_AT_MOST:
        return name
    while name and font.getlength(name + "…") > _NAMES_AT_MOST:
        name = name[:-1]
    return name.rstrip() + "…"
