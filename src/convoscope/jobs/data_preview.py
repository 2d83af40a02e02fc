"""A picture of the pictures: samples of each class, and what augmentation makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Unpack

import numpy as np

from convoscope.arrays import ByteArray, generator
from convoscope.data.augment import Policy, augment, find_policy
from convoscope.data.dataset import Dataset
from convoscope.data.decoding import network_input
from convoscope.data.mixing import mixed
from convoscope.data.preprocessing import Preprocessing, Resize
from convoscope.data.sources import open_dataset
from convoscope.disk import write_bytes
from convoscope.errors import DataError, SettingsError, UnreadableImageError
from convoscope.jobs.data_check import whole_picture
from convoscope.jobs.source import ReadingOptions, reading
from convoscope.pictures.grids import Row, grid

COLUMNS = 8
_SIDE = 128
_MANY_ROWS = 24


def preview(
    data: str | Path,
    out: str | Path,
    *,
    augmentation: str = "none",
    columns: int = COLUMNS,
    size: int | None = None,
    resize: Resize = "squash",
    seed: int = 0,
    **options: Unpack[ReadingOptions],
) -> Path:
    """Write a PNG with a row per class: samples as a network of input ``size`` sees them.

    Without ``size`` that is 128 pixels, or the images' own where they lie in memory. With an
    augmentation one sample of the class, and then what the first epochs of training with this seed
    would see of it, mixed with that of the next class where the augmentation mixes. Several heads
    follow each other. Only the images that are shown are opened;
    those that cannot be read are passed over.
    ``options`` say how it is read, as they do when training.

    Raises:
        UnknownNameError: if there is no such augmentation; names the nearest.
        SettingsError: if a number is out of range, or ``out`` does not end with ``.png``.
        DataError: if the data cannot be opened, or no image of a class can be read.
        StorageError: if the picture cannot be written.
    """
    policy = find_policy(augmentation)
    for name, value, most in (("columns", columns, 40), ("size", size or 1, 1024)):
        if not 1 <= value <= most:
            raise SettingsError(
                f"{name} must be a number from 1 to {most}, got {value}: choose one in between"
            )
    path = Path(out)
    if path.suffix.lower() != ".png":
        raise SettingsError(
            f"{path}: a preview is a PNG picture, and its name must end with .png, got "
            f"{path.suffix or 'no ending'!r}: name it {path.with_suffix('.png').name}"
        )
    dataset = open_dataset(data, reading=reading(options))
    shape = Preprocessing(size=_size(dataset, size), resize=resize)
    rows = list(_rows(dataset, shape, policy, columns, seed))
    height, width = shape.size
    title = f"{dataset.name}, {height} x {width}, {resize}"
    if policy.changes or policy.mixes:
        title += f": first as it is, then as augmented with {augmentation}"
    cell = 112 if len(rows) <= _MANY_ROWS else 64
    write_bytes(path, grid(rows, cell=cell, title=title))
    return path


def _size(dataset: Dataset, size: int | None) -> tuple[int, int]:
    if size is None and dataset.pixels is not None:
        return dataset.pixels.shape[1], dataset.pixels.shape[2]
    return (size or _SIDE, size or _SIDE)


def _rows(
    dataset: Dataset, shape: Preprocessing, policy: Policy, columns: int, seed: int
) -> Iterator[Row]:
    """A row per head and class; a class without images has none."""
    varies = policy.changes or policy.mixes
    for head, names in dataset.class_names.items():
        shown: list[tuple[str, list[tuple[int, ByteArray]]]] = []
        for k, name in enumerate(names):
            rows = np.flatnonzero(dataset.labels[head] == k)
            if len(rows):
                title = name if len(dataset.class_names) == 1 else f"{head}: {name}"
                order = generator(seed, "preview", head, k).permutation(rows).tolist()
                samples = _samples(dataset, order, shape, 1 if varies else columns)
                if not samples:
                    raise DataError(
                        f"{dataset.place}: every class must have an image that can be read, "
                        f"{name!r} has none: mend the images, or leave the class out"
                    )
                shown.append((title, samples))
        if varies:
            yield from _changed(shown, policy, columns, seed)
        else:
            yield from (Row(name=name, images=[i for _, i in each]) for name, each in shown)


def _changed(
    shown: list[tuple[str, list[tuple[int, ByteArray]]]], policy: Policy, columns: int, seed: int
) -> Iterator[Row]:
    """One sample of each class, and it again in each epoch; mixed with that of the next class."""
    titles = [title for title, _ in shown]
    rows = [samples[0][0] for _, samples in shown]
    images = np.stack([samples[0][1] for _, samples in shown])
    epochs = [_epoch(images, rows, policy, epoch, seed) for epoch in range(1, columns)]
    for place, (title, image) in enumerate(zip(titles, images, strict=True)):
        yield Row(name=title, images=[image, *(batch[place] for batch in epochs)], apart=1)


def _epoch(images: ByteArray, rows: list[int], policy: Policy, epoch: int, seed: int) -> ByteArray:
    """The images (N, H, W, C) as an epoch of training with this seed would see them."""
    changed = np.stack(
        [
            augment(image, policy, generator(seed, "augment", epoch, row))
            for image, row in zip(images, rows, strict=True)
        ]
    )
    if not policy.mixes:
        return changed
    rngs = [generator(seed, "mix", epoch, row) for row in rows]
    batch, _ = mixed(changed, {"row": np.zeros(len(rows), np.int64)}, {"row": 1}, policy, rngs)
    return batch


def _samples(
    dataset: Dataset, order: list[int], shape: Preprocessing, count: int
) -> list[tuple[int, ByteArray]]:
    """The first ``count`` images in that order that can be read, with their rows."""
    found: list[tuple[int, ByteArray]] = []
    for row in order:
        if len(found) == count:
            break
        try:
            found.append((row, network_input(whole_picture(dataset, row), shape)))
        except UnreadableImageError:
            continue
    return found
