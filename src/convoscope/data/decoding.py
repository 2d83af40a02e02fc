"""From the bytes of an image file to 8-bit RGB, and from there to a network's size.

What Pillow opens is read; these choices are ours:

- the first frame of an animation or a multi-page file;
- turned as the camera's EXIF orientation says;
- what is transparent lies over white, because cut-outs, logos and drawings are made for white
  pages, and dark ink on black would vanish;
- 16-bit gray is divided by 257, so that 65535 becomes 255 and nothing wraps round; floats are read
  as [0, 1] or else as [0, 255];
- a JPEG of more than ``BIG`` pixels is decoded at 1/2, 1/4 or 1/8 of its size by the codec itself,
  if its sides stay above those of a network's input, twice over;
- a picture of more than ``MOST_PIXELS`` pixels is refused by its header, before anything is
  decoded: a file of a few kilobytes can announce one that fills the memory.
"""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePath

import numpy as np
from PIL import Image, UnidentifiedImageError

from convoscope.arrays import ByteArray
from convoscope.data.preprocessing import Preprocessing, Resize
from convoscope.errors import UnreadableImageError

MOST_PIXELS = 178_956_970
"""Pillow's own bound, 2/3 GiB of RGB; a picture of 13,377 x 13,377 just passes."""

BIG = 4_000_000

