"""What a source does not say itself can be said; what it does not understand is refused."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import MakeImageFolder

from convoscope.data.reading import OPTIONS, Reading
from convoscope.data.sources import open_dataset
from convoscope.errors import DataError, SettingsError, UnknownNameError

ROWS = (
    "first,second,breed,fur,use\n"
    "a_0.png,b_0.png,pug,long,train\n"
    "a_1.png,b_1.png,pug,short,train\n"
    "b_0.png,a_0.png,husky,long,train\n"
    "b_1.png,a_1.png,husky,short,train\n"
    "a_2.png,b_2.png,pug,long,test\n"
    "b_2.png,a_2.png,husky,long,test\n"
)


@pytest.fixture
def table(tmp_path: Path, make_image_folder: MakeImageFolder) -> Path:
    """A table with two columns of paths and two of labels, whose images lie elsewhere."""
    folder = make_image_folder(tmp_path / "drawn", ("a", "b"), per_class=3)
    images = tmp_path / "images"
    images.mkdir()
    for file in folder.rglob("*.png"):
        file.rename(images / file.name)
    (tmp_path / "tables").mkdir()
    path = tmp_path / "tables" / "dogs.csv"
    path.write_text(ROWS)
    return path


def test_columns_and_the_images_folder_are_as_asked(table: Path) -> None:
    asked = Reading(
        image_column="second",
        label_column=("breed",),
        split_column="use",
        image_root=table.parents[1] / "images",
    )
    dataset = open_dataset(table, reading=asked)
    assert dataset.ids == ("b_0.png", "b_1.png", "a_0.png", "a_1.png", "b_2.png", "a_2.png")
    assert dataset.class_names == {"class": ("husky", "pug")}
    assert dataset.given_split == ("train",) * 4 + ("test",) * 2


def test_each_label_column_is_a_head(table: Path) -> None:
    root = table.parents[1] / "images"
    dataset = open_dataset(
        table,
        reading=Reading(image_column="first", label_column=("fur", "breed"), image_root=root),
    )
    assert dataset.class_names == {"fur": ("long", "short"), "breed": ("husky", "pug")}


def test_a_table_in_an_archive_is_read_as_asked(table: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "dogs.zip", "w") as archive:
        archive.write(table, "dogs.csv")
        for file in (tmp_path / "images").iterdir():
            archive.write(file, file.name)
    asked = Reading(image_column="second", label_column=("fur",))
    dataset = open_dataset(tmp_path / "dogs.zip", reading=asked)
    assert dataset.ids[0] == "b_0.png"
    assert dataset.class_names == {"class": ("long", "short")}


def test_flattened_images_of_an_npz_file_get_their_shape(tmp_path: Path) -> None:
    flat = np.arange(2 * 24, dtype=np.uint8).reshape(2, 24)
    np.savez(tmp_path / "flat.npz", images=flat, labels=["a", "b"])
    with pytest.raises(DataError, match=r"say --image-shape HEIGHTxWIDTHxCHANNELS \(image_shape="):
        open_dataset(tmp_path / "flat.npz")
    last = open_dataset(tmp_path / "flat.npz", reading=Reading(image_shape=(2, 4, 3)))
    assert last.pixels is not None
    assert last.pixels[1, 0, 1].tolist() == [27, 28, 29]
    asked = Reading(image_shape=(2, 4, 3), image_layout="chw")
    first = open_dataset(tmp_path / "flat.npz", reading=asked)
    assert first.pixels is not None
    assert first.pixels[1, 0, 1].tolist() == [25, 33, 41]


def test_a_column_that_is_not_there_names_the_nearest(table: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"dogs\.csv: .*'bred'.* did you mean 'breed'"):
        open_dataset(table, reading=Reading(label_column=("bred",)))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (Reading(image_column="x"), "--image-column is for a table, this is a folder of images"),
        (Reading(label_column=("x",)), "--label-column is for a table, this is a folder of images"),
        (Reading(split_column="x"), "--split-column is for a table, this is a folder of images"),
        (Reading(image_root=Path()), "--image-root is for a table, this is a folder of images"),
        (Reading(image_shape=(2, 2)), "--image-shape is for an .npz file, this is a folder of ima"),
        (Reading(image_layout="hwc"), "--image-layout is for an .npz file, this is a folder of im"),
    ],
)
def test_a_folder_understands_none_of_it(
    shapes_folder: Path, options: Reading, sentence: str
) -> None:
    with pytest.raises(SettingsError, match=f"shapes: {sentence}.*: leave it out"):
        open_dataset(shapes_folder, reading=options)


def test_other_sources_refuse_what_is_not_theirs(table: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", images=np.ones((2, 3, 3)), labels=["a", "b"])
    with pytest.raises(SettingsError, match=r"x\.npz: --label-column is for a table, this is an"):
        open_dataset(tmp_path / "x.npz", reading=Reading(label_column=("x",)))
    with pytest.raises(SettingsError, match=r"dogs\.csv: --image-shape is for an .npz file, this "):
        open_dataset(table, reading=Reading(image_shape=(3, 3)))
    with pytest.raises(
        SettingsError, match=r"^digits: --image-column is for a table, this is a named"
    ):
        open_dataset("digits", reading=Reading(image_column="x"))


def test_every_option_is_one_of_a_reading() -> None:
    assert {*OPTIONS, "combine_labels"} == set(Reading.__dataclass_fields__)
