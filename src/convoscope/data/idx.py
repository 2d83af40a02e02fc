"""Data sets in idx files, the format of MNIST and its kin, gzipped or not.

An idx file is: two zero bytes, one byte for the type, one for the number of dimensions, each
dimension as a big-endian 32-bit number, then the values, big-endian, last dimension fastest.
Source: LeCun, Cortes and Burges, "The MNIST database of handwritten digits", file formats.

Images and labels lie side by side under the usual names: ``train-images-idx3-ubyte[.gz]`` with
``train-labels-idx1-ubyte[.gz]``, and ``t10k-`` or ``test-`` for the test part.
"""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

import numpy as np

from convoscope.arrays import Array, ByteArray
from convoscope.data.class_indices import check_classes, number_integers
from convoscope.data.dataset import SPLIT_NAMES, Dataset, SplitName
from convoscope.data.split_words import split_named
from convoscope.errors import DataError, placed

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_IMAGES_NAME = re.compile(
    r"(?P<part>.*?)(?P<what>images)(?P<sign>[-._])idx[34][-._]ubyte(\.gz)?", re.IGNORECASE
)
_GZIP = b"\x1f\x8b"
_MOST_GZIP_GAIN = 1032  # deflate cannot shrink more than that: https://zlib.net/zlib_tech.html
_CHUNK = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Part:
    """One images file with its labels: pixels (N, H, W, C), labels (N,) whole numbers."""

    name: str
    pixels: ByteArray
    labels: Array
    split: SplitName | None


def is_idx_images(name: str) -> bool:
    """Whether a file of that name should hold the images of an idx data set."""
    return _IMAGES_NAME.fullmatch(name) is not None


def read_idx(source: Path, *, name: str | None = None) -> Dataset:
    """The data set in a folder of idx files, or in one images file with its labels beside it.

    The one head is ``"class"``. The split is given where the names of the files say it.
    ``name`` is the folder's own where it is not said.

    Raises:
        DataError: if there are no images files, several for one split, no labels beside one, a
            single class, or a file is not what its name says.
    """
    if source.is_dir():
        files, root = _images_files(source), source
    else:
        files, root = [source], source.parent
    parts = sorted((_read_part(file) for file in files), key=_place)
    splits, pixels = _splits(root, parts), _joined(root, parts)
    labels, class_names = number_integers(np.concatenate([part.labels for part in parts]))
    check_classes(str(source), class_names)
    return Dataset(
        name=name or root.resolve().name,
        root=root,
        ids=tuple(i for part in parts for i in _ids(part)),
        labels={"class": labels},
        class_names={"class": class_names},
        pixels=pixels,
        given_split=splits,
    )


def read_idx_array(path: Path) -> Array:
    """The array in one idx file, gzipped or not, in the machine's own byte order.

    Raises:
        DataError: if the file is no idx file, cut short, longer than its header says, or damaged.
    """
    with placed(str(path)), path.open("rb") as plain:
        size = path.stat().st_size
        if plain.peek(2)[:2] != _GZIP:
            return _parse(plain, size)
        try:
            with gzip.GzipFile(fileobj=plain) as unpacked:
                return _parse(unpacked, size * _MOST_GZIP_GAIN)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DataError(
                f"a gzipped idx file must unpack without fault, but it is cut short or damaged "
                f"({error}): get the file again"
            ) from error


