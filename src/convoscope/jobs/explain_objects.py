"""Where the thing is in an image: boxes in a table, or masks as pictures, by the image's name."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Final, TypeVar

import numpy as np

from convoscope.arrays import Array, ByteArray
from convoscope.data.decoding import network_input, read_bytes, read_picture
from convoscope.data.preprocessing import Preprocessing
from convoscope.errors import DataError, UnreadableImageError

COLUMNS: Final = ("image", "left", "top", "right", "bottom")
_PICTURES: Final = (".png", ".bmp", ".tif", ".tiff")

Value = TypeVar("Value")

PixelBox = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels of the image file, the last ones excluded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """Which images have a thing marked, by the names they were given; ``source`` says where."""

    source: Path
    boxes: Mapping[str, tuple[PixelBox, ...]] = field(default_factory=dict)
    masks: Mapping[str, Path] = field(default_factory=dict)

    def knows(self, file: str) -> bool:
        """Whether something is marked in the image ``file``."""
        return _named(self.boxes, file) is not None or _named(self.masks, file) is not None

    def mask(self, file: str, preprocessing: Preprocessing) -> Array | None:
        """The thing in the image ``file`` as the network sees it, (H, W) bool; ``None`` where
        nothing is marked.

        The mask goes the image's own way: turned, resized, cut or padded with it.

        Raises:
            UnreadableImageError: if the image or its mask cannot be decoded.
        """
        if (boxes := _named(self.boxes, file)) is not None:
            drawn = _drawn(boxes, Path(file))
        elif (mask := _named(self.masks, file)) is not None:
            drawn = read_picture(read_bytes(mask)).pixels.max(axis=2, keepdims=True)
            drawn = np.where(drawn > 0, 255, 0).astype(np.uint8)
        else:
            return None
        seen = network_input(drawn, preprocessing)[..., 0]
        inside = seen >= 128
        return inside if inside.any() else seen > 0


def read_marked(path: Path) -> Marked:
    """A CSV file of ``image,left,top,right,bottom`` (an image may have several lines), or a folder
    of masks that are black but for the thing, named as the images are.

    Raises:
        DataError: if it is neither, a line is not such a box, or nothing is marked.
    """
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix.lower() in _PICTURES)
        if not files:
            raise DataError(
                f"{path}: a folder of masks must hold PNG pictures, found none: name another"
            )
        return Marked(
            source=path, masks={file.relative_to(path).as_posix(): file for file in files}
        )
    if not path.is_file():
        raise DataError(
            f"{path}: boxes must be a CSV file, or masks a folder of PNG pictures, found neither: "
            "name one that exists"
        )
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            return Marked(source=path, boxes=_boxes(path, csv.DictReader(lines)))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: boxes must be a CSV file in UTF-8, got {error}") from error


def _boxes(path: Path, rows: csv.DictReader[str]) -> dict[str, tuple[PixelBox, ...]]:
    missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
    if missing:
        found = ", ".join(rows.fieldnames or ()) or "an empty file"
        raise DataError(
            f"{path}: boxes must have the columns {', '.join(COLUMNS)}, got {found}: name them in "
            "the first line"
        )
    boxes: defaultdict[str, list[PixelBox]] = defaultdict(list)
    for row in rows:
        try:
            left, top, right, bottom = (float(row[name]) for name in COLUMNS[1:])
            is_box = 0 <= left < right and 0 <= top < bottom and np.isfinite(right + bottom)
        except (TypeError, ValueError):
            is_box = False
        if not is_box or not row["image"]:
            raise DataError(
                f"{path}: line {rows.line_num}: a box must be an image and 0 <= left < right, "
                f"0 <= top < bottom in pixels, got {', '.join(str(row[n]) for n in COLUMNS)}: "
                "mend the line, or leave it out"
            )
        boxes[row["image"]].append((left, top, right, bottom))
    if not boxes:
        raise DataError(f"{path}: boxes must be named line by line, found none: add some")
    return {image: tuple(found) for image, found in boxes.items()}


def _named(known: Mapping[str, Value], file: str) -> Value | None:
    """What is known of a file: by its path or by as many of the last parts of it as were given,
    with or without a suffix.
    """
    stems = {_stem(PurePath(name).parts): value for name, value in known.items()}
    parts = PurePath(file).parts
    ends = (_stem(parts[start:]) for start in range(len(parts)))
    return next((stems[end] for end in ends if end in stems), None)


def _stem(parts: Sequence[str]) -> str:
    return PurePath(*parts).with_suffix("").as_posix()


def _drawn(boxes: Iterable[PixelBox], file: Path) -> ByteArray:
    """The boxes white on black, (h, w, 1), as large as the whole picture."""
    try:
        picture = read_picture(read_bytes(file))
    except UnreadableImageError as error:
        raise UnreadableImageError(f"{file}: an image must be readable, but {error}") from error
    drawn = np.zeros((picture.height, picture.width, 1), dtype=np.uint8)
    for left, top, right, bottom in boxes:
        rows = slice(int(top), max(int(top) + 1, round(bottom)))
        drawn[rows, int(left) : max(int(left) + 1, round(right))] = 255
    return drawn
