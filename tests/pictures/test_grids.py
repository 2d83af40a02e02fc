from __future__ import annotations

import io

import numpy as np
from PIL import Image

from convoscope.arrays import ByteArray
from convoscope.pictures.grids import GAP, Row, grid
from convoscope.pictures.palette import COLOURS


def plain(height: int, width: int, *colour: int) -> ByteArray:
    return np.full((height, width, len(colour)), colour, np.uint8)


def opened(png: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(png))
    assert image.format == "PNG"
    return image.convert("RGB")


def box_of(image: Image.Image, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what has that colour."""
    rows, columns = np.nonzero((np.asarray(image) == colour).all(axis=2))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def test_images_are_fitted_whole_into_cells_beside_and_below_each_other() -> None:
    rows = [
        Row(name="", images=[plain(50, 100, *RED), plain(40, 40, *GREEN)]),
        Row(name="", images=[plain(90, 30, *BLUE)]),
    ]
    image = opened(grid(rows, cell=60))
    left, top, right, bottom = box_of(image, RED)
    assert (right - left, bottom - top) == (60, 30)
    assert box_of(image, GREEN)[2] - box_of(image, GREEN)[0] == 60
    assert box_of(image, GREEN)[0] == right + GAP
    assert box_of(image, BLUE)[3] - box_of(image, BLUE)[1] == 60
    assert box_of(image, BLUE)[1] >= box_of(image, GREEN)[3] + GAP
    assert box_of(image, BLUE)[2] <= right


def test_small_images_are_enlarged_with_square_pixels() -> None:
    chequers = np.array([[[0], [255]], [[255], [0]]], np.uint8)
    image = np.asarray(opened(grid([Row(name="", images=[chequers])], cell=80)))
    inner = image[16 : 16 + 80, 16 : 16 + 80]
    assert set(np.unique(inner).tolist()) == {0, 255}
    assert (inner[:40, :40] == 0).all()
    assert (inner[:40, 40:] == 255).all()


def test_the_first_images_of_a_row_stand_apart_if_asked() -> None:
    images = [plain(9, 9, *RED), plain(9, 9, *GREEN), plain(9, 9, *BLUE)]
    image = opened(grid([Row(name="a", images=images, apart=1)], cell=45))
    red, green, blue = (box_of(image, colour) for colour in (RED, GREEN, BLUE))
    assert green[0] - red[2] == 3 * GAP
    assert blue[0] - green[2] == GAP


def test_names_and_the_title_are_written_and_long_ones_are_cut() -> None:
    images = [plain(9, 9, *RED)]
    bare = opened(grid([Row(name="", images=images)]))
    named = opened(grid([Row(name="Łódź", images=images)], title="тест"))
    long = opened(grid([Row(name="a very long name " * 20, images=images)]))
    assert box_of(bare, RED)[0] < box_of(named, RED)[0] < box_of(long, RED)[0] < 300
    assert box_of(bare, RED)[1] < box_of(named, RED)[1]
    ink = tuple(int(COLOURS["light"]["ink"][place : place + 2], 16) for place in (1, 3, 5))
    assert (np.asarray(named) == ink).all(axis=2).sum() > 50
    assert not (np.asarray(bare) == ink).all(axis=2).any()


def test_a_title_wider_than_the_images_is_not_cut() -> None:
    title = "a long title " * 12
    images = [plain(9, 9, *RED)]
    wide = opened(grid([Row(name="", images=images)], title=title))
    assert wide.width > opened(grid([Row(name="", images=images)])).width + 500


def test_the_same_pictures_give_the_same_bytes() -> None:
    rows = [Row(name="x", images=[plain(20, 30, 1, 2, 3)])]
    assert grid(rows, title="t") == grid(rows, title="t")
