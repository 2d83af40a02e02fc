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
    is_gray,
    perceptual_hash,
    pixel_hash,
    squeezed,
    undecided,
)


def photograph(name: str = "china.jpg") -> ByteArray:
    return np.asarray(load_sample_image(name), dtype=np.uint8)


def picture(pixels: ByteArray, *, mode: str = "RGB") -> Picture:
    height, width, _ = pixels.shape
    return Picture(image=Image.fromarray(pixels), width=width, height=height, mode=mode)


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
    pictures = [Image.fromarray(each) for each in (image, changed, image.reshape(4, 16, 3))]
    assert len({pixel_hash(each) for each in pictures}) == 3
    assert pixel_hash(pictures[0]) == pixel_hash(pictures[0].copy())


def test_only_other_files_that_look_the_same_at_a_glance_are_undecided() -> None:
    image = photograph()
    brighter, turned, hidden = image.copy(), image[:, ::-1].copy(), image.copy()
    brighter[0, 0, 1] ^= 1
    hidden[200, 300, 2] ^= 1  # so little blue that the luminance stays
    luminances = {Image.fromarray(each).convert("L").tobytes() for each in (image, hidden)}
    assert len(luminances) == 1
    files = {"a": image, "b": brighter, "c": turned, "d": hidden}
    rows = [facts_of(picture(files[name]), sha256=name, file_size=1) for name in "abcdaabb"]
    assert undecided(rows).tolist() == [0, 3, 4, 5]


def test_the_border_is_the_outermost_twentieth() -> None:
    image = np.zeros((40, 80, 3), np.uint8)
    image[2:-2, 4:-4] = 255
    assert border_colour(Image.fromarray(image)).tolist() == [0, 0, 0]
    image[:2] = (255, 0, 0)
    ring = 40 * 80 - 36 * 72
    assert border_colour(Image.fromarray(image)) == pytest.approx([2 * 80 / ring, 0, 0])


@pytest.mark.parametrize("shape", [(1, 2), (7, 9), (100, 90), (640, 427), (3, 6000), (6000, 30)])
def test_border_and_brightness_of_pictures_of_any_size(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(128, 256, (*shape, 3)).astype(np.uint8)
    rows, columns = (max(1, round(0.05 * side)) for side in shape)
    inside = np.zeros(shape, bool)
    inside[rows : shape[0] - rows, columns : shape[1] - columns] = True
    assert border_colour(Image.fromarray(image)) == pytest.approx(image[~inside].mean(axis=0) / 255)
    luminance = np.asarray(Image.fromarray(image).convert("L"))
    facts = facts_of(picture(image), sha256="", file_size=0)
    assert facts["brightness"] == float(luminance.mean() / 255)


def test_the_border_of_a_tiny_picture_is_all_of_it() -> None:
    tiny = Image.new("RGB", (2, 1), (51, 51, 51))
    assert border_colour(tiny) == pytest.approx([0.2] * 3)


@pytest.mark.parametrize("row", [0, 150, 299])
@pytest.mark.parametrize("channel", [0, 1, 2])
def test_one_coloured_pixel_makes_a_picture_no_gray_one(row: int, channel: int) -> None:
    gray = np.repeat(photograph()[:300, :, :1], 3, axis=2)
    assert is_gray(picture(gray))
    assert is_gray(picture(gray, mode="L"))
    gray[row, 7, channel] ^= 1
    assert not is_gray(picture(gray))


def test_the_facts_of_a_picture() -> None:
    gray = np.repeat(np.arange(0, 100, dtype=np.uint8).reshape(10, 10, 1), 3, axis=2)
    upright = Picture(image=Image.fromarray(gray), width=20, height=30, mode="P")
    facts = facts_of(upright, sha256="x", file_size=7)
    assert facts["is_gray"] is True
    assert facts["brightness"] == pytest.approx(49.5 / 255)
    assert (facts["width"], facts["height"], facts["mode"]) == (20, 30, "P")
    assert (facts["sha256"], facts["file_size"]) == ("x", 7)
    tinted = gray.copy()
    tinted[5, 5, 2] += 1
    assert facts_of(picture(tinted), sha256="", file_size=0)["is_gray"] is False


def test_facts_become_arrays_and_back() -> None:
    row = facts_of(picture(photograph()), sha256="ab", file_size=5)
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
