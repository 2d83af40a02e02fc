"""What is known of each image besides its labels, gathered in the pass that decodes it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from PIL import Image

from convoscope.arrays import Array, ByteArray, FloatArray, IntArray
from convoscope.data.decoding import Picture

SMALL_SIDE = 32
_BORDER = 0.05
_SMALL_AREA = 128 * 128
_ONE_CHANNEL = frozenset({"1", "L"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageFacts:
    """N images, one array per fact.

    ``sha256`` (N,) str of the file's bytes; ``pixel_hash`` (N,) str, the same for those of the N
    images whose decoded pixels are the same, whatever file format they came in, and for no others;
    ``perceptual`` (N,) uint64, alike in images that look alike; ``width``,
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
    """The facts of one image; its ``pixel_hash`` is that of a glance, see :func:`undecided`."""
    luminance = picture.image.convert("L")
    small = squeezed(luminance)
    brightness = float(_total(np.asarray(luminance)) / (luminance.width * luminance.height) / 255)
    border = border_colour(picture.image)
    return {
        "sha256": sha256,
        "pixel_hash": _glance(picture.image.size, small, brightness, border),
        "perceptual": perceptual_hash(small),
        "width": picture.width,
        "height": picture.height,
        "mode": picture.mode,
        "file_size": file_size,
        "is_gray": is_gray(picture),
        "brightness": brightness,
        "border": border,
        "small": small,
    }


def undecided(rows: Sequence[Mapping[str, Any]]) -> IntArray:
    """The rows of facts that need :func:`pixel_hash`, because a glance does not tell them apart.

    Pictures that differ at a glance have other pixels, and files with the same bytes have the same:
    only other files that look the same at a glance leave a doubt. To hash every picture whole would
    take as long as decoding it.
    """
    files: dict[str, set[str]] = {}
    for row in rows:
        files.setdefault(row["pixel_hash"], set()).add(row["sha256"])
    doubtful = [k for k, row in enumerate(rows) if len(files[row["pixel_hash"]]) > 1]
    return np.array(doubtful, np.int64)


def pixel_hash(image: Image.Image) -> str:
    """A hash of all pixels of an RGB picture, and of its size."""
    digest = hashlib.sha256(repr(image.size).encode())
    digest.update(np.asarray(image).data)
    return digest.hexdigest()[:32]


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
    bits = frequencies > np.sort(frequencies[1:])[31]  # the median of 63
    bits[0] = False
    return np.uint64(int.from_bytes(np.packbits(bits).tobytes(), "big"))


def border_colour(image: Image.Image) -> FloatArray:
    """The mean colour (3,) in [0, 1] of the outermost twentieth of an RGB picture."""
    width, height = image.size
    columns, rows = (max(1, round(_BORDER * side)) for side in image.size)
    right, below = max(columns, width - columns), max(rows, height - rows)
    boxes = (
        (0, 0, width, rows),
        (0, below, width, height),
        (0, rows, columns, below),
        (right, rows, width, below),
    )
    ring = _parts(image, [box for box in boxes if box[0] < box[2] and box[1] < box[3]])
    total = sum(_total(part) for part in ring)
    count = sum(part.shape[0] * part.shape[1] for part in ring)
    mean: FloatArray = np.asarray(total, np.float64) / (255.0 * count)
    return mean


def is_gray(picture: Picture) -> bool:
    """Whether R = G = B in every pixel."""
    if picture.mode in _ONE_CHANNEL:
        return True
    image, middle = picture.image, picture.image.height // 2
    # A colour picture is mostly found out by its middle row, without a look at all others.
    row = image.crop((0, middle, image.width, middle + 1))
    return _has_equal_channels(row) and _has_equal_channels(image)


def _has_equal_channels(image: Image.Image) -> bool:
    red, green, blue = (channel.tobytes() for channel in image.split())
    return red == green == blue


def _parts(image: Image.Image, boxes: Iterable[tuple[int, int, int, int]]) -> list[ByteArray]:
    """Copies of parts of a picture, from (left, top, right, bottom); of a small one at once."""
    if image.width * image.height > _SMALL_AREA:
        return [np.asarray(image.crop(box)) for box in boxes]
    pixels = np.asarray(image)
    return [pixels[top:bottom, left:right] for left, top, right, bottom in boxes]


def _total(values: ByteArray) -> IntArray:
    """The sum (...) over rows and columns of (h, w, ...).

    Down the rows in 16 bits, where 256 bytes always have room: the processor adds several times as
    many of them at once as of longer numbers.
    """
    blocks = (values[top : top + 256] for top in range(0, len(values), 256))
    sums = (np.add.reduce(block, axis=0, dtype=np.uint16) for block in blocks)
    return np.asarray(sum(np.add.reduce(row, axis=0, dtype=np.int64) for row in sums))


def _glance(size: tuple[int, int], small: ByteArray, brightness: float, border: FloatArray) -> str:
    """A hash of what two pictures with the same pixels have in common in any case."""
    digest = hashlib.sha256(repr((size, brightness, border.tolist())).encode())
    digest.update(small.data)
    return digest.hexdigest()[:32]


def _cosines() -> FloatArray:
    """(8, 32): the rows of the DCT-II for the 8 lowest frequencies."""
    frequency, place = np.mgrid[0:8, 0:SMALL_SIDE]
    cosines: FloatArray = np.cos(np.pi * frequency * (2 * place + 1) / (2 * SMALL_SIDE))
    return cosines


_COSINES = _cosines()
