"""What an array of images means, by shape and by values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from convoscope.arrays import Array
from convoscope.data.pixel_arrays import as_pixels
from convoscope.errors import DataError


def counting(*shape: int) -> Array:
    """uint8 images of that shape, with a 255 so that the scale is clear."""
    return (255 - np.arange(math.prod(shape)) % 255).astype(np.uint8).reshape(shape)


def test_gray_maps_get_a_channel() -> None:
    images = counting(2, 3, 4)
    assert np.array_equal(as_pixels([images]), images[..., None])


def test_channels_last_stay_and_channels_first_move() -> None:
    images = counting(2, 4, 5, 3)
    assert np.array_equal(as_pixels([images]), images)
    assert np.array_equal(as_pixels([images.transpose(0, 3, 1, 2)]), images)


def test_a_square_row_is_a_gray_image() -> None:
    images = counting(2, 5, 5)
    assert np.array_equal(as_pixels([images.reshape(2, 25)]), images[..., None])


def test_rows_of_colour_need_their_shape_and_may_have_channels_first() -> None:
    images = counting(2, 4, 6, 3)
    rows = images.reshape(2, -1)
    planes = images.transpose(0, 3, 1, 2).reshape(2, -1)
    assert np.array_equal(as_pixels([rows], image_shape=(4, 6, 3)), images)
    assert np.array_equal(as_pixels([planes], image_shape=(4, 6, 3), layout="chw"), images)


@given(
    n=st.integers(1, 3), h=st.integers(1, 7), w=st.integers(1, 7), c=st.sampled_from([1, 3]),
    first=st.booleans(),
)  # fmt: skip
def test_every_shape_is_read_back_when_all_is_said(
    n: int, h: int, w: int, c: int, first: bool
) -> None:
    images = counting(n, h, w, c)
    given_array = images.transpose(0, 3, 1, 2) if first else images
    again = as_pixels([given_array], image_shape=(h, w, c), layout="chw" if first else "hwc")
    assert np.array_equal(again, images)


@given(h=st.integers(1, 7), w=st.integers(1, 7), c=st.sampled_from([1, 3]))
def test_the_layout_is_found_alone_where_only_one_end_can_be_channels(
    h: int, w: int, c: int
) -> None:
    assume(h not in (1, 3))
    assume(w not in (1, 3))
    images = counting(2, h, w, c)
    assert np.array_equal(as_pixels([images]), images)
    assert np.array_equal(as_pixels([images.transpose(0, 3, 1, 2)]), images)


def test_parts_are_joined_in_order_and_share_one_scale() -> None:
    train, test = np.full((2, 2, 2), 200.0), np.ones((1, 2, 2))
    pixels = as_pixels([train, test])
    assert pixels[:, 0, 0, 0].tolist() == [200, 200, 1]  # the ones are not 255


def test_many_images_pass_in_pieces() -> None:
    images = (np.arange(9000, dtype=np.int64) % 256).reshape(9000, 1, 1)
    assert np.array_equal(as_pixels([images])[:, 0, 0, 0], images.ravel())


@pytest.mark.parametrize(
    ("values", "pixels"),
    [
        (np.array([0, 0.5, 1.0]), [0, 128, 255]),
        (np.array([0, 0.25, 1.0], np.float16), [0, 64, 255]),
        (np.array([0.0, 127.6, 255.0]), [0, 128, 255]),
        (np.array([False, True, True]), [0, 255, 255]),
        (np.array([0, 1, 1], np.uint8), [0, 255, 255]),
        (np.array([0, 1, 2], np.int64), [0, 1, 2]),
        (np.array([0, 1, 255], np.uint16), [0, 1, 255]),
    ],
)
def test_the_scale_follows_type_and_maximum(values: Array, pixels: list[int]) -> None:
    result = as_pixels([values.reshape(3, 1, 1)])
    assert result.dtype == np.uint8
    assert result.ravel().tolist() == pixels


@pytest.mark.parametrize(
    ("array", "options", "sentence"),
    [
        (counting(2, 3, 6, 3), {}, "both could be: say --image-layout hwc or chw"),
        (counting(2, 5, 6, 4), {}, r"1 or 3 channels, first or last, but the array has \(N, 5, 6"),
        (
            counting(2, 5, 6, 3),
            {"layout": "chw"},
            r"here layout='chw', but the array has \(N, 5, 6, 3\): save them as",
        ),
        (
            counting(2, 5, 6),
            {"image_shape": (6, 5)},
            r"here image_shape=\(6, 5\), but the array has \(N, 5, 6\)",
        ),
        (
            counting(2, 3072),
            {},
            r"square and gray, but these have 3072 values: .* "
            r"HEIGHTxWIDTHxCHANNELS, such as 32x32x3 \(image_shape=\)",
        ),
        (counting(2, 7), {}, r"or say --image-shape HEIGHTxWIDTHxCHANNELS \(image_shape=\)$"),
        (counting(2, 12), {"image_shape": (3, 3)}, r"and 12 values in all, got \(3, 3\)"),
        (counting(2, 12), {"image_shape": (3, 2, 2)}, r"1 or 3 channels and 12 values .* got"),
        (counting(2, 3, 4, 5, 3), {}, r"\(N, C, H, W\), alike but for N, got \(2, 3, 4, 5, 3\)"),
        (counting(5), {}, r"got \(5,\): save images of one size"),
        (np.zeros((0, 4, 4)), {}, r"must not be empty, got \(0, 4, 4\)"),
        (np.full((1, 2, 2), "a"), {}, "pixels must be numbers, got values of type <U1"),
        (np.full((1, 2, 2), 1 + 1j), {}, "pixels must be numbers, got values of type complex128"),
        (np.full((1, 2, 2), -0.5), {}, "0 to 255 or in 0 to 1, got -0.5 to 0: save .* normalised"),
        (np.full((1, 2, 2), 65535, np.uint16), {}, "got 0 to 65535"),
    ],
)
def test_what_cannot_be_images_is_one_sentence(
    array: Array, options: dict[str, object], sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        as_pixels([array], **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_refused_and_counted(bad: float) -> None:
    images = np.zeros((5, 2, 2))
    images[3, 1, 1] = images[4, 0, 0] = bad
    with pytest.raises(
        DataError, match="2 of 5 images hold NaN or infinity, the first is number 3"
    ):
        as_pixels([images])


def test_parts_of_different_size_are_refused() -> None:
    with pytest.raises(DataError, match=r"alike but for N, got \(2, 4, 4\), \(2, 5, 5\)"):
        as_pixels([counting(2, 4, 4), counting(2, 5, 5)])
