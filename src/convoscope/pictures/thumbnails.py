"""Small pictures, and pictures as text that a page can hold."""

from __future__ import annotations

import base64
import io
import math

import numpy as np
from PIL import Image

from convoscope.arrays import ByteArray

LONGEST = 112
_CRISP_UP_TO = 48


def shrink(images: ByteArray, *, longest: int = LONGEST) -> ByteArray:
    """Images (N, H, W, C) uint8 with their longer side at most ``longest`` pixels.

    Smaller images stay as they are.
    """
    height, width = images.shape[1:3]
    factor = longest / max(height, width)
    if factor >= 1:
        return np.array(images)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = [np.asarray(_picture(image).resize(size, Image.Resampling.LANCZOS)) for image in images]
    return np.stack(small).reshape(len(images), size[1], size[0], images.shape[3])


def data_uri(image: ByteArray) -> str:
    """An image (H, W, C) uint8, C 1 or 3, as a ``data:`` address.

    Tiny images are kept exactly (PNG), larger ones as WebP at a quality where nobody sees it.
    """
    stream = io.BytesIO()
    if is_tiny(image):
        _picture(image).save(stream, "PNG", optimize=True)
        kind = "png"
    else:
        _picture(image).save(stream, "WEBP", quality=82, method=4)
        kind = "webp"
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode()}"


def is_tiny(image: ByteArray) -> bool:
    """Whether the image (H, W, C) is so small that its pixels should stay squares when enlarged."""
    height, width, _ = image.shape
    return bool(max(height, width) <= _CRISP_UP_TO)


def zoom(image: ByteArray, *, side: int = LONGEST) -> int:
    """By how much an image (H, W, C) is enlarged, in whole squares, to be ``side`` pixels long."""
    longest = int(max(image.shape[:2]))
    return max(1, math.ceil(side / longest))


def _picture(image: ByteArray) -> Image.Image:
    return Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
