"""What is known of each image besides its labels, gathered in the pass that decodes it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from PIL import Image

from convoscope.arrays import Array, ByteArray, FloatArray
from convoscope.data.decoding import Picture

SMALL_SIDE = 32
_BORDER = 0.05


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageFacts:
    """N images, one array per fact.

    ``sha256`` of the file's bytes and ``pixel_hash`` of the decoded pixels (N,) str, whatever file
    format they came in; ``perceptual`` (N,) uint64, alike in images that look alike; ``width``,
    ``height`` and ``file_size`` (N,) int64 in pixels and bytes; ``mode`` (N,) str in Pillow's
    words; ``is_gray`` (N,) bool: R = G = B everywhere; ``brightness`` (N,) mean luminance and
    ``border`` (N, 3) mean colour of the outermost twentieth, both in [0, 1]; ``small`` (N, 32, 32)
    uint8, the luminance of the whole picture squeezed into that.
    """

    sha256: Array
    pixel_hash: Array
    perceptual: Array
    width: Array
    height: Array
    mode: Array
    file_size: Array
    is_gray: Array
    brightness: Array
    border: Array
    small: Array

    def __len__(self) -> int:
        return len(self.sha256)

    def arrays(self) -> dict[str, Array]:
        """Every fact by its name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Self:
        """What :meth:`arrays` gave."""
        return cls(**{field.name: arrays[field.name] for field in fields(cls)})

    @classmethod
    def from_rows(cls, rows: Sequence[Mapping[str, Any]]) -> Self:
        """One array per fact out of one mapping per image."""
        return cls(**{f.name: np.array([row[f.name] for row in rows]) for f in fields(cls)})


def facts_of(picture: Picture, *, sha256: str, file_size: int) -> dict[str, Any]:
    """The facts of one image."""
    pixels = picture.pixels
    gray = Image.fromarray(pixels).convert("L")
    small = squeezed(gray)
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    return {
        "sha256": sha256,
        "pixel_hash": pixel_hash(pixels),
        "perceptual": perceptual_hash(small),
        "width": picture.width,
        "height": picture.height,
        "mode": picture.mode,
        "file_size": file_size,
        "is_gray": bool((red == green).all() and (green == blue).all()),
        "brightness": float(np.asarray(gray).mean() / 255),
        "border": border_colour(pixels),
        "small": small,
    }


def pixel_hash(pixels: ByteArray) -> str:
    """A hash of decoded pixels (h, w, 3) and their shape."""
    digest = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def squeezed(gray: Image.Image) -> ByteArray:
    """A luminance picture at (32, 32), whatever its aspect."""
    side = (SMALL_SIDE, SMALL_SIDE)
    return np.asarray(gray.resize(side, Image.Resampling.BILINEAR, reducing_gap=3.0))


def perceptual_hash(small: ByteArray) -> np.uint64:
    """64 bits of a luminance (32, 32), nearly the same after resizing, recompressing, brightening.

    Which of the 8 x 8 lowest frequencies of the 32 x 32 luminance, the mean left out, lie above
    their median. Source: Zauner 2010, "Implementation and benchmarking of perceptual image hash
    functions", section 3.2; the mean's own bit is 0 here.
    """
    frequencies = (_COSINES @ small.astype(np.float64) @ _COSINES.T).ravel()
    bits = frequencies > np.median(frequencies[1:])
    bits[0] = False
    return np.uint64(int.from_bytes(np.packbits(bits).tobytes(), "big"))


def border_colour(pixels: ByteArray) -> FloatArray:
    """The mean colour (3,) in [0, 1] of the outermost twentieth of a picture (h, w, 3)."""
    height, width, channels = pixels.shape
    rows, columns = (max(1, round(_BORDER * side)) for side in (height, width))
    below, right = max(rows, height - rows), max(columns, width - columns)
    ring = (
        pixels[:rows],
        pixels[below:],
        pixels[rows:below, :columns],
        pixels[rows:below, right:],
    )
    # down the rows first, where the values to be added lie side by side
    total = sum(part.sum(axis=0, dtype=np.int64).sum(axis=0) for part in ring)
    count = sum(part.shape[0] * part.shape[1] for part in ring)
    mean: FloatArray = np.asarray(total, np.float64).reshape(channels) / (255.0 * count)
    return mean


def _cosines() -> FloatArray:
    """(8, 32): the rows of the DCT-II for the 8 lowest frequencies."""
    frequency, place = np.mgrid[0:8, 0:SMALL_SIDE]
    cosines: FloatArray = np.cos(np.pi * frequency * (2 * place + 1) / (2 * SMALL_SIDE))
    return cosines


_COSINES = _cosines()
