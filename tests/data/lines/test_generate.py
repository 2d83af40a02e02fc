"""Every statement about the set is counted on its images."""

import time

import numpy as np
import pytest

from convoscope.data.lines import CLASSES, Version, make_lines, placements, raster
from convoscope.errors import SettingsError, UnknownNameError


def hashes(pixels: np.typing.NDArray[np.uint8]) -> list[bytes]:
    return [image.tobytes() for image in pixels]


@pytest.mark.parametrize("version", ["honest", "published"])
def test_every_image_is_its_classes_shape_in_its_colour_on_black(version: Version) -> None:
    lines = make_lines(version, train=6, test=4)
    assert lines.pixels.shape == (960, 28, 28, 3)
    for row in range(0, len(lines), 7):
        line = CLASSES[lines.classes[row]]
        shape = raster(line.length, line.width, line.angle) + lines.centres[row]
        expected = np.zeros((28, 28, 3), np.uint8)
        for r, c in shape.tolist():
            expected[r, c] = (255, 0, 0) if line.colour == "red" else (0, 0, 255)
        assert np.array_equal(lines.pixels[row], expected)


def test_names_count_the_images_of_a_class_those_for_training_first() -> None:
    lines = make_lines(train=2, test=1)
    assert lines.names[:4] == ("0_0_0_0_0", "0_0_0_0_1", "0_0_0_0_2", "0_0_0_1_0")
    assert lines.splits[:4] == ("train", "train", "test", "train")
    assert len(set(lines.names)) == 96 * 3


def test_no_image_of_one_class_is_an_image_of_another() -> None:
    lines = make_lines("published", train=60, test=40)
    owner: dict[bytes, int] = {}
    for image, k in zip(hashes(lines.pixels), lines.classes.tolist(), strict=True):
        assert owner.setdefault(image, k) == k


def test_honest_keeps_every_placement_in_one_split_and_uses_each() -> None:
    lines = make_lines("honest")
    found = lines.placements()
    train = set(hashes(lines.pixels[lines.is_train]))
    test = set(hashes(lines.pixels[~lines.is_train]))
    assert not train & test
    assert (len(train), len(test)) == (found["train"], found["test"])
    assert (found["shared"], found["test_images_seen"]) == (0, 0)
    possible = sum(len(placements(raster(c.length, c.width, c.angle))) for c in CLASSES)
    assert found["train"] + found["test"] == found["possible"] == possible == 42488


def test_honest_spreads_copies_evenly() -> None:
    lines = make_lines("honest")
    test = lines.centres[~lines.is_train & (lines.classes == 0)]
    _, copies = np.unique(test, axis=0, return_counts=True)
    assert copies.max() - copies.min() <= 1


def test_published_repeats_placements_and_most_of_the_test_is_a_training_image() -> None:
    lines = make_lines("published")
    found = lines.placements()
    train = set(hashes(lines.pixels[lines.is_train]))
    seen = [image in train for image in hashes(lines.pixels[~lines.is_train])]
    assert (len(train), sum(seen)) == (found["train"], found["test_images_seen"])
    assert found["train"] < lines.is_train.sum() / 1.8, "57,600 images do not fit that few places"
    assert 0.7 < sum(seen) / len(seen) < 0.8


def test_published_places_are_equally_likely() -> None:
    """Chi-squared of the draws over the places: within five of its standard deviations."""
    lines = make_lines("published", train=4000, test=1)
    places = len(placements(raster(7, 1, 0)))
    centres = lines.centres[(lines.classes == 0) & lines.is_train]
    _, counts = np.unique(centres, axis=0, return_counts=True)
    expected = 4000 / places
    chi = ((counts - expected) ** 2 / expected).sum() + (places - len(counts)) * expected
    assert abs(chi - (places - 1)) < 5 * (2 * (places - 1)) ** 0.5


def test_the_same_seed_gives_the_same_images_and_another_seed_others() -> None:
    first, again, other = (make_lines(train=3, test=2, seed=seed).pixels for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_96000_images_are_made_in_seconds() -> None:
    started = time.process_time()
    assert len(make_lines("published")) == 96_000
    assert time.process_time() - started < 10


def test_bad_requests_are_one_sentence() -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean 'honest'"):
        make_lines("honnest")  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match=r"at least one test image, got 0: ask for more"):
        make_lines(test=0)
    with pytest.raises(SettingsError, match=r"does not fit into 12 x 12: use a size of at least"):
        make_lines(size=12)
