"""Changes of an image's colours, and rectangles taken out of it: what needs no geometry.

Brightness, contrast and saturation are all linear in the pixel, so that they become one matrix, or
one table of 256 values where nothing mixes the channels.
"""

from __future__ import annotations

import cv2
import numpy as np

from convoscope.arrays import ByteArray, FloatArray

LUMINANCE = np.array([0.299, 0.587, 0.114])
"""How bright red, green and blue look: ITU-R BT.601."""

_SMALLEST, _LARGEST, _ASPECT = 0.02, 0.2, 3.3


def recoloured(
    image: ByteArray, brightness: float, contrast: float, saturation: float
) -> ByteArray:
    """An image (H, W, C) uint8 with its colours changed by three factors, 1 for no change.

    With ``L`` the luminance of a pixel ``v`` and ``m`` the mean luminance of the picture:
    ``u = saturation v + (1 - saturation) L``, then ``brightness (contrast u + (1 - contrast) m)``,
    rounded and cut off at 0 and 255 once, at the end. A gray image has no saturation. Where the
    saturation changes, a value may be rounded the other way.
    """
    is_gray = image.shape[2] == 1
    means = np.array(cv2.mean(image)[: image.shape[2]])
    mean = float(means[0] if is_gray else means @ LUMINANCE)
    scale, offset = brightness * contrast, brightness * (1 - contrast) * mean
    if is_gray or saturation == 1:
        table = np.clip(np.rint(scale * np.arange(256) + offset), 0, 255).astype(np.uint8)
        changed = cv2.LUT(image, table)
    else:
        mixing = saturation * np.eye(3) + (1 - saturation) * LUMINANCE
        matrix = np.column_stack([scale * mixing, np.full(3, offset)])
        changed = cv2.transform(image, matrix)
    return np.asarray(changed, np.uint8).reshape(image.shape)


def erased(image: ByteArray, draws: FloatArray) -> ByteArray:
    """A copy of an image (H, W, C) with a rectangle in its mean colour.

    The four draws from [0, 1) say its area (2 to 20 % of the picture), its aspect (up to 3.3 : 1)
    and where its left top corner lies. Source: Zhong et al. 2020, "Random erasing data
    augmentation", algorithm 1, https://arxiv.org/abs/1708.04896; there the aspect is drawn from a
    uniform distribution and up to 40 % of the area may go.
    """
    height, width, channels = image.shape
    area = (_SMALLEST + (_LARGEST - _SMALLEST) * draws[0]) * height * width
    aspect = _ASPECT ** (2 * draws[1] - 1)
    tall = min(height, max(1, round(float(np.sqrt(area * aspect)))))
    wide = min(width, max(1, round(float(np.sqrt(area / aspect)))))
    left = int(draws[2] * (width - wide + 1))
    top = int(draws[3] * (height - tall + 1))
    changed = np.array(image)
    colour = np.rint(cv2.mean(changed)[:channels]).astype(np.uint8)
    changed[top : top + tall, left : left + wide] = colour
    return changed
