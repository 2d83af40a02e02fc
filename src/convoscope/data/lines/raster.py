"""Which pixels a line covers, and where it may lie.

Nothing is antialiased and a line's centre is a whole pixel, so a class has one shape, and an image
of it is that shape moved. Angles are counted as in geometry, from the positive x axis
counter-clockwise as one sees the picture.

A line's length is Euclidean: it takes as many pixels along its longer axis as come nearest to the
length asked for when each of them counts ``1 / max(|cos|, |sin|)``, so that a step along the
diagonal counts the square root of 2. Where that is an even number, the line's middle lies between
two pixels, and the first of them is its centre.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np

from convoscope.arrays import FloatArray, IntArray
from convoscope.errors import SettingsError

LENGTHS = (7, 15)
WIDTHS = (1, 3)
ANGLES = tuple(range(0, 180, 15))
COLOURS = {"red": (255, 0, 0), "blue": (0, 0, 255)}
SIZE = 28
# A pixel's centre right on the edge of a line counts as inside, whatever the sine was rounded to.
_ON_THE_EDGE = 1e-9


@dataclass(frozen=True, slots=True)
class LineClass:
    """One class: ``length`` and ``width`` in pixels, ``angle`` in degrees, ``colour`` by name."""

    length: int
    width: int
    angle: int
    colour: str

    @property
    def name(self) -> str:
        """``15_3_135_red``."""
        return "_".join(self.values)

    @property
    def values(self) -> tuple[str, str, str, str]:
        """The class in each factor, as a word."""
        return str(self.length), str(self.width), str(self.angle), self.colour

    @property
    def labels(self) -> tuple[int, int, int, int]:
        """The class index in each factor, as file names have it: long, thick, 135, red: 1 1 9 0."""
        return (
            LENGTHS.index(self.length),
            WIDTHS.index(self.width),
            ANGLES.index(self.angle),
            list(COLOURS).index(self.colour),
        )

    @property
    def words(self) -> str:
        """``15 long, 3 wide, 135°, red``."""
        return f"{self.length} long, {self.width} wide, {self.angle}°, {self.colour}"


FACTORS = {
    "length": tuple(map(str, LENGTHS)),
    "width": tuple(map(str, WIDTHS)),
    "angle": tuple(map(str, ANGLES)),
    "colour": tuple(COLOURS),
}
"""Each factor, in the order of file names, with its classes."""

CLASSES = tuple(LineClass(*values) for values in product(LENGTHS, WIDTHS, ANGLES, COLOURS))
"""All 96, in the order of their labels."""


def raster(length: int, width: int, angle: int) -> IntArray:
    """The pixels of a line, (P, 2) as (row, column) from its centre, in reading order.

    A line of width 1 has, for each place along its longer axis, the one pixel nearest to it. A
    wider one has the pixels whose centres lie in the rectangle ``length`` x ``width`` about the
    line's middle.
    """
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    count = round(length * max(abs(cosine), abs(sine)))
    steps = np.arange(count) - (count - 1) // 2
    # From one pixel to the next along the longer axis; (x, y), and y grows upwards.
    step = np.array([cosine, sine]) / _first_coordinate(cosine, sine)
    if width == 1:
        points = np.rint(steps[:, None] * step).astype(np.int64)
    else:
        points = _rectangle(steps.mean() * step, length, width, (cosine, sine))
    x, y = points.T
    order = np.lexsort((x, -y))
    return np.column_stack([-y, x])[order].astype(np.int64)


def placements(pixels: IntArray, size: int = SIZE) -> IntArray:
    """Every centre (M, 2) for which the whole line is inside a picture of ``size`` x ``size``.

    Raises:
        SettingsError: if there is none.
    """
    low, high = -pixels.min(axis=0), size - pixels.max(axis=0)
    if (low >= high).any():
        extent = np.ptp(pixels, axis=0) + 1
        raise SettingsError(
            f"a line must lie wholly inside its picture, one of {extent[0]} x {extent[1]} pixels "
            f"does not fit into {size} x {size}: use a size of at least {extent.max()}"
        )
    rows, columns = np.meshgrid(
        np.arange(low[0], high[0]), np.arange(low[1], high[1]), indexing="ij"
    )
    return np.column_stack([rows.ravel(), columns.ravel()]).astype(np.int64)


def _first_coordinate(cosine: float, sine: float) -> float:
    """The larger of the two; x where they are equal."""
    return cosine if abs(cosine) >= abs(sine) - _ON_THE_EDGE else sine


def _rectangle(
    middle: FloatArray, length: int, width: int, direction: tuple[float, float]
) -> IntArray:
    """The whole points (x, y) in a turned rectangle about its ``middle``, edges included."""
    cosine, sine = direction
    around = np.arange(-length - width, length + width + 1)
    points = np.stack(np.meshgrid(around, around), axis=-1).reshape(-1, 2)
    x, y = (points - middle).T
    inside = (np.abs(x * cosine + y * sine) <= length / 2 + _ON_THE_EDGE) & (
        np.abs(y * cosine - x * sine) <= width / 2 + _ON_THE_EDGE
    )
    return np.asarray(points[inside], dtype=np.int64)
