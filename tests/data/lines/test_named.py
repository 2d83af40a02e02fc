from pathlib import Path

import numpy as np
import pytest

from convoscope.data.lines import CLASSES
from convoscope.data.sources import open_dataset
from convoscope.errors import SettingsError, UnknownNameError


def test_lines_are_96_classes_that_come_divided() -> None:
    dataset = open_dataset("lines@3/2")
    assert len(dataset) == 480
    assert dataset.class_names == {"class": tuple(line.name for line in CLASSES)}
    assert np.bincount(dataset.labels["class"]).tolist() == [5] * 96
    assert dataset.given_split is not None
    assert dataset.given_split.count("test") == 192
    assert dataset.ids[0] == "train/0_0_0_0_0"


def test_what_each_class_is_in_each_factor_is_kept() -> None:
    factors = open_dataset("lines@3/2").factors["class"]
    assert list(factors) == ["length", "width", "angle", "colour"]
    assert [factors[name][95] for name in factors] == ["15", "3", "165", "blue"]


def test_heads_are_the_same_images_with_four_labels() -> None:
    heads, classes = open_dataset("lines:heads@3/2"), open_dataset("lines@3/2")
    assert heads.pixels is not None
    assert classes.pixels is not None
    assert np.array_equal(heads.pixels, classes.pixels)
    assert {head: len(names) for head, names in heads.class_names.items()} == {
        "length": 2,
        "width": 2,
        "angle": 12,
        "colour": 2,
    }
    for row in (0, 100, 479):
        said = "_".join(heads.class_names[h][heads.labels[h][row]] for h in heads.labels)
        assert said == classes.class_names["class"][classes.labels["class"][row]]


def test_the_published_version_says_its_leak_and_the_honest_one_that_it_has_none() -> None:
    (said,) = open_dataset("lines:published").notes
    assert "74.7% of the test images are pixel for pixel a training image" in said
    (said,) = open_dataset("lines:honest@60/40").notes
    assert said.endswith("different pictures in train and 3,840 in test; none is in both")


def test_words_may_stand_together_in_any_order() -> None:
    one, other = (
        open_dataset("lines:published,heads@2/1"),
        open_dataset("lines:heads,published@2/1"),
    )
    assert one.pixels is not None
    assert other.pixels is not None
    assert np.array_equal(one.pixels, other.pixels)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("lines:honest,published", "a set is one version, got honest and published: name one"),
        ("lines@60", "after @ must stand the training and test images of each class, such as"),
        ("lines@0/4", "each class must have at least one training image, got 0"),
        ("digits@3", "digits@3: after @ there must be numbers of images, TRAIN/TEST"),
    ],
)
def test_a_name_that_says_something_impossible_is_one_sentence(name: str, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        open_dataset(name)


def test_a_misspelt_word_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"'publised'.*did you mean 'published'"):
        open_dataset("lines:publised")


def test_a_folder_of_that_name_is_still_a_path(tmp_path: Path) -> None:
    (tmp_path / "lines").mkdir()
    with pytest.raises(ValueError, match="there must be a folder of images for each class"):
        open_dataset(tmp_path / "lines")
