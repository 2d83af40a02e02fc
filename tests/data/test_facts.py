from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy.fft import dctn
from sklearn.datasets import load_sample_image

from convoscope.arrays import ByteArray
from convoscope.data.decoding import Picture
from convoscope.data.facts import (
    ImageFacts,
    border_colour,
    facts_of,
    perceptual_hash,
    pixel_hash,
    squeezed,
)


def photograph(name: str = "china.jpg") -> ByteArray:
    return np.asarray(load_sample_image(name), dtype=np.uint8)


def hash_of(image: ByteArray) -> int:
    return int(perceptual_hash(squeezed(Image.fromarray(image).convert("L"))))


def test_the_perceptual_hash_is_the_signs_about_the_median_of_the_cosine_transform() -> None:
    small = squeezed(Image.fromarray(photograph()).convert("L"))
    low = dctn(small.astype(float), type=2)[:8, :8].ravel()
    bits = low > np.median(low[1:])
    bits[0] = False
    expected = int("".join("1" if bit else "0" for bit in bits), 2)
    assert int(perceptual_hash(small)) == expected


def test_the_perceptual_hash_survives_what_hardly_changes_a_picture() -> None:
    image = photograph()
    smaller = np.asarray(Image.fromarray(image).resize((200, 133)))
    brighter = np.clip(image.astype(int) + 20, 0, 255).astype(np.uint8)
    noisy = np.clip(image + np.random.default_rng(0).normal(0, 8, image.shape), 0, 255)
    for changed in (smaller, brighter, noisy.astype(np.uint8)):
        assert (hash_of(image) ^ hash_of(changed)).bit_count() <= 4
    assert (hash_of(image) ^ hash_of(photograph("flower.jpg"))).bit_count() >= 20


def test_the_pixel_hash_tells_every_pixel_and_the_shape() -> None:
    image = photograph()[:8, :8].copy()
    changed = image.copy()
    changed[3, 4, 1] ^= 1
    hashes = {pixel_hash(image), pixel_hash(changed), pixel_hash(image.reshape(4, 16, 3))}
    assert len(hashes) == 3
    assert pixel_hash(image[:, ::2]) == pixel_hash(image[:, ::2].copy())


def test_the_border_is_the_outermost_twentieth() -> None:
    image = np.zeros((40, 80, 3), np.uint8)
    image[2:-2, 4:-4] = 255
    assert border_colour(image).tolist() == [0, 0, 0]
    image[:2] = (255, 0, 0)
    ring = 40 * 80 - 36 * 72
    assert border_colour(image) == pytest.approx([2 * 80 / ring, 0, 0])


def test_the_border_of_a_tiny_picture_is_all_of_it() -> None:
    assert border_colour(np.full((1, 2, 3), 51, np.uint8)) == pytest.approx([0.2] * 3)


def test_the_facts_of_a_picture() -> None:
    gray = np.repeat(np.arange(0, 100, dtype=np.uint8).reshape(10, 10, 1), 3, axis=2)
    facts = facts_of(Picture(pixels=gray, width=20, height=30, mode="P"), sha256="x", file_size=7)
    assert facts["is_gray"] is True
    assert facts["brightness"] == pytest.approx(49.5 / 255)
    assert (facts["width"], facts["height"], facts["mode"]) == (20, 30, "P")
    assert (facts["sha256"], facts["file_size"]) == ("x", 7)
    tinted = gray.copy()
    tinted[5, 5, 2] += 1
    picture = Picture(pixels=tinted, width=10, height=10, mode="RGB")
    assert facts_of(picture, sha256="", file_size=0)["is_gray"] is False


def test_facts_become_arrays_and_back() -> None:
    picture = Picture(pixels=photograph(), width=640, height=427, mode="RGB")
    row = facts_of(picture, sha256="ab", file_size=5)
    facts = ImageFacts.from_rows([row, row, row])
    assert len(facts) == 3
    arrays = facts.arrays()
    assert {name: (a.dtype.kind, a.shape) for name, a in arrays.items()} == {
        "sha256": ("U", (3,)),
        "pixel_hash": ("U", (3,)),
        "perceptual": ("u", (3,)),
        "width": ("i", (3,)),
        "height": ("i", (3,)),
        "mode": ("U", (3,)),
        "file_size": ("i", (3,)),
        "is_gray": ("b", (3,)),
        "brightness": ("f", (3,)),
        "border": ("f", (3, 3)),
        "small": ("u", (3, 32, 32)),
    }
    again = ImageFacts.from_arrays(arrays)
    assert all((again.arrays()[name] == a).all() for name, a in arrays.items())
