from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_sample_image

from convoscope.arrays import ByteArray, FloatArray, generator
from convoscope.data.augment import POLICIES, Policy, augment, find_policy
from convoscope.errors import SettingsError, UnknownNameError


class Drawn(np.random.Generator):
    """A generator that gives the six numbers it is told."""

    def __init__(self, *numbers: float) -> None:
        super().__init__(np.random.PCG64(0))
        self.numbers = numbers

    def random(self, size: object = None, *_: object) -> FloatArray:  # type: ignore[override]
        assert size == len(self.numbers)
        return np.array(self.numbers)


def smooth(height: int = 24, width: int = 40, channels: int = 3) -> ByteArray:
    rows, columns, depth = np.mgrid[0:height, 0:width, 0:channels]
    waves = np.sin(rows / 5 + depth) * np.cos(columns / 6 - depth)
    return np.asarray(127 + 100 * waves, np.uint8)


def slow_warp(
    image: ByteArray, *, angle: float, zoom: float, shift: tuple[float, float], flip: bool
) -> ByteArray:
    """One output pixel at a time; what lies outside is black. ``shift`` (rows, columns)."""
    height, width, channels = image.shape
    result = np.zeros_like(image)
    middle_row, middle_column = (height - 1) / 2, (width - 1) / 2
    padded = np.zeros((height + 2, width + 2, channels))
    padded[1:-1, 1:-1] = image
    for row in range(height):
        for column in range(width):
            x = (column - middle_column) * (-1 if flip else 1) * zoom
            y = (row - middle_row) * zoom
            source_x = middle_column + x * math.cos(angle) - y * math.sin(angle) + shift[1]
            source_y = middle_row + x * math.sin(angle) + y * math.cos(angle) + shift[0]
            left, top = math.floor(source_x), math.floor(source_y)
            if not (-1 <= left < width and -1 <= top < height):
                continue
            part_x, part_y = source_x - left, source_y - top
            block = padded[top + 1 : top + 3, left + 1 : left + 3]
            rows = block[0] * (1 - part_y) + block[1] * part_y
            result[row, column] = np.rint(rows[0] * (1 - part_x) + rows[1] * part_x)
    return result


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("draws", "expected"),
    [
        ((0.9, 0.9, 1.0, 0.5, 0.5, 0.5), {"angle": 30.0}),
        ((0.9, 0.9, 0.0, 0.5, 0.5, 0.5), {"angle": -30.0}),
        ((0.9, 0.9, 0.5, 0.0, 0.5, 0.5), {"zoom": 0.5}),
        ((0.9, 0.9, 0.5, 1.0, 0.5, 0.5), {"zoom": 1.5}),
        ((0.9, 0.9, 0.5, 0.5, 1.0, 0.25), {"shift": (-2.4, 8.0)}),
        ((0.1, 0.9, 0.75, 0.25, 0.75, 0.25), {"flip": 1, "angle": 15.0, "zoom": 0.75,
                                               "shift": (-2.4, 4.0)}),
    ],
)  # fmt: skip
def test_a_warp_is_what_the_definition_gives(
    channels: int, draws: tuple[float, ...], expected: dict[str, object]
) -> None:
    policy = Policy(flip_horizontal=True, rotation=30, zoom=(0.5, 1.5), shift=0.2, outside="black")
    image = smooth(channels=channels)
    change = {"angle": 0.0, "zoom": 1.0, "shift": (0.0, 0.0), "flip": False, **expected}
    change["angle"] = math.radians(change["angle"])  # type: ignore[arg-type]
    found = augment(image, policy, Drawn(*draws))
    wanted = slow_warp(image, **change)  # type: ignore[arg-type]
    assert found.shape == image.shape
    # OpenCV rounds where it reads to 1/32 of a pixel, which shows only at the black edge.
    assert np.percentile(np.abs(found.astype(int) - wanted), 97) <= 2


