"""All images of the lines set at once, in one of two versions of its split.

*published*: the centre of every image is drawn at random from all that the class has, as in the
coursework that the set comes from. There are fewer places than images, so placements repeat, and
most test images are pixel for pixel a training image.

*honest*: the placements of a class are divided first, every one to training or to test alone, and
each split's images are spread evenly over its own: copies are there, but never in two splits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from convoscope.arrays import ByteArray, IntArray, generator
from convoscope.data.dataset import SplitName
from convoscope.data.lines.raster import CLASSES, COLOURS, SIZE, LineClass, placements, raster
from convoscope.errors import SettingsError, unknown_name

Version: TypeAlias = Literal["honest", "published"]
VERSIONS: tuple[Version, ...] = get_args(Version)
TRAIN, TEST = 600, 400


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LineSet:
    """N images of lines, class by class, of each class first those for training.

    ``pixels`` (N, size, size, 3) uint8; ``classes`` (N,) indices into ``CLASSES``; ``numbers``
    (N,) count the images of a class from 0; ``centres`` (N, 2) are (row, column);
    ``is_train`` (N,) bool.
    """

    version: Version
    pixels: ByteArray
    classes: IntArray
    numbers: IntArray
    centres: IntArray
    is_train: np.typing.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def names(self) -> tuple[str, ...]:
        """``1_1_9_0_3``: the labels of length, width, angle and colour, and the image's number."""
        stems = ["_".join(map(str, line.labels)) for line in CLASSES]
        pairs = zip(self.classes.tolist(), self.numbers.tolist(), strict=True)
        return tuple(f"{stems[k]}_{number}" for k, number in pairs)

    @property
    def splits(self) -> tuple[SplitName, ...]:
        """``train`` or ``test`` per image."""
        return tuple("train" if is_train else "test" for is_train in self.is_train.tolist())

    def placements(self) -> dict[str, int]:
        """How many different pictures there are: in each split, in both, and ``possible`` ones."""
        size = self.pixels.shape[1]
        keys = (self.classes * size + self.centres[:, 0]) * size + self.centres[:, 1]
        train, test = np.unique(keys[self.is_train]), np.unique(keys[~self.is_train])
        return {
            "train": len(train),
            "test": len(test),
            "shared": len(np.intersect1d(train, test)),
            "test_images_seen": int(np.isin(keys[~self.is_train], train).sum()),
            "possible": sum(len(_places(line, size)) for line in CLASSES),
        }


def make_lines(
    version: Version = "honest",
    *,
    train: int = TRAIN,
    test: int = TEST,
    seed: int = 0,
    size: int = SIZE,
) -> LineSet:
    """``train`` and ``test`` images of each of the 96 classes, in pictures of ``size`` x ``size``.

    Raises:
        UnknownNameError: if there is no such version; names the nearest.
        SettingsError: if a count is below 1, or a line does not fit into a picture of that size.
    """
    if version not in VERSIONS:
        raise unknown_name("version of the lines set", version, VERSIONS)
    for name, count in (("training", train), ("test", test)):
        if count < 1:
            raise SettingsError(
                f"lines: each class must have at least one {name} image, got {count}: ask for more"
            )
    pixels = np.zeros((len(CLASSES) * (train + test), size, size, 3), np.uint8)
    centres = np.empty((len(pixels), 2), np.int64)
    for k, line in enumerate(CLASSES):
        block = slice(k * (train + test), (k + 1) * (train + test))
        rng = generator(seed, "lines", version, k)
        centres[block] = np.concatenate(
            list(_drawn(version, _places(line, size), train, test, rng))
        )
        draw(pixels[block], line, centres[block])
    numbers = np.tile(np.arange(train + test), len(CLASSES))
    return LineSet(
        version=version,
        pixels=pixels,
        classes=np.repeat(np.arange(len(CLASSES)), train + test),
        numbers=numbers,
        centres=centres,
        is_train=numbers < train,
    )


def draw(pixels: ByteArray, line: LineClass, centres: IntArray) -> None:
    """Draw the line into black pictures (n, size, size, 3), each about its centre (n, 2)."""
    covered = centres[:, None, :] + raster(line.length, line.width, line.angle)
    image = np.arange(len(pixels))[:, None]
    pixels[image, covered[..., 0], covered[..., 1]] = COLOURS[line.colour]


def _places(line: LineClass, size: int) -> IntArray:
    return placements(raster(line.length, line.width, line.angle), size)


def _drawn(
    version: Version, places: IntArray, train: int, test: int, rng: np.random.Generator
) -> Iterator[IntArray]:
    """The centres of a class's training images, then those of its test images."""
    if version == "published":
        yield from (places[rng.integers(len(places), size=count)] for count in (train, test))
        return
    shuffled = rng.permutation(places)
    border = min(max(round(len(places) * train / (train + test)), 1), len(places) - 1)
    for own, count in ((shuffled[:border], train), (shuffled[border:], test)):
        yield rng.permutation(np.resize(own, (count, 2)))
