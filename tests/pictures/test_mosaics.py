"""All maps of a layer in one picture: numbered, to scale, on one scale."""

from __future__ import annotations

import numpy as np

from convoscope.pictures.maps import NEGATIVE, POSITIVE, ZERO
from convoscope.pictures.mosaics import (
    Scale,
    abreast,
    as_rows,
    bright_scale,
    close_mosaic,
    colour_filter,
    filter_picture,
    map_colours,
    mosaic_of_filters,
    mosaic_of_maps,
    scale_of,
)


def test_one_scale_goes_from_zero_or_as_far_below_as_above() -> None:
    assert scale_of(np.array([0.5, 3.0])).low == 0.0
    assert scale_of(np.array([0.5, 3.0])).high == 3.0
    signed = scale_of(np.array([-4.0, 3.0]))
    assert (signed.low, signed.high, signed.is_signed) == (-4.0, 4.0, True)


def test_silent_maps_are_black_and_all_silent_ones_too() -> None:
    maps = np.zeros((2, 4, 4))
    assert map_colours(maps, scale_of(maps)).max() <= 4
    maps[1] = 5.0
    colours = map_colours(maps, scale_of(maps))
    assert colours[0].max() <= 4
    assert colours[1].max() > 200


def test_colours_go_with_the_square_root() -> None:
    scale = scale_of(np.array([4.0]))
    quarter, half_of_the_way = map_colours(np.array([1.0, 4.0]), scale)
    linear = map_colours(np.array([0.25]), scale_of(np.array([1.0])))[0]
    assert quarter.tolist() == linear.tolist()
    assert half_of_the_way.sum() > quarter.sum()


def test_values_on_both_sides_of_zero_have_two_colours() -> None:
    values = np.array([-2.0, 0.0, 2.0])
    assert map_colours(values, scale_of(values)).tolist() == [
        list(NEGATIVE),
        list(ZERO),
        list(POSITIVE),
    ]


def test_every_value_of_a_map_is_a_square_of_whole_pixels() -> None:
    rng = np.random.default_rng(0)
    maps = rng.random((5, 10, 10))
    page = mosaic_of_maps(maps, range(5), scale_of(maps))
    colours = map_colours(maps, scale_of(maps))
    for place in range(5):
        left = place * (60 + 6)
        tile = page[:60, left : left + 60]
        np.testing.assert_array_equal(tile[3::6, 3::6], colours[place])
        assert (tile.reshape(10, 6, 10, 6, 3) == colours[place][:, None, :, None]).all()


def test_the_name_below_a_map_is_drawn() -> None:
    maps = np.zeros((2, 60, 60))
    page = mosaic_of_maps(maps, [3, 88], scale_of(maps))
    below = page[60:74]
    assert (below[:, :60] != below[0, 0]).any()
    assert (below[:, 66:] != below[0, 0]).any()


def test_filters_of_colours_are_pictures_and_others_their_channels() -> None:
    colour = np.array([[[1.0]], [[0.0]], [[-1.0]]])
    assert colour_filter(colour, 1.0)[0, 0].tolist() == [255, 128, 0]
    assert colour_filter(np.zeros((3, 2, 2)), 0.0).tolist() == [[[128] * 3] * 2] * 2
    deep = np.random.default_rng(0).normal(size=(8, 3, 3))
    assert filter_picture(deep, 1.0).shape[2] == 4
    assert filter_picture(colour.repeat(5, 1).repeat(5, 2), 1.0).shape == (60, 60, 3)


def test_a_mosaic_of_filters_has_rows_of_at_most_a_thousand_pixels() -> None:
    filters = np.random.default_rng(0).normal(size=(40, 1, 5, 5))
    page = mosaic_of_filters(filters, range(40))
    assert page.shape[1] <= 1000
    assert page.shape[0] > 120


def test_a_close_mosaic_has_a_pixel_for_each_value_and_a_clear_one_between_maps() -> None:
    maps = np.random.default_rng(0).random((5, 3, 4))
    scale = scale_of(maps)
    page = close_mosaic(maps, scale, across=2)
    assert page.shape == (3 * 4 - 1, 2 * 5 - 1, 4)
    for place in range(5):
        top, left = place // 2 * 4, place % 2 * 5
        tile = page[top : top + 3, left : left + 4]
        np.testing.assert_array_equal(tile[..., :3], map_colours(maps[place], scale))
        assert (tile[..., 3] == 255).all()
    assert (page[..., 3] == 255).sum() == maps.size
    assert close_mosaic(maps[:1, :1, :1], scale).shape == (1, 1, 4)


def test_so_many_maps_stand_abreast_as_make_a_row() -> None:
    assert [abreast(64, 28), abreast(64, 224), abreast(5, 7), abreast(1, 1)] == [16, 2, 4, 1]
    assert abreast(512, 3) == 32


def test_a_vector_is_read_row_by_row() -> None:
    assert as_rows(np.arange(10.0)).shape == (1, 1, 10)
    values = np.arange(1.0, 101.0)
    (rows,) = as_rows(values)
    assert rows.shape == (7, 16)
    np.testing.assert_array_equal(rows.ravel()[:100], values)
    assert not rows.ravel()[100:].any()


def test_few_values_far_beyond_all_others_do_not_darken_them() -> None:
    values = np.ones(1000)
    values[0] = -50.0
    assert bright_scale(values) == Scale(low=-1.0, high=1.0)
    assert bright_scale(np.abs(values)) == Scale(low=0.0, high=1.0)
    assert bright_scale(np.linspace(0, 1, 1000)) == scale_of(np.linspace(0, 1, 1000))
    assert bright_scale(np.zeros(4)) == Scale(low=0.0, high=0.0)
