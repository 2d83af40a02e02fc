"""Heat over pictures: scales that mean what they say, frames where they belong."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib import colormaps

from convoscope.architecture.receptive_field import Box
from convoscope.pictures.heat import (
    EFFECTIVE,
    EXACT,
    bright_limit,
    framed,
    glow_style,
    glowing,
    lit,
    overlay,
    overlay_style,
)

PICTURE = np.random.default_rng(0).integers(0, 256, size=(20, 30, 3), dtype=np.uint8)


def test_zero_is_black_and_the_limit_is_the_end_of_the_colour_map() -> None:
    colours = glowing(np.array([-1.0, 0.0, 1.0, 2.0, 9.0]), 2.0)
    assert colours[0].tolist() == colours[1].tolist()
    assert colours[1].max() <= 4
    assert colours[3].tolist() == colours[4].tolist() == [252, 255, 164]


def test_the_colours_are_infernos() -> None:
    shares = np.linspace(0, 1, 256)
    inferno = 255 * colormaps["inferno"](shares)[:, :3]
    np.testing.assert_allclose(glowing(shares, 1.0), inferno, atol=6)


def test_colours_grow_brighter_step_by_step() -> None:
    light = glowing(np.linspace(0, 1, 256), 1.0) @ np.array([0.299, 0.587, 0.114])
    assert (np.diff(light) > 0).all()
    assert light[-1] > 200


def test_all_zero_heat_leaves_a_gray_picture_without_numbers_that_are_none() -> None:
    with np.errstate(all="raise"):
        shown = overlay(PICTURE, np.zeros((20, 30)), 0.0)
    assert (shown[..., 0] == shown[..., 1]).all()
    assert (shown[..., 1] == shown[..., 2]).all()
    assert shown.std() > 10
    assert glowing(np.zeros((2, 2)), 0.0).max() <= 4


def test_the_line_surrounds_at_least_half_the_limit() -> None:
    heat = np.zeros((20, 30))
    heat[5:15, 10:20] = 1.0
    heat[0:3, 0:3] = 0.4
    shown = overlay(PICTURE, heat, 1.0)
    white = (shown == 255).all(axis=2)
    expected = np.zeros((20, 30), dtype=bool)
    expected[5:15, 10:20] = True
    expected[6:14, 11:19] = False
    np.testing.assert_array_equal(white, expected)


def test_heat_on_a_common_scale_is_fainter_than_on_its_own() -> None:
    heat = np.full((20, 30), 0.2)
    assert (
        np.ptp(overlay(PICTURE, heat, 1.0), axis=2).mean()
        < np.ptp(overlay(PICTURE, heat, 0.2), axis=2).mean()
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_is_dark_outside_the_exact_patch_and_framed_inside(channels: int) -> None:
    picture = np.full((20, 30, channels), 200, dtype=np.uint8)
    shown = framed(picture, Box(4, 6, 14, 26), Box(6, 10, 10, 20), times=2)
    assert shown.shape == (40, 60, 3)
    assert shown[0, 0].tolist() == [60, 60, 60]
    assert shown[8, 12].tolist() == list(EXACT)
    assert shown[27, 51].tolist() == list(EXACT)
    assert shown[12, 20].tolist() == list(EFFECTIVE)
    assert shown[10, 16].tolist() == [200, 200, 200]
    assert shown[28, 52].tolist() == [60, 60, 60]


def test_a_neuron_that_sees_only_padding_frames_nothing() -> None:
    shown = framed(PICTURE, Box(0, 0, 0, 0))
    assert shown.max() <= round(0.3 * 255)


def test_light_is_black_below_zero_and_full_at_the_limit() -> None:
    gradient = np.array([[[-2.0, 0.0], [1.0, 4.0]]])
    assert lit(gradient, 2.0)[..., 0].tolist() == [[0, 0], [128, 255]]
    assert lit(np.zeros((3, 2, 2)), 0.0).max() == 0


def test_the_bright_limit_lets_a_fiftieth_of_the_positive_values_shine_fully() -> None:
    gradient = np.concatenate([np.arange(1.0, 101.0), np.zeros(900), -np.ones(5)]).reshape(1, 5, -1)
    limit = bright_limit(gradient)
    assert ((gradient > limit) & (gradient > 0)).sum() == 2
    assert bright_limit(-np.ones((1, 2, 2))) == 0.0


def test_styles_end_with_the_colours_of_the_pictures() -> None:
    red, green, blue = glowing(np.array(1.0), 1.0)
    assert f"rgb({red} {green} {blue} / 1.00)" in glow_style()
    assert overlay_style().startswith("linear-gradient(to right, rgb(")
    assert "/ 0.00)" in overlay_style().split(",")[1]
