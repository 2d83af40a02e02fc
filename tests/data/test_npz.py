"""npz files: keys by their usual names, splits, heads, and what is refused."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike
from sklearn.datasets import load_digits

from convoscope.arrays import Array
from convoscope.data.lines import CLASSES, FACTORS, make_lines
from convoscope.data.npz import read_npz
from convoscope.errors import DataError


def save(folder: Path, **arrays: ArrayLike) -> Path:
    path = folder / "set.npz"
    np.savez(path, **{key: np.asarray(array) for key, array in arrays.items()})  # type: ignore[arg-type]
    return path


def images_of(count: int, start: int = 0) -> Array:
    return (np.arange(start, start + count * 20) % 256).astype(np.uint8).reshape(count, 4, 5)


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("images", "labels"), ("X", "y"), ("x", "y"), ("data", "target"), ("imgs", "classes"),
        ("image", "label"), ("features", "targets"),
    ],
)  # fmt: skip
def test_usual_names_without_split(tmp_path: Path, images: str, labels: str) -> None:
    arrays: dict[str, ArrayLike] = {images: images_of(3), labels: [4, 9, 4]}
    dataset = read_npz(save(tmp_path, **arrays))
    assert dataset.pixels is not None
    assert np.array_equal(dataset.pixels[..., 0], images_of(3))
    assert dataset.labels["class"].tolist() == [0, 1, 0]
    assert dataset.class_names == {"class": ("4", "9")}
    assert dataset.ids == ("set/00000", "set/00001", "set/00002")
    assert (dataset.name, dataset.given_split, dataset.notes) == ("set", None, ())


@pytest.mark.parametrize(
    "form",
    ["{what}_{split}", "{split}_{what}", "{what}{split}", "{split}-{what}", "{split}.{what}"],
)
@pytest.mark.parametrize(("images", "labels"), [("x", "y"), ("images", "labels"), ("X", "Y")])
def test_usual_names_with_splits(tmp_path: Path, form: str, images: str, labels: str) -> None:
    arrays: dict[str, ArrayLike] = {}
    for number, split in enumerate(("test", "val", "train")):
        arrays[form.format(what=images, split=split)] = images_of(number + 1, number)
        arrays[form.format(what=labels, split=split)] = np.full(number + 1, number)
    dataset = read_npz(save(tmp_path, **arrays))
    assert dataset.given_split == ("train",) * 3 + ("validation",) * 2 + ("test",)
    assert dataset.labels["class"].tolist() == [2, 2, 2, 1, 1, 0]
    assert dataset.ids[0] == "train/00000"
    assert dataset.ids[-2:] == ("validation/00001", "test/00000")
    assert dataset.pixels is not None
    assert np.array_equal(dataset.pixels[:3, ..., 0], images_of(3, 2))


def test_medical_mnist_layout(tmp_path: Path) -> None:
    """Labels in a column, as MedMNIST's files have them."""
    dataset = read_npz(
        save(
            tmp_path,
            train_images=images_of(2),
            train_labels=[[1], [0]],
            val_images=images_of(1),
            val_labels=[[1]],
            test_images=images_of(1),
            test_labels=[[0]],
        )
    )
    assert dataset.labels["class"].tolist() == [1, 0, 1, 0]


def test_the_plain_pair_beside_a_test_pair_is_the_training_part(tmp_path: Path) -> None:
    dataset = read_npz(save(tmp_path, X=images_of(2), y=[0, 1], X_test=images_of(1, 3), y_test=[1]))
    assert dataset.given_split == ("train", "train", "test")


def test_one_named_split_alone_is_said(tmp_path: Path) -> None:
    dataset = read_npz(save(tmp_path, x_train=images_of(2), y_train=[0, 1]))
    assert dataset.given_split == ("train", "train")


def test_digits_as_scikit_learn_has_them(tmp_path: Path) -> None:
    digits = load_digits()
    path = save(
        tmp_path, data=digits.data, images=digits.images, target=digits.target,
        target_names=np.array([f"digit {i}" for i in range(10)]), feature_names=["a", "b"],
    )  # fmt: skip
    dataset = read_npz(path)
    assert dataset.pixels is not None
    assert np.array_equal(dataset.pixels[..., 0], digits.images.astype(np.uint8))
    assert dataset.class_names["class"][3] == "digit 3"
    assert dataset.notes == ("'data', 'feature_names' were not read",)


