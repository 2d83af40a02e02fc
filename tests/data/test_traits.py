"""Traits against what they mean, computed from pictures whose answer is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convoscope.arrays import Array, ByteArray
from convoscope.data.cache import decode
from convoscope.data.preprocessing import Preprocessing
from convoscope.data.sources import open_dataset
from convoscope.data.traits import TRAITS, named, traits_of


def traits_in(root: Path, *pictures: ByteArray) -> dict[str, Array]:
    """The traits of pictures (h, w, 3) saved without loss, one class for each."""
    for number, pixels in enumerate(pictures):
        (root / str(number)).mkdir()
        Image.fromarray(pixels).save(root / str(number) / "picture.png")
    preprocessing = Preprocessing(size=(1, 1), order="gray")
    return traits_of(decode(open_dataset(root), preprocessing=preprocessing).facts)


def framed(inside: tuple[int, int, int], border: tuple[int, int, int]) -> ByteArray:
    """A picture 60 wide and 40 high whose outermost twentieth has a colour of its own."""
    pixels = np.empty((40, 60, 3), np.uint8)
    pixels[:] = border
    pixels[2:-2, 3:-3] = inside
    return pixels


def test_traits_are_what_they_mean(tmp_path: Path) -> None:
    found = traits_in(tmp_path, framed((51, 51, 51), (255, 0, 0)), framed((9, 9, 9), (0, 0, 255)))
    assert set(found) == set(TRAITS)
    assert found["gray"].tolist() == [False, False]
    assert (found["width"][0], found["height"][0], found["aspect"][0]) == (60, 40, 1.5)
    assert found["border brightness"].tolist() == pytest.approx([1 / 3, 1 / 3])
    assert found["border redness"].tolist() == pytest.approx([1, -0.5], abs=0.021)
    assert found["border greenness"].tolist() == pytest.approx([-0.5, -0.5], abs=0.021)
    assert found["border blueness"].tolist() == pytest.approx([-0.5, 1], abs=0.021)
    assert found["file size"][0] == (tmp_path / "0" / "picture.png").stat().st_size
    share_inside = 36 * 54 / 2400
    expected = (share_inside * 51 + (1 - share_inside) * 0.299 * 255) / 255
    assert found["brightness"][0] == pytest.approx(expected, abs=0.005)


def test_gray_borders_have_no_hue_and_nearly_gray_ones_neither(tmp_path: Path) -> None:
    found = traits_in(tmp_path, framed((9, 99, 9), (70, 70, 70)), framed((9, 9, 9), (73, 70, 70)))
    for hue in ("border redness", "border greenness", "border blueness"):
        assert found[hue].tolist() == [0, 0]


def test_nothing_is_said_of_the_borders_of_small_pictures(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    small = [rng.integers(0, 256, (31, 90, 3)).astype(np.uint8) for _ in range(2)]
    assert set(traits_in(tmp_path, *small)) == {
        name for name in TRAITS if not name.startswith("border")
    }


def test_values_are_written_with_their_units() -> None:
    said = {name: trait.written(0.128) for name, trait in TRAITS.items()}
    assert said["gray"] == "colour"
    assert TRAITS["gray"].written(1.0) == "gray"
    assert TRAITS["width"].written(128.0) == TRAITS["height"].written(128.0) == "128 px"
    assert TRAITS["file size"].written(7072.0) == "7.1 kB"
    assert said["aspect"] == "0.13 : 1"
    assert said["brightness"] == said["border brightness"] == "13 %"
    assert said["border redness"] == "+13 %"
    assert TRAITS["border redness"].written(-0.02) == "\N{MINUS SIGN}2 %"
    assert TRAITS["border redness"].written(0.004) == "0 %"


def test_a_class_is_told_by_its_width_but_by_being_gray() -> None:
    assert (named("width"), named("gray")) == ("width", "being gray")
