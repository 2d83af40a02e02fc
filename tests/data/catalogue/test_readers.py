"""The readers of single named sets, on files written here byte by byte, and on real ones."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.conftest import MakeImageFolder

from convoscope.arrays import generator
from convoscope.data.catalogue.cifar10 import CLASSES, read_cifar10
from convoscope.data.catalogue.fashion import read_fashion, read_sprite
from convoscope.data.catalogue.folders import read_caltech101, read_inaturalist
from convoscope.data.catalogue.table import CALTECH_CLASSES, FASHION_CLASSES, NAMED
from convoscope.errors import DataError


def write_cifar10(folder: Path, each: int = 2) -> list[tuple[int, bytes]]:
    """The six files with ``each`` random images; gives label and pixels in the order of reading."""
    rng = generator(0, "cifar10")
    records = []
    folder.mkdir(parents=True)
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        content = b""
        for _ in range(each):
            label, pixels = int(rng.integers(10)), rng.bytes(3072)
            records.append((label, pixels))
            content += struct.pack("B", label) + pixels
        (folder / f"{name}.bin").write_bytes(content)
    return records


def test_cifar10_is_planes_of_red_green_and_blue(tmp_path: Path) -> None:
    records = write_cifar10(tmp_path / "cifar-10-batches-bin")
    dataset = read_cifar10(tmp_path)
    assert dataset.pixels is not None
    assert dataset.pixels.shape == (12, 32, 32, 3)
    assert dataset.class_names == {"class": CLASSES}
    assert dataset.given_split == ("train",) * 10 + ("test",) * 2
    assert dataset.ids[3] == "data_batch_2/00001"
    for row, (label, pixels) in enumerate(records):
        assert dataset.labels["class"][row] == label
        for channel, y, x in ((0, 0, 0), (1, 5, 7), (2, 31, 30)):
            assert dataset.pixels[row, y, x, channel] == pixels[channel * 1024 + y * 32 + x]


def test_a_cut_or_strange_cifar10_is_one_sentence(tmp_path: Path) -> None:
    write_cifar10(tmp_path / "c")
    file = tmp_path / "c" / "data_batch_3.bin"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    with pytest.raises(
        DataError, match=r"data_batch_3.bin: .* whole records of 3073 bytes, it has 6,145"
    ):
        read_cifar10(tmp_path)
    file.write_bytes(b"\x0a" + whole[1:])
    with pytest.raises(
        DataError, match="labels of CIFAR-10 must be from 0 to 9, got 10: this is an"
    ):
        read_cifar10(tmp_path)
    file.unlink()
    with pytest.raises(DataError, match=r"but data_batch_3.bin is not there: get cifar-10-binary"):
        read_cifar10(tmp_path)
    file.with_name("data_batch_1").write_bytes(b"a pickle")
    with pytest.raises(
        DataError, match="but it is the version for Python, which is not safe to op"
    ):
        read_cifar10(tmp_path)


def test_the_sprite_is_cut_into_tiles_in_label_order(tmp_path: Path) -> None:
    sheet = np.repeat(np.repeat(np.arange(900).reshape(30, 30) % 251, 28, 0), 28, 1)
    Image.fromarray(sheet.astype(np.uint8)).save(tmp_path / "a-sprite.png")
    dataset = read_sprite(tmp_path)
    assert dataset.pixels is not None
    assert dataset.pixels.shape == (900, 28, 28, 1)
    assert [int(tile.min()) for tile in dataset.pixels] == [n % 251 for n in range(900)]
    assert [int(tile.max()) for tile in dataset.pixels] == [n % 251 for n in range(900)]
    assert dataset.labels["class"].tolist() == [n // 90 for n in range(900)]


def test_another_picture_is_no_sprite(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"a picture with a name such as fashion-mnist-sprite.png, f"
    ):
        read_sprite(tmp_path)
    Image.new("L", (840, 800)).save(tmp_path / "sprite.png")
    with pytest.raises(
        DataError, match="30 x 30 tiles of 28 pixels, this picture has 840 x 800 pix"
    ):
        read_sprite(tmp_path)


def test_the_real_sprite_shows_trousers_under_trousers(shared: Callable[[str], Path]) -> None:
    dataset = read_sprite(shared("fashion"))
    assert dataset.pixels is not None
    means = [dataset.pixels[dataset.labels["class"] == k].mean() for k in range(10)]
    # Sandals cover little, pullovers and coats most of the picture.
    assert np.argmin(means) == FASHION_CLASSES.index("Sandal")
    assert set(np.argsort(means)[-2:]) == {
        FASHION_CLASSES.index("Pullover"),
        FASHION_CLASSES.index("Coat"),
    }


def test_fashion_gets_its_names_and_other_labels_are_refused(tmp_path: Path) -> None:
    def write(labels: bytes) -> None:
        size = struct.pack(">I", len(labels))
        pixels = b"\0\0\x08\x03" + size + struct.pack(">II", 1, 1) + bytes(len(labels))
        (tmp_path / "train-images-idx3-ubyte").write_bytes(pixels)
        (tmp_path / "train-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + size + labels)

    write(bytes(range(10)))
    assert read_fashion(tmp_path).class_names == {"class": FASHION_CLASSES}
    write(bytes(range(9)))
    with pytest.raises(
        DataError, match="labels of Fashion-MNIST must be the numbers 0 to 9, got 0, 1"
    ):
        read_fashion(tmp_path)


def test_caltech_is_read_without_its_background(
    tmp_path: Path, make_image_folder: MakeImageFolder
) -> None:
    names = ("BACKGROUND_Google", "ant", "ketch")
    make_image_folder(tmp_path / "101_ObjectCategories", names, per_class=2)
    dataset = read_caltech101(tmp_path)
    assert dataset.class_names == {"class": ("ant", "ketch")}
    assert dataset.labels["class"].tolist() == [0, 0, 1, 1]
    assert dataset.notes[-1] == "this copy of Caltech-101 has 2 of 101 classes"


@pytest.mark.parametrize(
    ("folder", "classes"), [("caltech5", 5), ("animals3", 3), ("nature10", 10)]
)
def test_real_parts_of_caltech_are_read(
    shared: Callable[[str], Path], folder: str, classes: int
) -> None:
    dataset = read_caltech101(shared(folder))
    assert len(dataset.class_names["class"]) == classes
    assert set(dataset.class_names["class"]) < set(CALTECH_CLASSES)
    if folder == "caltech5":
        assert Counter(dataset.given_split) == {"train": 250, "validation": 50, "test": 100}


def test_folders_that_are_no_classes_are_another_set(
    tmp_path: Path, make_image_folder: MakeImageFolder
) -> None:
    make_image_folder(tmp_path, ("ant", "spoon"), per_class=1)
    with pytest.raises(
        DataError, match=r"folders of Caltech-101 must be its classes, .*found 'spoon'"
    ):
        read_caltech101(tmp_path)
    with pytest.raises(
        DataError, match="such as Amphibia and Reptilia, found 'ant': name the folder"
    ):
        read_inaturalist(tmp_path)


def test_inaturalist_is_tested_on_its_validation_images(
    tmp_path: Path, make_image_folder: MakeImageFolder
) -> None:
    classes = NAMED["inaturalist-12k"].class_names
    assert classes is not None
    make_image_folder(tmp_path / "inaturalist_12K", classes, splits={"train": 2, "val": 1})
    dataset = read_inaturalist(tmp_path)
    assert Counter(dataset.given_split) == {"train": 20, "validation": 10}
    assert dataset.class_names == {"class": classes}