def test_several_label_arrays_are_several_heads(tmp_path: Path) -> None:
    dataset = read_npz(
        save(
            tmp_path,
            images=images_of(3),
            labels_length=["long", "short", "long"],
            labels_angle=[15, -1, 0],
            angle_class_names=[f"{i} degrees" for i in range(16)],
        )
    )
    assert list(dataset.labels) == ["length", "angle"]
    assert dataset.labels["angle"].tolist() == [15, -1, 0]
    assert dataset.class_names["length"] == ("long", "short")
    assert dataset.class_names["angle"][15] == "15 degrees"


def test_without_a_label_word_every_array_of_one_value_per_image_is_a_head(tmp_path: Path) -> None:
    dataset = read_npz(
        save(
            tmp_path,
            x_train=images_of(2),
            x_test=images_of(1),
            colour_train=["red", "blue"],
            colour_test=["red"],
            width_train=[1, 3],
            width_test=[3],
            weight=[0.1, 0.2],
        )
    )
    assert {head: labels.tolist() for head, labels in dataset.labels.items()} == {
        "colour": [1, 0, 1],
        "width": [0, 1, 1],
    }
    assert dataset.notes == ("'weight' was not read",)


def test_one_hot_colour_channels_first(tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((4, 3, 5, 6))
    dataset = read_npz(save(tmp_path, images=images, labels=np.eye(4)), name="own")
    assert dataset.pixels is not None
    expected = np.rint(images.transpose(0, 2, 3, 1) * 255)
    assert np.abs(dataset.pixels - expected).max() <= 1
    assert dataset.labels["class"].tolist() == [0, 1, 2, 3]
    assert dataset.ids[0] == "own/00000"


def test_flattened_colour_with_its_shape(tmp_path: Path) -> None:
    path = save(tmp_path, images=np.arange(24).reshape(2, 12), labels=[0, 1])
    pixels = read_npz(path, image_shape=(2, 2, 3)).pixels
    assert pixels is not None
    assert pixels.shape == (2, 2, 2, 3)
    with pytest.raises(DataError, match=r"set\.npz: 'images': flattened images must be square"):
        read_npz(path)


def test_pickled_objects_are_refused_and_never_run(tmp_path: Path) -> None:
    ran = tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return Path.touch, (ran,)

    path = save(tmp_path, images=images_of(1), labels=np.array([Evil()], dtype=object))
    with pytest.raises(DataError, match="'labels' holds Python objects, which only pickle can rea"):
        read_npz(path)
    assert not ran.exists()


I = images_of(2)  # noqa: E741


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"arr_0": I, "arr_1": [0, 1]}, r"images, x or x_train, but the arrays are 'arr_0', 'arr_"),
        ({"images": I, "x": I, "y": [0, 1]}, r"both 'images' and 'x' could be it: rename or remo"),
        ({"images": I, "y": [0, 1], "labels": [0, 1]}, r"of labels for each split, but both 'y'"),
        ({"images": I}, r"the images 'images' need labels, an array called labels, y or y_train"),
        ({"images": I, "score": [0.5, 1.5]}, r"need labels, .* the arrays are 'images', 'score'"),
        ({"images": I, "labels": [7, 7]}, r"'labels': there must be at least two classes .* '7'"),
        ({"images": I, "labels": [0]}, r"'labels' must have a label for each of the 2 images of"),
        ({"images": I, "labels": 3}, r"2 images of 'images', but has shape \(\)"),
        ({"images": I, "labels": [0, -1]}, r"'labels': every image needs a label, but 1 of 2 hav"),
        (
            {"x_train": I, "y_train": [0, 1], "x_test": I},
            r"the images 'x_test' have no labels beside 'y_train': save their labels too, or leav",
        ),
        (
            {"images": np.full((2, 2, 2), np.nan), "labels": [0, 1]},
            r"'images': pixels must be finite",
        ),
    ],
)
def test_what_is_unclear_is_one_sentence(
    tmp_path: Path, arrays: dict[str, ArrayLike], sentence: str
) -> None:
    with pytest.raises(DataError, match=r"set\.npz: .*" + sentence):
        read_npz(save(tmp_path, **arrays))


