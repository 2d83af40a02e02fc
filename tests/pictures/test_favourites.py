"""Tiles and sheets of favourite inputs."""

from __future__ import annotations

import numpy as np

from convoscope.arrays import generator
from convoscope.pictures.favourites import favourite_sheet, favourite_tile, strip


def test_a_tile_shows_the_pixels_as_they_are() -> None:
    picture = generator(0, "p").integers(0, 256, (4, 5, 1), dtype=np.uint8)
    tile = favourite_tile(picture, times=2)
    assert tile.shape == (8, 10, 3)
    np.testing.assert_array_equal(tile[::2, ::2, 0], picture[..., 0])


def test_what_nothing_excites_is_crossed_out() -> None:
    tile = favourite_tile(np.zeros((6, 6, 3), dtype=np.uint8), times=1, is_silent=True)
    marked = tile.any(axis=2)
    np.testing.assert_array_equal(marked, np.eye(6) + np.eye(6)[::-1] > 0)


def test_a_sheet_holds_every_picture_with_room_for_its_name() -> None:
    pictures = np.zeros((5, 28, 28, 1), dtype=np.uint8)
    names = ["0", "1", "2", "a very long name of a class", "4"]
    sheet = favourite_sheet(pictures, names, np.zeros(5, dtype=bool))
    assert sheet.shape[0] > 84
    assert sheet.shape[1] == 5 * 84 + 4 * 6


def test_a_strip_has_gaps_between_and_none_after() -> None:
    row = strip([np.zeros((8, 8, 3), dtype=np.uint8)] * 3, 8)
    assert row.shape == (8, 28, 3)
    assert (row[:, 8:10] == 255).all()
    assert (row[:, -8:] == 0).all()