def _parse(stream: BufferedReader | gzip.GzipFile, most_bytes: int) -> Array:
    """Header, then exactly the values it announces; ``most_bytes`` bounds what can be there."""
    dtype, shape = _header(stream)
    wanted = math.prod(shape) * dtype.itemsize
    most_values = most_bytes - stream.tell()
    if wanted > most_values:
        raise DataError(_cut_short(shape, dtype, wanted, f"at most {most_values}"))
    content = np.empty(wanted, np.uint8)
    view, filled = content.data, 0
    while filled < wanted and (got := stream.readinto(view[filled : filled + _CHUNK])):
        filled += got
    if filled < wanted:
        raise DataError(_cut_short(shape, dtype, wanted, str(filled)))
    if stream.read(1):
        raise DataError(
            f"an idx file of shape {shape} must hold {wanted} bytes of values, but there are "
            "more: the header does not belong to this file, get it again"
        )
    return content.view(dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _header(stream: BufferedReader | gzip.GzipFile) -> tuple[np.dtype[np.generic], tuple[int, ...]]:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES or not 1 <= magic[3] <= 8:
        raise DataError(
            "an idx file must begin with two zero bytes, a type and a number of dimensions, "
            f"such as 00 00 08 03, got {magic.hex(' ') or 'nothing'}: this is no idx file"
        )
    sizes = stream.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise DataError(
            f"the header of an idx file with {magic[3]} dimensions must have {4 + 4 * magic[3]} "
            f"bytes, got {4 + len(sizes)}: the file is cut short, get it again"
        )
    return np.dtype(_TYPES[magic[2]]), struct.unpack(f">{magic[3]}I", sizes)


def _cut_short(shape: tuple[int, ...], dtype: np.dtype[np.generic], wanted: int, got: str) -> str:
    return (
        f"an idx file of {dtype.newbyteorder('=')} values and shape {shape} must hold {wanted} "
        f"bytes of values, got {got}: the file is cut short, get it again"
    )


def _images_files(folder: Path) -> list[Path]:
    """The images files of a folder; of a file and its gzipped twin only the plain one."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):  # "x" sorts before "x.gz"
        if is_idx_images(path.name):
            found.setdefault(path.name.lower().removesuffix(".gz"), path)
    if not found:
        raise DataError(
            f"{folder}: a folder of idx files must hold images under a name such as "
            "train-images-idx3-ubyte.gz, found none: rename the files, or name another folder"
        )
    return list(found.values())


def _read_part(images_file: Path) -> _Part:
    match = _IMAGES_NAME.fullmatch(images_file.name)
    if match is None:
        raise DataError(
            f"{images_file}: an idx images file must be named such as train-images-idx3-ubyte.gz, "
            "so that its labels train-labels-idx1-ubyte.gz can be found: rename both"
        )
    labels_file = _labels_file(images_file, match)
    pixels = _pixels(images_file)
    labels = read_idx_array(labels_file)
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or (labels.size and labels.min() < 0):
        raise DataError(
            f"{labels_file}: idx labels must be one whole number from 0 for each image, got "
            f"{labels.dtype} of shape {labels.shape}: name the labels file of these images"
        )
    if len(labels) != len(pixels):
        raise DataError(
            f"{labels_file}: there must be a label for each image, got {len(labels)} labels for "
            f"the {len(pixels)} images of {images_file.name}: put the labels of these images there"
        )
    words = re.split(r"[^A-Za-z0-9]+", match["part"])
    splits = [split for word in words if (split := split_named(word)) is not None]
    name = f"{match['part']}images"
    return _Part(name=name, pixels=pixels, labels=labels, split=splits[-1] if splits else None)


def _labels_file(images_file: Path, match: re.Match[str]) -> Path:
    """The labels beside an images file: the same name, ``images`` and ``idx3`` exchanged."""
    part = re.escape(match["part"])
    wanted = re.compile(rf"{part}labels[-._]idx1[-._]ubyte(\.gz)?", re.IGNORECASE)
    beside = sorted(path for path in images_file.parent.iterdir() if wanted.fullmatch(path.name))
    if not beside:
        expected = f"{match['part']}labels{match['sign']}idx1-ubyte"
        raise DataError(
            f"{images_file}: the labels must lie beside the images, as {expected} or "
            f"{expected}.gz, found neither: put them there"
        )
    return beside[0]


def _pixels(images_file: Path) -> ByteArray:
    images = read_idx_array(images_file)
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or not all(images.shape):
        raise DataError(
            f"{images_file}: idx images must be uint8 of shape (N, height, width) or (N, height, "
            f"width, channels), got {images.dtype} of shape {images.shape}: name an images file"
        )
    pixels = images if images.ndim == 4 else images[..., None]
    if pixels.shape[3] not in (1, 3):
        raise DataError(
            f"{images_file}: images must have 1 or 3 channels, got {pixels.shape[3]}: "
            "write them as gray or RGB"
        )
    return pixels


def _splits(root: Path, parts: list[_Part]) -> tuple[SplitName, ...] | None:
    """The split of each image; None for a single part whose name says none."""
    named = [part.split for part in parts]
    if len(parts) > 1 and (None in named or len(set(named)) < len(named)):
        raise DataError(
            f"{root}: each idx images file must belong to another split, got "
            f"{', '.join(part.name for part in parts)}: keep one set per folder, or name one file"
        )
    return tuple(part.split for part in parts if part.split for _ in part.labels) or None


def _place(part: _Part) -> int:
    return SPLIT_NAMES.index(part.split) if part.split else len(SPLIT_NAMES)


def _ids(part: _Part) -> list[str]:
    digits = max(5, len(str(len(part.labels) - 1)))
    return [f"{part.split or part.name}/{number:0{digits}}" for number in range(len(part.labels))]


def _joined(root: Path, parts: list[_Part]) -> ByteArray:
    shapes = {part.name: part.pixels.shape[1:] for part in parts}
    if len(set(shapes.values())) > 1:
        raise DataError(
            f"{root}: all images of idx files must have one size, got "
            f"{', '.join(f'{name} {shape}' for name, shape in shapes.items())}: "
            "put the files of one set in a folder of their own"
        )
    return np.concatenate([part.pixels for part in parts]) if len(parts) > 1 else parts[0].pixels
