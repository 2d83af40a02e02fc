from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from tests.conftest import MakeImageFolder

from convoscope.data.folders import natural, read_folder
from convoscope.errors import DataError


def test_a_plain_tree_has_a_class_per_folder_and_no_split(
    tmp_path: Path, make_image_folder: MakeImageFolder
) -> None:
    dataset = read_folder(make_image_folder(tmp_path / "pets", ("dog", "cat"), per_class=2))
    assert dataset.name == "pets"
    assert dataset.class_names == {"class": ("cat", "dog")}
    assert dataset.ids == ("cat/cat_0.png", "cat/cat_1.png", "dog/dog_0.png", "dog/dog_1.png")
    assert dataset.labels["class"].tolist() == [0, 0, 1, 1]
    assert dataset.files is not None
    assert [f.relative_to(tmp_path / "pets").as_posix() for f in dataset.files] == list(dataset.ids)
    assert dataset.given_split is None
    assert dataset.notes == ()


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [
        ("train", "val", "test"),
        ("Training", "Validation", "Testing"),
        ("TRAIN", "valid", "Test"),
        ("train", "dev", "eval"),
    ],
)
def test_split_folders_are_known_by_any_usual_name(
    tmp_path: Path, make_image_folder: MakeImageFolder, train: str, validation: str, test: str
) -> None:
    root = make_image_folder(tmp_path, ("a", "b"), splits={train: 2, validation: 1, test: 1})
    dataset = read_folder(root)
    assert dataset.given_split == ("train",) * 4 + ("validation",) * 2 + ("test",) * 2
    assert dataset.ids[0] == f"{train}/a/a_0.png"


def test_names_are_sorted_as_people_count(
    tmp_path: Path, make_image_folder: MakeImageFolder
) -> None:
    root = make_image_folder(tmp_path, ("class10", "class9", "Class1"), per_class=11)
    dataset = read_folder(root)
    assert dataset.class_names["class"] == ("Class1", "class9", "class10")
    assert dataset.ids[1:3] == ("Class1/Class1_1.png", "Class1/Class1_2.png")
    assert dataset.ids[10] == "Class1/Class1_10.png"


def test_natural_order_is_total_for_names_that_begin_alike() -> None:
    names = ["a", "a1", "a01", "A", "1", "", "a1b", "10", "é", "b2", "b10", "2"]
    backwards = names[::-1]
    assert sorted(names, key=natural) == sorted(backwards, key=natural)
    assert sorted(["b10", "b2", "a"], key=natural) == ["a", "b2", "b10"]


def test_class_names_may_hold_anything(tmp_path: Path, make_image_folder: MakeImageFolder) -> None:
    names = ("<b>bold & co</b>".replace("/", "∕"), "two words", "🐈 cat", 'comma, "quote"')
    dataset = read_folder(make_image_folder(tmp_path, names, per_class=1))
    assert set(dataset.class_names["class"]) == set(names)


def test_a_class_name_is_one_class_however_its_accents_are_stored(
    tmp_path: Path, make_image_folder: MakeImageFolder
) -> None:
    make_image_folder(tmp_path, ("caf\u00e9", "tea"), splits={"train": 1})
    make_image_folder(tmp_path, ("cafe\u0301", "tea"), splits={"test": 1})
    assert read_folder(tmp_path).class_names["class"] == ("caf\u00e9", "tea")


def test_a_file_name_that_is_no_utf8_is_written_out(
    tmp_path: Path, make_image_folder: MakeImageFolder
) -> None:
    root = make_image_folder(tmp_path, ("a", "b"), per_class=1)
    strange = os.fsencode(root / "a") + b"/\xff.png"
    try:
        shutil.copy(root / "a" / "a_0.png", os.fsdecode(strange))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    dataset = read_folder(root)
    assert "a/\\xff.png" in dataset.ids
    assert all(name.encode() for name in dataset.ids)


