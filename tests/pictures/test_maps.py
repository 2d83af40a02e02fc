"""Filters and maps are drawn pixel for value."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from convoscope.pictures.maps import (
    NEGATIVE,
    POSITIVE,
    ZERO,
    Tile,
    diverging,
    enlarged,
    exact_uri,
    filter_tile,
    shaded,
    sheet,
    value_range,
)


def test_the_ends_and_the_middle_of_the_filter_scale() -> None:
    colours = diverging(np.array([[-2.0, 0.0, 2.0]]), 2.0)
    assert colours.tolist() == [[list(NEGATIVE), list(ZERO), list(POSITIVE)]]
    assert diverging(np.zeros((1, 1)), 0.0).tolist() == [[list(ZERO)]]


def test_a_map_runs_from_black_to_white() -> None:
    assert shaded(np.array([[-1.0, 0.0], [0.5, 1.0]]))[..., 0].tolist() == [[0, 128], [191, 255]]
    assert shaded(np.full((2, 2), 7.0)).max() == 0


def test_a_filters_channels_lie_apart_in_order() -> None:
    values = np.arange(32, dtype=float)[:, None, None] * np.ones((32, 3, 3))
    tile = filter_tile(values, 31.0)
    assert tile.shape == (15, 31, 4)
    assert tile[3, :, 3].max() == 0
    for channel in range(32):
        top, left = channel // 8 * 4, channel % 8 * 4
        expected = diverging(values[channel], 31.0)
        np.testing.assert_array_equal(tile[top : top + 3, left : left + 3, :3], expected)
        assert tile[top : top + 3, left : left + 3, 3].min() == 255


def test_what_is_enlarged_stays_squares() -> None:
    image = np.arange(4, dtype=np.uint8).reshape(2, 2, 1)
    big = enlarged(image, 3)
    assert big.shape == (6, 6, 1)
    np.testing.assert_array_equal(big[1::3, 1::3], image)
    assert set(big[:3, :3].ravel()) == {0}


def test_an_address_keeps_every_value() -> None:
    image = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    content = base64.b64decode(exact_uri(image).removeprefix("data:image/png;base64,"))
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(content))), image[..., 0])


def test_a_sheet_shows_every_tile_one_to_one() -> None:
    tiles = [
        Tile(image=np.full((40, 200, 3), value, np.uint8), title=f"map {value}", words="0 to 1")
        for value in (10, 90, 200)
    ]
    page = np.asarray(Image.open(io.BytesIO(sheet(tiles, columns=2))))
    for value in (10, 90, 200):
        rows, columns = np.nonzero((page == value).all(axis=2))
        top, left = rows.min(), columns.min()
        assert (page[top : top + 40, left : left + 200] == value).all()


def test_ranges_are_written() -> None:
    assert value_range(np.array([[-0.5, 1.25]])) == "-0.50 to 1.25"
    assert value_range(np.zeros((2, 2))) == "0 everywhere"
