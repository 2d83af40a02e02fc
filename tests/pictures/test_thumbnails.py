from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits, load_sample_image

from convoscope.arrays import ByteArray
from convoscope.pictures.thumbnails import LONGEST, data_uri, shrink


def opened(uri: str) -> Image.Image:
    kind, _, content = uri.partition(";base64,")
    picture = Image.open(io.BytesIO(base64.b64decode(content)))
    assert kind == f"data:image/{(picture.format or '').lower()}"
    return picture


@pytest.fixture(scope="module")
def china() -> ByteArray:
    return np.asarray(load_sample_image("china.jpg"))


def test_the_longer_side_becomes_the_longest_allowed_and_the_aspect_stays(china: ByteArray) -> None:
    small = shrink(china[None])
    assert small.dtype == np.uint8
    assert small.shape == (1, round(427 * LONGEST / 640), LONGEST, 3)
    assert abs(float(small.mean()) - float(china.mean())) < 1


def test_gray_images_keep_their_one_channel(china: ByteArray) -> None:
    assert shrink(china[None, ..., :1]).shape[-1] == 1


def test_images_that_are_small_enough_stay_as_they_are() -> None:
    digits = load_digits().images[:3, ..., None].astype(np.uint8)
    np.testing.assert_array_equal(shrink(digits), digits)


def test_a_tiny_image_is_kept_exactly() -> None:
    digit = (load_digits().images[0] * 15).astype(np.uint8)[..., None]
    np.testing.assert_array_equal(np.asarray(opened(data_uri(digit))), digit[..., 0])


def test_a_photograph_is_kept_nearly_in_little_room(china: ByteArray) -> None:
    small = shrink(china[None])[0]
    uri = data_uri(small)
    back = np.asarray(opened(uri).convert("RGB")).astype(float)
    assert float(np.abs(back - small).mean()) < 8
    assert len(uri) < small.size / 4
