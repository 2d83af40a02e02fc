"""Images and preprocessing that fit a network, and the sentences for those that do not."""

from __future__ import annotations

import numpy as np
import pytest

from convoscope.arrays import Array
from convoscope.data.preprocessing import Preprocessing
from convoscope.engines.inputs import check_images, check_preprocessing, default_preprocessing
from convoscope.errors import SettingsError, ShapeError


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64"])
def test_bytes_and_floats_pass(dtype: str) -> None:
    check_images(np.zeros((2, 3, 4, 5), dtype=dtype), (3, 4, 5))
    check_images(np.zeros((0, 3, 4, 5), dtype=dtype), (3, 4, 5))


SPOILT = np.zeros((3, 3, 4, 5))
SPOILT[1, 2, 3, 4] = np.inf


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (
            np.zeros((3, 4, 5)),
            "images must be (N, 3, 4, 5), got an array of shape (3, 4, 5): a single image is  "
            "image[None]",
        ),
        (
            np.zeros((2, 4, 5, 3)),
            "images must be (N, 3, 4, 5), got an array of shape (2, 4, 5, 3): move the channels "
            "first with  images.transpose(0, 3, 1, 2)",
        ),
        (
            np.zeros((2, 1, 4, 5)),
            "images must be (N, 3, 4, 5), got an array of shape (2, 1, 4, 5): resize them to the "
            "network's input, or build the network with theirs",
        ),
        (
            np.zeros((2, 3, 4, 5), dtype=np.int32),
            "images must be uint8 in 0..255 or floats in [0, 1], got int32: convert them with  "
            "images.astype('uint8')",
        ),
        (
            np.zeros((2, 3, 4, 5), dtype=bool),
            "images must be uint8 in 0..255 or floats in [0, 1], got bool: convert them with  "
            "images.astype('float32')",
        ),
        (
            [[1, 2], [3, 4]],
            "images must be an array (N, 3, 4, 5), got a list: make one with  "
            "numpy.asarray(images)",
        ),
        (
            SPOILT,
            "images must hold finite numbers, got NaN or infinity in image 1 (1 of 3 images): "
            "leave it out or mend it",
        ),
    ],
)
def test_images_that_do_not_fit_are_one_sentence(images: Array, message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        check_images(images, (3, 4, 5))
    assert str(caught.value) == message


def test_the_default_fits_and_changes_nothing() -> None:
    assert default_preprocessing((3, 4, 5)) == Preprocessing(size=(4, 5))
    assert default_preprocessing((1, 4, 5)) == Preprocessing(size=(4, 5), order="gray")
    for shape in ((1, 4, 5), (3, 4, 5), (6, 4, 5)):
        check_preprocessing(default_preprocessing(shape), shape)


@pytest.mark.parametrize(
    ("preprocessing", "message"),
    [
        (Preprocessing(size=(5, 4)), "size must be the network's input size (4, 5), got (5, 4)"),
        (
            Preprocessing(size=(4, 5), order="bgr"),
            "order 'bgr' is for 3 channels, the network takes 1: use 'rgb' or 'gray'",
        ),
        (
            Preprocessing(size=(4, 5), mean=(0.1, 0.2, 0.3)),
            "mean must have 1 value or one per channel (1), got 3",
        ),
        (Preprocessing(size=(4, 5), sd=(0.0,)), "sd must be above 0, got 0.0"),
    ],
)
def test_preprocessing_that_does_not_fit_is_one_sentence(
    preprocessing: Preprocessing, message: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        check_preprocessing(preprocessing, (1, 4, 5))
    assert message in str(caught.value)
