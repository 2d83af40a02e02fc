from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_sample_image

from convoscope.arrays import Array, ByteArray, FloatArray, generator
from convoscope.data.augment import POLICIES, Policy, augment, find_policy
from convoscope.data.recolour import recoloured
from convoscope.errors import SettingsError, UnknownNameError

DRAWS = (
    "mirrored", "upturned", "angle", "zoom", "shift_x", "shift_y", "shear", "area", "aspect",
    "crop_x", "crop_y", "brightness", "contrast", "saturation", "erased", "erased_area",
    "erased_aspect", "erased_x", "erased_y",
)  # fmt: skip
"""What the numbers that are drawn for an image are for, in their order."""

EARLIER = "0e23ba6fceff6853dfec41392bb2315789ead79581dfa6e3c823f1072ee5ed58"
"""The SHA-256 of a few images changed by the policies as they were first published."""


class Drawn(np.random.Generator):
    """A generator that gives the numbers it is told, and then halves, which change nothing."""

    def __init__(self, *numbers: float, **places: float) -> None:
        super().__init__(np.random.PCG64(0))
        self.numbers = np.full(len(DRAWS), 0.5)
        self.numbers[: len(numbers)] = numbers
        for name, number in places.items():
            self.numbers[DRAWS.index(name)] = number

    def random(self, size: object = None, *_: object) -> FloatArray:  # type: ignore[override]
        assert size == len(self.numbers)
        return self.numbers


def smooth(height: int = 24, width: int = 40, channels: int = 3) -> ByteArray:
    rows, columns, depth = np.mgrid[0:height, 0:width, 0:channels]
    waves = np.sin(rows / 5 + depth) * np.cos(columns / 6 - depth)
    return np.asarray(127 + 100 * waves, np.uint8)


def slow_warp(
    image: ByteArray,
    *,
    angle: float,
    zoom: float,
    shift: tuple[float, float],
    flip: bool,
    lean: float = 0.0,
    sides: tuple[float, float] = (1.0, 1.0),
) -> ByteArray:
    """One output pixel at a time; what lies outside is black. ``shift`` (rows, columns), ``sides``
    (width, height) of what is cut out.
    """
    height, width, channels = image.shape
    result = np.zeros_like(image)
    middle_row, middle_column = (height - 1) / 2, (width - 1) / 2
    padded = np.zeros((height + 2, width + 2, channels))
    padded[1:-1, 1:-1] = image
    for row in range(height):
        for column in range(width):
            x = (column - middle_column) * (-1 if flip else 1) * sides[0]
            y = (row - middle_row) * sides[1]
            x, y = zoom * (x + math.tan(lean) * y), zoom * y
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
        ((0.9, 0.9, 0.5, 0.5, 0.5, 0.5, 0.0), {"lean": -20.0}),
        ((0.1, 0.9, 0.75, 0.5, 0.5, 0.5, 1.0), {"flip": 1, "angle": 15.0, "lean": 20.0}),
    ],
)  # fmt: skip
def test_a_warp_is_what_the_definition_gives(
    channels: int, draws: tuple[float, ...], expected: dict[str, object]
) -> None:
    policy = Policy(
        flip_horizontal=True, rotation=30, zoom=(0.5, 1.5), shift=0.2, shear=20, outside="black"
    )
    image = smooth(channels=channels)
    change = {"angle": 0.0, "zoom": 1.0, "shift": (0.0, 0.0), "flip": False, "lean": 0.0}
    change |= expected
    for name in ("angle", "lean"):
        change[name] = math.radians(change[name])  # type: ignore[arg-type]
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
    if policy.outside == "mirror" and not policy.recolours:
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


def test_the_policies_that_were_there_draw_what_they_drew() -> None:
    image = np.asarray(load_sample_image("china.jpg"), np.uint8)[:96, :96]
    digest = hashlib.sha256()
    without_shear = Policy(rotation=10, zoom=(0.9, 1.1), shift=0.08, outside="black")
    for policy in (POLICIES["flip"], POLICIES["light"], without_shear, POLICIES["row13"]):
        for number in range(8):
            changed = augment(image, policy, generator(5, "augment", 1, number))
            digest.update(changed.tobytes())
    draws = np.random.default_rng(3)
    assert (draws.random(6) == np.random.default_rng(3).random(19)[:6]).all()
    assert digest.hexdigest() == EARLIER


@pytest.mark.parametrize(("x", "y"), [(0.0, 0.0), (1.0, 0.0), (0.5, 0.5), (0.25, 1.0)])
@pytest.mark.parametrize("aspect", [0.0, 0.5, 1.0])
def test_a_crop_is_that_part_of_the_picture_stretched(x: float, y: float, aspect: float) -> None:
    image = smooth(60, 80)
    policy = Policy(crop=(0.25, 0.25), outside="black")
    found = augment(image, policy, Drawn(area=0.3, aspect=aspect, crop_x=x, crop_y=y))
    ratio = (4 / 3) ** (2 * aspect - 1)
    wide, high = math.sqrt(0.25 * ratio), math.sqrt(0.25 / ratio)
    shift = ((1 - high) * (y - 0.5) * 60, (1 - wide) * (x - 0.5) * 80)
    wanted = slow_warp(image, angle=0, zoom=1, shift=shift, flip=False, sides=(wide, high))
    assert np.percentile(np.abs(found.astype(int) - wanted), 97) <= 2
    # What is cut out lies inside: nothing black comes in.
    assert (augment(np.full((60, 80, 1), 9, np.uint8), policy, generator(0, x, y)) == 9).all()  # type: ignore[arg-type]


