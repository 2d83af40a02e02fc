"""Make the lines set as files: pictures whose names are their labels, or one ``.npz``.

A folder has ``train`` and ``test`` below it, with ``length_width_angle_colour_id.png`` in them; the
numbers are class indices, as in the set that was published. It is read again with
``--label-pattern '{length}_{width}_{angle}_{colour}_{id}'``.
"""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from PIL import Image

from convoscope import disk
from convoscope.arrays import Array, ByteArray
from convoscope.data.lines import CLASSES, FACTORS, LineSet, Version, make_lines
from convoscope.data.workers import ordered
from convoscope.disk import filling
from convoscope.errors import StorageError
from convoscope.jobs.progress import Progress, unwatched
from convoscope.pictures.grids import Row, grid
from convoscope.pictures.video import write_video

Format: TypeAlias = Literal["png", "jpg"]

_SAMPLES = 10
_CELL = 56
_VIDEO_COLUMNS = 3
_VIDEO_CELL = 84
_FRAMES_PER_CLASS = 3
_FRAMES_PER_SECOND = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeLines:
    """What was made: where, how many images, and how many of them are different pictures.

    ``shared`` different pictures are in both splits; ``test_images_seen`` test images are copies of
    a training image; ``possible`` placements are there in all.
    """

    path: str
    version: Version
    seed: int
    images: int
    train_images: int
    test_images: int
    train: int
    test: int
    shared: int
    test_images_seen: int
    possible: int
    sheet: str | None = None
    video: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Its fields."""
        return asdict(self)


def write_lines(
    out: str | Path,
    *,
    version: Version = "honest",
    train: int = 600,
    test: int = 400,
    seed: int = 0,
    size: int = 28,
    image_format: Format = "png",
    sheet: str | Path | None = None,
    video: str | Path | None = None,
    progress: Progress = unwatched,
) -> MadeLines:
    """Draw the set and write it to the folder or ``.npz`` file ``out``, whole or not at all.

    ``sheet`` is a PNG with some images of each class, ``video`` an mp4 that shows every class, nine
    images at a time.

    Raises:
        UnknownNameError: if there is no such version.
        SettingsError: if a count is below 1, or a line does not fit into a picture of that size.
        StorageError: if there is something at ``out`` already, or the disk is full.
    """
    path = Path(out)
    _check_free(path)
    lines = make_lines(version, train=train, test=test, seed=seed, size=size)
    if path.suffix.lower() == ".npz":
        disk.write(path, lambda temporary: _save_npz(temporary, lines))
    else:
        with filling(path) as folder:
            _save_images(folder, lines, image_format, progress)
    if sheet is not None:
        disk.write_bytes(Path(sheet), contact_sheet(lines))
    if video is not None:
        frames = class_frames(lines)
        write_video(Path(video), frames, frames_per_second=_FRAMES_PER_SECOND)
    return MadeLines(
        path=str(path),
        version=version,
        seed=seed,
        images=len(lines),
        train_images=int(lines.is_train.sum()),
        test_images=int((~lines.is_train).sum()),
        **lines.placements(),
        sheet=None if sheet is None else str(sheet),
        video=None if video is None else str(video),
    )


def contact_sheet(lines: LineSet) -> bytes:
    """A PNG with a row per class: its name, and some of its images, evenly spaced over all."""
    rows = []
    for k, line in enumerate(CLASSES):
        own = np.flatnonzero(lines.classes == k)
        chosen = own[np.linspace(0, len(own) - 1, min(_SAMPLES, len(own))).astype(int)]
        rows.append(Row(name=line.words, images=list(lines.pixels[chosen])))
    title = f"lines, {lines.version}: {len(CLASSES)} classes, {len(lines):,} images"
    return grid(rows, cell=_CELL, title=title)


def class_frames(lines: LineSet) -> ByteArray:
    """Frames (F, h, w, 3) for a film of all classes: each frame nine images of one, 3 x 3."""
    frames = []
    per_frame = _VIDEO_COLUMNS**2
    for k in range(len(CLASSES)):
        own = np.flatnonzero(lines.classes == k)
        for number in range(_FRAMES_PER_CLASS):
            chosen = own[np.arange(number * per_frame, (number + 1) * per_frame) % len(own)]
            frames.append(_nine(lines.pixels[chosen]))
    return np.stack(frames)


def _nine(images: ByteArray) -> ByteArray:
    """Nine images (9, s, s, 3) as one picture, enlarged with square pixels, gray lines between."""
    factor = max(1, _VIDEO_CELL // images.shape[1])
    large = images.repeat(factor, axis=1).repeat(factor, axis=2)
    side = large.shape[1] + 2
    # An even number of pixels: the encoder halves the resolution of colour.
    frame = np.full((_VIDEO_COLUMNS * side + side % 2,) * 2 + (3,), 96, np.uint8)
    for place, image in enumerate(large):
        row, column = divmod(place, _VIDEO_COLUMNS)
        top, left = row * side + 1, column * side + 1
        frame[top : top + side - 2, left : left + side - 2] = image
    return frame


def _save_images(folder: Path, lines: LineSet, image_format: Format, progress: Progress) -> None:
    for split in ("train", "test"):
        (folder / split).mkdir()
    names = [
        f"{split}/{name}.{image_format}"
        for split, name in zip(lines.splits, lines.names, strict=True)
    ]

    def save(row: int) -> None:
        (folder / names[row]).write_bytes(_encoded(lines.pixels[row], image_format))

    for done, _ in enumerate(ordered(save, range(len(lines))), start=1):
        progress("writing", done, len(lines))


def _encoded(image: ByteArray, image_format: Format) -> bytes:
    stream = io.BytesIO()
    picture = Image.fromarray(image)
    if image_format == "png":
        picture.save(stream, "PNG")
    else:
        # Without subsampling: halved colours would paint two pixels where a line has one.
        picture.save(stream, "JPEG", quality=95, subsampling=0)
    return stream.getvalue()


def _save_npz(file: Path, lines: LineSet) -> None:
    """``images_train``, and for each factor one-hot ``colour_labels_train`` and their names."""
    arrays: dict[str, Array] = {}
    labels = np.array([line.labels for line in CLASSES])[lines.classes]
    for split, rows in (("train", lines.is_train), ("test", ~lines.is_train)):
        arrays[f"images_{split}"] = lines.pixels[rows]
        for column, (factor, names) in enumerate(FACTORS.items()):
            one_hot = np.eye(len(names), dtype=np.uint8)
            arrays[f"{factor}_labels_{split}"] = one_hot[labels[rows, column]]
    for factor, names in FACTORS.items():
        arrays[f"{factor}_class_names"] = np.array(names)
    with file.open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)


def _check_free(path: Path) -> None:
    if path.exists():
        raise StorageError(
            f"{path}: the lines set needs a place of its own, there is something already: choose "
            "another --out, or remove it"
        )
