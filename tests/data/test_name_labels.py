"""Labels from files' names: what fits, what is left out, and what is told."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convoscope.data.name_labels import name_pattern, read_named
from convoscope.data.reading import Reading
from convoscope.data.sources import open_dataset
from convoscope.errors import DataError, SettingsError

LINES = "{length}_{width}_{angle}_{colour}_{id}"


def images(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(path)
    return root


def test_a_published_name_gives_a_label_per_field(tmp_path: Path) -> None:
    images(tmp_path / "set", "1_1_9_0_3.jpg", "0_1_10_1_4.jpg", "1_0_9_0_12.jpg")
    dataset = read_named(tmp_path / "set", LINES)
    assert dataset.name == "set"
    assert dataset.ids == ("0_1_10_1_4.jpg", "1_0_9_0_12.jpg", "1_1_9_0_3.jpg")
    assert dataset.class_names == {
        "length": ("0", "1"),
        "width": ("0", "1"),
        "angle": ("9", "10"),
        "colour": ("0", "1"),
    }
    assert {head: known.tolist() for head, known in dataset.labels.items()} == {
        "length": [0, 1, 1],
        "width": [1, 0, 1],
        "angle": [1, 0, 0],
        "colour": [1, 0, 0],
    }
    assert dataset.given_split is None
    assert dataset.notes == ()


def test_combined_they_are_one_class(tmp_path: Path) -> None:
    images(tmp_path, "1_1_9_0_3.jpg", "0_1_10_1_4.jpg", "1_1_9_0_12.jpg")
    asked = Reading(label_pattern="{length}_{_}_{angle}_{colour}_{id}", combine_labels=True)
    dataset = open_dataset(tmp_path, reading=asked)
    assert dataset.class_names == {"class": ("0_10_1", "1_9_0")}
    assert dataset.labels["class"].tolist() == [0, 1, 1]
    assert list(dataset.factors["class"]) == ["length", "angle", "colour"]


def test_an_id_is_a_number_so_that_a_class_may_hold_the_sign_between_them(tmp_path: Path) -> None:
    images(tmp_path, "car_side_12.png", "ewer_3.png", "car_side_2.png")
    dataset = read_named(tmp_path, "{class}_{id}")
    assert dataset.class_names == {"class": ("car_side", "ewer")}
    assert dataset.ids == ("car_side_2.png", "car_side_12.png", "ewer_3.png")


def test_folders_of_splits_are_the_split_and_folders_in_a_pattern_are_fields(
    tmp_path: Path,
) -> None:
    images(tmp_path, "train/cat/1.png", "train/dog/2.png", "val/cat/3.png", "test/dog/4.png")
    dataset = read_named(tmp_path, "{animal}/{id}")
    assert dataset.given_split == ("test", "train", "train", "validation")
    assert dataset.class_names == {"animal": ("cat", "dog")}
    assert dataset.labels["animal"].tolist() == [1, 0, 1, 0]


def test_a_split_may_stand_in_the_name(tmp_path: Path) -> None:
    images(tmp_path, "cat-training-1.png", "dog-training-2.png", "cat-testing-3.png")
    dataset = read_named(tmp_path, "{animal}-{split}-{_}")
    assert dataset.given_split == ("test", "train", "train")
    assert list(dataset.labels) == ["animal"]


def test_a_regular_expression_says_what_braces_cannot(tmp_path: Path) -> None:
    images(tmp_path, "cat07.png", "dog1.png")
    dataset = read_named(tmp_path, r"(?P<animal>[a-z]+)\d*")
    assert dataset.class_names == {"animal": ("cat", "dog")}


def test_names_that_do_not_fit_are_left_out_with_a_note(tmp_path: Path) -> None:
    images(tmp_path, "a_1.png", "b_2.png", "holiday.png", "sub/beach.png")
    dataset = read_named(tmp_path, "{class}_{id}")
    assert dataset.ids == ("a_1.png", "b_2.png")
    assert dataset.notes == (
        "2 of 4 images were left out, their names do not fit '{class}_{id}': "
        "holiday.png, sub/beach.png",
    )


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("photos", "must have a field in braces for each label, besides .* got none: write it"),
        ("{id}", "must have a field in braces for each label, besides .* got none: write it"),
        ("{a}_{b}_{a}", r"each field must be there once, \{a\} is there 2 times: rename one"),
        ("{a}{b}", "between two fields must stand some text .* got two that touch"),
        ("{a_{b}", r"each \{ must have its \}, got '\{a_' outside the fields: close the brace"),
        ("{a b}_{id}", r"a field's name must be letters, digits and _ .* got \{a b\}: rename it"),
        ("(?P<a>x", "must be readable, and each field be there once, reading it gave"),
        ("(?P<a>x)(?P<a>y)", "reading it gave redefinition of group name 'a'"),
    ],
)
def test_a_pattern_that_makes_no_sense_is_one_sentence(pattern: str, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence) as caught:
        name_pattern(pattern)
    assert str(caught.value).startswith(f"label_pattern {pattern!r}: ")


def test_a_pattern_that_fits_nothing_is_one_sentence(tmp_path: Path) -> None:
    images(tmp_path, "cat.png", "dog.png")
    with pytest.raises(DataError, match=r"it fits none of 2, such as 'cat\.png': mend it"):
        read_named(tmp_path, LINES)


def test_a_field_with_one_value_is_no_label(tmp_path: Path) -> None:
    images(tmp_path, "photo_cat_1.png", "photo_dog_2.png")
    with pytest.raises(DataError, match=r"\{kind\} is 'photo' in every name: write \{_\} there"):
        read_named(tmp_path, "{kind}_{animal}_{id}")


def test_an_unknown_split_in_a_name_is_one_sentence(tmp_path: Path) -> None:
    images(tmp_path, "cat-later-1.png", "dog-train-2.png")
    with pytest.raises(DataError, match=r"cat-later-1\.png: the field split must be a word such"):
        read_named(tmp_path, "{animal}-{split}-{id}")


def test_a_folder_without_images_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there must be images in the folder, found none"):
        read_named(tmp_path, LINES)


def test_a_pattern_is_for_folders_alone() -> None:
    with pytest.raises(SettingsError, match="--label-pattern is for a folder of images, this is"):
        open_dataset("digits", reading=Reading(label_pattern=LINES))