def slow_recolour(image: ByteArray, brightness: float, contrast: float, saturation: float) -> Array:
    """One pixel at a time, in floats."""
    weights = np.array([0.299, 0.587, 0.114]) if image.shape[2] == 3 else np.ones(1)
    bright = [[float(weights @ pixel) for pixel in row] for row in image.astype(float)]
    mean = sum(map(sum, bright)) / (image.shape[0] * image.shape[1])
    result = np.zeros(image.shape)
    for row in range(image.shape[0]):
        for column in range(image.shape[1]):
            pixel = image[row, column].astype(float)
            pixel = saturation * pixel + (1 - saturation) * bright[row][column]
            pixel = brightness * (contrast * pixel + (1 - contrast) * mean)
            result[row, column] = np.clip(pixel, 0, 255)
    return result


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "factors",
    [(1.4, 1, 1), (0.5, 1, 1), (1, 1.6, 1), (1, 0, 1), (1, 1, 0), (1, 1, 2), (1.2, 0.7, 1.5)],
)
def test_colours_change_as_the_definition_says(
    channels: int, factors: tuple[float, float, float]
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 7, channels), np.uint8)
    if channels == 1:
        factors = (*factors[:2], 1)
    before = image.copy()
    found = recoloured(image, *factors)
    # Where channels are mixed, OpenCV calculates with ten binary places.
    tolerance = 0.5001 if factors[2] == 1 else 0.9
    assert np.abs(found - slow_recolour(image, *factors)).max() <= tolerance
    assert (image == before).all()


def test_a_policy_draws_each_factor_from_its_range() -> None:
    image = smooth()
    policy = Policy(brightness=0.2, contrast=0.3, saturation=0.4)
    found = augment(image, policy, Drawn(brightness=1.0, contrast=0.0, saturation=0.75))
    assert (found == recoloured(image, 1.2, 0.7, 1.2)).all()
    assert (augment(image, policy, Drawn()) == image).all()


def test_what_comes_in_stays_black_however_bright_the_picture_gets() -> None:
    policy = Policy(shift=0.5, contrast=1.0, outside="black")
    shifted = augment(np.full((20, 20, 3), 200, np.uint8), policy, Drawn(shift_x=1, contrast=0))
    assert shifted[:, -1].max() == 0
    assert shifted[:, 0].min() == 200


def test_erasing_takes_a_rectangle_of_that_area_in_the_mean_colour() -> None:
    image = smooth(60, 80)
    policy = Policy(erasing=0.5)
    draws = {"erased_area": 1.0, "erased_aspect": 0.5, "erased_x": 0.0, "erased_y": 0.99}
    found = augment(image, policy, Drawn(erased=0.4, **draws))
    changed = (found != image).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    side = math.sqrt(0.2 * 60 * 80)
    assert abs(len(rows) - side) <= 1
    assert abs(len(columns) - side) <= 1
    assert columns[0] == 0
    assert rows[-1] == 59
    assert (found[50, 10] == np.rint(image.mean(axis=(0, 1)))).all()
    assert (augment(image, policy, Drawn(erased=0.6, **draws)) == image).all()


def test_erasing_happens_to_that_share_of_the_images_and_never_leaves_the_picture() -> None:
    image = smooth(13, 9, 1)
    policy = Policy(erasing=0.25)
    changed = [(augment(image, policy, generator(0, n)) != image).any() for n in range(800)]
    assert 150 <= sum(map(bool, changed)) <= 250
    assert augment(np.zeros((1, 1, 1), np.uint8), Policy(erasing=1), generator(0, "a")).shape


def test_photos_uses_everything_that_keeps_a_photograph_one() -> None:
    policy = POLICIES["photos"]
    assert policy.warps
    assert policy.recolours
    assert policy.erasing
    assert policy.flip_horizontal
    assert not policy.flip_vertical
    assert not policy.mixes
    assert POLICIES["photos-mixed"].mixes


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
        ("shear", 46.0, "shear must be from 0 to 45 degrees, got 46"),
        ("crop", (0.5, 1.1), r"crop must be \(low, high\) with 0 < low <= high <= 1, got \(0.5, 1"),
        ("crop", (0.0, 1.0), "crop must be"),
        ("brightness", 1.5, "brightness must be a part from 0 to 1, got 1.5"),
        ("contrast", -0.1, "contrast must be a part from 0 to 1, got -0.1"),
        ("saturation", 2.0, "saturation must be a part from 0 to 1, got 2"),
        ("erasing", 1.1, "erasing must be a part from 0 to 1, got 1.1"),
        ("mixup", -1.0, "mixup must be at least 0 and finite, got -1"),
        ("cutmix", math.inf, "cutmix must be at least 0 and finite, got inf"),
    ],
)
def test_a_policy_out_of_range_is_refused(field: str, value: object, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Policy(**{field: value})  # type: ignore[arg-type]