def test_folders_inside_a_class_belong_to_it(
    tmp_path: Path, make_image_folder: MakeImageFolder
) -> None:
    root = make_image_folder(tmp_path, ("a", "b"), per_class=1)
    make_image_folder(root / "a", ("session 1",), per_class=2)
    dataset = read_folder(root)
    assert dataset.class_names["class"] == ("a", "b")
    assert dataset.labels["class"].tolist() == [0, 0, 0, 1]


def test_litter_is_passed_over_and_strays_are_left_out_with_a_note(
    tmp_path: Path, make_image_folder: MakeImageFolder
) -> None:
    root = make_image_folder(tmp_path, ("a", "b"), per_class=1)
    for name in (".DS_Store", "a/.hidden.png", "a/Thumbs.db", "b/desktop.ini", "__MACOSX/x.png"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"x")
    assert read_folder(root).notes == ()
    for name in ("a/notes.txt", "a/1.csv", "b/2.csv", "b/clip.mpg"):
        (root / name).write_bytes(b"x")
    shutil.copy(root / "a" / "a_0.png", root / "loose.png")
    dataset = read_folder(root)
    assert len(dataset) == 2
    assert dataset.notes == (
        "1 image was left out, in no class's folder: loose.png",
        "4 files were left out, with no image's name: a/1.csv, a/notes.txt, b/2.csv, ...",
    )


def test_links_that_lead_back_are_not_followed(
    tmp_path: Path, make_image_folder: MakeImageFolder
) -> None:
    root = make_image_folder(tmp_path, ("a", "b"), per_class=2)
    (root / "a" / "again").symlink_to(root / "a", target_is_directory=True)
    dataset = read_folder(root)
    assert len(dataset) == 4
    assert dataset.notes == ("1 link was left out, back to a folder above: a/again",)


def test_a_pipe_named_like_an_image_is_left_out(
    tmp_path: Path, make_image_folder: MakeImageFolder
) -> None:
    root = make_image_folder(tmp_path, ("a", "b"), per_class=1)
    os.mkfifo(root / "a" / "pipe.png")
    dataset = read_folder(root)
    assert len(dataset) == 2
    assert "a/pipe.png" in dataset.notes[0]


def test_an_only_folder_is_looked_into(tmp_path: Path, make_image_folder: MakeImageFolder) -> None:
    make_image_folder(tmp_path / "photos-main" / "photos", ("a", "b"), per_class=1)
    (tmp_path / "README.txt").write_text("x")
    dataset = read_folder(tmp_path)
    assert dataset.class_names["class"] == ("a", "b")
    assert dataset.ids[0] == "photos-main/photos/a/a_0.png"
    assert dataset.notes == ("the classes are the folders in photos-main/photos, the only folder",)


def test_train_may_be_a_class_of_vehicles(
    tmp_path: Path, make_image_folder: MakeImageFolder
) -> None:
    root = make_image_folder(tmp_path, ("train", "car"), per_class=1)
    make_image_folder(root / "train", ("steam",), per_class=1)
    dataset = read_folder(root)
    assert dataset.class_names["class"] == ("car", "train")
    assert dataset.given_split is None


def test_unlabelled_test_images_and_other_folders_are_left_out_with_notes(
    tmp_path: Path, make_image_folder: MakeImageFolder
) -> None:
    root = make_image_folder(tmp_path, ("a", "b"), splits={"train": 1, "val": 1})
    make_image_folder(tmp_path, ("docs",), per_class=1)
    (root / "test").mkdir()
    shutil.copy(root / "docs" / "docs_0.png", root / "test" / "1.png")
    dataset = read_folder(root)
    assert dataset.given_split == ("train", "train", "validation", "validation")
    assert dataset.notes == ("2 folders were left out, beside the split folders: docs, test",)


# -- what cannot be used --------------------------------------------------------------------------


