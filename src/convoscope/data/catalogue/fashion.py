"""Fashion-MNIST: the idx files with the classes' names, and the sprite of its first 900 images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from convoscope.data.catalogue.table import FASHION_CLASSES
from convoscope.data.dataset import Dataset
from convoscope.data.decoding import open_image
from convoscope.data.idx import read_idx
from convoscope.errors import DataError

_SIDE = 28
_TILES = 30
_OF_A_CLASS = _TILES * _TILES // len(FASHION_CLASSES)


def read_fashion(source: Path) -> Dataset:
    """The 70,000 images in idx files, gray (28, 28, 1).

    Raises:
        DataError: if there are no such files, or they have other classes than ten.
    """
    dataset = read_idx(source)
    (numbers,) = dataset.class_names.values()
    if numbers != tuple(map(str, range(len(FASHION_CLASSES)))):
        raise DataError(
            f"{source}: the labels of Fashion-MNIST must be the numbers 0 to 9, got "
            f"{', '.join(numbers)}: name the folder with its files"
        )
    return replace(dataset, class_names={"class": FASHION_CLASSES})


def read_sprite(source: Path) -> Dataset:
    """The 900 images in one picture of 30 x 30 tiles, gray (28, 28, 1), 90 of each class in turn.

    ``source`` is the picture, or a folder with it.

    Raises:
        DataError: if there is no picture, or not of 840 x 840 pixels.
    """
    pictures = sorted(source.glob("*sprite*.png")) if source.is_dir() else [source]
    if not pictures:
        raise DataError(
            f"{source}: there must be a picture with a name such as fashion-mnist-sprite.png, "
            "found none: name the picture itself"
        )
    sheet = open_image(pictures[0])[..., 0]
    if sheet.shape != (_TILES * _SIDE, _TILES * _SIDE):
        height, width = sheet.shape
        raise DataError(
            f"{pictures[0]}: the sprite must have {_TILES} x {_TILES} tiles of {_SIDE} pixels, "
            f"this picture has {width} x {height} pixels: name another one"
        )
    tiles = sheet.reshape(_TILES, _SIDE, _TILES, _SIDE).swapaxes(1, 2).reshape(-1, _SIDE, _SIDE)
    return Dataset(
        name="fashion-sprite",
        root=None,
        ids=tuple(f"sprite/{number:03}" for number in range(len(tiles))),
        labels={"class": np.repeat(np.arange(len(FASHION_CLASSES)), _OF_A_CLASS)},
        class_names={"class": FASHION_CLASSES},
        pixels=np.ascontiguousarray(tiles[..., None]),
    )