_WHITE = (255, 255, 255, 255)
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_USUAL_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
# Pillow names a reader for these, but they are no pictures, or need a program of their own.
_NO_PICTURES = {"BUFR", "EPS", "FITS", "GRIB", "HDF5", "MPEG", "WMF"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picture:
    """A decoded image file.

    ``image`` is RGB and upright, in Pillow's memory: what Pillow does with it costs no copy.
    ``width`` and ``height`` are the whole picture's, and larger than those of ``image`` where a big
    JPEG was decoded at a part of its size. ``mode`` is the file's own, in Pillow's words.
    """

    image: Image.Image
    width: int
    height: int
    mode: str

    @property
    def pixels(self) -> ByteArray:
        """(h, w, 3) uint8 RGB: a copy."""
        return np.asarray(self.image)


def has_image_suffix(name: str | PurePath) -> bool:
    """Whether the file's suffix, in capitals or not, is that of a format that can be read."""
    suffix = PurePath(name).suffix.lower()
    # Of these it is known before Pillow has loaded its readers of forty formats.
    return suffix in _USUAL_SUFFIXES or suffix in image_suffixes()


@functools.cache
def image_suffixes() -> frozenset[str]:
    """The suffixes of the formats that can be read: ``.jpg``, ``.png``, ... in lower case."""
    return frozenset(
        suffix
        for suffix, kind in Image.registered_extensions().items()
        if kind in Image.OPEN and kind not in _NO_PICTURES
    )


def open_image(path: Path) -> ByteArray:
    """The picture in a file, upright: (H, W, 3) uint8 RGB.

    Raises:
        UnreadableImageError: if the file is missing, no image, damaged, cut short or too large.
    """
    try:
        with quiet():
            return read_picture(read_bytes(path)).pixels
    except UnreadableImageError as error:
        raise UnreadableImageError(
            f"{path}: an image must be readable, but {error}: mend the file, or leave it out"
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Pillow's warnings on odd metadata: a picture is either read or refused.

    Warnings are the whole process's, so this is entered once around the threads that decode.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def read_bytes(path: Path) -> bytes:
    """What is in the file.

    Raises:
        UnreadableImageError: if there is none, or it may not be read; says only that.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadableImageError(f"the system says {error.strerror!r}") from error


def read_picture(content: bytes, *, enough: int | None = None) -> Picture:
    """Decode a file's bytes; of a big JPEG, sides of ``enough`` pixels may do.

    Raises:
        UnreadableImageError: says what was found only; the caller knows the file and the advice.
    """
    if not content:
        raise UnreadableImageError("the file is empty (0 bytes)")
    try:
        with Image.open(BytesIO(content)) as image:
            return _decode(image, enough)
    except (UnreadableImageError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise UnreadableImageError(
            f"it is in no image format that is known (it begins with {content[:12]!r})"
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        found = re.search(r"\d+", str(error))
        raise _too_large(int(found[0]) if found else MOST_PIXELS) from error
    except Exception as error:  # Pillow's readers raise whatever damaged bytes lead them to.
        raise UnreadableImageError(
            f"it is damaged or cut short ({str(error) or type(error).__name__})"
        ) from error


def resize(image: ByteArray, size: tuple[int, int], rule: Resize) -> ByteArray:
    """(h, w, C) uint8 to (*size, C), antialiased: Pillow's bicubic filter, widened when shrinking.

    ``squash`` changes the aspect, ``crop`` takes the largest middle part of the right aspect,
    ``pad`` puts black beside the whole image.
    """
    if image.shape[:2] == size:
        return image
    flat = image[..., 0] if image.shape[2] == 1 else image
    sized = _resized(Image.fromarray(flat), size, rule)
    return np.asarray(sized).reshape(*size, image.shape[2])


def enough_for(preprocessing: Preprocessing) -> int:
    """The sides to which a big JPEG may be decoded smaller, for a network's input.

    One bound for all usual networks, so that what is known of an image does not depend on them.
    """
    return max(640, 2 * max(preprocessing.size))


def network_input(image: ByteArray, preprocessing: Preprocessing) -> ByteArray:
    """(h, w, 1 or 3) uint8 to the network's (H, W, C): resized; RGB, or luminance if it is gray.

    Luminance is ITU-R 601's 0.299 R + 0.587 G + 0.114 B. The engine turns RGB into BGR.
    """
    sized = resize(image, preprocessing.size, preprocessing.resize)
    if sized.shape[2] == preprocessing.channels:
        return sized
    if preprocessing.channels == 1:
        return _luminance(Image.fromarray(sized))
    return np.repeat(sized, 3, axis=2)


def picture_input(picture: Picture, preprocessing: Preprocessing) -> ByteArray:
    """As :func:`network_input` of the picture's pixels."""
    sized = _resized(picture.image, preprocessing.size, preprocessing.resize)
    return _luminance(sized) if preprocessing.channels == 1 else np.asarray(sized)


def _decode(image: Image.Image, enough: int | None) -> Picture:
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise _too_large(width * height)
    mode = image.mode
    if enough is not None and width * height > BIG:
        image.draft(None, (enough, enough))  # of effect with JPEG only
    image.load()
    orientation = _orientation(image)
    if orientation >= 5:
        width, height = height, width
    rgb = _as_rgb(image)
    upright = rgb.transpose(_TURNS[orientation]) if orientation in _TURNS else rgb
    return Picture(image=upright, width=width, height=height, mode=mode)


def _orientation(image: Image.Image) -> int:
    """EXIF's orientation, 1 to 8; 1 where it is not said, or said wrongly."""
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # Damaged metadata does not make the picture unreadable.
        return 1
    return found if found in _TURNS else 1


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode[0] in "IF":
        return Image.fromarray(_narrowed(np.asarray(image), image.mode)).convert("RGB")
    if image.has_transparency_data:
        over = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", over.size, _WHITE), over).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _narrowed(values: np.ndarray[tuple[int, ...], np.dtype[np.generic]], mode: str) -> ByteArray:
    """Whole numbers up to 65535, or floats in [0, 1] or [0, 255], to uint8."""
    wide = values.astype(np.float64)
    low, high = float(wide.min()), float(wide.max())
    float_top = 1.0 if high <= 1 else 255.0
    top = float_top if mode == "F" else 65535.0
    if not 0 <= low <= high <= top:
        raise UnreadableImageError(
            f"its values run from {low:g} to {high:g}, and no scale for them is known "
            "(whole numbers are read as 0 to 65535, floats as 0 to 1 or 0 to 255)"
        )
    return np.round(wide * (255 / top)).astype(np.uint8)


def _too_large(pixels: int) -> UnreadableImageError:
    return UnreadableImageError(
        f"it has {pixels:,} pixels, more than the {MOST_PIXELS:,} that a picture may have"
    )


def _luminance(rgb: Image.Image) -> ByteArray:
    return np.asarray(rgb.convert("L"))[..., None]


def _resized(image: Image.Image, size: tuple[int, int], rule: Resize) -> Image.Image:
    """RGB or luminance at (height, width), as :func:`resize` says."""
    height, width = size
    if (image.height, image.width) == size:
        return image
    if rule == "pad":
        scale = min(height / image.height, width / image.width)
        tall, wide = (max(1, round(side * scale)) for side in (image.height, image.width))
        padded = Image.new(image.mode, (width, height))
        padded.paste(_scaled(image, (tall, wide)), ((width - wide) // 2, (height - tall) // 2))
        return padded
    return _scaled(_middle(image, size) if rule == "crop" else image, size)


def _middle(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The largest middle part with the aspect of ``size``, to the pixel.

    Cut out before it is scaled, because a filter would reach beyond a mere box.
    """
    scale = min(image.height / size[0], image.width / size[1])
    tall, wide = (max(1, round(side * scale)) for side in size)
    top, left = (image.height - tall) // 2, (image.width - wide) // 2
    return image.crop((left, top, left + wide, top + tall))


def _scaled(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image.resize((size[1], size[0]), Image.Resampling.BICUBIC, reducing_gap=3.0)
