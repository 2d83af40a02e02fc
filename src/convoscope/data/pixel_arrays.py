"""Images that come as arrays of any usual shape and scale, turned into (N, H, W, C) uint8.

The rules say what an array means without looking at a single picture:

- (N, H, W) is gray; (N, H, W, C) and (N, C, H, W) are told apart by which end is 1 or 3;
- (N, D) is gray and square if D is a square number, and otherwise needs ``image_shape``;
- bool is black and white; integers are 0 to 255, or black and white where none exceeds 1;
- floats are 0 to 1 where none exceeds 1, and otherwise 0 to 255.

The scale is found once, over all parts (training, test) of a data set.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from convoscope.arrays import Array, ByteArray
from convoscope.errors import DataError

Layout: TypeAlias = Literal["hwc", "chw"]
ImageShape: TypeAlias = tuple[int, int] | tuple[int, int, int]

_CHANNELS = (1, 3)
_CHUNK = 4096


@dataclass(frozen=True, slots=True)
class _Stored:
    """How one image lies in the array: its three sizes, and whether the channels are the first."""

    shape: tuple[int, int, int]
    channels_first: bool = False


def as_pixels(
    parts: Sequence[Array], *, image_shape: ImageShape | None = None, layout: Layout | None = None
) -> ByteArray:
    """The images of all parts, one after the other, as (N, H, W, C) uint8 with C 1 or 3.

    ``image_shape`` is (H, W) or (H, W, C) and only needed where D is not a square; ``layout``
    says whether the channels come last or first, and is only needed where both ends could be
    channels, or where flattened images have theirs first.

    Raises:
        DataError: if the parts have different shapes, the shape is none of those above or could
            be two of them, or the values are no pixels (NaN, negative, above 255).
    """
    stored = _stored(_one_shape(parts), image_shape, layout)
    scale = _scale(parts)
    chunks = (part[i : i + _CHUNK] for part in parts for i in range(0, len(part), _CHUNK))
    pixels, filled = None, 0
    for chunk in chunks:
        images = chunk.reshape(len(chunk), *stored.shape)
        if stored.channels_first:
            images = images.transpose(0, 2, 3, 1)  # (n, C, H, W) to (n, H, W, C)
        if pixels is None:
            pixels = np.empty((sum(map(len, parts)), *images.shape[1:]), np.uint8)
        pixels[filled : filled + len(chunk)] = _bytes(images, scale)
        filled += len(chunk)
    assert pixels is not None
    return pixels


def _one_shape(parts: Sequence[Array]) -> tuple[int, ...]:
    """The shape of one image as the arrays have it; all parts must share it."""
    shapes = [part.shape for part in parts]
    if len({shape[1:] for shape in shapes}) > 1 or not 2 <= len(shapes[0]) <= 4:
        raise DataError(
            "images must be arrays of shape (N, D), (N, H, W), (N, H, W, C) or (N, C, H, W), "
            f"alike but for N, got {', '.join(map(str, shapes))}: save images of one size"
        )
    if any(0 in shape for shape in shapes):
        raise DataError(
            f"an array of images must not be empty, got {', '.join(map(str, shapes))}: "
            "save the images, or leave the array out"
        )
    return shapes[0][1:]


def _stored(shape: tuple[int, ...], asked: ImageShape | None, layout: Layout | None) -> _Stored:
    if len(shape) == 1:
        return _flattened(shape[0], asked, layout)
    if len(shape) == 2:
        height, width = shape
        choices = [_Stored((height, width, 1))]
    else:
        a, b, c = shape
        last = [_Stored((a, b, c))] if c in _CHANNELS and layout != "chw" else []
        first = [_Stored((a, b, c), True)] if a in _CHANNELS and layout != "hwc" else []
        choices = last + first
    if asked is not None:
        choices = [choice for choice in choices if _size(choice) == (*asked, 1)[:3]]
    if len(choices) == 1:
        return choices[0]
    found = f"the array has (N, {', '.join(map(str, shape))})"
    if choices:
        raise DataError(
            f"either the first or the last size of an image must be 1 or 3 channels, but {found}, "
            "where both could be: say --image-layout hwc or chw (layout=), or save uint8 (N, H, W)"
        )
    raise DataError(
        f"images must have 1 or 3 channels, first or last, {_wish(asked, layout)}but {found}: "
        "save them as (N, height, width) or (N, height, width, 3)"
    )


def _size(stored: _Stored) -> tuple[int, int, int]:
    a, b, c = stored.shape
    return (b, c, a) if stored.channels_first else (a, b, c)


def _wish(asked: ImageShape | None, layout: Layout | None) -> str:
    words = [f"image_shape={asked}"] if asked else []
    words += [f"layout={layout!r}"] if layout else []
    return f"here {' and '.join(words)}, " if words else ""


def _flattened(values: int, asked: ImageShape | None, layout: Layout | None) -> _Stored:
    """Images in rows of ``values``: as asked, or square and gray."""
    side = math.isqrt(values)
    if asked is None and side * side != values:
        third = math.isqrt(values // 3)
        guess = f", such as {third}x{third}x3" if 3 * third * third == values else ""
        raise DataError(
            f"flattened images must be square and gray, but these have {values} values: save them "
            f"as (N, height, width, 3), or say --image-shape HEIGHTxWIDTHxCHANNELS{guess} "
            "(image_shape=)"
        )
    height, width, channels = (*(asked or (side, side)), 1)[:3]
    if height * width * channels != values or channels not in _CHANNELS:
        raise DataError(
            f"image_shape must be (height, width) or (height, width, channels) with 1 or 3 "
            f"channels and {values} values in all, got {asked}: say the shape of one image"
        )
    if layout == "chw":
        return _Stored((channels, height, width), True)
    return _Stored((height, width, channels))


def _scale(parts: Sequence[Array]) -> int:
    """What to multiply values with: 255 where none exceeds 1, else 1.

    Raises:
        DataError: if a value is no number, not finite, below 0 or above 255.
    """
    lowest, highest = 0.0, 0.0
    for part in parts:
        if part.dtype.kind not in "buif":
            raise DataError(
                f"pixels must be numbers, got values of type {part.dtype}: save them as uint8"
            )
        low, high = float(part.min()), float(part.max())  # NaN if there is one
        if not (math.isfinite(low) and math.isfinite(high)):
            bad = np.flatnonzero(~np.isfinite(part).reshape(len(part), -1).all(axis=1))
            raise DataError(
                f"pixels must be finite numbers, but {len(bad)} of {len(part)} images hold NaN or "
                f"infinity, the first is number {bad[0]}: repair them or leave them out"
            )
        lowest, highest = min(lowest, low), max(highest, high)
    if lowest < 0 or highest > 255:
        raise DataError(
            f"pixels must lie in 0 to 255 or in 0 to 1, got {lowest:g} to {highest:g}: "
            "save the images as they were before they were normalised"
        )
    return 255 if highest <= 1 else 1


def _bytes(images: Array, scale: int) -> Array:
    if images.dtype.kind == "f":
        return np.rint(images * np.float32(scale))
    return images.astype(np.uint8) * np.uint8(scale)
