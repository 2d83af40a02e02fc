"""What is said of a line is measured on the pixels that are drawn."""

import math
from itertools import combinations

import numpy as np
import pytest

from convoscope.arrays import IntArray
from convoscope.data.lines.raster import (
    ANGLES,
    CLASSES,
    LENGTHS,
    WIDTHS,
    LineClass,
    placements,
    raster,
)
from convoscope.errors import SettingsError

SHAPES = [(length, width, angle) for length in LENGTHS for width in WIDTHS for angle in ANGLES]


def points(length: int, width: int, angle: int) -> IntArray:
    """The pixels (P, 2) as (x, y), y upwards."""
    rows, columns = raster(length, width, angle).T
    return np.column_stack([columns, -rows])


def test_there_are_96_classes_each_with_its_own_labels() -> None:
    assert len(CLASSES) == 96
    assert len({line.labels for line in CLASSES}) == 96
    assert [line.labels for line in CLASSES] == sorted(line.labels for line in CLASSES)


def test_the_published_example_is_long_thick_135_degrees_and_red() -> None:
    line = LineClass(15, 3, 135, "red")
    assert line.labels == (1, 1, 9, 0)
    assert line.name == "15_3_135_red"
    assert line.words == "15 long, 3 wide, 135°, red"


@pytest.mark.parametrize(("length", "width", "angle"), SHAPES)
def test_a_line_is_as_long_as_it_says(length: int, width: int, angle: int) -> None:
    """Along the axis the outermost pixels' centres lie apart by the length less about one pixel."""
    axis = np.array([math.cos(math.radians(angle)), math.sin(math.radians(angle))])
    along = points(length, width, angle) @ axis
    assert np.ptp(along) + 1 == pytest.approx(length, abs=1.0)


@pytest.mark.parametrize(("length", "angle"), [(n, a) for n in LENGTHS for a in ANGLES])
def test_a_thin_lines_steps_add_up_to_its_length(length: int, angle: int) -> None:
    """A step along the diagonal counts sqrt 2, and every pixel is one step of the line's slope."""
    x, y = points(length, 1, angle).T
    pixels = max(np.ptp(x), np.ptp(y)) + 1
    slope = max(abs(math.cos(math.radians(angle))), abs(math.sin(math.radians(angle))))
    assert len(x) == pixels, "one pixel for each place along the longer axis"
    assert pixels / slope == pytest.approx(length, abs=0.5 / slope)


@pytest.mark.parametrize(("length", "width", "angle"), SHAPES)
def test_a_line_is_as_wide_as_it_says(length: int, width: int, angle: int) -> None:
    normal = np.array([-math.sin(math.radians(angle)), math.cos(math.radians(angle))])
    across = points(length, width, angle) @ normal
    assert np.abs(across).max() <= width / 2 + 1e-6 + (0.5 if width == 3 else 0)
    assert len(across) / length == pytest.approx(width, rel=0.3)


@pytest.mark.parametrize(("length", "width", "angle"), SHAPES)
def test_the_angle_is_that_of_the_pixels_longest_axis(length: int, width: int, angle: int) -> None:
    """Principal axis of the pixels: within the slack that so few of them leave."""
    spread = np.cov(points(length, width, angle).T)
    values, axes = np.linalg.eigh(spread)
    x, y = axes[:, values.argmax()]
    measured = math.degrees(math.atan2(y, x)) % 180
    apart = abs(measured - angle) % 180
    assert min(apart, 180 - apart) < 7.5, "nearer to this angle than to any other"


@pytest.mark.parametrize(("length", "width", "angle"), SHAPES)
def test_a_line_is_one_piece(length: int, width: int, angle: int) -> None:
    left = {tuple(pixel) for pixel in raster(length, width, angle).tolist()}
    front = [left.pop()]
    while front:
        row, column = front.pop()
        for step in [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1)]:
            near = (row + step[0], column + step[1])
            if near in left:
                left.remove(near)
                front.append(near)
    assert not left


@pytest.mark.parametrize(("length", "width", "angle"), SHAPES)
def test_the_centre_is_a_pixel_of_the_line_at_most_half_a_step_from_its_middle(
    length: int, width: int, angle: int
) -> None:
    pixels = raster(length, width, angle)
    assert (0, 0) in set(map(tuple, pixels.tolist()))
    assert np.linalg.norm(pixels.mean(axis=0)) < 0.75, "half a diagonal step is 0.71"


def test_no_two_classes_share_a_shape_wherever_it_lies() -> None:
    shapes = {
        shape: frozenset(map(tuple, (raster(*shape) - raster(*shape).min(axis=0)).tolist()))
        for shape in SHAPES
    }
    for one, other in combinations(SHAPES, 2):
        assert shapes[one] != shapes[other], f"{one} and {other} look the same"


@pytest.mark.parametrize(("length", "width", "angle"), [s for s in SHAPES if 0 < s[2] < 90])
def test_angles_that_mirror_each_other_are_drawn_as_mirror_images(
    length: int, width: int, angle: int
) -> None:
    """Across the longer axis, so that an even line's extra pixel stays where it is."""
    mirror = (-1, 1) if angle <= 45 else (1, -1)
    mirrored = raster(length, width, angle) * mirror
    there = raster(length, width, 180 - angle)
    assert set(map(tuple, mirrored.tolist())) == set(map(tuple, there.tolist()))


@pytest.mark.parametrize(("length", "width", "angle"), SHAPES[::5])
def test_placements_are_all_centres_for_which_the_line_is_inside_and_no_other(
    length: int, width: int, angle: int
) -> None:
    pixels = raster(length, width, angle)
    inside = {
        (row, column)
        for row in range(28)
        for column in range(28)
        if (pixels + np.array([row, column])).min() >= 0
        and (pixels + np.array([row, column])).max() < 28
    }
    assert set(map(tuple, placements(pixels).tolist())) == inside
    assert len(placements(pixels)) == len(inside)


def test_there_are_42488_placements_of_all_classes() -> None:
    lines = [(line.length, line.width, line.angle) for line in CLASSES]
    assert sum(len(placements(raster(*line))) for line in lines) == 42488


def test_a_line_that_cannot_fit_is_one_sentence() -> None:
    with pytest.raises(SettingsError, match=r"must lie wholly inside its picture, one of 1 x 15 "):
        placements(raster(15, 1, 0), size=12)
    assert len(placements(raster(15, 1, 0), size=15)) == 15