@pytest.mark.parametrize(
    ("draws", "rows", "columns"),
    [((0.1, 0.9), 1, -1), ((0.9, 0.1), -1, 1), ((0.1, 0.1), -1, -1), ((0.9, 0.9), 1, 1)],
)
def test_flips_move_pixels_and_change_none(
    draws: tuple[float, float], rows: int, columns: int
) -> None:
    image = smooth()
    policy = Policy(flip_horizontal=True, flip_vertical=True)
    found = augment(image, policy, Drawn(*draws, 0.5, 0.5, 0.5, 0.5))
    assert (found == image[::rows, ::columns]).all()


def test_flips_happen_to_half_of_the_images() -> None:
    image = smooth()
    flipped = [
        bool((augment(image, POLICIES["flip"], generator(0, n)) != image).any()) for n in range(400)
    ]
    assert 160 <= sum(flipped) <= 240


def test_none_gives_the_image_itself_and_draws_nothing() -> None:
    image, rng = smooth(), np.random.default_rng(0)
    assert augment(image, POLICIES["none"], rng) is image
    assert rng.random() == np.random.default_rng(0).random()


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_the_same_generator_gives_the_same_bytes_and_the_image_stays(name: str) -> None:
    image = smooth()
    before = image.copy()
    image.setflags(write=False)
    first, second = (augment(image, POLICIES[name], generator(3, "augment", 1, 7)) for _ in "ab")
    assert first.tobytes() == second.tobytes()
    assert (image == before).all()
    assert first.dtype == np.uint8


@given(
    st.sampled_from([p for name, p in POLICIES.items() if name != "none"]),
    st.integers(0, 2**31),
    st.tuples(st.integers(1, 30), st.integers(1, 30), st.sampled_from([1, 3])),
)
@settings(deadline=None, max_examples=80)
def test_every_policy_keeps_shape_and_constant_pictures(
    policy: Policy, seed: int, shape: tuple[int, int, int]
) -> None:
    flat = np.full(shape, 77, np.uint8)
    changed = augment(flat, policy, np.random.default_rng(seed))
    assert changed.shape == shape
    if policy.outside == "mirror":
        assert (changed == 77).all()


def test_handwriting_is_never_mirrored_and_what_comes_in_is_black() -> None:
    policy = POLICIES["handwriting"]
    assert not policy.flip_horizontal
    assert not policy.flip_vertical
    shifted = augment(
        np.full((20, 20, 1), 255, np.uint8), policy, Drawn(0.9, 0.9, 0.5, 0.5, 1, 0.5)
    )
    assert shifted[:, -1].max() == 0


def test_row_13_is_what_its_source_says() -> None:
    policy = POLICIES["row13"]
    assert (policy.rotation, policy.zoom) == (90, (0.5, 1.0))
    assert policy.flip_horizontal
    assert policy.flip_vertical


def test_zoom_keeps_that_part_of_the_side_in_view() -> None:
    image = np.asarray(load_sample_image("china.jpg"), np.uint8)[:401, :401]
    zoomed = augment(image, Policy(zoom=(0.5, 0.5)), Drawn(0, 0, 0.5, 0.5, 0.5, 0.5))
    middle = image[100:301, 100:301]
    assert (zoomed[::2, ::2] == middle).all()


def test_an_unknown_policy_is_told_with_the_nearest() -> None:
    assert find_policy("light") is POLICIES["light"]
    with pytest.raises(UnknownNameError, match="no augmentation 'ligth': did you mean 'light'"):
        find_policy("ligth")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("rotation", 181.0, "rotation must be from 0 to 180 degrees, got 181"),
        ("rotation", -1.0, "rotation must be from 0 to 180 degrees, got -1"),
        ("zoom", (0.0, 1.0), r"zoom must be \(low, high\) with 0 < low <= high, got \(0.0, 1.0\)"),
        ("zoom", (1.0, 0.5), "zoom must be"),
        ("shift", 1.5, "shift must be a part from 0 to 1 of a side, got 1.5"),
    ],
)
def test_a_policy_out_of_range_is_refused(field: str, value: object, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Policy(**{field: value})  # type: ignore[arg-type]