def test_a_file_of_weights_is_told_in_a_short_sentence(tmp_path: Path) -> None:
    path = save(tmp_path, **{f"layer{number}": [0.0] for number in range(50)})
    with pytest.raises(DataError, match=r"'layer7', 42 more: save them as numpy\.savez\(file, ima"):
        read_npz(path)


@pytest.mark.parametrize("content", [b"", b"\x80\x04}.", b"PK\x03\x04 cut"])
def test_a_file_that_is_no_archive_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "set.npz"
    path.write_bytes(content)
    with pytest.raises(
        DataError, match=r"set\.npz: an npz file must be a whole zip archive of arrays"
    ):
        read_npz(path)


def test_a_damaged_array_is_one_sentence(tmp_path: Path) -> None:
    path = save(tmp_path, images=images_of(2), labels=[0, 1])
    content = bytearray(path.read_bytes())
    place = content.index(images_of(2).tobytes())
    content[place + 3] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"'images' cannot be read \(BadZipFile: Bad CRC-32"):
        read_npz(path)


def test_an_array_shorter_than_its_header_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    np.save(tmp_path / "a.npy", images_of(2))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", (tmp_path / "a.npy").read_bytes()[:-9])
    with pytest.raises(DataError, match=r"'images' cannot be read \(.*save the file again"):
        read_npz(path)


def test_a_file_that_is_no_array_is_one_sentence(tmp_path: Path) -> None:
    path = save(tmp_path, labels=[0, 1])
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("images", b"not an array")
    with pytest.raises(DataError, match=r"'images' must be an array, but the archive holds anothe"):
        read_npz(path)


@settings(max_examples=100, deadline=None)
@given(
    compressed=st.booleans(),
    damage=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=3),
)
def test_whatever_bytes_change_it_is_read_or_refused_in_a_sentence(
    tmp_path_factory: pytest.TempPathFactory,
    compressed: bool,
    damage: list[tuple[float, int]],
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    write = np.savez_compressed if compressed else np.savez
    write(path, images=images_of(4), labels=[0, 1, 0, 1])
    content = bytearray(path.read_bytes())
    for place, value in damage:
        content[int(place * (len(content) - 1))] = value
    path.write_bytes(content)
    try:
        dataset = read_npz(path)
    except DataError as error:
        found = str(error)
    else:
        found = f"{path}: {len(dataset)} images"
        assert set(dataset.class_names["class"]) <= {str(number) for number in range(256)}
    assert found.startswith(f"{path}: ")
    assert "\n" not in found


def test_flattened_bytes_and_one_hot_labels_of_several_heads(tmp_path: Path) -> None:
    lines = make_lines(train=2, test=1)
    labels = np.array([line.labels for line in CLASSES])[lines.classes]
    arrays: dict[str, Array] = {}
    for split, rows in (("train", lines.is_train), ("test", ~lines.is_train)):
        arrays[f"x_{split}"] = lines.pixels[rows].reshape(rows.sum(), -1)
        for column, (head, names) in enumerate(FACTORS.items()):
            arrays[f"y_{head}_{split}"] = np.eye(len(names), dtype=np.uint8)[labels[rows, column]]
    np.savez(tmp_path / "set.npz", allow_pickle=False, **arrays)
    dataset = read_npz(tmp_path / "set.npz", image_shape=(28, 28, 3))
    assert dataset.pixels is not None
    assert np.array_equal(dataset.pixels[:192], lines.pixels[lines.is_train])
    assert list(dataset.labels) == list(FACTORS)
    for column, head in enumerate(FACTORS):
        assert np.array_equal(dataset.labels[head][192:], labels[~lines.is_train, column])


def test_flattened_bytes_and_one_hot_labels_of_96_classes(tmp_path: Path) -> None:
    lines = make_lines(train=1, test=1)
    one_hot = np.eye(96, dtype=np.uint8)[lines.classes]
    np.savez(tmp_path / "set.npz", images=lines.pixels.reshape(192, -1), labels=one_hot)
    dataset = read_npz(tmp_path / "set.npz", image_shape=(28, 28, 3))
    assert np.array_equal(dataset.labels["class"], lines.classes)
    assert len(dataset.class_names["class"]) == 96