def message(root: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_folder(root)
    text = str(caught.value)
    assert text.startswith(f"{root}: ")
    return text.removeprefix(f"{root}: ")


def test_no_such_folder(tmp_path: Path) -> None:
    assert message(tmp_path / "photos") == (
        "a data set must be a folder of images, there is no such folder: check the path"
    )


def test_a_file_instead_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "photos.zip").write_bytes(b"PK")
    assert message(tmp_path / "photos.zip") == (
        "a data set must be a folder of images, this is a file: "
        "name the folder, or unpack the archive first"
    )


def test_an_empty_folder(tmp_path: Path) -> None:
    assert message(tmp_path) == (
        "there must be a folder of images for each class, found no folder: "
        "put the images of each class into a folder of its name"
    )


def test_images_without_folders(tmp_path: Path, make_image_folder: MakeImageFolder) -> None:
    make_image_folder(tmp_path, ("a",), per_class=3)
    assert "found 3 images but no folder" in message(tmp_path / "a")


def test_an_empty_class(tmp_path: Path, make_image_folder: MakeImageFolder) -> None:
    make_image_folder(tmp_path, ("a", "b"), per_class=1)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "notes.txt").write_text("x")
    dataset = read_folder(tmp_path)
    assert dataset.class_names == {"class": ("a", "b", "c")}
    assert dataset.labels["class"].tolist() == [0, 1]


def test_classes_without_a_single_image(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    assert message(tmp_path) == (
        "every class must have images, none of 2 has any: put images into the folders, of a kind "
        "such as .jpg or .png"
    )


def test_a_class_that_is_empty_in_one_split(
    tmp_path: Path, make_image_folder: MakeImageFolder
) -> None:
    make_image_folder(tmp_path, ("a", "b"), splits={"train": 1, "test": 1})
    (tmp_path / "test" / "b" / "b_0.png").unlink()
    dataset = read_folder(tmp_path)
    assert dataset.class_names == {"class": ("a", "b")}
    assert dataset.given_split == ("train", "train", "test")


def test_one_class_only(tmp_path: Path, make_image_folder: MakeImageFolder) -> None:
    make_image_folder(tmp_path, ("a",), per_class=3)
    make_image_folder(tmp_path / "a", ("more",), per_class=1)
    assert message(tmp_path) == (
        "there must be at least two classes to tell apart, found only 'a': "
        "add a folder for another class"
    )


def test_two_folders_for_one_split(tmp_path: Path, make_image_folder: MakeImageFolder) -> None:
    make_image_folder(tmp_path, ("a", "b"), splits={"train": 1, "val": 1, "valid": 1})
    assert message(tmp_path) == (
        "there must be one folder for each split, got train, val, valid: "
        "merge those that mean the same, or rename one"
    )


def test_split_folders_without_class_folders(
    tmp_path: Path, make_image_folder: MakeImageFolder
) -> None:
    make_image_folder(tmp_path, ("train", "test"), per_class=2)
    assert message(tmp_path) == (
        "the split folders must hold a folder of images for each class, got test, train without "
        "folders in them: put the images of each class into a folder of its name"
    )


def test_split_folders_inside_classes(tmp_path: Path, make_image_folder: MakeImageFolder) -> None:
    make_image_folder(tmp_path / "cat", ("train", "test"), per_class=1)
    make_image_folder(tmp_path / "dog", ("train", "test"), per_class=1)
    assert message(tmp_path) == (
        "split folders must stand above the classes, as in train/cat, got them inside cat: "
        "turn the folders round"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everywhere")
def test_a_folder_that_may_not_be_read(tmp_path: Path, make_image_folder: MakeImageFolder) -> None:
    make_image_folder(tmp_path, ("a", "b"), per_class=1)
    (tmp_path / "a").chmod(0)
    try:
        with pytest.raises(DataError, match="the folder must be readable, the system said"):
            read_folder(tmp_path)
    finally:
        (tmp_path / "a").chmod(0o700)
